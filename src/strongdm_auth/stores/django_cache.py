"""`django-cache://ALIAS`: used proofs in one of Django's caches, so that all workers know of them.

A store must ask and remember in one atomic step, in every process, and must not forget early. Of Django's backends:

    Redis, Memcached       atomic everywhere; may evict under memory pressure, so give proofs a server with room
    DatabaseCache          atomic everywhere; drops entries over MAX_ENTRIES, 300 unless OPTIONS says more. On SQLite set
                           "transaction_mode": "IMMEDIATE", or `add` takes a locked database for an entry that is there
    LocMemCache            atomic, but each process has its own: a proof is good once in each; MAX_ENTRIES as above
    FileBasedCache         not atomic: two requests at once may both be the first; MAX_ENTRIES as above
    DummyCache             remembers nothing, and is refused

In a DatabaseCache, a transaction that the view rolls back takes the entry along: authenticate in the middleware, which
is outside of ATOMIC_REQUESTS, or give that cache a database alias of its own.
"""

import asyncio
import math
from collections.abc import Awaitable
from typing import Any

from strongdm_auth.extras import lacking

try:
    from django.core.cache import InvalidCacheBackendError, caches
except ModuleNotFoundError as missing:
    raise lacking(missing, "django", "django") from missing
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache

from strongdm_auth.errors import ConfigurationError
from strongdm_auth.fields import DJANGO_CACHE as SCHEME

#: At the default window of 90 s, 100 proofs a second, sustained, fill 9,000 entries. Django's default of 300 is 3 a second.
FEW_ENTRIES = 10_000


class DjangoCacheReplayStore:
    """Remembers proofs in the cache `alias` by its `add`. In an event loop it gives an awaitable, as `AsyncVerifier` takes.

    Raises:
        ConfigurationError: there is no such cache, or it remembers nothing.
    """

    def __init__(self, alias: str = "default") -> None:
        self.alias = alias
        try:
            cache = caches[alias]
        except InvalidCacheBackendError as fault:
            raise ConfigurationError(
                f"replay_store {SCHEME}{alias} names no cache of CACHES that works: {fault}"
            ) from None
        if isinstance(cache, DummyCache):
            raise ConfigurationError(
                f"replay_store {SCHEME}{alias} is a DummyCache, which lets every replay through; name another cache"
            )

    def __repr__(self) -> str:
        return f"DjangoCacheReplayStore({self.alias!r})"

    def first_use(self, key: bytes, owner: str, until: float, now: float) -> bool | Awaitable[bool]:  # noqa: ARG002
        """Whether `key` was never seen before. What the cache raises is raised: the request gets a 503."""
        name = f"strongdm-auth.proof.{key.hex()}"
        # Whole seconds, rounded up; one more, since memcached may forget up to a second early.
        seconds = max(1, math.ceil(until - now)) + 1
        cache: Any = caches[self.alias]
        answer: bool | Awaitable[bool]
        try:
            asyncio.get_running_loop()  # how Django itself tells that it may not block (django.utils.asyncio)
        except RuntimeError:
            answer = cache.add(name, 1, seconds)
        else:
            answer = cache.aadd(name, 1, seconds)
        return answer

    def doubts(self) -> list[str]:
        """What this cache cannot promise, in words for the system checks; an evicting server cannot be seen from here."""
        cache: Any = caches[self.alias]
        found = []
        if isinstance(cache, LocMemCache):
            found.append("is in the memory of one process: with several workers a proof can be used once in each")
        if isinstance(cache, FileBasedCache):
            found.append("is in files, where two requests at once may both be told that they are the first")
        if hasattr(cache, "_cull") and cache._max_entries < FEW_ENTRIES:
            found.append(f"drops proofs early: MAX_ENTRIES in its OPTIONS is {cache._max_entries}")
        return found
