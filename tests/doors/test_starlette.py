"""Starlette behind the door: its own `@requires`, `request.user` and websockets; and our backend in its middleware."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    SimpleUser,
    requires,
)
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from strongdm_auth import Requirement
from strongdm_auth.dpop import NONCE_RENEWAL
from strongdm_auth.starlette import StrongDMAuthBackend, StrongDMAuthMiddleware
from strongdm_auth.testing import Issuer
from tests.contract import BASE, NONCE_SECRET, World
from tests.contract_cases import bearer, bound
from tests.doors.asgi_calls import RUNNER, ask, call, scope_of
from tests.doors.asgi_client import get


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Issuer(realms=("alpha", "beta", "gamma")).serve() as issuer:
        yield World(issuer)


def who(request: HTTPConnection) -> dict[str, Any]:
    return {
        "authenticated": request.user.is_authenticated,
        "name": request.user.display_name,
        "scopes": sorted(request.auth.scopes),
    }


AGENT = {"authenticated": True, "name": "cli_agent", "scopes": ["admin"]}


@requires("admin")
async def asynchronous(request: Request) -> Response:
    return JSONResponse(who(request))


@requires("admin")
def synchronous(request: Request) -> Response:
    return JSONResponse(who(request))


@requires(["admin", "write"], status_code=404)
async def both(request: Request) -> Response:
    return JSONResponse(who(request))


@requires("admin", redirect="home")
async def redirecting(request: Request) -> Response:
    return JSONResponse(who(request))


@requires("admin")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json(who(websocket))
    await websocket.close()


async def home(request: Request) -> Response:
    return JSONResponse(who(request))


ROUTES = [
    Route("/", home, name="home"),
    Route("/async", asynchronous),
    Route("/sync", synchronous),
    Route("/both", both),
    Route("/redirecting", redirecting),
    WebSocketRoute("/ws", socket),
]


@pytest.fixture
def app(world: World) -> Starlette:
    middleware = [Middleware(StrongDMAuthMiddleware, require=Requirement(optional=True), **world.settings())]
    return Starlette(routes=ROUTES, middleware=middleware)


# The middleware, and what Starlette has of its own


@pytest.mark.parametrize("path", ["/async", "/sync"])
def test_requires_holds_the_token_s_scopes_against_its_own(path: str, app: Starlette, world: World) -> None:
    admitted = get(app, path, bearer(scopes=["admin"])(world))
    assert (admitted.status_code, admitted.json()) == (200, AGENT)
    assert get(app, path, bearer(scopes=["read"])(world)).status_code == 403
    assert get(app, path, bearer(scopes=["administrator"])(world)).status_code == 403
    assert get(app, path).status_code == 403, "optional: anonymous, and then without the scope"
    assert get(app, path, [("Authorization", "Bearer x")]).status_code == 401


def test_requires_keeps_its_other_ways(app: Starlette, world: World) -> None:
    assert get(app, "/both", bearer(scopes=["admin"])(world)).status_code == 404
    assert get(app, "/both", bearer(scopes=["write", "admin"])(world)).status_code == 200
    answer = get(app, "/redirecting", bearer(scopes=["read"])(world))
    assert (answer.status_code, answer.headers["Location"].startswith(BASE + "/?next=")) == (303, True)


def test_requires_guards_a_websocket(app: Starlette, world: World) -> None:
    def messages(*scopes: str) -> list[str]:
        headers = bearer(scopes=scopes)(world)
        return [message["type"] for message in call(app, scope_of("GET", "/ws", headers=headers, kind="websocket"))]

    assert messages("admin") == ["websocket.accept", "websocket.send", "websocket.close"]
    assert messages("read") == ["websocket.close"]


def test_nobody_has_no_name_and_no_scopes(app: Starlette) -> None:
    assert get(app, "/").json() == {"authenticated": False, "name": "", "scopes": []}


def test_a_middleware_within_a_mount_speaks_of_the_paths_below_it(world: World) -> None:
    middleware = [Middleware(StrongDMAuthMiddleware, protected_routes={"/async": {}}, **world.settings())]
    mounted = Starlette(routes=ROUTES, middleware=middleware)
    app = Starlette(routes=[Mount("/v1", mounted), Mount("/async", mounted)])
    assert get(app, "/v1/async").status_code == 401
    assert get(app, "/v1/").status_code == 200
    assert get(app, "/async/").status_code == 200
    assert get(app, "/async/async").status_code == 401
    headers = bound(path="/v1/async", scopes=["admin"])(world)
    assert get(app, "/v1/async", headers).json() == AGENT


def test_what_runs_in_the_background_runs_after_a_streamed_answer(world: World) -> None:
    done: list[str] = []

    async def endpoint(request: Request) -> Response:
        async def parts() -> Any:
            for part in ("one ", request.auth.subject):
                done.append(part)
                yield part

        return StreamingResponse(parts(), background=BackgroundTask(done.append, "background"))

    app = StrongDMAuthMiddleware(Starlette(routes=[Route("/", endpoint)]), **world.settings())
    assert get(app, "/", bearer()(world)).text == "one cli_agent"
    assert done == ["one ", "cli_agent", "background"]


def test_shutdown_closes_the_verifier_of_an_app_with_a_lifespan_of_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Lifespan:
        def __init__(self, app: Starlette) -> None: ...

        async def __aenter__(self) -> None:
            told.append("startup")

        async def __aexit__(self, *_: object) -> None:
            told.append("shutdown")

    door = StrongDMAuthMiddleware(Starlette(lifespan=Lifespan), **world.settings())

    async def closing() -> None:
        told.append("closed")

    monkeypatch.setattr(door.verifier, "aclose", closing)
    waiting = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        told.append(message["type"])

    RUNNER.run(door({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send))
    assert told == ["startup", "lifespan.startup.complete", "shutdown", "closed", "lifespan.shutdown.complete"]


# The backend


class APIKeys(AuthenticationBackend):
    """Somebody else's backend."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser] | None:
        key = conn.headers.get("X-Key")
        if key is None:
            return None
        if key != "right":
            raise AuthenticationError("no such key")
        return AuthCredentials(["admin"]), SimpleUser("of a key")


class FirstOf(AuthenticationBackend):
    """A stack of backends: the first that knows the credentials decides."""

    def __init__(self, *backends: AuthenticationBackend) -> None:
        self.backends = backends

    async def authenticate(self, conn: HTTPConnection) -> Any:
        for backend in self.backends:
            if (found := await backend.authenticate(conn)) is not None:
                return found
        return None


def app_with(backend: StrongDMAuthBackend, *others: AuthenticationBackend) -> Starlette:
    stack = FirstOf(backend, *others) if others else backend
    middleware = [Middleware(AuthenticationMiddleware, backend=stack, on_error=backend.on_error)]
    return Starlette(routes=ROUTES, middleware=middleware)


def test_the_backend_tells_starlette_who_it_is(world: World) -> None:
    app = app_with(StrongDMAuthBackend(**world.settings()))
    assert get(app, "/async", bearer(scopes=["admin"])(world)).json() == AGENT
    assert get(app, "/sync", bound(path="/sync", scopes=["admin"])(world)).json() == AGENT
    assert get(app, "/async", bearer(scopes=["read"])(world)).status_code == 403
    assert get(app, "/").json() == {"authenticated": False, "name": "", "scopes": []}


def test_the_backend_hands_the_token_over_as_well(world: World) -> None:
    async def endpoint(request: Request) -> Response:
        return JSONResponse([request.auth.token.realm, request.user.identity, request.user.token["sub"]])

    backend = StrongDMAuthBackend(**world.settings())
    middleware = [Middleware(AuthenticationMiddleware, backend=backend)]
    app = Starlette(routes=[Route("/", endpoint)], middleware=middleware)
    assert get(app, "/", bearer()(world)).json() == ["alpha", "cli_agent", "cli_agent"]


@pytest.mark.parametrize(
    ("send", "status", "error", "challenge"),
    [
        (bearer(audience="x"), 401, "invalid_token", 'Bearer error="invalid_token"'),
        (bearer(scopes=["x"]), 403, "insufficient_scope", 'Bearer error="insufficient_scope"'),
        (bound(), 401, "invalid_dpop_proof", 'DPoP error="invalid_dpop_proof"'),
        (lambda world: bearer()(world) * 2, 400, "invalid_request", 'Bearer error="invalid_request"'),
    ],
)
def test_a_refusal_by_the_backend_is_the_contract_s_answer(
    send: Any, status: int, error: str, challenge: str, world: World
) -> None:
    app = app_with(StrongDMAuthBackend(Requirement("admin"), **world.settings()))
    answer = ask(app, "GET", "/", headers=send(world))
    assert answer.status == status
    assert f'"error": "{error}"'.encode() in answer.body
    assert (answer.header("WWW-Authenticate") or "").startswith(challenge)
    assert 'scope="admin"' in (answer.header("WWW-Authenticate") or "")
    assert (answer.header("Content-Type"), answer.header("Cache-Control")) == ("application/json", "no-store")


def test_the_backend_asks_for_a_nonce(world: World) -> None:
    settings = world.settings(dpop_nonce="required", dpop_nonce_secret=NONCE_SECRET)
    app = app_with(StrongDMAuthBackend(**settings))
    answer = ask(app, "GET", "/", headers=bound(path="/")(world))
    assert (answer.status, list(answer.challenges)) == (401, ["DPoP"])
    nonce = answer.header("DPoP-Nonce")
    assert nonce
    assert ask(app, "GET", "/", headers=bound(path="/", nonce=lambda world: nonce)(world)).status == 200
    stale = bound(path="/", nonce=lambda world: world.nonce(NONCE_RENEWAL * 10))
    assert ask(app, "GET", "/", headers=stale(world)).status == 401


def test_without_an_agent_s_credentials_the_next_backend_is_asked(world: World) -> None:
    app = app_with(StrongDMAuthBackend(**world.settings()), APIKeys())
    assert get(app, "/async", [("X-Key", "right")]).json() == {**AGENT, "name": "of a key"}
    assert get(app, "/async", [("Authorization", "Basic eDp5"), ("X-Key", "right")]).status_code == 200
    assert get(app, "/async", bearer(scopes=["admin"])(world)).json() == AGENT
    assert get(app, "/async").status_code == 403


def test_bad_credentials_are_not_helped_by_the_next_backend(world: World) -> None:
    app = app_with(StrongDMAuthBackend(**world.settings()), APIKeys())
    answer = get(app, "/async", [("Authorization", "Bearer x"), ("X-Key", "right")])
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


def test_another_backend_s_error_is_answered_too_and_says_nothing_of_it(world: World) -> None:
    app = app_with(StrongDMAuthBackend(**world.settings()), APIKeys())
    answer = get(app, "/async", [("X-Key", "wrong")])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert "key" not in answer.text


def test_the_backend_refuses_a_websocket_with_bad_credentials(world: World) -> None:
    app = app_with(StrongDMAuthBackend(**world.settings()))
    headers = bearer(audience="x")(world)
    (message,) = call(app, scope_of("GET", "/ws", headers=headers, kind="websocket"))
    assert message["type"] == "websocket.close"
    headers = bound(path="/ws", scopes=["admin"])(world)
    accepted, *_ = call(app, scope_of("GET", "/ws", headers=headers, kind="websocket"))
    assert accepted["type"] == "websocket.accept"


def test_a_backend_within_the_middleware_uses_the_proof_once(world: World) -> None:
    backend = StrongDMAuthBackend(**world.settings())
    door = StrongDMAuthMiddleware(app_with(backend), **world.settings())
    door.verifier = backend.verifier
    assert get(door, "/async", bound(path="/async", scopes=["admin"])(world)).json() == AGENT


def test_a_redirect_of_the_app_keeps_its_own_headers(world: World) -> None:
    async def endpoint(request: Request) -> Response:
        return RedirectResponse("/elsewhere", headers={"Vary": "Cookie"})

    door = StrongDMAuthMiddleware(Starlette(routes=[Route("/", endpoint)]), **world.settings())
    answer = get(door, "/", bearer()(world))
    assert (answer.status_code, answer.headers["Location"]) == (307, "/elsewhere")
    assert answer.headers["Vary"] == "Cookie, Authorization, DPoP"
