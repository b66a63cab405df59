"""The decorators and the mixin: on every kind of view, in both modes, with and without the middleware."""

import tests.doors.django_settings  # noqa: F401  # isort: skip
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_page
from django.views.generic import View

from strongdm_auth import AsyncVerifier, ConfigurationError, Requirement
from strongdm_auth.django import (
    RequireAuthMixin,
    require,
    require_all_scopes,
    require_auth,
    require_scope,
)
from tests.contract import BASE, NONCE_SECRET, World
from tests.doors.django_calls import ask_wsgi
from tests.doors.django_projects import (  # noqa: F401
    AUTHENTICATION,
    CSRF,
    LOGIN_REQUIRED,
    OURS,
    SESSIONS,
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

with_and_without = pytest.mark.parametrize("middleware", [[OURS], []], ids=["middleware", "bare"])


class Sync(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return view(request)

    post = get


class Async(View):
    async def get(self, request: HttpRequest) -> HttpResponse:
        return view(request)

    async def post(self, request: HttpRequest) -> HttpResponse:
        return view(request)


class MixedIn(RequireAuthMixin, Sync):
    requirement = Requirement(scopes="admin")


class AsyncMixedIn(RequireAuthMixin, Async):
    requirement = Requirement(scopes="admin")


@method_decorator(require_scope("admin"), name="dispatch")
class Dispatched(Sync):
    pass


@method_decorator(require_scope("admin"), name="dispatch")
class AsyncDispatched(Async):
    pass


class Handler(View):
    @method_decorator(require_scope("admin"))
    def get(self, request: HttpRequest) -> HttpResponse:
        return view(request)


class AsyncHandler(View):
    @method_decorator(require_scope("admin"))
    async def get(self, request: HttpRequest) -> HttpResponse:
        return view(request)


#: Every way to say "scope admin" on a view.
ADMINS: dict[str, Any] = {
    "function": require_scope("admin")(view),
    "async-function": require_scope("admin")(async_view),
    "as-view": require_scope("admin")(Sync.as_view()),
    "async-as-view": require_scope("admin")(Async.as_view()),
    "mixin": MixedIn.as_view(),
    "async-mixin": AsyncMixedIn.as_view(),
    "dispatch": Dispatched.as_view(),
    "async-dispatch": AsyncDispatched.as_view(),
    "handler": Handler.as_view(),
    "async-handler": AsyncHandler.as_view(),
    "all": require_all_scopes("admin")(view),
    "requirement": require(Requirement(scopes="admin"))(view),
    "parts": require(scopes="admin")(async_view),
    "stacked": require_auth(require_scope("admin")(view)),
    "async-stacked": require_auth()(require_scope("admin")(async_view)),
    "mixin-overridden": MixedIn.as_view(requirement=Requirement(scopes="admin x")),
}


@both_servers
@with_and_without
@pytest.mark.parametrize("name", ADMINS)
def test_a_view_lets_in_whom_it_asks_for(
    name: str, ask: Ask, middleware: list[str], serve: Serve, world: World
) -> None:
    serve({name: ADMINS[name]}, MIDDLEWARE=middleware)
    without = ask("GET", f"/{name}")
    assert (without.status, without.header("Cache-Control")) == (401, "no-store")
    less = ask("GET", f"/{name}", headers=bearer(world))
    assert less.status == 403
    assert "admin" in less.challenges["Bearer"]["scope"].split()
    good = ask("GET", f"/{name}", headers=bound(world, f"/{name}", scopes=["admin", "x"]))
    assert (good.status, good.body) == (200, b'{"subject": "cli_agent"}')
    assert good.header("Vary") == "Authorization, DPoP"


@pytest.mark.parametrize("name", [name for name in ADMINS if "handler" not in name])
def test_a_post_with_a_token_needs_no_csrf_cookie(name: str, serve: Serve, world: World) -> None:
    serve({name: ADMINS[name]}, MIDDLEWARE=[CSRF, OURS])
    assert ask_wsgi("POST", f"/{name}", headers=bearer(world, scopes=["admin", "x"])).status == 200


@with_and_without
def test_a_view_that_lets_anyone_in_keeps_its_csrf_check(middleware: list[str], serve: Serve, world: World) -> None:
    serve({"x": require(optional=True)(view)}, MIDDLEWARE=[CSRF, *middleware])
    assert ask_wsgi("POST", "/x").status == 403
    assert ask_wsgi("GET", "/x").body == b'{"subject": null}'
    assert ask_wsgi("GET", "/x", headers=[("Authorization", "Bearer abc")]).status == 401


def test_a_decorator_outside_of_an_optional_one_decides_about_csrf() -> None:
    assert require_auth(require(optional=True)(view)).csrf_exempt is True
    assert require(optional=True)(require_auth(view)).csrf_exempt is True
    assert not hasattr(require(optional=True)(view), "csrf_exempt")
    assert not hasattr(view, "csrf_exempt"), "the view itself is not changed"


@pytest.mark.parametrize("name", [name for name in ADMINS if "handler" not in name])
def test_nobody_is_sent_to_a_login_page(name: str, serve: Serve, world: World) -> None:
    serve({name: ADMINS[name]}, MIDDLEWARE=[SESSIONS, AUTHENTICATION, LOGIN_REQUIRED, OURS])
    assert ask_wsgi("GET", f"/{name}").status == 401
    assert ask_wsgi("GET", f"/{name}", headers=bearer(world, scopes=["admin", "x"])).status == 200


def test_a_view_that_lets_anyone_in_keeps_its_login_page(serve: Serve) -> None:
    serve(
        {"x": require(optional=True)(view)},
        MIDDLEWARE=[SESSIONS, AUTHENTICATION, LOGIN_REQUIRED, OURS],
        LOGIN_URL="/login",
    )
    assert ask_wsgi("GET", "/x").status == 302


@both_servers
def test_a_proof_counts_once_over_requests_and_not_within_one(ask: Ask, serve: Serve, world: World) -> None:
    serve({"x": require(dpop=True)(require_scope("read")(async_view))}, {"PROTECTED_ROUTES": {"/x": {}}})
    headers = bound(world, "/x")
    assert ask("GET", "/x", headers=headers).status == 200
    assert ask("GET", "/x", headers=headers).status == 401


@with_and_without
def test_a_renewed_nonce_comes_back_on_success(middleware: list[str], serve: Serve, world: World) -> None:
    serve(
        {"x": require_auth(view)}, {"DPOP_NONCE": "required", "DPOP_NONCE_SECRET": NONCE_SECRET}, MIDDLEWARE=middleware
    )
    token = world.token(key=world.key)
    proof = world.key.proof("GET", f"{BASE}/x", token, nonce=world.nonce(200))
    answer = ask_wsgi("GET", "/x", headers=[("Authorization", f"DPoP {token}"), ("DPoP", proof)])
    assert (answer.status, answer.header("Cache-Control")) == (200, "no-store")
    assert answer.header("DPoP-Nonce")


def test_a_page_that_a_token_let_in_is_not_kept_in_the_cache(serve: Serve, world: World) -> None:
    answered = iter(range(9))

    def counting(request: HttpRequest) -> HttpResponse:
        return HttpResponse(str(next(answered)))

    serve({"x": cache_page(60)(require_auth(view)), "y": cache_page(60)(require(optional=True)(counting))})
    headers = bound(world, "/x")
    assert [ask_wsgi("GET", "/x", headers=headers).status for _ in range(2)] == [200, 401]
    assert [ask_wsgi("GET", "/y").body for _ in range(2)] == [b"0", b"0"], "for strangers it is the same page"
    assert [ask_wsgi("GET", "/y", headers=bearer(world)).body for _ in range(2)] == [b"1", b"2"]


def test_what_an_app_says_of_an_answer_stays(serve: Serve, world: World) -> None:
    def own(request: HttpRequest) -> HttpResponse:
        return HttpResponse(headers={"Vary": "Accept, authorization", "Cache-Control": "max-age=5"})

    serve({"x": require_auth(own)})
    answer = ask_wsgi("GET", "/x", headers=bearer(world))
    assert (answer.header("Vary"), answer.header("Cache-Control")) == ("Accept, authorization, DPoP", "max-age=5")


def test_a_guarded_view_keeps_its_names_and_its_kind() -> None:
    assert require_auth(view).__name__ == "view"
    assert require_auth(Sync.as_view()).view_class is Sync
    assert iscoroutinefunction(require_auth(async_view))
    assert iscoroutinefunction(AsyncMixedIn.as_view())
    assert not iscoroutinefunction(MixedIn.as_view())


def test_the_mixin_asks_before_the_view_is_set_up(serve: Serve) -> None:
    class Careless(RequireAuthMixin, Sync):
        def setup(self, request: Any, *args: Any, **kwargs: Any) -> None:
            raise AssertionError("set up for a stranger")

    serve({"x": Careless.as_view()})
    assert ask_wsgi("GET", "/x").status == 401


def test_the_route_may_say_what_a_class_needs(serve: Serve, world: World) -> None:
    serve({"x": MixedIn.as_view(requirement=Requirement(scopes="x"))})
    assert ask_wsgi("GET", "/x", headers=bearer(world, scopes=["admin"])).status == 403
    assert ask_wsgi("GET", "/x", headers=bearer(world, scopes=["x"])).status == 200


@with_and_without
def test_under_wsgi_an_async_view_waits_in_a_thread(
    middleware: list[str], serve: Serve, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its event loop ends with the request, and would take a refresh of the keys along."""
    serve({"x": require_auth(async_view)}, MIDDLEWARE=middleware)
    monkeypatch.delattr(AsyncVerifier, "admit")
    assert ask_wsgi("GET", "/x", headers=bearer(world)).status == 200


def test_the_mixin_must_stand_left_of_the_view() -> None:
    with pytest.raises(ConfigurationError, match="left of the view class"):
        type("Wrong", (Sync, RequireAuthMixin), {})


def test_a_decorator_on_a_method_says_what_to_do() -> None:
    class Wrong(View):
        @require_auth
        def get(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse()

    with pytest.raises(ConfigurationError, match="RequireAuthMixin"):
        Wrong.as_view()(RequestFactory().get("/"))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: require_scope(),
        lambda: require_scope(view),  # type: ignore[arg-type]
        lambda: require_scope("a b"),
        lambda: require("admin"),  # type: ignore[arg-type]
    ],
)
def test_a_requirement_that_makes_no_sense_is_refused_at_import(wrong: Callable[[], Any]) -> None:
    with pytest.raises(ConfigurationError):
        wrong()


def test_parts_tighten_a_requirement(serve: Serve, world: World) -> None:
    serve({"x": require(Requirement(scopes="read"), dpop=True)(view)})
    assert ask_wsgi("GET", "/x", headers=bearer(world)).status == 401
    assert ask_wsgi("GET", "/x", headers=bound(world, "/x", scopes=["x"])).status == 403
    assert ask_wsgi("GET", "/x", headers=bound(world, "/x")).status == 200
