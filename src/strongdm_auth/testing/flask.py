"""Flask's test client, each request of which is an agent's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask
from flask.testing import FlaskClient

from strongdm_auth.request import EnvironRequest
from strongdm_auth.testing.keys import Agent
from strongdm_auth.testing.signing import Signer

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from werkzeug.datastructures import Headers

    class _Base(FlaskClient): ...
else:
    _Base = object


class _Signing(_Base):
    """Mixed into the app's own class of test clients."""

    signer: Signer

    def run_wsgi_app(self, environ: WSGIEnvironment, buffered: bool = False) -> tuple[Iterable[bytes], str, Headers]:
        # Every request comes by here, redirects too. A copy: a redirect is made of the environ, and is signed anew.
        signed = dict(environ)
        for name, value in self.signer.headers(EnvironRequest(environ)).items():
            signed[f"HTTP_{name.upper()}"] = value
        answer = super().run_wsgi_app(signed, buffered)
        self.signer.heard(answer[2].get("DPoP-Nonce"))
        return answer


def flask_client(app: Flask, agent: Agent, *, public_url: str | None = None, **options: Any) -> FlaskClient:
    """`app.test_client()`, whose every request carries the agent's token, and a fresh proof if it is bound.

    A request with an `Authorization` of its own is left alone. `public_url` is the setting of that name, if the API has one.
    """
    own: type[FlaskClient] = app.test_client_class or FlaskClient
    signing: type[Any] = type("AgentClient", (_Signing, own), {})
    client: Any = signing(app, app.response_class, **{"use_cookies": True, **options})
    client.signer = Signer(agent, public_url)
    found: FlaskClient = client
    return found
