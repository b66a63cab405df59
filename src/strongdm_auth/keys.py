"""One issuer's keys, as a state machine: find, refresh_due, may_fetch, begin, learn, failed. No clock, no network.

    absent ──begin──▶ fetching ──learn──▶ fresh ──jwks_max_age──▶ ageing ──jwks_stale──▶ absent
                          └──failed──▶ (what it was, and no attempt for jwks_cooldown)

Fresh and ageing keys serve without a wait; ageing ones are refreshed in the background. A token may force one fetch a
cooldown (an unknown `kid`, a signature that fails): at once the first time, failures count too. One flight at a time: who
comes while it is under way waits for it or goes on without. A lock is held for dictionary work only.
"""

import math
import threading
from collections.abc import Mapping
from concurrent.futures import Future

from .jose import UnusableKey, VerificationKey, import_public_key

#: A key set larger than this is refused: nobody publishes more, and each key costs an import.
MOST_KEYS = 100
#: Keys tried for one token at the most: several may share a `kid`, or a token may name none. Each try is a signature check.
MOST_CANDIDATES = 4
#: A request's time may be this much older than that of the set it meets: it was read before the set was learned.
CLOCK_JITTER = 60.0
#: Requests that may wait for one flight; more are told to come back (503), so that a hanging issuer cannot tie up a server.
MOST_WAITING = 128


class UnusableKeySet(ValueError):
    """Not a key set, too many keys, or none that can be used."""


def read_key_set(document: Mapping[str, object]) -> list[VerificationKey]:
    """The usable keys of a JWK set (RFC 7517 5); others are skipped. Raises UnusableKeySet where none is left."""
    keys = _usable(_members(document))
    if not keys:
        raise UnusableKeySet("no usable key")
    return keys


def read_trust_bundle(document: Mapping[str, object]) -> list[VerificationKey]:
    """The keys of JWT-SVIDs in a trust bundle (SPIFFE JWT-SVID 6.2): those of use `jwt-svid` that have a `kid`, and no other.

    There may be none: then the trust domain vouches for nobody now. Raises UnusableKeySet where it is no bundle.
    """
    return _usable(
        [
            {**member, "use": "sig"}
            for member in _members(document)
            if isinstance(member, dict) and member.get("use") == "jwt-svid" and _names_itself(member)
        ]
    )


def _names_itself(member: Mapping[str, object]) -> bool:
    kid = member.get("kid")
    return isinstance(kid, str) and kid != ""


def _members(document: Mapping[str, object]) -> list[object]:
    members = document.get("keys")
    if not isinstance(members, list):
        raise UnusableKeySet("no list of keys")
    if len(members) > MOST_KEYS:
        raise UnusableKeySet(f"more than {MOST_KEYS} keys")
    return members


def _usable(members: list[object]) -> list[VerificationKey]:
    keys: list[VerificationKey] = []
    for member in members:
        try:
            keys.append(import_public_key(member))
        except UnusableKey:
            continue
    return keys


class Flight:
    """One fetch under way. Whoever began it must end it; others may wait for `landed`, from any thread or event loop."""

    __slots__ = ("begun_at", "forced", "landed", "sequence", "settled", "waiting")

    def __init__(self, sequence: int, begun_at: float, *, forced: bool = False) -> None:
        self.landed: Future[None] = Future()
        self.sequence = sequence
        self.begun_at = begun_at
        #: Whether a token was the reason, and not the keys' age.
        self.forced = forced
        #: Whether it came back, with a set or with nothing; one that ends otherwise was given up by who began it.
        self.settled = False
        self.waiting = 0


class IssuerKeys:
    """The key set of one issuer and what is known of how fresh it is. Times are seconds, as the caller tells them."""

    def __init__(
        self,
        issuer: str,
        realm: str | None,
        *,
        max_age: float,
        stale: float,
        cooldown: float,
        flight_time: float,
        bundle_url: str | None = None,
    ) -> None:
        self.issuer = issuer
        self.realm = realm
        #: Where the keys are, when they are those of a SPIFFE trust domain; None where the issuer's own document tells.
        self.bundle_url = bundle_url
        #: Where the keys were last found; asked first when a token forces a fetch.
        self.jwks_uri: str | None = None
        self._max_age, self._stale, self._cooldown, self._flight_time = max_age, stale, cooldown, flight_time
        self._lock = threading.Lock()
        self._keys: tuple[VerificationKey, ...] = ()
        #: What a header may name, worked out once a set: a `kid` (or none) and an algorithm -> the keys to try.
        self._fitting: dict[tuple[str | None, str], tuple[VerificationKey, ...]] = {}
        self._flight: Flight | None = None
        self._sequence = 0
        self._learned = 0
        self._failed_at = self._forced_at = self._learned_at = -math.inf
        #: Whether the last refresh was given up; the next one is then not left to the background.
        self.given_up = False
        #: Whether the issuer itself said, last, that it knows no such realm.
        self.unknown_to_issuer = False

    def __repr__(self) -> str:
        return f"<IssuerKeys {self.issuer} keys={len(self._keys)}>"

    @property
    def fetches(self) -> int:
        """Which flight the present keys came from: grows with each set learned."""
        return self._learned

    def usable(self, now: float) -> bool:
        """Whether the keys may serve: fetched, and not past jwks_max_age + jwks_stale."""
        return now - self._learned_at < self._max_age + self._stale

    def fresh(self, now: float) -> bool:
        """Whether they need no refresh: not past jwks_max_age, nor from a future that a clock was set back from."""
        return -CLOCK_JITTER <= now - self._learned_at < self._max_age

    def find(self, kid: str | None, alg: str) -> tuple[VerificationKey, ...]:
        """The keys a token with this header may be signed with, `MOST_CANDIDATES` at the most.

        A token without `kid` gets those that fit its algorithm, unless they are too many to try.
        """
        found = self._fitting.get((kid, alg), ())
        return found if kid is not None or len(found) <= MOST_CANDIDATES else ()

    def signed_by(self, kid: str | None, alg: str, signing_input: bytes, signature: bytes) -> VerificationKey | None:
        """The key that made this signature; None when no key here did."""
        for key in self.find(kid, alg):
            if key.verify(alg, signing_input, signature):
                return key
        return None

    def read(self, document: Mapping[str, object]) -> list[VerificationKey]:
        """The keys in what was fetched. Raises UnusableKeySet."""
        return read_key_set(document) if self.bundle_url is None else read_trust_bundle(document)

    def wait_after_failure(self, now: float) -> float:
        """Seconds for which the last failure still forbids an attempt; 0 when one may be made."""
        return _remaining(self._failed_at, self._cooldown, now)

    def begin(self, now: float, *, forced: bool) -> Flight | None:
        """The right to fetch, for the caller alone; None when a flight is under way or the cooldown forbids one.

        `forced`: because of a token, not of the keys' age.
        """
        with self._lock:
            if self._flight_under_way(now) is not None or self._forbidden(now, forced=forced):
                return None
            if forced:
                self._forced_at = now
            self._sequence += 1
            self._flight = Flight(self._sequence, now, forced=forced)
            return self._flight

    def join(self, now: float) -> Flight | None:
        """The flight under way, counted as waited for; None when there is none, or too many wait already."""
        with self._lock:
            flight = self._flight_under_way(now)
            if flight is None or flight.waiting >= MOST_WAITING:
                return None
            flight.waiting += 1
            return flight

    def fetching(self, now: float) -> bool:
        """Whether a flight is under way."""
        return self._flight_under_way(now) is not None

    def final(self, now: float) -> bool:
        """Whether no token can have newer keys at this time: none are being fetched, and the cooldown forbids to."""
        return self._flight_under_way(now) is None and self._forbidden(now, forced=True)

    def learn(self, flight: Flight, keys: list[VerificationKey], jwks_uri: str, now: float) -> bool:
        """The flight came back with a set. Keys that stay keep their identity; keys that left are marked as not live.

        An older flight's set never replaces a newer one's. Returns whether the set changed.
        """
        with self._lock:
            if flight.sequence < self._learned:
                return False
            self._learned = flight.sequence
            kept: list[VerificationKey] = []
            for key in keys[:MOST_KEYS]:
                kept.append(next((known for known in self._keys if known.same_as(key)), key))
            for known in self._keys:
                if known not in kept:
                    known.live = False
            changed = set(kept) != set(self._keys)
            self._keys, self._fitting, self.jwks_uri = tuple(kept), _by_header(kept), jwks_uri
            self._learned_at, self._failed_at = now, -math.inf
            flight.settled, self.unknown_to_issuer = True, False
            return changed

    def failed(self, flight: Flight, now: float, *, unknown_to_issuer: bool = False) -> None:
        """The flight came back with nothing. What was there keeps serving; the next attempt waits for the cooldown."""
        with self._lock:
            flight.settled = True
            if flight.sequence > self._learned:
                self._failed_at, self.unknown_to_issuer = now, unknown_to_issuer

    def end(self, flight: Flight) -> None:
        """The flight is over, however it went: those who waited look again."""
        with self._lock:
            self.given_up = not flight.settled
            if self._flight is flight:
                self._flight = None
                if flight.forced and not flight.settled:  # it found nothing out: the next token may look
                    self._forced_at = -math.inf
        if not flight.landed.done():
            flight.landed.set_result(None)

    def retire(self) -> None:
        """This set is given up: no verdict may rest on its keys any more."""
        with self._lock:
            for key in self._keys:
                key.live = False
            self._keys, self._fitting, self._learned_at = (), {}, -math.inf

    def after_fork(self) -> None:
        """See `forks`."""
        self._lock = threading.Lock()
        if self._flight is not None:
            if self._flight.forced:
                self._forced_at = -math.inf
            self._flight = None

    def _forbidden(self, now: float, *, forced: bool) -> bool:
        """Whether the cooldown forbids to begin a flight: after a failure, and after one that a token forced another such."""
        return self.wait_after_failure(now) > 0 or (forced and _remaining(self._forced_at, self._cooldown, now) > 0)

    def _flight_under_way(self, now: float) -> Flight | None:
        flight = self._flight
        # After its time it is taken for lost, and another may begin; also if the clock was set back.
        return flight if flight is not None and abs(now - flight.begun_at) < self._flight_time else None


def _by_header(keys: list[VerificationKey]) -> dict[tuple[str | None, str], tuple[VerificationKey, ...]]:
    """The keys for each `kid` and algorithm, at most `MOST_CANDIDATES`; all of an algorithm's, and one more, for no `kid`."""
    found: dict[tuple[str | None, str], list[VerificationKey]] = {}
    for key in keys:
        for alg in key.algorithms:
            if key.kid is not None:
                found.setdefault((key.kid, alg), []).append(key)
            found.setdefault((None, alg), []).append(key)
    return {(kid, alg): tuple(fitting[: MOST_CANDIDATES + (kid is None)]) for (kid, alg), fitting in found.items()}


def _remaining(since: float, duration: float, now: float) -> float:
    """Seconds of `duration` that are left; 0 also when the clock was set back, lest it stay shut for that long."""
    elapsed = now - since
    return duration - elapsed if 0 <= elapsed < duration else 0.0
