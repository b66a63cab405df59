"""How Security Event Tokens are received (RFC 8935): judged, told to all workers, and only then acknowledged.

The transmitter repeats what was not acknowledged, so nothing is lost while the store is away; and what it repeats does no more
than the first time. Stories, to be told by the drivers.
"""

import hashlib
import json
import logging
import threading
from collections.abc import Callable

from .asking import Asking
from .challenge import Denial
from .errors import Refused, TemporarilyUnavailable
from .fetching import KeyFetching
from .forks import renew_after_fork
from .issuers import Issuers
from .jose import Malformed, decode_segment, parse_object, segments
from .memo import Memo
from .needs import Story
from .revocation import ENDED_FOR, MOST_REVOCATIONS
from .security_events import MOST_SET_BYTES, Ending, EventRules, Undelivered
from .settings import Settings

#: SETs of which it is known that all workers were told; what is repeated costs a hash.
_REMEMBERED = 10_000
#: Of the endings that can be known at once, by one realm and told to one worker, where any realm is let in: then a realm's
#: owner may be anybody, and a list that is full would shut out the endings of all others.
_SHARE = MOST_REVOCATIONS // 8
#: And of all such realms together, by whichever worker: the rest is for the base issuer, and for `revoke`.
_OF_REALMS = MOST_REVOCATIONS * 3 // 4
_JSON = (("Content-Type", "application/json"), ("Content-Language", "en"), ("Cache-Control", "no-store"))
ACCEPTED = Denial(202, (("Cache-Control", "no-store"),), b"")
WRONG_METHOD = Denial(405, (("Allow", "POST"), ("Cache-Control", "no-store")), b"")

_log = logging.getLogger("strongdm_auth.events")


class Receiver:
    """The endpoint, less the web: one request's media type and body in, an answer out."""

    def __init__(self, settings: Settings, issuers: Issuers, fetching: KeyFetching, asking: Asking) -> None:
        self._rules = EventRules(settings, issuers)
        self._issuers, self._fetching, self._asking = issuers, fetching, asking
        self._cooldown = settings.jwks_cooldown
        self._lock = threading.Lock()
        renew_after_fork(self)
        self._done: Memo[bytes, bool] = Memo(_REMEMBERED)
        #: Whose endings are not counted; None where realms are named, and so known.
        self._base = settings.issuer if settings.realm is None and not isinstance(settings.realms, frozenset) else None
        #: Realm -> how many names it has ended, and when that is forgotten.
        self._shares: Memo[str, tuple[int, float]] = Memo(_REMEMBERED)

    def after_fork(self) -> None:
        """See `forks`."""
        self._lock = threading.Lock()

    def receive(self, media_type: str, body: bytes, now: float, tell: Callable[[str, Ending], None]) -> Story[Denial]:
        """The answer to a POST. `tell` hears of what was accepted for the first time: from whom, and what it comes to."""
        if media_type.partition(";")[0].strip().lower() != "application/secevent+jwt":
            return _problem("invalid_request", "The media type must be application/secevent+jwt")
        if len(body) > MOST_SET_BYTES:
            return _problem("invalid_request", "The SET is too long")
        digest = hashlib.sha256(body).digest()
        if self._done.get(digest):
            return ACCEPTED
        try:
            issuer, ending = yield from self._judge(body, now)
            if ending.names:
                # Counted before anybody is told: on this worker's list they are, whatever the store then says.
                self._count(issuer, ending, now)
                yield from self._asking.end(ending.names, ending.at, now)
        except Malformed:
            return _problem("invalid_request", "The body is not a SET")
        except Undelivered as fault:
            _log.warning("a security event was not accepted: %s", fault)
            return _problem(fault.code, str(fault))
        except TemporarilyUnavailable as fault:
            headers = (*_JSON, ("Retry-After", str(max(1, int(fault.retry_after)))))
            return Denial(503, headers, json.dumps({"err": "temporarily_unavailable"}).encode())
        self._done.put(digest, True)
        tell(issuer, ending)
        return ACCEPTED

    def _count(self, issuer: str, ending: Ending, now: float) -> None:
        """Take from the issuer's share what it has not ended before. Raises TemporarilyUnavailable where there is none left."""
        known = self._asking.revocations
        new = sum(name not in known.until for name in ending.names)
        with self._lock:
            used, until = self._shares.get(issuer) or (0, 0.0)
            if now >= until:
                used, until = 0, now + ENDED_FOR
            full = used + new > _SHARE or len(known) + new > _OF_REALMS
            if new and full and self._base is not None and issuer != self._base:
                raise TemporarilyUnavailable("revocation.unavailable", retry_after=3600)
            self._shares.put(issuer, (used + new, until))

    def _judge(self, body: bytes, now: float) -> Story[tuple[str, Ending]]:
        try:
            compact = body.decode("ascii").strip()
        except UnicodeDecodeError:
            raise Malformed("not ASCII") from None
        header, payload, _ = segments(compact)
        alg, kid = self._rules.check_header(parse_object(decode_segment(header)))
        claims = parse_object(decode_segment(payload))
        keys = self._issuers.find(claims.get("iss"))
        if keys is None:
            raise Undelivered("invalid_issuer", "The SET is from an issuer that is not accepted")
        before = keys.fetches
        try:
            _, now = yield from self._fetching.signed_by(keys, kid, alg, compact, now)
        except TemporarilyUnavailable:
            raise
        except Refused as refusal:
            if refusal.reason == "token.issuer":
                raise Undelivered("invalid_issuer", "The SET is from an issuer that is not accepted") from None
            if keys.fetches == before and (refusal.reason == "token.key_unknown" or kid is None):
                # Perhaps a good one by a new key, for which the cooldown, that any stranger can bring about, forbids to look:
                # a "no" would lose it for good.
                raise TemporarilyUnavailable("keys.unavailable", retry_after=self._cooldown) from None
            raise Undelivered("invalid_key", "The signature of the SET is not by a key of its issuer") from None
        return keys.issuer, self._rules.read(claims, now)


def _problem(code: str, description: str) -> Denial:
    """RFC 8935 2.3."""
    return Denial(400, _JSON, json.dumps({"err": code, "description": description}).encode())
