"""`doctor URL...`: what a route tells a stranger, and what is wrong with it."""

import threading
from collections.abc import Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from flask import Flask, Response

from strongdm_auth import StrongDMAuth
from strongdm_auth.testing import Issuer

from .conftest import Shell

AUDIENCE = "https://api.example.com"


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def api(issuer: Issuer) -> Iterator[str]:
    """An API on loopback, some of whose routes are not as they should be."""
    app = Flask("api")
    with make_server("127.0.0.1", 0, app, handler_class=_Quiet) as server:
        base = f"http://127.0.0.1:{server.server_port}"
        auth = StrongDMAuth(app, issuer=issuer.url, realms="alpha", audience=AUDIENCE, resource=base)

        @app.get("/admin")
        @auth.require_scope("admin")
        def admin() -> str:
            return "in"

        @app.get("/open")
        def unprotected() -> str:
            return "in"

        @app.get("/swallowed")
        def swallowed() -> Response:
            return Response("no", 403)

        @app.get("/bearer")
        def bearer() -> Response:
            return Response("no", 401, {"WWW-Authenticate": 'Bearer error="invalid_token"'})

        @app.get("/lost")
        def lost() -> Response:
            there = f'resource_metadata="{base}/nowhere"'
            return Response("no", 401, {"WWW-Authenticate": f"Bearer {there}, DPoP {there}"})

        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield base
        server.shutdown()
        thread.join()


def found(shell: Shell, issuer: Issuer, url: str, *more: str) -> list[tuple[str, str]]:
    outcome = shell("doctor", url, "--issuer", issuer.url, "--realms", "alpha", "--audience", AUDIENCE, "--json", *more)
    return [(one["level"], one["text"]) for one in outcome.json["findings"] if one["topic"] == f"GET {url}"]


def test_a_route_in_good_order(shell: Shell, issuer: Issuer, api: str) -> None:
    assert found(shell, issuer, f"{api}/admin", "--resource", api) == [
        ("ok", "401, and offers Bearer for scope admin and DPoP for scope admin"),
        ("ok", f"its metadata document is at {api}/.well-known/oauth-protected-resource"),
    ]


@pytest.mark.parametrize(
    ("path", "level", "text"),
    [
        ("/open", "warning", "anybody gets in"),
        ("/swallowed", "problem", "status 403 without a challenge"),
        ("/nowhere", "problem", "status 404 without a challenge"),
        ("/bearer", "problem", "it does not offer DPoP"),
        ("/bearer", "warning", "it names an error"),
        ("/lost", "problem", "its metadata document is not at"),
    ],
)
def test_what_is_wrong_is_found(shell: Shell, issuer: Issuer, api: str, path: str, level: str, text: str) -> None:
    assert [(one, said[: len(text)]) for one, said in found(shell, issuer, api + path)].count((level, text)) == 1


def test_other_settings_than_the_api_s_are_found(shell: Shell, issuer: Issuer, api: str) -> None:
    said = found(shell, issuer, f"{api}/admin", "--dpop", "required", "--resource", "https://other.example")
    assert [level for level, _ in said] == ["ok", "problem", "problem"]


def test_an_api_that_is_not_there(shell: Shell, issuer: Issuer) -> None:
    ((level, text),) = found(shell, issuer, "http://127.0.0.1:9/x")
    assert (level, text[:9]) == ("problem", "no answer")
