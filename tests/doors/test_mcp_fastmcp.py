"""The same door for fastmcp: its provider with our verifier, its tools, its own view of the token; over sockets."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import fastmcp
import httpx2
import pytest
from fastmcp.server.auth import require_scopes
from fastmcp.server.dependencies import get_access_token
from mcp import Client, MCPError

from strongdm_auth import ConfigurationError, Requirement
from strongdm_auth.mcp import StrongDMTokenVerifier, current_token
from strongdm_auth.testing import DPoPKey, Issuer
from tests.doors.mcp_servers import MODES, Agents, Signing, serving, settings, talk, text_of

every_mode = pytest.mark.parametrize("mode", MODES)


def notes(auth: StrongDMTokenVerifier, **more: Any) -> Any:
    server = fastmcp.FastMCP("notes", auth=auth.fastmcp_auth(required_scopes="notes:read"), **more)

    @server.tool
    def whoami() -> dict[str, Any]:
        token, told = current_token(), get_access_token()
        assert token is not None
        assert told is not None
        assert (told.subject, told.scopes, told.claims["iss"]) == (token.subject, sorted(token.scopes), token.issuer)
        return {"subject": token.subject, "scopes": sorted(token.scopes), "key": token.key_thumbprint}

    @server.tool
    @auth.require_scope("notes:write")
    def write_note(text: str, times: int = 1) -> str:
        """Write a note."""
        return text * times

    @server.tool(name="erase_notes")
    @auth.require(scopes="notes:erase", tool="of_another_name")
    async def erase() -> str:
        return "erased"

    @server.tool(auth=require_scopes("notes:hidden"))
    def hidden() -> str:
        return "found"

    @server.resource("notes://archive")
    async def archive() -> str:
        await auth.check(Requirement("notes:archive"))
        return "archived"

    return server


def notes_app(issuer: Issuer, url: str, *, server: dict[str, Any] | None = None, **more: Any) -> Any:
    auth = StrongDMTokenVerifier(**settings(issuer, url, **more))
    return auth.sender_constrained(notes(auth, **(server or {})).http_app())


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer(realms=("acme", "late")).serve() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def url(issuer: Issuer) -> Iterator[str]:
    with serving(lambda url: notes_app(issuer, url, realms=["acme", "late"])) as url:
        yield url


@pytest.fixture
def agents(issuer: Issuer, url: str) -> Agents:
    return Agents(issuer, url)


@every_mode
@pytest.mark.parametrize("dpop", [False, True], ids=["bearer", "dpop"])
def test_an_agent_talks_to_the_server(url: str, agents: Agents, mode: str, dpop: bool) -> None:
    agent = agents("notes:read notes:write", dpop=dpop)
    signing = Signing(agent)

    async def conversation(client: Client) -> list[Any]:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(listed) == {"whoami", "write_note", "erase_notes"}  # fastmcp hides what the token may not have
        assert set(listed["write_note"].input_schema["properties"]) == {"text", "times"}
        return [
            (await client.call_tool("whoami", {})).structured_content,
            text_of(await client.call_tool("write_note", {"text": "two", "times": 2})),
        ]

    key = agent.key.thumbprint if agent.key else None
    who = {"subject": "cli_agent", "scopes": ["notes:read", "notes:write"], "key": key}
    assert talk(url, signing, conversation, mode) == [who, "twotwo"]
    assert signing.statuses <= {200, 202}


@every_mode
def test_fastmcps_own_checks_see_the_scopes(url: str, agents: Agents, mode: str) -> None:
    async def conversation(client: Client) -> str:
        return text_of(await client.call_tool("hidden", {}))

    assert talk(url, Signing(agents("notes:read notes:hidden", dpop=True)), conversation, mode) == "found"
    assert "Unknown tool" in talk(url, Signing(agents(dpop=True)), conversation, mode)


@every_mode
def test_a_call_that_lacks_a_scope_is_403(url: str, agents: Agents, mode: str) -> None:
    signing = Signing(agents(dpop=True))

    async def conversation(client: Client) -> None:
        with pytest.raises(MCPError, match="error response"):
            await client.call_tool("write_note", {"text": "x"})

    talk(url, signing, conversation, mode)
    assert [
        'scope="notes:read notes:write"' in (told or "") for _, status, told in signing.exchanges if status == 403
    ] == [True]


@every_mode
@pytest.mark.parametrize("masked", [False, True], ids=["open", "masked"])
def test_a_tools_refusal_reaches_the_model_even_where_details_are_masked(
    issuer: Issuer, mode: str, masked: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(lambda url: notes_app(issuer, url, server={"mask_error_details": masked})) as url:
        agents = Agents(issuer, url)

        async def conversation(client: Client) -> Any:
            return await client.call_tool("erase_notes", {})

        refused = talk(url, Signing(agents(dpop=True)), conversation, mode)
        allowed = talk(url, Signing(agents("notes:read notes:erase", dpop=True)), conversation, mode)
    assert refused.is_error
    assert "insufficient_scope" in text_of(refused)
    assert "scopes needed: notes:erase notes:read" in text_of(refused)
    assert text_of(allowed) == "erased"
    assert not any(record.exc_info for record in caplog.records if record.levelname == "ERROR")


@every_mode
def test_resources_can_ask_for_scopes_too(url: str, agents: Agents, mode: str) -> None:
    async def conversation(client: Client) -> str:
        try:
            return str((await client.read_resource("notes://archive")).contents)
        except MCPError as error:
            return str(error)

    assert "archived" in talk(url, Signing(agents("notes:read notes:archive", dpop=True)), conversation, mode)
    refused = talk(url, Signing(agents(dpop=True)), conversation, mode)
    assert "archived" not in refused


@every_mode
def test_within_one_connection_each_call_is_judged_by_its_own_token(url: str, agents: Agents, mode: str) -> None:
    key = DPoPKey.generate()
    signing = Signing(agents("notes:read notes:erase", key=key))

    async def conversation(client: Client) -> list[Any]:
        said: list[Any] = [(await client.call_tool("erase_notes", {})).is_error]
        signing.agent = agents(key=key)
        said.append((await client.call_tool("erase_notes", {})).is_error)
        said.append((await client.call_tool("whoami", {})).structured_content)
        return said

    said = talk(url, signing, conversation, mode)
    assert said[:2] == [False, True]
    assert said[2]["scopes"] == ["notes:read"]


HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


def knock(url: str, headers: dict[str, str]) -> httpx2.Response:
    return httpx2.post(url, json=PING, headers={**HEADERS, **headers})


def test_who_is_not_let_in(url: str, issuer: Issuer, agents: Agents) -> None:
    bound = agents(dpop=True)
    missing = knock(url, {})
    assert missing.status_code == 401
    assert 'scope="notes:read"' in missing.headers["WWW-Authenticate"]
    assert knock(url, {"Authorization": f"Bearer {bound.token}"}).status_code == 401
    assert knock(url, agents("other").headers("POST", url)).status_code == 403
    assert knock(url, agents(audience="https://else.example").headers("POST", url)).status_code == 401
    headers = bound.headers("POST", url)
    assert [knock(url, headers).status_code in (200, 400), knock(url, headers).status_code] == [True, 401]
    issuer.fail(503)
    try:
        assert knock(url, agents(realm="late", dpop=True).headers("POST", url)).status_code == 503
    finally:
        issuer.heal()


def test_without_the_wrapper_bound_tokens_are_refused_and_the_document_is_fastmcps(issuer: Issuer) -> None:
    def bare(url: str) -> Any:
        return notes(StrongDMTokenVerifier(**settings(issuer, url))).http_app()

    with serving(bare) as url:
        agents = Agents(issuer, url)
        bound = agents(dpop=True)
        assert knock(url, agents().headers("POST", url)).status_code in (200, 400)
        assert knock(url, {"Authorization": f"Bearer {bound.token}"}).status_code == 401
        assert knock(url, bound.headers("POST", url)).status_code == 401
        challenge = knock(url, {}).headers["WWW-Authenticate"]
        document = url.removesuffix("/mcp") + "/.well-known/oauth-protected-resource/mcp"
        assert f'resource_metadata="{document}"' in challenge
        told = httpx2.get(document).json()
    assert told["resource"] == url
    assert told["authorization_servers"] == [issuer.issuer_url("acme")]


@pytest.mark.parametrize(
    ("resource", "path", "base"),
    [
        ("https://tools.example.com/mcp", "/mcp", "https://tools.example.com/"),
        ("https://tools.example.com/a/mcp", "/mcp", "https://tools.example.com/a"),
        ("https://tools.example.com/a/b", "a/b/", "https://tools.example.com/"),
        ("https://tools.example.com", "/", "https://tools.example.com/"),
    ],
)
def test_the_resource_is_base_url_and_path(resource: str, path: str, base: str) -> None:
    auth = StrongDMTokenVerifier(issuer="https://id.example.com", realms="*", resource=resource)
    provider = auth.fastmcp_auth(path=path)
    assert str(provider.base_url) == base
    [route] = provider.get_routes(path)
    document = json.loads(asyncio.run(_body(route)))
    assert str(document["resource"]).rstrip("/") == resource
    assert document["authorization_servers"] == ["https://id.example.com"]


async def _body(route: Any) -> bytes:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(route.app), base_url="https://t.example") as client:
        return (await client.get(route.path)).content


@pytest.mark.parametrize("resource", ["https://tools.example.com/mcp/v1", "https://tools.example.com/xmcp"])
def test_a_resource_that_is_somewhere_else_is_refused_at_start_up(resource: str) -> None:
    auth = StrongDMTokenVerifier(issuer="https://id.example.com", realms="*", resource=resource)
    with pytest.raises(ConfigurationError, match="resource must end with the path"):
        auth.fastmcp_auth()
