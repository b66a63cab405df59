"""With every realm let in, a stranger can invent as many as there are names: that must cost next to nothing."""

import httpx
import pytest

from strongdm_auth import Settings, Verifier
from strongdm_auth.issuers import MOST_REALMS, MOST_UNPROVEN_REALMS, Issuers
from strongdm_auth.testing import SigningKey

from .world import ISSUER, Answer, World, issuer_of, settle, status_of

#: Discovery and keys, for the few invented realms that are looked up in a cooldown.
A_HANDFUL = 10


@pytest.fixture
def verifier(world: World, key: SigningKey) -> Verifier:
    """One that lets every realm in, and knows the real realm alpha."""
    world.publish(key)
    verifier = world.verifier(realms="*")
    assert status_of(verifier, world.token(key)) == 200
    world.clock.advance(60)
    world.calls.clear()
    return verifier


def test_a_real_realm_is_learned_when_its_first_token_comes(
    world: World, key: SigningKey, other_key: SigningKey, verifier: Verifier
) -> None:
    world.publish(other_key, realm="beta")
    assert status_of(verifier, world.token(other_key, "beta")) == 200
    assert status_of(verifier, world.token(other_key, "beta", jti="2")) == 200
    assert status_of(verifier, world.token(key, "beta")) == 401
    assert world.count("/realms/beta/jwks") <= 2


def test_a_thousand_invented_realms_cost_a_handful_of_fetches(
    world: World, key: SigningKey, verifier: Verifier
) -> None:
    for number in range(1_000):
        assert status_of(verifier, world.token(key, f"invented-{number}")) in (401, 503)
        if number % 20 == 0:
            assert status_of(verifier, world.token(key)) == 200
    assert len(world.calls) <= A_HANDFUL


@pytest.mark.parametrize(
    "outage",
    [Answer(status=500), Answer(fault=httpx.ReadTimeout("slow")), Answer(b"<html>")],
    ids=["500", "slow", "html"],
)
def test_invented_realms_cost_a_handful_a_cooldown_also_during_an_outage(
    world: World, key: SigningKey, verifier: Verifier, outage: Answer
) -> None:
    world.outage = outage
    for number in range(600):
        assert status_of(verifier, world.token(key, f"invented-{number}")) in (401, 503)
        assert status_of(verifier, world.token(key)) == 200
        world.clock.advance(0.1)
    assert len(world.calls) <= 3 * A_HANDFUL


def test_an_invented_realm_that_the_issuer_does_not_know_is_401(
    world: World, key: SigningKey, verifier: Verifier
) -> None:
    assert status_of(verifier, world.token(key, "invented")) == 401


def test_an_invented_realm_stays_401_while_it_is_not_asked_for_again(
    world: World, key: SigningKey, verifier: Verifier
) -> None:
    """The issuer has said that there is none: no reason to tell the client to come back."""
    assert [status_of(verifier, world.token(key, "invented", jti=str(number))) for number in range(3)] == [401] * 3
    assert world.count("/jwks") == 1


def test_a_realm_that_the_issuer_cannot_tell_about_is_503(world: World, key: SigningKey, verifier: Verifier) -> None:
    world.outage = Answer(status=500)
    assert status_of(verifier, world.token(key, "beta")) == 503


def test_good_tokens_do_not_wait_while_invented_realms_are_looked_up(
    world: World, key: SigningKey, verifier: Verifier
) -> None:
    import threading

    gate = world.gate()
    world.outage = Answer(status=404, gate=gate)
    statuses: list[int] = []

    def knock(number: int) -> None:
        statuses.append(status_of(verifier, world.token(key, f"invented-{number}")))

    threads = [threading.Thread(target=knock, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    assert gate.arrived.wait(5)
    for number in range(100):
        assert status_of(verifier, world.token(key, jti=str(number))) == 200
    assert len(world.calls) <= A_HANDFUL
    gate.open()
    for thread in threads:
        thread.join(10)
    assert set(statuses) <= {401, 503}
    assert len(statuses) == 20


def test_a_realm_created_after_strangers_named_it_is_let_in_when_they_have_stopped(
    world: World, key: SigningKey, other_key: SigningKey, verifier: Verifier
) -> None:
    assert status_of(verifier, world.token(key, "soon")) == 401
    world.publish(other_key, realm="soon")
    world.clock.advance(31)
    assert status_of(verifier, world.token(other_key, "soon")) == 200


def test_invented_realms_evict_no_real_one(world: World, key: SigningKey, verifier: Verifier) -> None:
    for number in range(3 * MOST_UNPROVEN_REALMS):
        status_of(verifier, world.token(key, f"invented-{number}"))
    world.calls.clear()
    assert status_of(verifier, world.token(key, jti="again")) == 200
    assert world.calls == []


def test_the_real_realms_keys_age_and_refresh_as_others_do(world: World, key: SigningKey, verifier: Verifier) -> None:
    world.clock.advance(900)
    for number in range(50):
        status_of(verifier, world.token(key, f"invented-{number}"))
    world.calls.clear()
    assert status_of(verifier, world.token(key)) == 200
    settle()
    assert world.count("/realms/alpha/jwks") == 1


@pytest.mark.parametrize(
    "issuer",
    [
        f"{ISSUER}/realms/",
        f"{ISSUER}/realms/a/b",
        f"{ISSUER}/realms/a/",
        f"{ISSUER}/realms/..",
        f"{ISSUER}/realms/../admin",
        f"{ISSUER}/realms/a..b",
        f"{ISSUER}/realms/.hidden",
        f"{ISSUER}/realms/a?b",
        f"{ISSUER}/realms/a#b",
        f"{ISSUER}/realms/a%2Fb",
        f"{ISSUER}/realms/a b",
        f"{ISSUER}/realms/a\n",
        f"{ISSUER}/realms/\u0430lpha",
        f"{ISSUER}/realms/a@evil.example",
        f"{ISSUER}/realms/{'x' * 200}",
        f"{ISSUER}/realms//evil.example",
        f"{ISSUER}/Realms/alpha",
        f"{ISSUER}.evil.example/realms/alpha",
        f"{ISSUER}@evil.example/realms/alpha",
        f"{ISSUER}:443/realms/alpha",
        f"{ISSUER}/",
        "http://id.example.com/realms/alpha",
        "HTTPS://id.example.com/realms/alpha",
        "alpha",
        "",
    ],
)
def test_an_issuer_that_is_not_plainly_a_realm_is_401_and_never_asked(
    world: World, key: SigningKey, verifier: Verifier, issuer: str
) -> None:
    assert status_of(verifier, world.token(key, iss=issuer)) == 401
    assert world.calls == []


# Memory


def test_the_memory_for_invented_realms_is_bounded() -> None:
    issuers = Issuers(Settings(issuer=ISSUER, realms="*", audience="x"))
    for number in range(20_000):
        keys = issuers.find(f"{ISSUER}/realms/invented-{number}")
        assert keys is not None
        assert issuers.invented(keys)
    assert len(issuers) <= 1 + MOST_UNPROVEN_REALMS


def test_the_memory_for_real_realms_is_bounded_and_the_base_stays() -> None:
    issuers = Issuers(Settings(issuer=ISSUER, realms="*", audience="x"))
    first = issuers.find(issuer_of("real-0"))
    for number in range(MOST_REALMS + 10):
        keys = issuers.find(issuer_of(f"real-{number}"))
        assert keys is not None
        issuers.proven(keys)
    assert len(issuers) <= 1 + MOST_REALMS
    assert issuers.find(ISSUER) is not None
    assert issuers.find(issuer_of("real-0")) is not first


def test_leave_to_fetch_for_an_invented_realm_comes_back_bit_by_bit() -> None:
    issuers = Issuers(Settings(issuer=ISSUER, realms="*", audience="x"))
    granted = [issuers.take_from_budget(1_000.0) == 0 for _ in range(50)]
    assert 1 <= sum(granted) <= 5
    assert 0 < issuers.take_from_budget(1_005.0) <= 3
    assert issuers.take_from_budget(1_007.5) == 0
    assert issuers.take_from_budget(1_007.5) == 7.5
    granted = [issuers.take_from_budget(2_000.0) == 0 for _ in range(50)]
    assert 1 <= sum(granted) <= 5, "no more than that saves up"
    assert issuers.take_from_budget(5.0) == 0, "a clock set back shuts no door"


def test_only_the_named_realms_exist_where_realms_are_named() -> None:
    issuers = Issuers(Settings(issuer=ISSUER, realms=["alpha", "beta"], audience="x"))
    assert len(issuers) == 2
    assert issuers.find(issuer_of("alpha")) is not issuers.find(issuer_of("beta"))
    for stranger in (ISSUER, issuer_of("gamma"), None, 7, [issuer_of("alpha")]):
        assert issuers.find(stranger) is None
