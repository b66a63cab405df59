"""ASGI apps called as a server calls them, but for the socket."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bench.timing import Contender, Loop

App = Callable[[Any, Any, Any], Awaitable[None]]


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: Any) -> None:
    if message.get("status", 200) != 200:
        raise AssertionError(f"the request was answered with {message['status']}")


def contender(name: str, app: App, path: str, headers: Mapping[str, str], loop: Loop) -> Contender:
    """GET `path`; scopes are made beforehand, since an app may change its own."""

    async def call(scope: dict[str, Any]) -> None:
        await app(scope, _receive, _send)

    loop.run(call(scope(path, headers)))
    return Contender(name, lambda count: loop.batch(call, [scope(path, headers) for _ in range(count)]))


def scope(path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """As uvicorn makes it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50_000),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "state": {},
    }
