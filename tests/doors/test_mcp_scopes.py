"""What each tool asks for, over HTTP: each call is judged by its own token, whoever began the session."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.server import MCPServer

from strongdm_auth import Requirement
from strongdm_auth.mcp import StrongDMTokenVerifier
from strongdm_auth.testing import DPoPKey, Issuer
from tests.doors.mcp_servers import (
    HEADERS,
    INITIALIZE,
    Agents,
    Signing,
    calling,
    every_mode,
    notes,
    notes_app,
    serving,
    settings,
    talk,
    text_of,
)


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


@every_mode
@pytest.mark.parametrize("tool", ["write_note", "write_in_a_thread"])
def test_a_call_that_lacks_a_scope_is_403_with_all_scopes_to_ask_for(
    url: str, agents: Agents, mode: str, tool: str
) -> None:
    signing = Signing(agents(dpop=True))

    async def conversation(client: Client) -> None:
        with pytest.raises(MCPError, match="error response"):
            await client.call_tool(tool, {"text": "x"})
        assert (await client.call_tool("whoami", {})).structured_content  # the connection goes on

    talk(url, signing, conversation, mode)
    refused = [challenge for _, status, challenge in signing.exchanges if status == 403]
    assert len(refused) == 1
    assert 'error="insufficient_scope"' in (refused[0] or "")
    assert 'scope="notes:read notes:write"' in (refused[0] or "")


@every_mode
def test_a_tool_that_the_wrapper_does_not_know_by_its_name_is_guarded_all_the_same(
    url: str, agents: Agents, mode: str
) -> None:
    signing = Signing(agents(dpop=True))
    result = talk(url, signing, calling("erase_notes"), mode)
    assert result.is_error
    assert text_of(result).endswith(
        "insufficient_scope: The access token lacks a scope that is needed here (scopes needed: notes:erase notes:read)"
    )
    assert signing.statuses <= {200, 202}
    assert text_of(talk(url, Signing(agents("notes:read notes:erase")), calling("erase_notes"), mode)) == "erased"


@every_mode
def test_a_tool_may_ask_for_more_when_it_knows_more(url: str, agents: Agents, mode: str) -> None:
    reader, archivist = agents(), agents("notes:read notes:write notes:archive", dpop=True)
    assert text_of(talk(url, Signing(reader), calling("archive", year=2020), mode)) == "archived"
    refused = talk(url, Signing(reader), calling("archive", year=1999), mode)
    assert refused.is_error
    assert "scopes needed: notes:archive notes:read notes:write" in text_of(refused)
    assert text_of(talk(url, Signing(archivist), calling("archive", year=1999), mode)) == "archived"


@every_mode
def test_within_one_connection_each_call_is_judged_by_its_own_token(url: str, agents: Agents, mode: str) -> None:
    """A session's messages are answered by a task that its first request started, with that request's context."""
    key = DPoPKey.generate()
    writer, reader, eraser = (agents(f"notes:read {scopes}", key=key) for scopes in ("notes:write", "", "notes:erase"))
    signing = Signing(writer)

    async def conversation(client: Client) -> list[Any]:
        said: list[Any] = [(await client.call_tool("whoami", {})).structured_content]
        said.append((await client.call_tool("erase_notes", {})).is_error)
        signing.agent = eraser
        said.append((await client.call_tool("erase_notes", {})).is_error)
        signing.agent = reader
        said.append((await client.call_tool("erase_notes", {})).is_error)
        said.append((await client.call_tool("whoami", {})).structured_content)
        return said

    said = talk(url, signing, conversation, mode)
    assert said[0]["scopes"] == ["notes:read", "notes:write"]
    assert said[1:4] == [True, False, True]
    assert said[4]["scopes"] == ["notes:read"]


def test_where_there_is_no_token_guarded_tools_refuse(issuer: Issuer) -> None:
    """On stdio and in process nothing is authenticated: it must not pass for a token that has it all."""
    auth = StrongDMTokenVerifier(**settings(issuer, "https://tools.example.com/mcp"))

    async def run() -> list[Any]:
        async with Client(notes(auth)) as client:
            return [
                await client.call_tool("write_note", {"text": "x"}),
                await client.call_tool("write_in_a_thread", {"text": "x"}),
                await client.call_tool("archive", {"year": 2020}),
            ]

    results = asyncio.run(run())
    assert all(result.is_error for result in results)
    assert {text_of(result).partition(": ")[2] for result in results} == {"unauthorized: Authentication is required"}
    assert asyncio.run(auth.check(Requirement(optional=True))) is None


def test_another_servers_token_does_not_count_in_a_tool(issuer: Issuer) -> None:
    """A tool of one server may call another server in its process: that one has let nobody in."""

    def two_servers(url: str) -> Any:
        inner_auth = StrongDMTokenVerifier(**settings(issuer, "https://inner.example.com/mcp"))
        inner = notes(inner_auth)
        auth = StrongDMTokenVerifier(**settings(issuer, url))
        outer: MCPServer[Any] = MCPServer("outer", token_verifier=auth, auth=auth.auth_settings(), log_level="CRITICAL")

        @outer.tool()
        @auth.require_scope("notes:write")
        async def write_note(text: str) -> str:
            async with Client(inner) as client:
                return text_of(await client.call_tool("write_note", {"text": text}))

        return auth.sender_constrained(outer.streamable_http_app())

    with serving(two_servers) as url:
        agent = Agents(issuer, url)("notes:read notes:write", dpop=True)
        said = text_of(talk(url, Signing(agent), calling("write_note", text="x")))
    assert said.endswith("unauthorized: Authentication is required")


def test_a_session_is_nobody_elses(url: str, agents: Agents) -> None:
    """The SDK compares client, issuer and subject, which it has from us."""
    ann, bob = agents(subject="ann", dpop=True), agents(subject="bob", dpop=True)
    with httpx2.Client(headers=HEADERS) as client:
        opened = client.post(url, json=INITIALIZE, headers=ann.headers("POST", url))
        session = {"Mcp-Session-Id": opened.headers["Mcp-Session-Id"]}
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        statuses = [
            client.post(url, json=ping, headers={**session, **agent.headers("POST", url)}).status_code
            for agent in (ann, bob)
        ]
    assert statuses == [200, 404]
