"""Signatures and keys of the sizes that RFC 7518 and RFC 8037 fix; checklist 13, 14, 63, 64.

Where a weak key can really sign, it really signs here: without the check the proof would pass.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from strongdm_auth import InvalidToken, Verifier
from strongdm_auth.errors import InvalidDPoPProof
from strongdm_auth.jose import UnusableKey, decode_segment, import_public_key
from strongdm_auth.revocation import spellings
from strongdm_auth.testing import DPoPKey, Issuer, SigningKey
from tests.conftest import AUDIENCE, URL, request

from .support import Caller, ath, b64, mint, refused

SIGNATURES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "vectors" / "signatures.json").read_text())
RSA_JWK, EC_JWK, EC521_JWK, ED_JWK = (vector["jwk"] for vector in SIGNATURES)
#: The order of P-256.
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def ecdsa_spellings(signature: bytes, der: bytes) -> dict[str, bytes]:
    r, s = signature[:32], signature[32:]
    return {
        "DER": der,
        "one octet short": signature[:-1],
        "one octet long": signature + b"\x00",
        "leading zeros": b"\x00" + r + b"\x00" + s,
        "empty": b"",
        "half": r,
        "all zero": bytes(64),
        "zero r": bytes(32) + s,
        "zero s": r + bytes(32),
        "r and s are the order": ORDER.to_bytes(32) * 2,
        "swapped": s + r,
        "ES512 length": bytes(68) + signature,
    }


def resigned(token: str, key: Any) -> dict[str, str]:
    """The same JWS with every spelling of its ES256 signature that must not count."""
    head = token.rpartition(".")[0]
    der = key.sign(head.encode(), ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(der)
    spellings = ecdsa_spellings(r.to_bytes(32) + s.to_bytes(32), der)
    return {name: f"{head}.{b64(signature)}" for name, signature in spellings.items()}


SPELLINGS = list(ecdsa_spellings(bytes(64), b""))


@pytest.mark.parametrize("name", SPELLINGS)
def test_an_access_token_whose_ecdsa_signature_is_spelt_otherwise_is_refused(
    issuer: Issuer, verifier: Verifier, name: str
) -> None:
    """RFC 7518 3.4; checklist 63."""
    key = issuer.signing_key("alpha", "ES256").private_key.private_key
    token = resigned(mint(issuer, alg="ES256"), key)[name]
    error = refused(verifier, request(token))
    assert (type(error), error.status_code) == (InvalidToken, 401)
    assert error.reason == ("token.malformed" if name == "empty" else "token.signature")


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_proof_whose_ecdsa_signature_is_spelt_otherwise_is_refused(
    caller: Caller, verifier: Verifier, name: str
) -> None:
    """RFC 7518 3.4, RFC 9449 4.3 (6); checklist 14, 63."""
    proof = resigned(caller.proof(), caller.key.private_key.private_key)[name]
    error = refused(verifier, caller.request(proof))
    assert (type(error), error.status_code) == (InvalidDPoPProof, 401)
    assert error.reason == ("dpop.malformed" if name == "empty" else "dpop.signature")


@pytest.mark.parametrize("alg", ["EdDSA", "RS256", "ES384"])
@pytest.mark.parametrize("cut", [1, -1, 0])
def test_a_signature_of_another_length_is_refused_for_every_algorithm(
    issuer: Issuer, make_verifier: Any, alg: str, cut: int
) -> None:
    """RFC 8037 3.1, RFC 7518 3.3, 3.4; checklist 14."""
    key = DPoPKey.generate(alg)
    token = mint(issuer, key=key)
    proof = key.proof("GET", URL, token, now=issuer.clock())
    head, _, signature = proof.rpartition(".")
    spoilt = {1: signature[:-4], -1: signature + "AAAA", 0: "A" * len(signature)}[cut]
    verifier = make_verifier()
    assert refused(verifier, request(token, f"{head}.{spoilt}")).status_code == 401
    assert verifier.authenticate(request(token, proof))


@cache
def weak_rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 1024)


def number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8))


def test_a_proof_with_a_real_but_short_rsa_key_is_refused(issuer: Issuer, verifier: Verifier) -> None:
    """RFC 7518 3.3 (2048 bits or more), RFC 8725 3.5; checklist 14, 64."""
    public = weak_rsa().public_key().public_numbers()
    jwk = {"kty": "RSA", "n": number(public.n), "e": "AQAB"}
    canonical = json.dumps({"e": jwk["e"], "kty": "RSA", "n": jwk["n"]}, separators=(",", ":"))
    token = mint(issuer, claims={"cnf": {"jkt": ath(canonical)}})
    claims = {"jti": "j", "htm": "GET", "htu": URL, "iat": int(issuer.clock()), "ath": ath(token)}
    head = ".".join(
        b64(json.dumps(part).encode()) for part in ({"typ": "dpop+jwt", "alg": "RS256", "jwk": jwk}, claims)
    )
    signature = weak_rsa().sign(head.encode(), padding.PKCS1v15(), hashes.SHA256())
    error = refused(verifier, request(token, f"{head}.{b64(signature)}"))
    assert (type(error), error.reason) == (InvalidDPoPProof, "dpop.key")


def test_an_access_token_signed_with_a_short_rsa_key_of_the_issuer_is_refused(
    issuer: Issuer, verifier: Verifier
) -> None:
    """RFC 7518 3.3, RFC 8725 3.5; checklist 64: such a key is skipped, and the others still serve."""
    public = weak_rsa().public_key().public_numbers()
    weak = {"kty": "RSA", "n": number(public.n), "e": "AQAB", "kid": "weak", "alg": "RS256", "use": "sig"}
    good = mint(issuer, alg="ES256")
    keys = [weak, issuer.signing_key("alpha", "ES256").public_jwk()]
    issuer.answer("/jwks", body=json.dumps({"keys": keys}).encode())
    claims = {"iss": issuer.issuer_url("alpha"), "sub": "x", "aud": AUDIENCE, "iat": int(issuer.clock())}
    claims |= {"exp": int(issuer.clock()) + 60}
    head = ".".join(b64(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "weak"}, claims))
    signature = weak_rsa().sign(head.encode(), padding.PKCS1v15(), hashes.SHA256())
    assert refused(verifier, request(f"{head}.{b64(signature)}")).reason == "token.key_unknown"
    assert verifier.authenticate(request(good))


N = int.from_bytes(decode_segment(RSA_JWK["n"]))
EC_POINT = decode_segment(EC_JWK["x"]) + decode_segment(EC_JWK["y"])
UNUSABLE: dict[str, Any] = {
    "RSA of 512 bits": RSA_JWK | {"n": number(N >> 1536 | 1)},
    "RSA of 1024 bits": RSA_JWK | {"n": number(N >> 1024 | 1)},
    "RSA of 2047 bits": RSA_JWK | {"n": number(N >> 1 | 1)},
    "RSA of 16384 bits": RSA_JWK | {"n": number(1 << 16383 | 1)},
    "RSA with an even modulus": RSA_JWK | {"n": number(N - 1)},
    "RSA with an even modulus that three does not divide": RSA_JWK | {"n": number(N - 1 if (N - 1) % 3 else N - 3)},
    "RSA with e=1": RSA_JWK | {"e": "AQ"},
    "RSA with e=0": RSA_JWK | {"e": "AA"},
    "RSA with e=2": RSA_JWK | {"e": "Ag"},
    "RSA with an endless e": RSA_JWK | {"e": number((1 << 2000) + 1)},
    "RSA without e": {"kty": "RSA", "n": RSA_JWK["n"]},
    "RSA with padding": RSA_JWK | {"n": RSA_JWK["n"] + "=="},
    "RSA with a number": RSA_JWK | {"e": 65537},
    "EC off the curve": EC_JWK | {"y": EC_JWK["x"]},
    "EC at infinity": EC_JWK | {"x": b64(bytes(32)), "y": b64(bytes(32))},
    "EC beyond the field": EC_JWK | {"x": b64(b"\xff" * 32)},
    "EC cut short": EC_JWK | {"x": EC_JWK["x"][:-2]},
    "EC with leading zeros": EC_JWK | {"x": b64(bytes(1) + bytes(32)), "y": b64(bytes(1) + bytes(32))},
    # The same 64 octets, so the same point, under another thumbprint.
    "EC with the boundary moved": EC_JWK | {"x": b64(EC_POINT[:31]), "y": b64(EC_POINT[31:])},
    "EC of another curve's size": EC521_JWK | {"crv": "P-256"},
    "EC on an unknown curve": EC_JWK | {"crv": "P-224"},
    "EC on Ed25519": EC_JWK | {"crv": "Ed25519"},
    "EC with a list for a curve": EC_JWK | {"crv": ["P-256"]},
    "EC without y": {name: value for name, value in EC_JWK.items() if name != "y"},
    "OKP cut short": ED_JWK | {"x": ED_JWK["x"][:-4]},
    "OKP for encryption": ED_JWK | {"crv": "X25519"},
    "OKP with a list": ED_JWK | {"x": ["AAAA"] * 4},
    "RSA with an object": RSA_JWK | {"n": {}},
    "EC with an object": EC_JWK | {"x": {}, "y": {}},
    "OKP with a number": ED_JWK | {"x": 5},
    "unknown type": {"kty": "AKP", "x": "AAAA"},
    "type in another case": EC_JWK | {"kty": "ec"},
    "no type": {name: value for name, value in EC_JWK.items() if name != "kty"},
    "type is an object": EC_JWK | {"kty": {}},
    "symmetric": {"kty": "oct", "k": "AAAA"},
    "symmetric, disguised": EC_JWK | {"k": "AAAA"},
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_key_that_is_not_fit_is_not_imported(name: str) -> None:
    """RFC 7518 3.3, 6.2, 6.3, RFC 8037 2, RFC 8725 3.4, 3.5; checklist 14, 63, 64."""
    with pytest.raises(UnusableKey):
        import_public_key(UNUSABLE[name])


@pytest.mark.parametrize("alg", [["ES256"], {}, "", 0, True, "es256", "RS256", "RSA-OAEP", "none"], ids=repr)
def test_a_key_that_is_made_for_another_or_no_algorithm_is_not_imported(alg: Any) -> None:
    """RFC 7517 4.4, RFC 8725 3.1: an issuer's set may hold such keys, and the others in it still serve."""
    with pytest.raises(UnusableKey):
        import_public_key(EC_JWK | {"alg": alg})


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_proof_with_a_key_that_is_not_fit_is_refused(caller: Caller, verifier: Verifier, name: str) -> None:
    """RFC 9449 4.3 (6), RFC 8725 3.4, 3.5; checklist 14, 63, 64."""
    error = refused(verifier, caller.request(caller.raw_proof(caller.claims(), jwk=UNUSABLE[name])))
    assert (type(error), error.status_code, error.reason) == (InvalidDPoPProof, 401, "dpop.key")


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
@pytest.mark.parametrize("value", ["AAAA", None, [], ""], ids=repr)
def test_a_proof_whose_jwk_has_a_private_member_is_refused(
    caller: Caller, verifier: Verifier, member: str, value: Any
) -> None:
    """RFC 9449 4.2, 4.3 (7); checklist 15: whatever its value is."""
    jwk = caller.key.public_jwk | {member: value}
    error = refused(verifier, caller.request(caller.raw_proof(caller.claims(), jwk=jwk)))
    assert (type(error), error.reason) == (InvalidDPoPProof, "dpop.key")


def test_a_proof_that_gives_its_whole_private_key_away_is_refused(caller: Caller, verifier: Verifier) -> None:
    """RFC 9449 4.3 (7); checklist 15."""
    jwk = caller.key.private_key.as_dict(private=True)
    error = refused(verifier, caller.request(caller.raw_proof(caller.claims(), jwk=jwk)))
    assert error.reason == "dpop.key"


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512", "RS256", "PS256", "EdDSA"])
def test_every_other_spelling_of_a_signature_is_known(alg: str) -> None:
    """FIPS 186-5 6.4: with (r, s), (r, n - s) holds as well. Whoever revokes a token has to know of both."""
    key = SigningKey.generate(alg)
    public = import_public_key(key.public_jwk())
    token = key.sign({"typ": "at+jwt"}, {"sub": "x"})
    found = spellings(token)
    assert found[0] == token
    assert len(found) == (2 if alg.startswith("ES") else 1)
    for each in found:
        assert public.verify(alg, each.rpartition(".")[0].encode(), decode_segment(each.rpartition(".")[2]))
        assert set(spellings(each)) == set(found)


@pytest.mark.parametrize("text", ["", "opaque", "a.b.c", "eyJhbGciOiJFUzI1NiJ9.e30.AAAA", "eyJhbGciOlsxXX0.e30.AAAA"])
def test_what_has_no_such_signature_is_spelt_in_one_way(text: str) -> None:
    assert spellings(text) == (text,)


#: alg -> the octets of s, and the order of its group, as the tables of FIPS 186-5 and SEC 2 have them.
ORDERS = {
    "ES256": (32, ORDER),
    "ES384": (48, 2**384 - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D),
    "ES512": (66, 2**521 - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7),
    "ES256K": (32, 2**256 - 0x14551231950B75FC4402DA1732FC9BEBF),
}


def _signed(alg: str, signature: bytes) -> str:
    return f"{b64(json.dumps({'alg': alg}).encode())}.e30.{b64(signature)}"


@pytest.mark.parametrize("alg", ORDERS)
def test_the_twin_of_a_signature_is_as_far_from_the_other_end_of_the_group(alg: str) -> None:
    """Made-up signatures, of which the smallest and the largest numbers can be had; no such twin is left out."""
    size, order = ORDERS[alg]
    r = b"\x07" * size
    for s in (1, 2, order // 2, order - 2, order - 1):
        token, twin = (_signed(alg, r + each.to_bytes(size)) for each in (s, order - s))
        assert spellings(token) == (token, twin)


@pytest.mark.parametrize("alg", ORDERS)
def test_a_number_outside_the_group_has_no_twin(alg: str) -> None:
    """Such a signature never holds. Whoever revokes it has typed it wrong at worst, and gets no error."""
    size, order = ORDERS[alg]
    r, largest = b"\x07" * size, 2 ** (8 * size) - 1
    for s in (0, order, order + 1, largest):
        token = _signed(alg, r + s.to_bytes(size))
        assert spellings(token) == (token,), s


@pytest.mark.parametrize("alg", ORDERS)
def test_a_signature_of_another_length_has_no_twin(alg: str) -> None:
    size, _ = ORDERS[alg]
    for octets in (b"\x01" * (2 * size - 1), b"\x01" * (size + 1), b"\x01" * size, b"\x01" * 5):
        token = _signed(alg, octets)
        assert spellings(token) == (token,), len(octets)
    token = _signed(alg, b"\x07" * size + bytes(size) + b"\x01")
    assert spellings(token) == (token,), "too long by one, and a small number all the same"
