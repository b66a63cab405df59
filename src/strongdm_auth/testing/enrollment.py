"""Enrollments on their way to becoming clients, and the notices that stand in for the service's mails. An
enrollment is confirmed once, within the hour, with a secret that only its notice carries; it is never told
apart by comparing secrets in variable time, and guessing ends after a few tries."""

from __future__ import annotations

import hmac
import secrets
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from strongdm_auth.testing.clock import Clock
from strongdm_auth.testing.messages import OAuthError

LIFETIME = 3600.0  # "Enrollment tokens expire in 1 hour"
_MAX_TRIES = 5  # codes have 40 bits; five guesses are for typing errors
_MAX_OPEN = 1000  # anyone can open one, so there is an end to it
_CODE_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # without I, O, 0 and 1, which people mix up

Status = Literal["pending", "confirmed", "expired", "locked"]


@dataclass(frozen=True, slots=True)
class Notice:
    """What the real service would mail: a verification code, or an agent's enrollment token."""

    kind: Literal["verification_code", "enrollment_token"]
    secret: str
    email: str
    name: str
    enrollment_id: str

    def __str__(self) -> str:
        what = self.kind.replace("_", " ")
        return f"{what} for {self.name} ({self.email}, {self.enrollment_id}): {self.secret}"


def print_notice(notice: Notice) -> None:
    """Write the notice to standard output."""
    sys.stdout.write(f"{notice}\n")
    sys.stdout.flush()


@dataclass(frozen=True, slots=True)
class Enrollment:
    """One application for credentials."""

    enrollment_id: str
    realm: str | None
    email: str
    name: str
    scopes: tuple[str, ...]
    expires_at: float
    poll_token: str = field(repr=False)
    secret: str = field(repr=False)
    kind: Literal["verification_code", "enrollment_token"] = "verification_code"
    tries: int = 0
    confirmed: bool = False

    def status(self, now: float) -> Status:
        if self.confirmed:
            return "confirmed"
        if now >= self.expires_at:
            return "expired"
        return "locked" if self.tries >= _MAX_TRIES else "pending"


class Enrollments:
    """The enrollments under way."""

    def __init__(self, clock: Clock, notify: Callable[[Notice], None]) -> None:
        self._clock = clock
        self._notify = notify
        self._lock = threading.Lock()
        self._enrollments: dict[str, Enrollment] = {}

    def open(
        self,
        kind: Literal["verification_code", "enrollment_token"],
        *,
        realm: str | None,
        email: str,
        name: str,
        scopes: tuple[str, ...],
    ) -> Enrollment:
        """A new enrollment, its secret handed to `notify` and to nobody else.

        Raises:
            OAuthError: 429, too many are open.
        """
        enrollment = Enrollment(
            enrollment_id=f"enroll_{uuid.uuid4()}",
            realm=realm,
            email=email,
            name=name,
            scopes=scopes,
            expires_at=self._clock() + LIFETIME,
            poll_token=f"pt_{secrets.token_urlsafe(32)}",
            secret=_code() if kind == "verification_code" else f"pt_{secrets.token_urlsafe(32)}",
            kind=kind,
        )
        with self._lock:
            self._make_room()
            self._enrollments[enrollment.enrollment_id] = enrollment
        self._notify(Notice(kind, enrollment.secret, email, name, enrollment.enrollment_id))
        return enrollment

    def find(self, enrollment_id: str, realm: str | None) -> Enrollment:
        """The enrollment with this id; below a realm's path only that realm's.

        Raises:
            OAuthError: 404.
        """
        with self._lock:
            return self._find(enrollment_id, realm)

    def confirm(self, enrollment_id: str, realm: str | None, *, poll_token: str, code: str) -> Enrollment:
        """Redeem a verification code.

        Raises:
            OAuthError: 404 unknown, 401 wrong poll token, 410 used, expired or guessed at too often,
                403 wrong code.
        """
        with self._lock:
            enrollment = self._find(enrollment_id, realm)
            if enrollment.kind != "verification_code":
                raise _not_found()
            if not _same(enrollment.poll_token, poll_token):
                raise OAuthError(401, "unauthorized", "the poll token is not this enrollment's")
            self._need_pending(enrollment)
            if not _same(enrollment.secret, code.strip().upper()):
                self._enrollments[enrollment_id] = replace(enrollment, tries=enrollment.tries + 1)
                raise OAuthError(403, "access_denied", "the verification code is wrong")
            return self._confirm(enrollment)

    def activate(self, enrollment_token: str, realm: str | None) -> Enrollment:
        """Redeem an agent's enrollment token.

        Raises:
            OAuthError: 404 unknown, 410 used or expired.
        """
        with self._lock:
            candidates = [one for one in self._enrollments.values() if one.kind == "enrollment_token"]
            matches = [one for one in candidates if _same(one.secret, enrollment_token)]
            if not matches or realm not in {None, matches[0].realm}:
                raise _not_found()
            self._need_pending(matches[0])
            return self._confirm(matches[0])

    def _find(self, enrollment_id: str, realm: str | None) -> Enrollment:
        enrollment = self._enrollments.get(enrollment_id)
        if enrollment is None or realm not in {None, enrollment.realm}:
            raise _not_found()
        return enrollment

    def _need_pending(self, enrollment: Enrollment) -> None:
        status = enrollment.status(self._clock())
        if status != "pending":
            raise OAuthError(410, "gone", f"this enrollment is {status}")

    def _confirm(self, enrollment: Enrollment) -> Enrollment:
        confirmed = replace(enrollment, confirmed=True)
        self._enrollments[enrollment.enrollment_id] = confirmed
        return confirmed

    def _make_room(self) -> None:
        if len(self._enrollments) < _MAX_OPEN:
            return
        now = self._clock()
        self._enrollments = {key: one for key, one in self._enrollments.items() if one.status(now) == "pending"}
        if len(self._enrollments) >= _MAX_OPEN:
            raise OAuthError(429, "rate_limited", "too many enrollments are open", (("Retry-After", "60"),))


def _code() -> str:
    letters = [secrets.choice(_CODE_ALPHABET) for _ in range(8)]
    return f"{''.join(letters[:4])}-{''.join(letters[4:])}"


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode(errors="replace"))


def _not_found() -> OAuthError:
    return OAuthError(404, "not_found", "there is no such enrollment")
