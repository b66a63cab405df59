"""The contract app behind the REST framework door, without our middleware."""

import tests.doors.django_settings  # noqa: F401  # isort: skip
from typing import Any

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from strongdm_auth.drf import Requires, StrongDMAuthentication
from tests.contract import ROUTES, Answer, Headers, described
from tests.doors.django_calls import Project, ask_wsgi, urls


class Described(APIView):
    authentication_classes = [StrongDMAuthentication]  # noqa: RUF012

    def get(self, request: Request) -> Response:
        return Response(described(request.auth))

    post = get


class DRFDoor:
    """Sends a case's request to API views whose permission is the route's requirement."""

    def __init__(self, settings: dict[str, Any]) -> None:
        routes = [
            path(at[1:], Described.as_view(permission_classes=[Requires(requirement)]))
            for at, requirement in ROUTES.items()
        ]
        configured = {name.upper(): value for name, value in settings.items()}
        self._project = Project(urls(*routes), configured, MIDDLEWARE=[])

    def send(self, method: str, path: str, query: str, headers: Headers) -> Answer:
        with self._project.running():
            return ask_wsgi(method, path, query, headers)

    def close(self) -> None:
        self._project.close()
