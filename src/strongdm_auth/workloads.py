"""Workloads and their JWT-SVIDs (SPIFFE JWT-SVID): a way in of its own, for routes that ask for it by name.

An SVID comes from the same issuer as access tokens do, has the same `iss`, and could be taken for one; so neither is ever
looked at as the other. What tells them apart: a route asks for one of them; the keys of SVIDs come from the trust bundle, and
those of access tokens never do; and each has marks that the other must not have.
"""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from .claims import ClaimRules, audience_of
from .errors import InvalidToken, TemporarilyUnavailable
from .fetching import KeyFetching
from .issuers import Issuers
from .jose import Malformed, VerificationKey, decode_segment, parse_object, segments
from .keys import IssuerKeys
from .memo import Memo
from .needs import Story
from .settings import Settings
from .spiffe import trust_domain_of
from .tokens import AccessToken

#: JWT-SVID 2.1: RSA, ECDSA and RSA-PSS with SHA-2, and nothing else.
ALGORITHMS = frozenset(f"{family}{bits}" for family in ("RS", "ES", "PS") for bits in (256, 384, 512))
#: JWT-SVID 2: a header has no other members.
_HEADER_MEMBERS = frozenset({"alg", "kid", "typ"})
#: Claims by which a JWT says that it is something else, or that its bearer has to prove something (RFC 7800).
_NOT_OF_AN_SVID = frozenset({"token_type", "token_use", "typ", "scope", "events", "cnf", "act"})
#: Verified SVIDs kept, so that one is verified once. A workload has one an hour for each audience.
SVIDS_REMEMBERED = 20_000

_log = logging.getLogger("strongdm_auth")


class VerifiedSVID(NamedTuple):
    """An SVID that was verified in full, with what a later request must still look at."""

    token: AccessToken
    keys: IssuerKeys
    key: VerificationKey


class Workloads:
    """Which workload a JWT-SVID speaks for. A story, to be told as part of a greater one."""

    def __init__(self, settings: Settings, issuers: Issuers, fetching: KeyFetching) -> None:
        self._rules = ClaimRules(settings)
        self._issuers, self._fetching = issuers, fetching
        self._configured = bool(settings.audience and settings.trust_domains)
        self._verified: Memo[bytes, VerifiedSVID] = Memo(SVIDS_REMEMBERED)

    def learn(self, compact: str, digest: bytes, now: float) -> Story[AccessToken]:
        """The workload's token, once all about it is good; `digest` is what it is remembered by.

        Raises:
            InvalidToken: it does not count.
            TemporarilyUnavailable: that cannot be told now.
        """
        if not self._configured:
            _log.error(
                "a route asks for SVIDs, which takes the settings audience (SPIFFE makes every workload check it) "
                "and trust_domains"
            )
            raise TemporarilyUnavailable("svid.unconfigured")
        verified = self._verified.get(digest)
        if verified is not None:
            now = yield from self._fetching.have(verified.keys, now)
            if verified.key.live:
                self._rules.check_common(verified.token.claims, now)
                return verified.token
        try:
            verified = yield from self._verify(compact, now)
        except Malformed:
            raise InvalidToken("svid.malformed") from None
        self._verified.put(digest, verified)
        return verified.token

    def known(self, digest: bytes) -> VerifiedSVID | None:
        """An SVID that was verified, while it is remembered."""
        return self._verified.get(digest)

    def _verify(self, compact: str, now: float) -> Story[VerifiedSVID]:
        header, payload, _ = segments(compact)
        alg, kid = self._check_header(parse_object(decode_segment(header)))
        text = decode_segment(payload)
        claims = parse_object(text)
        spiffe_id = claims.get("sub")
        domain = trust_domain_of(spiffe_id) if isinstance(spiffe_id, str) else None
        if domain is None:
            raise InvalidToken("svid.type")
        keys = self._issuers.bundle(domain)  # the domain of `sub` says whose word counts, and `iss` nothing
        if keys is None:
            raise InvalidToken("svid.trust_domain")
        key, now = yield from self._fetching.signed_by(keys, kid, alg, compact, now)
        self._check_claims(claims, now)
        token = AccessToken(
            subject=spiffe_id,
            issuer=keys.issuer,
            audience=audience_of(claims),
            expires_at=claims["exp"],
            issued_at=claims.get("iat"),
            token_id=claims.get("jti"),
            svid=True,
            _payload=text.decode(),
        )
        return VerifiedSVID(token, keys, key)

    def _check_header(self, header: Mapping[str, Any]) -> tuple[str, str | None]:
        alg, kid = header.get("alg"), header.get("kid")
        if not isinstance(alg, str) or alg not in ALGORITHMS:
            raise InvalidToken("svid.algorithm")
        if header.get("typ", "JWT") not in ("JWT", "JOSE"):
            raise InvalidToken("svid.type")
        if not header.keys() <= _HEADER_MEMBERS or not (kid is None or isinstance(kid, str)):
            raise InvalidToken("svid.malformed")
        return alg, kid

    def _check_claims(self, claims: Mapping[str, Any], now: float) -> None:
        if not _NOT_OF_AN_SVID.isdisjoint(claims):
            raise InvalidToken("svid.type")
        if claims.get("exp") is None or not audience_of(claims):  # JWT-SVID 3.2, 3.3
            raise InvalidToken("token.claims")
        self._rules.check_common(claims, now)
        if not self._rules.for_us(claims):
            raise InvalidToken("token.audience")
