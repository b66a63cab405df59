"""`unsafe_authenticated_as`: requests are taken as made with a token, through every door, and only within the block."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
import pytest
from flask import Flask
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from tests.contract import AUDIENCE
from tests.doors.test_contract import DOORS

from strongdm_auth import AsyncVerifier, Delegation, Request, Requirement, Verifier
from strongdm_auth.asgi import StrongDMAuthMiddleware
from strongdm_auth.errors import AccessDenied, InsufficientScope, InvalidToken, MissingCredentials
from strongdm_auth.flask import StrongDMAuth, current_token
from strongdm_auth.testing import TrustedIssuer, fake_token, unsafe_authenticated_as

SETTINGS: dict[str, Any] = {"issuer": "https://id.strongdm.ai", "realms": ["alpha", "beta"], "audience": AUDIENCE}
REQUEST = Request("GET", "https://api.example.com/things", {})
HUMAN = "ann@example.com"

#: What a token is, the route, and the answer: a requirement is held against it as against any other.
HELD: list[tuple[str, dict[str, Any], str, int, str]] = [
    ("any", {}, "/protected", 200, ""),
    ("scope", {"scopes": "read"}, "/read", 200, ""),
    ("no scope", {"scopes": "write"}, "/read", 403, "insufficient_scope"),
    ("one of two scopes", {"scopes": "read"}, "/read-and-write", 403, "insufficient_scope"),
    ("any scope", {"scopes": "write"}, "/any", 200, ""),
    ("unbound", {}, "/bound", 401, "invalid_token"),
    ("bound", {"dpop": True}, "/bound", 200, ""),
    ("realm", {"realm": "beta"}, "/beta", 200, ""),
    ("other realm", {"realm": "alpha"}, "/beta", 403, "access_denied"),
    ("nobody acts", {}, "/delegated", 403, "access_denied"),
    ("somebody acts", {"actor": "cli_a"}, "/delegated", 200, ""),
    ("somebody acts, and must not", {"actor": "cli_a"}, "/direct", 403, "access_denied"),
    ("a scheduler acts", {"actor": "cli_scheduler_1"}, "/scheduler", 200, ""),
    ("another one acts", {"actor": {"sub": "cli_x", "act": {"sub": "cli_scheduler_1"}}}, "/scheduler", 403, ""),
    ("for a human", {"subject": HUMAN, "actor": "cli_a"}, "/humans", 200, ""),
    ("step-up", {"claims": {"acr": "silver"}}, "/strong", 200, ""),
    ("no step-up", {}, "/strong", 401, "insufficient_user_authentication"),
    ("optional", {}, "/optional", 200, ""),
    ("introspected", {}, "/introspected", 200, ""),
]


@pytest.fixture(scope="module")
def apps() -> Iterator[dict[str, Any]]:
    apps = {name: build(SETTINGS) for name, build in DOORS.items()}
    yield apps
    for app in apps.values():
        app.close()


@pytest.mark.parametrize("door", DOORS)
def test_a_requirement_is_held_against_the_token_through_every_door(door: str, apps: dict[str, Any]) -> None:
    app = apps[door]
    for name, parts, path, status, error in HELD:
        with unsafe_authenticated_as(fake_token(**parts)):
            answer = app.send("GET", path, "", [])
        assert answer.status == status, (name, answer)
        if error:
            assert json.loads(answer.body)["error"] == error, name
    assert app.send("GET", "/protected", "", []).status == 401


@pytest.mark.parametrize("door", DOORS)
def test_the_route_gets_that_token_and_the_credentials_that_were_sent_do_not_matter(
    door: str, apps: dict[str, Any]
) -> None:
    actor = {"sub": "cli_outer", "act": {"sub": "cli_inner"}}
    parts: dict[str, Any] = {"scopes": "write read", "realm": "beta", "actor": actor, "dpop": True, "audience": "x"}
    with unsafe_authenticated_as(HUMAN, **parts) as token:
        answer = apps[door].send("GET", "/introspected", "", [("Authorization", "Bearer nonsense")])
    assert answer.status == 200
    told = json.loads(answer.body)
    assert told == {
        "subject": HUMAN,
        "issuer": "https://id.strongdm.ai/realms/beta",
        "realm": "beta",
        "scopes": ["read", "write"],
        "client_id": "cli_outer",
        "audience": ["x"],
        "key_thumbprint": token.key_thumbprint,
        "actor": "cli_outer",
        "actors": ["cli_outer", "cli_inner"],
        "introspected": True,
    }
    assert answer.header("Vary")


def test_the_classes_are_as_they_were_before_and_after_also_by_an_exception() -> None:
    def methods() -> list[Any]:
        names = ("admit", "authenticate", "authorize", "denial", "revoke", "close")
        return [
            (vars(owner).get(name), getattr(owner, name, None)) for owner in (Verifier, AsyncVerifier) for name in names
        ]

    def fail() -> None:
        with unsafe_authenticated_as():
            assert methods() != before
            raise LookupError

    before = methods()
    with pytest.raises(LookupError):
        fail()
    assert methods() == before
    with unsafe_authenticated_as(), TrustedIssuer(), unsafe_authenticated_as():
        assert methods() != before
    assert methods() == before


def test_verifiers_without_a_framework() -> None:
    verifier, loops = Verifier(**SETTINGS), AsyncVerifier(**SETTINGS)
    with unsafe_authenticated_as("ann", scopes="read") as token:
        assert verifier.authenticate(REQUEST) is token
        assert asyncio.run(loops.authenticate(REQUEST)) is token
        assert asyncio.run(loops.authorize(REQUEST, Requirement(scopes="read"))) is token
        with pytest.raises(InsufficientScope):
            verifier.authorize(REQUEST, Requirement(scopes="write"))
    with pytest.raises(MissingCredentials):
        verifier.authenticate(REQUEST)
    with pytest.raises(MissingCredentials):
        asyncio.run(loops.authenticate(REQUEST))


def test_the_setting_that_asks_for_bound_tokens_counts() -> None:
    verifier = Verifier(dpop="required", **SETTINGS)
    with unsafe_authenticated_as(dpop=True) as token:
        assert verifier.authenticate(REQUEST) is token
        assert verifier.authorize(REQUEST, Requirement()) is token
    with unsafe_authenticated_as():
        for ask in (lambda: verifier.authenticate(REQUEST), lambda: verifier.admit(REQUEST)):
            with pytest.raises(InvalidToken) as caught:
                ask()
            assert caught.value.reason == "token.unbound"


def test_an_api_that_asks_the_issuer_about_every_token_takes_it_for_asked() -> None:
    verifier = Verifier(introspection="always", client_id="api", client_secret="secret", **SETTINGS)
    with unsafe_authenticated_as():
        admission = verifier.admit(REQUEST)
    assert admission is not None
    assert admission.token.introspected


def test_the_application_s_own_policy_and_the_audit_trail_are_the_real_ones() -> None:
    told: list[Any] = []
    verifier = Verifier(authorize=lambda token, *_: token.subject == "ann", on_event=told.append, **SETTINGS)
    with unsafe_authenticated_as("ann"):
        verifier.admit(REQUEST)
    with unsafe_authenticated_as("bob"), pytest.raises(AccessDenied):
        verifier.admit(REQUEST)
    assert [(decision.subject, decision.outcome) for decision in told] == [("ann", "admitted"), ("bob", "refused")]


def test_the_innermost_block_counts_and_what_is_over_is_over() -> None:
    verifier = Verifier(**SETTINGS)
    with unsafe_authenticated_as("outer"):
        with unsafe_authenticated_as("inner"):
            assert verifier.authenticate(REQUEST).subject == "inner"
        assert verifier.authenticate(REQUEST).subject == "outer"


def test_blocks_that_end_in_another_order_than_they_began() -> None:
    verifier = Verifier(**SETTINGS)
    first, second = unsafe_authenticated_as("first"), unsafe_authenticated_as("second")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert verifier.authenticate(REQUEST).subject == "second"
    second.__exit__(None, None, None)
    with pytest.raises(MissingCredentials):
        verifier.authenticate(REQUEST)


def test_tasks_that_run_at_once_are_each_their_own_and_the_others_nobody() -> None:
    verifier = AsyncVerifier(**SETTINGS)

    async def asking(name: str, entered: asyncio.Barrier) -> str | None:
        with unsafe_authenticated_as(name):
            await entered.wait()
            return (await verifier.authenticate(REQUEST)).subject

    async def nobody(entered: asyncio.Barrier) -> str | None:
        await entered.wait()
        with pytest.raises(MissingCredentials):
            await verifier.authenticate(REQUEST)
        return None

    async def all_of_them() -> list[str | None]:
        entered = asyncio.Barrier(3)
        return await asyncio.gather(asking("ann", entered), asking("bob", entered), nobody(entered))

    assert asyncio.run(all_of_them()) == ["ann", "bob", None]


def test_a_loop_that_was_there_before_the_block_is_within_it() -> None:
    """As where a sync fixture enters it, and a plugin runs the test in a loop with a context of its own."""
    verifier = AsyncVerifier(**SETTINGS)

    async def ask() -> str | None:
        return (await verifier.authenticate(REQUEST)).subject

    with asyncio.Runner() as runner:
        runner.run(asyncio.sleep(0))
        with unsafe_authenticated_as("ann"):
            assert runner.run(ask()) == "ann"
        with pytest.raises(MissingCredentials):
            runner.run(ask())


def test_a_task_that_outlives_the_block_is_nobody() -> None:
    verifier = AsyncVerifier(**SETTINGS)

    async def later(over: asyncio.Event) -> None:
        await over.wait()
        with pytest.raises(MissingCredentials):
            await verifier.authenticate(REQUEST)

    async def outliving() -> None:
        over = asyncio.Event()
        with unsafe_authenticated_as("ann"):
            task = asyncio.create_task(later(over))
            await asyncio.sleep(0)
        over.set()
        with unsafe_authenticated_as("bob"):  # so that the seam is in place
            await task

    asyncio.run(outliving())


def test_work_that_a_task_hands_to_a_thread_is_within_it() -> None:
    verifier = Verifier(**SETTINGS)

    async def ask() -> str | None:
        with unsafe_authenticated_as("ann"):
            return (await asyncio.to_thread(verifier.authenticate, REQUEST)).subject

    assert asyncio.run(ask()) == "ann"


async def whoami(request: Any) -> JSONResponse:
    return JSONResponse({"subject": request.auth.subject})


@pytest.mark.parametrize("entered", [False, True], ids=["portal for each request", "one portal"])
def test_starlette_s_test_client_with_its_own_thread_is_within_it(entered: bool) -> None:
    app = StrongDMAuthMiddleware(Starlette(routes=[Route("/", whoami)]), **SETTINGS)
    with ExitStack() as stack:
        client = TestClient(app)
        if entered:
            stack.enter_context(client)
        assert client.get("/").status_code == 401
        with unsafe_authenticated_as("ann"):
            assert client.get("/").json() == {"subject": "ann"}
        assert client.get("/").status_code == 401


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def test_a_server_in_a_thread_of_its_own_is_nobody_s_unless_its_verifier_is_named() -> None:
    app = Flask("served")
    auth = StrongDMAuth(app, **SETTINGS)
    app.add_url_rule("/", "whoami", auth.require_auth(lambda: {"subject": current_token.subject}))
    with app.app_context():
        verifier = auth.verifier
    with make_server("127.0.0.1", 0, app, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/"
            with unsafe_authenticated_as("ann"):
                assert httpx.get(url).status_code == 401
            with unsafe_authenticated_as("ann", verifiers=[verifier]):
                assert httpx.get(url).json() == {"subject": "ann"}
            assert httpx.get(url).status_code == 401
        finally:
            server.shutdown()
            thread.join()


def test_a_verifier_that_is_not_named_is_left_alone() -> None:
    named, other = Verifier(**SETTINGS), Verifier(**SETTINGS)
    with unsafe_authenticated_as(verifiers=[named]):
        assert named.authenticate(REQUEST).subject == "agent"
        with pytest.raises(MissingCredentials):
            other.authenticate(REQUEST)


def test_within_a_trusted_issuer_the_block_counts_for_whom_it_is_and_agents_for_the_rest() -> None:
    verifier = Verifier(**SETTINGS)
    with TrustedIssuer(realms=["alpha"], audience=AUDIENCE) as issuer:
        request = Request("GET", REQUEST.uri(), issuer.agent("agent").headers("GET", REQUEST.uri()))
        with unsafe_authenticated_as("ann"):
            assert verifier.authenticate(request).subject == "ann"
        assert verifier.authenticate(request).subject == "agent"


def test_either_a_token_or_the_parts_of_one() -> None:
    with pytest.raises(TypeError, match="parts"), unsafe_authenticated_as(fake_token(), scopes="read"):  # type: ignore[call-arg]
        pass


def test_a_delegation_is_read_as_an_api_reads_it() -> None:
    token = fake_token(HUMAN, actor={"sub": "cli_a", "act": {"sub": "cli_b"}})
    Requirement(delegation=Delegation(allowed_actors=["cli_a"], human="*@example.com")).check(token, 0.0)
    assert (token.client_id, [actor.subject for actor in token.delegation]) == ("cli_a", ["cli_a", "cli_b"])
