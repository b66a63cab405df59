"""The agent meets the verifier: `DPoPAuth` on one side, `StrongDMAuth` on the other, and the local issuer over a socket."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import httpx
import httpx2
import pytest
from fastapi import Depends, FastAPI, Security
from flask import Flask, redirect

import strongdm_auth.client.httpx2 as for_httpx2
from strongdm_auth import AccessToken, StrongDMAuth
from strongdm_auth.client import BearerAuth, ClientCredentials, DPoPAuth, DPoPKey, Service, TokenExchange
from strongdm_auth.fastapi import StrongDMAuth as FastAPIAuth
from strongdm_auth.flask import current_token
from strongdm_auth.testing import Client, Issuer

AUDIENCE = "https://api.example.com"
BASE = "http://localhost"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer(realms=("alpha",), algorithms=("ES256",), scopes="read admin").serve() as issuer:
        yield issuer


@pytest.fixture
def client(issuer: Issuer) -> Client:
    return issuer.client("agent", scopes="read admin openid", realm="alpha")


@pytest.fixture
def source(issuer: Issuer, client: Client) -> ClientCredentials:
    return ClientCredentials(issuer.issuer_url("alpha"), *client.auth, scopes="read", audience=AUDIENCE)


@pytest.fixture
def settings(issuer: Issuer) -> dict[str, Any]:
    return {
        "issuer": issuer.url,
        "realms": ["alpha"],
        "audience": AUDIENCE,
        "dpop": "required",
        "dpop_nonce": "required",
        "public_url": BASE,
    }


@pytest.fixture
def flask_app(settings: dict[str, Any]) -> Flask:
    app = Flask(__name__)
    auth = StrongDMAuth(app, **settings)

    @app.route("/protected", methods=["GET", "POST"])
    @auth.require_auth()
    def protected() -> dict[str, Any]:
        return {"subject": current_token.subject, "jkt": current_token.key_thumbprint}

    @app.get("/admin")
    @auth.require_scope("admin")
    def admin() -> dict[str, Any]:
        return {"scopes": sorted(current_token.scopes)}

    @app.get("/delegated")
    @auth.require_auth()
    def delegated() -> dict[str, Any]:
        return {"subject": current_token.subject, "actors": [actor.subject for actor in current_token.delegation]}

    @app.get("/moved")
    def moved() -> Any:
        return redirect("/protected")

    return app


@pytest.fixture
def fastapi_app(settings: dict[str, Any]) -> FastAPI:
    app = FastAPI()
    auth = FastAPIAuth(**settings)
    auth.install(app)

    @app.api_route("/protected", methods=["GET", "POST"])
    async def protected(token: Annotated[AccessToken, Depends(auth)]) -> dict[str, Any]:
        return {"subject": token.subject, "jkt": token.key_thumbprint}

    @app.get("/admin")
    async def admin(token: Annotated[AccessToken, Security(auth, scopes=["admin"])]) -> dict[str, Any]:
        return {"scopes": sorted(token.scopes)}

    return app


Call = Callable[..., list[Any]]


@pytest.fixture(params=["flask httpx", "flask httpx2", "fastapi httpx", "fastapi httpx2"])
def call(request: pytest.FixtureRequest, flask_app: Flask, fastapi_app: FastAPI) -> Call:
    """Calls several URLs in order with one client; gives the responses."""
    framework, _, name = request.param.partition(" ")
    library: Any = httpx if name == "httpx" else httpx2
    bearer, dpop = (BearerAuth, DPoPAuth) if name == "httpx" else (for_httpx2.BearerAuth, for_httpx2.DPoPAuth)

    def make(source: Any, key: DPoPKey | None, **options: Any) -> Any:
        return bearer(source) if key is None else dpop(source, key, **options)

    def in_thread(source: Any, key: DPoPKey | None, *targets: str, **options: Any) -> list[Any]:
        auth = make(source, key, **options)
        with library.Client(transport=library.WSGITransport(flask_app), auth=auth, base_url=BASE) as client:
            return [client.request(*target.split(" ")) for target in targets]

    def in_loop(source: Any, key: DPoPKey | None, *targets: str, **options: Any) -> list[Any]:
        async def run() -> list[Any]:
            auth = make(source, key, **options)
            transport = library.ASGITransport(fastapi_app)
            async with library.AsyncClient(transport=transport, auth=auth, base_url=BASE) as client:
                return [await client.request(*target.split(" ")) for target in targets]

        return asyncio.run(run())

    return in_thread if framework == "flask" else in_loop


def test_an_agent_gets_in_and_pays_for_the_nonce_once(call: Call, source: Any, client: Client) -> None:
    key = DPoPKey.generate()
    first, second, third = call(source, key, "GET /protected?q=1", "POST /protected", "GET /protected")
    assert first.json() == {"subject": client.client_id, "jkt": key.thumbprint}
    assert [answer.status_code for answer in (first, second, third)] == [200] * 3
    assert [len(answer.history) for answer in (first, second, third)] == [1, 0, 0]


def test_a_scope_that_is_missing_is_asked_for_where_that_is_allowed(call: Call, source: Any) -> None:
    key = DPoPKey.generate("EdDSA")
    assert [answer.status_code for answer in call(source, key, "GET /admin")] == [403]
    allowed = call(source, key, "GET /admin", may_ask_for="admin")[0]
    assert allowed.json() == {"scopes": ["admin", "read"]}


def test_a_bearer_token_stays_out_where_a_bound_one_is_needed(call: Call, source: Any) -> None:
    assert call(source, None, "GET /protected")[0].status_code == 401


def test_a_redirect_within_the_api_arrives(flask_app: Flask, source: Any) -> None:
    with httpx.Client(
        transport=httpx.WSGITransport(flask_app), auth=DPoPAuth(source), base_url=BASE, follow_redirects=True
    ) as client:
        assert client.get("/moved").status_code == 200


def test_a_child_agent_is_let_in_as_itself_for_its_parent(
    flask_app: Flask, source: ClientCredentials, issuer: Issuer, client: Client
) -> None:
    child = issuer.client("child", scopes="read", realm="alpha")
    exchange = TokenExchange(issuer.issuer_url("alpha"), *child.auth, subject=source, scopes="read", audience=AUDIENCE)
    transport = httpx.WSGITransport(flask_app)
    with httpx.Client(transport=transport, auth=DPoPAuth(exchange), base_url=BASE) as http:
        assert http.get("/delegated").json() == {"subject": client.client_id, "actors": [child.client_id]}


def test_the_issuer_s_own_endpoints_take_bound_tokens_over_a_socket(issuer: Issuer, client: Client) -> None:
    url = issuer.issuer_url("alpha")
    bound = ClientCredentials(url, *client.auth, key=DPoPKey.generate())
    service = Service(url, *client.auth, source=bound)
    assert service.jwt_svid("x").spiffe_id.endswith(client.client_id)
    assert asyncio.run(service.auserinfo())["sub"] == client.client_id
    with httpx.Client(auth=DPoPAuth(bound, bound.key)) as http:
        assert http.get(f"{url}/userinfo").json()["sub"] == client.client_id


def test_importing_the_client_brings_no_http_library_along() -> None:
    from tests.parts.test_imports import imported_by

    libraries = {"httpx", "httpx2", "requests", "joserfc"}
    assert imported_by("import strongdm_auth.client\ndir(strongdm_auth.client)") & libraries == set()
    everything = "from strongdm_auth.client import *"
    assert imported_by(everything, absent=("httpx2", "requests")) & libraries == {"httpx", "joserfc"}
