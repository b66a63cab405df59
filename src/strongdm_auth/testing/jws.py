"""Compact JWS (RFC 7515 section 7.1) made and taken apart without opinions, for the local issuer and for
tests that need tokens no honest library would write. It never decides whether a token is acceptable: a
header may lie about its algorithm, and `verify` answers only whether this key made this signature."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

_EC_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_OKP_ALGORITHMS = frozenset({"EdDSA", "Ed25519"})  # two names for one kind of key, RFC 9864

SIGNING_ALGORITHMS = tuple(sorted(_RSA_ALGORITHMS | _OKP_ALGORITHMS | set(_EC_CURVES)))


@dataclass(frozen=True, slots=True)
class ParsedJWS:
    """What a compact JWS says, nothing of it checked."""

    header: Mapping[str, object]
    claims: Mapping[str, object]
    signing_input: bytes
    signature: bytes


def is_rsa(alg: str) -> bool:
    """Whether keys of this algorithm are RSA keys, which are slow to make."""
    return alg in _RSA_ALGORITHMS


def generate_key(alg: str) -> Key:
    """A fresh private key for this algorithm.

    Raises:
        ValueError: not an asymmetric algorithm this issuer knows.
    """
    if alg in _EC_CURVES:
        return ECKey.generate_key(_EC_CURVES[alg])
    if alg in _OKP_ALGORITHMS:
        return OKPKey.generate_key("Ed25519")
    if alg in _RSA_ALGORITHMS:
        return RSAKey.generate_key(2048)
    raise ValueError(f"no signing key for {alg!r}; one of {', '.join(SIGNING_ALGORITHMS)}")


def public_members(key: Key) -> dict[str, object]:
    """The public half of a key as a JWK, without kid, use or alg."""
    return {name: value for name, value in key.as_dict(private=False).items() if name not in {"kid", "use", "alg"}}


def with_overrides(members: Mapping[str, object], overrides: Mapping[str, object] | None) -> dict[str, object]:
    """The members with the overrides laid over them; an override of None takes the member away."""
    merged = {**members, **(overrides or {})}
    return {name: value for name, value in merged.items() if value is not None}


def sign(header: Mapping[str, object], claims: Mapping[str, object], key: Key, alg: str) -> str:
    """A compact JWS, signed with `alg` whatever the header says."""
    signing_input = f"{_encode_json(header)}.{_encode_json(claims)}"
    # The algorithm models, not `jws.serialize_compact`: that one caps headers at 512 bytes (too few for a
    # proof that carries an RSA key) and warns on the name EdDSA.
    signature = JWSRegistry.algorithms[alg].sign(signing_input.encode(), key)
    return f"{signing_input}.{_encode(signature)}"


def unsigned_token(header: Mapping[str, object], claims: Mapping[str, object], signature: bytes = b"") -> str:
    """A compact JWS that nobody signed, e.g. with `{"alg": "none"}`; only ever useful to be refused."""
    return f"{_encode_json(header)}.{_encode_json(claims)}.{_encode(signature)}"


def parse(token: str) -> ParsedJWS:
    """Take a compact JWS apart.

    Raises:
        ValueError: not three segments of base64url, or not two JSON objects.
    """
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError("a compact JWS has three segments")
    return ParsedJWS(
        header=_decode_object(parts[0]),
        claims=_decode_object(parts[1]),
        signing_input=f"{parts[0]}.{parts[1]}".encode("ascii"),
        signature=_decode(parts[2]),
    )


def verify(parsed: ParsedJWS, key: Key, alg: str) -> bool:
    """Whether this key made this signature with this algorithm."""
    model = JWSRegistry.algorithms[alg]
    try:
        model.check_key(key)
        return model.verify(parsed.signing_input, parsed.signature, key)
    except (JoseError, ValueError):
        return False


def _encode(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def _encode_json(value: Mapping[str, object]) -> str:
    return _encode(json.dumps(dict(value), separators=(",", ":")).encode())


def _decode(segment: str) -> bytes:
    decoded = urlsafe_b64decode(segment.encode("ascii") + b"=" * (-len(segment) % 4))
    if _encode(decoded) != segment:
        raise ValueError("not canonical base64url")
    return decoded


def _decode_object(segment: str) -> dict[str, object]:
    try:
        value: object = json.loads(_decode(segment))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value
