"""Does the server remember what it should? A server that starts anew has forgotten which proofs were used.

Each new connection asks the server who it is (`INFO`: its `run_id` is another after each start). When another one answers
than before, proofs that may have been used before are vouched for no longer; the worker that notices leaves a mark there, for
workers that start later and have nothing to compare with.
"""

import logging
import math
import threading
import time

from strongdm_auth.forks import renew_after_fork

from .redis_commands import PREFIX

_log = logging.getLogger("strongdm_auth.stores")

_MARK = f"{PREFIX}forgot"
#: Seconds that the mark stays on top of a proof's age: the most that `leeway` can be.
_MARK_LIFETIME = 600
#: Seconds that clients' clocks may be ahead of ours when nobody has been seen further ahead: NTP's are not, by far.
CLIENTS_AHEAD = 2.0


class StoreForgot(Exception):
    """The server is not the one that was asked before: whether this proof was used then, nobody can tell."""


class Recollection:
    """What one process knows of the server's memory. Times are this machine's monotonic clock's, but for a proof's own.

    Args:
        proof_max_age: the setting `dpop_proof_max_age`, in seconds.
        clients_ahead: how far ahead of ours clients' clocks may be. After the server forgot, proofs made within so many
            seconds are refused as well, since they may be dated ahead.
    """

    def __init__(self, proof_max_age: float, clients_ahead: float) -> None:
        self._max_age = proof_max_age
        self._ahead = clients_ahead
        self._lock = threading.Lock()
        self._run_id: str | None = None
        self._heard_at = time.monotonic()
        self._forgot_at = -math.inf
        self._started_at = -math.inf
        self._candidate: str | None = None
        self._mark_lifetime = math.ceil(proof_max_age) + _MARK_LIFETIME
        renew_after_fork(self)

    def after_fork(self) -> None:
        """See `forks`."""
        self._lock = threading.Lock()

    @property
    def run_id(self) -> str | None:
        """Which server was met last."""
        return self._run_id

    @property
    def heard_at(self) -> float:
        """When the server last answered; at first, when this process began to use it."""
        return self._heard_at

    def heard(self) -> None:
        """The server answered."""
        self._heard_at = time.monotonic()

    def vouch(self, until: float, now: float, asked_at: float) -> None:
        """The server has said whether it knows a proof that counts until `until`; can it know?

        `now` is the request's time, and `asked_at` the monotonic clock's at that moment.

        Raises:
            StoreForgot: it may have been used before the server forgot.
        """
        issued_at = until - self._max_age
        if issued_at - self._ahead < now + (self._forgot_at - asked_at):
            raise StoreForgot
        self._ahead = max(self._ahead, issued_at - now)

    def meet(self, answer: bytes | str) -> tuple[str, ...] | None:
        """A new connection's `INFO`. Returns what to ask or tell the server next, if anything."""
        text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
        info = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        run_id, uptime = info.get("run_id", ""), info.get("uptime_in_seconds", "")
        if not run_id or not uptime.isdecimal():
            self.met_a_stranger("its INFO has no run_id")
            return None
        now = time.monotonic()
        # The server counts in whole seconds of the clock on the wall, and may be a second younger or older than it says.
        youngest, oldest = max(0, int(uptime) - 1), int(uptime) + 1
        with self._lock:
            known = self._run_id
            if run_id == known:
                return None
            silence = now - self._heard_at
            self._started_at = now - youngest
            self._candidate = run_id
            if known is None and oldest >= silence:
                # It was there before this process, or was started with it: who knows more? Until that is answered (see
                # `told`), every other connection asks as well.
                return "PTTL", _MARK
            self._run_id = run_id
            # It started since it was last heard; or else another took over, which may not have had all that was known.
            self._forgot_at = self._started_at if youngest <= silence else now
        _log.warning(
            "the replay store started anew, or another took over: older proofs are refused until they have expired"
        )
        return "SET", _MARK, "1", "EX", str(self._mark_lifetime)

    def told(self, answer: object) -> None:
        """What `meet` wanted asked was answered: milliseconds that the mark of another worker lasts, if there is one."""
        if isinstance(answer, int):
            with self._lock:
                self._run_id = self._candidate
                if answer > 0:
                    seen_at = time.monotonic() - (self._mark_lifetime - answer / 1_000)
                    self._forgot_at = max(self._forgot_at, self._started_at, seen_at)

    def met_a_stranger(self, why: object) -> None:
        """The server does not say which one it is."""
        _log.warning("the replay store does not say which server it is (%s): a restart goes unseen", why)
