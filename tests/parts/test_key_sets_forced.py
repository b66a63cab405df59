"""The one fetch that a token may force: an unknown kid, a signature that fails; and the state machine behind it."""

from collections.abc import Callable

import httpx
import pytest

from strongdm_auth import Verifier
from strongdm_auth.jose import VerificationKey, import_public_key
from strongdm_auth.keys import IssuerKeys
from strongdm_auth.testing import SigningKey

from .world import ALPHA, DISCOVERY, Answer, World, settle, status_of

COOLDOWN = 30
OUTAGES = {
    "well": None,
    "500": Answer(status=500),
    "garbage": Answer(b"<html>"),
    "timeout": Answer(fault=httpx.ReadTimeout("too slow")),
    "empty set": Answer(b'{"keys": []}'),
}


@pytest.fixture
def verifier(world: World, key: SigningKey) -> Verifier:
    world.publish(key)
    verifier = world.verifier()
    assert status_of(verifier, world.token(key)) == 200
    world.calls.clear()
    return verifier


def test_a_rotated_key_works_on_its_first_request(
    world: World, key: SigningKey, other_key: SigningKey, verifier: Verifier
) -> None:
    world.publish(key, other_key)
    assert status_of(verifier, world.token(other_key)) == 200
    assert status_of(verifier, world.token(key)) == 200
    assert world.count("/jwks") == 1


def test_a_key_rotated_during_the_cooldown_is_401_and_works_afterwards(
    world: World, key: SigningKey, other_key: SigningKey, verifier: Verifier
) -> None:
    assert status_of(verifier, world.forged("stranger")) == 401
    world.publish(key, other_key)
    world.clock.advance(COOLDOWN - 1)
    assert status_of(verifier, world.token(other_key)) == 401
    world.clock.advance(1)
    assert status_of(verifier, world.token(other_key)) == 200
    assert world.count("/jwks") == 2


def test_a_key_that_replaces_another_under_the_same_kid_works_at_once(
    world: World, key: SigningKey, other_key: SigningKey, verifier: Verifier
) -> None:
    old = world.token(key)
    assert status_of(verifier, old) == 200
    world.publish_jwks([{**other_key.public_jwk(), "kid": key.kid}])
    assert status_of(verifier, world.token(other_key, header={"kid": key.kid})) == 200
    assert status_of(verifier, old) == 401
    assert world.count("/jwks") == 1


def test_keys_that_moved_are_found_again(
    world: World, key: SigningKey, other_key: SigningKey, verifier: Verifier
) -> None:
    world.publish(other_key, jwks_uri="https://keys.example.net/new")
    world.answers[f"{ALPHA}/jwks"] = Answer(status=404)
    status_of(verifier, world.token(other_key))
    world.clock.advance(COOLDOWN)
    assert status_of(verifier, world.token(other_key)) == 200


def test_failing_signatures_force_one_fetch_a_cooldown(world: World, key: SigningKey, verifier: Verifier) -> None:
    for second in range(3 * COOLDOWN):
        assert status_of(verifier, world.forged(key.kid)) == 401
        assert status_of(verifier, world.token(key, jti=str(second))) == 200
        world.clock.advance(1)
    assert world.count("/jwks") == 3


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES.keys())
def test_10_000_random_kids_cost_one_fetch_and_keep_nobody_out(
    world: World, key: SigningKey, verifier: Verifier, outage: Answer | None
) -> None:
    world.outage = outage
    good = world.token(key)
    statuses = set()
    for number in range(2_500 if outage else 10_000):
        statuses.add(status_of(verifier, world.forged(f"random-{number}")))
        if number % 50 == 0:
            assert status_of(verifier, good) == 200
    assert statuses <= {401, 503}
    assert len(world.calls) == 1


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES.keys())
def test_random_kids_force_one_attempt_a_cooldown_whatever_the_issuer_answers(
    world: World, key: SigningKey, verifier: Verifier, outage: Answer | None
) -> None:
    world.outage = outage
    for second in range(4 * COOLDOWN):
        assert status_of(verifier, world.forged(f"random-{second}")) in (401, 503)
        assert status_of(verifier, world.token(key, jti=str(second))) == 200
        world.clock.advance(1)
    assert len(world.calls) == 4


def test_random_kids_do_not_keep_the_background_refresh_away(world: World, key: SigningKey, verifier: Verifier) -> None:
    world.clock.advance(900)
    assert status_of(verifier, world.token(key)) == 200
    settle()
    assert world.calls == [ALPHA + DISCOVERY, f"{ALPHA}/jwks"]
    assert status_of(verifier, world.forged("stranger")) == 401
    assert world.count("/jwks") == 2


def test_a_cold_start_is_fetched_once_also_for_an_unknown_kid(world: World, key: SigningKey) -> None:
    world.publish(key)
    verifier = world.verifier()
    assert status_of(verifier, world.forged("stranger")) == 401
    assert world.count("/jwks") == 1
    assert status_of(verifier, world.token(key)) == 200
    assert world.count("/jwks") == 1


def test_each_realm_has_a_cooldown_of_its_own(world: World, key: SigningKey, other_key: SigningKey) -> None:
    world.publish(key, realm="alpha")
    world.publish(key, realm="beta")
    verifier = world.verifier(realms=["alpha", "beta"])
    for realm in ("alpha", "beta"):
        assert status_of(verifier, world.token(key, realm)) == 200
    assert status_of(verifier, world.forged("stranger", "alpha")) == 401
    world.publish(other_key, realm="beta")
    assert status_of(verifier, world.token(other_key, "beta")) == 200


def test_a_token_that_is_not_ours_forces_nothing(world: World, key: SigningKey, verifier: Verifier) -> None:
    for token in (
        world.forged("stranger", alg="HS256"),
        world.forged("stranger", alg="none"),
        world.token(key, header={"typ": "logout+jwt"}),
        world.token(key, header={"kid": "stranger", "crit": ["x"]}),
    ):
        assert status_of(verifier, token) == 401
    assert world.calls == []


# The state machine itself, told the time


def _keys(**times: float) -> IssuerKeys:
    return IssuerKeys(ALPHA, "alpha", **{"max_age": 900, "stale": 3600, "cooldown": 30, "flight_time": 11, **times})


@pytest.fixture
def public() -> Callable[[str], VerificationKey]:
    return lambda kid: import_public_key(SigningKey.generate("EdDSA", kid=kid).public_jwk())


def test_an_older_flight_never_overwrites_a_newer_set(public: Callable[[str], VerificationKey]) -> None:
    keys = _keys()
    older = keys.begin(0, forced=False)
    newer = keys.begin(11, forced=False)  # the older one is taken for lost
    assert older is not None
    assert newer is not None
    assert keys.learn(newer, [public("new")], f"{ALPHA}/jwks", 12)
    keys.end(newer)
    assert not keys.learn(older, [public("old")], f"{ALPHA}/old", 13)
    keys.end(older)
    assert keys.find("new", "EdDSA")
    assert not keys.find("old", "EdDSA")
    assert keys.jwks_uri == f"{ALPHA}/jwks"


def test_an_older_failure_does_not_taint_a_newer_set(public: Callable[[str], VerificationKey]) -> None:
    keys = _keys()
    older, newer = keys.begin(0, forced=False), keys.begin(11, forced=False)
    assert older is not None
    assert newer is not None
    keys.learn(newer, [public("new")], f"{ALPHA}/jwks", 12)
    keys.end(newer)
    keys.failed(older, 13)
    assert keys.wait_after_failure(13) == 0


def test_a_lost_flight_is_replaced_after_its_time_and_not_before() -> None:
    keys = _keys()
    assert keys.begin(100, forced=False) is not None
    assert keys.begin(110.9, forced=False) is None
    assert keys.fetching(110.9)
    assert not keys.fetching(111)
    assert keys.begin(111, forced=False) is not None


def test_a_lost_flight_is_replaced_also_when_the_clock_was_set_back() -> None:
    keys = _keys()
    assert keys.begin(1_000_000, forced=False) is not None
    assert any(keys.begin(now, forced=False) for now in (0, 31))


def test_the_end_of_a_lost_flight_does_not_end_its_successor() -> None:
    keys = _keys()
    lost, successor = keys.begin(0, forced=False), keys.begin(11, forced=False)
    assert lost is not None
    assert successor is not None
    keys.end(lost)
    assert keys.fetching(12)
    assert lost.landed.done()
    assert not successor.landed.done()


def test_only_so_many_requests_wait_for_one_flight() -> None:
    keys = _keys()
    assert keys.begin(0, forced=False) is not None
    joined = [keys.join(1) for _ in range(1_000)]
    assert 100 <= sum(flight is not None for flight in joined) <= 200


def test_a_key_that_stays_keeps_its_identity_and_one_that_leaves_is_not_live() -> None:
    stays, leaves = (SigningKey.generate("EdDSA").public_jwk() for _ in range(2))
    keys = _keys()
    first, second = [import_public_key(stays), import_public_key(leaves)], [import_public_key(stays)]
    for number, found in enumerate((first, second)):
        flight = keys.begin(number, forced=False)
        assert flight is not None
        keys.learn(flight, found, f"{ALPHA}/jwks", number)
        keys.end(flight)
    assert keys.find(str(stays["kid"]), "EdDSA") == (first[0],)
    assert first[0].live
    assert not first[1].live


def test_repr_shows_no_key_material(public: Callable[[str], VerificationKey]) -> None:
    keys = _keys()
    flight = keys.begin(0, forced=False)
    assert flight is not None
    keys.learn(flight, [public("a")], f"{ALPHA}/jwks", 0)
    assert repr(keys) == f"<IssuerKeys {ALPHA} keys=1>"
