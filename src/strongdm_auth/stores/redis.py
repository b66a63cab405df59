"""`redis://`, `rediss://`, `valkey://`: a Redis or Valkey server that all workers on all machines share: used proofs, answers
of the issuer (shut up by `seal`), revocations.

Asking and remembering is one atomic step there (`SET NX EX`, with the key's share counted in the same step). A server that
cannot answer within a second lets nobody in (503), and is asked again by the next request: no restart is needed.

A server that restarts may have forgotten what it knew, and a proof from before would pass a second time. So each new
connection asks which server it has reached; after another one answers, or the same one started anew, proofs that may
have been used before are refused (503) until they have expired. What cannot be seen from here is a server that evicts
(`maxmemory-policy` must be `noeviction`) and one that is flushed by hand.
"""

import asyncio
import logging
import math
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

import strongdm_auth.stores.redis_commands as commands
from strongdm_auth.errors import ConfigurationError
from strongdm_auth.replay import QUOTA, ReplayStoreFull
from strongdm_auth.revocation import Revocation

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
#: Connections a process (or event loop) opens at the most: as many requests ask at once. `?max_connections=` changes it.
MOST_CONNECTIONS = 50
#: Seconds for which a server that let somebody wait for nothing is not asked again.
PAUSE = 1.0


class StoreForgot(Exception):
    """The server is not the one that was asked before: whether this proof was used then, nobody can tell."""


class StoreAway(Exception):
    """The server let the last request wait for nothing, and is not asked for a moment."""


class _Server:
    """What both stores know of the server: where it is, which it was, and how to ask it."""

    def __init__(self, url: str, *, proof_max_age: float = 60.0, quota: int = QUOTA) -> None:
        self._options = _options(url)
        self._max_age, self._quota = proof_max_age, quota
        self._lock = threading.Lock()
        self._run_id: str | None = None
        #: When the server was last heard, and since when it may have forgotten; by this machine's monotonic clock.
        self._heard_at = time.monotonic()
        self._forgot_at = -math.inf
        self._pause_until = -math.inf
        #: How far in the future proofs were dated when they came: some clients' clocks are ahead.
        self._ahead = 0.0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._options.get('host', 'localhost')}:{self._options.get('port', 6379)}>"

    def _first_use(self, key: bytes, owner: str, until: float, now: float) -> Command:
        issued_at = until - self._max_age

        def read(answer: int) -> bool:
            forgot_at = now - (time.monotonic() - self._forgot_at)
            if issued_at - self._ahead < forgot_at:
                raise StoreForgot
            if answer == commands.SHARE_IS_FULL:
                raise ReplayStoreFull
            self._ahead = max(self._ahead, issued_at - now)
            return answer == commands.FIRST_USE

        return Command(commands.first_use(key, owner, until - now, self._quota, self._max_age), read)

    def _begin(self) -> None:
        if time.monotonic() < self._pause_until:
            raise StoreAway

    def _end(self, command: Command, answer: Any) -> Any:
        self._heard_at = time.monotonic()
        return command.read(answer)

    def _failed(self, fault: Exception) -> None:
        if isinstance(fault, redis.TimeoutError):
            self._pause_until = time.monotonic() + PAUSE

    def _met(self, answer: bytes | str) -> None:
        """A new connection: is this the server that was known, and as old as it should be?"""
        text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
        info = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        run_id, uptime = info.get("run_id", ""), info.get("uptime_in_seconds", "")
        if not run_id or not uptime.isdecimal():
            self._met_a_stranger("its INFO has no run_id")
            return
        now = time.monotonic()
        # The server counts in whole seconds of the clock on the wall, and may be a second younger or older than it says.
        youngest, oldest = max(0, int(uptime) - 1), int(uptime) + 1
        with self._lock:
            known, self._run_id = self._run_id, run_id
            if run_id == known:
                return
            silence = now - self._heard_at
            if known is None and oldest >= silence:
                return  # it was there before this process was, or they were started together: nothing was forgotten
            # It started since it was last heard; or else another took over, which may not have had all that was known.
            self._forgot_at = now - youngest if youngest <= silence else now
        _log.warning("the replay store at %r started anew: older proofs are refused until they have expired", self)

    def _met_a_stranger(self, why: object) -> None:
        _log.warning("the replay store at %r does not say which server it is (%s): a restart goes unseen", self, why)


class RedisStore(_Server):
    """Remembers proofs in a Redis or Valkey server. What `replay_store="redis://..."` opens for `Verifier`.

    Args:
        url: as redis-py takes it: `redis://[user:password@]host[:port][/db][?option=value]`, `rediss://` for TLS.
        proof_max_age: the setting `dpop_proof_max_age`, in seconds.
        quota: proofs that one key may have remembered at a time; more get a 503, so that one client cannot fill the server.

    Raises:
        ConfigurationError: the URL is wrong.
    """

    def __init__(self, url: str, *, proof_max_age: float = 60.0, quota: int = QUOTA) -> None:
        super().__init__(url, proof_max_age=proof_max_age, quota=quota)
        pool = _pool(redis, self._options, Retry(NoBackoff(), 0), self._greet)
        self._client = redis.Redis(connection_pool=pool)

    def first_use(self, key: bytes, owner: str, until: float, now: float) -> bool:
        """Whether `key` was never seen before. Raises what went wrong: the request gets a 503."""
        first: bool = self._ask(self._first_use(key, owner, until, now))
        return first

    def recall(self, name: bytes) -> bytes | None:
        """See `revocation.SharedStore`, as for the next three."""
        kept: bytes | None = self._ask(commands.recall(name))
        return kept

    def keep(self, name: bytes, value: bytes, seconds: float) -> None:
        self._ask(commands.keep(name, value, seconds))

    def revoke(self, hashes: Sequence[bytes], until: float, now: float) -> bool:
        told: bool = self._ask(commands.revoke(hashes, until, now))
        return told

    def revoked(self, position: str) -> tuple[str, list[Revocation]]:
        found: tuple[str, list[Revocation]] = self._ask(commands.revoked(position))
        return found

    def close(self) -> None:
        """Close the connections; the next question opens new ones."""
        self._client.connection_pool.disconnect()

    def _ask(self, command: Command) -> Any:
        self._begin()
        try:
            answer = self._client.execute_command(*command.words)
        except Exception as fault:
            self._failed(fault)
            raise
        return self._end(command, answer)

    def _greet(self, connection: Any) -> None:
        connection.on_connect()
        try:
            connection.send_command("INFO", "server")
            self._met(connection.read_response())
        except redis.ResponseError as fault:  # a user without the right to ask
            self._met_a_stranger(fault)


class AsyncRedisStore(_Server):
    """The same for `AsyncVerifier`. Each event loop has connections of its own, closed when it ends."""

    def __init__(self, url: str, *, proof_max_age: float = 60.0, quota: int = QUOTA) -> None:
        super().__init__(url, proof_max_age=proof_max_age, quota=quota)
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

    async def keep(self, name: bytes, value: bytes, seconds: float) -> None:
        await self._ask(commands.keep(name, value, seconds))

    async def revoke(self, hashes: Sequence[bytes], until: float, now: float) -> bool:
        told: bool = await self._ask(commands.revoke(hashes, until, now))
        return told

    async def revoked(self, position: str) -> tuple[str, list[Revocation]]:
        found: tuple[str, list[Revocation]] = await self._ask(commands.revoked(position))
        return found

    async def aclose(self) -> None:
        """Close this event loop's connections; the next question opens new ones."""
        _, held = self._clients.pop(asyncio.get_running_loop(), (None, None))
        if held is not None:
            await held.aclose()

    async def _ask(self, command: Command) -> Any:
        self._begin()
        client = await self._client()
        try:
            answer = await client.execute_command(*command.words)
        except Exception as fault:
            self._failed(fault)
            raise
        return self._end(command, answer)

    async def _client(self) -> Any:
        loop = asyncio.get_running_loop()
        client, _ = self._clients.get(loop, (None, None))
        if client is None:
            # A loop closes the asynchronous generators that it began when it ends (as asyncio.run does): so no socket
            # outlives a loop that served a single request.
            held = self._hold()
            client = await anext(held)
            self._clients[loop] = client, held
        return client

    async def _hold(self) -> AsyncGenerator[Any]:
        client = redis.asyncio.Redis(
            connection_pool=_pool(redis.asyncio, self._options, AsyncRetry(NoBackoff(), 0), self._greet)
        )
        try:
            yield client
        finally:
            await client.connection_pool.disconnect()

    async def _greet(self, connection: Any) -> None:
        await connection.on_connect()
        try:
            await connection.send_command("INFO", "server")
            self._met(await connection.read_response())
        except redis.ResponseError as fault:
            self._met_a_stranger(fault)


def _options(url: str) -> dict[str, Any]:
    """The URL's parts, over our own limits. A URL with a mistake in it is found here, at start-up."""
    try:
        options: dict[str, Any] = parse_url(url.replace("valkey", "redis", 1) if url.startswith("valkey") else url)
        options = {"max_connections": MOST_CONNECTIONS, "timeout": TIMEOUT, "socket_timeout": TIMEOUT} | options
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


def _pool(library: Any, options: dict[str, Any], retry: Any, greet: Callable[[Any], Awaitable[None] | None]) -> Any:
    """Connections, opened when needed. Nothing is tried twice: a first use whose answer was lost would look like a replay."""
    options = {**options, "retry": retry, "redis_connect_func": greet}
    if "connection_class" in options and library is redis.asyncio:
        options["connection_class"] = getattr(redis.asyncio, options["connection_class"].__name__)
    return library.BlockingConnectionPool(**options)
