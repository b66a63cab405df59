"""How an issuer's keys come: the part of the story that fetches, waits for who fetches, and judges what came back."""

import logging
from typing import Literal

from .errors import InvalidToken, Refused, TemporarilyUnavailable
from .issuers import Issuers, WrongDiscovery, discovery_url, endpoint, read_discovery
from .jose import Malformed, VerificationKey, decode_segment, parse_object
from .keys import Flight, IssuerKeys, UnusableKeySet
from .needs import Background, Fetch, Join, Reply, Story, Unreachable
from .settings import Settings

#: Statuses by which an issuer says that there is no such document, and not that something is wrong (RFC 9110 15.5).
_NO_SUCH_DOCUMENT = frozenset({404, 410})

_log = logging.getLogger("strongdm_auth.keys")


class KeyFetching:
    """Sees to it that keys are there. Stories, to be told as part of a greater one."""

    def __init__(self, settings: Settings, issuers: Issuers) -> None:
        self._settings, self._issuers = settings, issuers

    def have(self, keys: IssuerKeys, now: float) -> Story[float]:
        """See to it that the issuer's keys may serve; wait only when there are none. Returns the time.

        Raises:
            TemporarilyUnavailable: there are none, and they cannot be had.
        """
        if keys.fresh(now):
            return now
        if keys.usable(now):
            given_up = keys.given_up  # as where each request has an event loop of its own, and tasks end with it
            if keys.wait_after_failure(now) == 0 and (flight := keys.begin(now, forced=False)):
                yield Background(self._refresh(keys, flight, now))
                if given_up:
                    now = yield Join(flight)
            return now
        # Again and again: who began the flight that was joined may have given up; then another may begin, perhaps this
        # request. Each turn waits for a flight, and one of our own is the last.
        while True:
            if (wait := keys.wait_after_failure(now)) > 0:
                if keys.unknown_to_issuer:
                    raise InvalidToken("token.issuer")
                raise TemporarilyUnavailable("keys.unavailable", retry_after=wait)
            mine = not keys.fetching(now)
            if mine and self._issuers.invented(keys) and (wait := self._issuers.take_from_budget(now)):
                raise TemporarilyUnavailable("keys.busy", retry_after=wait)
            before, (now, _) = now, (yield from self._fetch_or_join(keys, now, forced=False))
            if keys.usable(now):
                return now
            if (mine and keys.wait_after_failure(now) == 0) or now - before > self._settings.http_timeout:
                raise TemporarilyUnavailable("keys.unavailable", retry_after=1)

    def force(self, keys: IssuerKeys, now: float) -> Story[float]:
        """A token needs keys that are not there: fetch once more, if the cooldown allows. Returns the time.

        Raises:
            TemporarilyUnavailable: nobody could find out whether they are there now.
        """
        while True:
            mine = not keys.fetching(now)
            now, flight = yield from self._fetch_or_join(keys, now, forced=True)
            if flight is None or flight.settled:
                return now
            if mine:
                raise TemporarilyUnavailable("keys.unavailable", retry_after=1)

    def signed_by(
        self, keys: IssuerKeys, kid: str | None, alg: str, compact: str, now: float
    ) -> Story[tuple[VerificationKey, float]]:
        """The issuer's key that signed this compact JWS, and the time; what must be fetched for it is.

        Raises:
            Malformed: the signature is not base64url.
            InvalidToken: none did.
            TemporarilyUnavailable: that cannot be told now.
        """
        signing_input, _, signature = compact.rpartition(".")
        signed, octets, before = signing_input.encode(), decode_segment(signature), keys.fetches
        now = yield from self.have(keys, now)
        key = keys.signed_by(kid, alg, signed, octets)
        if key is None and keys.fetches == before and not keys.final(now):  # there may be newer ones than what we have
            now = yield from self.force(keys, now)
            key = keys.signed_by(kid, alg, signed, octets)
        if key is None:
            raise unsigned(keys, kid, alg, now)
        return key, now

    def _fetch_or_join(self, keys: IssuerKeys, now: float, *, forced: bool) -> Story[tuple[float, Flight | None]]:
        """The time after a flight, and that flight; None where none may be begun."""
        flight = keys.begin(now, forced=forced)
        if flight is not None:
            # Beside the request, which may be cancelled: what others wait for belongs to none of them.
            yield Background(self._refresh(keys, flight, now))
        elif keys.fetching(now):
            flight = keys.join(now)
            if flight is None:
                raise TemporarilyUnavailable("keys.busy", retry_after=1)
        else:
            return now, None
        landed_at: float = yield Join(flight)
        return landed_at, flight

    def _refresh(self, keys: IssuerKeys, flight: Flight, now: float) -> Story[float]:
        """Fetch an issuer's keys: discovery, then the set (or where it was last found). Returns the time."""
        since = now
        try:
            try:
                jwks_uri = keys.bundle_url or (keys.jwks_uri if flight.forced else None)
                if jwks_uri is None:
                    jwks_uri, now = yield from discover(self._settings, keys.issuer, "jwks_uri", "jwks")
                purpose: Literal["jwks", "trust_bundle"] = "jwks" if keys.bundle_url is None else "trust_bundle"
                reply: Reply = yield Fetch(purpose, jwks_uri, within=time_left(self._settings, since, now))
                now = reply.at
                if reply.status != 200:
                    raise Unreachable(f"status {reply.status}", status=reply.status)
                found = keys.read(parse_object(reply.body))
            except (Unreachable, Malformed, UnusableKeySet, WrongDiscovery) as fault:
                keys.jwks_uri = None
                unknown = getattr(fault, "status", None) in _NO_SUCH_DOCUMENT and self._issuers.invented(keys)
                keys.failed(flight, now, unknown_to_issuer=unknown)
                _log.warning("keys of %s cannot be had: %s", keys.issuer, fault)
            else:
                if keys.learn(flight, found, jwks_uri, now):
                    _log.info("keys of %s: %d usable", keys.issuer, len(found))
                self._issuers.proven(keys)
        finally:
            keys.end(flight)
        return now


def unsigned(keys: IssuerKeys, kid: str | None, alg: str, now: float) -> Refused:
    """Why a token that none of the newest keys has signed does not count."""
    if keys.find(kid, alg):
        return InvalidToken("token.signature")
    if (wait := keys.wait_after_failure(now)) > 0:  # perhaps a good token with a new key: that cannot be told
        return TemporarilyUnavailable("keys.unavailable", retry_after=wait)
    return InvalidToken("token.key_unknown")


def discover(settings: Settings, issuer: str, member: str, fallback: str) -> Story[tuple[str, float]]:
    """An endpoint from the discovery document; without such a document, StrongDM ID's own place for it."""
    reply: Reply = yield Fetch("discovery", discovery_url(issuer))
    url = None
    if reply.status == 200:
        allow_http = settings.unsafe_allow_http
        url = read_discovery(parse_object(reply.body), issuer, member, allow_http=allow_http)
    elif reply.status not in _NO_SUCH_DOCUMENT:
        raise Unreachable(f"discovery answered with status {reply.status}")
    return url or endpoint(issuer, fallback), reply.at


def time_left(settings: Settings, since: float, now: float) -> float:
    """What is left of `http_timeout`; something always is, lest a clock that jumps make an outage."""
    return max(settings.http_timeout - max(now - since, 0.0), 0.1)
