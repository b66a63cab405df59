"""`redis://`, `rediss://`, `valkey://`: a Redis or Valkey server that all workers on all machines share: used proofs, answers
of the issuer (shut up by `seal`), revocations.

Asking and remembering is one atomic step there (`SET NX EX`, with the key's share counted in the same step). A server that
cannot answer within a second lets nobody in (503), and is asked again by the next request: no restart is needed.

A server that restarts may have forgotten what it knew; `recollection` tells how that is noticed, and what is refused then.
What cannot be seen from here is a server that evicts (`maxmemory-policy` must be `noeviction`) and one that is flushed by hand.
"""

import asyncio
import logging
import math
import time
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

import strongdm_auth.stores.redis_commands as commands
from strongdm_auth.errors import ConfigurationError
from strongdm_auth.replay import QUOTA, ReplayStoreFull
from strongdm_auth.revocation import Revocation

from .recollection import CLIENTS_AHEAD, Recollection
from .redis_commands import Command

try:
    import redis
    import redis.asyncio
    from redis.asyncio.retry import Retry as AsyncRetry
    from redis.backoff import NoBackoff
    from redis.connection import parse_url
    from redis.retry import Retry
except ImportError as fault:
    raise ConfigurationError(
        "replay_store names a Redis or Valkey server, which needs the package redis: pip install 'strongdm-auth[redis]'"
    ) from fault

_log = logging.getLogger("strongdm_auth.stores")

#: Seconds for a connection, an answer, and a free connection of the pool. A server that is well answers in a millisecond;
#: it is kinder to tell the client to come back than to tie up a worker. `?socket_timeout=` in the URL changes it.
TIMEOUT = 1.0
#: Connections a process opens at the most: as many threads ask at once. `?max_connections=` changes it.
MOST_CONNECTIONS = 50
#: The same for an event loop, which does one thing at a time: more connections only make it busy.
MOST_CONNECTIONS_OF_A_LOOP = 10
#: Seconds for which a server that let somebody wait for nothing, and that nobody else heard meanwhile, is not asked again.
PAUSE = 1.0
#: What says that a connection leads nowhere any more; a primary that was demoted still answers, but takes nothing down.
_DEAD = (redis.ConnectionError, redis.ReadOnlyError)


class StoreAway(Exception):
    """The server let the last request wait for nothing, and is not asked for a moment."""


class _Server:
    """What both stores know of the server: where it is, whether it remembers, and when to leave it alone."""

    def __init__(
        self, url: str, *, proof_max_age: float = 60.0, quota: int = QUOTA, clients_ahead: float = CLIENTS_AHEAD
    ) -> None:
        self._options = _options(url)
        self._max_age, self._quota = proof_max_age, quota
        self._recollection = Recollection(proof_max_age, clients_ahead)
        self._pause_until = -math.inf

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._options.get('host', 'localhost')}:{self._options.get('port', 6379)}>"

    def _first_use(self, key: bytes, owner: str, until: float, now: float) -> Command:
        asked_at = time.monotonic()

        def read(answer: int) -> bool:
            self._recollection.vouch(until, now, asked_at)
            if answer == commands.SHARE_IS_FULL:
                raise ReplayStoreFull
            return answer == commands.FIRST_USE

        return Command(commands.first_use(key, owner, until - now, self._quota, self._max_age), read)

    def _revoked(self, position: str) -> Command:
        # A server that came back from an older snapshot has the same list, less its end: it is read from the beginning.
        server = str(self._recollection.run_id)
        known, _, place = position.partition("/")
        command = commands.revoked(place if known == server else "")

        def read(answer: Any) -> tuple[str, list[Revocation]]:
            place, found = command.read(answer)
            return f"{server}/{place}", found

        return Command(command.words, read)

    def _begin(self) -> float:
        """When the question was asked."""
        now = time.monotonic()
        if now < self._pause_until:
            raise StoreAway
        return now

    def _end(self, command: Command, answer: Any) -> Any:
        self._recollection.heard()
        return command.read(answer)

    def _failed(self, fault: Exception, asked_at: float) -> None:
        # One slow answer among others is no outage; silence is, and then not every request need wait to learn of it.
        if isinstance(fault, redis.TimeoutError) and self._recollection.heard_at < asked_at:
            self._pause_until = time.monotonic() + PAUSE


class RedisStore(_Server):
    """Remembers proofs in a Redis or Valkey server. What `replay_store="redis://..."` opens for `Verifier`.

    Args:
        url: as redis-py takes it: `redis://[user:password@]host[:port][/db][?option=value]`, `rediss://` for TLS.
        proof_max_age: the setting `dpop_proof_max_age`, in seconds.
        quota: proofs that one key may have remembered at a time; more get a 503, so that one client cannot fill the server.
        clients_ahead: seconds that clients' clocks may be ahead. With the setting `leeway` here, no proof whatever is let in
            twice after the server lost its memory, and none at all for so many seconds.

    Raises:
        ConfigurationError: the URL is wrong.
    """

    def __init__(
        self, url: str, *, proof_max_age: float = 60.0, quota: int = QUOTA, clients_ahead: float = CLIENTS_AHEAD
    ) -> None:
        super().__init__(url, proof_max_age=proof_max_age, quota=quota, clients_ahead=clients_ahead)
        pool = _pool(redis, MOST_CONNECTIONS, self._options, Retry(NoBackoff(), 0), self._greet)
        self._client = redis.Redis(connection_pool=pool)

    def first_use(self, key: bytes, owner: str, until: float, now: float) -> bool:
        """Whether `key` was never seen before. Raises what went wrong: the request gets a 503."""
        first: bool = self._ask(self._first_use(key, owner, until, now))
        return first

    def recall(self, name: bytes) -> bytes | None:
        """See `revocation.SharedStore`, as for the next three."""
        kept: bytes | None = self._ask(commands.recall(name))
        return kept

    def keep(self, name: bytes, value: bytes, seconds: float, replace: bool) -> None:
        self._ask(commands.keep(name, value, seconds, replace))

    def revoke(self, hashes: Sequence[bytes], until: float, now: float) -> bool:
        told: bool = self._ask(commands.revoke(hashes, until, now))
        return told

    def revoked(self, position: str) -> tuple[str, list[Revocation]]:
        found: tuple[str, list[Revocation]] = self._ask(self._revoked(position))
        return found

    def close(self) -> None:
        """Close the connections; the next question opens new ones."""
        self._client.connection_pool.disconnect()

    def _ask(self, command: Command) -> Any:
        asked_at = self._begin()
        try:
            answer = self._client.execute_command(*command.words)
        except Exception as fault:
            self._failed(fault, asked_at)
            if isinstance(fault, _DEAD):  # the idle ones are as dead, and would cost a refusal each
                self._client.connection_pool.disconnect(inuse_connections=False)
            raise
        return self._end(command, answer)

    def _greet(self, connection: Any) -> None:
        connection.on_connect()
        try:
            connection.send_command("INFO", "server")
            if question := self._recollection.meet(connection.read_response()):
                connection.send_command(*question)
                self._recollection.told(connection.read_response())
        except redis.ResponseError as fault:  # a user without the right to ask
            self._recollection.met_a_stranger(fault)


class AsyncRedisStore(_Server):
    """The same for `AsyncVerifier`. Each event loop has connections of its own, closed when it ends."""

    def __init__(
        self, url: str, *, proof_max_age: float = 60.0, quota: int = QUOTA, clients_ahead: float = CLIENTS_AHEAD
    ) -> None:
        super().__init__(url, proof_max_age=proof_max_age, quota=quota, clients_ahead=clients_ahead)
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[Any, AsyncGenerator[Any]]] = (
            weakref.WeakKeyDictionary()
        )

    async def first_use(self, key: bytes, owner: str, until: float, now: float) -> bool:
        """Whether `key` was never seen before. Raises what went wrong: the request gets a 503."""
        first: bool = await self._ask(self._first_use(key, owner, until, now))
        return first

    async def recall(self, name: bytes) -> bytes | None:
        """See `revocation.SharedStore`, as for the next three."""
        kept: bytes | None = await self._ask(commands.recall(name))
        return kept

    async def keep(self, name: bytes, value: bytes, seconds: float, replace: bool) -> None:
        await self._ask(commands.keep(name, value, seconds, replace))

    async def revoke(self, hashes: Sequence[bytes], until: float, now: float) -> bool:
        told: bool = await self._ask(commands.revoke(hashes, until, now))
        return told

    async def revoked(self, position: str) -> tuple[str, list[Revocation]]:
        found: tuple[str, list[Revocation]] = await self._ask(self._revoked(position))
        return found

    async def aclose(self) -> None:
        """Close this event loop's connections; the next question opens new ones."""
        _, held = self._clients.pop(asyncio.get_running_loop(), (None, None))
        if held is not None:
            await held.aclose()

    async def _ask(self, command: Command) -> Any:
        asked_at = self._begin()
        client = await self._client()
        try:
            answer = await client.execute_command(*command.words)
        except Exception as fault:
            self._failed(fault, asked_at)
            if isinstance(fault, _DEAD):  # as above
                await client.connection_pool.disconnect(inuse_connections=False)
            raise
        return self._end(command, answer)

    async def _client(self) -> Any:
        loop = asyncio.get_running_loop()
        client, _ = self._clients.get(loop, (None, None))
        if client is None:
            for gone in [other for other in list(self._clients.keys()) if other.is_closed()]:
                self._clients.pop(gone, None)  # it ended without closing what it had begun
            # A loop closes the asynchronous generators that it began when it ends (as asyncio.run does): so no socket
            # outlives a loop that served a single request.
            held = self._hold()
            client = await anext(held)
            self._clients[loop] = client, held
        return client

    async def _hold(self) -> AsyncGenerator[Any]:
        client = redis.asyncio.Redis(
            connection_pool=_pool(
                redis.asyncio, MOST_CONNECTIONS_OF_A_LOOP, self._options, AsyncRetry(NoBackoff(), 0), self._greet
            )
        )
        try:
            yield client
        finally:
            # By this generator the loop's own entry holds the loop: it would never be collected.
            self._clients.pop(asyncio.get_running_loop(), None)
            await client.connection_pool.disconnect()

    async def _greet(self, connection: Any) -> None:
        await connection.on_connect()
        try:
            await connection.send_command("INFO", "server")
            if question := self._recollection.meet(await connection.read_response()):
                await connection.send_command(*question)
                self._recollection.told(await connection.read_response())
        except redis.ResponseError as fault:
            self._recollection.met_a_stranger(fault)


def _options(url: str) -> dict[str, Any]:
    """The URL's parts, over our own limits. A URL with a mistake in it is found here, at start-up."""
    try:
        options: dict[str, Any] = parse_url(url.replace("valkey", "redis", 1) if url.startswith("valkey") else url)
        options = {"timeout": TIMEOUT, "socket_timeout": TIMEOUT} | options
        options.setdefault("socket_connect_timeout", options["socket_timeout"])
        options["decode_responses"] = False
        connection = {name: value for name, value in options.items() if name not in ("max_connections", "timeout")}
        connection.pop("connection_class", redis.Connection)(**connection)
    except (ValueError, TypeError, redis.RedisError) as fault:
        # Its text may have a part of the URL in it, and so a password.
        raise ConfigurationError(
            f"replay_store must be a URL like redis://host:6379/0 or rediss://... for TLS ({type(fault).__name__})"
        ) from None
    return options


def _pool(
    library: Any, most: int, options: dict[str, Any], retry: Any, greet: Callable[[Any], Awaitable[None] | None]
) -> Any:
    """Connections, opened when needed. Nothing is tried twice: a first use whose answer was lost would look like a replay."""
    options = {"max_connections": most, **options, "retry": retry, "redis_connect_func": greet}
    if "connection_class" in options and library is redis.asyncio:
        options["connection_class"] = getattr(redis.asyncio, options["connection_class"].__name__)
    return library.BlockingConnectionPool(**options)
