"""Stores for used proofs that more than one process shares. Each has a module, and its library is imported when it is used."""

from typing import Any

from strongdm_auth.fields import DJANGO_CACHE


def open_store(store: Any) -> Any:
    """The store that a `replay_store` setting names; one that is an object already, or in this process, as it is.

    Raises:
        ConfigurationError: the store cannot work.
    """
    if isinstance(store, str) and store.startswith(DJANGO_CACHE):
        from .django_cache import DjangoCacheReplayStore

        return DjangoCacheReplayStore(store.removeprefix(DJANGO_CACHE) or "default")
    return store
