"""A real MCP server behind the wrapper, called by the SDK's own client over streamable HTTP, and by thieves without it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from mcp import Client, ClientSession, MCPError
from mcp.client.sse import sse_client

from strongdm_auth.mcp import StrongDMTokenVerifier
from strongdm_auth.testing import Agent, DPoPKey, Issuer
from tests.doors.mcp_servers import (
    MODES,
    Agents,
    Signing,
    calling,
    error_of,
    every_mode,
    notes,
    notes_app,
    post,
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


# Agents that are let in


@every_mode
@pytest.mark.parametrize("dpop", [False, True], ids=["bearer", "dpop"])
def test_an_agent_talks_to_the_server(url: str, agents: Agents, mode: str, dpop: bool) -> None:
    agent = agents("notes:read notes:write", dpop=dpop)
    signing = Signing(agent)

    async def conversation(client: Client) -> list[Any]:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(listed["write_in_a_thread"].input_schema["properties"]) == {"text", "times"}
        assert listed["write_note"].description == "Write a note."
        return [
            (await client.call_tool("whoami", {})).structured_content,
            text_of(await client.call_tool("write_note", {"text": "one"})),
            text_of(await client.call_tool("write_in_a_thread", {"text": "two", "times": 2})),
        ]

    key = agent.key.thumbprint if agent.key else None
    assert talk(url, signing, conversation, mode) == [
        {"subject": "cli_agent", "scopes": ["notes:read", "notes:write"], "key": key},
        "True one",
        "cli_agent twotwo",
    ]
    assert signing.statuses <= {200, 202}
    if mode == "legacy":  # a session: opened, listened to, and ended
        assert {method for method, _, _ in signing.exchanges} == {"POST", "GET", "DELETE"}


@every_mode
def test_many_calls_at_once_each_have_a_proof_of_their_own(url: str, agents: Agents, mode: str) -> None:
    signing = Signing(agents(dpop=True))

    async def conversation(client: Client) -> set[str]:
        results = await asyncio.gather(*(client.call_tool("whoami", {}) for _ in range(8)))
        return {result.structured_content["subject"] for result in results if result.structured_content}

    assert talk(url, signing, conversation, mode) == {"cli_agent"}
    assert signing.statuses <= {200, 202}


@pytest.mark.parametrize("serve", [{"stateless_http": True}, {"json_response": True}], ids=str)
def test_it_works_in_the_servers_other_ways_to_answer(issuer: Issuer, serve: dict[str, Any]) -> None:
    with serving(lambda url: notes_app(issuer, url, serve=serve, dpop="required", dpop_nonce="required")) as url:
        agents = Agents(issuer, url)
        for mode in MODES:
            signing = Signing(agents("notes:read notes:write", dpop=True))
            assert text_of(talk(url, signing, calling("write_in_a_thread", text="x"), mode)) == "cli_agent x"
            assert 401 in signing.statuses  # once, for the nonce
            unbound = Signing(agents())
            with pytest.raises((MCPError, ExceptionGroup)):
                talk(url, unbound, calling("whoami"), mode)
            assert unbound.statuses == {401}


def test_the_older_transport_of_events_and_messages_is_judged_by_message_too(issuer: Issuer) -> None:
    def older(url: str) -> Any:
        auth = StrongDMTokenVerifier(**settings(issuer, url))
        return auth.sender_constrained(notes(auth).sse_app())

    with serving(older, "/sse") as url:
        agents, key = Agents(issuer, url), DPoPKey.generate()
        signing = Signing(agents("notes:read notes:erase", key=key))

        async def run() -> list[bool]:
            async with sse_client(url, auth=signing) as streams, ClientSession(*streams) as client:
                await client.initialize()
                first = await client.call_tool("erase_notes", {})
                signing.agent = agents(key=key)
                second = await client.call_tool("erase_notes", {})
                return [first.is_error, second.is_error]

        assert asyncio.run(run()) == [False, True]
        assert signing.statuses == {200, 202}
        assert httpx2.get(url).status_code == 401


# Those who are not let in


def test_a_good_token_by_hand_gets_in(url: str, agents: Agents) -> None:
    """Otherwise the refusals below would prove nothing."""
    assert post(url, agents().headers("POST", url)).status_code == 200
    assert post(url, agents(dpop=True).headers("POST", url)).status_code == 200


def test_a_stolen_bound_token_is_worth_nothing(url: str, agents: Agents) -> None:
    victim, thief = agents(dpop=True), DPoPKey.generate()
    assert error_of(post(url, {"Authorization": f"Bearer {victim.token}"})) == (401, "invalid_token")
    assert error_of(post(url, {"Authorization": f"DPoP {victim.token}"})) == (401, "invalid_dpop_proof")
    assert error_of(post(url, Agent(victim.token, thief).headers("POST", url))) == (401, "invalid_token")
    foreign = {"Authorization": f"Bearer {victim.token}", "DPoP": thief.proof("POST", url, victim.token)}
    assert error_of(post(url, foreign)) == (401, "invalid_token")


def test_a_proof_that_was_seen_is_worth_nothing(url: str, agents: Agents) -> None:
    bound = agents(dpop=True)
    headers = bound.headers("POST", url)
    assert post(url, headers).status_code == 200
    assert error_of(post(url, headers)) == (401, "invalid_dpop_proof")
    assert error_of(httpx2.get(url, headers=bound.headers("POST", url))) == (401, "invalid_dpop_proof")
    assert error_of(post(url, bound.headers("POST", url + "/else"))) == (401, "invalid_dpop_proof")


@pytest.mark.parametrize(
    "made",
    [
        {"audience": "https://else.example/mcp"},
        {"realm": "globex"},
        {"lifetime": -60},
        {"claims": {"token_type": "id"}},
    ],
)
@pytest.mark.parametrize("dpop", [False, True], ids=["bearer", "dpop"])
def test_a_token_for_somebody_or_something_else_is_refused(
    url: str, agents: Agents, made: dict[str, Any], dpop: bool
) -> None:
    assert error_of(post(url, agents(dpop=dpop, **made).headers("POST", url))) == (401, "invalid_token")


def test_a_token_in_the_query_does_not_count(url: str, agents: Agents) -> None:
    assert error_of(post(f"{url}?access_token={agents().token}", {})) == (401, "unauthorized")


def test_while_the_issuer_is_away_it_is_503_and_clients_keep_their_tokens(
    url: str, issuer: Issuer, agents: Agents
) -> None:
    late = agents(realm="late", dpop=True)  # of a realm whose keys are not known yet
    issuer.fail(503)
    try:
        response = post(url, late.headers("POST", url))
    finally:
        issuer.heal()
    assert error_of(response) == (503, "temporarily_unavailable")
    assert int(response.headers["Retry-After"]) >= 1
    assert "WWW-Authenticate" not in response.headers


def test_without_the_wrapper_bound_tokens_are_refused_and_an_outage_is_not_401(issuer: Issuer) -> None:
    def bare(url: str) -> Any:
        auth = StrongDMTokenVerifier(**settings(issuer, url, realms=["acme", "late"]))
        return notes(auth).streamable_http_app()

    with serving(bare) as url:
        agents = Agents(issuer, url)
        bound, bearer = agents(dpop=True), agents()
        assert post(url, bearer.headers("POST", url)).status_code == 200
        assert post(url, {"Authorization": f"Bearer {bound.token}"}).status_code == 401
        assert post(url, bound.headers("POST", url)).status_code == 401
        issuer.fail(503)
        try:
            assert post(url, agents(realm="late").headers("POST", url)).status_code == 500
        finally:
            issuer.heal()


def test_a_path_that_needs_no_token(url: str) -> None:
    assert httpx2.get(url.removesuffix("/mcp") + "/health").text == "healthy"
