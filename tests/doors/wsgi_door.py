"""The contract app behind the WSGI middleware."""

import json
from typing import Any

from werkzeug.test import Client

from strongdm_auth.wsgi import TOKEN, StrongDMAuthMiddleware
from tests.contract import BASE, ROUTES, Answer, Headers, described
from tests.doors.flask_door import as_a_server_joins


def application(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(described(environ[TOKEN])).encode()]


class WSGIDoor:
    def __init__(self, settings: dict[str, Any]) -> None:
        self._client = Client(StrongDMAuthMiddleware(application, protected_routes=ROUTES, **settings))

    def send(self, method: str, path: str, query: str, headers: Headers) -> Answer:
        joined = as_a_server_joins(headers)
        response = self._client.open(path, base_url=BASE, query_string=query, method=method, headers=joined)
        return Answer.of(response.status_code, list(response.headers), response.data)

    def close(self) -> None:
        """Nothing: what it holds ends with it."""
