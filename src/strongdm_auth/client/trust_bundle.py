"""The keys that JWT-SVIDs are checked with (SPIFFE Trust Domain and Bundle 4), fetched now and then and kept."""

import threading
from typing import Any

from strongdm_auth.forks import renew_after_fork
from strongdm_auth.jose import is_numeric_date

from .errors import TokenRequestFailed, invalid_answer
from .issuer import IssuerSide
from .network import Call, Story
from .tokens import json_object

#: Seconds between two fetches where the bundle does not say itself (`spiffe_refresh_hint`): 4.1.2 recommends five minutes.
BUNDLE_AGE = 300.0
#: The least and the most that it may say: it must not make us ask all the time, nor keep a withdrawn key for long.
_SHORTEST_AGE, _LONGEST_AGE = 10.0, 3600.0


class TrustBundle:
    """The bundle of one issuer's trust domain."""

    def __init__(self, side: IssuerSide) -> None:
        self._side = side
        self._lock = threading.Lock()
        #: When it was fetched, what it was, and when to fetch the next.
        self._known: tuple[float, dict[str, Any], float] | None = None
        renew_after_fork(self)

    def after_fork(self) -> None:
        """See `forks`."""
        self._lock = threading.Lock()

    def story(self) -> Story[dict[str, Any]]:
        """The bundle, held or new. While the issuer is away, the last one, until it is an hour old."""
        with self._lock:
            known = self._known
        now = self._side.network.clock()
        if known is not None and known[0] <= now < known[2]:
            return known[1]
        may_serve = known is not None and 0 <= now - known[0] < _LONGEST_AGE
        try:
            bundle = yield from self._fetch(patience=0.0 if may_serve else None)
        except TokenRequestFailed:
            if known is None or not may_serve:
                raise
            self._keep(known[0], known[1], now + _SHORTEST_AGE)
            return known[1]
        self._keep(now, bundle, now + _age_of(bundle))
        return bundle

    def _fetch(self, *, patience: float | None) -> Story[dict[str, Any]]:
        url = f"{self._side.issuer.removesuffix('/')}/.well-known/spiffe-trust-bundle"
        reply = yield from self._side.ask(lambda: Call("GET", url), patience=patience)
        if reply.status != 200:
            raise self._side.refused(reply)
        bundle = json_object(reply)
        if not isinstance(bundle.get("keys"), list):
            invalid_answer("no keys in the trust bundle")
        return bundle

    def _keep(self, fetched_at: float, bundle: dict[str, Any], fetch_at: float) -> None:
        with self._lock:
            self._known = (fetched_at, bundle, fetch_at)


def _age_of(bundle: dict[str, Any]) -> float:
    hint = bundle.get("spiffe_refresh_hint")
    return min(max(float(hint), _SHORTEST_AGE), _LONGEST_AGE) if is_numeric_date(hint) else BUNDLE_AGE
