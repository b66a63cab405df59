"""System checks: what is wrong with `STRONGDM_AUTH`, and what leaves a door open, when `manage.py check` is run.

E001 a setting is wrong · E002 an unknown key · E003 USER cannot be imported · W001 no audience · W002 no realms ·
W003 the replay store is not for several workers (with --deploy) · W004 the middleware is missing or in the wrong place ·
W005 any other doubt about the settings. What is shown here is not warned about again at start-up.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.utils.module_loading import import_string

from strongdm_auth.errors import ConfigurationError
from strongdm_auth.settings import SecurityWarning, Settings
from strongdm_auth.stores import open_store
from strongdm_auth.stores.django_cache import DjangoCacheReplayStore

from . import conf
from .middleware import StrongDMAuthMiddleware

#: How a doubt begins -> its check.
_IDS: dict[str, str] = {"audience": "W001", "realms": "W002", "replay_store": "W003"}

_NAME = "strongdm_auth.django.StrongDMAuthMiddleware"
_AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
#: What must be further out than the middleware, and why.
_OUTSIDE = {
    "django.middleware.security.SecurityMiddleware": "refusals go out without its headers, and tokens are taken before "
    "the redirect to https",
    "corsheaders.middleware.CorsMiddleware": "a browser cannot read refusals that have no CORS headers",
}
#: What must be further in where REQUIRE is set: it, too, decides when the view is known.
_DECIDES_FIRST = {
    "django.middleware.csrf.CsrfViewMiddleware": "refuses a POST that has a token and no CSRF cookie",
    "django.contrib.auth.middleware.LoginRequiredMiddleware": "redirects agents to a login page",
}


def register_checks() -> None:
    """Register them with Django; called when the app is ready."""
    register(check_settings, Tags.security)
    register(check_middleware, Tags.security)
    register(check_replay_store, Tags.security, deploy=True)


def check_settings(**_app_configs: object) -> list[CheckMessage]:
    """E001, E002, E003, W001, W002, W005; and W003 where WEB_CONCURRENCY says that there are several workers."""
    settings, doubts, found = _read()
    for doubt in doubts:
        problem, _, hint = doubt.partition(". ")
        found.append(_message(Warning, problem, _IDS.get(doubt.partition(" ")[0], "W005"), hint))
    conf.doubts_were_shown = settings is not None
    return found


def check_replay_store(**_app_configs: object) -> list[CheckMessage]:
    """W003, for what WEB_CONCURRENCY did not give away to `check_settings`."""
    settings, shown, _found = _read()
    store = None if settings is None else open_store(settings)
    doubts = []
    if store == "memory://" and not any(doubt.startswith("replay_store") for doubt in shown):
        doubts = ["is memory://, where with several workers a proof can be used once in each"]
    elif isinstance(store, DjangoCacheReplayStore):
        doubts = store.doubts()
    hint = (
        "Set REPLAY_STORE to what all workers share: redis://HOST:6379/0, or django-cache://ALIAS with Redis behind it."
    )
    return [_message(Warning, f"replay_store {doubt}", "W003", hint) for doubt in doubts]


def check_middleware(**_app_configs: object) -> list[CheckMessage]:
    """W004."""
    try:
        given = conf.configured()
    except ConfigurationError:
        return []
    return [_message(Warning, problem, "W004", hint) for problem, hint in _misplaced(given)]


def _read() -> tuple[Settings | None, list[str], list[CheckMessage]]:
    """The settings, if they can be read; the doubts about them; and what is wrong."""
    found: list[CheckMessage] = []

    def attempt(identity: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except ConfigurationError as error:
            found.append(_message(Error, f"{conf.SETTING}: {error}", identity, None))
            return None

    given = attempt("E001", conf.configured)
    if given is None:
        return None, [], found
    for key in given:
        if hint := conf.unknown_key(key):
            found.append(_message(Error, f"{conf.SETTING} has the unknown key {key!r}", "E002", hint))
    known = {key: value for key, value in given.items() if not conf.unknown_key(key)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SecurityWarning)
        settings = attempt("E001", lambda: conf.read_settings(known))
    if settings is not None:
        read = settings
        settings = None if attempt("E001", lambda: open_store(read)) is None else settings
    attempt("E001", lambda: conf.read_tables(known))
    attempt("E003", lambda: conf.read_user_resolver(known))
    doubts = [str(doubt.message).removeprefix("strongdm-auth: ") for doubt in caught]
    return settings, doubts, found


def _misplaced(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Where the middleware's place matters, and why."""
    names = list(django_settings.MIDDLEWARE)
    ours = next((place for place, name in enumerate(names) if _is_ours(name)), None)
    if ours is None:
        for key in ("PROTECTED_ROUTES", "REQUIRE"):
            if given.get(key) not in (None, False):
                yield f"{key} protects nothing: the middleware is not installed", f"Add {_NAME!r} to MIDDLEWARE."
        return
    before, after = names[:ours], names[ours + 1 :]
    for name, why in _OUTSIDE.items():
        if name in after:
            yield f"{_NAME} comes before {name}: {why}", f"Move {name} up."
    if "django.middleware.cache.FetchFromCacheMiddleware" in before:
        yield (
            f"{_NAME} comes after FetchFromCacheMiddleware, which answers from the cache before anyone is authenticated",
            "Move FetchFromCacheMiddleware down.",
        )
    if given.get("USER") and _AUTHENTICATION in after:
        yield (
            f"{_NAME} comes before AuthenticationMiddleware, which sets request.user anew",
            "Move AuthenticationMiddleware up.",
        )
    if given.get("REQUIRE") not in (None, False):
        for name, what in _DECIDES_FIRST.items():
            if name in before:
                yield (
                    f"{_NAME} comes after {name}, which {what} before REQUIRE is looked at",
                    f"Move {name} down.",
                )


def _is_ours(name: str) -> bool:
    try:
        found = import_string(name)
    except ImportError:
        return False
    return isinstance(found, type) and issubclass(found, StrongDMAuthMiddleware)


def _message(kind: Any, problem: str, identity: str, hint: str | None) -> CheckMessage:
    message: CheckMessage = kind(problem, hint=hint or None, id=f"strongdm_auth.{identity}")
    return message
