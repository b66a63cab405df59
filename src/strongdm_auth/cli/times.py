"""Moments and spans of time in words, and moments that were given as an argument."""

import math
import time
from datetime import UTC, datetime

from .failure import CommandError

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
#: From a hundred years on, a span is shown as a count of years: it is a mistake, and 40,000 days says that less well.
_YEAR = 365.25 * 86_400


def span(seconds: float) -> str:
    """How long that is, by its two largest units: `2 hours 5 minutes`."""
    if abs(seconds) >= 100 * _YEAR:
        return "more than 100 years"
    left = round(abs(seconds))
    found = []
    for name, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            found.append(_count(count, name))
        elif found:
            break
        if len(found) == 2:
            break
    return " ".join(found) or "less than a second"


def moment(at: float) -> str:
    """A time of day for people, in UTC."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{at:.6g}, which is no date" if math.isfinite(at) else "no date"


def relative(at: float, now: float) -> str:
    """`in 59 minutes`, `3 days ago`."""
    if abs(at - now) < 1:
        return "now"
    return f"in {span(at - now)}" if at > now else f"{span(now - at)} ago"


def when(at: float, now: float) -> str:
    """Both: `2027-01-15 08:00:00 UTC, in 59 minutes`."""
    try:
        at = float(at)  # a claim may be a whole number of any length
    except OverflowError:
        return "a number that is no date"
    return f"{moment(at)}, {relative(at, now)}"


def read_moment(text: str | None) -> float:
    """`--at`: seconds since the epoch, or ISO 8601; now if nothing was given.

    Raises:
        CommandError: it is neither.
    """
    if text is None:
        return time.time()
    try:
        seconds = float(text)
    except ValueError:
        try:
            read = datetime.fromisoformat(text)
        except ValueError:
            raise CommandError(
                "--at takes seconds since the epoch or a date such as 2027-01-15T08:00:00Z", status=2
            ) from None
        seconds = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(seconds):
        raise CommandError("--at takes a moment that a calendar has", status=2)
    return seconds


def _count(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"
