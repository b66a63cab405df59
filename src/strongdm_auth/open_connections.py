"""Websockets and event streams that end with their token: what was let in once may stay open for days, and a token may not.

All open connections of an event loop are looked at together, a few times a second: is the token expired, was it revoked, is
its key still the issuer's? One task does it, and only while there are any; ten thousand take it some milliseconds.
"""

import asyncio
import weakref
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, TypeAlias

from .errors import Refused, TemporarilyUnavailable
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


class OpenConnections:
    """The open connections of one verifier, in each event loop."""

    def __init__(self, verifier: AsyncVerifier) -> None:
        self._verifier = verifier
        self._open: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, set[Connection]] = weakref.WeakKeyDictionary()
        self._watching: set[asyncio.Task[None]] = set()

    def watch(self, standing: Standing) -> "Connection":
        """Look after this one from now on; the caller must `forget` it."""
        loop = asyncio.get_running_loop()
        connections = self._open.setdefault(loop, set())
        connection = Connection(standing, loop.create_future())
        connections.add(connection)
        if len(connections) == 1:
            task = loop.create_task(self._watch(connections))
            self._watching.add(task)  # a task that nobody holds may be collected before it ends
            task.add_done_callback(self._watching.discard)
        return connection

    def forget(self, connection: "Connection") -> None:
        """It is over."""
        self._open.get(asyncio.get_running_loop(), set()).discard(connection)
        if connection.question is not None:
            connection.question.cancel()

    async def _watch(self, connections: set["Connection"]) -> None:
        while connections:
            await asyncio.sleep(INTERVAL)
            await self._verifier.learn_revocations()
            for connection in list(connections):
                if connection.over.done():
                    continue
                try:
                    asks = self._verifier.look_at(connection.standing)
                except Refused as refusal:
                    connection.over.set_result(refusal)
                else:
                    if asks and (connection.question is None or connection.question.done()):
                        connection.question = asyncio.get_running_loop().create_task(self._ask(connection))

    async def _ask(self, connection: "Connection") -> None:
        try:
            await self._verifier.ask_about(connection.standing)
        except Refused as refusal:
            if not connection.over.done():
                connection.over.set_result(refusal)


class Connection:
    """One of them; `over` has the reason once its token has ended."""

    __slots__ = ("over", "question", "standing")

    def __init__(self, standing: Standing, over: "asyncio.Future[Refused]") -> None:
        self.standing, self.over = standing, over
        self.question: asyncio.Task[None] | None = None


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
        self._connection: Connection | None = None
        self._closing: asyncio.Task[None] | None = None
        self._pending: asyncio.Future[_Message] | None = None
        self._turn = asyncio.Lock()
        self._ended = False

    async def run(self, app: Callable[[Any, Any, Any], Awaitable[None]], scope: Any) -> None:
        """Run the app for as long as it likes, and the connection for as long as its token lasts."""
        try:
            await app(scope, self.receive, self.send)
        finally:
            for task in (self._closing, self._pending):
                if task is not None:
                    task.cancel()
            if self._connection is not None:
                self._connections.forget(self._connection)

    async def receive(self) -> _Message:
        """The next message; that the client has gone, once the token has ended."""
        if self._connection is None:
            return await self._receive()
        over = self._connection.over
        if self._pending is None:  # it is kept, lest a message be lost where the end comes first
            self._pending = asyncio.ensure_future(self._receive())
        either: list[asyncio.Future[Any]] = [self._pending, over]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if over.done():
            if not self._is_websocket:
                return {"type": "http.disconnect"}
            return {"type": "websocket.disconnect", "code": _code(over.result()), "reason": over.result().message}
        pending, self._pending = self._pending, None
        return pending.result()

    async def send(self, message: _Message) -> None:
        """Pass it on, until the token has ended."""
        async with self._turn:
            if self._ended:
                if self._raises:
                    raise OSError("the access token has ended, and the connection with it")
                return
            kind = message["type"]
            if kind == "websocket.close" or (kind == "http.response.body" and not message.get("more_body", False)):
                self._ended = True  # by the app itself: nothing is left to end
            await self._send(message)
        if self._connection is None and (kind == "websocket.accept" or _begins_stream(message)):
            standing = self._standing()
            if standing is not None:
                self._connection = self._connections.watch(standing)
                self._closing = asyncio.get_running_loop().create_task(self._close(self._connection.over))

    async def _close(self, over: "asyncio.Future[Refused]") -> None:
        refusal = await asyncio.shield(over)
        with suppress(TimeoutError):  # the app may be in the middle of sending to a client that does not read
            async with asyncio.timeout(_PATIENCE), self._turn:
                pass
        if self._ended:
            return
        self._ended = True
        with suppress(OSError, RuntimeError):  # the client went first
            if self._is_websocket:
                await self._send({"type": "websocket.close", "code": _code(refusal), "reason": refusal.message})
            else:
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})


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
