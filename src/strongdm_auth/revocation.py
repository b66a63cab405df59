"""What was revoked before its time, and how the workers of one API tell each other.

A revocation is of one token, or of whatever was issued to a subject, a client, a key or a session up to some time.

A worker that is told of a revocation refuses the token at once, and puts it on a list in the store that the workers share,
where there is one. Each worker has the list brought up to date four times a second, beside a request; one that was idle for
a second waits for it. While the store is away, what is known goes on to count and tokens are let in: to make every request
depend on the issuer's or a store's word is what `introspection="always"` is for.
"""

import hashlib
import math
import threading
from collections.abc import Awaitable, Iterable, Sequence
from typing import Protocol

from .forks import renew_after_fork
from .jose import Malformed, decode_segment, encode_segment, parse_object, split
from .keys import Flight
from .replay import ReplayStore

#: Seconds after which a request has the list brought up to date, without waiting for it.
LIST_AGE = 0.25
#: From this age on it waits: the worker was idle, and a token may have been revoked meanwhile.
LIST_TOO_OLD = 1.0
#: Seconds between two tries while the store is away.
PAUSE = 5.0
#: Seconds for which what was issued to somebody stays ended: longer than access tokens live. An entry's `until` lies so
#: much after the time up to which it counts, so that one number tells both.
ENDED_FOR = 30 * 86_400.0
#: Seconds after which a reading that has not ended is taken for lost.
_LOST_AFTER = 10.0
#: Revocations known at once; more are refused, never dropped: what is dropped would let a revoked token back in. 15 MB.
MOST_REVOCATIONS = 100_000

#: The octets of s, and the order of the group it counts in (FIPS 186-5, SEC 2).
_ORDERS = {
    "ES256": (32, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551),
    "ES384": (48, int("F" * 48 + "C7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16)),
    "ES512": (66, int("01" + "F" * 65 + "A51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409", 16)),
    "ES256K": (32, 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141),
}
#: What was revoked, as a hash, and until when that matters, in seconds since the epoch.
Revocation = tuple[bytes, float]


class SharedStore(ReplayStore, Protocol):
    """A replay store that can do more. Asynchronous ones give awaitables; what they raise means that they are away."""

    def recall(self, name: bytes) -> bytes | Awaitable[bytes | None] | None:
        """What was kept under this name, while it lasts."""
        ...

    def keep(self, name: bytes, value: bytes, seconds: float, replace: bool) -> Awaitable[None] | None:
        """Keep a value for some seconds; without `replace`, only where none is kept yet."""
        ...

    def revoke(self, hashes: Sequence[bytes], until: float, now: float) -> bool | Awaitable[bool]:
        """Tell all workers; False when there are `MOST_REVOCATIONS` already."""
        ...

    def revoked(self, position: str) -> tuple[str, Sequence[Revocation]] | Awaitable[tuple[str, Sequence[Revocation]]]:
        """What was revoked since `position` ("" is the beginning), and the new position. Nothing when all was told."""
        ...


#: The methods that make a store one that workers share.
OPERATIONS = ("recall", "keep", "revoke", "revoked")


def name_of(kind: str, issuer: str, value: str) -> bytes:
    """What those are listed by who are not one token: an identifier of an issuer's ("id"), a key ("jkt"), and so on.

    No token's hash is like it: that is of a text that begins with a scheme.
    """
    return hashlib.sha256(f"{kind}\n{issuer}\n{value}".encode("utf-8", "surrogatepass")).digest()


class Revocations:
    """What was revoked before its time, by hash; and how old the knowledge of it is, where workers share it."""

    def __init__(self, *, shared: bool) -> None:
        self.shared = shared
        #: How far the shared list was read; the store's own words.
        self.position = ""
        self._lock = threading.Lock()
        #: Hash -> until when it matters. Look there first; it is empty nearly always.
        self.until: dict[bytes, float] = {}
        #: Grows with what is known: a verdict that was held against an older state has to be held against this one.
        self.generation = 0
        self._asked_at = self._learned_at = -math.inf
        self._failed = self._given_up = False
        self._flight: Flight | None = None
        self._sweep_at = 1_000
        renew_after_fork(self)

    def after_fork(self) -> None:
        """See `forks`."""
        self._lock = threading.Lock()
        if self._flight is not None:
            self._flight, self._asked_at = None, -math.inf

    def __len__(self) -> int:
        return len(self.until)

    def due(self, now: float) -> bool:
        """Whether a request has to do with the list: bring it up to date, or wait for who does."""
        if not self.shared:
            return False
        interval = PAUSE if self._failed else LIST_AGE
        return not 0 <= now - self._asked_at < interval or (self._flight is not None and self.must_wait(now))

    def begin(self, now: float) -> Flight | None:
        """Leave to bring it up to date, for the caller alone, who must `end` it."""
        with self._lock:
            interval = PAUSE if self._failed else LIST_AGE
            if self._under_way(now) is not None or 0 <= now - self._asked_at < interval:
                return None
            self._asked_at = now
            self._flight = Flight(0, now)
            return self._flight

    def join(self, now: float) -> Flight | None:
        """The reading under way, for who must wait for it; None where nobody need."""
        return self._under_way(now) if self.must_wait(now) else None

    def end(self, flight: Flight) -> None:
        """The reading is over. One that was given up (its request was cancelled, its loop ended) is begun anew, and awaited."""
        with self._lock:
            self._given_up = not flight.settled
            if self._given_up:
                self._asked_at = -math.inf
            if self._flight is flight:
                self._flight = None
        flight.landed.set_result(None)

    def must_wait(self, now: float) -> bool:
        """Whether requests have to wait for the news. Not for a store that is away: that may take long."""
        return not self._failed and (self._given_up or not 0 <= now - self._learned_at < LIST_TOO_OLD)

    def _under_way(self, now: float) -> Flight | None:
        flight = self._flight
        return flight if flight is not None and abs(now - flight.begun_at) < _LOST_AFTER else None

    def add(self, hashes: Iterable[bytes], until: float, now: float) -> bool:
        """Revoke these from now on; False when there are too many already."""
        with self._lock:
            self._drop_what_is_over(now)
            if len(self.until) >= MOST_REVOCATIONS:
                return False
            for digest in hashes:
                self.until[digest] = max(until, self.until.get(digest, until))
            self.generation += 1
            return True

    def cover(self, names: Iterable[bytes], issued_at: float | None) -> bool:
        """Whether one of these names was ended at `issued_at` or later. What does not say when it was issued is."""
        for name in names:
            until = self.until.get(name)
            if until is not None and (issued_at is None or issued_at <= until - ENDED_FOR):
                return True
        return False

    def learn(self, position: str, found: Sequence[Revocation], now: float) -> bool:
        """What is new on the shared list; nothing, when all was read. Returns whether to ask for more.

        What was known stays: a store that forgot revives no token.
        """
        with self._lock:
            self.position = position
            for digest, until in found:
                if len(self.until) < 2 * MOST_REVOCATIONS:  # their bound and ours: an honest store never comes here
                    self.until[digest] = max(until, self.until.get(digest, until))
            self._drop_what_is_over(now)
            if found:
                self.generation += 1
            else:
                self._learned_at, self._failed = now, False
            return bool(found)

    def failed(self) -> None:
        """The store could not be asked; what is known goes on to count."""
        self._failed = True

    def _drop_what_is_over(self, now: float) -> None:
        if len(self.until) >= self._sweep_at:
            self.until = {digest: until for digest, until in self.until.items() if until > now}
            self._sweep_at = max(1_000, min(2 * len(self.until), MOST_REVOCATIONS))


def spellings(token: str) -> tuple[str, ...]:
    """Every compact JWS that says the same with a signature that holds as well: of an ECDSA one there is a second.

    Where (r, s) holds, (r, n - s) does: whoever has the token can make the other. Ed25519 and RSA have no such twin.
    """
    try:
        header, payload, signature = split(token)
        octets = decode_segment(signature)
        size, order = _ORDERS[parse_object(decode_segment(header))["alg"]]
    except (Malformed, KeyError, TypeError):
        return (token,)
    s = int.from_bytes(octets[size:])
    if len(octets) != 2 * size or not 0 < s < order:
        return (token,)
    return token, f"{header}.{payload}.{encode_segment(octets[:size] + (order - s).to_bytes(size))}"
