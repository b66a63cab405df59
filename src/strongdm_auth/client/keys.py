"""A client's key for DPoP (RFC 9449 4): it makes the proofs, and it never leaves this process but into a file of its owner's.

Whoever has the file is the agent. It is therefore a JWK with mode 0600, refused on loading when others could read it.
"""

import hashlib
import json
import secrets
import time
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey, import_key
from joserfc.jws import JWSRegistry

from strongdm_auth.jose import Malformed, encode_segment, parse_object

from .errors import UnsafeFile
from .private_files import read_private, write_private

#: alg -> the curve, or the bits, of its keys. What the verifier takes by default, and no more.
ALGORITHMS: dict[str, str | int] = {
    "ES256": "P-256",
    "ES384": "P-384",
    "EdDSA": "Ed25519",
    "Ed25519": "Ed25519",  # the same by its newer name (RFC 9864), for servers that know only that
    "RS256": 2048,
    "PS256": 2048,
}
_OWN_MEMBERS = frozenset({"kty", "crv", "x", "y", "n", "e"})


@dataclass(frozen=True, eq=False)
class DPoPKey:
    """A key pair, and the algorithm it signs with. `DPoPKey.generate()`, or `DPoPKey.load(path)`."""

    alg: str
    private_key: Key = field(repr=False)

    @classmethod
    def generate(cls, alg: str = "ES256") -> "DPoPKey":
        """A fresh key: ES256, ES384, EdDSA (or by its newer name Ed25519), RS256 or PS256."""
        kind = ALGORITHMS.get(alg)
        if kind is None:
            raise ValueError(f"no DPoP key for {alg!r}; one of {', '.join(ALGORITHMS)}")
        if isinstance(kind, int):
            return cls(alg, RSAKey.generate_key(kind))
        return cls(alg, OKPKey.generate_key("Ed25519") if kind == "Ed25519" else ECKey.generate_key(kind))

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "DPoPKey":
        """The key that `save` put there.

        Raises:
            UnsafeFile: others can read the file, it is a link, or there is no key in it that signs.
            FileNotFoundError: there is no such file.
        """
        place = Path(path)
        try:
            return cls._from_jwk(parse_object(read_private(place)))
        except (Malformed, JoseError, ValueError, TypeError, KeyError):
            # Nothing of what was read is repeated, and no cause is named: it would have the key in it.
            raise UnsafeFile(f"{place} has no private key for DPoP in it (a JWK with alg)") from None

    def save(self, path: str | PathLike[str]) -> None:
        """Write the key, as a JWK, into a file that only its owner can read. What was there before is replaced."""
        write_private(Path(path), json.dumps({**self.private_key.as_dict(private=True), "alg": self.alg}).encode())

    @property
    def public_jwk(self) -> dict[str, object]:
        """The public half as a JWK, required members only (RFC 9449 4.2)."""
        members = self.private_key.as_dict(private=False)
        return {name: value for name, value in members.items() if name in _OWN_MEMBERS}

    @property
    def thumbprint(self) -> str:
        """The RFC 7638 thumbprint, SHA-256: what `cnf.jkt` is in tokens that are bound to this key."""
        return self.private_key.thumbprint()

    def proof(
        self,
        method: str,
        url: str,
        *,
        access_token: str | None = None,
        nonce: str | None = None,
        now: float | None = None,
    ) -> str:
        """A fresh proof for one request (RFC 9449 4.2): with an access token it carries its hash, with a nonce the nonce."""
        claims: dict[str, object] = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": without_query(url),
            "iat": int(time.time() if now is None else now),
        }
        if access_token is not None:
            claims["ath"] = encode_segment(hashlib.sha256(access_token.encode()).digest())
        if nonce is not None:
            claims["nonce"] = nonce
        header: dict[str, object] = {"typ": "dpop+jwt", "alg": self.alg, "jwk": self.public_jwk}
        signing_input = f"{_segment(header)}.{_segment(claims)}"
        # The algorithm's model, as the verifier does: joserfc's own serialisation has a limit that RSA keys do not fit into.
        signature = JWSRegistry.algorithms[self.alg].sign(signing_input.encode("ascii"), self.private_key)
        return f"{signing_input}.{encode_segment(signature)}"

    @classmethod
    def _from_jwk(cls, jwk: dict[str, object]) -> "DPoPKey":
        alg = jwk.get("alg")
        if not isinstance(alg, str) or alg not in ALGORITHMS:
            raise ValueError("no alg, or one that makes no proofs")
        members = {name: value for name, value in jwk.items() if name not in ("alg", "use", "key_ops", "kid")}
        kind = "RSA" if isinstance(ALGORITHMS[alg], int) else "OKP" if ALGORITHMS[alg] == "Ed25519" else "EC"
        if jwk.get("kty") != kind or (kind != "RSA" and jwk.get("crv") != ALGORITHMS[alg]):
            raise ValueError("an alg that does not go with the key")
        key = cls(alg, import_key(members))  # type: ignore[arg-type]
        key.proof("GET", "https://localhost/")  # a public key is found out now, and not at the first request
        return key

    def __repr__(self) -> str:
        return f"DPoPKey({self.alg}, thumbprint={self.thumbprint!r})"


def without_query(url: str) -> str:
    """What `htu` is of a URL: no query, no fragment (RFC 9449 4.2)."""
    return url.partition("#")[0].partition("?")[0]


def _segment(value: dict[str, object]) -> str:
    return encode_segment(json.dumps(value, separators=(",", ":")).encode())
