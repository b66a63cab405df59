"""Which key of a new set is one that we have, and which of them are kept ready to verify with."""

from collections import deque
from dataclasses import replace
from typing import Any

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from strongdm_auth import jose
from strongdm_auth.jose import decode_segment, import_public_key, split
from strongdm_auth.testing import SigningKey

from .world import World, status_of

COOLDOWN = 30


@pytest.mark.parametrize("first", ["RS256", None])
def test_a_key_that_was_given_another_algorithm_is_another_key(world: World, first: str | None) -> None:
    """RFC 8725 3.1: it verifies what its set says now. To keep the one of old would be to refuse good tokens, or let in
    what the issuer ruled out."""
    rs256 = SigningKey.generate("RS256")
    ps256 = replace(rs256, alg="PS256")
    jwk = rs256.public_jwk()
    world.publish_jwks([{name: value for name, value in {**jwk, "alg": first}.items() if value is not None}])
    verifier = world.verifier(algorithms="RS256,PS256")
    old, new = world.token(rs256), world.token(ps256)
    assert status_of(verifier, old) == 200
    assert status_of(verifier, new) == (200 if first is None else 401)
    world.publish_jwks([jwk | {"alg": "PS256"}])
    world.clock.advance(COOLDOWN)
    assert status_of(verifier, world.forged("stranger", alg="RS256")) == 401  # has the set fetched again
    assert status_of(verifier, new) == 200
    assert status_of(verifier, old) == 401


def test_the_same_key_is_one_however_often_it_is_published(key: SigningKey, other_key: SigningKey) -> None:
    jwk = key.public_jwk()
    one = import_public_key(jwk)
    assert one.same_as(import_public_key({**jwk, "use": "sig", "x5t": "more about it"}))
    assert not one.same_as(import_public_key(other_key.public_jwk()))
    assert not one.same_as(import_public_key(jwk | {"kid": "another"}))
    assert not one.same_as(import_public_key({name: value for name, value in jwk.items() if name != "alg"}))


def test_so_many_keys_are_kept_loaded_those_that_came_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL's form takes ten times the memory: the oldest gives way, and is made again when it is asked for."""
    monkeypatch.setattr(jose, "LOADED_KEYS", 3)
    monkeypatch.setattr(jose, "_loaded", deque())
    keys = [import_public_key(SigningKey.generate("EdDSA").public_jwk()) for _ in range(5)]
    assert list(jose._loaded) == keys[2:]
    assert [bool(key._key) for key in keys] == [False, False, True, True, True]
    keys[0].verify("EdDSA", b"", bytes(64))
    assert list(jose._loaded) == [*keys[3:], keys[0]]
    loaded = keys[0]._key
    keys[0].verify("EdDSA", b"", bytes(64))
    assert keys[0]._key is loaded, "it is not made anew for each signature"


@pytest.mark.parametrize("fault", [JoseError(), ValueError(), TypeError(), UnsupportedAlgorithm("")], ids=repr)
@pytest.mark.parametrize("alg", ["PS256", "RS512"])
def test_a_signature_that_the_library_cannot_even_try_does_not_hold(
    monkeypatch: pytest.MonkeyPatch, alg: str, fault: Exception
) -> None:
    """An OpenSSL that was built, or is told (FIPS), to do less: nobody gets in on what it does not know."""
    signing_key = SigningKey.generate(alg)
    key, jws = import_public_key(signing_key.public_jwk()), split(signing_key.sign({}, {"sub": "x"}))
    signature = decode_segment(jws.signature)
    assert key.verify(alg, jws.signing_input, signature)

    def fail(*_: Any) -> bool:
        raise fault

    monkeypatch.setattr(JWSRegistry.algorithms[alg], "verify", fail)
    assert key.verify(alg, jws.signing_input, signature) is False
