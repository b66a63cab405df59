"""Was this proof used before? (RFC 9449 11.1.) What every store promises, and the one in this process's memory.

A store is asked last of all local checks, so that a proof which fails one is not used up. It answers exactly True (first
use) or False; anything else, an exception included, lets nobody in: the request gets a 503.
"""

import hashlib
import threading
from collections.abc import Awaitable
from typing import Protocol

from .forks import renew_after_fork

#: Proofs a window, at the most: at the default one of 90 s, 11,000 a second, sustained. About 100 bytes each, and two
#: windows' worth are kept.
CAPACITY = 1_000_000
#: Of them, by one key: a quarter, so that one client cannot shut out the others.
QUOTA = CAPACITY // 4
#: Sets this small grow and are dropped in well under a millisecond, also when a million entries lapse at once.
SHARDS = 256


class ReplayStoreFull(Exception):
    """The store, or one key's share of it, is full. It forgets nothing early: what cannot be remembered is not let in."""


class ReplayStore(Protocol):
    """What `replay_store` may be. A store for `AsyncVerifier` may be a coroutine function."""

    def first_use(self, key: bytes, owner: str, until: float, now: float) -> bool | Awaitable[bool]:
        """Whether `key` was never seen; from now until `until` (seconds since the epoch) it is.

        Asking and remembering must be one atomic step. `key` is a hash of 16 bytes; `owner` the thumbprint of the
        proof's key, for a quota.
        """
        ...


def replay_key(thumbprint: str, jti: str) -> bytes:
    """The hash a proof is remembered by: two clients may use the same `jti`, and a long one takes no more room."""
    return hashlib.sha256(f"{thumbprint}.{jti}".encode("utf-8", "surrogatepass")).digest()[:16]


class _Shard:
    """Two generations of seen keys. The old one is dropped, and the young one becomes old, when all in it have lapsed."""

    __slots__ = ("counts", "lock", "old", "old_counts", "old_until", "seen", "until")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seen: set[bytes] = set()
        self.old: set[bytes] = set()
        self.counts: dict[int, int] = {}
        self.old_counts: dict[int, int] = {}
        self.until = 0.0
        self.old_until = 0.0

    def turn(self, now: float, window: float) -> None:
        """Drop the generation whose entries have all lapsed, and the one from a future that the clock was set back from."""
        while now > self.old_until or self.old_until > now + 2 * window:
            self.old, self.old_counts, self.old_until = self.seen, self.counts, self.until
            self.seen, self.counts, self.until = set(), {}, 0.0
            if not self.old:
                break


class MemoryReplayStore:
    """Remembers proofs in this process: right for one process, however many threads and event loops it has.

    Bounded by `capacity` proofs a window and `quota` a window and key (both give or take the chance of a hash), and
    refuses what it could not remember. A proof is remembered until it has expired by itself, and at most one window longer.

    Args:
        capacity: proofs a window.
        quota: of them, by one key; a quarter if not given, so that one client cannot shut out the others.
    """

    def __init__(self, capacity: int = CAPACITY, quota: int | None = None) -> None:
        quota = capacity // 4 if quota is None else quota
        self._window = 0.0  # the longest time that a proof was to be remembered for, so far
        # Entries spread evenly over shards, by Python's keyed hash: nobody outside can aim at one. The quarter on top
        # is fifteen standard deviations at the default capacity.
        self._shard_capacity = capacity // SHARDS + capacity // (4 * SHARDS) + 1
        self._shard_quota = quota // SHARDS + quota // (4 * SHARDS) + 1
        self._shards = [_Shard() for _ in range(SHARDS)]
        renew_after_fork(self)

    def after_fork(self) -> None:
        """See `forks`."""
        for shard in self._shards:
            shard.lock = threading.Lock()

    def first_use(self, key: bytes, owner: str, until: float, now: float) -> bool:
        """Whether `key` was never seen before. Raises ReplayStoreFull."""
        window = self._window
        if until - now > window:
            window = self._window = until - now
        shard = self._shards[hash(key) % SHARDS]
        with shard.lock:
            if now > shard.old_until or shard.old_until > now + 2 * window:
                shard.turn(now, window)
            seen, counts = shard.seen, shard.counts
            if key in seen or key in shard.old:
                return False
            count = counts.get(owner_hash := hash(owner), 0)
            if count >= self._shard_quota or len(seen) >= self._shard_capacity:
                raise ReplayStoreFull
            seen.add(key)
            counts[owner_hash] = count + 1
            if until > shard.until:
                shard.until = until
            return True

    def __len__(self) -> int:
        return sum(len(shard.seen) + len(shard.old) for shard in self._shards)
