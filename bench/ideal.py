"""The least that could be done by hand, in about 25 lines a case: what a library is held against beside the floor.

It checks what RFC 9449 4.3 asks for and nothing else: no header of a kind it does not expect, no clean refusals, no
bounds on memory. Nobody should use it.
"""

import hashlib
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from .minting import Client, Key, encode
from .timing import Batch, Contender
from .world import AUDIENCE, URL

_ECDSA = ec.ECDSA(SHA256())
_DECODER = json.JSONDecoder()
Headers = Mapping[str, str]


def _octets(segment: str) -> bytes:
    return urlsafe_b64decode(segment + "=" * (-len(segment) & 3))


def _verify(alg: str, verify: Callable[[bytes, bytes], object], signing_input: str, signature: str) -> None:
    raw = _octets(signature)
    if alg == "ES256":
        raw = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    verify(raw, signing_input.encode())


def dpop(client: Client, token: str, headers: Callable[[], Headers]) -> Contender:
    """A token seen before and a fresh ES256 proof, replay check included."""
    seen: set[bytes] = set()
    known = {hashlib.sha256(token.encode()).digest(): (client.key.thumbprint, time.time() + 3_600)}
    proof_keys = {
        client.proof("GET", URL, token).split(".")[0]: (client.key.bare_verify(), client.key.thumbprint),
    }

    def check(request: Headers) -> str:
        scheme, _, compact = request["authorization"].partition(" ")
        digest = hashlib.sha256(compact.encode()).digest()
        thumbprint, expires_at = known[digest]
        now = time.time()
        header, payload, signature = request["dpop"].split(".")
        verify, key_thumbprint = proof_keys[header]
        claims = _DECODER.decode(_octets(payload).decode())
        if (
            scheme != "DPoP"
            or now >= expires_at
            or key_thumbprint != thumbprint
            or claims["htm"] != "GET"
            or claims["htu"] != URL
            or not now - 60 <= claims["iat"] <= now + 30
            or claims["ath"] != encode(digest)
        ):
            raise ValueError
        _verify("ES256", verify, f"{header}.{payload}", signature)
        used = hashlib.sha256(f"{thumbprint}.{claims['jti']}".encode()).digest()[:16]
        if used in seen:
            raise ValueError
        seen.add(used)
        return thumbprint

    return _contender(check, headers)


def unseen(key: Key, issuer: str, headers: Callable[[], Headers]) -> Contender:
    """An access token that was never seen."""
    verify = key.bare_verify()
    header_keys: dict[str, tuple[str, Callable[[bytes, bytes], object]]] = {}
    known: dict[bytes, tuple[str, frozenset[str]]] = {}

    def check(request: Headers) -> str:
        compact = request["authorization"].partition(" ")[2]
        digest = hashlib.sha256(compact.encode()).digest()
        header, payload, signature = compact.split(".")
        found = header_keys.get(header)
        if found is None:
            found = header_keys[header] = (json.loads(_octets(header))["alg"], verify)
        alg, check_signature = found
        _verify(alg, check_signature, f"{header}.{payload}", signature)
        claims = _DECODER.decode(_octets(payload).decode())
        if claims["iss"] != issuer or claims["aud"] != AUDIENCE or claims["exp"] <= time.time():
            raise ValueError
        known[digest] = (claims["sub"], frozenset(claims["scope"].split()))
        return str(claims["sub"])

    return _contender(check, headers)


def _contender(check: Callable[[Headers], str], headers: Callable[[], Headers]) -> Contender:
    def prepare(count: int) -> Batch:
        inputs = [headers() for _ in range(count)]

        def run() -> None:
            for one in inputs:
                check(one)

        return run

    return Contender("by hand", prepare)
