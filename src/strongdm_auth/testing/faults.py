"""Outages and odd answers on demand: errors, stalls, redirects, truncated JSON. A fault hits requests
whose path ends as told, as often as told; it never changes what the issuer knows, and `heal()` ends all of
them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from strongdm_auth.testing.messages import Reply


@dataclass(slots=True)
class _Fault:
    path: str | None
    remaining: int | None
    delay: float = 0.0
    reply: Reply | None = None

    def hits(self, path: str) -> bool:
        return self.remaining != 0 and (self.path is None or path.endswith(self.path))

    def spend(self) -> None:
        if self.remaining is not None:
            self.remaining -= 1


@dataclass(frozen=True, slots=True)
class Interference:
    """What the faults do to one request: keep it waiting, answer in the issuer's stead, or nothing."""

    delay: float = 0.0
    reply: Reply | None = None

    def over(self, honest: Reply) -> Reply:
        """The reply that goes out."""
        return replace(honest if self.reply is None else self.reply, delay=self.delay)


class Faults:
    """The faults now in force, the newest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[_Fault] = []

    def answer(self, reply: Reply, *, path: str | None, times: int | None) -> None:
        with self._lock:
            self._faults.insert(0, _Fault(path, times, reply=reply))

    def stall(self, seconds: float, *, path: str | None, times: int | None) -> None:
        with self._lock:
            self._faults.insert(0, _Fault(path, times, delay=seconds))

    def heal(self) -> None:
        with self._lock:
            self._faults.clear()

    def strike(self, path: str) -> Interference:
        """What happens to a request for this path. One stall and one scripted answer may both hit it."""
        with self._lock:
            hits = [fault for fault in self._faults if fault.hits(path)]
            stall = next((fault for fault in hits if fault.reply is None), None)
            scripted = next((fault for fault in hits if fault.reply is not None), None)
            for fault in (stall, scripted):
                if fault is not None:
                    fault.spend()
            self._faults = [fault for fault in self._faults if fault.remaining != 0]
        return Interference(stall.delay if stall else 0.0, scripted.reply if scripted else None)
