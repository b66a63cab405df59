"""An app inside of `sender_constrained`, in this process, and agents that are signed for it."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from strongdm_auth import AsyncVerifier
from strongdm_auth.mcp import StrongDMTokenVerifier
from strongdm_auth.testing import Agent, Issuer
from tests.contract import BASE, Answer

RESOURCE = f"{BASE}/mcp"
DOCUMENT = "/.well-known/oauth-protected-resource/mcp"
Pairs = list[tuple[str, str]]


def make_auth(issuer: Issuer, **settings: Any) -> StrongDMTokenVerifier:
    settings = {"issuer": issuer.url, "realms": ["acme"], "audience": RESOURCE, "resource": RESOURCE} | settings
    return StrongDMTokenVerifier(AsyncVerifier(client=httpx.AsyncClient(transport=issuer.transport()), **settings))


def agent(issuer: Issuer, scopes: str = "notes:read", **made: Any) -> Agent:
    return issuer.agent(**{"subject": "cli_agent", "realm": "acme", "audience": RESOURCE, "scopes": scopes} | made)


def signed(agent: Agent, method: str = "POST", path: str = "/mcp", nonce: str | None = None) -> Pairs:
    return list(agent.headers(method, BASE + path, nonce).items())


class Inside:
    """An app that verifies the Bearer token it gets, as an MCP server does, and notes what it saw."""

    def __init__(self, auth: StrongDMTokenVerifier, during: Callable[[], Awaitable[None]] | None = None) -> None:
        self._auth, self._during = auth, during
        self.scopes: list[dict[str, Any]] = []
        #: The subject of each request's token; None where there was none.
        self.subjects: list[str | None] = []
        self.bodies: list[bytes] = []

    def header(self, name: bytes) -> list[bytes]:
        return [value for each, value in self.scopes[-1]["headers"] if each.lower() == name]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        token = dict(scope["headers"]).get(b"authorization", b"").decode().partition(" ")[2]
        told = await self._auth.verify_token(token)
        self.subjects.append(None if told is None else told.subject)
        body, more = b"", scope["type"] == "http"
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.bodies.append(body)
        if self._during is not None:
            await self._during()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"vary", b"Origin")]})
        await send({"type": "http.response.body", "body": b"reached"})


def reached(answer: Answer) -> bool:
    return (answer.status, answer.body) == (200, b"reached")
