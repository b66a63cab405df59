"""Ways round a door that attackers of this package found, each shut."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from flask import Flask, request
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from werkzeug.test import Client

from strongdm_auth.asgi import StrongDMAuthMiddleware
from strongdm_auth.flask import StrongDMAuth
from strongdm_auth.testing import Issuer
from strongdm_auth.wsgi import StrongDMAuthMiddleware as WSGIMiddleware
from tests.contract import BASE, World
from tests.contract_cases import bearer
from tests.doors.asgi_calls import ask

PREFLIGHT = [("Origin", "https://web.example"), ("Access-Control-Request-Method", "GET")]
SECRET = b"the secret"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Issuer(realms=("alpha", "beta", "gamma")).serve() as issuer:
        yield World(issuer)


async def tells_any_method(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"10"), (b"x-kept", b"1")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": SECRET[:4], "more_body": True})
    await send({"type": "http.response.body", "body": SECRET[4:]})


def test_what_looks_like_a_preflight_gets_no_body_from_an_asgi_app(world: World) -> None:
    app = StrongDMAuthMiddleware(tells_any_method, **world.settings())
    answer = ask(app, "OPTIONS", "/protected", headers=PREFLIGHT)
    assert (answer.status, answer.body) == (200, b"")
    assert (answer.header("content-length"), answer.header("content-type"), answer.header("x-kept")) == ("0", None, "1")
    assert ask(app, "OPTIONS", "/protected").status == 401
    assert ask(app, "OPTIONS", "/protected", headers=bearer()(world)).body == SECRET


def test_a_preflight_is_answered_by_cors_inside_of_the_door(world: World) -> None:
    cors = CORSMiddleware(tells_any_method, allow_origins=["https://web.example"])
    answer = ask(StrongDMAuthMiddleware(cors, **world.settings()), "OPTIONS", "/protected", headers=PREFLIGHT)
    assert (answer.status, answer.header("Access-Control-Allow-Origin")) == (200, "https://web.example")


@pytest.mark.parametrize("write", [False, True])
def test_what_looks_like_a_preflight_gets_no_body_from_a_wsgi_app(write: bool, world: World) -> None:
    closed = []

    class Body(list[bytes]):
        def close(self) -> None:
            closed.append(True)

    def application(environ: Any, start_response: Any) -> Any:
        writer = start_response("200 OK", [("Content-Type", "text/plain"), ("X-Kept", "1"), ("Content-Length", "10")])
        if write:
            writer(SECRET)
            return Body()
        return Body([SECRET])

    client = Client(WSGIMiddleware(application, **world.settings()))
    response = client.open("/protected", base_url=BASE, method="OPTIONS", headers=PREFLIGHT)
    assert (response.status_code, response.data, response.headers["Content-Length"]) == (200, b"", "0")
    assert response.headers["X-Kept"] == "1"
    assert closed == [True]
    assert client.open("/protected", base_url=BASE, method="OPTIONS").status_code == 401


def test_what_looks_like_a_preflight_reaches_no_view_of_a_protected_flask_app(world: World) -> None:
    app = Flask("api")
    auth = StrongDMAuth(app, **world.settings())
    auth.protect(app)
    app.add_url_rule("/protected", "protected", lambda: SECRET.decode(), methods=["GET", "OPTIONS"])
    response = app.test_client().options("/protected", headers=PREFLIGHT)
    assert (response.status_code, response.data) == (200, b"")
    assert "OPTIONS" in response.headers["Allow"]


@pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")
def test_a_root_path_further_in_is_not_open(world: World) -> None:
    app = FastAPI(root_path="/v1")
    app.add_api_route("/admin", SECRET.decode)
    settings = world.settings(protected_routes={"/admin": {"scopes": ["admin"]}})
    for wrapped in (app, GZipMiddleware(app), CORSMiddleware(GZipMiddleware(app))):
        guarded = StrongDMAuthMiddleware(wrapped, **settings)
        for path in ("/admin", "/v1/admin"):
            assert ask(guarded, "GET", path).status == 401, (wrapped, path)


def test_an_app_that_is_handed_a_request_by_another_asks_for_itself(world: World) -> None:
    auth = StrongDMAuth(**world.settings(audience=None))
    first, second = Flask("first"), Flask("second")
    for app, audience in ((first, "https://api.example.com"), (second, "https://second.example")):
        app.config["STRONGDM_AUDIENCE"] = audience
        auth.init_app(app)
    second.add_url_rule("/protected", "protected", auth.require_auth()(SECRET.decode))

    @first.get("/environ")
    @auth.require_auth()
    def hand_on_environ() -> Any:
        status: list[str] = []
        environ = {**request.environ, "PATH_INFO": "/protected"}
        body = b"".join(second.wsgi_app(environ, lambda line, headers, exc=None: status.append(line)))
        return {"status": status[0][:3], "body": body.decode()}

    told = first.test_client().get("/environ", base_url=BASE, headers=bearer()(world)).json
    assert told is not None
    assert told["status"] == "401"


def test_two_doors_of_one_app_may_both_have_a_resource(world: World) -> None:
    app = Flask("api")
    auth = StrongDMAuth(app, **world.settings(resource="https://api.example.com"))
    StrongDMAuth(app, **world.settings(resource="https://api.example.com/v2"))
    auth.init_app(app)
    auth.protect(app)
    for path in ("", "/v2"):
        assert app.test_client().get(f"/.well-known/oauth-protected-resource{path}").status_code == 200
