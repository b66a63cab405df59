"""However a path is written: if the app behind the door would serve its protected view for it, the door asks for a token.

Each app has views that answer a marker. A spelling may be refused, redirected or unknown; it must not be let in. That
the marker can be reached by some of the spellings when no door is there shows that these tests could fail.
"""

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import pytest
from fastapi import APIRouter, FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import EnvironBuilder, run_wsgi_app

from strongdm_auth import Requirement, asgi, wsgi
from strongdm_auth.testing import Issuer
from tests.contract import World
from tests.contract_cases import bearer
from tests.doors.asgi_calls import call, scope_of
from tests.doors.spellings import spellings

MARKER = "the protected view"
VIEWS = ["/api/admin", "/api/admin/{name}", "/api/files/{rest:path}", "/api/tasks/"]
TABLE: dict[str, dict[str, Any]] = {"/api/admin": {}, "/api/files": {}, "/api/tasks": {}, "/mounted/keys": {}}
TARGETS = ["/api/admin", "/api/admin/b", "/api/files/b", "/api/tasks/", "/mounted/keys"]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Issuer(realms=("alpha", "beta", "gamma")).serve() as issuer:
        yield World(issuer)


def starlette_app() -> Starlette:
    async def view(request: Request) -> PlainTextResponse:
        return PlainTextResponse(MARKER)

    async def open_view(request: Request) -> PlainTextResponse:
        return PlainTextResponse("anyone's")

    mounted = Mount("/mounted", routes=[Route("/keys", view), Route("/open", open_view)])
    return Starlette(routes=[*(Route(path, view) for path in VIEWS), Route("/api/public", open_view), mounted])


def fastapi_app() -> FastAPI:
    app, router, mounted = FastAPI(), APIRouter(prefix="/api"), FastAPI()
    for path in VIEWS:
        router.add_api_route(path.removeprefix("/api"), lambda: MARKER)
    router.add_api_route("/public", lambda: "anyone's")
    mounted.add_api_route("/keys", lambda: MARKER)
    app.include_router(router)
    app.mount("/mounted", mounted)
    return app


def flask_app() -> Any:
    app, mounted = Flask("api"), Flask("mounted")
    for path in VIEWS:
        rule = path.replace("{name}", "<name>").replace("{rest:path}", "<path:rest>")
        app.add_url_rule(rule, rule, lambda **_: MARKER)
    app.add_url_rule("/api/public", "public", lambda: "anyone's")
    mounted.add_url_rule("/keys", "keys", lambda: MARKER)
    return DispatcherMiddleware(app, {"/mounted": mounted})


def ask_asgi(app: Any, sent: str) -> tuple[int, str]:
    """As uvicorn reads a request line."""
    path, _, query = sent.partition("?")
    start, *rest = call(app, scope_of("GET", unquote(path), query, raw_path=path.encode()))
    return start["status"], b"".join(message.get("body", b"") for message in rest).decode()


def ask_wsgi(app: Any, sent: str) -> tuple[int, str]:
    """As gunicorn reads a request line."""
    path, _, query = sent.partition("?")
    environ = EnvironBuilder("/", query_string=query).get_environ()
    environ |= {"PATH_INFO": unquote_to_bytes(path).decode("latin-1"), "RAW_URI": sent, "REQUEST_URI": sent}
    body, status, _ = run_wsgi_app(app, environ)
    return int(status[:3]), b"".join(body).decode()


Ask = Callable[[Any, str], tuple[int, str]]
KINDS: dict[str, tuple[Callable[[], Any], Any, Ask]] = {
    "starlette": (starlette_app, asgi.StrongDMAuthMiddleware, ask_asgi),
    "fastapi": (fastapi_app, asgi.StrongDMAuthMiddleware, ask_asgi),
    "flask": (flask_app, wsgi.StrongDMAuthMiddleware, ask_wsgi),
}


@cache
def reaching(kind: str, target: str) -> list[str]:
    """The spellings by which the view answers when there is no door."""
    make, _, ask = KINDS[kind]
    app = make()
    return [spelling for spelling in spellings(target) if MARKER in ask(app, spelling)[1]]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_view_can_be_reached_by_more_than_one_spelling(kind: str, target: str) -> None:
    assert target in reaching(kind, target)
    assert len(reaching(kind, target)) >= 2


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_spelling_of_a_protected_path_reaches_its_view(kind: str, target: str, world: World) -> None:
    make, door, ask = KINDS[kind]
    guarded = door(make(), protected_routes=TABLE, **world.settings())
    answers = {spelling: ask(guarded, spelling) for spelling in spellings(target)}
    assert [spelling for spelling, (_, body) in answers.items() if MARKER in body] == []
    assert {status for status, _ in answers.values()} <= {200, 307, 308, 401, 404, 405}
    assert answers[target][0] == 401


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_spelling_gets_past_a_scope_by_way_of_an_entry_that_asks_for_less(
    kind: str, target: str, world: World
) -> None:
    """Every path needs the scope `read`, and the targets `admin`; the caller has `read`."""
    make, door, ask = KINDS[kind]
    table = {path: {"scopes": "admin"} for path in TABLE}
    guarded = door(make(), protected_routes=table, require=Requirement("read"), **world.settings())
    ((_, credentials),) = bearer()(world)

    def with_credentials(environ_or_scope: Any, *rest: Any) -> Any:
        if "headers" in environ_or_scope:
            environ_or_scope["headers"].append((b"authorization", credentials.encode()))
        else:
            environ_or_scope["HTTP_AUTHORIZATION"] = credentials
        return guarded(environ_or_scope, *rest)

    assert [spelling for spelling in reaching(kind, target) if MARKER in ask(with_credentials, spelling)[1]] == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["/api/public", "/api/public/../admin"])
def test_no_spelling_of_an_exempt_path_reaches_a_protected_view(kind: str, way: str, world: World) -> None:
    make, door, ask = KINDS[kind]
    guarded = door(make(), exempt=["/api/public"], **world.settings())
    assert ask(guarded, "/api/public")[1].strip('"') == "anyone's"
    assert [spelling for spelling in spellings(way) if MARKER in ask(guarded, spelling)[1]] == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_begins_like_an_exempt_or_a_protected_path_is_neither(kind: str, world: World) -> None:
    make, door, ask = KINDS[kind]
    exempting = door(make(), exempt=["/api/public"], **world.settings())
    protecting = door(make(), protected_routes={"/api/public": {}}, **world.settings())
    assert ask(exempting, "/api/public%20")[0] == 401
    for beside in ("/api/publicX", "/api/public2", "/api/public.json", "/api/publi"):
        assert ask(exempting, beside)[0] == 401, beside
        assert ask(protecting, beside)[0] == 404, beside


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("root", ["/v1", "/v1/"])
def test_an_app_that_says_itself_where_it_is_mounted_is_not_open_there(root: str, within: bool, world: World) -> None:
    """FastAPI puts its own `root_path` in the place of the server's, and takes it off the path before it routes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the parameter is deprecated, and still there
        app = FastAPI(root_path=root)
    app.add_api_route("/admin", lambda: MARKER)
    app.add_api_route("/v1/keys", lambda: MARKER)
    settings = world.settings(protected_routes={"/admin": {}, "/v1/keys": {}})
    if within:
        app.add_middleware(asgi.StrongDMAuthMiddleware, **settings)
    guarded = app if within else asgi.StrongDMAuthMiddleware(app, **settings)
    for sent in ("/admin", "/v1/admin", "/v1//admin", "/v1/keys", "/v1/v1/keys"):
        assert MARKER not in ask_asgi(guarded, sent)[1], sent
