"""Which issuers there are and where their keys lie: slashes, plain http, realms that prove real, and what that costs."""

from typing import Any

import pytest

from strongdm_auth import Settings
from strongdm_auth.issuers import (
    MOST_REALMS,
    UNPROVEN_FETCHES,
    Issuers,
    WrongDiscovery,
    discovery_url,
    endpoint,
    read_discovery,
)
from strongdm_auth.jose import import_public_key
from strongdm_auth.keys import IssuerKeys
from strongdm_auth.settings import SecurityWarning
from strongdm_auth.testing import SigningKey

from .world import ISSUER, Answer, World, issuer_of, status_of


def of_any_realm(**settings: Any) -> Issuers:
    return Issuers(Settings(**({"issuer": ISSUER, "realms": "*", "audience": "x"} | settings)))


def found(issuers: Issuers, realm: str) -> IssuerKeys:
    keys = issuers.find(issuer_of(realm))
    assert keys is not None
    return keys


def left(issuers: Issuers, now: float) -> int:
    """How many fetches for invented realms there is leave for."""
    return sum(issuers.take_from_budget(now) == 0 for _ in range(3 * UNPROVEN_FETCHES))


@pytest.mark.parametrize("issuer", [ISSUER, f"{ISSUER}/"])
def test_a_slash_at_the_end_of_an_issuer_doubles_none(issuer: str) -> None:
    """OIDC Discovery 4.1: any terminating slash is removed before the well-known path is put on."""
    assert discovery_url(issuer) == f"{ISSUER}/.well-known/openid-configuration"
    assert endpoint(issuer, "jwks") == f"{ISSUER}/jwks"
    named = Issuers(Settings(issuer=issuer, realms="alpha", audience="x"))
    assert named.find(f"{ISSUER}/realms/alpha") is not None
    assert of_any_realm(issuer=issuer).find(f"{ISSUER}/realms/alpha") is not None


def test_an_issuer_with_a_slash_at_its_end_is_another_than_one_without(world: World, key: SigningKey) -> None:
    """RFC 9068 4: the issuer is compared as it stands; only where its keys are is worked out."""
    world.publish(key, realm=None)
    issuer = f"{ISSUER}/"
    document = world.answers[f"{ISSUER}/.well-known/openid-configuration"]
    changed = document.body.replace(f'"{ISSUER}"'.encode(), f'"{issuer}"'.encode())
    world.answers[f"{ISSUER}/.well-known/openid-configuration"] = Answer(changed, headers=document.headers)
    verifier = world.verifier(issuer=issuer, realms="*")
    assert status_of(verifier, world.token(key, None, iss=issuer)) == 200
    assert status_of(verifier, world.token(key, None, iss=ISSUER)) == 401


LOOPBACK = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("issuer", "url", "allow_http", "read"),
    [
        (LOOPBACK, f"{LOOPBACK}/jwks", False, True),
        (LOOPBACK, "https://keys.example.net/jwks", False, True),
        (LOOPBACK, "http://keys.example.net/jwks", False, False),
        ("http://id.example.com", "http://keys.example.net/jwks", True, True),
        ("http://id.example.com", "http://keys.example.net/jwks", False, False),
        (ISSUER, f"{LOOPBACK}/jwks", False, False),
        (ISSUER, f"{LOOPBACK}/jwks", True, False),
        (ISSUER, "http://keys.example.net/jwks", True, False),
        (ISSUER, "https://keys.example.net/jwks", False, True),
    ],
)
def test_plain_http_is_for_issuers_that_are_plain_http(issuer: str, url: str, allow_http: bool, read: bool) -> None:
    """A document that came over https must not lead down to a path on which anybody can change the keys."""
    document = {"issuer": issuer, "jwks_uri": url}
    if read:
        assert read_discovery(document, issuer, "jwks_uri", allow_http=allow_http) == url
    else:
        with pytest.raises(WrongDiscovery):
            read_discovery(document, issuer, "jwks_uri", allow_http=allow_http)


def test_a_realm_that_proved_real_is_invented_no_longer() -> None:
    issuers = of_any_realm()
    keys = found(issuers, "real")
    assert issuers.invented(keys)
    issuers.proven(keys)
    assert not issuers.invented(keys)
    assert found(issuers, "real") is keys
    assert len(issuers) == 2, "the base and it; it is not among the invented ones any more"


@pytest.mark.parametrize("taken", range(UNPROVEN_FETCHES + 1))
def test_a_realm_that_proves_real_gives_back_one_fetch_once(taken: int) -> None:
    """However often its keys are fetched later: else every refresh would be a present to whoever invents realms."""
    issuers = of_any_realm()
    for _ in range(taken):
        assert issuers.take_from_budget(1_000.0) == 0
    keys = found(issuers, "real")
    for _ in range(3):
        issuers.proven(keys)
    assert left(issuers, 1_000.0) == min(UNPROVEN_FETCHES, UNPROVEN_FETCHES - taken + 1)


def test_the_base_issuer_is_no_realm_that_proves_real() -> None:
    issuers = of_any_realm()
    base = issuers.find(ISSUER)
    assert base is not None
    assert not issuers.invented(base)
    assert left(issuers, 1_000.0) == UNPROVEN_FETCHES
    issuers.proven(base)
    assert left(issuers, 1_000.0) == 0
    assert len(issuers) == 1


def test_the_realm_that_gives_way_takes_its_verdicts_along() -> None:
    """RFC 8725 3.8: nothing may rest on keys that nobody refreshes any more. The last that has room does not give way."""
    issuers = of_any_realm()
    first = found(issuers, "real-0")
    flight, key = first.begin(0, forced=False), import_public_key(SigningKey.generate().public_jwk())
    assert flight is not None
    first.learn(flight, [key], f"{first.issuer}/jwks", 0)
    for number in range(MOST_REALMS):
        issuers.proven(found(issuers, f"real-{number}"))
    for number in range(1, MOST_REALMS):
        found(issuers, f"real-{number}")
    assert key.live
    issuers.proven(found(issuers, "one-too-many"))
    assert not key.live
    assert len(issuers) == 1 + MOST_REALMS


def test_without_a_cooldown_invented_realms_are_not_counted(world: World, key: SigningKey) -> None:
    """A setting for tests; it must not end in a division by nothing."""
    verifier = world.verifier(realms="*", jwks_cooldown=0)
    world.publish(key)
    for number in range(3 * UNPROVEN_FETCHES):
        assert status_of(verifier, world.token(key, f"invented-{number}")) in (401, 503)
    assert status_of(verifier, world.token(key)) == 200


def test_a_real_realm_is_fetched_again_while_invented_ones_have_used_up_the_budget(
    world: World, key: SigningKey
) -> None:
    """Its keys went stale overnight; strangers are not to decide whether it gets in in the morning."""
    world.publish(key)
    verifier = world.verifier(realms="*")
    assert status_of(verifier, world.token(key)) == 200
    world.clock.advance(900 + 3600)
    for number in range(3 * UNPROVEN_FETCHES):
        status_of(verifier, world.token(key, f"invented-{number}"))
    assert status_of(verifier, world.token(key)) == 200


def test_a_real_realm_whose_keys_are_gone_is_an_outage_and_no_invention(world: World, key: SigningKey) -> None:
    world.publish(key)
    verifier = world.verifier(realms="*")
    assert status_of(verifier, world.token(key)) == 200
    world.clock.advance(900 + 3600)
    world.outage = Answer(status=404)
    for _ in range(2):
        assert status_of(verifier, world.token(key)) == 503


def test_the_start_up_says_so_when_every_realm_is_let_in_unasked() -> None:
    with pytest.warns(SecurityWarning, match="realms is not set"):
        issuers = Issuers(Settings(issuer=ISSUER, audience="x"))
    assert issuers.find(issuer_of("any")) is not None


@pytest.mark.parametrize("timeout", [1, 5])
def test_a_fetch_is_taken_for_lost_after_the_time_that_two_exchanges_and_a_second_take(timeout: int) -> None:
    """Discovery, then the keys: whoever began it may sit in another process, since a fork, and never end it."""
    keys = of_any_realm(http_timeout=timeout).find(ISSUER)
    assert keys is not None
    assert keys.begin(0, forced=False)
    assert keys.fetching(2 * timeout + 0.99)
    assert not keys.fetching(2 * timeout + 1)
