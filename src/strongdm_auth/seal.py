"""Answers of the issuer, shut up before they go to a store that workers share.

Who can read there should not learn about users, and who can write there must not say who is let in: an answer is encrypted
and authenticated (AES-GCM) with a key that comes from the client's secret, which all workers of an API have.
"""

import hmac
import json
import secrets
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .jose import Malformed, is_numeric_date, parse_object

_NONCE_BYTES = 12


class Seal:
    """Shuts and opens answers. Each token has a key of its own: an answer about one opens for no other, and random nonces
    cannot meet.

    Args:
        secret: what all workers of this API know, and nobody else does.
        context: what makes this API's answers other than another's, which may have the same secret.
    """

    def __init__(self, secret: str, *context: str) -> None:
        self._key = hmac.digest(secret.encode(), json.dumps(["strongdm-auth answers", *context]).encode(), "sha256")

    def name(self, digest: bytes) -> bytes:
        """What the answer about this token is kept under; it tells nobody which token that is."""
        return self._derive(b"name", digest)[:16]

    def shut(self, digest: bytes, document: dict[str, Any], until: float) -> bytes:
        """An answer as it is kept."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        text = json.dumps({"answer": document, "until": until}).encode()
        return nonce + AESGCM(self._derive(b"key", digest)).encrypt(nonce, text, None)

    def open(self, digest: bytes, value: bytes, now: float) -> dict[str, Any] | None:
        """The answer, if it is one that was shut up for this token and still may be kept; None for anything else."""
        try:
            text = AESGCM(self._derive(b"key", digest)).decrypt(value[:_NONCE_BYTES], value[_NONCE_BYTES:], None)
            kept = parse_object(text)
        except (InvalidTag, ValueError, Malformed):
            return None
        document, until = kept.get("answer"), kept.get("until")
        fresh = is_numeric_date(until) and now < until
        return document if fresh and isinstance(document, dict) else None

    def _derive(self, use: bytes, digest: bytes) -> bytes:
        return hmac.digest(self._key, use + digest, "sha256")
