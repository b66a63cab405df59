"""One connection as a server has it, by hand: what the client says is queued, and what the app sends is kept."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import wraps
from typing import Any

from tests.doors.asgi_calls import scope_of

Message = dict[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]
EVENT_STREAM = [(b"content-type", b"text/event-stream; charset=utf-8")]


class Line:
    """A websocket, or a request: `receive` and `send` for the app, and what they have seen."""

    def __init__(self, token: str | None, kind: str = "websocket", *, spec_version: str = "2.4", **more: Any) -> None:
        headers = [] if token is None else [("Authorization", f"Bearer {token}")]
        versions = {"version": "3.0", "spec_version": spec_version}
        self.scope = scope_of("GET", "/stream", headers=headers, kind=kind, asgi=versions, **more)
        self.sent: list[Message] = []
        #: What the server's `receive` is still to give.
        self.coming: asyncio.Queue[Message] = asyncio.Queue()
        #: Cleared while the client does not read.
        self.reading = asyncio.Event()
        self.reading.set()
        #: What `send` raises once the client has gone.
        self.fault: Exception | None = None
        self.task: asyncio.Task[None] | None = None
        first = "http.request" if kind == "http" else "websocket.connect"
        self.coming.put_nowait({"type": first, "body": b"", "more_body": False})

    async def receive(self) -> Message:
        return await self.coming.get()

    async def send(self, message: Message) -> None:
        await self.reading.wait()
        if self.fault is not None:
            raise self.fault
        self.sent.append(dict(message))

    def say(self, text: str) -> None:
        self.coming.put_nowait({"type": "websocket.receive", "text": text})

    @property
    def kinds(self) -> list[str]:
        return [message["type"] for message in self.sent]

    @property
    def open(self) -> bool:
        """Whether it was accepted, or began, and was not ended since."""
        return bool(self.sent) and self.closing is None

    @property
    def closing(self) -> Message | None:
        """What ended it, where something did."""
        for message in self.sent:
            final = message["type"] == "http.response.body" and not message.get("more_body", False)
            if message["type"] == "websocket.close" or final:
                return message
        return None

    async def closed(self) -> Message:
        await until(lambda: self.closing is not None)
        assert self.closing is not None
        return self.closing


@asynccontextmanager
async def opened(door: App, line: Line) -> AsyncIterator[Line]:
    """The line behind a door, once it is open."""
    line.task = asyncio.create_task(door(line.scope, line.receive, line.send))  # type: ignore[arg-type]
    try:
        await until(lambda: line.sent or line.task.done())  # type: ignore[union-attr]
        yield line
    finally:
        line.task.cancel()
        with suppress(asyncio.CancelledError):
            await line.task


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait for it, and fail where it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        await asyncio.sleep(0.002)


def in_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """A test in an event loop of its own, after which no task is left and nobody has complained."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        faults: list[Any] = []

        async def checked() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
            await test(*args, **kwargs)
            await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})

        asyncio.run(checked())
        assert faults == []

    return run
