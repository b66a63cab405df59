"""`sender_constrained` around an app that looks at what comes in: what gets through, as what, and for how long."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from strongdm_auth import AsyncVerifier, Requirement
from strongdm_auth.mcp import StrongDMTokenVerifier
from strongdm_auth.testing import Agent, Issuer
from tests.contract import BASE
from tests.doors.asgi_calls import RUNNER, ask, call, scope_of
from tests.doors.mcp_inside import DOCUMENT, RESOURCE, Inside, Pairs, agent, make_auth, reached, signed


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer(realms=("acme",))


@pytest.fixture
def auth(issuer: Issuer) -> StrongDMTokenVerifier:
    return make_auth(issuer)


# What gets through, and as what


def test_a_bound_token_gets_in_with_its_proof_and_is_a_bearer_token_inside(
    issuer: Issuer, auth: StrongDMTokenVerifier
) -> None:
    inside, bound = Inside(auth), agent(issuer, dpop=True)
    headers = [*signed(bound), ("X-Other", "kept")]
    answer = ask(auth.sender_constrained(inside), "POST", "/mcp", headers=headers)
    assert reached(answer)
    assert answer.header("Vary") == "Origin, Authorization, DPoP"
    assert inside.subjects == ["cli_agent"]
    assert inside.header(b"authorization") == [f"Bearer {bound.token}".encode()]
    assert inside.header(b"dpop") == []
    assert inside.header(b"x-other") == [b"kept"]


def test_a_bearer_token_gets_in_however_it_is_spelt(issuer: Issuer, auth: StrongDMTokenVerifier) -> None:
    inside, bearer = Inside(auth), agent(issuer)
    answer = ask(
        auth.sender_constrained(inside), "POST", "/mcp", headers=[("Authorization", f"bEaReR   {bearer.token}")]
    )
    assert reached(answer)
    assert inside.header(b"authorization") == [f"Bearer {bearer.token}".encode()]
    assert inside.subjects == ["cli_agent"]


def test_no_request_is_verified_twice(issuer: Issuer) -> None:
    asked: list[str] = []

    def authorize(token: Any, request: Any, requirement: Any) -> bool:
        asked.append(request.path)
        return True

    auth = make_auth(issuer, authorize=authorize)
    inside = Inside(auth)
    assert reached(ask(auth.sender_constrained(inside), "POST", "/mcp", headers=signed(agent(issuer))))
    assert inside.subjects == ["cli_agent"]
    assert asked == ["/mcp"]


def test_headers_in_other_cases_are_not_passed_on_beside_ours(issuer: Issuer, auth: StrongDMTokenVerifier) -> None:
    """No server sends such names, but an app between might; an MCP server looks for the header in any case."""
    inside, bearer = Inside(auth), agent(issuer)
    scope = scope_of("POST", "/mcp", headers=signed(bearer))
    scope["headers"] += [(b"Authorization", b"Bearer smuggled"), (b"DPOP", b"smuggled")]
    call(auth.sender_constrained(inside), scope)
    assert inside.header(b"authorization") == [f"Bearer {bearer.token}".encode()]
    assert inside.header(b"dpop") == []


def test_the_scope_that_the_server_gave_is_not_changed(issuer: Issuer, auth: StrongDMTokenVerifier) -> None:
    scope = scope_of("POST", "/mcp", headers=signed(agent(issuer, dpop=True)))
    before = {**scope, "headers": list(scope["headers"])}
    call(auth.sender_constrained(Inside(auth)), scope)
    assert scope == before


# What does not


@pytest.mark.parametrize(
    ("headers", "status", "error"),
    [
        (lambda bound, other: [], 401, "unauthorized"),
        (lambda bound, other: [("Authorization", "Bearer <x>")], 400, "invalid_request"),
        (lambda bound, other: [("Authorization", f"Bearer {bound.token}")], 401, "invalid_token"),
        (lambda bound, other: [("Authorization", f"DPoP {bound.token}")], 401, "invalid_dpop_proof"),
        (lambda bound, other: signed(Agent(bound.token, other.key)), 401, "invalid_token"),
        (lambda bound, other: signed(bound, "GET"), 401, "invalid_dpop_proof"),
        (lambda bound, other: signed(bound, path="/else"), 401, "invalid_dpop_proof"),
        (lambda bound, other: [signed(other)[0], signed(bound)[1]], 401, "invalid_dpop_proof"),
    ],
)
def test_a_refusal_is_answered_in_the_apps_place(
    issuer: Issuer,
    auth: StrongDMTokenVerifier,
    headers: Callable[[Agent, Agent], Pairs],
    status: int,
    error: str,
) -> None:
    inside = Inside(auth)
    bound, other = agent(issuer, dpop=True), agent(issuer, dpop=True)
    answer = ask(auth.sender_constrained(inside), "POST", "/mcp", headers=headers(bound, other))
    assert (answer.status, json.loads(answer.body)["error"]) == (status, error)
    assert any(offer["resource_metadata"] == BASE + DOCUMENT for offer in answer.challenges.values())
    assert inside.scopes == []


def test_a_proof_is_good_once(issuer: Issuer, auth: StrongDMTokenVerifier) -> None:
    app, headers = auth.sender_constrained(Inside(auth)), signed(agent(issuer, dpop=True))
    assert reached(ask(app, "POST", "/mcp", headers=headers))
    assert ask(app, "POST", "/mcp", headers=headers).status == 401


def test_while_the_issuer_is_away_it_is_503_and_no_challenge(issuer: Issuer, auth: StrongDMTokenVerifier) -> None:
    issuer.fail(503)
    try:
        answer = ask(auth.sender_constrained(Inside(auth)), "POST", "/mcp", headers=signed(agent(issuer, dpop=True)))
    finally:
        issuer.heal()
    assert answer.status == 503
    assert int(answer.header("Retry-After") or "") >= 1
    assert answer.header("WWW-Authenticate") is None


def test_a_nonce_is_asked_for_and_taken(issuer: Issuer) -> None:
    auth = make_auth(issuer, dpop_nonce="required")
    app, bound = auth.sender_constrained(Inside(auth)), agent(issuer, dpop=True)
    answer = ask(app, "POST", "/mcp", headers=signed(bound))
    assert (answer.status, json.loads(answer.body)["error"]) == (401, "use_dpop_nonce")
    assert reached(ask(app, "POST", "/mcp", headers=signed(bound, nonce=answer.header("DPoP-Nonce"))))


def test_behind_a_proxy_the_proof_is_for_the_public_url(issuer: Issuer) -> None:
    auth = make_auth(issuer, public_url="https://public.example/v1")
    bound = agent(issuer, dpop=True)
    app = auth.sender_constrained(Inside(auth))
    public = list(bound.headers("POST", "https://public.example/v1/mcp").items())
    assert reached(ask(app, "POST", "/mcp", headers=public))
    assert ask(app, "POST", "/mcp", headers=signed(bound)).status == 401


def test_a_websocket_is_refused_before_it_opens(auth: StrongDMTokenVerifier) -> None:
    inside = Inside(auth)
    assert call(auth.sender_constrained(inside), scope_of("GET", "/mcp", kind="websocket"))[0]["code"] == 1008
    assert inside.scopes == []


def test_required_scopes_are_in_the_first_challenge_and_held_against_each_token(
    issuer: Issuer, auth: StrongDMTokenVerifier
) -> None:
    auth.auth_settings(required_scopes=["tools:call", "notes:read"])
    app = auth.sender_constrained(Inside(auth), require=Requirement(dpop=True))
    assert ask(app, "POST", "/mcp").challenges["DPoP"]["scope"] == "notes:read tools:call"
    answer = ask(app, "POST", "/mcp", headers=signed(agent(issuer, "notes:read", dpop=True)))
    assert (answer.status, answer.challenges["DPoP"]["error"]) == (403, "insufficient_scope")
    assert answer.challenges["DPoP"]["scope"] == "notes:read tools:call"
    unbound = ask(app, "POST", "/mcp", headers=signed(agent(issuer, "notes:read tools:call")))
    assert (unbound.status, set(unbound.challenges)) == (401, {"DPoP"})
    assert reached(ask(app, "POST", "/mcp", headers=signed(agent(issuer, "notes:read tools:call", dpop=True))))


# Only there, only then, only that one


def test_within_a_request_no_other_token_is_let_in(issuer: Issuer, auth: StrongDMTokenVerifier) -> None:
    shown, hidden = agent(issuer, dpop=True), agent(issuer, dpop=True)
    found: list[object] = []

    async def during() -> None:
        found.extend([await auth.verify_token(hidden.token), await auth.verify_token(shown.token + "x")])

    assert reached(ask(auth.sender_constrained(Inside(auth, during)), "POST", "/mcp", headers=signed(shown)))
    assert found == [None, None]


def test_a_task_that_outlives_the_request_does_not_let_the_token_in_again(
    issuer: Issuer, auth: StrongDMTokenVerifier
) -> None:
    """A session's task is started in its first request, and keeps that request's context for hours."""
    bound, bearer = agent(issuer, dpop=True), agent(issuer)
    answered = asyncio.Event()
    found: list[object] = []
    tasks: list[asyncio.Task[None]] = []

    async def later() -> None:
        await answered.wait()
        found.extend([await auth.verify_token(bound.token), await auth.verify_token(bearer.token)])

    async def during() -> None:
        tasks.append(asyncio.create_task(later()))

    app = auth.sender_constrained(Inside(auth, during))
    assert reached(ask(app, "POST", "/mcp", headers=signed(bound)))

    async def finish() -> None:
        answered.set()
        await tasks[0]

    RUNNER.run(finish())
    assert found[0] is None
    assert found[1] is not None


def test_requests_at_once_do_not_lend_each_other_their_tokens(issuer: Issuer, auth: StrongDMTokenVerifier) -> None:
    agents = [agent(issuer, subject=name, dpop=True) for name in ("a", "b", "c")]
    together = asyncio.Barrier(3)
    own: list[bool] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await together.wait()
        token = dict(scope["headers"])[b"authorization"].decode().partition(" ")[2]
        for each in agents:
            own.append((await auth.verify_token(each.token) is not None) == (each.token == token))
        await together.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    app = auth.sender_constrained(inner)

    async def run() -> None:
        async def one(each: Agent) -> None:
            async def receive() -> Any:
                return {"type": "http.request", "body": b"", "more_body": False}

            async def send(message: Any) -> None:
                pass

            await app(scope_of("POST", "/mcp", headers=signed(each)), receive, send)

        await asyncio.wait_for(asyncio.gather(*map(one, agents)), 20)

    RUNNER.run(run())
    assert own == [True] * 9


def test_what_one_verifier_let_in_is_nothing_to_another(issuer: Issuer, auth: StrongDMTokenVerifier) -> None:
    other = StrongDMTokenVerifier(auth.verifier)  # not even where they share keys and settings
    inside = Inside(other)
    assert reached(ask(auth.sender_constrained(inside), "POST", "/mcp", headers=signed(agent(issuer, dpop=True))))
    assert inside.subjects == [None]


def test_an_optional_token_may_be_left_out_and_a_bad_one_may_not_be_sent(
    issuer: Issuer, auth: StrongDMTokenVerifier
) -> None:
    """The MCP server's own endpoint then answers for itself; it gets no token that we have not verified."""
    inside, bound = Inside(auth), agent(issuer, dpop=True)
    app = auth.sender_constrained(inside, require=Requirement(optional=True))
    answer = ask(app, "POST", "/mcp")
    assert reached(answer)
    assert answer.header("Vary") == "Origin, Authorization, DPoP"
    assert reached(ask(app, "POST", "/mcp", headers=signed(bound)))
    assert ask(app, "POST", "/mcp", headers=[("Authorization", f"Bearer {bound.token}")]).status == 401
    assert inside.subjects == [None, "cli_agent"]
    auth.auth_settings(required_scopes="notes:read")
    assert ask(auth.sender_constrained(inside, require=Requirement(optional=True)), "POST", "/mcp").status == 401


def test_a_proof_is_used_once_however_often_the_app_is_wrapped(issuer: Issuer, auth: StrongDMTokenVerifier) -> None:
    inside = Inside(auth)
    app = auth.sender_constrained(auth.sender_constrained(auth.sender_constrained(inside)))
    assert reached(ask(app, "POST", "/mcp", headers=signed(agent(issuer, dpop=True))))
    assert inside.subjects == ["cli_agent"]


# Paths that need none


def test_an_exempt_path_passes_and_nobody_looks_at_what_came_along(issuer: Issuer, auth: StrongDMTokenVerifier) -> None:
    inside = Inside(auth)
    app = auth.sender_constrained(inside, exempt=["/health"])
    issuer.fail(503)
    try:
        for headers in ([], signed(agent(issuer)), [("Authorization", "Bearer <x>")], signed(agent(issuer, dpop=True))):
            assert reached(ask(app, "GET", "/health", headers=headers))
    finally:
        issuer.heal()
    assert inside.subjects == [None] * 4
    for path in ("/", "/healthy", "/health/../mcp"):
        assert ask(app, "GET", path).status == 401


def test_the_document_is_served_to_anyone_and_says_which_scopes(issuer: Issuer, auth: StrongDMTokenVerifier) -> None:
    inside = Inside(auth)
    auth.auth_settings(required_scopes="b a")
    app = auth.sender_constrained(inside)
    for headers in ([], [("Authorization", "Bearer <x>")]):
        answer = ask(app, "GET", DOCUMENT, headers=headers)
        assert (answer.status, answer.header("Access-Control-Allow-Origin")) == (200, "*")
    told = json.loads(answer.body)
    assert told["resource"] == RESOURCE
    assert told["authorization_servers"] == [issuer.issuer_url("acme")]
    assert told["scopes_supported"] == ["a", "b"]
    assert "ES256" in told["dpop_signing_alg_values_supported"]
    assert "scopes_supported" not in json.loads(ask(make_auth(issuer).sender_constrained(inside), "GET", DOCUMENT).body)
    assert ask(app, "POST", DOCUMENT).status == 401
    assert inside.scopes == []


def test_a_preflight_passes_without_what_the_app_says(auth: StrongDMTokenVerifier) -> None:
    inside = Inside(auth)
    headers = [("Origin", "https://app.example"), ("Access-Control-Request-Method", "POST")]
    answer = ask(auth.sender_constrained(inside), "OPTIONS", "/mcp", headers=headers)
    assert (answer.status, answer.body) == (200, b"")
    assert inside.subjects == [None]
    assert ask(auth.sender_constrained(inside), "OPTIONS", "/mcp").status == 401


def test_the_lifespan_passes_and_closes_the_verifier(
    auth: StrongDMTokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []

    async def aclose(verifier: AsyncVerifier) -> None:
        closed.append("closed")

    monkeypatch.setattr(AsyncVerifier, "aclose", aclose)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
            await send({"type": message})
            closed.append(message)

    sent = call(auth.sender_constrained(app), {"type": "lifespan"})
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert closed == ["lifespan.startup.complete", "closed", "lifespan.shutdown.complete"]
    call(auth.sender_constrained(app), {"type": "something new"})
