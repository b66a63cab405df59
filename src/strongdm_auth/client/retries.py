"""When the issuer is asked again, by the rules of StrongDM ID's own documentation: 429 waits as long as `Retry-After` says,
5xx backs off from 1 to 30 seconds, a connection that fails is tried three times more.

The waiting of one call has an end (`Network.patience`): where the issuer asks for more, the caller is told, and told how long.
"""

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from .network import Call, Network, NoAnswer, Reply, Story, Wait

#: "Connection → 3 retries".
CONNECTION_RETRIES = 3
#: "5xx → exponential backoff 1-30s".
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
#: Added to a pause, at most: a quarter of it, so that agents which failed together do not come back together.
_SPREAD = 0.25
#: What tells that the request was not worked on (RFC 9110 15.6.4, RFC 6585 4): it may be sent again whatever it asks for.
_NOT_BEGUN = frozenset({429, 503})


def persistently(
    network: Network, call: Callable[[], Call], *, repeatable: bool = True, patience: float | None = None
) -> Story[Reply]:
    """The issuer's answer; its last one where it keeps failing. `call` makes each try anew: a proof counts once.

    Not `repeatable` is what would happen twice (a mail, a new client): it is sent again only if it surely was not worked on.

    Raises:
        NoAnswer: no exchange came to anything.
    """
    left = network.patience if patience is None else patience
    tries = lost = 0
    while True:
        fault: NoAnswer | None = None
        reply = Reply(0, {}, b"")
        try:
            reply = yield call()
        except NoAnswer as no_answer:
            fault, lost = no_answer, lost + 1
        tries += 1
        if fault is not None:
            again = lost <= CONNECTION_RETRIES and (repeatable or not fault.sent)
        else:
            again = reply.status in _NOT_BEGUN or (reply.status >= 500 and repeatable)
        # Never less than our own pause: a `Retry-After: 0` must not become a flood.
        pause = max(backoff(tries, network.chance()), retry_after(reply, network.clock()) or 0.0)
        if not again or pause > left:
            if fault is not None:
                raise fault
            return reply
        left -= pause
        yield Wait(pause)


def backoff(tries: int, chance: float) -> float:
    """Seconds to wait after so many tries: 1, 2, 4 ... 30, each up to a quarter more."""
    pause = FIRST_PAUSE * 2 ** min(tries - 1, 10)
    return float(min(LONGEST_PAUSE, pause * (1 + _SPREAD * chance)))


def retry_after(reply: Reply, now: float | None = None) -> float | None:
    """Seconds that the answer asks to wait for (RFC 9110 10.2.3: seconds or a date); None where it says nothing."""
    value = reply.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        at = parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, at - (time.time() if now is None else now))
