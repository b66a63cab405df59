"""The keys and the caller of a test: `SigningKey` signs an issuer's tokens, `DPoPKey` makes DPoP proofs
(RFC 9449 section 4.2), `Agent` puts a token and its proof into the headers of a request. Keys are made for
the test and live in its memory; nothing here reads or writes a key from anywhere else."""

from __future__ import annotations

import hashlib
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from joserfc.jwk import Key

from strongdm_auth.client.keys import DPoPKey as ClientKey
from strongdm_auth.testing import jws, key_pool


@dataclass(frozen=True, eq=False)
class SigningKey:
    """One private key of an issuer, with the algorithm and the `kid` it goes by."""

    alg: str
    kid: str
    use: str
    private_key: Key = field(repr=False)

    @classmethod
    def generate(cls, alg: str = "ES256", *, kid: str | None = None, use: str = "sig") -> SigningKey:
        """A fresh key; its `kid` is random unless given."""
        private_key = key_pool.borrow(alg)
        key = cls(alg, kid or f"{alg.lower()}-{secrets.token_hex(6)}", use, private_key)
        key_pool.give_back_with(key, private_key, alg)
        return key

    def public_jwk(self) -> dict[str, object]:
        """The public half as a JWK with `kid`, `use` and `alg`."""
        return {**jws.public_members(self.private_key), "kid": self.kid, "use": self.use, "alg": self.alg}

    def sign(self, header: Mapping[str, object], claims: Mapping[str, object]) -> str:
        """A compact JWS. `alg` and `kid` are filled in; the header given is laid over them, None removes."""
        members = jws.with_overrides({"alg": self.alg, "kid": self.kid}, header)
        return jws.sign(members, claims, self.private_key, self.alg)

    def verifies(self, parsed: jws.ParsedJWS) -> bool:
        """Whether this key made this signature under its own algorithm, and the header says so."""
        return parsed.header.get("alg") == self.alg and jws.verify(parsed, self.private_key, self.alg)


class DPoPKey(ClientKey):
    """A client's key for DPoP proofs, with any algorithm, and for proofs that are wrong on purpose."""

    @classmethod
    def generate(cls, alg: str = "ES256") -> DPoPKey:
        """A fresh key."""
        private_key = key_pool.borrow(alg)
        key = cls(alg, private_key)
        key_pool.give_back_with(key, private_key, alg)
        return key

    def proof(  # pyright: ignore[reportIncompatibleMethodOverride]  # it takes all that the other does, and by place, too
        self,
        method: str,
        url: str,
        access_token: str | None = None,
        *,
        nonce: str | None = None,
        now: float | None = None,
        jti: str | None = None,
        header: Mapping[str, object] | None = None,
        claims: Mapping[str, object] | None = None,
    ) -> str:
        """A DPoP proof for one request; with an access token it carries `ath`.

        `url` becomes `htu` as it stands. `header` and `claims` are laid over what an honest client would
        send, and a value of None removes the member: that is how a test makes a bad proof.
        """
        honest_claims: dict[str, object] = {
            "jti": jti if jti is not None else secrets.token_urlsafe(16),
            "htm": method,
            "htu": url,
            "iat": int(time.time() if now is None else now),
        }
        if access_token is not None:
            honest_claims["ath"] = access_token_hash(access_token)
        if nonce is not None:
            honest_claims["nonce"] = nonce
        honest_header = {"typ": "dpop+jwt", "alg": self.alg, "jwk": self.public_jwk}
        return jws.sign(
            jws.with_overrides(honest_header, header),
            jws.with_overrides(honest_claims, claims),
            self.private_key,
            self.alg,
        )


def access_token_hash(access_token: str) -> str:
    """The `ath` claim of RFC 9449 section 4.2: base64url of the SHA-256 of the token."""
    digest = hashlib.sha256(access_token.encode()).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


@dataclass(frozen=True, slots=True)
class Agent:
    """A caller with an access token, bound to a key or not, for any HTTP client's `headers=`."""

    token: str = field(repr=False)
    key: DPoPKey | None = None
    clock: Callable[[], float] = field(default=time.time, repr=False)

    def headers(self, method: str, url: str, nonce: str | None = None) -> dict[str, str]:
        """`Authorization`, and a fresh `DPoP` proof for this request if the token is bound to a key."""
        if self.key is None:
            return {"Authorization": f"Bearer {self.token}"}
        proof = self.key.proof(method, url, self.token, nonce=nonce, now=self.clock())
        return {"Authorization": f"DPoP {self.token}", "DPoP": proof}
