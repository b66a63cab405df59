"""ASGI apps in this process: one to stand behind a door, and an HTTP client for requests with bodies."""

from typing import Any

import httpx

from tests.contract import BASE, Headers
from tests.doors.asgi_calls import RUNNER


class App:
    """It keeps the scopes that reach it, and answers or accepts."""

    def __init__(self, *headers: tuple[bytes, bytes]) -> None:
        self.scopes: list[dict[str, Any]] = []
        self.headers = [(b"content-type", b"text/plain"), *headers]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": self.headers})
            await send({"type": "http.response.body", "body": b"reached"})


def http(app: Any, method: str, path: str, headers: Headers = (), **more: Any) -> httpx.Response:  # type: ignore[assignment]
    async def exchange() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            return await client.request(method, path, headers=list(headers), **more)

    return RUNNER.run(exchange())


def get(app: Any, path: str, headers: Headers = (), **more: Any) -> httpx.Response:  # type: ignore[assignment]
    return http(app, "GET", path, headers, **more)
