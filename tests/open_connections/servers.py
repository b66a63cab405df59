"""Apps behind uvicorn on loopback, in a thread of this process; and what its event loop still has to do."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn


class Server:
    """The app behind uvicorn, and its event loop for a look from outside."""

    def __init__(self, app: Any, ws: str) -> None:
        self._app = app
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.origin = f"127.0.0.1:{self._listening.getsockname()[1]}"
        config = uvicorn.Config(self, lifespan="auto", ws=ws, log_config=None, timeout_graceful_shutdown=5)  # type: ignore[arg-type]
        self._server = uvicorn.Server(config)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self._loop = asyncio.get_running_loop()
        await self._app(scope, receive, send)

    @contextmanager
    def running(self) -> Iterator["Server"]:
        thread = threading.Thread(target=self._server.run, args=([self._listening],))
        thread.start()
        try:
            while not self._server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield self
        finally:
            self._server.should_exit = True
            thread.join(15)
            self._listening.close()
            assert not thread.is_alive()

    @property
    def tasks(self) -> list[str]:
        """What runs in its event loop on behalf of a connection; not the server's own, nor sse-starlette's one for all."""
        assert self._loop is not None
        names = [task.get_coro().__qualname__ for task in asyncio.all_tasks(self._loop)]  # type: ignore[union-attr]
        return [name for name in names if not name.startswith(("Server.", "LifespanOn.", "_shutdown_watcher"))]


def served(app: Any, ws: str = "websockets-sansio") -> Any:
    """For as long as the block lasts."""
    return Server(app, ws).running()
