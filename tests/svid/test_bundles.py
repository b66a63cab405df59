"""SPIFFE JWT-SVID 6.2: which entries of a trust bundle are keys of SVIDs."""

from typing import Any

import pytest

from strongdm_auth import Requirement, Verifier
from tests.parts.world import as_json

from .domains import Domain, jwt_svid_key, told


@pytest.mark.parametrize(
    "change",
    [
        {"use": "sig"},
        {"use": None},
        {"use": "x509-svid"},
        {"use": "JWT-SVID"},
        {"use": ["jwt-svid"]},
        {"kid": None},
        {"kid": ""},
        {"kid": 5},
        {"kty": "XYZ"},
        {"crv": "P-999"},
        {"d": "AAAA"},
        {"key_ops": ["sign"]},
        {"alg": "RS256"},
    ],
    ids=str,
)
def test_keys_that_are_not_for_jwt_svids_are_skipped(change: dict[str, object], verifier: Verifier, a: Domain) -> None:
    good = jwt_svid_key()
    member = {name: value for name, value in {**a.key.public_jwk(), **change}.items() if value is not None}
    a.publish_members([member, "no key", 5, None, {}, good.public_jwk()])
    assert told(verifier, a.svid(key=good)) == "in", "the others serve"
    assert told(verifier, a.svid()) != "in"
    assert told(verifier, a.svid(header={"kid": None})) != "in", "nor is it tried for SVIDs without kid"


def test_a_key_that_says_an_algorithm_is_for_that_one_alone(verifier: Verifier, a: Domain) -> None:
    key, other = jwt_svid_key("PS256", kid="rsa"), jwt_svid_key("RS256", kid="rsa")
    a.publish(key)
    assert told(verifier, a.svid(key=key)) == "in"
    assert told(verifier, a.svid(key=other)) == "token.key_unknown"
    a.publish_members([{name: value for name, value in key.public_jwk().items() if name != "alg"}])
    clock = a.world.clock
    clock.advance(3600)
    assert told(verifier, a.svid(key=other)) == "in"


@pytest.mark.parametrize("members", [[], [{"kty": "RSA", "use": "x509-svid", "x5c": ["MII"]}]])
def test_a_bundle_without_such_keys_vouches_for_nobody(
    members: list[object], verifier: Verifier, a: Domain, b: Domain
) -> None:
    a.publish_members(members)
    assert told(verifier, a.svid()) == "token.key_unknown", "known, and so no 503"
    assert told(verifier, b.svid(), Requirement(spiffe_ids="spiffe://b.example/*")) == "in"


@pytest.mark.parametrize(
    "document",
    [{}, {"keys": {}}, {"keys": "x"}, {"keys": [{}] * 101}, [], "x"],
    ids=lambda document: str(document)[:20],
)
def test_what_is_no_bundle_is_an_outage(document: Any, verifier: Verifier, a: Domain) -> None:
    a.world.answers[a.url] = as_json(document)
    assert told(verifier, a.svid()) == "keys.unavailable"


def test_a_bundle_may_say_more_than_keys(verifier: Verifier, a: Domain) -> None:
    member = a.key.public_jwk() | {"x": a.key.public_jwk()["x"], "anything": [1]}
    a.world.answers[a.url] = as_json({"keys": [member], "spiffe_refresh_hint": 0, "spiffe_sequence": 10**40, "x": {}})
    assert told(verifier, a.svid()) == "in"
