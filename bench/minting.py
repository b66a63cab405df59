"""Tokens and proofs by the thousand, made before the clock starts. What a client or an issuer pays is not measured here.

The header segment is the same for every proof of a client, as with real clients; keys never leave the process.
"""

import binascii
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_ECDSA = ec.ECDSA(SHA256())
_PKCS1 = padding.PKCS1v15()


def encode(octets: bytes) -> str:
    """Base64url without padding."""
    return binascii.b2a_base64(octets, newline=False).rstrip(b"=").translate(bytes.maketrans(b"+/", b"-_")).decode()


def encode_json(value: Mapping[str, object]) -> str:
    """One segment of a JWS."""
    return encode(json.dumps(value, separators=(",", ":")).encode())


def _integer(value: int) -> str:
    return encode(value.to_bytes((value.bit_length() + 7) // 8))


class Key:
    """A private key with what verifies its signatures: the floor's `verify`, and a public JWK."""

    def __init__(self, alg: str) -> None:
        self.alg = alg
        self._private: Any
        if alg == "ES256":
            self._private = ec.generate_private_key(ec.SECP256R1())
        elif alg == "EdDSA":
            self._private = ed25519.Ed25519PrivateKey.generate()
        else:
            self._private = rsa.generate_private_key(65537, 2048)
        self.jwk = self._public_jwk()
        canonical = json.dumps(self.jwk, separators=(",", ":"), sort_keys=True)
        self.thumbprint = encode(hashlib.sha256(canonical.encode()).digest())

    def _public_jwk(self) -> dict[str, str]:
        public = self._private.public_key()
        if self.alg == "EdDSA":
            return {"crv": "Ed25519", "kty": "OKP", "x": encode(public.public_bytes(Encoding.Raw, PublicFormat.Raw))}
        numbers = public.public_numbers()
        if self.alg == "RS256":
            return {"e": _integer(numbers.e), "kty": "RSA", "n": _integer(numbers.n)}
        return {"crv": "P-256", "kty": "EC", "x": encode(numbers.x.to_bytes(32)), "y": encode(numbers.y.to_bytes(32))}

    def sign(self, data: bytes) -> tuple[bytes, bytes]:
        """The signature as it goes into a JWS, and as the floor's `verify` takes it."""
        if self.alg == "EdDSA":
            raw = self._private.sign(data)
            return raw, raw
        if self.alg == "RS256":
            raw = self._private.sign(data, _PKCS1, SHA256())
            return raw, raw
        der = self._private.sign(data, _ECDSA)
        r, s = decode_dss_signature(der)
        return r.to_bytes(32) + s.to_bytes(32), der

    def bare_verify(self) -> Callable[[bytes, bytes], object]:
        """`public_key.verify(signature, data)` with the key preloaded and every parameter made: the floor."""
        public = self._private.public_key()
        if self.alg == "EdDSA":
            check: Callable[[bytes, bytes], object] = public.verify
            return check
        if self.alg == "RS256":
            pkcs1, sha256 = _PKCS1, SHA256()
            return lambda signature, data: public.verify(signature, data, pkcs1, sha256)
        return lambda signature, data: public.verify(signature, data, _ECDSA)

    def jws(self, header_segment: str, claims: Mapping[str, object]) -> str:
        """A compact JWS."""
        signing_input = f"{header_segment}.{encode_json(claims)}"
        return f"{signing_input}.{encode(self.sign(signing_input.encode())[0])}"


class Client:
    """A client with a DPoP key of its own."""

    def __init__(self, alg: str = "ES256") -> None:
        self.key = Key(alg)
        self._header = encode_json({"typ": "dpop+jwt", "alg": alg, "jwk": self.key.jwk})

    def proof(self, method: str, url: str, token: str, **changes: object) -> str:
        """A fresh proof for one request; `changes` are laid over its claims."""
        claims: dict[str, object] = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": url,
            "iat": int(time.time()),
            "ath": encode(hashlib.sha256(token.encode()).digest()),
        }
        return self.key.jws(self._header, claims | changes)
