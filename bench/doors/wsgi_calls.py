"""WSGI apps called as a server calls them, but for the socket."""

import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bench.timing import Batch, Contender

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def contender(name: str, app: Application, path: str, headers: Mapping[str, str]) -> Contender:
    """GET `path`, the body read; environs are made beforehand, since an app may change its own."""
    call(app, environ(path, headers))

    def prepare(count: int) -> Batch:
        inputs = [environ(path, headers) for _ in range(count)]

        def run() -> None:
            for one in inputs:
                call(app, one)

        return run

    return Contender(name, prepare)


def call(app: Application, one: dict[str, Any]) -> None:
    """One request; anything but a 200 is an error of the benchmark."""
    body = app(one, _start_response)
    for _ in body:
        pass
    if close := getattr(body, "close", None):
        close()


def _start_response(status: str, _headers: object, _exc_info: object = None) -> None:
    if not status.startswith("200"):
        raise AssertionError(f"the request was answered with {status}")


def environ(path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """As PEP 3333 has it."""
    made: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "RAW_URI": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    return made | {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
