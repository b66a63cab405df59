"""What only the WSGI middleware has: environ, mounts, `start_response`, the app's iterable, and a real gunicorn."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask, request
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, EnvironBuilder, TestResponse, run_wsgi_app

from strongdm_auth import ConfigurationError, Requirement
from strongdm_auth.dpop import NONCE_RENEWAL
from strongdm_auth.testing import Issuer
from strongdm_auth.wsgi import TOKEN, StrongDMAuthMiddleware
from tests.contract import BASE, NONCE_SECRET, Headers, World
from tests.contract_cases import bearer, bound
from tests.doors.flask_door import as_a_server_joins

PREFLIGHT = [("Origin", "https://web.example"), ("Access-Control-Request-Method", "GET")]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Issuer(realms=("alpha", "beta", "gamma")).serve() as issuer:
        yield World(issuer)


class App:
    """An app behind the door: it keeps the environs that reach it."""

    def __init__(self, *headers: tuple[str, str]) -> None:
        self.environs: list[dict[str, Any]] = []
        self.headers = list(headers)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.environs.append(environ)
        start_response("200 OK", self.headers)
        return [b"reached"]


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def door(app: App, world: World) -> StrongDMAuthMiddleware:
    return StrongDMAuthMiddleware(app, **world.settings())


def ask(door: Any, path: str, headers: Headers = (), method: str = "GET", **overrides: str) -> TestResponse:  # type: ignore[assignment]
    headers = as_a_server_joins(list(headers))
    return Client(door).open(path, base_url=BASE, method=method, headers=headers, environ_overrides=overrides)


# What the app gets


def test_the_app_finds_the_token_in_its_environ(app: App, door: StrongDMAuthMiddleware, world: World) -> None:
    assert ask(door, "/x", bearer(scopes=["read", "write"])(world)).data == b"reached"
    token = app.environs[0]["strongdm_auth.token"]
    assert token.subject == "cli_agent"
    assert token.has_scopes("read", "write")
    assert TOKEN == "strongdm_auth.token"


@pytest.mark.parametrize("path", ["/open", "/optional"])
def test_on_an_open_path_there_is_no_token_whatever_the_environ_said_before(path: str, app: App, world: World) -> None:
    door = StrongDMAuthMiddleware(app, protected_routes={"/optional": {"optional": True}}, **world.settings())
    headers = bearer()(world) if path == "/open" else []
    assert ask(door, path, headers, **{TOKEN: "someone"}).status_code == 200
    assert app.environs[0][TOKEN] is None


def test_a_header_cannot_pose_as_the_token(app: App, world: World) -> None:
    door = StrongDMAuthMiddleware(app, protected_routes={}, **world.settings())
    ask(door, "/open", [("Strongdm-Auth.Token", "x"), ("strongdm_auth.token", "x")])
    assert app.environs[0][TOKEN] is None


# Which paths


@pytest.mark.parametrize(
    ("routes", "statuses"),
    [
        ({}, {"/": 401, "/api/admin": 401}),
        ({"exempt": "/health"}, {"/": 401, "/health": 200, "/health/live": 200, "/healthz": 401}),
        ({"protected_routes": {}}, {"/": 200, "/x": 200}),
        ({"protected_routes": {"/api": {}}}, {"/": 200, "/apiX": 200, "/api": 401, "/api/x": 401}),
        (
            {"protected_routes": {"/api": {}, "/api/public": {"optional": True}}},
            {"/api/public": 200, "/api/publicX": 401},
        ),
        (
            {"protected_routes": {"/api": {}}, "require": Requirement(), "exempt": ["/api/docs"]},
            {"/": 401, "/api/docs": 200},
        ),
    ],
    ids=str,
)
def test_what_a_stranger_gets(routes: dict[str, Any], statuses: dict[str, int], app: App, world: World) -> None:
    door = StrongDMAuthMiddleware(app, **routes, **world.settings())
    assert {path: ask(door, path).status_code for path in statuses} == statuses


def test_a_route_table_speaks_of_the_paths_below_the_mount_and_a_proof_of_the_whole(app: App, world: World) -> None:
    door = StrongDMAuthMiddleware(app, protected_routes={"/admin": {"scopes": "admin"}}, **world.settings())
    mounted = DispatcherMiddleware(App(), {"/v1": door, "/v1/admin": app})

    def status(path: str, send: Any = lambda world: []) -> int:
        return ask(mounted, path, send(world)).status_code

    assert status("/v1/open") == 200
    assert status("/v1/admin/x") == 200, "another app's"
    assert status("/v1//admin") == status("/v1/./admin") == 401
    mounted = DispatcherMiddleware(App(), {"/v1": door})
    assert status("/v1/admin") == 401
    assert status("/v1/admin", bound(path="/v1/admin", scopes=["admin"])) == 200
    assert status("/v1/admin", bound(path="/v1/admin")) == 403
    assert status("/v1/admin", bound(path="/admin", scopes=["admin"])) == 401
    assert status("/admin") == 200, "not below the door"


def test_paths_in_utf_8_are_protected_and_proven_as_they_were_sent(app: App, world: World) -> None:
    door = StrongDMAuthMiddleware(app, protected_routes={"/café": {}}, **world.settings())
    sent = "/caf%C3%A9/%E2%82%AC%2Fx"
    assert ask(door, sent).status_code == 401
    assert ask(door, "/caf%E9").status_code == 200, "latin-1 is another path, and no view's"
    assert ask(door, sent, bound(path=sent)(world)).status_code == 200
    assert ask(door, sent, bound(path="/caf%c3%a9/%e2%82%ac%2fx")(world)).status_code == 200
    assert ask(door, sent, bound(path=sent.replace("%2F", "/"))(world)).status_code == 401


def test_a_path_that_is_no_text_is_answered(app: App, world: World) -> None:
    door = StrongDMAuthMiddleware(app, protected_routes={"/api": {}}, **world.settings())
    assert ask(door, "/api/%FF%FE").status_code == 401
    sent = {"PATH_INFO": "/api/\xff", "REQUEST_URI": "/api/%FF", "RAW_URI": "/api/%FF"}
    assert ask(door, "/x", bound(path="/api/%FF")(world), **sent).status_code == 200
    not_even_latin_1 = {**EnvironBuilder("/x").get_environ(), "PATH_INFO": "/api/\u20ac"}
    assert run_wsgi_app(door, not_even_latin_1)[1].startswith("401"), "a server's mistake, and no 500"


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_a_preflight_passes_and_what_only_looks_like_one_does_not(method: str, app: App, door: Any) -> None:
    assert ask(door, "/x", PREFLIGHT, "OPTIONS").status_code == 200
    assert app.environs.pop()[TOKEN] is None
    assert ask(door, "/x", PREFLIGHT, method).status_code == 401
    for part in (PREFLIGHT[:1], PREFLIGHT[1:], []):
        assert ask(door, "/x", part, "OPTIONS").status_code == 401
    assert app.environs == []


def test_an_override_of_the_method_changes_nothing_for_the_door(app: App, door: StrongDMAuthMiddleware) -> None:
    assert ask(door, "/x", [*PREFLIGHT, ("X-HTTP-Method-Override", "OPTIONS")]).status_code == 401


# PEP 3333


def start_through(door: StrongDMAuthMiddleware, app: Any, world: World) -> tuple[list[Any], Iterable[bytes]]:
    """Call the app through the door with a good token: what `start_response` got, and the app's iterable."""
    door.app = app
    environ = EnvironBuilder("/x", base_url=BASE, headers=bearer()(world)).get_environ()
    started: list[Any] = []

    def start_response(*arguments: Any) -> Callable[[bytes], object]:
        started.append(arguments)
        return lambda chunk: started.append(chunk)

    return started, door(environ, start_response)


def test_the_write_callable_and_exc_info_pass(door: StrongDMAuthMiddleware, world: World) -> None:
    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        write = start_response("200 OK", [("X-First", "1")])
        write(b"written")
        try:
            raise LookupError
        except LookupError:
            start_response("500 Oops", [("Vary", "Accept")], sys.exc_info())
        return []

    (first, written, second), _ = start_through(door, app, world)
    assert first == ("200 OK", [("X-First", "1"), ("vary", "Authorization, DPoP")])
    assert written == b"written"
    assert second[:2] == ("500 Oops", [("vary", "Accept, Authorization, DPoP")])
    assert second[2][0] is LookupError


def test_the_app_s_iterable_is_handed_over_as_it_is(door: StrongDMAuthMiddleware, world: World) -> None:
    """A wrapper would have to pass on `close()`, and would hide `wsgi.file_wrapper` from the server (PEP 3333)."""

    class Body:
        closed = False

        def __iter__(self) -> Iterator[bytes]:
            yield b"lazily"

        def close(self) -> None:
            self.closed = True

    body = Body()
    _, returned = start_through(door, lambda environ, start_response: start_response("200 OK", []) and body, world)
    assert returned is body
    assert not body.closed


def test_an_app_that_starts_late_and_one_that_fails_are_left_alone(door: StrongDMAuthMiddleware, world: World) -> None:
    def late(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"late"

    started, body = start_through(door, late, world)
    assert started == []
    assert list(body) == [b"late"]
    assert started[0][1] == [("vary", "Authorization, DPoP")]

    def failing(environ: Any, start_response: Any) -> Iterable[bytes]:
        raise LookupError("the app's own")

    with pytest.raises(LookupError, match="the app's own"):
        start_through(door, failing, world)


@pytest.mark.parametrize(
    ("own", "merged"),
    [
        ([], ["Authorization, DPoP"]),
        ([("Vary", "Accept"), ("VARY", "Origin, dpop")], ["Accept, Origin, dpop, Authorization"]),
        ([("Vary", "*")], ["*"]),
    ],
)
def test_vary_is_one_header(own: Any, merged: list[str], world: World) -> None:
    door = StrongDMAuthMiddleware(App(("X-Own", "\xe9"), ("X-Own", "2"), *own), **world.settings())
    answer = ask(door, "/x", bearer()(world))
    assert answer.headers.getlist("Vary") == merged
    assert answer.headers.getlist("X-Own") == ["\xe9", "2"]


def test_an_open_path_varies_by_nothing(app: App, world: World) -> None:
    door = StrongDMAuthMiddleware(app, exempt=["/health"], **world.settings())
    assert "Vary" not in ask(door, "/health").headers


def test_a_renewed_nonce_is_not_stored(world: World) -> None:
    settings = world.settings(dpop_nonce="required", dpop_nonce_secret=NONCE_SECRET)
    door = StrongDMAuthMiddleware(App(("Cache-Control", "max-age=60")), **settings)

    def send(age: float) -> TestResponse:
        return ask(door, "/x", bound(path="/x", nonce=lambda world: world.nonce(age))(world))

    assert send(0).headers["Cache-Control"] == "max-age=60"
    assert send(NONCE_RENEWAL + 5).headers.getlist("Cache-Control") == ["no-store"]
    assert send(NONCE_RENEWAL + 5).headers["DPoP-Nonce"]


def test_the_metadata_document_is_served_where_the_challenge_says(app: App, world: World) -> None:
    door = StrongDMAuthMiddleware(app, **world.settings(resource="https://api.example.com/v1"))
    path = "/.well-known/oauth-protected-resource/v1"
    assert ask(door, "/v1/x").headers["WWW-Authenticate"].count(f'resource_metadata="{BASE}{path}"') == 2
    document = ask(door, path, [("Host", "evil.example")])
    assert (document.status_code, document.json["resource"]) == (200, "https://api.example.com/v1")
    assert ask(door, path, method="HEAD").status_code == 200
    assert ask(door, path, method="POST").status_code == ask(door, path + "/x").status_code == 401
    assert app.environs == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"audienc": "x"},
        {"algorithms": "none"},
        {"protected_routes": {"api": {}}},
        {"require": {"scopes": "x"}},
        {"exempt": ["health"]},
    ],
    ids=str,
)
def test_a_mistake_is_a_configuration_error_at_construction(wrong: dict[str, Any], app: App, world: World) -> None:
    with pytest.raises(ConfigurationError):
        StrongDMAuthMiddleware(app, **{**world.settings(), **wrong})


# Behind gunicorn

api = Flask("api")


@api.get("/admin/")
@api.get("/admin/<name>")
@api.get("/open")
def view(name: str = "") -> dict[str, Any]:
    token = request.environ[TOKEN]
    return {"name": name, "subject": token and token.subject}


def served_app() -> Any:
    """What the process below serves; settings come from its environment."""
    return StrongDMAuthMiddleware(api, protected_routes={"/admin": {}})


@contextmanager
def gunicorn(settings: dict[str, str]) -> Iterator[str]:
    """`served_app()` as a process of its own, stopped by its process id; yields its base URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "tests.doors.test_wsgi:served_app()",
        "--bind",
        address,
        "--threads",
        "4",
    ]
    with subprocess.Popen(
        command,
        cwd=Path(__file__).parents[2],
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as server:
        try:
            for _ in range(200):
                try:
                    httpx.get(f"http://{address}/open", timeout=1)
                    break
                except httpx.TransportError:
                    time.sleep(0.05)
                    assert server.poll() is None, server.communicate()[0].decode()
            yield f"http://{address}"
        finally:
            server.terminate()
            server.communicate(timeout=20)


def raw(base: str, line: str) -> bytes:
    """The answer to a request line that no client library would send."""
    host = base.removeprefix("http://")
    with socket.create_connection((host.split(":")[0], int(host.split(":")[1])), timeout=10) as connection:
        connection.sendall(f"{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("latin-1"))
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_behind_gunicorn_the_door_is_the_same(world: World) -> None:
    settings = {"STRONGDM_ISSUER": world.issuer.url, "STRONGDM_REALMS": "alpha", "STRONGDM_AUDIENCE": BASE}
    with gunicorn(settings) as base, httpx.Client(base_url=base) as client:
        assert client.get("/open").json() == {"name": "", "subject": None}
        assert client.get("/admin/x", headers=bearer()(world)).json() == {"name": "x", "subject": "cli_agent"}
        proven = bound(url=f"{base}/admin/a%20b")(world)
        assert client.get("/admin/a%20b", headers=proven).json()["name"] == "a b"
        refused = client.get("/admin/a%20b", headers=proven)
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_dpop_proof")
        head = client.head("/admin/x")
        assert (head.status_code, head.content) == (401, b"")
        assert client.get("/admin/x", headers=bearer()(world) * 2).status_code == 400
        assert raw(base, "HEAD /admin/x").partition(b"\r\n\r\n")[2] == b"", "a body would be read as the next answer"
        lines = [
            "/admin/x",
            "//admin/x",
            "/admin//x",
            "//admin/..",
            "/admin/..",
            "/%2Fadmin/..",
            "/./admin/x",
            "/ADMIN/x",
        ]
        for line in [*lines, "/admin%0A", "/admin/x%0A", "/x/../admin/x", f"{base}/admin/x", f"{base}//admin/.."]:
            head_of, _, body = raw(base, f"GET {line}").partition(b"\r\n\r\n")
            assert head_of.split(b" ")[1] in (b"401", b"308", b"404", b"400"), line
            assert b"subject" not in body, line
        assert json.loads(raw(base, "GET /open").partition(b"\r\n\r\n")[2])["subject"] is None
