"""Project Wycheproof's JSON Web Signature cases, made anew: no package carries that file. Each runs through the whole
verifier, as an access token and as a proof, for every algorithm. Its cases on the numbers in an ECDSA signature are in
test_jose_attacks_signatures.py, those on RSA padding in test_jose_attacks_rsa.py.

Two of its cases we judge otherwise: a stray "?" inside a segment is called valid there, since some decoders skip it; here
a segment has one spelling (RFC 7515 2), and it is refused.
"""

import hmac
import json
from typing import Any

import pytest
from joserfc.jwk import Key

from strongdm_auth.testing import Issuer
from strongdm_auth.testing.jws import public_members

from .support import MakeVerifier, b64
from .test_jose_attacks import WAYS, Way, new_key, signed, way_with_key

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K"]
ALGORITHMS += ["EdDSA", "Ed25519", "Ed448"]


def changed(segment: str) -> str:
    """The segment with another character in front, and so other octets."""
    return ("X" if segment[0] != "X" else "Y") + segment[1:]


def cases(way: Way, key: Key, stranger: Key) -> dict[str, tuple[str, set[str]]]:
    """What was done to an honest JWS: the JWS, and the reasons for which it may be refused."""
    malformed, signature = {"malformed"}, {"signature"}
    unreadable = {"malformed", "opaque", "missing", "credentials.malformed"}
    good = signed(way.text(), key, way.alg)
    h, p, s = good.split(".")
    mac = f"{b64(json.dumps(way.header | {'alg': 'HS256'}).encode())}.{p}"
    embedded = way.text({"jwk": public_members(stranger)})
    text = way.text({"kid": "x"} if way.name == "token" else {"x": 1})
    spaced = f"{b64(json.dumps(way.header).encode())}    .{p}"
    marked = f"{h}####.{p}"
    odd = way.text(claims=b'{"a":1}')
    return {
        "modified signature": (f"{h}.{p}.{changed(s)}", signature),
        "modified payload": (f"{h}.{changed(p)}.{s}", malformed),
        "another payload": (f"{way.text(claims={'x': 1})}.{s}", signature),
        "another header": (f"{text}.{s}", {"signature", "key_unknown"}),
        "modified header": (f"{changed(h)}.{p}.{s}", malformed),
        "missing signature": (f"{h}.{p}.", malformed),
        "missing signature and dot": (f"{h}.{p}", malformed),
        "missing payload": (f"{h}..{s}", malformed),
        "missing payload and dot": (f"{h}.{s}", malformed),
        "missing header": (f".{p}.{s}", unreadable),
        "missing header and dot": (f"{p}.{s}", unreadable),
        "payload alone": (p, unreadable),
        "payload between dots": (f".{p}.", unreadable),
        "two dots": ("..", unreadable),
        "extra dot": (f"{good}.", malformed),
        "dot in front": (f".{good}", unreadable),
        "extra part": (f"{good}.foo", malformed),
        "extra part in front": (f"foo.{good}", unreadable),
        "twice": (f"{good}.{good}", malformed),
        "none and no signature": (f"{way.text({'alg': 'none'})}.", malformed),
        "public key as HMAC secret": (
            f"{mac}.{b64(hmac.digest(json.dumps(public_members(key)).encode(), mac.encode(), 'sha256'))}",
            {"algorithm"},
        ),
        "a key of the attacker's own": (signed(way.text(), stranger, way.alg), signature),
        "embedded key of the attacker's own": (
            signed(embedded, stranger, way.alg),
            # In a proof that is what a key does; but the token is bound to another.
            {"signature", "token.key_mismatch"},
        ),
        "space in the signature": (f"{h}.{p}.{s[:9]} {s[9:]}", unreadable),
        "mark in the signature": (f"{h}.{p}.?{s}", unreadable),
        "mark behind the signature": (f"{h}.{p}.{s}?", unreadable),
        "mark for a character of the signature": (f"{h}.{p}.?{s[1:]}", unreadable),
        "mark in the header": (f"{h[:-1]}?{h[-1:]}.{p}.{s}", unreadable),
        "mark in the payload": (f"{h}.{p}?.{s}", unreadable),
        "spaces in the header, signed": (signed(spaced, key, way.alg), unreadable),
        "marks in the header, signed": (signed(marked, key, way.alg), unreadable),
        "spaces in the payload, signed": (signed(f"{h}.    {p}", key, way.alg), unreadable),
        "marks in the payload, signed": (signed(f"{h}.####{p}", key, way.alg), unreadable),
        "padding in the payload, signed": (signed(f"{h}.{odd.partition('.')[2]}==", key, way.alg), unreadable),
        "unused bits of the payload, signed": (signed(f"{h}.AB", key, way.alg), malformed),
        "payload cut within a character, signed": (signed(f"{h}.A", key, way.alg), malformed),
        "no JSON in the payload, signed": (signed(f"{h}.Zm9v", key, way.alg), malformed),
    }


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_what_was_done_to_a_jws_is_found(issuer: Issuer, make_verifier: MakeVerifier, alg: str, name: str) -> None:
    """RFC 7515 5.2, 7.1; before the first honest use and, where a verdict or a key is remembered, after it."""
    way, key = way_with_key(name, issuer, make_verifier, alg)
    forged = cases(way, key, new_key(alg))
    for what, (jws, reasons) in forged.items():
        assert way.reason(jws) in reasons, what
    assert way.passes(signed(way.text(), key, alg))
    for what, (jws, reasons) in forged.items():
        assert way.reason(jws) in reasons, f"{what}, after an honest one"


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_white_space_within_json_means_nothing(
    issuer: Issuer, make_verifier: MakeVerifier, alg: str, name: str
) -> None:
    """RFC 8259 2: as some signers write it, in header and payload."""
    way, key = way_with_key(name, issuer, make_verifier, alg)
    for number, indent in enumerate((None, 1, "\t", "\r\n ")):
        header = json.dumps(way.header, indent=indent).encode()
        claims = json.dumps(way.claims | {"jti": f"{number}"}, indent=indent).encode()
        assert way.passes(signed(way.text(b" " + header, claims + b"\n"), key, alg))


@pytest.mark.parametrize(
    "said",
    [{"key_ops": ["encrypt"]}, {"key_ops": ["sign"]}, {"key_ops": []}, {"use": "enc"}, {"use": ""}, {"alg": "ES384"}],
    ids=str,
)
def test_a_key_that_is_not_for_this_verifies_no_token(
    issuer: Issuer, make_verifier: MakeVerifier, said: dict[str, Any]
) -> None:
    """RFC 7517 4.2 to 4.4: another use, other operations, another algorithm, and a signature that holds."""
    key = new_key("ES256")
    way = Way("token", issuer, make_verifier, {**public_members(key), **said}, "ES256")
    assert way.reason(signed(way.text(), key, "ES256")) == "key_unknown"
    fit = Way("token", issuer, make_verifier, {**public_members(key), "use": "sig", "key_ops": ["verify"]}, "ES256")
    assert fit.passes(signed(fit.text(), key, "ES256"))
