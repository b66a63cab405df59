"""JOSE attacks on ECDSA and EdDSA signatures and on their keys; RSA is in test_jose_attacks_rsa.py, the index in
test_jose_attacks.py. Wycheproof's vectors hold the arithmetic; here the forgeries are tried on the whole verifier."""

import itertools
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc.jwk import Key, OKPKey

from strongdm_auth.jose import UnusableKey, decode_segment, import_public_key
from strongdm_auth.testing import DPoPKey, Issuer
from strongdm_auth.testing.jws import public_members
from tests.conftest import NOW, URL, request

from .support import MakeVerifier, b64, refused
from .test_jose_attacks import WAYS, Way, new_key, signed, way_with_key

#: Algorithm -> octets of r and of s, the order of the group, the prime of the field (SEC 2, FIPS 186-5).
CURVES: dict[str, tuple[int, int, int]] = {
    "ES256": (
        32,
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
        2**256 - 2**224 + 2**192 + 2**96 - 1,
    ),
    "ES384": (
        48,
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
        2**384 - 2**128 - 2**96 + 2**32 - 1,
    ),
    "ES512": (
        66,
        int(
            "01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA"
            "51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409",
            16,
        ),
        2**521 - 1,
    ),
    "ES256K": (32, 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141, 2**256 - 2**32 - 977),
}
HASHES: dict[str, Any] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
    "56K": hashes.SHA256(),
}


def raw(alg: str, r: int, s: int) -> str:
    size = CURVES[alg][0]
    return b64(r.to_bytes(size) + s.to_bytes(size))


def numbers(jws: str) -> tuple[int, int]:
    octets = decode_segment(jws.rpartition(".")[2])
    half = len(octets) // 2
    return int.from_bytes(octets[:half]), int.from_bytes(octets[half:])


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("alg", CURVES)
def test_no_signature_is_good_for_every_text(issuer: Issuer, make_verifier: MakeVerifier, alg: str, name: str) -> None:
    """CVE-2022-21449 ("psychic signatures"), RFC 7518 3.4: r and s of 0, 1, the order, the prime, and what lies beside."""
    way, key = way_with_key(name, issuer, make_verifier, alg)
    size, order, prime = CURVES[alg]
    edges = [0, 1, order - 1, order, order + 1, prime, 256**size - 1]
    text = way.text()
    for r, s in itertools.product(edges, repeat=2):
        assert way.reason(f"{text}.{raw(alg, r, s)}") == "signature", (r, s)
    assert way.passes(signed(text, key, alg))


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("alg", CURVES)
def test_a_signature_is_its_two_numbers_and_nothing_else(
    issuer: Issuer, make_verifier: MakeVerifier, alg: str, name: str
) -> None:
    """RFC 7518 3.4: cut, lengthened, moved, swapped, out of range, negated, in DER, or of another curve's length."""
    way, key = way_with_key(name, issuer, make_verifier, alg)
    size, order, _ = CURVES[alg]
    text = way.text()
    jws = signed(text, key, alg)
    while alg == "ES512" and numbers(jws)[1] >> 520:  # every other signature on P-521 has an s with a zero in front
        jws = signed(text, key, alg)
    r, s = numbers(jws)
    first, second = r.to_bytes(size), s.to_bytes(size)
    spellings = {
        "cut": first + second[:-1],
        "cut in front": first[1:] + second,
        "lengthened": first + second + b"\x00",
        "lengthened in front": b"\x00" + first + second,
        "both lengthened": b"\x00" + first + b"\x00" + second,
        "both moved up": first + b"\x00" + second + b"\x00",
        "s lengthened": first + b"\x00" + second,
        "s lengthened by its own size": first + bytes(size) + second,
        "r alone": first,
        "s alone": second,
        "thrice": first + second + second,
        "swapped": second + first,
        "little endian": first[::-1] + second[::-1],
        "r negated": (order - r).to_bytes(size) + second,
        "r and s negated": (order - r).to_bytes(size) + (order - s).to_bytes(size),
        "no r": bytes(size) + second,
        "no s": first + bytes(size),
        "DER": key.private_key.sign(text.encode(), ec.ECDSA(HASHES[alg[-3:]])),
        "hexadecimal": (first + second).hex().encode(),
        **{
            f"as of {other}": r.to_bytes(max(width, size)) + s.to_bytes(max(width, size))
            for other, (width, _, _) in CURVES.items()
            if width > size
        },
    }
    if alg == "ES512":  # 528 bits for numbers of 521: there is room for another spelling of the same residue
        spellings |= {
            "r once more around": (r + order).to_bytes(size) + second,
            "s once more around": first + (s + order).to_bytes(size),
            "with a high bit": (r | 1 << 527).to_bytes(size) + second,
            "s without the zero in front": first + second[1:],
        }
    for how, octets in spellings.items():
        assert way.reason(f"{text}.{b64(octets)}") == "signature", how
    assert way.passes(jws)


@pytest.mark.parametrize("alg", CURVES)
def test_the_twin_of_a_signature_is_good_and_gains_nothing(
    issuer: Issuer, make_verifier: MakeVerifier, alg: str
) -> None:
    """RFC 7518 3.4 forbids no high s: (r, n - s) signs the same text. A token's twin is another token to a proof, and a
    proof's twin is the same proof: what is remembered is its jti (RFC 9449 11.1)."""
    order = CURVES[alg][1]
    way, key = way_with_key("dpop", issuer, make_verifier, alg)
    jws = signed(way.text(), key, alg)
    r, s = numbers(jws)
    twin = f"{way.text()}.{raw(alg, r, order - s)}"
    assert way.passes(twin)
    assert way.reason(jws) == way.reason(twin) == "replayed"
    # The same with the token: its proof names it to the letter.
    way, key = way_with_key("token", issuer, make_verifier, alg)
    client = DPoPKey.generate()
    token = signed(way.text(claims={"cnf": {"jkt": client.thumbprint}}), key, alg)
    r, s = numbers(token)
    twin = f"{token.rpartition('.')[0]}.{raw(alg, r, order - s)}"
    proof = client.proof("GET", URL, token, now=NOW)
    assert refused(way.verifier, request(twin, proof)).reason == "dpop.ath_mismatch"
    assert way.verifier.authenticate(request(token, proof))


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize(
    ("claimed", "curve"), [pair for pair in itertools.product(CURVES, repeat=2) if pair[0] != pair[1]]
)
def test_a_curve_goes_with_one_algorithm(
    issuer: Issuer, make_verifier: MakeVerifier, claimed: str, curve: str, name: str
) -> None:
    """RFC 7518 3.4, RFC 8812 3.2: a good ECDSA signature, with the hash that the header claims, on another curve."""
    key = new_key(curve)
    way = Way(name, issuer, make_verifier, public_members(key), claimed)
    text = way.text()
    r, s = decode_dss_signature(key.private_key.sign(text.encode(), ec.ECDSA(HASHES[claimed[-3:]])))
    reason = "key_unknown" if name == "token" else "algorithm"
    assert way.reason(f"{text}.{raw(curve, r, s)}") == reason
    size = CURVES[claimed][0]
    assert way.reason(f"{text}.{b64((r % 256**size).to_bytes(size) + (s % 256**size).to_bytes(size))}") == reason


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("ES256", "ES384"),
        ("ES256", "RS256"),
        ("RS256", "ES256"),
        ("EdDSA", "ES256"),
        ("ES256", "EdDSA"),
        ("RS256", "Ed25519"),
    ],
)
def test_a_key_that_names_an_algorithm_of_another_kind_verifies_nothing(
    issuer: Issuer, make_verifier: MakeVerifier, kind: str, said: str
) -> None:
    """RFC 7517 4.4, RFC 7518 3.1: a contradiction in the issuer's set is skipped, and lets nothing through or fall over."""
    key = new_key(kind)
    jwk = {**public_members(key), "alg": said}
    way = Way("token", issuer, make_verifier, jwk, said, algorithms=[kind, said])
    text = way.text()
    assert way.reason(signed(way.text({"alg": kind}), key, kind)) == "key_unknown"
    assert way.reason(f"{text}.{b64(bytes(64))}") == way.reason(f"{text}.{b64(bytes(256))}") == "key_unknown"
    if (kind, said) == ("ES256", "ES384"):  # the one mixture that can really sign: P-256 with SHA-384
        r, s = decode_dss_signature(key.private_key.sign(text.encode(), ec.ECDSA(hashes.SHA384())))
        assert way.reason(f"{text}.{raw('ES384', r, s)}") == "key_unknown"


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("alg", ["ES256K", "ES512", "Ed448", "PS512", "RS384"])
def test_an_algorithm_that_was_not_asked_for_is_refused_though_it_is_known(
    issuer: Issuer, make_verifier: MakeVerifier, alg: str, name: str
) -> None:
    """RFC 8725 3.1, RFC 9449 4.3 (5): known, sound, signed with the right key; and not on the default list."""
    key = new_key(alg)
    asked = Way(name, issuer, make_verifier, public_members(key), alg)
    assert asked.passes(signed(asked.text(), key, alg))
    unasked = Way(name, issuer, lambda **settings: make_verifier(), public_members(key), alg)
    assert unasked.reason(signed(unasked.text(), key, alg)) == "algorithm"


ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
ED25519_PRIME = 2**255 - 19
IDENTITY = (1).to_bytes(32, "little")


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
def test_an_ed25519_signature_has_one_spelling(
    issuer: Issuer, make_verifier: MakeVerifier, alg: str, name: str
) -> None:
    """RFC 8032 5.1.7, 8.4: S below the order, R as it is encoded; with S + L a text has a second signature."""
    way, key = way_with_key(name, issuer, make_verifier, alg)
    text = way.text()
    jws = signed(text, key, alg)
    octets = decode_segment(jws.rpartition(".")[2])
    r, s = octets[:32], int.from_bytes(octets[32:], "little")
    spellings = {
        **{f"S + {k} L": r + (s + k * ED25519_ORDER).to_bytes(32, "little") for k in range(1, 15)},
        "S negated": r + ((ED25519_ORDER - s) % ED25519_ORDER).to_bytes(32, "little"),
        "high bit of S": octets[:63] + bytes([octets[63] | 0x80]),
        "sign of R": octets[:31] + bytes([octets[31] ^ 0x80]) + octets[32:],
        "all zero": bytes(64),
        "identity and 0": IDENTITY + bytes(32),
        "identity and L": IDENTITY + ED25519_ORDER.to_bytes(32, "little"),
        "identity spelt otherwise": (ED25519_PRIME + 1).to_bytes(32, "little") + bytes(32),
        "all ones": b"\xff" * 64,
        "swapped": octets[32:] + r,
        "cut": octets[:63],
        "lengthened": octets + b"\x00",
        "R alone": r,
        "as of Ed448": octets + bytes(50),
    }
    for how, spelling in spellings.items():
        assert way.reason(f"{text}.{b64(spelling)}") == "signature", how
    assert way.passes(jws)


@pytest.mark.parametrize("name", WAYS)
def test_the_two_edwards_curves_are_not_confused(issuer: Issuer, make_verifier: MakeVerifier, name: str) -> None:
    """RFC 8037 3.1, RFC 9864 2.2: EdDSA is either, by the key's curve; the names of RFC 9864 are one each."""
    field = "algorithms" if name == "token" else "dpop_algorithms"
    every = {field: ["EdDSA", "Ed25519", "Ed448"]}
    reason = "key_unknown" if name == "token" else "algorithm"
    for alg, other in (("Ed25519", "Ed448"), ("Ed448", "Ed25519")):
        way, key = way_with_key(name, issuer, make_verifier, alg, **every)
        assert way.passes(signed(way.text(claims={"jti": "1"}), key, alg))
        eddsa = way.text({"alg": "EdDSA"}, {"jti": "2"})
        assert way.passes(f"{eddsa}.{signed(eddsa, key, alg).rpartition('.')[2]}")
        assert way.reason(signed(way.text({"alg": other}), key, alg)) == reason
        assert way.reason(f"{eddsa}.{b64(bytes(64))}") == way.reason(f"{eddsa}.{b64(bytes(114))}") == "signature"


#: Encodings that are no point of edwards25519: a y for which there is no x, and a y beyond the prime.
NO_POINTS = [
    *((value).to_bytes(32, "little") for value in (2, 7, ED25519_PRIME + 7, 2**255 - 1)),
    b"\xff" * 32,
]


@pytest.mark.parametrize("point", NO_POINTS, ids=bytes.hex)
def test_an_ed25519_key_that_is_no_point_verifies_nothing(
    issuer: Issuer, make_verifier: MakeVerifier, point: bytes
) -> None:
    """RFC 8032 5.1.3, 5.1.7, RFC 8725 3.4: whatever signature comes with it."""
    way = Way("dpop", issuer, make_verifier, {"kty": "OKP", "crv": "Ed25519", "x": b64(point)}, "Ed25519")
    for octets in (bytes(64), IDENTITY + bytes(32), point + bytes(32), b"\xff" * 64):
        assert way.reason(f"{way.text()}.{b64(octets)}") in ("signature", "key")


SMALL_ORDER = [
    # y of the eight points of small order, some of them with their other spelling
    *((value).to_bytes(32, "little") for value in (0, 1, ED25519_PRIME - 1, ED25519_PRIME, ED25519_PRIME + 1)),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
]


@pytest.mark.parametrize("point", SMALL_ORDER, ids=bytes.hex)
@pytest.mark.parametrize("sign", [0, 0x80])
@pytest.mark.parametrize("name", WAYS)
def test_a_key_of_small_order_is_no_key(
    issuer: Issuer, make_verifier: MakeVerifier, point: bytes, sign: int, name: str
) -> None:
    """RFC 8032 8.9, RFC 8725 3.4: under such a key a stranger's signature holds for some texts, or for all of them."""
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(point[:31] + bytes([point[31] | sign]))}
    way = Way(name, issuer, make_verifier, jwk, "Ed25519")
    for number in range(9):  # one text in eight
        forged = f"{way.text(claims={'jti': str(number)})}.{b64(IDENTITY + bytes(32))}"
        assert way.reason(forged) == ("key_unknown" if name == "token" else "key")


@pytest.mark.parametrize("y", [0, 1, 2**448 - 2**224 - 2, 2**448 - 2**224 - 1, 2**448 - 2**224])
def test_an_ed448_key_of_small_order_is_no_key(y: int) -> None:
    with pytest.raises(UnusableKey):
        import_public_key({"kty": "OKP", "crv": "Ed448", "x": b64(y.to_bytes(57, "little"))})


def test_a_key_with_the_members_of_two_types_is_of_the_type_it_names(
    issuer: Issuer, make_verifier: MakeVerifier
) -> None:
    """RFC 7517 4, RFC 7638 3.2: a thumbprint of one half and a signature of the other would be two keys in one."""
    field = {"dpop_algorithms": ["ES256", "RS256", "EdDSA"]}
    curve, rsa, edwards = (new_key(alg) for alg in ("ES256", "RS256", "EdDSA"))
    halves: list[tuple[Key, str]] = [(curve, "ES256"), (rsa, "RS256")]
    for (one, alg), (other, other_alg) in (halves, halves[::-1]):
        both = {**public_members(other), **public_members(one)}
        way = Way("dpop", issuer, make_verifier, both, alg, **field)
        assert way.passes(signed(way.text(), one, alg))
        assert way.reason(signed(way.text({"alg": other_alg}), other, other_alg)) == "algorithm"
        bound_to_other = Way("dpop", issuer, make_verifier, public_members(other), alg, **field)
        assert bound_to_other.reason(signed(bound_to_other.text({"jwk": both}), one, alg)) == "token.key_mismatch"
    for kty in ("rsa", "RSA ", "Ec", "AKP", "", None, ["RSA"], {}):
        nothing = {**public_members(curve), **public_members(rsa), "kty": kty}
        assert way.reason(signed(way.text({"jwk": nothing, "alg": "RS256"}), rsa, "RS256")) == "key"
        assert way.reason(signed(way.text({"jwk": nothing, "alg": "ES256"}), curve, "ES256")) == "key"
    assert isinstance(edwards, OKPKey)
    mixed = {**public_members(curve), "crv": "Ed25519", "kty": "OKP", "x": public_members(edwards)["x"]}
    way = Way("dpop", issuer, make_verifier, mixed, "EdDSA", **field)
    assert way.passes(signed(way.text(), edwards, "EdDSA"))
    assert way.reason(signed(way.text({"alg": "ES256"}), curve, "ES256")) == "algorithm"
