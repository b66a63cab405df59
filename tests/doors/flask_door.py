"""The contract app behind the Flask door, with sync views and with async ones."""

from typing import Any

from flask import Flask

from strongdm_auth.flask import StrongDMAuth, current_token
from tests.contract import BASE, ROUTES, Answer, Headers, described


def build(settings: dict[str, Any], *, asynchronous: bool) -> Flask:
    app = Flask("contract")
    auth = StrongDMAuth(app, **settings)

    def view() -> dict[str, Any]:
        return described(current_token if auth.get_current_agent() else None)

    async def async_view() -> dict[str, Any]:
        return view()

    for path, requirement in ROUTES.items():
        guarded = auth.require(requirement)(async_view if asynchronous else view)
        app.add_url_rule(path, path, guarded, methods=["GET", "POST"])
    return app


class FlaskDoor:
    """Sends a case's request to the app through werkzeug's test client, which speaks WSGI to it."""

    def __init__(self, settings: dict[str, Any], *, asynchronous: bool) -> None:
        self._client = build(settings, asynchronous=asynchronous).test_client()

    def send(self, method: str, path: str, query: str, headers: Headers) -> Answer:
        url = f"{BASE}{path}" + (f"?{query}" if query else "")
        response = self._client.open(url, method=method, headers=as_a_server_joins(headers))
        return Answer.of(response.status_code, list(response.headers), response.data)

    def close(self) -> None:
        """Nothing: what it holds ends with it."""


def as_a_server_joins(headers: Headers) -> Headers:
    """WSGI servers hand a repeated field over as one value (RFC 9110 5.3); gunicorn, uWSGI and mod_wsgi with a comma."""
    joined: dict[str, str] = {}
    for name, value in headers:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return list(joined.items())
