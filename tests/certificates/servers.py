"""Real servers that end mutual TLS themselves, or stand behind a proxy that does, with an app that tells whom it let in."""

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flask
import uvicorn

from strongdm_auth.asgi import StrongDMAuthMiddleware
from strongdm_auth.flask import StrongDMAuth, current_token
from strongdm_auth.testing import Issuer
from tests.certificates.authority import Agent, Authority
from tests.conftest import AUDIENCE
from tests.parts.sockets import closed_port

ROOT = Path(__file__).parents[2]
HEADER = "X-Client-Cert"


def flask_app() -> flask.Flask:
    """For gunicorn and werkzeug: configured by the environment. `/open` is open."""
    app = flask.Flask("told")
    auth = StrongDMAuth(app)

    def told() -> dict[str, Any]:
        certificate = current_token.certificate_thumbprint if auth.get_current_agent() else None
        return {"certificate": certificate, "header": flask.request.headers.getlist(HEADER), "pid": os.getpid()}

    app.add_url_rule("/", "index", auth.require_auth(told))
    app.add_url_rule("/open", "open", told)
    return app


async def told(scope: Any, receive: Any, send: Any) -> None:
    """What an ASGI app behind the door sees; a websocket is sent the same."""
    header = [value.decode() for name, value in scope["headers"] if name == HEADER.lower().encode()]
    certificate = getattr(scope["auth"], "certificate_thumbprint", None)
    body = json.dumps({"certificate": certificate, "header": header}).encode()
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": body.decode()})
        return await send({"type": "websocket.close", "code": 1000})
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    return await send({"type": "http.response.body", "body": body})


def asgi_app(**settings: Any) -> StrongDMAuthMiddleware:
    return StrongDMAuthMiddleware(told, exempt=["/open"], **settings)


def settings_of(issuer: Issuer, *, by_header: str | None = None) -> dict[str, str]:
    """`by_header`: the proxies whose word is taken."""
    settings = {"issuer": issuer.url, "realms": "alpha", "audience": AUDIENCE}
    if by_header is not None:
        settings |= {"client_certificate": f"header:{HEADER}", "trusted_proxies": by_header}
    return settings


@dataclass(frozen=True)
class Served:
    """A server that listens, and what clients do to it."""

    authority: Authority
    port: int | None = None
    path: str | None = None
    plain: bool = False
    #: The address that clients come from.
    source: str = "127.0.0.1"
    contexts: dict[Agent | None, ssl.SSLContext] = field(default_factory=dict)

    def connect(self, agent: Agent | None = None) -> http.client.HTTPConnection:
        if self.path is not None:
            return _UnixConnection(self.path)
        if self.plain:
            return http.client.HTTPConnection("127.0.0.1", self.port, 20, (self.source, 0))
        context, source = self.context(agent), (self.source, 0)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, source_address=source, context=context)

    def context(self, agent: Agent | None) -> ssl.SSLContext:
        if agent not in self.contexts:
            self.contexts[agent] = self.authority.client_context(agent)
        return self.contexts[agent]

    def ask(
        self,
        agent: Agent | None,
        token: str | None,
        *headers: tuple[str, str],
        path: str = "/",
        over: http.client.HTTPConnection | None = None,
    ) -> tuple[int, dict[str, Any]]:
        connection = self.connect(agent) if over is None else over
        try:
            connection.putrequest("GET", path)
            for name, value in ([("Authorization", f"Bearer {token}")] if token else []) + list(headers):
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            body = response.read()
            return response.status, json.loads(body) if body[:1] == b"{" else {}
        finally:
            if over is None:
                connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self._path)


def wait_for(ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + 30
    while not ready():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


def listens(port: int | None = None, path: str | None = None) -> bool:
    with suppress(OSError), socket.socket(socket.AF_UNIX if path else socket.AF_INET) as probe:
        probe.settimeout(1)
        probe.connect(path or ("127.0.0.1", port))
        return True
    return False


@contextmanager
def process(command: list[str], environment: Mapping[str, str], log: Path, ready: Callable[[], bool]) -> Iterator[None]:
    """A server as a process of its own, from the moment it listens."""
    with log.open("wb") as output:
        running = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
    try:
        wait_for(lambda: ready() or running.poll() is not None, log)
        assert running.poll() is None, log.read_text()
        yield
    finally:
        running.terminate()
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait(10)


@contextmanager
def gunicorn(
    authority: Authority, settings: Mapping[str, str], log: Path, *options: str, path: str | None = None
) -> Iterator[Served]:
    """With mutual TLS on a port; on a Unix socket, without."""
    port = None if path else closed_port()
    bind = f"unix:{path}" if path else f"127.0.0.1:{port}"
    tls = ["--certfile", authority.server_certificate, "--keyfile", authority.server_key, "--ca-certs", authority.path]
    tls = [] if path else [*map(str, tls), "--cert-reqs", str(int(ssl.CERT_OPTIONAL))]
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "tests.certificates.servers:flask_app()",
        "--bind",
        bind,
        *tls,
        *options,
    ]
    environment = {f"STRONGDM_{name.upper()}": value for name, value in settings.items()}
    with process(command, environment, log, lambda: listens(port, path)):
        yield Served(authority, port, path)


@contextmanager
def in_thread(authority: Authority, app: Any, *, tls: bool = True, **options: Any) -> Iterator[Served]:
    """uvicorn, in this process."""
    if tls:
        options |= {
            "ssl_keyfile": authority.server_key,
            "ssl_certfile": authority.server_certificate,
            "ssl_ca_certs": str(authority.path),
            "ssl_cert_reqs": ssl.CERT_OPTIONAL,
        }
    port = None if "uds" in options else closed_port()
    configured = uvicorn.Config(app, port=port or 0, log_config=None, lifespan="off", loop="asyncio", **options)
    server = uvicorn.Server(configured)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < deadline
            assert thread.is_alive()
            time.sleep(0.01)
        yield Served(authority, port, options.get("uds"), plain=not tls)
    finally:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()
