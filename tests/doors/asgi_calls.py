"""Calls an ASGI app as a server would, in one event loop for all tests, as a server has one for all requests."""

import asyncio
from typing import Any

from strongdm_auth import AsyncVerifier
from tests.contract import BASE, Answer, Headers

RUNNER = asyncio.Runner()


def scope_of(
    method: str, path: str, query: str = "", headers: Headers = (), kind: str = "http", **more: Any
) -> dict[str, Any]:  # type: ignore[assignment]
    host = BASE.removeprefix("https://")
    pairs = [(b"host", host.encode()), *((name.lower().encode(), value.encode("latin-1")) for name, value in headers)]
    scope = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https" if kind == "http" else "wss",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": pairs,
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 40000),
        "extensions": {},
        **more,
    }
    if kind == "websocket":
        del scope["method"]
        scope["subprotocols"] = []
    return scope


def call(app: Any, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages that the app sends."""
    sent: list[dict[str, Any]] = []
    kind = "websocket.connect" if scope["type"] == "websocket" else "http.request"
    waiting = [{"type": kind, "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(dict(message))

    async def run() -> None:
        await app(scope, receive, send)

    RUNNER.run(run())
    return sent


def ask(app: Any, method: str, path: str, query: str = "", headers: Headers = (), **more: Any) -> Answer:  # type: ignore[assignment]
    start, *rest = call(app, scope_of(method, path, query, headers, **more))
    pairs = [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]]
    return Answer.of(start["status"], pairs, b"".join(message.get("body", b"") for message in rest))


class ASGIDoor:
    """Sends a case's request to an ASGI app."""

    def __init__(self, app: Any, verifier: AsyncVerifier) -> None:
        self._app, self._verifier = app, verifier

    def send(self, method: str, path: str, query: str, headers: Headers) -> Answer:
        return ask(self._app, method, path, query, headers)

    def close(self) -> None:
        RUNNER.run(self._verifier.aclose())
