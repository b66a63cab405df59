"""Starlette's test client, which FastAPI's is, each request of which is an agent's; websockets too."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient

from strongdm_auth.request import Request
from strongdm_auth.testing.keys import Agent
from strongdm_auth.testing.signing import Signer

#: Where a request keeps which headers are ours, for a redirect that is made of it.
_OURS = "strongdm_auth.testing"
#: A websocket's handshake is an HTTP request, and its `htu` an http one (RFC 6455 section 4.1).
_HTTP = {"ws": "http", "wss": "https"}


def starlette_client(app: Any, agent: Agent, *, public_url: str | None = None, **options: Any) -> TestClient:
    """`TestClient(app)`, whose every request carries the agent's token, and a fresh proof if it is bound.

    A request with an `Authorization` of its own is left alone. `public_url` is the setting of that name, if the API has one.
    """
    signer = Signer(agent, public_url)

    def sign(request: Any) -> None:
        for name in request.extensions.get(_OURS, ()):
            request.headers.pop(name, None)
        url = request.url
        origin = f"{_HTTP.get(url.scheme, url.scheme)}://{url.netloc.decode('ascii')}"
        asked = Request(request.method, origin + url.raw_path.decode("ascii"), request.headers.multi_items())
        added = signer.headers(asked)
        request.headers.update(added)
        request.extensions[_OURS] = tuple(added)

    def hear(response: Any) -> None:
        signer.heard(response.headers.get("DPoP-Nonce"))

    client = TestClient(app, **options)
    # Hooks, and not `auth=`: they are called for each request of a chain of redirects, whose proofs differ.
    client.event_hooks = {"request": [sign], "response": [hear]}
    return client
