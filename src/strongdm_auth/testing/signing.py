"""What a test client puts on each request that it sends: the agent's credentials, made for exactly this request's method and
URL, as a real agent makes them. What the test itself has put there stays."""

from __future__ import annotations

from strongdm_auth.request import Request
from strongdm_auth.testing.keys import Agent


class Signer:
    """An agent behind a test client. It keeps the nonce that the API gave it last (RFC 9449 section 8), as agents do."""

    def __init__(self, agent: Agent, public_url: str | None) -> None:
        self._agent = agent
        self._public_url = public_url
        self._nonce: str | None = None

    def headers(self, request: Request) -> dict[str, str]:
        """What to add; nothing where the request has an `Authorization` of its own."""
        if request.authorization:
            return {}
        headers = self._agent.headers(request.method, request.uri(self._public_url), self._nonce)
        if request.dpop:
            headers.pop("DPoP", None)
        return headers

    def heard(self, nonce: str | None) -> None:
        """The `DPoP-Nonce` of an answer."""
        self._nonce = nonce or self._nonce
