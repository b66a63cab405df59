"""The clock the local issuer reads, so that a test moves time instead of sleeping through it. It follows
the system's clock until it is told otherwise, and it never blocks."""

from __future__ import annotations

import threading
import time


class Clock:
    """Seconds since the epoch, on demand: `clock()`.

    `Clock()` follows the system; `Clock(at=1_700_000_000)` stands still, as does any clock after `set()`;
    `advance()` moves either kind.
    """

    def __init__(self, at: float | None = None) -> None:
        self._lock = threading.Lock()
        self._frozen_at = at
        self._offset = 0.0

    def __call__(self) -> float:
        with self._lock:
            return self._read()

    def advance(self, seconds: float) -> None:
        """Move by so many seconds, backwards if negative."""
        with self._lock:
            self._offset += seconds

    def set(self, at: float) -> None:
        """Stand still at this time from now on; `advance()` is then the only thing that moves it."""
        with self._lock:
            self._frozen_at = at
            self._offset = 0.0

    def _read(self) -> float:
        return (time.time() if self._frozen_at is None else self._frozen_at) + self._offset

    def __repr__(self) -> str:
        return f"Clock({self():.3f})"
