"""JOSE attacks on the choice of the algorithm, and on the header members that make it; the index is in test_jose_attacks.py."""

import hmac
import itertools
import json

import pytest
from joserfc.jwk import Key

from strongdm_auth.testing import Issuer
from strongdm_auth.testing.jws import public_members

from .support import MakeVerifier, b64
from .test_jose_attacks import REQUIRED, WAYS, Way, signed, thumbprint, way_with_key

NONES = [
    *("".join(letters) for letters in itertools.product("nN", "oO", "nN", "eE")),
    *("none ", " none", "none\x00", "none\n", "\tnone", "ｎｏｎｅ", "nonе", "nοne", "none;", "none,ES256", "null"),
    *("undefined", "false", "0", "plain", ""),
]


@pytest.mark.parametrize("name", WAYS)
def test_no_spelling_of_none_is_an_algorithm(issuer: Issuer, make_verifier: MakeVerifier, name: str) -> None:
    """RFC 8725 3.1, 3.2, RFC 7518 3.6: with no signature, with any, and with the one of an honest text."""
    way, key = way_with_key(name, issuer, make_verifier)
    stolen = signed(way.text(), key, way.alg).rpartition(".")[2]
    for alg in NONES:
        text = way.text({"alg": alg})
        assert way.reason(f"{text}.{stolen}") == "algorithm", alg
        assert way.reason(f"{text}.AA") == "algorithm", alg
        assert way.reason(signed(text, key, way.alg)) == "algorithm", alg
        assert way.reason(f"{text}.") == "malformed", alg
        assert way.reason(text) == "malformed", alg
    assert way.passes(f"{way.text()}.{stolen}")


def secrets_of(key: Key) -> list[bytes]:
    """What a confused verifier might take for the HMAC secret of a public key."""
    jwk = public_members(key)
    pem = bytes(key.as_pem(private=False))
    numbers = [str(jwk[name]) for name in REQUIRED[str(jwk["kty"])]]
    forms = [json.dumps(jwk), json.dumps(jwk, separators=(",", ":"), sort_keys=True), json.dumps({"keys": [jwk]})]
    return [
        *(pem, pem.strip(), pem.replace(b"\n", b"\r\n"), bytes(key.as_der(private=False)), b"", b"k", b"\x00"),
        *(text.encode() for text in (*forms, *numbers, thumbprint(jwk))),
    ]


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
def test_no_form_of_a_public_key_is_an_hmac_secret(
    issuer: Issuer, make_verifier: MakeVerifier, alg: str, name: str
) -> None:
    """RFC 8725 2.1, 3.1: PEM, DER, JWK, key set, each number, the empty secret."""
    way, key = way_with_key(name, issuer, make_verifier, alg)
    for bits in ("256", "384", "512"):
        text = way.text({"alg": f"HS{bits}"})
        for secret in secrets_of(key):
            assert way.reason(f"{text}.{b64(hmac.digest(secret, text.encode(), f'sha{bits}'))}") == "algorithm"
    assert way.passes(signed(way.text(), key, alg))


@pytest.mark.parametrize(("alg", "reason"), [("HS256", "algorithm"), ("ES256", "key"), ("EdDSA", "key")])
def test_a_shared_secret_in_a_proof_is_no_key(
    issuer: Issuer, make_verifier: MakeVerifier, alg: str, reason: str
) -> None:
    """RFC 9449 4.3 (5), (7): an honest HMAC by a secret that lies in the proof itself, and in the token's binding."""
    jwk = {"kty": "oct", "k": b64(b"s" * 32)}
    way = Way("dpop", issuer, make_verifier, jwk, alg, dpop_algorithms=["ES256", "EdDSA"])
    text = way.text()
    assert way.reason(f"{text}.{b64(hmac.digest(b's' * 32, text.encode(), 'sha256'))}") == reason


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize(
    ("made", "claimed", "fits"),
    [("RS256", "PS256", True), ("PS256", "RS256", True), ("RS256", "RS512", True), ("ES256", "ES384", False)],
)
def test_a_signature_made_under_one_algorithm_holds_under_no_other(
    issuer: Issuer, make_verifier: MakeVerifier, made: str, claimed: str, fits: bool, name: str
) -> None:
    """RFC 8725 3.1: the API takes both; an RSA key is good for both, a curve has an algorithm of its own."""
    field = "algorithms" if name == "token" else "dpop_algorithms"
    way, key = way_with_key(name, issuer, make_verifier, made, **{field: [made, claimed]})
    text = way.text({"alg": claimed})
    unfit = "key_unknown" if name == "token" else "algorithm"
    assert way.reason(signed(text, key, made)) == ("signature" if fits else unfit)
    assert way.passes(signed(way.text(), key, made))


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("member", ["alg", "typ", "kid", "jwk", "x"])
def test_a_header_member_that_stands_twice_is_refused(
    issuer: Issuer, make_verifier: MakeVerifier, member: str, name: str
) -> None:
    """RFC 7515 4, RFC 8725 3.7: first and last reader would disagree; escapes spell the same name (RFC 8259 8.3)."""
    way, key = way_with_key(name, issuer, make_verifier)
    body = json.dumps(way.header | {member: way.header.get(member, "x")})
    assert way.passes(signed(way.text(body.encode()), key, way.alg))
    escaped = f"\\u{ord(member[0]):04x}{member[1:]}"
    for value in (json.dumps(way.header.get(member, "x")), '"none"', "null"):
        for spelling in (member, escaped):
            again = f'"{spelling}": {value}'
            for text in (f"{{{again}, {body[1:]}", f"{body[:-1]}, {again}}}"):
                assert way.reason(signed(way.text(text.encode()), key, way.alg)) == "malformed"


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize(
    ("spelt", "reason"),
    [
        (r'{"\u0061lg": "ES256", "typ"', None),
        (r'{"alg": "\u0045S256", "typ"', None),
        (r'{"\u0061lg": "none", "typ"', "algorithm"),
        (r'{"a\u006cg": "HS256", "typ"', "algorithm"),
        (r'{"alg": "ES256", "\u0063rit": ["x"], "x": 1, "typ"', "malformed"),
        (r'{"alg": "ES256", "b\u00364": false, "typ"', "malformed"),
        # Names are compared case by case (RFC 7515 4): these are members that nobody knows.
        ('{"alg": "ES256", "ALG": "none", "Crit": ["x"], "B64": false, "typ"', None),
        ('{"ALG": "ES256", "typ"', "algorithm"),
        ('{"alg ": "ES256", "typ"', "algorithm"),
        ('{"alg\\u0000": "ES256", "typ"', "algorithm"),
    ],
)
def test_a_member_is_known_by_its_name_however_it_is_spelt(
    issuer: Issuer, make_verifier: MakeVerifier, spelt: str, reason: str | None, name: str
) -> None:
    """RFC 7515 4, RFC 8259 7, 8.3: unescaped, then compared code point by code point."""
    way, key = way_with_key(name, issuer, make_verifier)
    rest = json.dumps({member: value for member, value in way.header.items() if member not in ("alg", "typ")})
    header = f'{spelt}: "{way.header["typ"]}", {rest[1:]}'
    jws = signed(way.text(header.encode()), key, way.alg)
    if reason is None:
        assert way.passes(jws)
    else:
        assert way.reason(jws) == reason
