"""jose.py held against `joserfc.jws.deserialize_compact`: the same tokens, mutated; never laxer (RFC 8725 3.3); checklist 62.

The one deliberate difference is the other way round: jose.py refuses what joserfc lets pass.
"""

import json
import warnings
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from strongdm_auth.jose import (
    Malformed,
    UnusableKey,
    decode_segment,
    import_public_key,
    parse_object,
    refuses_critical,
    split,
)
from strongdm_auth.testing import DPoPKey

from .support import b64, sign_raw

ALGORITHMS = ["RS256", "PS256", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
IMPORTERS: dict[str, Any] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


@cache
def key_for(alg: str) -> Key:
    return DPoPKey.generate(alg).private_key


@cache
def honest(alg: str) -> str:
    return sign_raw(key_for(alg), alg, {"alg": alg}, {"sub": "x", "n": 1})


def public(alg: str) -> dict[str, Any]:
    return dict(key_for(alg).as_dict(private=False))


def ours(token: str, jwk: dict[str, Any], alg: str) -> bool:
    """The decision as the flow makes it: header, key, signature."""
    try:
        parts = split(token)
        header = parse_object(decode_segment(parts.header))
        decode_segment(parts.payload)
        signature = decode_segment(parts.signature)
        key = import_public_key(jwk)
    except (Malformed, UnusableKey):
        return False
    if refuses_critical(header) or header.get("alg") != alg:
        return False
    return key.verify(alg, parts.signing_input, signature)


def theirs(token: str, jwk: dict[str, Any], alg: str) -> bool:
    registry = JWSRegistry(algorithms=[alg], strict_check_header=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joserfc calls the name EdDSA deprecated (RFC 9864)
        try:
            key = IMPORTERS[jwk["kty"]].import_key(jwk)
            jws.deserialize_compact(token.encode("utf-8", "surrogatepass"), key, registry=registry)
        except Exception:  # whatever it raises, it did not accept
            return False
    return True


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_both_accept_an_honest_token(alg: str) -> None:
    """RFC 7515 5.2; checklist 42, 62."""
    assert ours(honest(alg), public(alg), alg)
    assert theirs(honest(alg), public(alg), alg)


def mutations(token: str) -> st.SearchStrategy[str]:
    """The token with characters replaced, inserted, cut out, or its segments rearranged."""
    position = st.integers(0, len(token) - 1)
    character = st.sampled_from("ABab01-_.=+/ \n{}é\x00")
    segments = token.split(".")
    return st.one_of(
        st.builds(lambda at, put: token[:at] + put + token[at + 1 :], position, character),
        st.builds(lambda at, put: token[:at] + put + token[at:], position, character),
        st.builds(lambda at, length: token[:at] + token[at + length :], position, st.integers(1, 30)),
        st.builds(lambda at: token[:at], position),
        st.permutations(segments).map(".".join),
        st.binary(max_size=140).map(lambda octets: f"{segments[0]}.{segments[1]}.{b64(octets)}"),
        st.sampled_from(["=", "==", "A", "AA", "AAA", "\n", ".", " "]).map(lambda tail: token + tail),
    )


@given(data=st.data(), alg=st.sampled_from(ALGORITHMS))
@settings(
    max_examples=600,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_mutated_token_passes_here_that_joserfc_refuses(data: st.DataObject, alg: str) -> None:
    """RFC 8725 3.3; checklist 62."""
    token = data.draw(mutations(honest(alg)))
    if ours(token, public(alg), alg):
        assert theirs(token, public(alg), alg)
        assert token == honest(alg)  # and none passes at all: a signature has one spelling


@pytest.mark.parametrize("alg", ALGORITHMS)
@pytest.mark.parametrize("claimed", [*ALGORITHMS, "RS384", "HS256", "none", "ES256K"])
def test_a_key_verifies_under_no_algorithm_that_joserfc_would_not_take_it_for(alg: str, claimed: str) -> None:
    """RFC 8725 3.1; checklist 61, 62."""
    token = f"{b64(json.dumps({'alg': claimed}).encode())}.{honest(alg).split('.', 1)[1]}"
    same_text = claimed == alg
    assert ours(token, public(alg), claimed) == same_text
    if claimed not in ("HS256", "none"):
        assert not theirs(token, public(alg), claimed) or same_text


@pytest.mark.parametrize("pair", [("EdDSA", "Ed25519"), ("Ed25519", "EdDSA")])
def test_both_names_of_ed25519_verify_with_one_key(pair: tuple[str, str]) -> None:
    """RFC 8037 3.1, RFC 9864 2.2; checklist 13, 42."""
    key, other = key_for(pair[0]), pair[1]
    token = sign_raw(key, other, {"alg": other}, {"sub": "x"})
    jwk = dict(key.as_dict(private=False))
    assert ours(token, jwk, other)
    assert theirs(token, jwk, other)
    for alg in pair:  # a key set may name either, and the token the other
        assert ours(token, jwk | {"alg": alg}, other)
