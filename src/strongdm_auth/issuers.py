"""Which issuers are ours, and where their keys are: base and realms, told apart before anything is fetched.

An `iss` is compared code point by code point (RFC 9068 4, OIDC Discovery 4.3). Where any realm is let in, the realm's
name must be one plain path segment, so that no `iss` steers a fetch elsewhere (RFC 8725 3.10), and strangers' invented
realms share a small budget: they cannot push out realms that were proven real, nor make more than a few fetches.
"""

import threading
from collections.abc import Mapping

from cachetools import LRUCache

from .fields import REALM_NAME
from .forks import renew_after_fork
from .keys import IssuerKeys
from .settings import Settings
from .urls import fetch_problem

#: Realms with proven keys kept at once, where any realm is let in. A set is about 10 KB.
MOST_REALMS = 1_000
#: Realms kept that never had keys: only so that the next token of one does not fetch again.
MOST_UNPROVEN_REALMS = 256
#: Fetches for realms that turn out to be invented, per `jwks_cooldown`; one that turns out to be real is not counted.
UNPROVEN_FETCHES = 4

DISCOVERY = "/.well-known/openid-configuration"


class WrongDiscovery(ValueError):
    """The discovery document is not this issuer's, or names a place that must not be asked."""


def discovery_url(issuer: str) -> str:
    """OIDC Discovery 4: below the issuer, a slash at its end dropped."""
    return issuer.removesuffix("/") + DISCOVERY


def endpoint(issuer: str, name: str) -> str:
    """StrongDM ID's own place for `jwks` and `introspect`, for issuers without a discovery document."""
    return f"{issuer.removesuffix('/')}/{name}"


def read_discovery(document: Mapping[str, object], issuer: str, member: str, *, allow_http: bool) -> str | None:
    """The URL `member` of an issuer's discovery document; None where it names none.

    Raises:
        WrongDiscovery: `issuer` in it is another one (OIDC Discovery 4.3: mix-up), or the URL must not be fetched. Plain
            http is for loopback, and only where the issuer itself is plain http.
    """
    if document.get("issuer") != issuer:
        raise WrongDiscovery("its issuer is another one")
    url = document.get(member)
    if url is None:
        return None
    if not isinstance(url, str):
        raise WrongDiscovery(f"its {member} is not a string")
    if problem := fetch_problem(url, allow_http=allow_http):
        raise WrongDiscovery(f"its {member} {problem}")
    if url.startswith("http:") and not issuer.startswith("http:"):
        raise WrongDiscovery(f"its {member} is plain http though the issuer is https")
    return url


class Issuers:
    """The issuers let in, each with its own keys, never shared (RFC 8725 3.8)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._prefix = settings.issuer.removesuffix("/") + "/realms/"
        self._lock = threading.Lock()
        self._fixed: dict[str, IssuerKeys] = {}
        self._any_realm = False
        if settings.realm is not None:
            self._fix(settings.issuer, settings.realm)
        elif settings.realms is None or settings.realms == "*":
            self._fix(settings.issuer, None)
            self._any_realm = True
        else:
            for realm in sorted(settings.realms):
                self._fix(self._prefix + realm, realm)
        #: Trust domain -> its bundle. Apart from the issuers, whose keys sign access tokens: neither stands in for the other.
        self._bundles = {
            domain: self._make(f"spiffe://{domain}", None, bundle_url=url)
            for domain, url in settings.trust_domains.items()
        }
        self._proven: LRUCache[str, IssuerKeys] = LRUCache(MOST_REALMS)
        self._unproven: LRUCache[str, IssuerKeys] = LRUCache(MOST_UNPROVEN_REALMS)
        self._budget = float(UNPROVEN_FETCHES)
        self._budget_at = 0.0
        renew_after_fork(self)

    def after_fork(self) -> None:
        """See `forks`."""
        self._lock = threading.Lock()
        for known in (self._fixed, self._bundles, self._proven, self._unproven):
            for keys in known.values():
                keys.after_fork()

    def find(self, issuer: object) -> IssuerKeys | None:
        """The keys of an issuer that is let in; None for any other. Fetches nothing, and decides before anything does."""
        if not isinstance(issuer, str):
            return None
        fixed = self._fixed.get(issuer)
        if fixed is not None or not self._any_realm:
            return fixed
        realm = issuer.removeprefix(self._prefix)
        if realm is issuer or realm == issuer or not REALM_NAME.fullmatch(realm) or ".." in realm:
            return None
        with self._lock:
            keys = self._proven.get(issuer) or self._unproven.get(issuer)
            if keys is None:
                keys = self._unproven[issuer] = self._make(issuer, realm)
            return keys

    def bundle(self, trust_domain: str) -> IssuerKeys | None:
        """The keys of a trust domain that is let in; None for any other."""
        return self._bundles.get(trust_domain)

    def invented(self, keys: IssuerKeys) -> bool:
        """Whether these keys belong to a realm that only a token, and so far no answer of the issuer's, speaks of."""
        return keys.bundle_url is None and keys.issuer not in self._fixed and keys.issuer not in self._proven

    def take_from_budget(self, now: float) -> float:
        """Leave to fetch for an invented realm: 0, or the seconds until there is some again."""
        with self._lock:
            a_unit = self._settings.jwks_cooldown / UNPROVEN_FETCHES
            elapsed, self._budget_at = now - self._budget_at, now
            if a_unit == 0 or elapsed < 0:  # no limit; or the clock was set back, which shuts no door
                return 0.0
            self._budget = min(float(UNPROVEN_FETCHES), self._budget + elapsed / a_unit)
            if self._budget < 1:
                return (1 - self._budget) * a_unit
            self._budget -= 1
            return 0.0

    def proven(self, keys: IssuerKeys) -> None:
        """An invented realm turned out to be real: it is kept among its like.

        When they are too many, the one gives way whose tokens were verified longest ago (remembered ones do not count).
        """
        with self._lock:
            if keys.bundle_url is not None or keys.issuer in self._fixed or keys.issuer in self._proven:
                return
            self._unproven.pop(keys.issuer, None)
            self._budget += 1  # a real realm costs the others nothing: after a restart all of them come at once
            if len(self._proven) >= MOST_REALMS:
                self._proven.popitem()[1].retire()
            self._proven[keys.issuer] = keys

    def __len__(self) -> int:
        return len(self._fixed) + len(self._proven) + len(self._unproven)

    def _fix(self, issuer: str, realm: str | None) -> None:
        self._fixed[issuer] = self._make(issuer, realm)

    def _make(self, issuer: str, realm: str | None, *, bundle_url: str | None = None) -> IssuerKeys:
        settings = self._settings
        return IssuerKeys(
            issuer,
            realm,
            max_age=settings.jwks_max_age,
            stale=settings.jwks_stale,
            cooldown=settings.jwks_cooldown,
            bundle_url=bundle_url,
            flight_time=2 * settings.http_timeout + 1,  # discovery, then keys, and a second for all else
        )
