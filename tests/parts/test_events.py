"""Events without a door: exchanges with the issuer, observers that fail, who is told and who is not."""

import asyncio
import json
import logging
import threading
from contextvars import ContextVar
from typing import Any

import pytest

from strongdm_auth import Decision, Exchange, InvalidToken, Refused, Requirement, Verifier
from strongdm_auth.testing import DPoPKey, SigningKey
from tests.conftest import URL, request

from .world import ALPHA, DISCOVERY, Answer, World, async_status_of, status_of

TRACE: ContextVar[str] = ContextVar("trace", default="none")
Event = Decision | Exchange


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_each_exchange_is_told_and_how_it_ended(world: World, key: SigningKey, kind: str) -> None:
    world.publish(key)
    events: list[Event] = []
    ask(world, kind, world.token(key), on_event=events.append)
    exchanges = [event for event in events if isinstance(event, Exchange)]
    assert [(each.purpose, each.method, each.url, each.status, each.failure) for each in exchanges] == [
        ("discovery", "GET", ALPHA + DISCOVERY, 200, None),
        ("jwks", "GET", f"{ALPHA}/jwks", 200, None),
    ]
    assert all(each.time == world.clock() and 0 <= each.duration < 5 for each in exchanges)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_exchange_that_came_to_nothing_says_why(world: World, key: SigningKey, kind: str) -> None:
    world.outage = Answer(fault=ConnectionError("refused"))
    events: list[Event] = []
    assert ask(world, kind, world.token(key), on_event=events.append) == 503
    exchange, decision = events
    assert isinstance(exchange, Exchange)
    assert (exchange.status, exchange.failure) == (None, "ConnectionError")
    assert isinstance(decision, Decision)
    assert (decision.outcome, decision.reason) == ("unavailable", "keys.unavailable")


def test_an_introspection_is_told_and_its_token_is_not(world: World, key: SigningKey) -> None:
    world.publish(key)
    events: list[Event] = []
    token = world.token(key)
    settings = {"introspection": "always", "client_id": "api", "client_secret": "hidden-secret"}
    ask(world, "sync", token, on_event=events.append, **settings)
    assert [event.purpose for event in events if isinstance(event, Exchange)][-1] == "introspection"
    assert [event.method for event in events if isinstance(event, Exchange)][-1] == "POST"
    assert not any(secret in repr(events) for secret in (token, "hidden-secret", "aGlkZGVu"))


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_fetch_beside_the_request_keeps_the_request_s_context(world: World, key: SigningKey, kind: str) -> None:
    """Who traces requests sees the fetch as a part of the one that caused it."""
    world.publish(key)
    seen: list[str] = []
    reset = TRACE.set("this request")
    try:
        ask(world, kind, world.token(key), on_event=lambda _: seen.append(TRACE.get()))
    finally:
        TRACE.reset(reset)
    assert seen == ["this request"] * 3


def test_an_observer_that_fails_is_logged_and_others_are_told(
    world: World, key: SigningKey, caplog: pytest.LogCaptureFixture
) -> None:
    world.publish(key)

    def fail(_: Event) -> None:
        raise RuntimeError("broken")

    events: list[Event] = []
    assert ask(world, "sync", world.token(key), on_event=[fail, events.append]) == 200
    assert len(events) == 3
    assert sum(record.levelno == logging.ERROR for record in caplog.records) == 3


def test_nobody_is_told_where_nobody_listens(
    world: World, key: SigningKey, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event that nobody wants is not made: the hot path is free of it."""
    world.publish(key)
    made: list[object] = []
    monkeypatch.setattr("strongdm_auth.audit._decision", lambda *given: made.append(given))
    ask(world, "sync", world.token(key))
    assert not made
    assert not [record for record in caplog.records if record.name == "strongdm_auth.audit"]


def test_a_verifier_alone_tells_of_who_was_authenticated_and_what_was_authorized(world: World, key: SigningKey) -> None:
    world.publish(key)
    events: list[Event] = []
    verifier = world.verifier(on_event=events.append)
    asked = request(world.token(key))
    verifier.authenticate(asked)
    with pytest.raises(Refused):
        verifier.authorize(asked, Requirement(scopes="admin"))
    with pytest.raises(InvalidToken):
        verifier.authenticate(request(world.token(key) + "x"))
    told = [(event.outcome, event.reason, event.scopes_needed) for event in events if isinstance(event, Decision)]
    assert told == [
        ("admitted", "ok", ()),
        ("refused", "scope.insufficient", ("admin",)),
        ("refused", "token.malformed", ()),
    ]


def test_expired_forged_and_issuer_down_are_told_apart(world: World, key: SigningKey, other_key: SigningKey) -> None:
    world.publish(key)
    events: list[Event] = []
    verifier = world.verifier(on_event=events.append)
    assert status_of(verifier, world.token(key)) == 200
    assert status_of(verifier, world.token(key, exp=world.clock() - 100, iat=world.clock() - 200)) == 401
    assert status_of(verifier, world.token(key)[:-8] + "AAAAAAAA") == 401
    world.outage = Answer(status=500)
    world.clock.advance(10_000)
    assert status_of(verifier, world.token(key, iat=world.clock(), exp=world.clock() + 60)) == 503
    decisions = [event for event in events if isinstance(event, Decision)]
    assert [(each.outcome, each.reason) for each in decisions] == [
        ("admitted", "ok"),
        ("refused", "token.expired"),
        ("refused", "token.signature"),
        ("unavailable", "keys.unavailable"),
    ]


def test_a_path_that_somebody_made_long_is_cut_and_an_unknown_actor_is_a_question_mark(
    world: World, key: SigningKey
) -> None:
    world.publish(key)
    events: list[Event] = []
    verifier = world.verifier(on_event=events.append)
    token = world.token(key, act={"sub": 7, "act": {"sub": "cli_b"}})
    verifier.authenticate(request(token, url="https://api.example.com/" + "x" * 5_000 + "?q=secret"))
    decision = events[-1]
    assert isinstance(decision, Decision)
    assert len(decision.path) == 1_024
    assert decision.actors == ("?", "cli_b")
    line = json.loads(decision.as_json())
    assert line["event"] == "decision"
    assert "error" not in line, "what there is nothing to say about is left out"


def test_threads_each_tell_their_own(world: World, key: SigningKey) -> None:
    world.publish(key)
    events: list[Event] = []
    verifier = world.verifier(on_event=events.append)
    tokens = [world.token(key, sub=f"agent-{number}") for number in range(20)]
    threads = [threading.Thread(target=status_of, args=(verifier, token)) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    subjects = [event.subject for event in events if isinstance(event, Decision)]
    assert sorted(map(str, subjects)) == sorted(f"agent-{number}" for number in range(20))


def ask(world: World, kind: str, token: str, **settings: Any) -> int:
    if kind == "sync":
        verifier: Verifier = world.verifier(**settings)
        return status_of(verifier, token)
    return asyncio.run(async_status_of(world.async_verifier(**settings), token))


def test_a_replay_of_a_remembered_token_is_told_as_whose_token_it_is(world: World, key: SigningKey) -> None:
    world.publish(key)
    events: list[Event] = []
    verifier, holder = world.verifier(on_event=events.append), DPoPKey.generate()
    token = world.token(key, cnf={"jkt": holder.thumbprint})
    proofs = [holder.proof("GET", URL, token, now=world.clock()) for _ in range(2)]
    for proof in (proofs[0], proofs[1]):
        verifier.authenticate(request(token, proof))
    with pytest.raises(Refused):
        verifier.authenticate(request(token, proofs[1]))
    replay = events[-1]
    assert isinstance(replay, Decision)
    assert (replay.reason, replay.scheme, replay.subject) == ("dpop.replayed", "DPoP", "agent")
    assert replay.key_thumbprint == holder.thumbprint
