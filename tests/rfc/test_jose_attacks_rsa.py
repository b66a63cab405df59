"""JOSE attacks on RSA signatures and keys, on access tokens and on proofs; the index is in test_jose_attacks.py. Every
forgery is made by hand, with the private half of the key where the attack needs it, and would pass a laxer reader."""

import hashlib
import time
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from strongdm_auth import jose
from strongdm_auth.jose import decode_segment
from strongdm_auth.testing import Issuer

from .support import MakeVerifier, b64
from .test_jose_attacks import WAYS, Way, new_key, signed, way_with_key

#: DER of DigestInfo up to the hash (RFC 8017 9.2 note 1), with the NULL and, as in old signatures, without.
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
SHA256_NO_NULL = bytes.fromhex("302f300b06096086480165030402010420")
SHA256_LONG_LENGTH = bytes.fromhex("308131300d060960864801650304020105000420")
SHA1_INFO = bytes.fromhex("3021300906052b0e03021a05000414")
MD5_INFO = bytes.fromhex("3020300c06082a864886f70d020505000410")


def octets_of(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8)


class RSA:
    """A private key as its numbers, for whoever wants to sign what no library signs."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        private = key.private_numbers()
        self.key, self.n, self.e, self.d = key, private.public_numbers.n, private.public_numbers.e, private.d
        self.size = (self.n.bit_length() + 7) // 8
        self.phi = (private.p - 1) * (private.q - 1)

    def jwk(self, **changes: int) -> dict[str, Any]:
        numbers = {"n": self.n, "e": self.e} | changes
        return {"kty": "RSA", **{name: b64(octets_of(value)) for name, value in numbers.items()}}

    def apply(self, message: bytes, d: int | None = None) -> bytes:
        return pow(int.from_bytes(message), self.d if d is None else d, self.n).to_bytes(self.size)


@cache
def a_key(e: int = 65537) -> RSA:
    return RSA(rsa.generate_private_key(e, 2048))


def padded(info: bytes, size: int = 256) -> bytes:
    """EMSA-PKCS1-v1_5 (RFC 8017 9.2)."""
    return b"\x00\x01" + b"\xff" * (size - len(info) - 3) + b"\x00" + info


def paddings(text: str) -> dict[str, bytes]:
    """What stands inside a signature, spelt as forgers and broken signers spell it."""
    data = text.encode()
    sha256, sha1, md5 = (hashlib.new(name, data).digest() for name in ("sha256", "sha1", "md5"))
    good = padded(SHA256_INFO + sha256)
    short = b"\x00\x01" + b"\xff" * 8 + b"\x00" + SHA256_INFO + sha256
    return {
        "NULL missing": padded(SHA256_NO_NULL + sha256),
        "length in long form": padded(SHA256_LONG_LENGTH + sha256),
        "hash missing": padded(SHA256_INFO),
        "hash alone": padded(sha256),
        "hash cut": padded(SHA256_INFO + sha256[:-1]),
        "hash of another kind": padded(SHA1_INFO + sha1),
        "MD5": padded(MD5_INFO + md5),
        "SHA-1 named as SHA-256": padded(SHA256_INFO + sha1 + bytes(12)),
        "garbage behind the hash": short + b"\x5a" * (256 - len(short)),
        "zeros behind the hash": short + bytes(256 - len(short)),
        "one octet behind the hash": padded(SHA256_INFO + sha256 + b"\x00"),
        "no padding": b"\x00\x01\x00" + SHA256_INFO + sha256 + bytes(256 - 3 - len(SHA256_INFO) - 32),
        "padding of zeros": b"\x00\x01" + bytes(256 - 2 - len(SHA256_INFO) - 32) + SHA256_INFO + sha256,
        "a flaw in the padding": good[:40] + b"\xfe" + good[41:],
        "separator missing": good[: -len(SHA256_INFO) - 33] + b"\xff" + SHA256_INFO + sha256,
        "separator early": good[:10] + b"\x00" + good[11:],
        "block type 0": b"\x00\x00" + good[2:],
        "block type 2": b"\x00\x02" + good[2:],
        "first octet 1": b"\x01" + good[1:],
        "nothing but the hash": bytes(256 - 32) + sha256,
    }


@pytest.mark.parametrize("name", WAYS)
def test_a_padding_is_compared_as_a_whole(issuer: Issuer, make_verifier: MakeVerifier, name: str) -> None:
    """RFC 8017 8.2.2, CVE-2006-4339, CVE-2014-1568 (BERserk): signed with the right key, and not to be read leniently."""
    key = a_key()
    way = Way(name, issuer, make_verifier, key.jwk(), "RS256")
    text = way.text()
    for how, message in paddings(text).items():
        assert way.reason(f"{text}.{b64(key.apply(message))}") == "signature", how
    good = padded(SHA256_INFO + hashlib.sha256(text.encode()).digest())
    assert way.passes(f"{text}.{b64(key.apply(good))}")


def cube_root_above(value: int) -> int:
    low, high = 0, 1 << (value.bit_length() // 3 + 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**3 < value else (low, middle)
    return low


@pytest.mark.parametrize("name", WAYS)
def test_a_cube_root_is_no_signature(issuer: Issuer, make_verifier: MakeVerifier, name: str) -> None:
    """CVE-2006-4339 (Bleichenbacher): with e = 3 a short padding, the hash, and garbage need no private key. Keys with
    e = 3 are taken (RFC 8017 3.1), for they are safe where all of the padding is compared."""
    key = a_key(3)
    way = Way(name, issuer, make_verifier, key.jwk(), "RS256")
    text = way.text()
    info = SHA256_INFO + hashlib.sha256(text.encode()).digest()
    prefix = b"\x00\x01" + b"\xff" * 8 + b"\x00" + info
    root = cube_root_above(int.from_bytes(prefix) << 8 * (256 - len(prefix)))
    assert (root**3).to_bytes(256).startswith(prefix), "the forgery is as good as it can be"
    assert way.reason(f"{text}.{b64(root.to_bytes(256))}") == "signature"
    assert way.passes(f"{text}.{b64(key.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}")


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("e", [0, 1, 2, 4, 65536, 65538, 2**34 + 25, 2**64 + 13, 2**2000 + 1])
def test_an_exponent_that_hides_nothing_or_costs_too_much_makes_no_key(
    issuer: Issuer, make_verifier: MakeVerifier, e: int, name: str
) -> None:
    """RFC 8017 3.1, RFC 8725 3.4: with e = 1 the padded text is its own signature; a long e is work at a stranger's wish."""
    key = a_key()
    way = Way(name, issuer, make_verifier, key.jwk(e=e) | ({"e": "AA"} if e == 0 else {}), "RS256")
    text = way.text()
    message = padded(SHA256_INFO + hashlib.sha256(text.encode()).digest())
    odd = e % 2 == 1 and e > 1
    d = pow(e, -1, key.phi) if odd and e < 2**70 else 1
    assert way.reason(f"{text}.{b64(key.apply(message, d))}") == ("key_unknown" if name == "token" else "key")


def test_the_longest_exponent_that_is_taken_has_33_bits(issuer: Issuer, make_verifier: MakeVerifier) -> None:
    """The bound above is where it says: an honest key with e = 2^32 + 15, a prime, verifies."""
    key, e = a_key(), 2**32 + 15
    way = Way("dpop", issuer, make_verifier, key.jwk(e=e), "RS256")
    text = way.text()
    message = padded(SHA256_INFO + hashlib.sha256(text.encode()).digest())
    assert way.passes(f"{text}.{b64(key.apply(message, pow(e, -1, key.phi)))}")


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("bits", [8193, 16_384, 32_768])
def test_a_huge_modulus_costs_nothing(
    issuer: Issuer, make_verifier: MakeVerifier, bits: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8725 3.4: 16,384 bits take a hundred times the work of 2,048; it is not begun, however often one asks."""
    modulus = (1 << bits - 1) + 12_345 * 2 + 1
    jwk = a_key().jwk(n=modulus)
    way = Way(name, issuer, make_verifier, jwk, "RS256")

    make_numbers = jose.RSAPublicNumbers

    def work(e: int, n: int) -> Any:
        assert n.bit_length() <= 4096, "a key of this size must not even be made"
        return make_numbers(e, n)

    monkeypatch.setattr(jose, "RSAPublicNumbers", work)
    jws = f"{way.text()}.{b64(b'A' * (bits // 8 if bits < 20_000 else 256))}"
    began = time.process_time()
    for _ in range(20):
        assert way.reason(jws) == ("key_unknown" if name == "token" else "key")
    assert time.process_time() - began < 2


@pytest.mark.parametrize("name", WAYS)
def test_an_rsa_signature_has_the_length_of_the_modulus(issuer: Issuer, make_verifier: MakeVerifier, name: str) -> None:
    """RFC 8017 8.2.2 step 1, 5.2.2: no leading zeros, none left out, nothing beyond the modulus, no 0 and no 1."""
    key = a_key()
    way = Way(name, issuer, make_verifier, key.jwk(), "RS256")
    text = way.text()
    good = key.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    value = int.from_bytes(good)
    spellings = [
        *(b"\x00" + good, good + b"\x00", good[1:], good[:-1], good[::-1], octets_of(value + key.n), bytes(256)),
        *((number).to_bytes(256) for number in (1, key.n, key.n - 1, key.n - value)),
        *(b"\xff" * 256, b"\x01", good + good, good.hex().encode()),
    ]
    for spelling in spellings:
        assert way.reason(f"{text}.{b64(spelling)}") == "signature"
    assert way.passes(f"{text}.{b64(good)}")


def test_a_number_has_one_spelling_in_a_key_and_another_is_another_key(
    issuer: Issuer, make_verifier: MakeVerifier
) -> None:
    """RFC 7518 6.3.1.1, RFC 7638 7: with zeros in front the numbers are the same and the thumbprint is not, so that such
    a key opens no token that is bound to the plain one."""
    key = a_key()
    plain = key.jwk()
    way = Way("dpop", issuer, make_verifier, plain, "RS256")
    for member in ("n", "e"):
        padded_out = plain | {member: b64(b"\x00" + decode_segment(plain[member]))}
        text = way.text({"jwk": padded_out})
        signature = key.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        assert way.reason(f"{text}.{b64(signature)}") in ("token.key_mismatch", "key")


PSS: dict[str, tuple[Any, Any]] = {
    # what it is -> padding, hash
    "no salt": (padding.PSS(padding.MGF1(hashes.SHA256()), 0), hashes.SHA256()),
    "salt of 20": (padding.PSS(padding.MGF1(hashes.SHA256()), 20), hashes.SHA256()),
    "salt of 31": (padding.PSS(padding.MGF1(hashes.SHA256()), 31), hashes.SHA256()),
    "salt of 33": (padding.PSS(padding.MGF1(hashes.SHA256()), 33), hashes.SHA256()),
    "longest salt": (padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH), hashes.SHA256()),
    "MGF1 with SHA-1": (padding.PSS(padding.MGF1(hashes.SHA1()), 32), hashes.SHA256()),
    "MGF1 with SHA-512": (padding.PSS(padding.MGF1(hashes.SHA512()), 32), hashes.SHA256()),
    "SHA-384": (padding.PSS(padding.MGF1(hashes.SHA384()), 48), hashes.SHA384()),
    "SHA-512/256": (padding.PSS(padding.MGF1(hashes.SHA512_256()), 32), hashes.SHA512_256()),
    "SHA3-256": (padding.PSS(padding.MGF1(hashes.SHA3_256()), 32), hashes.SHA3_256()),
    "PKCS #1 v1.5": (padding.PKCS1v15(), hashes.SHA256()),
}


@pytest.mark.parametrize("name", WAYS)
def test_pss_has_the_parameters_of_its_algorithm(issuer: Issuer, make_verifier: MakeVerifier, name: str) -> None:
    """RFC 7518 3.5: a salt as long as the hash, MGF1 with that hash; nothing is taken from the signature itself."""
    key = a_key()
    way = Way(name, issuer, make_verifier, key.jwk(), "PS256")
    text = way.text()
    for how, (scheme, digest) in PSS.items():
        assert way.reason(f"{text}.{b64(key.key.sign(text.encode(), scheme, digest))}") == "signature", how
    good = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    assert way.passes(f"{text}.{b64(key.key.sign(text.encode(), good, hashes.SHA256()))}")


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("alg", ["RS256", "PS256"])
def test_an_rsa_key_signs_for_itself_only(issuer: Issuer, make_verifier: MakeVerifier, alg: str, name: str) -> None:
    """RFC 7515 5.2: the signature of another key of the same size."""
    way, key = way_with_key(name, issuer, make_verifier, alg)
    stranger = new_key(alg)
    assert way.reason(signed(way.text(), stranger, alg)) == "signature"
    assert way.passes(signed(way.text(), key, alg))


@pytest.mark.parametrize("member", ["n", "e"])
@pytest.mark.parametrize("name", WAYS)
def test_a_number_with_zeros_in_front_is_no_key(
    issuer: Issuer, make_verifier: MakeVerifier, member: str, name: str
) -> None:
    """RFC 7518 6.3.1.1, RFC 7638 3.3: as few octets as the number needs, or one key has as many thumbprints as one likes."""
    key = a_key()
    jwk = key.jwk()
    jwk[member] = b64(b"\0" + decode_segment(jwk[member]))
    way = Way(name, issuer, make_verifier, jwk, "RS256")
    text = way.text()
    signature = key.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    assert way.reason(f"{text}.{b64(signature)}") == ("key_unknown" if name == "token" else "key")
