"""DPoP proofs (RFC 9449): the checks of section 4.3, and the stateless nonces of section 9.

The cheap checks come before the signature, so that a proof for another URI costs no cryptography; whether the proof was
used before is asked by the story, last of all. Nothing here lets a proof pass on fewer checks than 4.3 names.
"""

import hmac
from typing import Any, NamedTuple

from .errors import InvalidDPoPProof, InvalidToken, UseDPoPNonce
from .jose import (
    Malformed,
    UnusableKey,
    VerificationKey,
    decode_segment,
    encode_segment,
    import_public_key,
    is_numeric_date,
    parse_object,
    refuses_critical,
    segments,
)
from .memo import Memo
from .settings import Settings
from .urls import normalise

#: The longest proof: one with a 4096-bit RSA key and a long URI has about 2,500 characters.
MOST_PROOF_BYTES = 8_192
#: Seconds a nonce counts. Long enough for an agent that calls now and then, short beside the hour a token lives.
NONCE_LIFETIME = 300
#: From this age on an answer carries a fresh nonce, so that a client that keeps calling never meets a refusal.
NONCE_RENEWAL = NONCE_LIFETIME // 2
#: Proof headers whose key is kept checked; a client's is always the same. An entry is 1 KB.
KEYS_REMEMBERED = 130_000
#: A header with a 4096-bit RSA key has about 1,000 characters; what is longer has been stuffed to take room.
LONGEST_HEADER_REMEMBERED = 1_200


class Proof(NamedTuple):
    """A proof that passed every check but first use."""

    thumbprint: str
    jti: str
    #: When it stops to count by itself, in seconds since the epoch.
    expires_at: float
    #: Whether the nonce in it is old enough for the answer to carry a fresh one.
    renew_nonce: bool


class Nonces:
    """Nonces that carry their own time, signed: any worker with the secret knows them, none keeps state (RFC 9449 8)."""

    def __init__(self, secrets: tuple[bytes, ...]) -> None:
        self._secrets = secrets

    def issue(self, now: float) -> str:
        """A nonce of this moment."""
        moment = int(now).to_bytes(8)
        return encode_segment(moment + self._seal(self._secrets[0], moment))

    def age(self, nonce: str, now: float) -> float | None:
        """Seconds since it was issued; None when it is not one of ours."""
        try:
            octets = decode_segment(nonce) if nonce.isascii() else b""
        except Malformed:
            return None
        moment, seal = octets[:8], octets[8:]
        if not any(hmac.compare_digest(seal, self._seal(secret, moment)) for secret in self._secrets):
            return None
        return now - int.from_bytes(moment)

    @staticmethod
    def _seal(secret: bytes, moment: bytes) -> bytes:
        return hmac.digest(secret, b"strongdm-auth DPoP-Nonce\0" + moment, "sha256")[:16]


class ProofRules:
    """What proofs must be on this API; built once from the settings."""

    def __init__(self, settings: Settings) -> None:
        self.nonces = Nonces(settings.dpop_nonce_secret) if settings.dpop_nonce == "required" else None
        self._algorithms = frozenset(settings.dpop_algorithms)
        self._max_age = settings.dpop_proof_max_age
        self._leeway = settings.leeway
        #: Thumbprint -> the header segment that its client sends, and what was read from it.
        self._known: Memo[str, tuple[str, str, VerificationKey]] = Memo(KEYS_REMEMBERED)

    def check(
        self,
        proofs: tuple[str, ...],
        *,
        method: str,
        uri: str,
        now: float,
        ath: str | None = None,
        thumbprint: str | None = None,
    ) -> Proof:
        """Check the DPoP field values of one request; the numbers are those of RFC 9449 4.3.

        `uri` is the request's without query and fragment, `ath` the access token's hash and `thumbprint` the key it is
        bound to; both None where no token is presented (a token endpoint).

        Raises:
            InvalidDPoPProof: a check failed.
            UseDPoPNonce: the proof needs a nonce, or a newer one.
            InvalidToken: the proof is by another key than the token's (section 7.1).
        """
        if len(proofs) != 1:  # (1)
            raise InvalidDPoPProof("dpop.repeated" if proofs else "dpop.missing")
        compact = proofs[0].strip(" \t")
        if len(compact) > MOST_PROOF_BYTES:
            raise InvalidDPoPProof("dpop.too_long")
        try:
            header, payload, signature = segments(compact)  # (2)
            known = None if thumbprint is None else self._known.get(thumbprint)
            if known is not None and known[0] == header:
                _, alg, key = known
            else:
                alg, key = self._read_header(header)
            claims = parse_object(decode_segment(payload))
        except Malformed:
            # (1) again: two fields that a server has joined; no proof has a comma in it.
            raise InvalidDPoPProof("dpop.repeated" if "," in compact else "dpop.malformed") from None
        jti, iat = self._check_claims(claims, method, uri, now, ath)
        renew_nonce = self.nonces is not None and self._check_nonce(self.nonces, claims, now)  # (10)
        if thumbprint is not None and key.thumbprint != thumbprint:  # (12)
            raise InvalidToken("token.key_mismatch")
        try:
            octets = decode_segment(signature)
        except Malformed:
            raise InvalidDPoPProof("dpop.repeated" if "," in signature else "dpop.malformed") from None
        if not key.verify(alg, compact[: -len(signature) - 1].encode(), octets):  # (6)
            raise InvalidDPoPProof("dpop.signature")
        if (
            thumbprint is not None
            and (known is None or known[2] is not key)
            and len(header) <= LONGEST_HEADER_REMEMBERED
        ):
            # Only now, and one for each key: who has no token that is bound to the key cannot fill the memo, nor who has one.
            self._known.put(thumbprint, (header, alg, key))
        return Proof(key.thumbprint, jti, iat + self._max_age, renew_nonce)

    def _read_header(self, segment: str) -> tuple[str, VerificationKey]:
        header = parse_object(decode_segment(segment))
        if header.get("typ") != "dpop+jwt":  # (4)
            raise InvalidDPoPProof("dpop.typ")
        if refuses_critical(header):
            raise InvalidDPoPProof("dpop.malformed")
        alg = header.get("alg")
        if not isinstance(alg, str) or alg not in self._algorithms:  # (5)
            raise InvalidDPoPProof("dpop.algorithm")
        jwk = header.get("jwk")
        try:
            # `use`, `key_ops` and `alg` say how others should use the key; the proof itself says how it was used here.
            key = import_public_key(
                {**jwk, "use": "sig", "key_ops": ["verify"], "alg": None} if isinstance(jwk, dict) else jwk
            )
        except UnusableKey:  # (7), also for what is no key at all
            raise InvalidDPoPProof("dpop.key") from None
        if not key.fits(alg):
            raise InvalidDPoPProof("dpop.algorithm")
        return alg, key

    def _check_claims(
        self, claims: dict[str, Any], method: str, uri: str, now: float, ath: str | None
    ) -> tuple[str, float]:
        jti, htm, htu, iat = claims.get("jti"), claims.get("htm"), claims.get("htu"), claims.get("iat")
        if not (isinstance(jti, str) and jti and isinstance(htm, str) and isinstance(htu, str)):  # (3)
            raise InvalidDPoPProof("dpop.claims")
        if type(iat) is not int and not is_numeric_date(iat):
            raise InvalidDPoPProof("dpop.claims")
        if htm != method:  # (8)
            raise InvalidDPoPProof("dpop.htm_mismatch")
        if htu != uri or not uri:  # (9): equal as they stand, or else after RFC 3986 6.2.2 and 6.2.3
            normalised = normalise(htu)
            if normalised is None or normalised != normalise(uri):
                raise InvalidDPoPProof("dpop.htu_mismatch")
        if iat < now - self._max_age:  # (11)
            raise InvalidDPoPProof("dpop.expired")
        if iat > now + self._leeway:
            raise InvalidDPoPProof("dpop.not_yet_valid")
        if ath is not None and claims.get("ath") != ath:  # (12)
            raise InvalidDPoPProof("dpop.ath_mismatch" if "ath" in claims else "dpop.claims")
        return jti, iat

    def _check_nonce(self, nonces: Nonces, claims: dict[str, Any], now: float) -> bool:
        nonce = claims.get("nonce")
        if not isinstance(nonce, str):
            raise UseDPoPNonce("dpop.nonce_missing")
        age = nonces.age(nonce, now)
        if age is None or not -self._leeway <= age <= NONCE_LIFETIME:
            raise UseDPoPNonce("dpop.nonce_stale")
        return age >= NONCE_RENEWAL
