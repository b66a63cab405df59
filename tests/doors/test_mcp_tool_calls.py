"""Which tools a request calls, read by the wrapper before the server: 403 with all scopes, and the body passed on whole."""

import asyncio
import json
from typing import Any

import pytest
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.mcpserver.exceptions import ToolError

from strongdm_auth import Request, Requirement
from strongdm_auth.mcp import StrongDMTokenVerifier, VerifiedAccessToken, tools
from strongdm_auth.mcp.tokens import Presented, presenting
from strongdm_auth.mcp.tools import tools_called
from strongdm_auth.testing import Issuer
from tests.contract import BASE, Answer
from tests.doors.asgi_calls import RUNNER, scope_of
from tests.doors.mcp_inside import DOCUMENT, RESOURCE, Inside, Pairs, agent, make_auth, signed


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer(realms=("acme",))


@pytest.fixture
def auth(issuer: Issuer) -> StrongDMTokenVerifier:
    return make_auth(issuer)


def tools_call(name: object, **more: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name}, **more}).encode()


@pytest.fixture
def guarded(auth: StrongDMTokenVerifier) -> StrongDMTokenVerifier:
    """A verifier whose server has the tools `write`, `erase` and, under another name than the function's, `rm`."""

    @auth.require_scope("notes:write")
    def write() -> None: ...

    @auth.require(dpop=True, scopes="notes:erase")
    def erase() -> None: ...

    @auth.require_all_scopes("notes:write", "notes:erase", tool="rm")
    def remove() -> None: ...

    return auth


def test_a_name_that_is_guarded_twice_needs_both(issuer: Issuer, guarded: StrongDMTokenVerifier) -> None:
    guarded.require_scope("notes:admin", tool="write")(guarded.require_scope("notes:audit", tool="write")(tools_call))
    app = guarded.sender_constrained(Inside(guarded))
    assert post(app, signed(agent(issuer, "notes:write notes:admin")), tools_call("write")) == 403
    assert post(app, signed(agent(issuer, "notes:write notes:admin notes:audit")), tools_call("write")) == 200


def send_in_pieces(app: Any, headers: Pairs, *pieces: bytes, cut: bool = False) -> tuple[int, list[dict[str, Any]]]:
    """A POST whose body comes in pieces; how many of them were taken, and what was answered."""
    waiting: list[dict[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": cut or left > 1}
        for piece, left in zip(pieces, range(len(pieces), 0, -1), strict=True)
    ]
    sent: list[dict[str, Any]] = []
    taken = 0

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    async def run() -> None:
        await app(scope_of("POST", "/mcp", headers=headers), receive, send)

    RUNNER.run(run())
    return taken, sent


def post(app: Any, headers: Pairs, *pieces: bytes) -> int:
    status: int = send_in_pieces(app, headers, *pieces)[1][0]["status"]
    return status


def test_a_call_without_the_tools_scope_is_403_and_names_all_that_are_needed(
    issuer: Issuer, guarded: StrongDMTokenVerifier
) -> None:
    guarded.auth_settings(required_scopes="tools:call")
    inside = Inside(guarded)
    app = guarded.sender_constrained(inside)
    _, sent = send_in_pieces(app, signed(agent(issuer, "tools:call")), tools_call("rm"))
    answer = Answer.of(sent[0]["status"], [(n.decode(), v.decode()) for n, v in sent[0]["headers"]], sent[1]["body"])
    assert answer.status == 403
    assert answer.challenges == {
        "Bearer": {
            "error": "insufficient_scope",
            "error_description": "The access token lacks a scope that is needed here",
            "scope": "notes:erase notes:write tools:call",
            "resource_metadata": BASE + DOCUMENT,
        }
    }
    assert inside.scopes == []


def test_a_call_gets_through_with_the_scope_and_its_body_is_whole(
    issuer: Issuer, guarded: StrongDMTokenVerifier
) -> None:
    inside = Inside(guarded)
    app = guarded.sender_constrained(inside)
    body = tools_call("write", padding="x" * 1000)
    assert post(app, signed(agent(issuer, "notes:write")), body[:1], b"", body[1:20], body[20:]) == 200
    assert post(app, signed(agent(issuer, "notes:write")), b"") == 200
    assert inside.bodies == [body, b""]


@pytest.mark.parametrize(
    ("tool", "scopes", "bound", "status"),
    [
        ("write", "notes:write", False, 200),
        ("write", "notes:erase", False, 403),
        ("erase", "notes:erase", True, 200),
        ("erase", "notes:erase", False, 401),
        ("erase", "notes:write", True, 403),
        ("rm", "notes:write", False, 403),
        ("rm", "notes:write notes:erase", False, 200),
        ("remove", "", False, 200),
        ("unknown", "", False, 200),
    ],
)
def test_each_tool_has_its_own_requirement(
    issuer: Issuer, guarded: StrongDMTokenVerifier, tool: str, scopes: str, bound: bool, status: int
) -> None:
    app = guarded.sender_constrained(Inside(guarded))
    assert post(app, signed(agent(issuer, scopes, dpop=bound)), tools_call(tool)) == status


def test_calls_sent_together_need_what_all_of_them_need(issuer: Issuer, guarded: StrongDMTokenVerifier) -> None:
    app = guarded.sender_constrained(Inside(guarded))
    batch = b"[" + tools_call("unknown") + b"," + tools_call("write") + b"," + tools_call("erase") + b"]"
    _, sent = send_in_pieces(app, signed(agent(issuer, "notes:erase", dpop=True)), batch)
    assert sent[0]["status"] == 403
    assert b'scope="notes:erase notes:write"' in dict(sent[0]["headers"])[b"www-authenticate"]
    assert post(app, signed(agent(issuer, "notes:write notes:erase", dpop=True)), batch) == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe\xff",
        b"[" * 100_000,
        b"1" * 100_000,
        b"null",
        b'"tools/call"',
        b'{"method": "tools/call"}',
        b'{"method": "tools/call", "params": ["write"]}',
        b'{"method": "tools/list", "params": {"name": "write"}}',
        b'{"params": {"name": "write"}}',
        tools_call(["write"]),
        tools_call(None),
        tools_call(7),
    ],
)
def test_what_calls_no_tool_is_passed_on_as_it_is(issuer: Issuer, guarded: StrongDMTokenVerifier, body: bytes) -> None:
    inside = Inside(guarded)
    assert post(guarded.sender_constrained(inside), signed(agent(issuer)), body) == 200
    assert inside.bodies == [body]
    assert tools_called(body) == frozenset()


def test_a_body_that_is_too_long_is_passed_on_unread(
    issuer: Issuer, guarded: StrongDMTokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK answers 413. We keep no more of it than that limit."""
    body = tools_call("write")
    monkeypatch.setattr(tools, "LONGEST_BODY", len(body))
    inside = Inside(guarded)
    app, headers = guarded.sender_constrained(inside), signed(agent(issuer))
    assert post(app, headers, body) == 403
    assert post(app, headers, body, b" ") == 200
    assert inside.bodies == [body + b" "]


def test_no_more_of_a_body_is_kept_than_the_limit(
    issuer: Issuer, guarded: StrongDMTokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "LONGEST_BODY", 100)
    taken_before_the_app: list[int] = []
    taken = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        taken_before_the_app.append(taken)
        await send({"type": "http.response.start", "status": 413, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> dict[str, Any]:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b" " * 60, "more_body": taken < 100}

    async def send(message: Any) -> None:
        pass

    async def run() -> None:
        wrapped = guarded.sender_constrained(app)
        await asyncio.wait_for(wrapped(scope_of("POST", "/mcp", headers=signed(agent(issuer))), receive, send), 10)

    RUNNER.run(run())
    assert taken_before_the_app == [2]


def test_a_body_that_was_cut_off_is_passed_on_with_its_end(issuer: Issuer, guarded: StrongDMTokenVerifier) -> None:
    inside = Inside(guarded)
    taken, _ = send_in_pieces(
        guarded.sender_constrained(inside), signed(agent(issuer)), tools_call("write")[:-1], cut=True
    )
    assert inside.bodies == [tools_call("write")[:-1]]
    assert taken == 2  # the piece and the disconnect, each once


def test_strangers_do_not_make_us_read_bodies(issuer: Issuer, guarded: StrongDMTokenVerifier) -> None:
    app = guarded.sender_constrained(Inside(guarded))
    taken, sent = send_in_pieces(
        app, [("Authorization", f"Bearer {agent(issuer, dpop=True).token}")], tools_call("write")
    )
    assert (taken, sent[0]["status"]) == (0, 401)


def test_a_body_is_not_read_where_no_tool_asks_for_more(issuer: Issuer, auth: StrongDMTokenVerifier) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    taken, _ = send_in_pieces(auth.sender_constrained(app), signed(agent(issuer)), b"{}")
    assert taken == 0


def test_the_applications_own_word_is_asked_about_the_tools_requirement(issuer: Issuer) -> None:
    asked: list[tuple[str, ...]] = []

    def authorize(token: Any, request: Any, requirement: Requirement) -> bool:
        asked.append(requirement.scope_names())
        return "notes:write" not in requirement.scope_names()

    auth = make_auth(issuer, authorize=authorize)
    auth.require_scope("notes:write")(tools_call)
    app = auth.sender_constrained(Inside(auth))
    assert post(app, signed(agent(issuer, "notes:write")), tools_call("tools_call")) == 403
    assert asked == [(), ("notes:write",)]


@pytest.mark.parametrize("over", [False, True])
def test_what_a_session_began_with_does_not_vouch_for_another_token(
    issuer: Issuer, auth: StrongDMTokenVerifier, over: bool
) -> None:
    """A session's task keeps the context of its first request, which may have called the same tool with more scopes."""

    @auth.require_scope("notes:write")
    def write() -> str:
        return "written"

    async def call(first: str, now: str) -> str:
        strong = await auth.verify_token(first)
        assert strong is not None
        request = Presented(auth, strong.verified_by(auth.verifier), first, frozenset({"write"}))
        with presenting(request):
            message = auth_context_var.set(await user_of(now))
            request.over = over
            try:
                return await write()  # type: ignore[no-any-return]
            finally:
                auth_context_var.reset(message)

    async def user_of(compact: str) -> AuthenticatedUser:
        request = Request("POST", RESOURCE, {"Authorization": f"Bearer {compact}"})
        verified = await auth.verifier.authenticate(request)
        return AuthenticatedUser(VerifiedAccessToken.of(compact, verified, auth.verifier))

    strong, weak = (agent(issuer, scopes).token for scopes in ("notes:write", "notes:read"))
    assert RUNNER.run(call(strong, strong)) == "written"
    with pytest.raises(ToolError, match="notes:write"):
        RUNNER.run(call(strong, weak))


@pytest.mark.parametrize("cut", [False, True])
def test_a_body_in_single_bytes_is_kept_once_and_not_as_a_message_each(cut: bool) -> None:
    """4 MiB in single bytes would be 800 MB of messages."""
    body = tools_call("write")
    waiting = [{"type": "http.request", "body": bytes([octet]), "more_body": True} for octet in body]
    waiting.append({"type": "http.disconnect"} if cut else {"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def run() -> list[dict[str, Any]]:
        read, again = await tools.read_body(receive)
        assert read == body
        return [dict(await again()) for _ in range(2)]

    first, then = RUNNER.run(run())
    assert first == {"type": "http.request", "body": body, "more_body": cut}
    assert then == {"type": "http.disconnect"}
