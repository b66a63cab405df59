"""The signing keys of one issuer (RFC 7517): one per algorithm, made when first asked for, replaced on
demand. Rings never share a key, so a realm's token does not verify against another realm's key set."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from strongdm_auth.testing import jws
from strongdm_auth.testing.keys import SigningKey


class Keyring:
    """The current keys by algorithm, and the earlier ones that still verify."""

    def __init__(self, algorithms: Sequence[str]) -> None:
        if not algorithms or not set(algorithms) <= set(jws.SIGNING_ALGORITHMS):
            raise ValueError(f"algorithms must be some of {', '.join(jws.SIGNING_ALGORITHMS)}")
        self._algorithms = tuple(algorithms)
        self._lock = threading.Lock()
        self._current: dict[str, SigningKey] = {}
        self._earlier: list[SigningKey] = []

    def key(self, alg: str | None = None) -> SigningKey:
        """The key that signs with this algorithm now; the first algorithm's if none is named."""
        wanted = self._algorithms[0] if alg is None else alg
        with self._lock:
            return self._key(wanted)

    def jwks(self) -> dict[str, object]:
        """The JWK Set: every current key and the earlier ones still valid."""
        with self._lock:
            keys = [self._key(alg) for alg in self._algorithms] + self._earlier
        return {"keys": [key.public_jwk() for key in keys]}

    def verifies(self, parsed: jws.ParsedJWS) -> bool:
        """Whether one of the ring's keys, the named one if a `kid` is there, made this signature."""
        kid = parsed.header.get("kid")
        with self._lock:
            keys = [*self._current.values(), *self._earlier]
        return any(key.verifies(parsed) for key in keys if kid is None or kid == key.kid)

    def rotate(self, *, keep_old: bool) -> None:
        """Sign with new keys from now on; the old ones stay in the set only if asked."""
        with self._lock:
            self._earlier = [*self._earlier, *self._current.values()] if keep_old else []
            self._current = {}

    def _key(self, alg: str) -> SigningKey:
        if alg not in self._algorithms:
            raise ValueError(f"this issuer signs with {', '.join(self._algorithms)}, not {alg}")
        if alg not in self._current:
            self._current[alg] = SigningKey.generate(alg)
        return self._current[alg]
