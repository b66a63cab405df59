"""Whether the replay store remembers: a key that nobody uses is shown to it twice."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .findings import Finding, ok, problem, warning
from .setting_options import shown_store
from .verdict import overheard

if TYPE_CHECKING:
    from strongdm_auth import Settings

#: Seconds for which the throw-away key is remembered.
_KEPT = 5.0


def store_findings(settings: Settings) -> Iterator[Finding]:
    """Reachable, and does it say "first" once and only once?"""
    from strongdm_auth import ConfigurationError
    from strongdm_auth.stores import open_store

    name = shown_store(settings.replay_store)
    workers = os.environ.get("WEB_CONCURRENCY", "")
    if settings.replay_store == "memory://":
        if not (workers.isdecimal() and int(workers) > 1):  # the settings have warned of that
            yield ok("replay store", "in the memory of each process: right for one process, and for no more")
        return
    advice = "While it fails, every request with a proof gets a 503"
    try:
        store = open_store(settings)
    except ConfigurationError as error:
        yield problem("replay store", f"{name}: {error}")
        return
    key, owner, now = secrets.token_bytes(16), "strongdm-auth doctor", time.time()
    try:
        began = time.monotonic()
        with overheard():
            answers = [store.first_use(key, owner, now + _KEPT, now) for _ in range(2)]
        took = (time.monotonic() - began) / 2
    except Exception as fault:  # whatever a store raises; its text may have the password in it
        yield problem("replay store", f"{name} does not answer: {type(fault).__name__}", advice)
        return
    finally:
        close = getattr(store, "close", None)
        if callable(close):
            close()
    if answers != [True, False]:
        text = f"{name} was asked twice about one proof and said {answers[0]!r}, then {answers[1]!r}"
        yield problem(
            "replay store", text, "It must say True once: used proofs are let in again, or fresh ones are not"
        )
        return
    yield ok("replay store", f"{name} remembers; an answer takes {took * 1000:.0f} ms")
    if took > 0.1:
        yield warning("replay store", "it is slow, and each request with a proof waits for it", "Move it closer")
