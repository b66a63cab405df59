"""How a key set grows old, is refreshed in the background, serves while its issuer is down, and dies."""

import httpx
import pytest

from strongdm_auth import Verifier
from strongdm_auth.testing import SigningKey

from .world import ALPHA, DISCOVERY, Answer, World, settle, status_of

MAX_AGE, STALE, COOLDOWN = 900, 3_600, 30


@pytest.fixture
def verifier(world: World, key: SigningKey) -> Verifier:
    """One that has the keys of alpha, and has verified a token."""
    world.publish(key)
    verifier = world.verifier()
    assert status_of(verifier, world.token(key)) == 200
    world.calls.clear()
    return verifier


def test_warm_requests_fetch_nothing(world: World, key: SigningKey, verifier: Verifier) -> None:
    for number in range(200):
        assert status_of(verifier, world.token(key, jti=str(number))) == 200
    world.clock.advance(MAX_AGE - 1)
    assert status_of(verifier, world.token(key)) == 200
    assert world.calls == []


@pytest.mark.parametrize("path", [DISCOVERY, "/jwks"])
def test_past_their_age_the_keys_are_refreshed_and_no_request_waits(
    world: World, key: SigningKey, verifier: Verifier, path: str
) -> None:
    known = world.token(key)
    gate = world.hold(ALPHA + path)
    world.clock.advance(MAX_AGE)
    for number in range(50):
        assert status_of(verifier, world.token(key, jti=str(number))) == 200
        assert status_of(verifier, known) == 200
    assert gate.arrived.wait(5)
    assert world.count(path) == 1
    gate.open()
    settle()
    assert world.calls == [ALPHA + DISCOVERY, f"{ALPHA}/jwks"]


def test_a_refresh_makes_the_keys_fresh_again(world: World, key: SigningKey, verifier: Verifier) -> None:
    for _ in range(10):
        world.clock.advance(MAX_AGE)
        assert status_of(verifier, world.token(key)) == 200
        settle()
        assert status_of(verifier, world.token(key)) == 200
    assert world.count("/jwks") == 10


def test_a_refresh_reads_discovery_again(world: World, key: SigningKey, verifier: Verifier) -> None:
    moved = "https://keys.example.net/new"
    world.publish(key, jwks_uri=moved)
    world.clock.advance(MAX_AGE)
    assert status_of(verifier, world.token(key)) == 200
    settle()
    assert world.calls == [ALPHA + DISCOVERY, moved]


def test_a_removed_key_is_refused_after_the_refresh_although_its_token_was_verified(
    world: World, key: SigningKey, other_key: SigningKey, verifier: Verifier
) -> None:
    known = world.token(key)
    assert status_of(verifier, known) == 200
    world.publish(other_key)
    assert status_of(verifier, known) == 200  # it cannot know yet
    world.clock.advance(MAX_AGE)
    status_of(verifier, world.token(other_key))
    settle()
    assert status_of(verifier, known) == 401
    assert status_of(verifier, world.token(other_key)) == 200


def test_a_key_that_comes_back_counts_again(
    world: World, key: SigningKey, other_key: SigningKey, verifier: Verifier
) -> None:
    known = world.token(key)
    for published, status in ((other_key, 401), (key, 200)):
        world.publish(published)
        world.clock.advance(MAX_AGE)
        status_of(verifier, world.token(published))
        settle()
        assert status_of(verifier, known) == status


@pytest.mark.parametrize(
    "outage",
    [Answer(status=503), Answer(b"<html>"), Answer(fault=httpx.ConnectError("down")), Answer(status=404)],
    ids=["503", "garbage", "down", "gone"],
)
def test_known_keys_serve_while_the_issuer_is_down_then_503_then_recovery(
    world: World, key: SigningKey, verifier: Verifier, outage: Answer
) -> None:
    known = world.token(key)
    world.outage = outage
    for _ in range(0, MAX_AGE + STALE - 50, 50):
        world.clock.advance(50)
        assert status_of(verifier, known) == 200
        assert status_of(verifier, world.token(key)) == 200
        settle()
    world.clock.advance(49)
    assert status_of(verifier, known) == 200
    settle()
    world.clock.advance(1)
    for token in (known, world.token(key), world.forged("stranger")):
        assert status_of(verifier, token) == 503
    world.outage = None
    world.clock.advance(COOLDOWN)
    assert status_of(verifier, known) == 200


def test_a_refresh_that_fails_is_tried_once_a_cooldown(world: World, key: SigningKey, verifier: Verifier) -> None:
    world.outage = Answer(status=500)
    world.clock.advance(MAX_AGE)
    for second in range(3 * COOLDOWN):
        assert status_of(verifier, world.token(key, jti=str(second))) == 200
        settle()
        world.clock.advance(1)
    assert len(world.calls) == 3


def test_a_cold_start_with_the_issuer_down_is_503_and_tries_once_a_cooldown(world: World, key: SigningKey) -> None:
    world.publish(key)
    world.outage = Answer(fault=httpx.ConnectError("down"))
    verifier = world.verifier()
    for second in range(3 * COOLDOWN):
        assert status_of(verifier, world.token(key, jti=str(second))) == 503
        world.clock.advance(1)
    assert len(world.calls) == 3
    world.outage = None
    assert status_of(verifier, world.token(key)) == 200


def test_retry_after_says_when_the_next_attempt_is_made(world: World, key: SigningKey) -> None:
    from strongdm_auth import TemporarilyUnavailable
    from tests.conftest import request

    world.publish(key)
    world.outage = Answer(status=500)
    verifier = world.verifier()
    assert status_of(verifier, world.token(key)) == 503
    world.clock.advance(10)
    with pytest.raises(TemporarilyUnavailable) as caught:
        verifier.authenticate(request(world.token(key)))
    assert dict(verifier.denial(caught.value).headers)["Retry-After"] == str(COOLDOWN - 10)


def test_jwks_max_age_of_nought_refreshes_and_still_serves(world: World, key: SigningKey) -> None:
    world.publish(key)
    verifier = world.verifier(jwks_max_age=0)
    for _ in range(3):
        assert status_of(verifier, world.token(key)) == 200
        settle()
    assert world.count("/jwks") >= 2


def test_jwks_stale_of_nought_makes_requests_wait_for_the_new_keys(world: World, key: SigningKey) -> None:
    world.publish(key)
    verifier = world.verifier(jwks_stale=0)
    assert status_of(verifier, world.token(key)) == 200
    world.clock.advance(MAX_AGE)
    assert status_of(verifier, world.token(key)) == 200
    assert world.count("/jwks") == 2
    world.outage = Answer(status=500)
    world.clock.advance(MAX_AGE)
    assert status_of(verifier, world.token(key)) == 503


def test_the_settings_say_how_long_keys_serve(world: World, key: SigningKey) -> None:
    world.publish(key)
    verifier = world.verifier(jwks_max_age=10, jwks_stale=20, jwks_cooldown=5)
    assert status_of(verifier, world.token(key)) == 200
    world.outage = Answer(status=500)
    world.clock.advance(29)
    assert status_of(verifier, world.token(key)) == 200
    settle()
    world.clock.advance(1)
    assert status_of(verifier, world.token(key)) == 503
    world.outage = None
    world.clock.advance(5)
    assert status_of(verifier, world.token(key)) == 200


def test_a_clock_set_back_shuts_no_door_for_longer_than_the_cooldown(world: World, key: SigningKey) -> None:
    world.publish(key)
    world.outage = Answer(status=500)
    verifier = world.verifier()
    assert status_of(verifier, world.token(key)) == 503
    world.clock.advance(-86_400)
    world.outage = None
    assert status_of(verifier, world.token(key)) == 200


def test_a_clock_set_back_leaves_known_keys_and_forced_fetches_working(
    world: World, key: SigningKey, other_key: SigningKey, verifier: Verifier
) -> None:
    assert status_of(verifier, world.forged("stranger")) == 401  # spends the forced fetch
    world.publish(key, other_key)
    world.clock.advance(-86_400)
    assert status_of(verifier, world.token(key)) == 200
    assert status_of(verifier, world.token(other_key)) == 200


def test_a_clock_set_back_does_not_keep_a_removed_key_alive(
    world: World, key: SigningKey, other_key: SigningKey, verifier: Verifier
) -> None:
    """A machine that wakes up in the future and is corrected must not trust today's keys until then."""
    world.clock.advance(-30 * 86_400)
    known = world.token(key)
    assert status_of(verifier, known) == 200
    settle()
    world.publish(other_key)
    world.clock.advance(MAX_AGE)
    status_of(verifier, known)
    settle()
    assert status_of(verifier, known) == 401
