"""The servers of the HTTP rows: one worker each, on a free loopback port, ended by their process id.

Run as `uvicorn bench.http_servers:fastapi_app` or `gunicorn bench.http_servers:flask_app()`; what they need is in the
environment. `/open` is the bare route, `/data` the protected one; both answer the same.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from . import ours
from .world import AUDIENCE, World

_ISSUER, _JWKS = "BENCH_ISSUER", "BENCH_JWKS"
_START_SECONDS = 30.0


class _Remote:
    """What an app must know of the world, in its own process."""

    issuer = os.environ.get(_ISSUER, "")

    def jwks(self) -> Any:
        return json.loads(os.environ[_JWKS])


def fastapi_app() -> Any:
    """Ours, by `Security`."""
    from fastapi import FastAPI, Security

    from strongdm_auth import AccessToken
    from strongdm_auth.fastapi import StrongDMAuth

    app, auth = FastAPI(), StrongDMAuth(**ours.settings(_Remote()))  # type: ignore[arg-type]
    _open(app)

    @app.get("/data")
    async def data(_token: Annotated[AccessToken, Security(auth, scopes=["read"])]) -> dict[str, bool]:
        return {"ok": True}

    return app


def auth0_app() -> Any:
    """auth0-fastapi-api."""
    from fastapi import Depends, FastAPI
    from fastapi_plugin.fast_api_client import Auth0FastAPI

    from .peers import auth0

    app, plugin = FastAPI(), Auth0FastAPI(domain=auth0.DOMAIN, audience=AUDIENCE)
    plugin.api_client = auth0.client(_Remote())  # type: ignore[arg-type]
    _open(app)

    @app.get("/data")
    async def data(_claims: Annotated[Any, Depends(plugin.require_auth(scopes="read"))]) -> dict[str, bool]:
        return {"ok": True}

    return app


def _open(app: Any) -> None:
    @app.get("/open")
    async def bare() -> dict[str, bool]:
        return {"ok": True}


def flask_app() -> Any:
    """Ours, by decorator."""
    from flask import Flask

    from strongdm_auth import StrongDMAuth

    app = Flask("bench")
    auth = StrongDMAuth(app, **ours.settings(_Remote()))  # type: ignore[arg-type]
    app.get("/open")(lambda: {"ok": True})

    @app.get("/data")
    @auth.require_auth()
    def data() -> dict[str, bool]:
        return {"ok": True}

    return app


def uvicorn(app: str) -> list[str]:
    """The command for an ASGI app made by a function here; `{port}` is filled in."""
    return [
        "uvicorn",
        "--factory",
        f"bench.http_servers:{app}",
        "--port",
        "{port}",
        "--no-access-log",
        "--log-level",
        "error",
    ]


def gunicorn(app: str) -> list[str]:
    """The command for a WSGI app: one worker, as many threads as the load has connections, so that they are kept alive."""
    options = ["--bind", "127.0.0.1:{port}", "--threads", "8", "--log-level", "error"]
    return ["gunicorn", f"bench.http_servers:{app}()", *options]


@contextmanager
def serving(command: list[str], world: World) -> Iterator[tuple[int, int]]:
    """A server for as long as the block lasts: its port and the process id of what serves."""
    port = _free_port()
    environment = {**os.environ, _ISSUER: world.issuer, _JWKS: json.dumps(world.jwks()), "PYTHONWARNINGS": "ignore"}
    arguments = [sys.executable, "-m", *(word.format(port=port) for word in command)]
    process = subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        _wait_for(port, process)
        yield port, _worker_of(process.pid)
    finally:
        process.terminate()
        process.communicate(timeout=_START_SECONDS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            _, said = process.communicate()
            raise RuntimeError(said.strip().splitlines()[-1] if said.strip() else "the server ended")
        try:
            with socket.create_connection(("127.0.0.1", port), 0.5):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the server did not start")


def _worker_of(pid: int) -> int:
    """gunicorn's worker is its child; uvicorn serves itself."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
            found = children.read().split()
    except OSError:  # not Linux
        found = []
    return int(found[0]) if found else pid
