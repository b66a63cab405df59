"""Why a token ends before its time, and that an open connection ends for each of these reasons, and for no other's."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from strongdm_auth import AsyncVerifier
from strongdm_auth.revocation import Revocation
from strongdm_auth.standing import GRACE, RETRY
from strongdm_auth.testing import Clock, DPoPKey, Issuer
from tests.conftest import AUDIENCE

from .apps import silent
from .conftest import MANY_LOOKS, MakeDoor, MakeToken
from .lines import Line, in_loop, opened, until


class SharedMemory:
    """A store that two workers of one process share, and whose list of revocations is read from wherever one left off."""

    def __init__(self) -> None:
        self.listed: list[Revocation] = []
        self.asked = 0
        self.fault: Exception | None = None

    async def first_use(self, key: bytes, owner: str, until: float, now: float) -> bool:
        return True

    async def recall(self, name: bytes) -> bytes | None:
        return None

    async def keep(self, name: bytes, value: bytes, seconds: float, replace: bool) -> None:
        return None

    async def revoke(self, hashes: Sequence[bytes], until: float, now: float) -> bool:
        self.listed += [(digest, until) for digest in hashes]
        return True

    async def revoked(self, position: str) -> tuple[str, Sequence[Revocation]]:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        start = int(position or 0)
        return str(len(self.listed)), self.listed[start:]


@in_loop
async def test_a_token_that_is_revoked(make_door: MakeDoor, token: MakeToken) -> None:
    door, revoked = make_door(silent), token()
    async with opened(door, Line(revoked)) as line, opened(door, Line(token())) as other:
        await door.verifier.revoke(revoked)
        assert await line.closed() == closed("The access token was revoked")
        await asyncio.sleep(MANY_LOOKS)
        assert other.open


@in_loop
async def test_a_bound_token_that_is_revoked(make_door: MakeDoor, token: MakeToken, clock: Clock) -> None:
    key = DPoPKey.generate()
    bound, line = token(key=key), Line(None)
    proof = key.proof("GET", "https://api.example.com/stream", bound, now=clock())
    line.scope["headers"] += [(b"authorization", f"DPoP {bound}".encode()), (b"dpop", proof.encode())]
    door = make_door(silent)
    async with opened(door, line):
        await door.verifier.revoke(bound)
        assert await line.closed() == closed("The access token was revoked")


@in_loop
async def test_a_session_that_the_issuer_says_is_over(make_door: MakeDoor, token: MakeToken, issuer: Issuer) -> None:
    door = make_door(silent, security_events="/events")
    alices, bobs = token(claims={"sub": "alice"}), token(claims={"sub": "bob"})
    async with opened(door, Line(alices)) as line, opened(door, Line(bobs, "http")) as other:
        event = issuer.security_event("session-revoked", "alice", realm="alpha", audience=AUDIENCE)
        answer = await door.verifier.receive("application/secevent+jwt", event.encode())
        assert answer.status == 202
        assert await line.closed() == closed("The access token was revoked")
        await asyncio.sleep(MANY_LOOKS)
        assert other.open


@in_loop
async def test_a_session_that_was_over_before_the_socket_was_accepted(
    make_door: MakeDoor, token: MakeToken, issuer: Issuer, clock: Clock
) -> None:
    """The event came between the handshake and `accept`."""
    entered, accept = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        entered.set()
        await accept.wait()
        await silent(scope, receive, send)

    door = make_door(app, security_events="/events")
    line = Line(token(claims={"sub": "alice"}))
    line.task = asyncio.create_task(door(line.scope, line.receive, line.send))  # type: ignore[arg-type]
    await entered.wait()
    event = issuer.security_event("session-revoked", "alice", realm="alpha", audience=AUDIENCE)
    await door.verifier.receive("application/secevent+jwt", event.encode())
    accept.set()
    assert await line.closed() == closed("The access token was revoked")
    line.task.cancel()


@in_loop
async def test_a_token_that_another_worker_was_told_of(
    make_door: MakeDoor, token: MakeToken, clock: Clock, make_async_verifier: Callable[..., AsyncVerifier]
) -> None:
    """Although no request comes that would have the list read."""
    store, revoked = SharedMemory(), token()
    door, other_worker = make_door(silent, replay_store=store), make_async_verifier(replay_store=store)
    async with opened(door, Line(revoked)) as line, opened(door, Line(token())) as other:
        await other_worker.revoke(revoked)
        clock.advance(1)
        assert await line.closed() == closed("The access token was revoked")
        await asyncio.sleep(MANY_LOOKS)
        assert other.open


@in_loop
async def test_a_store_that_is_away_ends_nothing_and_keeps_nothing_from_ending(
    make_door: MakeDoor, token: MakeToken, clock: Clock
) -> None:
    store, revoked = SharedMemory(), token()
    door = make_door(silent, replay_store=store)
    async with opened(door, Line(revoked)) as line, opened(door, Line(token())) as other:
        store.fault = ConnectionError()
        asked = store.asked
        clock.advance(1)
        await until(lambda: store.asked > asked)
        await asyncio.sleep(MANY_LOOKS)
        assert line.open
        assert other.open
        await door.verifier.revoke(revoked)
        assert await line.closed() == closed("The access token was revoked")
        clock.advance(90)
        assert await other.closed() == closed("The access token has expired")


@in_loop
async def test_a_key_that_left_the_issuers_set(
    make_door: MakeDoor, token: MakeToken, issuer: Issuer, clock: Clock
) -> None:
    """Once that is known: here by a request with a token of the new key."""
    door = make_door(silent)
    async with opened(door, Line(token())) as line:
        issuer.rotate("alpha")
        async with opened(door, Line(token())) as newer:
            assert await line.closed() == closed("The access token is signed with an unknown key")
            await asyncio.sleep(MANY_LOOKS)
            assert newer.open


@in_loop
async def test_keys_are_fetched_anew_though_no_request_comes(
    make_door: MakeDoor, token: MakeToken, issuer: Issuer, clock: Clock
) -> None:
    """A server of websockets alone may have no other request for days."""
    door = make_door(silent)
    async with opened(door, Line(token(lifetime=3600))) as line:
        issuer.rotate("alpha")
        clock.advance(901)  # jwks_max_age
        assert await line.closed() == closed("The access token is signed with an unknown key")


@in_loop
async def test_keys_that_cannot_be_fetched_anew_end_nothing(
    make_door: MakeDoor, token: MakeToken, issuer: Issuer, clock: Clock
) -> None:
    door = make_door(silent)
    async with opened(door, Line(token(lifetime=3600))) as line:
        issuer.fail(500)
        clock.advance(901)
        await asyncio.sleep(MANY_LOOKS)
        assert line.open


@in_loop
async def test_a_key_that_stays_beside_a_newer_one_counts(
    make_door: MakeDoor, token: MakeToken, issuer: Issuer
) -> None:
    door = make_door(silent)
    async with opened(door, Line(token())) as line:
        issuer.rotate("alpha", keep_old=True)
        async with opened(door, Line(token())) as newer:
            await asyncio.sleep(MANY_LOOKS)
            assert line.open
            assert newer.open


# Tokens that the issuer is asked about


@pytest.fixture
def asking(make_door: MakeDoor, issuer: Issuer) -> Callable[..., Any]:
    """A door that asks the issuer; about opaque tokens, or about all."""
    client = issuer.client("the API")

    def make(introspection: str = "fallback", **settings: Any) -> Any:
        credentials = {"client_id": client.client_id, "client_secret": client.client_secret}
        return make_door(silent, introspection=introspection, **credentials, **settings)

    return make


def opaque(issuer: Issuer) -> str:
    return issuer.opaque_token("cli_agent", realm="alpha", audience=AUDIENCE, lifetime=100_000)


@pytest.mark.parametrize("introspection", ["fallback", "always"])
def test_a_token_that_the_issuer_calls_inactive(
    introspection: str, asking: Callable[..., Any], issuer: Issuer, clock: Clock
) -> None:
    made = opaque(issuer)
    if introspection == "always":
        made = issuer.token("cli_agent", realm="alpha", audience=AUDIENCE, lifetime=100_000)

    @in_loop
    async def scenario() -> None:
        async with opened(asking(introspection), Line(made)) as line:
            issuer.revoke(made)
            clock.advance(59)
            await asyncio.sleep(MANY_LOOKS)
            assert line.open  # the issuer's last word counts for `introspection_ttl`
            assert issuer.count("/introspect") == 1
            clock.advance(1)
            assert await line.closed() == closed("The access token is not active")
            assert issuer.count("/introspect") == 2

    scenario()


@in_loop
async def test_it_is_asked_about_again_and_again_and_no_more_than_that(
    asking: Callable[..., Any], issuer: Issuer, clock: Clock
) -> None:
    async with opened(asking(), Line(opaque(issuer))) as line:
        for times in (2, 3, 4):
            clock.advance(60)
            await until(lambda times=times: issuer.count("/introspect") == times)
            await asyncio.sleep(MANY_LOOKS)
            assert issuer.count("/introspect") == times
        assert line.open


@in_loop
async def test_a_jwt_that_nobody_asked_about_is_not_asked_about_later(
    asking: Callable[..., Any], token: MakeToken, issuer: Issuer, clock: Clock
) -> None:
    async with opened(asking(), Line(token(lifetime=100_000))) as line:
        clock.advance(1_000)
        await asyncio.sleep(MANY_LOOKS)
        assert line.open
    assert issuer.count("/introspect") == 0


@in_loop
async def test_an_issuer_that_is_away_for_too_long_is_no_fault_of_the_clients(
    asking: Callable[..., Any], issuer: Issuer, clock: Clock
) -> None:
    """1013, try again later: its last word counts for twice `introspection_ttl`, and it is tried every few seconds."""
    async with opened(asking(), Line(opaque(issuer))) as line:
        issuer.fail(503, path="/introspect")
        for seconds in (60, 30, 29):
            clock.advance(seconds)
            await asyncio.sleep(MANY_LOOKS)
            assert line.open
        assert issuer.count("/introspect") == 4
        clock.advance(RETRY)
        assert await line.closed() == closed("The issuer cannot be asked about the token right now", code=1013)


@in_loop
async def test_an_issuer_that_comes_back_in_time_is_believed(
    asking: Callable[..., Any], issuer: Issuer, clock: Clock
) -> None:
    async with opened(asking(), Line(opaque(issuer))) as line:
        issuer.fail(503, path="/introspect", times=1)
        clock.advance(119)
        await until(lambda: issuer.count("/introspect") == 2)
        clock.advance(RETRY)
        await until(lambda: issuer.count("/introspect") == 3)
        clock.advance(59)
        await asyncio.sleep(MANY_LOOKS)
        assert line.open


@in_loop
async def test_where_answers_are_not_kept_its_last_word_counts_for_a_while_all_the_same(
    asking: Callable[..., Any], issuer: Issuer, clock: Clock
) -> None:
    async with opened(asking(introspection_ttl=1), Line(opaque(issuer))) as line:
        issuer.fail(503, path="/introspect")
        clock.advance(GRACE - 1)
        await asyncio.sleep(MANY_LOOKS)
        assert line.open
        clock.advance(RETRY)
        assert (await line.closed())["code"] == 1013


def closed(reason: str, code: int = 1008) -> dict[str, Any]:
    return {"type": "websocket.close", "code": code, "reason": reason}
