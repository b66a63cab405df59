"""Every door, sync and async: a SET is taken, what was issued before it is refused, a new token gets in."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from strongdm_auth import Decision
from strongdm_auth.events import Event
from strongdm_auth.security_events import MOST_SET_BYTES
from strongdm_auth.testing import Issuer
from tests.contract import AUDIENCE, Answer

from .api import MEDIA_TYPE
from .doors import DOORS, EVENTS, ROUTE, Door


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer(realms=("alpha",), algorithms=["EdDSA"]).serve() as issuer:
        yield issuer


class Caller:
    """Whoever calls a door: the transmitter, and agents."""

    def __init__(self, issuer: Issuer, door: Door, told: list[Event]) -> None:
        self._issuer, self._door, self._told = issuer, door, told

    def token(self, subject: str, seconds_ago: int) -> str:
        claims = {"iat": int(time.time()) - seconds_ago}
        return self._issuer.token(subject, realm="alpha", audience=AUDIENCE, claims=claims)

    def event(self, subject: str) -> bytes:
        claims = {"iat": int(time.time()) - 10}
        return self._issuer.security_event(subject=subject, realm="alpha", audience=AUDIENCE, claims=claims).encode()

    def push(self, *parts: bytes, media_type: str = MEDIA_TYPE, method: str = "POST") -> Answer:
        return self._door.send(method, EVENTS, [("Content-Type", media_type)], list(parts))

    def ask(self, token: str) -> tuple[int, str]:
        """The status, and the reason as the audit trail has it."""
        answer = self._door.send("GET", ROUTE, [("Authorization", f"Bearer {token}")], [])
        decision = [event for event in self._told if isinstance(event, Decision)][-1]
        return answer.status, decision.reason


@pytest.fixture(params=DOORS)
def make(request: pytest.FixtureRequest, issuer: Issuer) -> Iterator[Callable[..., Caller]]:
    doors: list[Door] = []

    def make(**settings: Any) -> Caller:
        told: list[Event] = []
        given = {"issuer": issuer.url, "realms": ["alpha"], "audience": AUDIENCE, "on_event": told.append, **settings}
        doors.append(DOORS[request.param](given))
        return Caller(issuer, doors[-1], told)

    yield make
    for door in doors:
        with closing(door):
            pass


def test_a_set_ends_what_was_issued_before_it(make: Callable[..., Caller]) -> None:
    caller = make(security_events=EVENTS)
    old, other = caller.token("alice", 20), caller.token("bob", 20)
    assert [caller.ask(token) for token in (old, other)] == [(200, "ok"), (200, "ok")]
    answer = caller.push(caller.event("alice"))
    assert (answer.status, answer.body) == (202, b"")
    assert answer.header("Cache-Control") == "no-store"
    assert caller.ask(old) == (401, "token.revoked")
    assert caller.ask(other) == (200, "ok")
    assert caller.ask(caller.token("alice", 0)) == (200, "ok")


def test_rfc8935_2_1_a_set_comes_by_post(make: Callable[..., Caller], request: pytest.FixtureRequest) -> None:
    caller = make(security_events=EVENTS)
    for method in ("GET", "PUT", "DELETE"):
        answer = caller.push(caller.event("alice"), method=method)
        if "protect" in request.node.callspec.params["make"]:
            assert answer.status in (401, 405), "the whole app's guard may come first"
        else:
            assert answer.status == 405
            assert "POST" in (answer.header("Allow") or "")
    assert caller.ask(caller.token("alice", 20)) == (200, "ok")


def test_what_is_no_set_is_refused_as_rfc_8935_has_it(make: Callable[..., Caller]) -> None:
    caller = make(security_events=EVENTS)
    compact = caller.event("alice")
    cases = {
        "another media type": caller.push(compact, media_type="application/json"),
        "no media type": caller.push(compact, media_type=""),
        "nothing": caller.push(b""),
        "an access token": caller.push(caller.token("alice", 20).encode()),
        "too much": caller.push(compact + b" " * (MOST_SET_BYTES + 1 - len(compact))),
    }
    for case, answer in cases.items():
        assert (answer.status, json.loads(answer.body)["err"]) == (400, "invalid_request"), case
        assert answer.header("Content-Type") == "application/json", case
        assert answer.header("Content-Language") == "en", case
    assert caller.ask(caller.token("alice", 20)) == (200, "ok")
    assert caller.push(compact + b" " * (MOST_SET_BYTES - len(compact)), media_type=MEDIA_TYPE + ";v=1").status == 202
    assert caller.ask(caller.token("alice", 20)) == (401, "token.revoked")


def test_a_set_may_come_in_parts(make: Callable[..., Caller]) -> None:
    caller = make(security_events=EVENTS)
    if not caller._door.chunked:
        pytest.skip("Django reads no body without a length from a WSGI server")
    compact = caller.event("alice")
    assert caller.push(compact[:7], b"", compact[7:]).status == 202
    assert caller.ask(caller.token("alice", 20)) == (401, "token.revoked")
    assert caller.push(*[b"x" * 1_000] * 1_000).status == 400


def test_the_issuer_away_means_503_and_come_again(make: Callable[..., Caller], issuer: Issuer) -> None:
    caller = make(security_events=EVENTS, jwks_cooldown=0)
    compact = caller.event("alice")
    issuer.fail(503)
    try:
        answer = caller.push(compact)
    finally:
        issuer.heal()
    assert answer.status == 503
    assert int(answer.header("Retry-After") or 0) >= 1
    assert caller.push(compact).status == 202
    assert caller.ask(caller.token("alice", 20)) == (401, "token.revoked")


def test_without_the_setting_there_is_no_such_endpoint(
    make: Callable[..., Caller], request: pytest.FixtureRequest
) -> None:
    if request.node.callspec.params["make"] in ("django's view", "django's view, async", "drf"):
        pytest.skip("who routes the view wants it")
    caller = make()
    assert caller.push(caller.event("alice")).status in (200, 401, 404, 405)  # the app's own word, or ours on any path
    assert caller.ask(caller.token("alice", 20)) == (200, "ok")
