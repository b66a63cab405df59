"""The test clients: each request is signed for its own method and URL, and what a test puts there itself stays."""

import tests.doors.django_settings  # noqa: F401  # isort: skip
import asyncio
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest
from django.http import HttpResponseRedirect, JsonResponse
from django.test import override_settings
from django.urls import path
from fastapi import Depends, FastAPI, WebSocket
from flask import Flask, redirect, session
from flask.testing import FlaskClient
from rest_framework.response import Response
from rest_framework.views import APIView
from starlette.websockets import WebSocketDisconnect
from tests.doors.django_calls import urls

from strongdm_auth import AccessToken, Requirement, fastapi
from strongdm_auth.django import require
from strongdm_auth.drf import Requires, StrongDMAuthentication
from strongdm_auth.flask import StrongDMAuth, current_token
from strongdm_auth.testing import (
    Agent,
    TrustedIssuer,
    django_async_client,
    django_client,
    drf_client,
    flask_client,
    starlette_client,
)

SETTINGS: dict[str, Any] = {"realms": ["acme"], "audience": "https://api.example.com"}
BOUND = Requirement(dpop=True)


@pytest.fixture
def issuer() -> Iterator[TrustedIssuer]:
    with TrustedIssuer(**SETTINGS) as issuer:
        yield issuer


class Call:
    """One framework's client, spoken to in one way: (status, JSON) of a request."""

    def __init__(self, client: Any, ask: Callable[..., Any]) -> None:
        self.client, self._ask = client, ask

    def __call__(self, method: str, at: str, **headers: str) -> tuple[int, Any]:
        answer = self._ask(self.client, method, at, headers)
        told = answer.json if not callable(answer.json) else answer.json()
        return answer.status_code, told

    def status(self, method: str, at: str, **headers: str) -> int:
        status: int = self._ask(self.client, method, at, headers).status_code
        return status


def flask_app(**settings: Any) -> Flask:
    app = Flask("clients")
    app.secret_key = "only for tests"
    auth = StrongDMAuth(app, **{**SETTINGS, **settings})

    def whoami(rest: str = "") -> dict[str, Any]:
        session["seen"] = session.get("seen", 0) + 1
        return {"subject": current_token.subject, "seen": session["seen"]}

    app.add_url_rule("/whoami/<path:rest>", "whoami", auth.require(BOUND)(whoami), methods=["GET", "POST"])
    app.add_url_rule("/any", "any", auth.require_auth(whoami))
    app.add_url_rule("/moved", "moved", lambda: redirect("/whoami/there?page=2"))
    return app


def asked_of_flask(client: Any, method: str, at: str, headers: Any) -> Any:
    return client.open(at, method=method, headers=headers, follow_redirects=True)


def fastapi_app(**settings: Any) -> FastAPI:
    app = FastAPI()
    auth = fastapi.StrongDMAuth(**{**SETTINGS, **settings})
    bound = auth.require(BOUND)

    @app.api_route("/whoami/{rest:path}", methods=["GET", "POST"])
    async def whoami(rest: str, agent: Annotated[AccessToken, Depends(bound)]) -> dict[str, Any]:
        return {"subject": agent.subject}

    @app.get("/any")
    def anybody(agent: Annotated[AccessToken, Depends(auth)]) -> dict[str, Any]:
        return {"subject": agent.subject}

    @app.get("/moved")
    async def moved() -> Any:
        from starlette.responses import RedirectResponse

        return RedirectResponse("/whoami/there?page=2")

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, agent: Annotated[AccessToken, Depends(bound)]) -> None:
        await websocket.accept()
        await websocket.send_json({"subject": agent.subject})
        await websocket.close()

    return app


def asked_of_starlette(client: Any, method: str, at: str, headers: Any) -> Any:
    return client.request(method, at, headers=headers)


def whoami(request: Any, rest: str = "") -> Any:
    return JsonResponse({"subject": request.auth.subject})


async def async_whoami(request: Any, rest: str = "") -> Any:
    return JsonResponse({"subject": request.auth.subject})


def moved(request: Any) -> Any:
    return HttpResponseRedirect("/whoami/there?page=2")


class Whoami(APIView):
    authentication_classes = [StrongDMAuthentication]  # noqa: RUF012

    def get(self, request: Any, rest: str = "") -> Any:
        return Response({"subject": request.auth.subject})

    post = get


def django_urls(view: Any) -> Any:
    return urls(
        path("whoami/<path:rest>", require(BOUND)(view)),
        path("any", require()(view)),
        path("moved", moved),
        path("drf/whoami/<path:rest>", Whoami.as_view(permission_classes=[Requires(BOUND)])),
    )


@pytest.fixture
def project() -> Iterator[Callable[..., None]]:
    overrides: list[override_settings] = []

    def configure(view: Any = whoami, **settings: Any) -> None:
        given = {name.upper(): value for name, value in {**SETTINGS, **settings}.items()}
        override = override_settings(ROOT_URLCONF=django_urls(view), STRONGDM_AUTH=given)
        override.enable()
        overrides.append(override)

    yield configure
    for override in overrides:
        override.disable()


def asked_of_django(client: Any, method: str, at: str, headers: Any) -> Any:
    return client.generic(method, at, headers=headers)


def asked_of_django_in_a_loop(client: Any, method: str, at: str, headers: Any) -> Any:
    return asyncio.run(client.generic(method, at, headers=headers))


def asked_of_drf(client: Any, method: str, at: str, headers: Any) -> Any:
    return client.generic(method, f"/drf{at}" if at.startswith("/whoami") else at, headers=headers)


@pytest.fixture(params=["flask", "starlette", "django", "django-async", "drf"])
def calling(request: pytest.FixtureRequest, project: Callable[..., None]) -> Callable[..., Call]:
    """Makes one framework's client for an agent; settings are the app's."""

    def make(agent: Agent, public_url: str | None = None, **settings: Any) -> Call:
        if public_url is not None:
            settings["public_url"] = public_url
        match request.param:
            case "flask":
                return Call(flask_client(flask_app(**settings), agent, public_url=public_url), asked_of_flask)
            case "starlette":
                client = starlette_client(fastapi_app(**settings), agent, public_url=public_url)
                return Call(client, asked_of_starlette)
            case "django":
                project(**settings)
                return Call(django_client(agent, public_url=public_url), asked_of_django)
            case "django-async":
                project(async_whoami, **settings)
                return Call(django_async_client(agent, public_url=public_url), asked_of_django_in_a_loop)
            case _:
                project(**settings)
                return Call(drf_client(agent, public_url=public_url), asked_of_drf)

    return make


@pytest.mark.parametrize(
    "at", ["/whoami/x", "/whoami/x?page=2&access=all", "/whoami/a%20b", "/whoami/%C3%A4?q=%2F", "/whoami/x/"]
)
def test_each_request_has_a_proof_of_its_own(calling: Callable[..., Call], issuer: TrustedIssuer, at: str) -> None:
    call = calling(issuer.agent("ann", dpop=True))
    for method in ("GET", "POST", "GET"):
        status, told = call(method, at)
        assert (status, told["subject"]) == (200, "ann")


def test_an_agent_without_a_key_sends_its_token(calling: Callable[..., Call], issuer: TrustedIssuer) -> None:
    call = calling(issuer.agent("bob"))
    assert call("GET", "/any")[1]["subject"] == "bob"
    assert call("GET", "/whoami/x")[0] == 401


def test_what_the_test_says_stays(calling: Callable[..., Call], issuer: TrustedIssuer) -> None:
    call = calling(issuer.agent("ann", dpop=True))
    bob = issuer.agent("bob")
    assert call("GET", "/any", **bob.headers("GET", ""))[1]["subject"] == "bob"
    assert call("GET", "/any", Authorization="Bearer x")[0] == 401
    status, told = call("GET", "/any", DPoP="a proof of the test's own")
    assert (status, told["error"]) == (401, "invalid_dpop_proof")
    assert call("GET", "/whoami/x")[0] == 200


def test_proofs_are_for_the_url_that_clients_see(calling: Callable[..., Call], issuer: TrustedIssuer) -> None:
    call = calling(issuer.agent(dpop=True), "https://api.example.com/v1")
    assert call("GET", "/whoami/x?y")[0] == 200


def test_the_nonce_of_the_last_answer_is_sent_along(calling: Callable[..., Call], issuer: TrustedIssuer) -> None:
    call = calling(issuer.agent(dpop=True), dpop_nonce="required")
    status, told = call("GET", "/any")
    assert (status, told["error"]) == (401, "use_dpop_nonce")
    assert call("GET", "/any")[0] == 200


def test_redirects_that_a_client_follows_are_signed_anew(issuer: TrustedIssuer, project: Callable[..., None]) -> None:
    agent = issuer.agent("ann", dpop=True)
    project()
    assert flask_client(flask_app(), agent).get("/moved", follow_redirects=True).get_json()["subject"] == "ann"
    assert starlette_client(fastapi_app(), agent).get("/moved").json() == {"subject": "ann"}
    assert django_client(agent).get("/moved", follow=True).json() == {"subject": "ann"}


def test_a_redirect_keeps_what_the_test_said(issuer: TrustedIssuer, project: Callable[..., None]) -> None:
    agent, wrong = issuer.agent("ann", dpop=True), {"Authorization": "Bearer x"}
    project()
    assert flask_client(flask_app(), agent).get("/moved", follow_redirects=True, headers=wrong).status_code == 401
    assert starlette_client(fastapi_app(), agent).get("/moved", headers=wrong).status_code == 401
    assert django_client(agent).get("/moved", follow=True, headers=wrong).status_code == 401


def test_flask_s_own_class_of_clients_and_its_cookies_are_kept(issuer: TrustedIssuer) -> None:
    class Own(FlaskClient):
        def hello(self) -> str:
            return "hello"

    app = flask_app()
    app.test_client_class = Own
    client: Any = flask_client(app, issuer.agent(dpop=True))
    assert client.hello() == "hello"
    with client:
        assert [client.get("/whoami/x").json["seen"] for _ in range(3)] == [1, 2, 3]
        assert session["seen"] == 3
        assert current_token.subject == "agent"
    assert [flask_client(app, issuer.agent(), use_cookies=False).get("/any").json["seen"] for _ in range(2)] == [1, 1]


@pytest.mark.parametrize("base", ["https://api.example.com", "http://localhost:8080/mounted"])
def test_flask_at_another_url(issuer: TrustedIssuer, base: str) -> None:
    client = flask_client(flask_app(), issuer.agent(dpop=True))
    assert client.get("/whoami/x", base_url=base).status_code == 200


def test_django_at_another_url(issuer: TrustedIssuer, project: Callable[..., None]) -> None:
    project()
    agent = issuer.agent(dpop=True)
    assert django_client(agent).get("/whoami/x", secure=True).status_code == 200
    assert django_client(agent, SERVER_NAME="api.example.com").get("/whoami/x").status_code == 200
    assert django_client(agent, headers={"Host": "api.example.com"}).get("/whoami/x").status_code == 200
    assert django_client(agent, headers={"Authorization": "Bearer x"}).get("/whoami/x").status_code == 401
    project(async_whoami)
    client = django_async_client(agent, headers={"X-Other": "kept"})
    assert asyncio.run(client.get("/whoami/x", secure=True)).status_code == 200


def test_drf_s_own_ways_of_saying_who_it_is_stay(issuer: TrustedIssuer, project: Callable[..., None]) -> None:
    project()
    client = drf_client(issuer.agent("ann", dpop=True))
    assert client.post("/drf/whoami/x", {"a": 1}, format="json").data == {"subject": "ann"}
    client.credentials(HTTP_AUTHORIZATION="Bearer x")
    answer = client.get("/drf/whoami/x")
    assert answer.status_code == 401
    assert "HTTP_DPOP" not in answer.wsgi_request.META


def test_starlette_at_another_url_and_its_websockets(issuer: TrustedIssuer) -> None:
    client = starlette_client(fastapi_app(), issuer.agent("ann", dpop=True), base_url="https://api.example.com")
    assert client.get("/whoami/x").status_code == 200
    with client.websocket_connect("/socket?x=1") as websocket:
        assert websocket.receive_json() == {"subject": "ann"}
    unbound = starlette_client(fastapi_app(), issuer.agent("ann"))
    with pytest.raises(WebSocketDisconnect), unbound.websocket_connect("/socket"):
        pass
