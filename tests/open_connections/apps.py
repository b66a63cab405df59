"""Apps behind the door: one that listens, one that only speaks, one that does neither; and event streams."""

import asyncio
from typing import Any

from tests.open_connections.lines import EVENT_STREAM, Message


class Listener:
    """Accepts, and hears until it is told that the client has gone; puts its things in order, and says one thing more."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.fault: BaseException | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while not self.heard or self.heard[-1]["type"] != "websocket.disconnect":
            self.heard.append(await receive())
        await asyncio.sleep(0.01)
        try:
            await send({"type": "websocket.send", "text": "one more"})
        except OSError as fault:
            self.fault = fault

    @property
    def texts(self) -> list[str]:
        return [message["text"] for message in self.heard if "text" in message]


class Speaker:
    """Accepts, and speaks every few milliseconds for as long as it may."""

    def __init__(self) -> None:
        self.fault: BaseException | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            while True:
                await send({"type": "websocket.send", "text": "word"})
                await asyncio.sleep(0.002)
        except OSError as fault:
            self.fault = fault


async def silent(scope: Any, receive: Any, send: Any) -> None:
    """Accepts, or begins an event stream, and neither sends nor receives any more."""
    await receive()
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": EVENT_STREAM})
    await asyncio.Event().wait()


class Stream:
    """A response in pieces, every few milliseconds, until `receive` says that the client has gone or `send` will not."""

    def __init__(self, headers: list[tuple[bytes, bytes]] = EVENT_STREAM) -> None:
        self.headers = headers
        self.heard: list[Message] = []
        self.fault: BaseException | None = None
        self.pieces = 0
        #: Where set, it hears no disconnect and goes on.
        self.deaf = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        listening = asyncio.create_task(self._listen(receive))
        try:
            while self.deaf or not listening.done():
                await send({"type": "http.response.body", "body": b"data: x\n\n", "more_body": True})
                self.pieces += 1
                await asyncio.sleep(0.002)
        except OSError as fault:
            self.fault = fault
        finally:
            listening.cancel()

    async def _listen(self, receive: Any) -> None:
        self.heard.append(await receive())
