"""Forward-auth, asked by requests as nginx, Traefik and Envoy send them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

from strongdm_auth.forward_auth import ForwardAuth, wsgi
from tests.contract import BASE, Answer, Headers, World
from tests.doors.asgi_calls import RUNNER, call, scope_of
from tests.doors.flask_door import as_a_server_joins

PREFLIGHT = [("Origin", "https://web.example"), ("Access-Control-Request-Method", "GET")]
IDENTITY = [f"x-auth-{name}" for name in ("subject", "issuer", "realm", "client", "scopes", "actor", "actor-issuer")]


def as_nginx(method: str, target: str, headers: Headers) -> tuple[str, str, Headers]:
    return "GET", "/", [("X-Original-Method", method), ("X-Original-URI", target), *headers]


def as_traefik(method: str, target: str, headers: Headers) -> tuple[str, str, Headers]:
    told = {"Method": method, "Proto": "https", "Host": "api.example.com", "Uri": target, "For": "10.0.0.1"}
    return "GET", "/ask", [*((f"X-Forwarded-{name}", value) for name, value in told.items()), *headers]


def as_envoy(method: str, target: str, headers: Headers) -> tuple[str, str, Headers]:
    return method, f"/ask{target}", [("X-Forwarded-Proto", "https"), *headers]


Sent = tuple[str, str, Headers]
CONVENTIONS: dict[str, tuple[Callable[[str, str, Headers], Sent], dict[str, Any]]] = {
    "nginx": (as_nginx, {"public_url": BASE}),
    "traefik": (as_traefik, {}),
    "envoy": (as_envoy, {"path_prefix": "/ask"}),
}


def ask_asgi(app: Any, sent: Sent) -> Answer:
    """As uvicorn reads a request."""
    method, target, headers = sent
    path, _, query = target.partition("?")
    scope = scope_of(method, unquote(path), query, headers, raw_path=path.encode("latin-1"))
    if any(name.lower() == "host" for name, _ in headers):
        del scope["headers"][0]
    start, *rest = call(app, scope)
    pairs = [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]]
    return Answer.of(start["status"], pairs, b"".join(message.get("body", b"") for message in rest))


def ask_wsgi(app: Any, sent: Sent) -> Answer:
    """As gunicorn reads a request."""
    method, target, headers = sent
    joined = as_a_server_joins([("Host", "api.example.com"), *headers])
    environ = EnvironBuilder("/", method=method, headers=joined).get_environ()
    environ |= {"RAW_URI": target, "REQUEST_URI": target}
    body, status, pairs = run_wsgi_app(app, environ)
    return Answer.of(int(status[:3]), list(pairs), b"".join(body))


class Gate:
    """Forward-auth with one convention, and what its proxy makes of the answer."""

    def __init__(self, convention: str, kind: str, world: World, **arguments: Any) -> None:
        self.proxied, usual = CONVENTIONS[convention]
        self.convention, self.kind = convention, kind
        make = ForwardAuth if kind == "asgi" else wsgi.ForwardAuth
        self.app = make(convention, **world.settings(**{**usual, **arguments}))  # type: ignore[arg-type]

    def send(self, method: str, path: str, query: str, headers: Headers) -> Answer:
        return self.raw(self.proxied(method, f"{path}?{query}" if query else path, headers))

    def raw(self, sent: Sent) -> Answer:
        answer = (ask_asgi if self.kind == "asgi" else ask_wsgi)(self.app, sent)
        if self.convention != "nginx" or answer.status == 200:
            return answer
        assert answer.status in (401, 403), "nginx would make a 500 of it"
        body = (answer.header("X-Auth-Body") or "").encode() + b"\n"
        assert body == answer.body
        return replace(answer, status=int(answer.header("X-Auth-Status") or 0))

    def ask(self, target: str, headers: Headers = (), method: str = "GET") -> Answer:  # type: ignore[assignment]
        return self.send(method, *(target.split("?", 1) if "?" in target else (target, "")), list(headers))

    def close(self) -> None:
        if self.kind == "asgi":
            RUNNER.run(self.app.verifier.aclose())


class Gates:
    """Makes them, and keeps what it made: one that knows the issuer's keys serves many tests."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._made: dict[str, Gate] = {}

    def __call__(self, convention: str = "nginx", kind: str = "asgi", *, fresh: str = "", **arguments: Any) -> Gate:
        key = f"{convention} {kind} {fresh} {arguments!r}"
        if key not in self._made:
            self._made[key] = Gate(convention, kind, self._world, **arguments)
        return self._made[key]

    def close(self) -> None:
        for gate in self._made.values():
            gate.close()


KINDS = [("nginx", "asgi"), ("traefik", "wsgi")]
EVERY = [(convention, kind) for convention in CONVENTIONS for kind in ("asgi", "wsgi")]
every = pytest.mark.parametrize(("convention", "kind"), EVERY, ids=str)
