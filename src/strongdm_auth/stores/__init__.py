"""Stores for used proofs that more than one process shares. Each has a module, and its library is imported when it is used."""

from typing import Any

from strongdm_auth.fields import DJANGO_CACHE, REDIS
from strongdm_auth.settings import Settings


def open_store(settings: Settings, *, for_event_loops: bool = False) -> Any:
    """The store that `replay_store` names; one that is an object already, or in this process, as it is.

    Raises:
        ConfigurationError: the store cannot work.
    """
    store = settings.replay_store
    if not isinstance(store, str):
        return store
    if store.startswith(DJANGO_CACHE):
        from .django_cache import DjangoCacheReplayStore

        return DjangoCacheReplayStore(store.removeprefix(DJANGO_CACHE) or "default")
    if store.startswith(REDIS):
        from .redis import AsyncRedisStore, RedisStore

        opened = AsyncRedisStore if for_event_loops else RedisStore
        return opened(store, proof_max_age=settings.dpop_proof_max_age)
    return store
