"""How clients find their way: from the first 401 by the SDK's own discovery to the issuer, and to more scopes."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.auth.utils import (
    build_protected_resource_metadata_discovery_urls,
    extract_resource_metadata_from_www_auth,
    extract_scope_from_www_auth,
    handle_protected_resource_response,
)
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from strongdm_auth.testing import Issuer
from tests.doors.mcp_servers import Agents, connected, error_of, every_mode, notes_app, post, serving, text_of


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer(realms=("acme", "late", "globex")).serve() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def url(issuer: Issuer) -> Iterator[str]:
    with serving(lambda url: notes_app(issuer, url, realms=["acme", "late"])) as url:
        yield url


@pytest.fixture
def agents(issuer: Issuer, url: str) -> Agents:
    return Agents(issuer, url)


def test_the_first_401_leads_the_clients_own_discovery_to_our_document(url: str, issuer: Issuer) -> None:
    response = post(url, {})
    assert error_of(response) == (401, "unauthorized")
    assert "error=" not in response.headers["WWW-Authenticate"]
    assert extract_scope_from_www_auth(response) == "notes:read"
    announced = extract_resource_metadata_from_www_auth(response)
    first, *others = build_protected_resource_metadata_discovery_urls(announced, url)
    assert first == announced == others[0]  # where clients look that do not read challenges

    async def discover() -> Any:
        async with httpx2.AsyncClient() as client:
            return await handle_protected_resource_response(await client.get(first))

    document = asyncio.run(discover())
    assert str(document.resource) == url
    assert [str(server) for server in document.authorization_servers] == [
        issuer.issuer_url("acme"),
        issuer.issuer_url("late"),
    ]
    assert document.scopes_supported == ["notes:read"]


class Kept:
    """Where the SDK's client keeps its tokens."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None
        self.scopes: list[str | None] = []

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens
        self.scopes.append(tokens.scope)

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


@every_mode
def test_the_sdks_client_finds_the_issuer_and_asks_for_more_scopes_when_a_tool_needs_them(
    url: str, issuer: Issuer, mode: str
) -> None:
    """From a client id and a secret: 401, document, issuer, token; then 403, a token with both scopes, and the call."""
    client = issuer.client("stepping-up", scopes="notes:read notes:write notes:erase", realm="acme")
    # The SDK's model of the document wants an authorization endpoint.
    metadata = issuer.metadata("acme") | {"authorization_endpoint": f"{issuer.url}/authorize"}
    issuer.answer("/.well-known/oauth-authorization-server/realms/acme", body=json.dumps(metadata).encode())
    kept = Kept()
    provider = ClientCredentialsOAuthProvider(
        server_url=url,
        storage=kept,
        client_id=client.client_id,
        client_secret=client.client_secret,
        issuer=issuer.issuer_url("acme"),
    )

    async def run() -> list[Any]:
        async with connected(url, provider, mode) as connection:
            return [
                (await connection.call_tool("whoami", {})).structured_content,
                text_of(await connection.call_tool("write_in_a_thread", {"text": "x"})),
            ]

    try:
        who, wrote = asyncio.run(run())
    finally:
        issuer.heal()
    assert who == {"subject": client.client_id, "scopes": ["notes:read"], "key": None}
    assert wrote == f"{client.client_id} x"
    assert kept.scopes == ["notes:read", "notes:read notes:write"]


def test_a_browser_may_read_the_document(url: str) -> None:
    document = httpx2.get(url.removesuffix("/mcp") + "/.well-known/oauth-protected-resource/mcp")
    assert document.headers["Access-Control-Allow-Origin"] == "*"
    assert json.loads(document.text)["resource"] == url
