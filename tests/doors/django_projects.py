"""Fixtures for the Django tests: a served issuer, and projects that last for one test. Imported by name where needed."""

import tests.doors.django_settings  # noqa: F401  # isort: skip
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.http import HttpResponse, JsonResponse
from django.test import override_settings
from django.urls import path, re_path

from strongdm_auth.testing import Issuer
from tests.contract import BASE, Answer, Headers, World
from tests.doors.django_calls import ask_asgi, ask_wsgi, urls

OURS = "strongdm_auth.django.StrongDMAuthMiddleware"
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
LOGIN_REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"

Ask = Callable[..., Answer]
Serve = Callable[..., None]
both_servers = pytest.mark.parametrize("ask", [ask_wsgi, ask_asgi], ids=["wsgi", "asgi"])


@pytest.fixture(name="world", scope="module")
def a_world() -> Iterator[World]:
    with Issuer(realms=("alpha", "beta", "gamma")).serve() as issuer:
        yield World(issuer)


@pytest.fixture(name="serve")
def a_project(world: World) -> Iterator[Serve]:
    """Makes the next requests go to a project with these views (name or regular expression -> view) and settings."""
    overrides: list[override_settings] = []

    def make(views: dict[str, Any], configured: dict[str, Any] | None = None, **settings: Any) -> None:
        given = {name.upper(): value for name, value in world.settings().items()} | (configured or {})
        patterns = [(re_path if name.startswith("^") else path)(name, each) for name, each in views.items()]
        override = override_settings(ROOT_URLCONF=urls(*patterns), STRONGDM_AUTH=given, **settings)
        override.enable()
        overrides.append(override)

    yield make
    for override in reversed(overrides):
        override.disable()


def view(request: Any, **_: Any) -> HttpResponse:
    """Who the request is from."""
    return JsonResponse({"subject": request.auth and request.auth.subject})


async def async_view(request: Any, **_: Any) -> HttpResponse:
    return view(request)


def bearer(world: World, **made: Any) -> Headers:
    return [("Authorization", f"Bearer {world.token(**made)}")]


def bound(world: World, at: str, base: str = BASE, **made: Any) -> Headers:
    token = world.token(key=world.key, **made)
    return [("Authorization", f"DPoP {token}"), ("DPoP", world.key.proof("GET", base + at, token))]
