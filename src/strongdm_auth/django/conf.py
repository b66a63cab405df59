"""`STRONGDM_AUTH`, read and checked once: the settings, the verifiers and the route tables that the whole door shares.

    STRONGDM_AUTH = {
        "ISSUER": ..., "AUDIENCE": ...,                            # every field of the settings table, upper case
        "PROTECTED_ROUTES": {"/api/admin": {"scopes": ["admin"]}},  # paths within the project (`request.path_info`)
        "REQUIRE": True,                                           # or a Requirement or its parts: for every view
        "EXEMPT": ["/health"],                                     # paths that need nothing
        "USER": "accounts.agents.user_of",                         # token -> request.user, sync or async
    }

All of it is read again when `override_settings` changes it.
"""

import difflib
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from strongdm_auth.errors import ConfigurationError
from strongdm_auth.metadata import Metadata
from strongdm_auth.requirement import Requirement
from strongdm_auth.routes import RouteTable
from strongdm_auth.settings import SecurityWarning, Settings, SettingsKeywords
from strongdm_auth.verifier import AsyncVerifier, Verifier

SETTING = "STRONGDM_AUTH"
#: The keys that are this door's own; all others are fields of the settings table.
DOOR_KEYS = ("PROTECTED_ROUTES", "REQUIRE", "EXEMPT", "USER")
KEYS = (*DOOR_KEYS, *(name.upper() for name in SettingsKeywords.__annotations__))


@dataclass(frozen=True, slots=True, eq=False)
class Deployment:
    """What `STRONGDM_AUTH` comes to. Both verifiers look at the same keys, tokens and used proofs."""

    settings: Settings
    verifier: Verifier
    async_verifier: AsyncVerifier
    #: PROTECTED_ROUTES: what a path needs, whatever view it leads to.
    routes: RouteTable
    #: REQUIRE: what every view needs that is not marked `@public`.
    everywhere: RouteTable
    resolve_user: Callable[[Any], Any] | None
    metadata: Metadata | None


def configured() -> Mapping[str, Any]:
    """The setting as the project wrote it."""
    found = getattr(django_settings, SETTING, None) or {}
    if not isinstance(found, Mapping):
        raise ConfigurationError(f"{SETTING} must be a dict such as {{'AUDIENCE': 'https://api.example.com'}}")
    return found


def unknown_key(key: object) -> str | None:
    """What to say about a key that means nothing here; None when it means something."""
    if key in KEYS:
        return None
    close = difflib.get_close_matches(str(key).upper(), KEYS, n=1)
    return f"did you mean {close[0]}?" if close else "known are " + ", ".join(sorted(KEYS))


def read_settings(given: Mapping[str, Any]) -> Settings:
    """The fields of the settings table: from `STRONGDM_AUTH`, then the environment, then the defaults."""
    fields = {key: value for key, value in given.items() if key not in DOOR_KEYS}
    return Settings.load({}, fields, prefix="")


def read_tables(given: Mapping[str, Any]) -> tuple[RouteTable, RouteTable]:
    """The tables of PROTECTED_ROUTES and of REQUIRE; each is without entries where its key is not set."""
    protected, exempt = given.get("PROTECTED_ROUTES"), given.get("EXEMPT") or ()
    routes = RouteTable({} if protected is None else protected, None, exempt)
    return routes, RouteTable({}, _everywhere(given.get("REQUIRE")), exempt)


def _everywhere(value: object) -> Requirement | None:
    if value is None or value is False:
        return None
    if isinstance(value, Requirement):
        return value
    if value is True:
        value = {}
    if not isinstance(value, Mapping):
        raise ConfigurationError("REQUIRE must be True, a Requirement, or its parts such as {'scopes': ['read']}")
    try:
        return Requirement(**value)
    except TypeError:
        known = ", ".join(Requirement.__slots__)
        raise ConfigurationError(f"REQUIRE has an unknown part; known are {known}") from None


def read_user_resolver(given: Mapping[str, Any]) -> Callable[[Any], Any] | None:
    """The callable that USER names."""
    value = given.get("USER")
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = import_string(value)
        except ImportError as fault:
            raise ConfigurationError(f"USER cannot be imported: {fault}; give the dotted path of a callable") from None
    if not callable(value):
        raise ConfigurationError("USER must be a callable, or its dotted path: it is called with the token")
    resolver: Callable[[Any], Any] = value
    return resolver


_lock = threading.Lock()
_deployment: Deployment | None = None
#: Set by the system checks once they have shown the doubts; Python warnings would only repeat them.
doubts_were_shown = False


def current() -> Deployment:
    """What the settings come to now.

    Raises:
        ConfigurationError: a setting is wrong.
    """
    global _deployment
    found = _deployment
    if found is None:
        with _lock:
            found = _deployment
            if found is None:
                found = _deployment = _build()
    return found


def _build() -> Deployment:
    given = configured()
    for key in given:
        if hint := unknown_key(key):
            raise ConfigurationError(f"{SETTING} has the unknown key {key!r}; {hint}")
    with warnings.catch_warnings():
        if doubts_were_shown:
            warnings.simplefilter("ignore", SecurityWarning)
        settings = read_settings(given)
    routes, everywhere = read_tables(given)
    verifier = Verifier(settings)
    # One set of memories: a proof that an async view has seen is not new to a sync one, and keys are fetched once.
    async_verifier, resolver = verifier.for_event_loops(), read_user_resolver(given)
    return Deployment(settings, verifier, async_verifier, routes, everywhere, resolver, Metadata.of(settings))


def reset(*, setting: str = SETTING, **_: object) -> None:
    """Read the settings again when next asked for. CACHES counts: `django-cache://` names one of them."""
    global _deployment
    if setting in (SETTING, "CACHES"):
        with _lock:
            former, _deployment = _deployment, None
        if former is not None:
            former.verifier.close()


setting_changed.connect(reset, dispatch_uid="strongdm_auth")
