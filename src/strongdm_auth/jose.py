"""The only door to the JOSE library: compact JWS in, verified bytes out (RFC 7515, 7517, 7518, 7638, 8037, 8725, 9864).

What is stricter here than a general library: base64url without padding, stray characters or stray bits; JSON without
duplicate names, NaN or Infinity; public keys only, RSA of 2048 bits and more, one algorithm family a key; no `crit`.
`joserfc.jwt.decode` is not used: it limits headers to 512 bytes (an RSA proof's is larger), refuses unknown header
members (RFC 7515 4 says ignore), and costs half a signature check more. Signatures are checked by joserfc's algorithm
models (`JWSRegistry.algorithms`), which is its public surface, but for ECDSA, RS256 and Ed25519, which nearly all tokens and
proofs have: the models build anew for each check what could be built once. Bypassing them is safe since the same few lines
are here, in sight, on the same library underneath; the tests hold every result against `jws.deserialize_compact`.
"""

import binascii
import hashlib
import json
import math
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, NoReturn, TypeGuard

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256K1,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

#: RFC 7518 3.3 asks for 2048 bits at least. More than 8192 is a way to make us work: 16 times a 2048-bit check.
RSA_BITS = range(2048, 8193)
#: The public exponent's longest: 65537 has 17 bits; a long one is a way to make us work (OpenSSL's own bound is 64).
RSA_EXPONENT_BITS = 33
#: RFC 7517, 7518, 8037: members that only a private or symmetric key has (RFC 9449 4.3 check 7).
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

#: Levels of JSON objects and lists. A delegation chain of 16 actors has 17; whoever reads claims may walk them recursively.
MOST_DEPTH = 32

_CURVES: dict[str, tuple[EllipticCurve, int]] = {
    "P-256": (SECP256R1(), 32),
    "P-384": (SECP384R1(), 48),
    "P-521": (SECP521R1(), 66),
    "secp256k1": (SECP256K1(), 32),
}
#: alg -> the keys it goes with: kty, and the curve where the algorithm fixes it (RFC 7518 3.1, RFC 8037 3.1, RFC 9864 2).
_FITS: dict[str, frozenset[tuple[str, str]]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), frozenset({("RSA", "")})),
    "ES256": frozenset({("EC", "P-256")}),
    "ES384": frozenset({("EC", "P-384")}),
    "ES512": frozenset({("EC", "P-521")}),
    "ES256K": frozenset({("EC", "secp256k1")}),
    "Ed25519": frozenset({("OKP", "Ed25519")}),
    "Ed448": frozenset({("OKP", "Ed448")}),
    "EdDSA": frozenset({("OKP", "Ed25519"), ("OKP", "Ed448")}),
}
#: kty and crv -> the algorithms that go with them.
_ALGORITHMS_OF: dict[tuple[str, str], frozenset[str]] = {
    kind: frozenset(alg for alg, kinds in _FITS.items() if kind in kinds) for kinds in _FITS.values() for kind in kinds
}
#: alg -> the octets of r and of s, and the scheme, made once.
_ECDSA = {
    "ES256": (32, ECDSA(hashes.SHA256())),
    "ES384": (48, ECDSA(hashes.SHA384())),
    "ES512": (66, ECDSA(hashes.SHA512())),
    "ES256K": (32, ECDSA(hashes.SHA256())),
}
#: crv -> bits of the y coordinate, the field's prime, and the y coordinates of the points whose order divides the cofactor.
_P25519, _P448 = 2**255 - 19, 2**448 - 2**224 - 1
_ORDER_8 = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
_EDWARDS = {
    "Ed25519": (255, _P25519, frozenset({0, 1, _P25519 - 1, _ORDER_8, _P25519 - _ORDER_8})),
    "Ed448": (448, _P448, frozenset({0, 1, _P448 - 1})),
}
#: What RS256 is to the library, made once; and the names of the one signature that Ed25519 keys make.
_RS256 = (padding.PKCS1v15(), hashes.SHA256())
_ED25519 = frozenset({"EdDSA", "Ed25519"})
#: Keys that are kept in OpenSSL's form, which takes 2 KB; of the others only their numbers are kept, a tenth of that, and
#: the form is made again (10 microseconds) when they come back.
LOADED_KEYS = 20_000
_loaded: "deque[VerificationKey]" = deque()
_URLSAFE_FROM_STANDARD = bytes.maketrans(b"+/", b"-_")
_STANDARD_FROM_URLSAFE = bytes.maketrans(b"-_+/=", b"+/!!!")
#: The last characters whose unused low bits are zero, by the length's rest: any other spells the same bytes again.
_CANONICAL_LAST = {2: frozenset("AQgw"), 3: frozenset("AEIMQUYcgkosw048")}
_PADDING = (b"", b"", b"==", b"=")


class Malformed(ValueError):
    """Not a compact JWS, or a part of it is not what it must be."""


class UnusableKey(ValueError):
    """Not a public signature key that is fit to verify anything."""


class Compact(NamedTuple):
    """The three segments of a compact JWS (RFC 7515 7.1), still encoded."""

    header: str
    payload: str
    signature: str

    def __repr__(self) -> str:
        return "<Compact>"  # it is a credential

    @property
    def signing_input(self) -> bytes:
        """What was signed (RFC 7515 5.1 step 8)."""
        return f"{self.header}.{self.payload}".encode("ascii")


def segments(token: str) -> list[str]:
    """The three segments of a compact JWS. Raises Malformed unless there are exactly three, none empty, all ASCII."""
    parts = token.split(".")
    if len(parts) != 3 or "" in parts or not token.isascii():
        raise Malformed("not a compact JWS")
    return parts


def split(token: str) -> Compact:
    """The same, by name."""
    return Compact(*segments(token))


def begins_as_jws(token: str) -> bool:
    """Whether a token's first segment is a JOSE header of a signature: then it is no opaque token, whatever follows."""
    try:
        header = parse_object(decode_segment(token.partition(".")[0]))
    except Malformed:
        return False
    return "alg" in header and "enc" not in header


def decode_segment(segment: str) -> bytes:
    """Strict base64url (RFC 7515 2): no padding, no stray character, no stray bits. Raises Malformed."""
    rest = len(segment) & 3
    if rest and (rest == 1 or segment[-1] not in _CANONICAL_LAST[rest]):
        raise Malformed("not canonical base64url")
    try:
        octets = segment.encode("ascii").translate(_STANDARD_FROM_URLSAFE)
        return binascii.a2b_base64(octets + _PADDING[rest], strict_mode=True)
    except ValueError as fault:
        raise Malformed("not base64url") from fault


def encode_segment(value: bytes) -> str:
    """Base64url without padding (RFC 7515 2)."""
    return (
        binascii.b2a_base64(value, newline=False).rstrip(b"=").translate(bytes.maketrans(b"+/", b"-_")).decode("ascii")
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("a name stands twice in a JSON object")
    return members


def _no_constant(name: str) -> NoReturn:
    raise Malformed(f"{name} is not JSON")


_JSON = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def parse_object(text: bytes) -> dict[str, Any]:
    """A JSON object from UTF-8 text. Raises Malformed for anything else, also for a name that stands twice (RFC 7515 4)."""
    try:
        document = text.decode("utf-8")
        try:
            # A third faster than `decode`, which allows for white space around it.
            value, end = _JSON.raw_decode(document)
        except ValueError:  # no value at its beginning
            value, end = None, -1
        if end != len(document):
            value = _JSON.decode(document)
        # Half of a surrogate pair is no character, and no answer could be made of it (RFC 8259 8.2). One character is looked
        # for first: in a fifth of the time.
        if "\\" in document and "\\u" in document:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as fault:
        raise Malformed("not JSON") from fault
    if not isinstance(value, dict):
        raise Malformed("not a JSON object")
    if (document.rfind("{") > 0 or "[" in document) and _is_deeper(document, value, MOST_DEPTH):
        raise Malformed("JSON that is nested too deeply")
    return value


def _is_deeper(document: str, value: Any, depth: int) -> bool:
    """Level by level, so that what nests is not walked by something that nests."""
    if document.count("{") + document.count("[") <= depth:
        return False
    level = [value]
    for _ in range(depth):
        level = [
            member
            for container in level
            for member in (container.values() if isinstance(container, dict) else container)
            if isinstance(member, (dict, list))
        ]
        if not level:
            return False
    return True


def is_numeric_date(value: object) -> TypeGuard[int | float]:
    """Whether a claim is a time (RFC 7519 2): a JSON number, which neither true nor 1e400 (infinite to us) is."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and math.isfinite(value)
    )


def refuses_critical(header: Mapping[str, object]) -> bool:
    """Whether the header asks for an extension: we know none, so all are refused (RFC 7515 4.1.11, RFC 7797 6)."""
    return "crit" in header or header.get("b64", True) is not True


class VerificationKey:
    """A public key, imported and checked once.

    `live` turns False when the key leaves its issuer's set; whoever kept a verdict that rests on it looks there.
    """

    __slots__ = ("_alg", "_curve", "_key", "_load", "algorithms", "kid", "live", "thumbprint")

    def __init__(
        self, load: Callable[[], Any], kind: tuple[str, str], thumbprint: str, kid: str | None, alg: str | None
    ) -> None:
        self._load = load
        self._key: Any = None
        self._curve = kind[1]
        self._alg = alg
        # RFC 8725 3.1: its own `alg`, else what goes with its type and curve. Ed25519 and EdDSA are two names for one thing.
        by_kind = _ALGORITHMS_OF[kind]
        self.algorithms = by_kind if alg is None or kind[0] == "OKP" else frozenset({alg})
        self.thumbprint = thumbprint
        self.kid = kid
        self.live = True

    def fits(self, alg: str) -> bool:
        """Whether a JWS with this `alg` may be verified with this key."""
        return alg in self.algorithms

    def verify(self, alg: str, signing_input: bytes, signature: bytes) -> bool:
        """Whether the signature holds. False also for what the library cannot even try."""
        if alg not in self.algorithms:
            return False
        key = self._key or self.load()
        try:
            if alg in _ECDSA:  # RFC 7518 3.4
                size, scheme = _ECDSA[alg]
                if len(signature) != 2 * size:
                    return False
                r, s = int.from_bytes(signature[:size]), int.from_bytes(signature[size:])
                key.verify(encode_dss_signature(r, s), signing_input, scheme)
            elif alg == "RS256":  # RFC 7518 3.3
                key.verify(signature, signing_input, *_RS256)
            elif alg in _ED25519 and self._curve == "Ed25519":  # RFC 8037 3.1
                key.verify(signature, signing_input)
            else:
                return _verified_by_library(self._curve if alg == "EdDSA" else alg, key, signing_input, signature)
        except InvalidSignature:
            return False
        return True

    def load(self) -> Any:
        """The key in OpenSSL's form, kept for a while."""
        key = self._key = self._load()
        _loaded.append(self)
        if len(_loaded) > LOADED_KEYS:
            _loaded.popleft()._key = None
        return key

    def same_as(self, other: "VerificationKey") -> bool:
        """Whether both are the same key for the same use."""
        return (self.thumbprint, self.kid, self._alg) == (other.thumbprint, other.kid, other._alg)


def _verified_by_library(alg: str, key: Any, signing_input: bytes, signature: bytes) -> bool:
    from joserfc.errors import JoseError  # 20 ms to import, for algorithms that few use
    from joserfc.jwk import OKPKey, RSAKey
    from joserfc.jws import JWSRegistry

    kind = OKPKey if alg == "Ed448" else RSAKey
    try:
        return JWSRegistry.algorithms[alg].verify(signing_input, signature, kind.import_key(key))
    except (JoseError, ValueError, TypeError, UnsupportedAlgorithm):
        return False


def _member(jwk: Mapping[str, object], name: str) -> str:
    value = jwk.get(name)
    if not isinstance(value, str) or not value or not value.isascii():
        raise UnusableKey(f"{name} is missing")
    return value


def _octets(jwk: Mapping[str, object], name: str) -> bytes:
    try:
        return decode_segment(_member(jwk, name))
    except Malformed as fault:
        raise UnusableKey(f"{name} is not base64url") from fault


def import_public_key(jwk: object) -> VerificationKey:
    """A JWK as a verification key.

    Raises:
        UnusableKey: it is no JSON object, private or symmetric, of an unknown type or curve, off its curve, too short,
            or made for something other than verifying signatures.
    """
    if not isinstance(jwk, dict):
        raise UnusableKey("not a JSON object")
    if not PRIVATE_MEMBERS.isdisjoint(jwk):
        raise UnusableKey("a private key")
    kty, alg, kid = jwk.get("kty"), jwk.get("alg"), jwk.get("kid")
    if alg is not None and (not isinstance(alg, str) or alg not in _FITS):
        raise UnusableKey("made for an algorithm that is not a signature's")
    if jwk.get("use", "sig") != "sig":
        raise UnusableKey("not a signature key")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise UnusableKey("not a key to verify with")
    try:
        if kty == "EC":
            load, kind, canonical = _elliptic(jwk)
        elif kty == "OKP":
            load, kind, canonical = _edwards(jwk)
        elif kty == "RSA":
            load, kind, canonical = _rsa(jwk)
        else:
            raise UnusableKey("a key type that signs nothing here")
        if alg is not None and kind not in _FITS[alg]:
            raise UnusableKey("an algorithm that does not fit the key")
        thumbprint = encode_segment(hashlib.sha256(canonical.encode("ascii")).digest())
        key = VerificationKey(load, kind, thumbprint, kid if isinstance(kid, str) else None, alg)
        key.load()
    except UnusableKey:
        raise
    except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm) as fault:
        raise UnusableKey("not a valid public key") from fault
    return key


# Each importer also gives the canonical JSON of RFC 7638 3.2: required members, sorted, no white space. The values are
# strict base64url or a known name by then, so that nothing in them needs JSON escapes.


_Import = tuple[Callable[[], Any], tuple[str, str], str]


def _elliptic(jwk: Mapping[str, object]) -> _Import:
    crv, x, y = _member(jwk, "crv"), _member(jwk, "x"), _member(jwk, "y")
    if crv not in _CURVES:
        raise UnusableKey("a curve that is not known")
    curve, size = _CURVES[crv]
    point = _octets(jwk, "x") + _octets(jwk, "y")
    if len(point) != 2 * size or len(x) != len(y):
        raise UnusableKey("coordinates of the wrong length (RFC 7518 6.2.1.2)")
    # ValueError when off the curve
    load = partial(EllipticCurvePublicKey.from_encoded_point, curve, b"\x04" + point)
    return load, ("EC", crv), f'{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}'


def _edwards(jwk: Mapping[str, object]) -> _Import:
    crv, x, octets = _member(jwk, "crv"), _member(jwk, "x"), _octets(jwk, "x")
    kind: Any = {"Ed25519": Ed25519PublicKey, "Ed448": Ed448PublicKey}.get(crv)
    if kind is None:
        raise UnusableKey("a curve that signs nothing")
    bits, prime, small = _EDWARDS[crv]
    if int.from_bytes(octets, "little") % (1 << bits) % prime in small:
        raise UnusableKey("a key of small order, under which anybody's signature holds (RFC 8725 3.4)")
    return partial(kind.from_public_bytes, octets), ("OKP", crv), f'{{"crv":"{crv}","kty":"OKP","x":"{x}"}}'


def _rsa(jwk: Mapping[str, object]) -> _Import:
    n, e = _member(jwk, "n"), _member(jwk, "e")
    octets = _octets(jwk, "n"), _octets(jwk, "e")
    if any(number.startswith(b"\0") for number in octets):
        raise UnusableKey("a number with zeros in front: one key would have many thumbprints (RFC 7518 6.3.1.1)")
    modulus, exponent = map(int.from_bytes, octets)
    if modulus.bit_length() not in RSA_BITS or modulus % 2 == 0:
        raise UnusableKey("an RSA modulus of the wrong size (RFC 7518 3.3)")
    if exponent < 3 or exponent % 2 == 0 or exponent.bit_length() > RSA_EXPONENT_BITS:
        raise UnusableKey("an RSA exponent that is not fit")
    return RSAPublicNumbers(exponent, modulus).public_key, ("RSA", ""), f'{{"e":"{e}","kty":"RSA","n":"{n}"}}'
