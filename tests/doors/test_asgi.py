"""What only the ASGI middleware has: lifespan, scopes, route tables, mounts, CORS around it, the app's own answer."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.middleware.cors import CORSMiddleware

from strongdm_auth import ConfigurationError, Requirement
from strongdm_auth.asgi import StrongDMAuthMiddleware
from strongdm_auth.dpop import NONCE_RENEWAL
from strongdm_auth.testing import Issuer
from tests.contract import BASE, NONCE_SECRET, Headers, World
from tests.contract_cases import bearer, bound
from tests.doors.asgi_calls import RUNNER, ask, call, scope_of
from tests.doors.asgi_client import App

PREFLIGHT = [("Origin", "https://web.example"), ("Access-Control-Request-Method", "GET")]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Issuer(realms=("alpha", "beta", "gamma")).serve() as issuer:
        yield World(issuer)


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def door(app: App, world: World) -> StrongDMAuthMiddleware:
    return StrongDMAuthMiddleware(app, **world.settings())


# Lifespan and what is not ours


def test_start_up_and_shutdown_reach_the_app_and_the_verifier_is_closed_before_the_server_hears_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(2):
            message = await receive()
            told.append(f"app: {message['type']}")
            await send({"type": f"{message['type']}.complete"})

    door = StrongDMAuthMiddleware(app, **world.settings())

    async def closing() -> None:
        told.append("closed")

    monkeypatch.setattr(door.verifier, "aclose", closing)
    waiting = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        told.append(f"server: {message['type']}")

    RUNNER.run(door({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send))
    assert told == [
        "app: lifespan.startup",
        "server: lifespan.startup.complete",
        "app: lifespan.shutdown",
        "closed",
        "server: lifespan.shutdown.complete",
    ]


def test_types_of_scopes_that_nobody_knows_yet_pass_through(app: App, door: StrongDMAuthMiddleware) -> None:
    scope = {"type": "webtransport", "headers": []}
    assert call(door, scope) == []
    assert app.scopes == [scope]
    assert app.scopes[0] is scope


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("path", ["/protected", "/open"])
@pytest.mark.parametrize("credentials", ["good", "bad", "none"])
def test_the_server_s_scope_is_never_changed(kind: str, path: str, credentials: str, app: App, world: World) -> None:
    door = StrongDMAuthMiddleware(app, protected_routes={"/protected": {}}, **world.settings())
    headers = {"good": bearer()(world), "bad": [("Authorization", "Bearer x")], "none": []}[credentials]
    scope = scope_of("GET", path, headers=headers, kind=kind, state={"of": {"the": "lifespan"}})
    before = copy.deepcopy(scope)
    call(door, scope)
    assert scope == before
    assert len(app.scopes) == (path == "/open" or credentials == "good")


# What the app gets


def test_the_app_gets_the_token_and_who_it_is(app: App, door: StrongDMAuthMiddleware, world: World) -> None:
    assert ask(door, "GET", "/x", headers=bearer(scopes=["read", "write"])(world)).body == b"reached"
    (scope,) = app.scopes
    assert scope["auth"].subject == "cli_agent"
    assert scope["auth"].has_scopes("read", "write")
    assert scope["user"].is_authenticated
    assert scope["user"].identity == scope["user"].display_name == "cli_agent"


@pytest.mark.parametrize("path", ["/open", "/optional"])
def test_on_an_open_path_nobody_is_authenticated_whatever_the_scope_said_before(
    path: str, app: App, world: World
) -> None:
    door = StrongDMAuthMiddleware(app, protected_routes={"/optional": {"optional": True}}, **world.settings())
    headers = bearer()(world) if path == "/open" else []
    assert ask(door, "GET", path, headers=headers, auth="someone", user="root").status == 200
    (scope,) = app.scopes
    assert not scope["auth"]
    assert scope["auth"].scopes == frozenset()
    assert not scope["user"].is_authenticated
    assert scope["user"].identity == ""


def test_a_door_behind_a_door_uses_a_proof_once(app: App, door: StrongDMAuthMiddleware, world: World) -> None:
    inner = StrongDMAuthMiddleware(app, require=Requirement(scopes="admin"), **world.settings())
    inner.verifier = door.verifier
    door.app = inner
    assert ask(door, "GET", "/x", headers=bound(path="/x", scopes=["admin"])(world)).status == 200
    assert ask(door, "GET", "/x", headers=bound(path="/x")(world)).status == 403


# Which paths


@pytest.mark.parametrize(
    ("routes", "statuses"),
    [
        ({}, {"/": 401, "/api/admin": 401, "/health": 401}),
        ({"exempt": ["/health"]}, {"/": 401, "/health": 200, "/health/live": 200, "/healthz": 401}),
        ({"require": Requirement(optional=True)}, {"/": 200}),
        ({"protected_routes": {}}, {"/": 200, "/api/admin": 200}),
        ({"protected_routes": {"/api": {}}}, {"/": 200, "/apiX": 200, "/api": 401, "/api/x": 401}),
        (
            {"protected_routes": {"/api": {}, "/api/public": {"optional": True}}},
            {"/api/public": 200, "/api/public/x": 200, "/api/publicX": 401},
        ),
        (
            {"protected_routes": {"/api": {}}, "require": Requirement(), "exempt": ["/api/docs"]},
            {"/": 401, "/api/docs": 200, "/api/docsX": 401, "/api": 401},
        ),
    ],
    ids=str,
)
def test_what_a_stranger_gets(routes: dict[str, Any], statuses: dict[str, int], app: App, world: World) -> None:
    door = StrongDMAuthMiddleware(app, **routes, **world.settings())
    assert {path: ask(door, "GET", path).status for path in statuses} == statuses


def test_what_is_required_everywhere_and_by_an_entry_adds_up(app: App, world: World) -> None:
    table = {"/admin": {"scopes": ["admin"]}}
    door = StrongDMAuthMiddleware(app, protected_routes=table, require=Requirement("read"), **world.settings())

    def status(path: str, *scopes: str) -> int:
        return ask(door, "GET", path, headers=bearer(scopes=scopes)(world)).status

    assert (status("/x", "read"), status("/x", "admin")) == (200, 403)
    assert (status("/admin", "read"), status("/admin", "admin"), status("/admin", "read", "admin")) == (403, 403, 200)
    challenge = ask(door, "GET", "/admin").challenges
    assert challenge["Bearer"]["scope"] == challenge["DPoP"]["scope"] == "admin read"


def test_a_route_table_speaks_of_the_paths_below_the_mount(app: App, world: World) -> None:
    door = StrongDMAuthMiddleware(app, protected_routes={"/admin": {}}, **world.settings())
    for path, root_path in [("/v1/admin", "/v1"), ("/v1/v1/admin", "/v1/v1"), ("/admin", "/v1")]:
        assert ask(door, "GET", path, root_path=root_path).status == 401, path
    assert ask(door, "GET", "/v1/admin").status == 200
    headers = bound(url=BASE + "/v1/admin")(world)
    assert ask(door, "GET", "/v1/admin", root_path="/v1", headers=headers).status == 200


def test_the_proof_names_the_path_as_it_was_sent(app: App, door: StrongDMAuthMiddleware, world: World) -> None:
    def status(url: str) -> int:
        headers = bound(url=BASE + url)(world)
        return ask(door, "GET", "/a/b/c d", headers=headers, raw_path=b"/a/b%2Fc%20d").status

    assert status("/a/b%2Fc%20d") == 200
    assert status("/a/b%2fc%20d") == 200, "the case of an escape makes no difference"
    assert status("/a/b/c%20d") == 401


def test_a_path_that_contradicts_the_one_that_was_sent_is_the_one_that_counts(app: App, world: World) -> None:
    """A middleware in front rewrote it, or lies: the app routes by `path`."""
    door = StrongDMAuthMiddleware(app, protected_routes={"/admin": {}}, **world.settings())
    assert ask(door, "GET", "/admin", raw_path=b"/open").status == 401
    assert ask(door, "GET", "/admin", raw_path=b"/open", headers=bound(path="/admin")(world)).status == 200
    assert ask(door, "GET", "/admin", raw_path=b"/open", headers=bound(path="/open")(world)).status == 401


# CORS


def cross_origin(app: Any) -> CORSMiddleware:
    return CORSMiddleware(
        app,
        allow_origins=["https://web.example"],
        allow_headers=["Authorization", "DPoP"],
        expose_headers=["WWW-Authenticate", "DPoP-Nonce"],
    )


def test_behind_the_app_s_cors_a_preflight_is_answered_and_a_refusal_can_be_read(
    app: App, door: StrongDMAuthMiddleware, world: World
) -> None:
    outer = cross_origin(door)
    asked = [*PREFLIGHT, ("Access-Control-Request-Headers", "authorization, dpop")]
    preflight = ask(outer, "OPTIONS", "/x", headers=asked)
    assert preflight.status == 200
    assert preflight.header("Access-Control-Allow-Origin") == "https://web.example"
    assert app.scopes == [], "Starlette's CORS answers itself"
    refused = ask(outer, "GET", "/x", headers=[("Origin", "https://web.example")])
    assert refused.status == 401
    assert refused.header("Access-Control-Allow-Origin") == "https://web.example"
    assert refused.header("Access-Control-Expose-Headers") == "WWW-Authenticate, DPoP-Nonce"
    assert refused.header("WWW-Authenticate")
    admitted = ask(outer, "GET", "/x", headers=[("Origin", "https://web.example"), *bearer()(world)])
    assert admitted.status == 200
    assert {name.strip() for name in (admitted.header("Vary") or "").split(",")} == {"Authorization", "DPoP", "Origin"}


def test_a_preflight_passes_to_a_cors_that_lies_within(app: App, world: World) -> None:
    door = StrongDMAuthMiddleware(cross_origin(app), **world.settings())
    assert ask(door, "OPTIONS", "/x", headers=PREFLIGHT).status == 200


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "options", "DELETE"])
def test_what_only_looks_like_a_preflight_does_not_pass(method: str, app: App, door: StrongDMAuthMiddleware) -> None:
    assert ask(door, method, "/x", headers=PREFLIGHT).status == 401
    assert app.scopes == []


@pytest.mark.parametrize("headers", [[], PREFLIGHT[:1], PREFLIGHT[1:]])
def test_options_without_both_headers_of_a_preflight_needs_a_token(headers: Headers, door: Any, world: World) -> None:
    assert ask(door, "OPTIONS", "/x", headers=headers).status == 401
    assert ask(door, "OPTIONS", "/x", headers=[*headers, *bearer()(world)]).status == 200


# The app's own answer


def test_a_nonce_is_renewed_on_a_good_answer_that_is_then_not_stored(world: World) -> None:
    app = App((b"Cache-Control", b"max-age=60"), (b"Vary", b"Accept"))
    settings = world.settings(dpop_nonce="required", dpop_nonce_secret=NONCE_SECRET)
    door = StrongDMAuthMiddleware(app, **settings)
    young = ask(door, "GET", "/x", headers=bound(path="/x", nonce=lambda world: world.nonce())(world))
    assert (young.status, young.header("DPoP-Nonce"), young.header("Cache-Control")) == (200, None, "max-age=60")
    ageing = bound(path="/x", nonce=lambda world: world.nonce(NONCE_RENEWAL + 5))
    old = ask(door, "GET", "/x", headers=ageing(world))
    assert (old.status, old.header("Cache-Control")) == (200, "no-store")
    assert old.header("Vary") == "Accept, Authorization, DPoP"
    renewed = old.header("DPoP-Nonce")
    assert renewed
    assert ask(door, "GET", "/x", headers=bound(path="/x", nonce=lambda world: renewed)(world)).status == 200


@pytest.mark.parametrize(
    ("own", "merged"),
    [
        ([], "Authorization, DPoP"),
        ([b"Accept"], "Accept, Authorization, DPoP"),
        ([b"Accept", b"origin, dpop"], "Accept, origin, dpop, Authorization"),
        ([b"AUTHORIZATION, DPOP"], "AUTHORIZATION, DPOP"),
        ([b"*"], "*"),
    ],
)
def test_vary_is_one_header_that_names_what_the_app_and_the_door_vary_by(
    own: list[bytes], merged: str, world: World
) -> None:
    app = App(*((b"vary", value) for value in own))
    door = StrongDMAuthMiddleware(app, **world.settings())
    assert ask(door, "GET", "/x", headers=bearer()(world)).header("Vary") == merged


def test_an_open_path_varies_by_nothing(app: App, world: World) -> None:
    door = StrongDMAuthMiddleware(app, exempt=["/health"], **world.settings())
    assert ask(door, "GET", "/health").header("Vary") is None


def test_a_head_request_is_asked_for_credentials_and_answered_by_the_app(
    app: App, door: StrongDMAuthMiddleware, world: World
) -> None:
    refused = ask(door, "HEAD", "/x")
    assert refused.status == 401
    assert refused.header("WWW-Authenticate") == ask(door, "GET", "/x").header("WWW-Authenticate")
    assert ask(door, "HEAD", "/x", headers=bearer()(world)).status == 200
    assert ask(door, "HEAD", "/x", headers=bound(path="/x", method="HEAD")(world)).status == 200
    assert ask(door, "HEAD", "/x", headers=bound(path="/x", method="GET")(world)).status == 401


def test_of_two_good_authorization_headers_none_counts(app: App, door: StrongDMAuthMiddleware, world: World) -> None:
    answer = ask(door, "GET", "/x", headers=bearer()(world) * 2)
    assert (answer.status, json.loads(answer.body)["error"]) == (400, "invalid_request")
    assert app.scopes == []


def test_a_stream_its_trailers_and_what_runs_after_it_are_left_alone(
    door: StrongDMAuthMiddleware, world: World
) -> None:
    """Each message leaves as it comes, but for the headers of the first; what the app does afterwards is done."""
    messages: list[dict[str, Any]] = [
        {"type": "http.response.debug", "info": {"template": object()}},
        {"type": "http.response.start", "status": 206, "headers": ((b"x-own", b"1"),), "trailers": True},
        {"type": "http.response.body", "body": b"a", "more_body": True},
        {"type": "http.response.body", "body": b"", "more_body": False},
        {"type": "http.response.trailers", "headers": [(b"x-sum", b"2")], "more_trailers": False},
    ]
    sent: list[dict[str, Any]] = []
    seen: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)
            seen.append(len(sent))
        seen.append(await receive())

    async def receive() -> int:
        return 77

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    before = copy.deepcopy(messages[1])
    door.app = app
    RUNNER.run(door(scope_of("GET", "/x", headers=bearer()(world)), receive, send))
    assert seen == [1, 2, 3, 4, 5, 77]
    assert sent[1].pop("headers") == [(b"x-own", b"1"), (b"vary", b"Authorization, DPoP")]
    assert messages[1] == before, "the app's own message is not changed either"
    del messages[1]["headers"]
    assert sent == messages


# Metadata and mistakes


def test_the_metadata_document_is_served_where_the_challenge_says(app: App, world: World) -> None:
    settings = world.settings(resource="https://api.example.com/v1", dpop="required")
    door = StrongDMAuthMiddleware(app, **settings)
    path = "/.well-known/oauth-protected-resource/v1"
    assert ask(door, "GET", "/v1/x").challenges["DPoP"]["resource_metadata"] == BASE + path
    answer = ask(door, "GET", path, headers=[("Host", "evil.example")])
    assert answer.status == 200
    assert answer.header("Access-Control-Allow-Origin") == "*"
    document = json.loads(answer.body)
    assert document["resource"] == "https://api.example.com/v1"
    assert document["dpop_bound_access_tokens_required"] is True
    for other in (path + "/", path + "/x", "/.well-known/oauth-protected-resource"):
        assert ask(door, "GET", other).status == 401, other
    assert ask(door, "POST", path).status == 401
    assert app.scopes == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"audienc": "x"},
        {"algorithms": ["HS256"]},
        {"protected_routes": {"api": {}}},
        {"protected_routes": {"/api": {"scope": "x"}}},
        {"protected_routes": [("/api", {})]},
        {"require": {"scopes": "x"}},
        {"exempt": ["health"]},
        {"exempt": ["/health/../x"]},
        {"introspection": "always", "client_id": None},
    ],
    ids=str,
)
def test_a_mistake_is_a_configuration_error_at_construction(wrong: dict[str, Any], app: App, world: World) -> None:
    with pytest.raises(ConfigurationError):
        StrongDMAuthMiddleware(app, **{**world.settings(), **wrong})
