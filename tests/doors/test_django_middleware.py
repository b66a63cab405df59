"""The middleware: PROTECTED_ROUTES, REQUIRE, refusals of views, preflights, CSRF, and settings that change."""

import asyncio
from typing import Any

import pytest
from asgiref.sync import iscoroutinefunction
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, RequestFactory, override_settings
from django.utils.deprecation import MiddlewareMixin

from strongdm_auth import ConfigurationError, Requirement, StrongDMAuthError
from strongdm_auth.django import StrongDMAuthMiddleware, aauthorize, authorize, conf, public, require_scope
from strongdm_auth.settings import SecurityWarning
from tests.contract import World
from tests.doors.django_calls import ask_asgi, ask_wsgi
from tests.doors.django_projects import (  # noqa: F401
    CSRF,
    OURS,
    Ask,
    Serve,
    a_project,
    a_world,
    async_view,
    bearer,
    both_servers,
    bound,
    view,
)

PREFLIGHT = [("Origin", "https://spa.example"), ("Access-Control-Request-Method", "POST")]


class SyncOnly(MiddlewareMixin):
    """Somebody's middleware that knows threads only."""

    async_capable = False


def test_without_routes_it_protects_nothing(serve: Serve) -> None:
    serve({"x": view})
    answer = ask_wsgi("GET", "/x")
    assert (answer.status, answer.body, answer.header("Vary")) == (200, b'{"subject": null}', None)


@both_servers
@pytest.mark.parametrize("around", [[OURS], [SyncOnly, OURS], [OURS, SyncOnly], [SyncOnly, OURS, SyncOnly]], ids=len)
@pytest.mark.parametrize("seen_by", [view, async_view])
def test_paths_of_the_table_are_protected_in_every_mode(
    seen_by: Any, around: list[Any], ask: Ask, serve: Serve, world: World
) -> None:
    names = [f"{__name__}.SyncOnly" if each is SyncOnly else each for each in around]
    routes = {"/x": {}, "/x/admin": {"scopes": ["admin"]}}
    serve({"x": seen_by, "x/admin": seen_by, "y": seen_by}, {"PROTECTED_ROUTES": routes}, MIDDLEWARE=names)
    assert ask("GET", "/y").status == 200
    assert ask("GET", "/x").status == 401
    assert ask("GET", "/x/nowhere").status == 401
    assert ask("GET", "/x", headers=bearer(world)).body == b'{"subject": "cli_agent"}'
    assert ask("GET", "/x/admin", headers=bearer(world)).challenges["Bearer"]["scope"] == "admin"
    assert ask("GET", "/x/admin", headers=bound(world, "/x/admin", scopes=["admin"])).status == 200


def test_it_awaits_in_event_loops_and_not_in_threads() -> None:
    async def get_response(request: Any) -> HttpResponse:
        return HttpResponse()

    awaiting, waiting = StrongDMAuthMiddleware(get_response), StrongDMAuthMiddleware(lambda request: HttpResponse())
    assert iscoroutinefunction(awaiting)
    assert iscoroutinefunction(awaiting.process_view)
    assert not iscoroutinefunction(waiting)
    assert not iscoroutinefunction(waiting.process_view)
    coroutine = awaiting(RequestFactory().get("/"))
    assert asyncio.iscoroutine(coroutine)
    coroutine.close()


@both_servers
def test_both_sides_know_of_a_used_proof(ask: Ask, serve: Serve, world: World) -> None:
    serve({"x": view}, {"PROTECTED_ROUTES": {"/x": {}}})
    headers, other = bound(world, "/x"), ask_asgi if ask is ask_wsgi else ask_wsgi
    assert ask("GET", "/x", headers=headers).status == 200
    assert other("GET", "/x", headers=headers).status == 401


@both_servers
@pytest.mark.parametrize("configured", [{"PROTECTED_ROUTES": {"/x": {}}}, {"REQUIRE": True}])
def test_a_post_with_a_token_needs_no_csrf_cookie(
    configured: dict[str, Any], ask: Ask, serve: Serve, world: World
) -> None:
    order = [OURS, CSRF] if "REQUIRE" in configured else [CSRF, OURS]
    serve({"x": view}, configured, MIDDLEWARE=order)
    assert ask("POST", "/x", headers=bearer(world)).status == 200
    assert ask("POST", "/x").status == 401


@both_servers
def test_what_lets_anyone_in_keeps_its_csrf_check(ask: Ask, serve: Serve, world: World) -> None:
    serve({"x": view, "y": view}, {"PROTECTED_ROUTES": {"/x": {"optional": True}}}, MIDDLEWARE=[CSRF, OURS])
    assert ask("POST", "/x").status == 403
    assert ask("POST", "/x", headers=bearer(world)).status == 403
    assert ask("POST", "/y", headers=bearer(world)).status == 403
    assert ask("GET", "/x").header("Vary") == "Authorization, DPoP"


@both_servers
def test_a_preflight_passes_and_reaches_no_view(ask: Ask, serve: Serve) -> None:
    def careless(request: HttpRequest) -> HttpResponse:
        raise AssertionError("it ran for a stranger")

    for configured in ({"PROTECTED_ROUTES": {"/x": {}}}, {"REQUIRE": True}):
        serve({"x": careless}, configured)
        assert ask("OPTIONS", "/x", headers=PREFLIGHT).status == 204
        assert ask("OPTIONS", "/x").status == 401
        assert ask("OPTIONS", "/x", headers=PREFLIGHT[:1]).status == 401
        assert ask("OPTIONS", "/x", headers=PREFLIGHT[1:]).status == 401
        assert ask("POST", "/x", headers=PREFLIGHT).status == 401
    serve({"x": require_scope("admin")(careless)})
    assert ask("OPTIONS", "/x", headers=PREFLIGHT).status == 401


class Cors(MiddlewareMixin):
    """Answers preflights, as CORS middlewares do."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        return HttpResponse(headers={"Access-Control-Allow-Origin": "*"}) if request.method == "OPTIONS" else None


@both_servers
def test_a_cors_middleware_further_in_answers_the_preflight(ask: Ask, serve: Serve) -> None:
    serve({"x": view}, {"PROTECTED_ROUTES": {"/x": {}}}, MIDDLEWARE=[OURS, f"{__name__}.Cors"])
    assert ask("OPTIONS", "/x", headers=PREFLIGHT).header("Access-Control-Allow-Origin") == "*"


@both_servers
def test_require_means_every_view_that_is_not_public(ask: Ask, serve: Serve, world: World) -> None:
    @public
    def open_to_all(request: HttpRequest) -> HttpResponse:
        return view(request)

    views = {
        "x": view,
        "async": async_view,
        "open": open_to_all,
        "guarded": public(require_scope("admin")(view)),
        "table/open": open_to_all,
        "health": view,
        "health/x": view,
    }
    configured = {"REQUIRE": {"scopes": "read"}, "PROTECTED_ROUTES": {"/table": {}}, "EXEMPT": ["/health"]}
    serve(views, configured)
    statuses = {name: ask("GET", f"/{name}").status for name in [*views, "nowhere"]}
    assert statuses == {
        "x": 401, "async": 401, "open": 200, "guarded": 401, "table/open": 401, "health": 200, "health/x": 200, "nowhere": 404,
    }  # fmt: skip
    assert ask("GET", "/x", headers=bearer(world)).status == 200
    assert ask("GET", "/async", headers=bound(world, "/async")).status == 200
    assert ask("GET", "/x", headers=bearer(world, scopes=["y"])).challenges["Bearer"]["scope"] == "read"
    assert ask("GET", "//health").status == 404
    assert ask("GET", "/Health/../x").status in (401, 404)


@pytest.mark.parametrize("required", [True, {}, Requirement()])
def test_require_is_spelled_in_three_ways(required: Any, serve: Serve, world: World) -> None:
    serve({"x": view}, {"REQUIRE": required})
    assert (ask_wsgi("GET", "/x").status, ask_wsgi("GET", "/x", headers=bearer(world)).status) == (401, 200)


@pytest.mark.parametrize("required", [False, None])
def test_require_can_be_off(required: Any, serve: Serve) -> None:
    serve({"x": view}, {"REQUIRE": required})
    assert ask_wsgi("GET", "/x").status == 200


@both_servers
def test_a_view_may_refuse_by_itself(ask: Ask, serve: Serve, world: World) -> None:
    def no_account(request: HttpRequest) -> HttpResponse:
        raise StrongDMAuthError("No such account", 403)

    def asks(request: HttpRequest) -> HttpResponse:
        authorize(request, Requirement(scopes="admin"))
        return view(request)

    async def asks_async(request: HttpRequest) -> HttpResponse:
        await aauthorize(request, Requirement(scopes="admin"))
        return view(request)

    serve({"no-account": no_account, "asks": asks, "asks-async": asks_async})
    answer = ask("GET", "/no-account")
    assert answer.body == b'{"error": "access_denied", "error_description": "No such account"}\n'
    assert (answer.status, answer.challenges["Bearer"]["error"]) == (403, "access_denied")
    for name in ("asks", "asks-async"):
        refused = ask("GET", f"/{name}", headers=bearer(world))
        assert (refused.status, refused.challenges["Bearer"]["scope"]) == (403, "admin")
        assert ask("GET", f"/{name}").status == 401
        assert ask("GET", f"/{name}", headers=bound(world, f"/{name}", scopes=["admin"])).status == 200


@pytest.mark.parametrize("fault", [ConfigurationError("audience ..."), ValueError("something else")])
def test_a_fault_of_the_deployment_is_no_refusal(fault: Exception, serve: Serve) -> None:
    def faulty(request: HttpRequest) -> HttpResponse:
        raise fault

    serve({"x": faulty}, DEBUG_PROPAGATE_EXCEPTIONS=True)
    with pytest.raises(type(fault)):
        ask_wsgi("GET", "/x")


@pytest.mark.parametrize(
    "wrong",
    [
        {"LEEWAY": "a while"},
        {"AUDIENCES": "x"},
        {"audience": "x"},
        {"PROTECTED_ROUTES": {"x": {}}},
        {"REQUIRE": "admin"},
    ],
    ids=str,
)
def test_a_wrong_setting_stops_the_server_from_starting(wrong: dict[str, Any], serve: Serve) -> None:
    for wrong in (
        {"LEEWAY": "a while"},
        {"AUDIENCES": "x"},
        {"audience": "x"},
        {"PROTECTED_ROUTES": {"x": {}}},
        {"REQUIRE": "admin"},
    ):
        serve({"x": view}, wrong)
        with pytest.raises(ConfigurationError):
            WSGIHandler()


def test_doubts_are_warned_of_at_start_up_unless_the_checks_have_shown_them(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conf, "doubts_were_shown", False)
    serve({"x": view}, {"AUDIENCE": None})
    with pytest.warns(SecurityWarning, match="audience is not set"):
        WSGIHandler()
    monkeypatch.setattr(conf, "doubts_were_shown", True)
    serve({"x": view}, {"AUDIENCE": None, "LEEWAY": 1})
    WSGIHandler()


def test_settings_come_from_the_environment_where_the_project_says_nothing(
    serve: Serve, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRONGDM_AUDIENCE", "https://else.example")
    serve({"x": require_scope("read")(view)}, {"AUDIENCE": None})
    assert ask_wsgi("GET", "/x", headers=bearer(world)).status == 401
    assert ask_wsgi("GET", "/x", headers=bearer(world, audience="https://else.example")).status == 200


def test_overridden_settings_count_at_once(serve: Serve, world: World) -> None:
    serve({"x": view}, {"PROTECTED_ROUTES": {"/x": {}}})
    handler = ask_wsgi("GET", "/x", headers=bearer(world))
    assert handler.status == 200
    before = conf.current()
    with override_settings(STRONGDM_AUTH={"REALMS": "beta", "AUDIENCE": "y", "PROTECTED_ROUTES": {}}):
        assert conf.current() is not before
        assert conf.current().settings.audience == ("y",)
        assert ask_wsgi("GET", "/x").status == 200
    with override_settings(TIME_ZONE="UTC"):
        pass
    assert ask_wsgi("GET", "/x").status == 401
    kept = conf.current()
    with override_settings(USE_TZ=True):
        assert conf.current() is kept, "another setting is none of ours"


def test_overridden_settings_count_in_async_tests(serve: Serve, world: World) -> None:
    serve({"x": async_view}, {"PROTECTED_ROUTES": {"/x": {}}})

    async def scenario() -> list[int]:
        client, statuses = AsyncClient(), []
        for changed in ({}, {"PROTECTED_ROUTES": {}}, {}):
            with override_settings(STRONGDM_AUTH={**conf.configured(), **changed}):
                statuses.append((await client.get("/x")).status_code)
        return statuses

    assert asyncio.run(scenario()) == [401, 200, 401]


def test_a_view_under_the_test_client_may_read_auth_without_a_token(serve: Serve) -> None:
    request = RequestFactory().get("/")
    StrongDMAuthMiddleware(lambda given: HttpResponse())(request)
    assert request.auth is None  # type: ignore[attr-defined]


def test_what_another_layer_called_auth_is_left_alone() -> None:
    request = RequestFactory().get("/")
    request.auth = "someone else's"  # type: ignore[attr-defined]
    StrongDMAuthMiddleware(lambda given: HttpResponse())(request)
    assert request.auth == "someone else's"  # type: ignore[attr-defined]
