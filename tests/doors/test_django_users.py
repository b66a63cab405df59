"""`USER`: from a token to `request.user`, by a sync or an async callable, once for a request."""

import tests.doors.django_settings  # noqa: F401  # isort: skip
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest, HttpResponse, JsonResponse

from strongdm_auth import AccessToken, StrongDMAuthError
from strongdm_auth.django import require_auth, require_scope
from tests.contract import World
from tests.doors.django_projects import (  # noqa: F401
    AUTHENTICATION,
    LOGIN_REQUIRED,
    OURS,
    SESSIONS,
    Ask,
    Serve,
    a_project,
    a_world,
    bearer,
    both_servers,
)

CALLS: list[str | None] = []


def user_of(token: AccessToken) -> User | None:
    CALLS.append(token.subject)
    if token.subject == "cli_banned":
        raise StrongDMAuthError("This agent is banned", 403)
    return None if token.subject == "cli_unknown" else User(username=token.subject)


async def async_user_of(token: AccessToken) -> User | None:
    return user_of(token)


def who(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"user": str(request.user), "known": request.user.is_authenticated})


async def async_who(request: HttpRequest) -> HttpResponse:
    user = await request.auser()
    return JsonResponse({"user": str(user), "known": user.is_authenticated})


@both_servers
@pytest.mark.parametrize("resolver", [f"{__name__}.user_of", f"{__name__}.async_user_of", user_of])
@pytest.mark.parametrize("seen_by", [who, async_who])
@pytest.mark.parametrize("by", ["table", "require", "decorator", "bare decorator"])
def test_the_resolver_says_who_a_token_is(
    by: str, seen_by: Any, resolver: Any, ask: Ask, serve: Serve, world: World
) -> None:
    configured = {"USER": resolver} | {"table": {"PROTECTED_ROUTES": {"/": {}}}, "require": {"REQUIRE": True}}.get(
        by, {}
    )
    guarded = require_auth(require_scope("read")(seen_by)) if "decorator" in by else seen_by
    middleware = [SESSIONS, AUTHENTICATION] if by == "bare decorator" else [SESSIONS, AUTHENTICATION, OURS]
    serve({"x": guarded}, configured, MIDDLEWARE=middleware)
    CALLS.clear()
    assert ask("GET", "/x", headers=bearer(world)).body == b'{"user": "cli_agent", "known": true}'
    assert CALLS == ["cli_agent"], "once"
    assert ask("GET", "/x").status == 401
    assert CALLS == ["cli_agent"]


@both_servers
def test_a_token_that_is_no_users_is_nobody_whatever_the_session_says(ask: Ask, serve: Serve, world: World) -> None:
    class AlwaysRoot:
        """A session that somebody is logged in with."""

        def __init__(self, get_response: Any) -> None:
            self.get_response = get_response

        def __call__(self, request: Any) -> Any:
            request.user = User(username="root")
            return self.get_response(request)

    globals()["AlwaysRoot"] = AlwaysRoot
    middleware = [f"{__name__}.AlwaysRoot", OURS]
    serve({"x": require_auth(who)}, {"USER": user_of}, MIDDLEWARE=middleware)
    answer = ask("GET", "/x", headers=bearer(world, subject="cli_unknown"))
    assert answer.body == f'{{"user": "{AnonymousUser()}", "known": false}}'.encode()
    serve({"x": require_auth(who)}, MIDDLEWARE=middleware)
    assert ask("GET", "/x", headers=bearer(world)).body == b'{"user": "root", "known": true}', "no USER, no change"


@both_servers
@pytest.mark.parametrize("configured", [{}, {"PROTECTED_ROUTES": {"/": {}}}, {"REQUIRE": True}])
def test_the_resolver_may_refuse(configured: dict[str, Any], ask: Ask, serve: Serve, world: World) -> None:
    serve({"x": require_auth(who)}, {"USER": user_of, **configured})
    answer = ask("GET", "/x", headers=bearer(world, subject="cli_banned"))
    assert (answer.status, answer.body) == (
        403,
        b'{"error": "access_denied", "error_description": "This agent is banned"}\n',
    )


def test_a_user_passes_the_login_of_undecorated_views(serve: Serve, world: World) -> None:
    from tests.doors.django_calls import ask_wsgi

    serve(
        {"x": who},
        {"USER": user_of, "PROTECTED_ROUTES": {"/": {}}},
        MIDDLEWARE=[SESSIONS, AUTHENTICATION, OURS, LOGIN_REQUIRED],
    )
    assert ask_wsgi("GET", "/x", headers=bearer(world)).status == 200
    assert ask_wsgi("GET", "/x").status == 401
