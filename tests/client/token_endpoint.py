"""An issuer's token endpoint that answers what a test says."""

from typing import Any
from urllib.parse import parse_qs

import httpx

from strongdm_auth.client import ClientCredentials
from tests.client.conftest import Time, as_json, network_of

ISSUER = "https://id.example.com"


class TokenEndpoint:
    """An issuer without a discovery document whose token endpoint answers what the test says, then tokens."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.got: list[httpx.Request] = []
        self.others: list[str] = []
        self.count = 0

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    @property
    def forms(self) -> list[dict[str, list[str]]]:
        return [parse_qs(request.content.decode()) for request in self.got]

    def token(self, **members: Any) -> httpx.Response:
        self.count += 1
        honest = {"access_token": f"token-{self.count}", "token_type": "Bearer", "expires_in": 3600, "scope": "read"}
        answer = {name: value for name, value in {**honest, **members}.items() if value is not None}
        return as_json(200, answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/token"):
            self.others.append(str(request.url))
            return httpx.Response(404)
        self.got.append(request)
        answer = self.answers.pop(0) if self.answers else self.token()
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        return answer


def source_at(endpoint: TokenEndpoint, time: Time, **changes: Any) -> ClientCredentials:
    network = network_of(endpoint.transport, time, **changes.pop("network", {}))
    arguments: dict[str, Any] = {"scopes": None} | changes
    return ClientCredentials(ISSUER, "cli_1", "sec:ret/1", network=network, **arguments)
