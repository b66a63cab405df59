"""Workers of one API that share a Valkey, each a verifier here: one is told, all know; also after the store was away."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from strongdm_auth import AsyncVerifier, Refused, Verifier
from strongdm_auth.revocation import LIST_AGE, LIST_TOO_OLD, PAUSE
from strongdm_auth.testing import Clock, DPoPKey, Issuer
from tests.conftest import request
from tests.stores.conftest import Valkey
from tests.stores.sharing import background_ends

from .api import API, MEDIA_TYPE, MakeAPI

SESSION = {"format": "complex", "session": {"format": "opaque", "id": "s-1"}}


@pytest.fixture
def worker(valkey: Valkey, issuer: Issuer, clock: Clock, make_verifier: Callable[..., Verifier]) -> Iterator[MakeAPI]:
    """One more worker of the same API."""
    made: list[Verifier] = []

    def make(**settings: Any) -> API:
        made.append(make_verifier(replay_store=valkey.url, **settings))
        return API(issuer, clock, made[-1])

    yield make
    background_ends()
    for verifier in made:
        verifier.close()


def test_what_one_worker_is_told_all_know(worker: MakeAPI, clock: Clock) -> None:
    one, other = worker(), worker()
    token, kept = one.token("alice"), one.token("bob")
    assert one.reason(token) is other.reason(token) is other.reason(kept) is None
    assert one.tell("alice").status == 202
    assert one.ended(token)
    clock.advance(LIST_AGE)
    other.reason(kept)  # any request has the list brought up to date, and does not wait for it
    background_ends()
    assert other.ended(token)
    assert not other.ended(kept)
    assert not other.ended(one.token("alice", claims={"iat": clock() + 1}))


def test_a_worker_that_was_idle_waits_for_the_news(worker: MakeAPI, clock: Clock) -> None:
    one, other = worker(), worker()
    token = one.token("alice")
    assert not other.ended(token)
    clock.advance(LIST_TOO_OLD)
    assert one.tell("alice").status == 202
    assert other.ended(token)


def test_a_worker_that_starts_later_knows(worker: MakeAPI) -> None:
    one, key = worker(), DPoPKey.generate()
    tokens = [one.token("alice"), one.token("carol", claims={"sid": "s-1"}), one.token("carol")]
    bound = one.token("alice", key=key)
    assert one.tell("alice").status == one.tell(SESSION).status == 202
    later = worker()
    assert [later.ended(token) for token in tokens] == [True, True, False]
    assert later.ended(bound, key)


def test_a_set_that_every_worker_is_sent_does_what_one_does(worker: MakeAPI, clock: Clock) -> None:
    workers = [worker() for _ in range(3)]
    token, compact = workers[0].token("alice"), workers[0].event("alice")
    assert [each.receive(compact).status for each in workers] == [202, 202, 202]
    clock.advance(LIST_TOO_OLD)
    after = workers[0].token("alice")
    assert [each.ended(token) for each in workers] == [True, True, True]
    assert [each.ended(after) for each in workers] == [False, False, False]


def test_two_sets_that_reach_two_workers_in_another_order_end_the_same(worker: MakeAPI, clock: Clock) -> None:
    one, other = worker(), worker()
    early, late = one.event("alice"), one.event("alice", claims={"iat": clock() + 20})
    between = one.token("alice", claims={"iat": clock() + 10})
    assert one.receive(late).status == other.receive(early).status == 202
    clock.advance(LIST_TOO_OLD)
    assert [each.ended(between) for each in (one, other, worker())] == [True, True, True]


def test_while_the_store_is_away_this_worker_knows_and_the_retry_reaches_the_others(
    worker: MakeAPI, valkey: Valkey, clock: Clock
) -> None:
    one, other = worker(), worker()
    token, compact = one.token("alice"), one.event("alice")
    assert one.reason(token) is other.reason(token) is None
    valkey.kill()
    for _ in range(2):
        answer = one.receive(compact)
        assert answer.status == 503
        assert json.loads(answer.body) == {"err": "temporarily_unavailable"}
        assert int(dict(answer.headers)["Retry-After"]) >= 1
    assert one.ended(token), "this process knows"
    clock.advance(LIST_TOO_OLD)
    assert not other.ended(token)
    valkey.start()
    assert one.receive(compact).status == 202
    clock.advance(PAUSE)
    other.reason(one.token("bob"))  # the first request after an outage has the list read, and does not wait for it
    background_ends()
    assert other.ended(token)
    assert worker().ended(token)


def test_the_retry_may_go_to_another_worker(worker: MakeAPI, valkey: Valkey, clock: Clock) -> None:
    one, other, third = worker(), worker(), worker()
    token, compact = one.token("alice"), one.event("alice")
    valkey.kill()
    assert one.receive(compact).status == 503
    valkey.start()
    assert other.receive(compact).status == 202
    clock.advance(LIST_TOO_OLD)
    assert [each.ended(token) for each in (one, other, third)] == [True, True, True]


def test_event_loops_tell_threads_and_hear_of_them(
    worker: MakeAPI, valkey: Valkey, clock: Clock, make_async_verifier: Callable[..., AsyncVerifier]
) -> None:
    one = worker()
    alice, bob = one.token("alice"), one.token("bob")
    assert one.reason(alice) is one.reason(bob) is None

    async def scenario() -> None:
        other = make_async_verifier(replay_store=valkey.url)
        assert (await other.receive(MEDIA_TYPE, one.event("alice").encode())).status == 202
        clock.advance(LIST_TOO_OLD)
        assert one.ended(alice)
        await other.authenticate(request(bob))
        assert one.tell("bob").status == 202
        clock.advance(LIST_TOO_OLD)
        for token in (alice, bob):
            with pytest.raises(Refused, match="revoked"):
                await other.authenticate(request(token))
        valkey.kill()
        assert (await other.receive(MEDIA_TYPE, one.event("carol").encode())).status == 503
        await other.aclose()

    asyncio.run(scenario())


def test_a_store_of_ones_own_that_only_remembers_proofs_is_no_list(
    make_api: MakeAPI, clock: Clock, make_verifier: Callable[..., Verifier]
) -> None:
    """This process knows, and says so with a 202: it is the only one."""
    api = make_api(replay_store="memory://")
    assert api.tell("alice").status == 202
    assert api.ended(api.token("alice"))
    assert not make_api().ended(api.token("alice"))


def test_a_list_that_is_full_elsewhere_is_not_acknowledged(
    worker: MakeAPI, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr("strongdm_auth.stores.redis_commands.MOST_REVOCATIONS", 2)
    one = worker()
    assert [one.tell(name).status for name in ("a", "b", "c")] == [202, 202, 503]
    assert one.ended(one.token("c")), "this process knows"
