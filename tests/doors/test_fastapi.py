"""What only the FastAPI door has: dependencies, decorators, routers, handlers, overrides and websockets."""

import threading
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Body, Depends, FastAPI, HTTPException, Request, Response, Security, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel

from strongdm_auth import AccessToken, ConfigurationError, Delegation, Requirement, StrongDMAuthError
from strongdm_auth.dpop import NONCE_RENEWAL
from strongdm_auth.fastapi import StrongDMAuth
from strongdm_auth.testing import Issuer
from tests.contract import BASE, NONCE_SECRET, Headers, World
from tests.contract_cases import bearer, bound
from tests.doors.asgi_calls import call, scope_of
from tests.doors.asgi_client import get, http


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Issuer(realms=("alpha", "beta", "gamma")).serve() as issuer:
        yield World(issuer)


@pytest.fixture
def auth(world: World) -> StrongDMAuth:
    return StrongDMAuth(**world.settings())


@pytest.fixture
def app() -> FastAPI:
    return FastAPI()


class Thing(BaseModel):
    name: str
    size: int = 1


async def nothing() -> dict[str, Any]:
    return {}


# As a dependency


def test_each_way_to_write_the_dependency_gives_the_token(app: FastAPI, auth: StrongDMAuth, world: World) -> None:
    Reader = Annotated[AccessToken, Security(auth, scopes=["read"])]  # noqa: N806

    @app.get("/alias")
    async def alias(agent: Reader) -> str:
        return agent.subject or ""

    @app.get("/default")
    async def default(agent: AccessToken = Security(auth, scopes=["read"])) -> str:  # noqa: B008
        return agent.subject or ""

    @app.get("/depends")
    def depends(agent: Annotated[AccessToken, Depends(auth)]) -> str:
        return agent.subject or ""

    @app.get("/require")
    def require(agent: Annotated[AccessToken, Depends(auth.require(Requirement("read"), dpop=True))]) -> str:
        return agent.subject or ""

    @app.get("/listed", dependencies=[Security(auth, scopes=["read"])])
    def listed() -> str:
        return "cli_agent"

    for path in ("/alias", "/default", "/depends", "/listed"):
        assert get(app, path, bearer()(world)).json() == "cli_agent", path
        assert get(app, path, bound(path=path)(world)).json() == "cli_agent", path
    assert get(app, "/require", bearer()(world)).status_code == 401
    assert get(app, "/require", bound(path="/require")(world)).json() == "cli_agent"
    for path in ("/alias", "/default", "/listed"):
        assert get(app, path, bearer(scopes=["x"])(world)).status_code == 403, path
    for path in ("/alias", "/default", "/depends", "/require", "/listed"):
        assert get(app, path).status_code == 401, path


def test_scopes_of_nested_dependencies_add_up(app: FastAPI, auth: StrongDMAuth, world: World) -> None:
    def current_name(agent: Annotated[AccessToken, Security(auth, scopes=["read"])]) -> str:
        return agent.subject or ""

    @app.get("/nested")
    def nested(name: Annotated[str, Security(current_name, scopes=["admin"])]) -> str:
        return name

    assert get(app, "/nested", bearer(scopes=["admin"])(world)).status_code == 403
    assert get(app, "/nested", bearer(scopes=["read"])(world)).status_code == 403
    assert get(app, "/nested", bound(path="/nested", scopes=["admin", "read"])(world)).json() == "cli_agent"


def test_without_auto_error_a_stranger_is_none_and_bad_credentials_are_refused(app: FastAPI, world: World) -> None:
    lenient = StrongDMAuth(auto_error=False, **world.settings())

    @app.get("/maybe")
    def maybe(agent: Annotated[AccessToken | None, Depends(lenient)]) -> str | None:
        return agent and agent.subject

    @app.get("/scoped")
    def scoped(agent: Annotated[AccessToken | None, Security(lenient, scopes=["admin"])]) -> str | None:
        return agent and agent.subject

    @app.get("/strict")
    def strict(agent: Annotated[AccessToken, Depends(lenient.require(optional=False))]) -> str | None:
        return agent.subject

    assert get(app, "/maybe").json() is None
    assert get(app, "/maybe").headers["Vary"] == "Authorization, DPoP"
    assert get(app, "/maybe", bearer()(world)).json() == "cli_agent"
    assert get(app, "/maybe", [("Authorization", "Bearer x")]).status_code == 401
    assert get(app, "/scoped", bearer()(world)).status_code == 403
    assert get(app, "/strict").status_code == 401, "a requirement only tightens"


def test_a_router_an_endpoint_and_a_decorator_use_one_proof(auth: StrongDMAuth, world: World) -> None:
    app = FastAPI(dependencies=[Depends(auth)])
    router = APIRouter(prefix="/v1", dependencies=[Security(auth, scopes=["read"])])
    tokens: list[Any] = []

    @router.get("/thing")
    @auth.require_scope("write", "admin")
    def thing(
        first: Annotated[AccessToken, Security(auth, scopes=["write"])],
        second: Annotated[AccessToken, Depends(auth.require(delegation=Delegation(required=False)))],
    ) -> str:
        tokens.extend([first, second])
        return first.subject or ""

    app.include_router(router)
    assert get(app, "/v1/thing", bound(path="/v1/thing", scopes=["read", "write"])(world)).json() == "cli_agent"
    assert tokens[0] is tokens[1]
    assert get(app, "/v1/thing", bound(path="/v1/thing", scopes=["write"])(world)).status_code == 403
    assert get(app, "/v1/thing", bound(path="/v1/thing", scopes=["read"])(world)).status_code == 403
    proof = bound(path="/v1/thing", scopes=["read", "write"])(world)
    assert [get(app, "/v1/thing", proof).status_code for _ in range(2)] == [200, 401]


def test_two_audiences_in_an_app_are_kept_apart(app: FastAPI, auth: StrongDMAuth, world: World) -> None:
    other = StrongDMAuth(**world.settings(audience="https://other.example"))
    app.add_api_route("/one", nothing, dependencies=[Depends(auth)])
    app.add_api_route("/other", nothing, dependencies=[Depends(other)])
    app.add_api_route("/both", nothing, dependencies=[Depends(auth), Depends(other)])
    everywhere = bearer(audience=["https://other.example", "https://api.example.com"])(world)
    assert [get(app, path, bearer()(world)).status_code for path in ("/one", "/other", "/both")] == [200, 401, 401]
    assert [get(app, path, everywhere).status_code for path in ("/one", "/other", "/both")] == [200, 200, 200]


# As a decorator


def test_a_decorated_function_keeps_its_own_parameters(app: FastAPI, auth: StrongDMAuth, world: World) -> None:
    def limit(limit: int = 10) -> int:
        return limit

    @app.post("/async/{number}")
    @auth.require_scope("read", "admin")
    async def asynchronous(
        request: Request,
        number: int,
        thing: Thing,
        response: Response,
        most: Annotated[int, Depends(limit)],
        q: str = "-",
    ) -> dict[str, Any]:
        """What it says."""
        response.headers["X-Own"] = "1"
        return {"method": request.method, "number": number, "thing": thing.name, "limit": most, "q": q}

    @app.post("/sync/{number}")
    @auth.require_all_scopes("read", "admin")
    def synchronous(number: int, *, thing: Thing, q: str = "-", size: Annotated[int, Body()]) -> dict[str, Any]:
        assert threading.current_thread() is not threading.main_thread()
        return {"number": number, "thing": thing.name, "q": q, "size": size}

    body = {"name": "t"}
    one = http(app, "POST", "/async/7?limit=3&q=x", bearer()(world), json=body)
    assert one.json() == {"method": "POST", "number": 7, "thing": "t", "limit": 3, "q": "x"}
    assert one.headers["X-Own"] == "1"
    assert asynchronous.__name__ == "asynchronous"
    assert asynchronous.__doc__ == "What it says."
    admin = bearer(scopes=["read", "admin"])(world)
    two = http(app, "POST", "/sync/7", admin, json={"thing": body, "size": 2})
    assert two.json() == {"number": 7, "thing": "t", "q": "-", "size": 2}
    assert http(app, "POST", "/sync/7", bearer()(world), json={"thing": body, "size": 2}).status_code == 403
    assert http(app, "POST", "/async/x", bearer()(world), json=body).status_code == 422
    assert http(app, "POST", "/async/7", json=body).status_code == 401
    assert http(app, "POST", "/async/7?_strongdm_auth_token=x", json=body).status_code == 401


def test_decorators_can_be_stacked(app: FastAPI, auth: StrongDMAuth, world: World) -> None:
    @app.get("/stacked")
    @auth.require_scope("read", "x")
    @auth.require_all_scopes("write", "admin")
    async def stacked() -> str:
        return "in"

    proof = bound(path="/stacked", scopes=["read", "write", "admin"])
    assert get(app, "/stacked", proof(world)).json() == "in"
    for scopes in (["read"], ["write", "admin"], ["read", "write"]):
        assert get(app, "/stacked", bearer(scopes=scopes)(world)).status_code == 403, scopes


def test_a_decorated_function_can_be_called_by_other_code(auth: StrongDMAuth) -> None:
    """Outside of a request nobody asks for anything: a path function is a function."""

    @auth.require_scope("admin")
    def double(number: int) -> int:
        return 2 * number

    assert double(21) == 42


def test_a_decorator_without_scopes_is_a_mistake(auth: StrongDMAuth) -> None:
    for wrong in (lambda: auth.require_scope(), lambda: auth.require_scope(dict), lambda: auth.require_all_scopes()):  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="require_scope needs"):
            wrong()
    with pytest.raises(ConfigurationError):
        auth.require("admin")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError):
        StrongDMAuth(algorithms="HS256")


# Answers


def same_as_the_contract(answer: Any, status: int, error: str) -> None:
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.json()["error"] == error
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Vary"] == "Authorization, DPoP"
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("installed", [False, True])
@pytest.mark.parametrize("mounted", [False, True])
def test_refusals_are_the_contract_s_with_and_without_install(
    installed: bool, mounted: bool, auth: StrongDMAuth, world: World
) -> None:
    app, outer = FastAPI(), FastAPI()
    app.add_api_route("/x", nothing, dependencies=[Security(auth, scopes=["admin"])])
    outer.mount("/sub", app)
    if installed:
        auth.install(outer if mounted else app)
    asked, path = (outer, "/sub/x") if mounted else (app, "/x")
    for _ in range(2):
        same_as_the_contract(get(asked, path), 401, "unauthorized")
        same_as_the_contract(get(asked, path, [("Authorization", "Bearer x")]), 401, "invalid_token")
        same_as_the_contract(get(asked, path, bearer()(world)), 403, "insufficient_scope")
        same_as_the_contract(get(asked, path, bearer()(world) * 2), 400, "invalid_request")
    assert get(asked, path, bound(path=path, scopes=["admin"])(world)).status_code == 200
    assert get(asked, "/nowhere").json() == {"detail": "Not Found"}


@pytest.mark.parametrize("catches", [StrongDMAuthError, 401])
@pytest.mark.parametrize("when", ["before", "after", "never"])
def test_the_application_s_own_handler_wins(
    catches: Any, when: str, app: FastAPI, auth: StrongDMAuth, world: World
) -> None:
    if when == "after":
        auth.install(app)

    @app.exception_handler(catches)
    async def mine(request: Request, error: Any) -> Response:
        return JSONResponse({"mine": error.reason}, error.status_code, error.headers)

    if when == "before":
        auth.install(app)
    app.add_api_route("/x", nothing, dependencies=[Depends(auth)])
    answer = get(app, "/x", [("Authorization", "Bearer x")])
    assert (answer.status_code, answer.json()) == (401, {"mine": "token.opaque"})
    assert answer.headers["WWW-Authenticate"].startswith("Bearer error=")


def test_a_general_handler_of_http_errors_leaves_ours_alone(app: FastAPI, auth: StrongDMAuth) -> None:
    @app.exception_handler(HTTPException)
    async def general(request: Request, error: HTTPException) -> Response:
        return PlainTextResponse("general", error.status_code)

    app.add_api_route("/x", nothing, dependencies=[Depends(auth)])
    same_as_the_contract(get(app, "/x"), 401, "unauthorized")


def test_an_endpoint_may_refuse_in_our_words(app: FastAPI, auth: StrongDMAuth, world: World) -> None:
    auth.install(app)

    @app.get("/account")
    def account(agent: Annotated[AccessToken, Depends(auth)]) -> None:
        raise StrongDMAuthError("No such account for this agent", 403)

    @app.get("/open")
    async def without_credentials() -> None:
        raise StrongDMAuthError("Come back with less", 400)

    answer = get(app, "/account", bearer()(world))
    assert answer.status_code == 403
    assert answer.json() == {"error": "access_denied", "error_description": "No such account for this agent"}
    assert "WWW-Authenticate" in answer.headers
    assert get(app, "/open").json() == {"error": "invalid_request", "error_description": "Come back with less"}


def test_good_answers_carry_the_headers_of_an_admission(world: World) -> None:
    auth = StrongDMAuth(**world.settings(dpop_nonce="required", dpop_nonce_secret=NONCE_SECRET))
    plain, installed = FastAPI(), FastAPI()
    auth.install(installed)

    def value(response: Response) -> str:
        response.headers["Vary"] = "Accept"
        response.headers["Cache-Control"] = "max-age=60"
        return "in"

    async def own() -> Response:
        return PlainTextResponse("in", headers={"Vary": "Accept", "Cache-Control": "max-age=60"})

    def headers(app: FastAPI, path: str, age: float) -> tuple[list[str], list[str], bool]:
        answer = get(app, path, bound(path=path, nonce=lambda world: world.nonce(age))(world))
        assert answer.status_code == 200
        renewed = answer.headers.get_list("DPoP-Nonce")
        return answer.headers.get_list("Vary"), answer.headers.get_list("Cache-Control"), bool(renewed)

    for path, view in ("/value", value), ("/response", own):
        installed.add_api_route(path, view, dependencies=[Depends(auth)])
        assert headers(installed, path, 0) == (["Accept, Authorization, DPoP"], ["max-age=60"], False)
        assert headers(installed, path, NONCE_RENEWAL + 5) == (["Accept, Authorization, DPoP"], ["no-store"], True)
    plain.add_api_route("/value", nothing, dependencies=[Depends(auth)])
    assert headers(plain, "/value", 0) == (["Authorization, DPoP"], [], False)
    assert headers(plain, "/value", NONCE_RENEWAL + 5) == (["Authorization, DPoP"], ["no-store"], True)


# Tests of an application, and what else there is


def test_a_dependency_can_be_overridden(app: FastAPI, auth: StrongDMAuth) -> None:
    admin = auth.require(scopes="admin")
    app.add_api_route("/x", nothing, dependencies=[Depends(auth)])
    app.add_api_route("/scoped", nothing, dependencies=[Security(auth, scopes=["admin"])])
    app.add_api_route("/sibling", nothing, dependencies=[Depends(admin)])

    def statuses() -> list[int]:
        return [get(app, path).status_code for path in ("/x", "/scoped", "/sibling")]

    fake = AccessToken(subject="cli_fake", issuer="https://id.example")
    app.dependency_overrides[auth] = lambda: fake
    assert statuses() == [200, 200, 401]
    app.dependency_overrides = {admin: lambda: fake}
    assert statuses() == [401, 401, 200]


@pytest.mark.parametrize("installed", [False, True])
def test_a_websocket_is_let_in_or_refused(installed: bool, app: FastAPI, auth: StrongDMAuth, world: World) -> None:
    if installed:
        auth.install(app)

    @app.websocket("/ws")
    async def socket(websocket: WebSocket, agent: Annotated[AccessToken, Security(auth, scopes=["read"])]) -> None:
        await websocket.accept()
        await websocket.send_text(agent.subject or "")
        await websocket.close()

    def messages(headers: Headers, **more: Any) -> list[dict[str, Any]]:
        return call(app, scope_of("GET", "/ws", headers=headers, kind="websocket", **more))

    for good in (bearer()(world), bound(path="/ws")(world)):
        accepted, sent, _ = messages(good)
        assert (accepted["type"], sent["text"]) == ("websocket.accept", "cli_agent")
    for bad, status in ([], 401), (bearer(scopes=["x"])(world), 403), (bound(url=BASE + "/x")(world), 401):
        (closed,) = messages(bad)
        assert (closed["type"], closed["code"]) == ("websocket.close", 1008)
        start, *_ = messages(bad, extensions={"websocket.http.response": {}})
        assert (start["type"], start["status"]) == ("websocket.http.response.start", status)
        assert b"www-authenticate" in dict(start["headers"])
