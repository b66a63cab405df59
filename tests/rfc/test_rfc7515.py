"""Compact JWS, base64url and JSON as strictly as RFC 7515 and RFC 8725 3.7 ask; checklist 10, 14, 42, 62, 65, 70."""

import json
from pathlib import Path
from typing import Any

import pytest

from strongdm_auth import InvalidToken, Verifier
from strongdm_auth.jose import Malformed, decode_segment, encode_segment, import_public_key, parse_object, split
from strongdm_auth.testing import Issuer
from tests.conftest import request

from .support import b64, honest_claims, json_with, mint, realm_token, refused

SIGNATURES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "vectors" / "signatures.json").read_text())


@pytest.mark.parametrize("vector", SIGNATURES, ids=lambda vector: vector["source"])
def test_the_signature_in_the_rfc_holds(vector: dict[str, Any]) -> None:
    """RFC 7515 A.2, A.3, A.4; RFC 8037 A.4; checklist 14, 42."""
    jws = split(vector["token"])
    key = import_public_key(vector["jwk"])
    assert key.verify(vector["alg"], jws.signing_input, decode_segment(jws.signature))


@pytest.mark.parametrize("vector", SIGNATURES, ids=lambda vector: vector["source"])
def test_the_signature_in_the_rfc_holds_for_its_own_text_and_algorithm_only(vector: dict[str, Any]) -> None:
    """RFC 7515 5.2; checklist 14, 42."""
    jws = split(vector["token"])
    key, signature = import_public_key(vector["jwk"]), decode_segment(jws.signature)
    assert not key.verify(vector["alg"], jws.signing_input + b"A", signature)
    assert not key.verify(vector["alg"], jws.signing_input, signature[:-1] + bytes([signature[-1] ^ 1]))
    assert not key.verify(vector["alg"], jws.signing_input, b"")
    for alg in ("RS256", "RS384", "PS256", "ES256", "ES384", "ES256K", "Ed448", "HS256", "none", ""):
        if alg != vector["alg"]:
            assert not key.verify(alg, jws.signing_input, signature)


def test_one_key_of_another_vector_does_not_verify(subtests: pytest.Subtests) -> None:
    """RFC 7515 5.2; checklist 42."""
    for vector in SIGNATURES:
        jws = split(vector["token"])
        for other in SIGNATURES:
            if other is not vector:
                with subtests.test(f"{vector['source']} with the key of {other['source']}"):
                    key = import_public_key(other["jwk"])
                    assert not key.verify(vector["alg"], jws.signing_input, decode_segment(jws.signature))


@pytest.mark.parametrize(
    ("octets", "text"), [(b"", ""), (b"\x03\xec\xff\xe0\xc1", "A-z_4ME"), (b"\xff", "_w"), (b"\x00\x00", "AAA")]
)
def test_base64url_is_read_and_written_without_padding(octets: bytes, text: str) -> None:
    """RFC 7515 2 and appendix C; checklist 10."""
    assert encode_segment(octets) == text
    assert decode_segment(text) == octets


@pytest.mark.parametrize("length", [1, 2, 3, 96])
def test_base64url_keeps_every_last_octet(length: int) -> None:
    """RFC 7515 2: but for the padding nothing is cut off, whatever the last character is."""
    for last in range(256):
        octets = bytes(length - 1) + bytes([last])
        assert encode_segment(octets) == b64(octets)
        assert decode_segment(b64(octets)) == octets


@pytest.mark.parametrize(
    "text",
    ["A", "AAAAA", "_x", "AAB", "AA==", "AA=", "A+AA", "A/AA", "AA A", "AAAA\n", "\nAAAA", "AA.A", "AAAé", "AA\x00A"],
)
def test_base64url_with_strays_is_malformed(text: str) -> None:
    """RFC 7515 2: no padding, no line breaks, no other characters, and no bits that spell the same octets again."""
    with pytest.raises(Malformed):
        decode_segment(text)


@pytest.mark.parametrize("text", ["", "a", "a.b", "a.b.c.d", "a..c", ".b.c", "a.b.", "..", "a.b.ç", "{}"])
def test_anything_but_three_segments_is_malformed(text: str) -> None:
    """RFC 7515 7.1; checklist 10."""
    with pytest.raises(Malformed):
        split(text)


BAD_JSON = {
    "duplicate member": b'{"sub": "a", "sub": "a"}',
    "duplicate deep inside": b'{"act": {"sub": "a", "sub": "b"}}',
    "duplicate by escape": b'{"sub": "a", "s\\u0075b": "b"}',
    "NaN": b'{"x": NaN}',
    "Infinity": b'{"x": Infinity}',
    "minus Infinity": b'{"x": -Infinity}',
    "byte order mark": b'\xef\xbb\xbf{"x": 1}',
    "UTF-16": '{"x": 1}'.encode("utf-16"),
    "latin-1": '{"x": "é"}'.encode("latin-1"),
    "overlong UTF-8": b'{"x": "\xc0\xaf"}',
    "surrogate as UTF-8": b'{"x": "\xed\xa0\x80"}',
    "control character": b'{"x": "\x01"}',
    "trailing comma": b'{"x": 1,}',
    "comment": b'{"x": 1} // no',
    "two values": b"{}{}",
    "single quotes": b"{'x': 1}",
    "leading zero": b'{"x": 01}',
    "list": b"[]",
    "string": b'"x"',
    "number": b"1",
    "null": b"null",
    "nothing": b"",
    "white space": b"  ",
    "form feed": b"\x0c{}",
    "cut short": b'{"x": ',
    "too deep": b'{"x": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "too deep, cut short": b'{"x":' * 2_000,
    "a number of 5,000 digits": b'{"x": ' + b"1" * 5_000 + b"}",
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_what_is_not_one_plain_json_object_is_malformed(name: str) -> None:
    """RFC 7515 4 (names are unique), RFC 8259 8.1, RFC 8725 3.7; checklist 65."""
    with pytest.raises(Malformed):
        parse_object(BAD_JSON[name])


@pytest.mark.parametrize("name", BAD_JSON)
@pytest.mark.parametrize("part", ["header", "claims"])
def test_a_token_with_such_a_part_is_refused_though_its_signature_holds(
    issuer: Issuer, verifier: Verifier, name: str, part: str
) -> None:
    """RFC 7515 5.2, RFC 8725 3.7; checklist 10, 65."""
    token = realm_token(issuer, BAD_JSON[name])
    if part == "header":
        token = f"{b64(BAD_JSON[name])}.{b64(json.dumps(honest_claims()).encode())}.{token.split('.')[2]}"
    error = refused(verifier, request(token))
    assert (type(error), error.status_code) == (InvalidToken, 401)
    # What does not even begin as a JWS (RFC 7515 7.1) is told as such.
    assert error.reason == ("token.opaque" if name == "nothing" and part == "header" else "token.malformed")


@pytest.mark.parametrize("member", ["sub", "exp", "aud", "iss"])
def test_a_claim_that_stands_twice_is_refused_even_when_both_are_alike(
    issuer: Issuer, verifier: Verifier, member: str
) -> None:
    """RFC 7519 4, RFC 8725 3.7; checklist 65."""
    claims = honest_claims()
    text = json.dumps(claims)[:-1] + f', "{member}": {json.dumps(claims[member])}}}'
    assert refused(verifier, request(realm_token(issuer, text.encode()))).reason == "token.malformed"
    assert verifier.authenticate(request(realm_token(issuer, json.dumps(claims).encode())))


def test_white_space_between_json_tokens_means_nothing(issuer: Issuer, verifier: Verifier) -> None:
    """RFC 8259 2; checklist 65."""
    token = realm_token(issuer, b" \r\n\t" + json.dumps(honest_claims(), indent=4).encode() + b"\n")
    assert verifier.authenticate(request(token)).subject == "cli_agent"


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "scope", "jti", "client_id", "unknown"])
def test_a_lone_surrogate_in_a_claim_gets_an_answer_and_no_crash(
    issuer: Issuer, verifier: Verifier, claim: str
) -> None:
    """RFC 8259 8.2; checklist 65: refused where it could decide anything, never an error outside the tree."""
    token = realm_token(issuer, json_with(honest_claims(), claim, '"\\ud800"'))
    if claim in ("iss", "aud"):
        assert refused(verifier, request(token)).status_code == 401
        return
    try:
        accepted = verifier.authenticate(request(token))
    except InvalidToken:
        return
    assert repr(accepted)
    assert accepted.claims[claim] == "\ud800"


@pytest.mark.parametrize("depth", [50, 200, 400, 900])
def test_deep_but_parseable_claims_can_be_read_by_the_route_or_are_refused(
    issuer: Issuer, verifier: Verifier, depth: int
) -> None:
    """RFC 8259 9 (a parser may limit depth), the contract's "no input gets a 500"; checklist 65."""
    nested = "[" * depth + "]" * depth
    token = realm_token(issuer, json_with(honest_claims(), "deep", nested))
    try:
        accepted = verifier.authenticate(request(token))
    except InvalidToken:
        return
    assert "deep" in accepted.claims


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": False},
        {"crit": ["b64"], "b64": True},
        {"crit": []},
        {"crit": None},
        {"crit": "exp"},
        {"crit": ["alg"]},
        {"crit": ["x"], "x": 1},
        {"b64": False},
        {"b64": None},
        {"b64": 0},
        {"b64": "false"},
    ],
    ids=str,
)
def test_critical_extensions_are_refused_because_none_is_understood(
    issuer: Issuer, verifier: Verifier, header: dict[str, Any]
) -> None:
    """RFC 7515 4.1.11, RFC 7797 6; checklist 70."""
    error = refused(verifier, request(realm_token(issuer, honest_claims(), **header)))
    assert (type(error), error.reason) == (InvalidToken, "token.malformed")


def test_header_members_that_are_not_critical_are_ignored(issuer: Issuer, verifier: Verifier) -> None:
    """RFC 7515 4; checklist 70."""
    token = realm_token(issuer, honest_claims(), zip="DEF", x={"y": [1]}, cty="JWT", b64=True)
    assert verifier.authenticate(request(token)).subject == "cli_agent"


@pytest.mark.parametrize(
    ("header", "opaque"),
    [
        (b'{"alg": "RS256"}', False),
        (b'{"alg": null}', False),
        (b'{"alg": "RS256", "enc": "A256GCM"}', True),
        (b'{"enc": "A256GCM"}', True),
        (b'{"user": 7}', True),
        (b"{}", True),
        (b'["alg"]', True),
        (b"alg", True),
        (b"\xff", True),
    ],
)
def test_a_token_is_a_jws_when_its_first_part_is_the_header_of_one(
    verifier: Verifier, header: bytes, opaque: bool
) -> None:
    """RFC 7515 4.1.1 (`alg` must be there), RFC 7516 4.1.2: what the issuer is asked about instead are tokens of its own
    making, which may hold a JSON object as well, and encrypted ones."""
    reason = "token.opaque" if opaque else "token.malformed"
    assert refused(verifier, request(f"{b64(header)}.mac")).reason == reason


def test_json_serialisations_are_no_tokens(issuer: Issuer, verifier: Verifier) -> None:
    """RFC 7515 7.2, RFC 7519 1 (compact only); checklist 10."""
    protected, payload, signature = mint(issuer).split(".")
    text = json.dumps({"protected": protected, "payload": payload, "signature": signature})
    assert refused(verifier, request(text)).status_code == 400
    assert refused(verifier, request(b64(text.encode()))).status_code == 401


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        ("{0}=.{1}.{2}", 400),  # not even a b64token (RFC 6750 2.1)
        ("{0}.{1}=.{2}", 400),
        ("{0}.{1}.{2}=", 401),
        ("{0}.{1}.{2}==", 401),
        ("{0}.{1}.{2}+", 401),
        ("{0}.{1}/.{2}", 401),
        ("{0}~.{1}.{2}", 401),
    ],
)
def test_a_token_with_padding_or_the_other_alphabet_is_refused(
    issuer: Issuer, verifier: Verifier, spoil: str, status: int
) -> None:
    """RFC 7515 2; checklist 10: one token, one spelling."""
    token = mint(issuer, alg="ES256")
    assert verifier.authenticate(request(token))
    error = refused(verifier, request(spoil.format(*token.split("."))))
    assert (error.status_code, error.reason in ("credentials.malformed", "token.malformed")) == (status, True)


def test_a_signature_with_stray_bits_is_not_the_same_token_again(issuer: Issuer, verifier: Verifier) -> None:
    """RFC 7515 2, RFC 4648 3.5; checklist 10."""
    token = mint(issuer, alg="ES256")  # 64 octets: the last character has four bits that mean nothing
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = token[:-1] + alphabet[alphabet.index(token[-1]) + 1]
    assert refused(verifier, request(twin)).reason == "token.malformed"
