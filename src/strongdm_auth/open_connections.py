"""Websockets and event streams that end with their token: what was let in once may stay open for days, and a token may not.

All open connections of an event loop are looked at together, a few times a second: is the token expired, was it revoked, is
its key still the issuer's? One task does it, and only while there are any; ten thousand take it 25 milliseconds.
"""

import asyncio
import logging
import weakref
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, TypeAlias

from .errors import Refused, TemporarilyUnavailable
from .keys import IssuerKeys
from .standing import Standing
from .verifier import AsyncVerifier

_Message: TypeAlias = MutableMapping[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[_Message]]
_Send: TypeAlias = Callable[[_Message], Awaitable[None]]

#: Seconds between two looks: how long a connection may outlive its token.
INTERVAL = 0.25
#: Seconds for which a client that does not read may hold up the farewell.
_PATIENCE = 2.0
#: RFC 6455 7.4.1, and IANA's registry: a policy was violated; try again later.
_POLICY_VIOLATION, _TRY_AGAIN_LATER = 1008, 1013
#: Questions to the issuer at once: half of what it is ever asked at once, so that requests have the rest.
_MOST_QUESTIONS = 32
#: Connections looked at before others have a turn: 3 milliseconds where each is held against new revocations.
_AT_ONCE = 200

_log = logging.getLogger("strongdm_auth")


class OpenConnections:
    """The open connections of one verifier, in each event loop."""

    def __init__(self, verifier: AsyncVerifier) -> None:
        self._verifier = verifier
        self._open: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, set[Connection]] = weakref.WeakKeyDictionary()
        #: Loop -> the one task that looks at its connections.
        self._watching: dict[asyncio.AbstractEventLoop, asyncio.Task[None]] = {}

    def watch(self, standing: Standing, over: "asyncio.Future[Refused]") -> "Connection":
        """Look after this one from now on; the caller must `forget` it."""
        loop = asyncio.get_running_loop()
        connections = self._open.setdefault(loop, set())
        connection = Connection(standing, over, connections)
        connections.add(connection)
        task = self._watching.get(loop)
        if task is None or task.done():  # their number tells nothing: it may be nought and one again between two looks
            task = self._watching[loop] = loop.create_task(self._watch(connections))
            task.add_done_callback(self._rest)
        return connection

    def _rest(self, task: "asyncio.Task[None]") -> None:
        if self._watching.get(task.get_loop()) is task:
            del self._watching[task.get_loop()]

    def forget(self, connection: "Connection") -> None:
        """It is over."""
        connection.among.discard(connection)
        if connection.question is not None:
            connection.question.cancel()

    async def _watch(self, connections: set["Connection"]) -> None:
        turns = asyncio.Semaphore(_MOST_QUESTIONS)
        news: asyncio.Task[None] | None = None
        try:
            while connections:
                await asyncio.sleep(INTERVAL)
                if news is None or news.done():
                    sets = {connection.standing.keys for connection in connections}
                    news = asyncio.get_running_loop().create_task(self._learn(sets))
                await asyncio.wait([news], timeout=INTERVAL)  # a store that hangs must not make anything live longer
                for number, connection in enumerate(list(connections), 1):
                    self._look_at(connection, turns)
                    if number % _AT_ONCE == 0:
                        await asyncio.sleep(0)
        finally:
            if news is not None:
                news.cancel()

    async def _learn(self, sets: "set[IssuerKeys | None]") -> None:
        try:
            await self._verifier.learn_revocations()
            for keys in sets:
                if keys is not None:
                    await self._verifier.refresh(keys)
        except Exception:  # whatever a store does, the clock goes on to be looked at
            _log.exception("revocations could not be read")

    def _look_at(self, connection: "Connection", turns: asyncio.Semaphore) -> None:
        if connection.over.done():
            return
        try:
            asks = self._verifier.look_at(connection.standing)
        except Refused as refusal:
            connection.over.set_result(refusal)
        except Exception:
            _log.exception("an open connection could not be looked at")
        else:
            if asks and (connection.question is None or connection.question.done()):
                connection.question = asyncio.get_running_loop().create_task(self._ask(connection, turns))

    async def _ask(self, connection: "Connection", turns: asyncio.Semaphore) -> None:
        try:
            async with turns:  # all at once they would be too many for the issuer, and be cut for it
                await self._verifier.ask_about(connection.standing)
        except Refused as refusal:
            if not connection.over.done():
                connection.over.set_result(refusal)


class Connection:
    """One of them, and those it is among; `over` has the reason once its token has ended."""

    __slots__ = ("among", "over", "question", "standing")

    def __init__(self, standing: Standing, over: "asyncio.Future[Refused]", among: "set[Connection]") -> None:
        self.standing, self.over, self.among = standing, over, among
        self.question: asyncio.Task[None] | None = None


class TokenEnded(OSError):
    """What `send` raises once the token has ended, as a server does where the client has gone."""


class Ending:
    """`receive` and `send` for one websocket or response, which is told the end where it becomes a stream.

    Args:
        standing: what is still to be looked at, once the connection is accepted; None where nobody was let in.
    """

    def __init__(
        self,
        connections: OpenConnections,
        standing: Callable[[], Standing | None],
        scope: MutableMapping[str, Any],
        receive: _Receive,
        send: _Send,
    ) -> None:
        self._connections, self._standing = connections, standing
        self._is_websocket = scope["type"] == "websocket"
        # Since 2.4 a server raises OSError where a client has gone; before, what was sent was dropped.
        version = str((scope.get("asgi") or {}).get("spec_version", "2.0"))
        self._raises = self._is_websocket or tuple(map(int, version.split("."))) >= (2, 4)
        self._receive, self._send = receive, send
        self._over: asyncio.Future[Refused] = asyncio.get_running_loop().create_future()
        self._connection: Connection | None = None
        self._closing: asyncio.Task[None] | None = None
        self._pending: asyncio.Future[_Message] | None = None
        self._turn = asyncio.Lock()
        #: Whether the request was read to its end; it was ended by us; or by the app itself, so that nothing is left to end.
        self._begun = self._ended = self._complete = False

    async def run(self, app: Callable[[Any, Any, Any], Awaitable[None]], scope: Any) -> None:
        """Run the app for as long as it likes, and the connection for as long as its token lasts."""
        fault: Exception | None = None
        try:
            try:
                await app(scope, self.receive, self.send)
            except Exception as caught:
                fault = caught
            if self._closing is not None and self._over.done():  # the app may be done before the farewell is said
                await asyncio.wait([self._closing], timeout=_PATIENCE)
            if fault is not None and not isinstance(fault, TokenEnded):
                raise fault
        finally:
            with suppress(RuntimeError):  # the loop may be closed already
                for task in (self._closing, self._pending):
                    if task is not None:
                        task.cancel()
            if self._connection is not None:
                self._connections.forget(self._connection)

    async def receive(self) -> _Message:
        """The next message; that the client has gone, once the token has ended."""
        if not self._begun:  # the request itself, or `websocket.connect`: nothing is open yet
            message = await self._receive()
            self._begun = not message.get("more_body", False)
            return message
        while True:
            pending = self._pending
            if self._over.done() and (pending is None or not pending.done() or pending.cancelled()):
                return self._goodbye(self._over.result())
            if pending is None:  # it is kept, lest a message be lost where the app stops waiting for it
                pending = self._pending = asyncio.ensure_future(self._receive())
            if not pending.done():  # not to be left to `wait`, which gives way to a cancellation even then
                either: list[asyncio.Future[Any]] = [pending, self._over]
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if self._pending is pending and pending.done() and not pending.cancelled():  # and nobody else had it
                self._pending = None
                return pending.result()

    def _goodbye(self, refusal: Refused) -> _Message:
        if not self._is_websocket:
            return {"type": "http.disconnect"}
        return {"type": "websocket.disconnect", "code": _code(refusal), "reason": refusal.message}

    async def send(self, message: _Message) -> None:
        """Pass it on, until the token has ended."""
        kind = message["type"]
        async with self._turn:
            if self._ended:
                if self._raises:
                    raise TokenEnded("the access token has ended, and the connection with it")
                return
            if kind == "websocket.close" or (kind == "http.response.body" and not message.get("more_body", False)):
                self._complete = True
            await self._send(message)
        if self._connection is None and (kind == "websocket.accept" or _begins_stream(message)):
            standing = self._standing()
            if standing is not None:
                self._connection = self._connections.watch(standing, self._over)
                self._closing = asyncio.get_running_loop().create_task(self._close())

    async def _close(self) -> None:
        refusal = await asyncio.shield(self._over)
        if self._pending is not None and not self._pending.done():
            self._pending.cancel()  # what comes from now on is not heard
        with suppress(TimeoutError):  # the app may be in the middle of sending to a client that does not read
            async with asyncio.timeout(_PATIENCE), self._turn:
                pass
        if self._ended or self._complete:
            return
        self._ended = True
        try:
            if self._is_websocket:
                await self._send({"type": "websocket.close", "code": _code(refusal), "reason": refusal.message})
            else:
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        except Exception as fault:  # the client went first; each server has an exception of its own for it
            _log.debug("a connection had gone before it was ended: %s", type(fault).__name__)


def _code(refusal: Refused) -> int:
    return _TRY_AGAIN_LATER if isinstance(refusal, TemporarilyUnavailable) else _POLICY_VIOLATION


def _begins_stream(message: _Message) -> bool:
    """Whether a response is an event stream, which has no end of its own."""
    if message["type"] != "http.response.start":
        return False
    for name, value in message.get("headers", ()):
        if name.lower() == b"content-type":
            return bool(value.partition(b";")[0].strip().lower() == b"text/event-stream")
    return False
