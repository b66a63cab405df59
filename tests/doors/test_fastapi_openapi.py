"""What the OpenAPI document says of a guarded API, and that its Authorize dialog can do what it offers."""

import json
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Security
from pydantic import BaseModel

from strongdm_auth import AccessToken
from strongdm_auth.fastapi import StrongDMAuth
from strongdm_auth.testing import Issuer
from tests.contract import World
from tests.doors.asgi_client import get

DESCRIBED = {"read": "Read things", "write": "Write things", "admin": "Do anything"}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Issuer(realms=("alpha", "beta", "gamma")).serve() as issuer:
        yield World(issuer)


@pytest.fixture
def auth(world: World) -> StrongDMAuth:
    return StrongDMAuth(scopes=DESCRIBED, **world.settings())


class Thing(BaseModel):
    name: str


def limit(limit: int = 10) -> int:
    return limit


def plain(number: int, thing: Thing, most: Annotated[int, Depends(limit)], q: str = "-") -> dict[str, int]:
    """A path function with parameters of all kinds."""
    return {"number": number}


def guarded_by(marker: Any) -> Any:
    """`plain` with one parameter more: an agent, which is what this dependency gives."""

    def guarded(
        number: int,
        thing: Thing,
        most: Annotated[int, Depends(limit)],
        agent: Annotated[AccessToken, marker],
        q: str = "-",
    ) -> dict[str, int]:
        """A path function with parameters of all kinds."""
        return {"number": number}

    guarded.__name__ = "plain"
    return guarded


def operation(function: Any, auth: StrongDMAuth | None = None, **more: Any) -> dict[str, Any]:
    app = FastAPI()
    app.add_api_route("/things/{number}", function, methods=["POST"], **more)
    if auth is not None:
        auth.install(app)
    found: dict[str, Any] = get(app, "/openapi.json").json()["paths"]["/things/{number}"]["post"]
    return found


def ways(auth: StrongDMAuth) -> dict[str, tuple[Any, dict[str, Any], list[str]]]:
    """Each way to guard a path function -> the function, what registers it, the scopes it asks for."""
    return {
        "depends": (guarded_by(Depends(auth)), {}, []),
        "security": (guarded_by(Security(auth, scopes=["read", "write"])), {}, ["read", "write"]),
        "require": (guarded_by(Depends(auth.require(scopes="read write"))), {}, ["read", "write"]),
        "listed": (plain, {"dependencies": [Security(auth, scopes=["admin"])]}, ["admin"]),
        "decorator": (auth.require_scope("admin")(plain), {}, ["admin"]),
        "decorator for all": (auth.require_all_scopes("read", "write")(plain), {}, ["read", "write"]),
    }


WAYS = ["depends", "security", "require", "listed", "decorator", "decorator for all"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("installed", [False, True])
def test_a_guard_adds_its_security_to_an_operation_and_changes_nothing_else(
    way: str, installed: bool, auth: StrongDMAuth
) -> None:
    function, more, _ = ways(auth)[way]
    guarded = operation(function, auth if installed else None, **more)
    expected = operation(plain)
    assert set(guarded.pop("security")[0]) == {"StrongDM"}
    if installed:
        assert {guarded["responses"].pop(status)["description"][:2] for status in ("401", "403")} == {"No", "Th"}
    assert guarded == expected
    assert {one["name"] for one in guarded["parameters"]} == {"number", "limit", "q"}


@pytest.mark.parametrize("way", WAYS)
def test_an_operation_names_the_scopes_that_it_needs(way: str, auth: StrongDMAuth) -> None:
    function, more, scopes = ways(auth)[way]
    (security,) = operation(function, auth, **more)["security"]
    assert sorted(security["StrongDM"]) == scopes


def test_a_choice_of_scopes_is_a_choice_in_the_document(auth: StrongDMAuth) -> None:
    """Requirements in `security` are alternatives; the scopes within one are all needed (OpenAPI 3.1, 4.8.2 and 4.8.30)."""
    security = operation(auth.require_scope("read", "admin")(plain), auth)["security"]
    assert sorted(one["StrongDM"] for one in security) == [["admin"], ["read"]]


def api(auth: StrongDMAuth, *, install: bool = True) -> FastAPI:
    app = FastAPI(dependencies=[Depends(auth)])
    router = APIRouter(prefix="/v1", dependencies=[Security(auth, scopes=["read"])])

    @router.get("/things")
    @auth.require_all_scopes("write")
    def things(agent: Annotated[AccessToken, Security(auth, scopes=["admin"])]) -> list[Thing]:
        return []

    app.include_router(router)
    app.add_api_route("/own", lambda: 1, responses={401: {"description": "mine"}})
    if install:
        auth.install(app)
    return app


def test_the_scheme_stands_once_however_many_dependencies_use_it(auth: StrongDMAuth) -> None:
    document = get(api(auth), "/openapi.json").json()
    assert list(document["components"]["securitySchemes"]) == ["StrongDM"]
    (security,) = document["paths"]["/v1/things"]["get"]["security"]
    assert {"admin", "read"} <= set(security["StrongDM"])


def test_install_describes_401_and_403_and_leaves_the_application_s_own_words(auth: StrongDMAuth) -> None:
    document = get(api(auth), "/openapi.json").json()
    answers = document["paths"]["/v1/things"]["get"]["responses"]
    for status in ("401", "403"):
        assert answers[status]["headers"]["WWW-Authenticate"]
        assert set(answers[status]["content"]["application/json"]["schema"]["properties"]) == {
            "error",
            "error_description",
        }
    assert document["paths"]["/own"]["get"]["responses"]["401"] == {"description": "mine"}


def test_install_leaves_unguarded_operations_alone_and_answers_the_same_document_twice(auth: StrongDMAuth) -> None:
    app = FastAPI()
    app.add_api_route("/open", lambda: 1)
    auth.install(app)
    first, second = (get(app, "/openapi.json").content for _ in range(2))
    assert first == second
    operation = json.loads(first)["paths"]["/open"]["get"]
    assert set(operation["responses"]) == {"200"}
    assert "security" not in operation


def test_the_document_and_its_pages_need_no_token_unless_the_app_says_so(auth: StrongDMAuth) -> None:
    app = api(auth)
    for path in ("/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"):
        assert get(app, path).status_code == 200, path
    assert "/openapi.json" in get(app, "/docs").text
    assert get(app, "/v1/things").status_code == 401


def test_a_document_that_the_application_made_itself_is_completed(auth: StrongDMAuth) -> None:
    app = api(auth, install=False)
    own = app.openapi
    app.openapi = lambda: {**own(), "x-own": True}  # type: ignore[method-assign]
    auth.install(app)
    document = get(app, "/openapi.json").json()
    assert document["x-own"]
    assert "401" in document["paths"]["/v1/things"]["get"]["responses"]


def test_a_mounted_application_has_a_document_of_its_own(auth: StrongDMAuth) -> None:
    outer = FastAPI()
    outer.mount("/sub", api(auth))
    document = get(outer, "/sub/openapi.json").json()
    assert document["servers"] == [{"url": "/sub"}]
    assert "StrongDM" in document["components"]["securitySchemes"]
    assert "securitySchemes" not in get(outer, "/openapi.json").json().get("components", {})


# The Authorize dialog


def flow_of(app: FastAPI) -> dict[str, Any]:
    scheme = get(app, "/openapi.json").json()["components"]["securitySchemes"]["StrongDM"]
    assert scheme["type"] == "oauth2"
    assert list(scheme["flows"]) == ["clientCredentials"]
    flow: dict[str, Any] = scheme["flows"]["clientCredentials"]
    return flow


@pytest.mark.parametrize("realm", [None, "alpha"])
def test_the_dialog_asks_the_issuer_s_token_endpoint(realm: str | None, world: World) -> None:
    issuer = world.issuer.issuer_url(realm)
    auth = StrongDMAuth(**world.settings(issuer=issuer, realms=["alpha"] if realm is None else None))
    assert flow_of(api(auth))["tokenUrl"] == world.issuer.metadata(realm)["token_endpoint"]


def test_the_dialog_offers_the_scopes_with_their_descriptions(auth: StrongDMAuth) -> None:
    assert flow_of(api(auth))["scopes"] == DESCRIBED


def test_the_dialog_offers_each_scope_that_an_operation_names(world: World) -> None:
    """A scope that the scheme does not list cannot be ticked (OpenAPI 3.1, 4.8.28: "the available scopes")."""
    auth = StrongDMAuth(scopes={"read": "Read things"}, **world.settings())
    offered = flow_of(api(auth))["scopes"]
    assert {"read", "admin"} <= set(offered)
    assert offered["read"] == "Read things"


@pytest.mark.filterwarnings("ignore::strongdm_auth.SecurityWarning")
def test_a_token_that_the_dialog_gets_is_let_in(world: World) -> None:
    """As Swagger UI asks for it: the client by HTTP Basic, the ticked scopes in the form, no audience."""
    auth = StrongDMAuth(scopes=DESCRIBED, **world.settings(audience=None))
    app = api(auth)
    client = world.issuer.client("people", scopes=["read", "write", "admin"], realm="alpha")
    form = {"grant_type": "client_credentials", "scope": "read write admin"}
    answer = httpx.post(flow_of(app)["tokenUrl"], data=form, auth=client.auth)
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    assert get(app, "/v1/things", [("Authorization", f"Bearer {token}")]).status_code == 200


def test_a_browser_may_ask_the_local_issuer_for_a_token_from_the_page(auth: StrongDMAuth, world: World) -> None:
    """The page is another origin than the issuer: the Authorization header makes a preflight (Fetch standard, 4.8)."""
    url, origin = flow_of(api(auth))["tokenUrl"], "http://127.0.0.1:8000"
    assert urlsplit(url).scheme == "http"
    preflight = httpx.options(
        url,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,x-requested-with",
        },
    )
    assert preflight.status_code in (200, 204), preflight.text
    assert preflight.headers.get("Access-Control-Allow-Origin") in ("*", origin)
    allowed = preflight.headers.get("Access-Control-Allow-Headers", "").lower().replace(" ", "").split(",")
    assert {"authorization", "x-requested-with"} <= set(allowed), "a star does not stand for Authorization"
    for credentials, status in (world.client.auth, 200), (("nobody", "wrong"), 401):
        form = {"grant_type": "client_credentials"}
        answer = httpx.post(url, data=form, auth=credentials, headers={"Origin": origin})
        assert answer.status_code == status
        assert answer.headers.get("Access-Control-Allow-Origin") in ("*", origin), status
