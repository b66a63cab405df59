"""The contract app behind the Django door: half of its routes by the middleware's table, half by decorators."""

import tests.doors.django_settings  # noqa: F401  # isort: skip
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.urls import path

from strongdm_auth.django import require
from tests.contract import ROUTES, Answer, Headers, described
from tests.doors.django_calls import Project, ask_asgi, ask_wsgi, urls


def view(request: HttpRequest) -> JsonResponse:
    return JsonResponse(described(request.auth))  # type: ignore[attr-defined]


async def async_view(request: HttpRequest) -> JsonResponse:
    return view(request)


class DjangoDoor:
    """Sends a case's request to WSGI's handler with sync views, or to ASGI's with async ones."""

    def __init__(self, settings: dict[str, Any], *, asynchronous: bool) -> None:
        self._ask = ask_asgi if asynchronous else ask_wsgi
        chosen = async_view if asynchronous else view
        by_table = dict(list(ROUTES.items())[asynchronous::2])
        routes = [
            path(at[1:], chosen if at in by_table else require(requirement)(chosen))
            for at, requirement in ROUTES.items()
        ]
        configured = {name.upper(): value for name, value in settings.items()}
        self._project = Project(urls(*routes), {**configured, "PROTECTED_ROUTES": by_table})

    def send(self, method: str, path: str, query: str, headers: Headers) -> Answer:
        with self._project.running():
            return self._ask(method, path, query, headers)

    def close(self) -> None:
        self._project.close()
