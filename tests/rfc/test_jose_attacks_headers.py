"""JOSE attacks by what surrounds a signature: header members, wrappings, encodings, numbers. The index is in
test_jose_attacks.py. Nearly every forgery here is signed with the right key: only the check in question stops it."""

import json
import zlib
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from joserfc import jwe
from joserfc.jwk import OctKey

from strongdm_auth.testing import Clock, DPoPKey, Issuer
from tests.conftest import NOW

from .support import MakeVerifier, b64, json_with, watched_verifier
from .test_jose_attacks import WAYS, signed, way_with_key
from .test_rfc8725 import EVIL, KIDS, LURES

CRITICAL: list[dict[str, Any]] = [
    *({"crit": value} for value in (["exp"], ["alg"], ["typ", "jwk"], [], None, "exp", {}, 0, False, [1], [["x"]])),
    *({"crit": ["x"], "x": 1}, {"crit": ["b64"], "b64": True}, {"crit": ["http://openid.net/x"]}, {"b64": "false"}),
    *({"b64": value} for value in (False, None, 0, "", [])),
]


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("header", CRITICAL, ids=str)
def test_no_critical_extension_is_understood(
    issuer: Issuer, make_verifier: MakeVerifier, header: dict[str, Any], name: str
) -> None:
    """RFC 7515 4.1.11, RFC 7797 6: a list that is empty, malformed, or names what everybody knows is refused as well."""
    way, key = way_with_key(name, issuer, make_verifier)
    assert way.reason(signed(way.text(header), key, way.alg)) == "malformed"
    assert way.passes(signed(way.text({"b64": True}), key, way.alg))


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("header", [{"b64": False}, {"b64": False, "crit": ["b64"]}, {}], ids=str)
def test_an_unencoded_payload_is_refused(
    issuer: Issuer, make_verifier: MakeVerifier, header: dict[str, Any], name: str
) -> None:
    """RFC 7797 5: signed as that RFC says, and sent encoded, as it is, and detached."""
    way, key = way_with_key(name, issuer, make_verifier)
    protected = way.text(header).partition(".")[0]
    payload = json.dumps(way.claims)
    signature = signed(f"{protected}.{payload}", key, way.alg).rpartition(".")[2]
    assert way.reason(f"{protected}.{b64(payload.encode())}.{signature}") == ("malformed" if header else "signature")
    assert way.reason(f"{protected}..{signature}") == "malformed"
    assert way.reason(f"{protected}.{payload}.{signature}") in ("credentials.malformed", "repeated")
    assert way.passes(signed(way.text(), key, way.alg))


@pytest.mark.parametrize("member", LURES)
def test_what_a_proof_points_at_is_not_fetched(issuer: Issuer, clock: Clock, member: str) -> None:
    """RFC 8725 3.10, RFC 9449 4.2: the key of a proof is its `jwk`; a thief's pointer to a key of his own is nothing."""
    thief = DPoPKey.generate()
    evil_set = json.dumps({"keys": [thief.public_jwk | {"kid": "k"}]}).encode()
    seen: list[Any] = []

    def make(**settings: Any) -> Any:
        verifier, recorder = watched_verifier(issuer, clock, {EVIL: evil_set}, **settings)
        seen.append(recorder)
        return verifier

    way, key = way_with_key("dpop", issuer, make)
    lure: dict[str, Any] = {member: LURES[member], "kid": "k"}
    inside = {"jwk": way.header["jwk"] | lure}
    for header in (lure, inside):
        assert way.reason(signed(way.text(header), thief.private_key, way.alg)) == "signature"
        assert way.passes(signed(way.text(header, {"jti": str(header)}), key, way.alg))
    assert way.reason(signed(way.text(lure | {"jwk": None}), thief.private_key, way.alg)) == "key"
    assert all(url.startswith(issuer.issuer_url("alpha")) for url in seen[0].urls)


@pytest.mark.parametrize("kid", [*KIDS, None, 1, True, [], {}], ids=lambda kid: str(kid)[:12])
def test_a_kid_in_a_proof_chooses_no_key(issuer: Issuer, make_verifier: MakeVerifier, kid: Any) -> None:
    """RFC 9449 4.2, RFC 8725 3.10: paths, SQL, addresses, NUL, 2,000 characters; the key is the one in `jwk`."""
    way, key = way_with_key("dpop", issuer, make_verifier)
    kid = kid[:2_000] if isinstance(kid, str) else kid
    stranger = DPoPKey.generate().private_key
    assert way.reason(signed(way.text({"kid": kid}), stranger, way.alg)) == "signature"
    assert way.passes(signed(way.text({"kid": kid, "jwk": way.header["jwk"] | {"kid": kid}}), key, way.alg))


def test_a_kid_of_an_issuers_key_lends_no_key_to_a_proof(issuer: Issuer, make_verifier: MakeVerifier) -> None:
    """RFC 9449 4.2: the issuer's own signature, under the issuer's own kid, proves nothing for the client."""
    issuers = issuer.signing_key("alpha", "ES256")
    way, _ = way_with_key("dpop", issuer, make_verifier)
    assert way.reason(signed(way.text({"kid": issuers.kid}), issuers.private_key, "ES256")) == "signature"


@pytest.mark.parametrize("name", WAYS)
def test_an_encrypted_jwt_is_no_signed_one(issuer: Issuer, make_verifier: MakeVerifier, name: str) -> None:
    """RFC 8725 2.3, 3.2, RFC 7516 9: whoever has the public key can encrypt to it, which says nothing of who it was."""
    way, key = way_with_key(name, issuer, make_verifier, "RS256")
    text = json.dumps(way.claims)
    header = way.header | {"alg": "RSA-OAEP", "enc": "A128CBC-HS256"}
    registry = jwe.JWERegistry(algorithms=["RSA-OAEP", "dir", "A128CBC-HS256"], strict_check_header=False)
    to_key = jwe.encrypt_compact(header, text, key, registry=registry)
    direct = jwe.encrypt_compact(header | {"alg": "dir"}, text, OctKey.import_key(b"k" * 32), registry=registry)
    for encrypted in (to_key, direct):
        assert encrypted.count(".") == 4
        assert way.reason(encrypted) == ("opaque" if name == "token" else "malformed")
        parts = encrypted.split(".")
        # Read as a JWS of which two parts were cut out: a proof's header is looked at first.
        assert way.reason(f"{parts[0]}.{parts[3]}.{parts[4]}") == ("malformed" if name == "token" else "algorithm")
    for alg in ("RSA-OAEP", "RSA1_5", "dir", "A128KW", "ECDH-ES", "PBES2-HS256+A128KW"):
        assert way.reason(signed(way.text({"alg": alg, "enc": "A128GCM"}), key, "RS256")) == "algorithm"


@pytest.mark.parametrize("name", WAYS)
def test_a_jwt_in_a_jwt_is_not_unwrapped(issuer: Issuer, make_verifier: MakeVerifier, name: str) -> None:
    """RFC 7519 5.2, appendix A: an honest one inside, an honest signature outside."""
    way, key = way_with_key(name, issuer, make_verifier)
    inner = signed(way.text(), key, way.alg)
    for header in ({"cty": "JWT"}, {"cty": "JWT", "typ": None}, {}):
        for payload in (inner.encode(), json.dumps(inner).encode(), json.dumps([inner]).encode()):
            reason = "typ" if name == "dpop" and "typ" in header else "malformed"
            assert way.reason(signed(way.text(header, payload), key, way.alg)) == reason
    hidden = json.dumps({"jwt": inner, "assertion": inner, "vp": inner}).encode()
    assert way.reason(signed(way.text({"cty": "JWT"}, hidden), key, way.alg)) in ("issuer", "claims")
    assert way.passes(inner)


@pytest.mark.parametrize("name", WAYS)
def test_a_detached_payload_is_refused(issuer: Issuer, make_verifier: MakeVerifier, name: str) -> None:
    """RFC 7515 appendix F: there is nowhere else to take the payload from."""
    way, key = way_with_key(name, issuer, make_verifier)
    protected, _, signature = signed(way.text(), key, way.alg).split(".")
    over_nothing = signed(f"{protected}.", key, way.alg).rpartition(".")[2]
    for cut in (f"{protected}..{signature}", f"{protected}..{over_nothing}", f"{protected}.{signature}"):
        assert way.reason(cut) == "malformed"


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("header", [{"zip": "DEF"}, {}, {"zip": "GZ"}, {"cty": "application/gzip"}], ids=str)
def test_nothing_is_inflated(issuer: Issuer, make_verifier: MakeVerifier, header: dict[str, Any], name: str) -> None:
    """RFC 7516 4.1.3, RFC 8725 3.6: compression belongs to encryption; here it would be a bomb."""
    way, key = way_with_key(name, issuer, make_verifier)
    text = json.dumps(way.claims).encode()
    for wbits in (-15, 15, 31):  # raw, zlib, gzip
        deflate = zlib.compressobj(wbits=wbits)
        packed = deflate.compress(text) + deflate.flush()
        assert way.reason(signed(way.text(header, packed), key, way.alg)) == "malformed"
    assert way.passes(signed(way.text(header), key, way.alg))


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("part", ["header", "claims"])
@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "latin-1", "cp037"]
)
def test_json_in_another_encoding_than_utf_8_is_refused(
    issuer: Issuer, make_verifier: MakeVerifier, encoding: str, part: str, name: str
) -> None:
    """RFC 7515 3, RFC 7519 7.2, RFC 8259 8.1: readers that guess the encoding read another text than was checked."""
    way, key = way_with_key(name, issuer, make_verifier)
    members = way.header if part == "header" else way.claims
    spelt = json.dumps(members | {"é": "é"}, ensure_ascii=False).encode(encoding)
    assert way.reason(signed(way.text(**{part: spelt}), key, way.alg)) == "malformed"
    assert way.passes(signed(way.text(**{part: json.dumps(members | {"é": "é"}).encode()}), key, way.alg))


ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_segment_has_one_spelling(issuer: Issuer, make_verifier: MakeVerifier, part: int, name: str) -> None:
    """RFC 7515 2, RFC 4648 3.3, 3.5: padding, the other alphabet, white space and stray bits, signed as they stand."""
    way, key = way_with_key(name, issuer, make_verifier)
    # Octets whose base64 has both characters that the alphabets spell differently, and a last character with spare bits.
    claims = way.claims | {"x": "~~~???ÿ"}
    parts = [json.dumps(members, ensure_ascii=False).encode() for members in (way.header | {"x": "~~~???ÿ"}, claims)]
    parts = [octets[:-1] + b" " * (2 - len(octets) % 3) + b"}" for octets in parts]
    encoded = [b64(octets) for octets in parts]
    assert all(len(segment) % 4 == 3 and {"-", "_"} & set(segment) for segment in encoded)
    honest = signed(".".join(encoded), key, way.alg)
    segment = honest.split(".")[part]
    begin, end = segment[:8], segment[8:]
    spellings = [
        *(f"{segment}{tail}" for tail in ("=", "==", "\n", "\x00", "~", "*")),
        *(f"{begin}{stray}{end}" for stray in ("=", "!", "\n", "\r\n", " ", "\x00", "é", "Ａ")),
        f"{segment[:-1]}{ALPHABET[ALPHABET.index(segment[-1]) + 1]}",
        *(spelt for spelt in (segment.replace("-", "+"), segment.replace("_", "/")) if spelt != segment),
    ]
    for spelling in spellings:
        sent = honest.split(".")
        sent[part] = spelling
        if part < 2 and spelling.isascii():
            sent[2] = signed(".".join(sent[:2]), key, way.alg).rpartition(".")[2]
        assert way.reason(".".join(sent)) in ("malformed", "credentials.malformed"), repr(spelling)
    assert way.passes(honest)


NO_TIMES = {
    # JSON text, or what some reader takes for it -> the reason
    **dict.fromkeys(
        ["NaN", "Infinity", "-Infinity", "nan", "inf", "0x7fffffff", "+1", "1.", ".5", "01", "1_0"], "malformed"
    ),
    **dict.fromkeys(["1" * 5_000, "-" + "9" * 4_400, "undefined", "None", "'1'", "1e", "--1", "1,0", ""], "malformed"),
    **dict.fromkeys(["1e400", "-1e400", "1E+999999", "true", "false", "null", "[]", "{}", '""', '"now"'], "claims"),
    **dict.fromkeys(
        [f'"{int(NOW) + 60}"', f"[{int(NOW) + 60}]", '"2027-01-15T08:00:00Z"', '"Infinity"', '{"$date": 1}'], "claims"
    ),
}


@pytest.mark.parametrize("text", NO_TIMES, ids=lambda text: text[:20] or "nothing")
@pytest.mark.parametrize(("name", "claim"), [("token", "exp"), ("token", "iat"), ("token", "nbf"), ("dpop", "iat")])
def test_what_is_no_finite_json_number_is_no_time(
    issuer: Issuer, make_verifier: MakeVerifier, name: str, claim: str, text: str
) -> None:
    """RFC 7519 2, RFC 8259 6: what compares as later than all times, as both, or as neither."""
    way, key = way_with_key(name, issuer, make_verifier)
    assert way.reason(signed(way.text(claims=json_with(way.claims, claim, text)), key, way.alg)) == NO_TIMES[text]


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("part", ["header", "claims"])
@pytest.mark.parametrize("text", ["[" * 40 + "]" * 40, '{"a":' * 33 + "1" + "}" * 33, "[{}," * 33 + "[]" + "]" * 33])
def test_what_nests_too_deeply_is_refused(
    issuer: Issuer, make_verifier: MakeVerifier, text: str, part: str, name: str
) -> None:
    """RFC 8259 9: far from what a parser dies of, and too deep for whoever reads it recursively later."""
    way, key = way_with_key(name, issuer, make_verifier)
    members = way.header if part == "header" else way.claims
    deep, flat = json_with(members, "x", text), json_with(members, "x", "[" * 20 + "]" * 20)
    assert way.reason(signed(way.text(**{part: deep}), key, way.alg)) == "malformed"
    assert way.passes(signed(way.text(**{part: flat}), key, way.alg))


def test_a_token_in_json_serialisation_is_no_opaque_token_either(issuer: Issuer, make_verifier: MakeVerifier) -> None:
    """RFC 7515 7.2: not even where a wide alphabet lets it through as base64."""
    way, key = way_with_key("token", issuer, make_verifier)
    protected, payload, signature = signed(way.text(), key, way.alg).split(".")
    flattened = {"protected": protected, "payload": payload, "signature": signature}
    for document in (flattened, {"payload": payload, "signatures": [flattened]}):
        assert way.reason(json.dumps(document)) == "credentials.malformed"
        assert way.reason(urlsafe_b64encode(json.dumps(document).encode()).decode()) == "opaque"
