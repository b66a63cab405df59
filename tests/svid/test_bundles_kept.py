"""Bundles are kept as key sets are: fetched once, refreshed in time, served on through an outage, and never by a stranger's
will more often than a cooldown allows."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from strongdm_auth import AsyncVerifier, Requirement, Verifier, forks
from strongdm_auth.issuers import UNPROVEN_FETCHES
from strongdm_auth.testing import Clock, Issuer
from tests.conftest import AUDIENCE
from tests.parts.world import ISSUER, Answer, World, settle, settle_tasks

from .domains import ANY_OF_A, Domain, jwt_svid_key, told, told_in_loop

OF_B = Requirement(spiffe_ids="spiffe://b.example/*")
SETTINGS: dict[str, Any] = {"jwks_max_age": 100, "jwks_stale": 1000, "jwks_cooldown": 30}
DOWN = Answer(status=500)


class Asks:
    """One verifier of either kind. Background refreshes have ended when it answers."""

    def __init__(self, kind: str, world: World, known: dict[str, str]) -> None:
        self._threaded = world.verifier(trust_domains=known, **SETTINGS) if kind == "threads" else None
        self._looped = world.async_verifier(trust_domains=known, **SETTINGS) if kind == "loops" else None

    def __call__(self, svid: str, needs: Requirement = ANY_OF_A) -> str:
        if self._threaded is not None:
            answer = told(self._threaded, svid, needs)
            settle()
            return answer
        assert self._looped is not None
        return asyncio.run(self._in_loop(self._looped, svid, needs))

    @staticmethod
    async def _in_loop(verifier: AsyncVerifier, svid: str, needs: Requirement) -> str:
        answer = await told_in_loop(verifier, svid, needs)
        await settle_tasks()
        return answer


@pytest.fixture(params=["threads", "loops"])
def ask(request: pytest.FixtureRequest, world: World, a: Domain, b: Domain) -> Asks:
    return Asks(request.param, world, {a.name: a.url, b.name: b.url})


def test_one_fetch_and_nothing_else(ask: Asks, a: Domain, world: World) -> None:
    assert world.calls == [], "nothing before the first SVID"
    assert [ask(a.svid(jti=str(number))) for number in range(5)] == ["in"] * 5
    assert world.calls == [a.url], "no discovery, no key set, no other domain's bundle"


def test_many_at_once_share_one_fetch(make: Callable[..., Verifier], a: Domain, world: World) -> None:
    gate, verifier, answers = world.hold(a.url), make(), []
    threads = [threading.Thread(target=lambda: answers.append(told(verifier, a.svid()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert gate.arrived.wait(10)
    gate.open()
    for thread in threads:
        thread.join(10)
    assert answers == ["in"] * 8
    assert a.fetches == 1


def test_a_new_key_works_on_the_first_request(ask: Asks, a: Domain) -> None:
    assert ask(a.svid()) == "in"
    old, new = a.key, jwt_svid_key()
    a.publish(old, new)
    assert [ask(a.svid(key=new)), ask(a.svid(key=old))] == ["in", "in"]
    assert a.fetches == 2


def test_an_old_key_is_refused_as_soon_as_the_bundle_is_known_without_it(ask: Asks, a: Domain) -> None:
    old, new = a.key, jwt_svid_key()
    remembered = a.svid()
    assert ask(remembered) == "in"
    a.publish(new)
    assert ask(remembered) == "in", "nobody knows yet"
    assert ask(a.svid(key=new)) == "in"
    assert [ask(remembered), ask(a.svid(key=old))] == ["token.key_unknown"] * 2


def test_an_old_key_is_refused_in_time_though_nobody_shows_the_new_one(ask: Asks, a: Domain, clock: Clock) -> None:
    remembered = a.svid()
    assert ask(remembered) == "in"
    a.publish(jwt_svid_key())
    clock.advance(101)
    ask(remembered)  # begins the refresh, and may be answered before it or after it
    assert ask(remembered) == "token.key_unknown"


def test_the_last_bundle_that_was_empty_counts(ask: Asks, a: Domain, clock: Clock) -> None:
    """A domain that takes its keys back has taken them back: an empty bundle is no outage that older keys serve through."""
    remembered = a.svid()
    assert ask(remembered) == "in"
    a.publish()
    clock.advance(101)
    ask(remembered)
    assert ask(remembered) == "token.key_unknown"


def test_an_outage_is_served_through_with_the_last_keys_and_not_for_ever(ask: Asks, a: Domain, clock: Clock) -> None:
    remembered, other = a.svid(), a.svid(jti="2")
    assert ask(remembered) == "in"
    a.world.answers[a.url] = DOWN
    clock.advance(101)
    assert [ask(remembered), ask(other)] == ["in", "in"]
    clock.advance(998)
    assert ask(remembered) == "in"
    fetched = a.fetches
    assert 2 <= fetched <= 3, "one attempt a cooldown"
    clock.advance(31)
    assert [ask(remembered), ask(a.svid(jti="3"))] == ["keys.unavailable"] * 2
    assert a.fetches == fetched + 1
    a.publish(a.key)
    clock.advance(31)
    assert ask(remembered) == "in"


@pytest.mark.parametrize("status", [404, 410, 500])
def test_a_bundle_that_was_never_there_is_an_outage(status: int, ask: Asks, a: Domain, b: Domain) -> None:
    """Not the bearer's fault, whatever the status: who configured the domain said that there is one."""
    a.world.answers[a.url] = Answer(status=status)
    assert [ask(a.svid()) for _ in range(3)] == ["keys.unavailable"] * 3
    assert a.fetches == 1
    assert ask(b.svid(), OF_B) == "in", "no other domain's"


def test_an_outage_of_the_issuer_is_none_of_the_domains(ask: Asks, a: Domain, world: World) -> None:
    world.answers = {a.url: world.answers[a.url]}
    assert ask(a.svid()) == "in"


def test_unknown_kids_are_looked_for_once_a_cooldown(ask: Asks, a: Domain, clock: Clock) -> None:
    assert ask(a.svid()) == "in"
    invented = [a.svid(header={"kid": f"invented-{number}"}) for number in range(20)]
    assert {ask(svid) for svid in invented} == {"token.key_unknown"}
    assert a.fetches == 2
    clock.advance(31)
    assert {ask(svid) for svid in invented} == {"token.key_unknown"}
    assert a.fetches == 3
    assert ask(a.svid()) == "in"


@pytest.mark.parametrize("kid", ["invented", None])
def test_what_has_just_come_is_not_fetched_again(kid: str | None, ask: Asks, a: Domain) -> None:
    stranger = jwt_svid_key(kid=a.key.kid)
    svid = a.svid(header={"kid": kid}) if kid else a.svid(key=stranger)
    assert ask(svid) == ("token.key_unknown" if kid else "token.signature")
    assert a.fetches == 1


def test_bad_signatures_are_looked_into_once_a_cooldown(ask: Asks, a: Domain) -> None:
    stranger = jwt_svid_key(kid=a.key.kid)
    assert {ask(a.svid(key=stranger, jti=str(number))) for number in range(20)} == {"token.signature"}
    assert a.fetches == 2, "the first brought the bundle, the second asked for a newer one"


def test_a_key_that_cannot_be_looked_for_is_no_bad_token(ask: Asks, a: Domain) -> None:
    assert ask(a.svid()) == "in"
    a.world.answers[a.url] = DOWN
    assert ask(a.svid(key=jwt_svid_key())) == "keys.unavailable", "perhaps it is good, and its key new"
    assert ask(a.svid()) == "in"


def test_a_domains_bundle_costs_nothing_of_the_budget_for_invented_realms(
    world: World, a: Domain, b: Domain, clock: Clock
) -> None:
    verifier = world.verifier(realms="*", trust_domains={a.name: a.url, b.name: b.url}, **SETTINGS)

    def invented(number: int) -> str:
        token = world.token(a.key, iss=f"{ISSUER}/realms/invented-{number}")
        return told(verifier, token, Requirement())

    assert [told(verifier, a.svid()), told(verifier, b.svid(), OF_B)] == ["in", "in"]
    answers = [invented(number) for number in range(UNPROVEN_FETCHES + 2)]
    assert answers.count("keys.busy") == 2, "all of it was still there"
    clock.advance(1101)
    a.publish(jwt_svid_key(), a.key)
    for number in range(UNPROVEN_FETCHES + 2, 2 * UNPROVEN_FETCHES + 6):
        invented(number)
    assert invented(99) == "keys.busy"
    assert told(verifier, a.svid()) == "in", "and a domain waits for none of it"
    assert len(verifier._server.issuers._proven) == 0
    assert invented(100) == "keys.busy", "nor gives any back"


def test_rotation_at_the_local_issuer(issuer: Issuer, make_verifier: Callable[..., Verifier], clock: Clock) -> None:
    """The trust domain is told from the issuer here: strongdm.test, of https://id.strongdm.test."""
    verifier, needs = make_verifier(**SETTINGS), Requirement(spiffe_ids=f"spiffe://{issuer.trust_domain}/workload/*")
    first = issuer.jwt_svid("cli_a", audience=AUDIENCE)
    assert told(verifier, first, needs) == "in"
    issuer.rotate_svids(keep_old=True)
    assert told(verifier, issuer.jwt_svid("cli_a", audience=AUDIENCE), needs) == told(verifier, first, needs) == "in"
    issuer.rotate_svids()
    clock.advance(31)
    assert told(verifier, issuer.jwt_svid("cli_a", audience=AUDIENCE), needs) == "in"
    assert told(verifier, first, needs) == "token.key_unknown"
    assert issuer.requests.count(("GET", "/.well-known/spiffe-trust-bundle")) == 3


# A process that forks


def test_the_locks_of_bundles_are_new_in_a_child_and_flights_nobodys(verifier: Verifier, a: Domain) -> None:
    assert told(verifier, a.svid()) == "in"
    keys = verifier._server.issuers.bundle(a.name)
    assert keys is not None
    assert keys.begin(a.world.clock(), forced=True) is not None
    assert keys._lock.acquire(timeout=1)
    forks._renew()
    assert not keys._lock.locked()
    assert not keys.fetching(a.world.clock())
    new = jwt_svid_key()
    a.publish(new)
    assert told(verifier, a.svid(key=new)) == "in"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_of_a_fork_goes_on_by_itself() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.svid.forking"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "parent in, child in in token.key_unknown, fetched 1 and 3\n"), (
        ran.stderr
    )
