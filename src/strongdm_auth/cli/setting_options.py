"""An API's settings on the command line: a flag for each but the secrets, the environment below, and where each came from."""

from __future__ import annotations

import argparse
import os
import re
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from strongdm_auth import Settings

#: Field -> what it is, in a line. The secrets, and what is code of the application's, have no flag: the environment has them.
FLAGS: dict[str, str] = {
    "issuer": "base issuer, or one realm-qualified issuer",
    "realms": "realms let in, comma-separated; * for any",
    "audience": "audience of this API, comma-separated",
    "algorithms": "algorithms for access tokens",
    "token_profile": "strongdm or rfc9068",
    "leeway": "seconds of clock skew",
    "dpop": "allowed or required",
    "dpop_algorithms": "algorithms for proofs",
    "dpop_proof_max_age": "seconds a proof counts",
    "dpop_nonce": "off or required",
    "replay_store": "memory://, redis://... or django-cache://...",
    "introspection": "off, fallback or always",
    "introspection_ttl": "seconds an answer is kept",
    "client_id": "for introspection",
    "public_url": "the API as clients see it",
    "resource": "RFC 9728 resource identifier",
    "jwks_max_age": "seconds keys are fresh",
    "jwks_stale": "seconds more they serve while the issuer is away",
    "jwks_cooldown": "seconds between fetches that a token forces",
    "http_timeout": "seconds for an exchange with the issuer",
    "max_token_bytes": "longest token",
    "client_certificate": "off, tls, or header:NAME of a proxy",
    "trusted_proxies": "who may set that header: addresses, networks, unix",
    "trust_domains": "SPIFFE trust domains, as NAME or NAME=URL of its bundle",
    "security_events": "path at which security events are received",
    "unsafe_show_reasons": "true: refusals name the failed check in a header",
    "unsafe_allow_http": "true: take a plain http issuer off loopback",
}
#: What has no flag. `authorize` and `on_event` are the application's own code.
WITHOUT_FLAG = frozenset({"client_secret", "dpop_nonce_secret", "authorize", "on_event"})


class Read(NamedTuple):
    """The settings, where each that is not a default came from, and what was warned about."""

    settings: Settings
    origins: dict[str, str]
    doubts: list[str]


def add_settings(parser: argparse.ArgumentParser, *, leave_out: frozenset[str] = frozenset()) -> None:
    """A flag for each setting; what is not given comes from STRONGDM_... in the environment."""
    group = parser.add_argument_group(
        "settings of the API", "As the app has them: a flag, else STRONGDM_<NAME> in the environment, else the default."
    )
    for name, text in FLAGS.items():
        if name not in leave_out:
            flag = f"--{name.replace('_', '-')}"
            group.add_argument(flag, dest=f"setting_{name}", metavar="VALUE", help=text)


def read_settings(arguments: argparse.Namespace, **instead: Any) -> Read:
    """The settings; `instead` are values that this command needs to be as they are.

    Raises:
        ConfigurationError: as the app would.
    """
    from strongdm_auth.settings import SecurityWarning, Settings, read_fields

    prefix = "setting_"
    flags = {
        name.removeprefix(prefix): value
        for name, value in vars(arguments).items()
        if name.startswith(prefix) and value is not None
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SecurityWarning)
        settings = Settings.load({**flags, **instead})
    origins = {
        name: f"${key}" for name, (_, key, _) in read_fields(os.environ, "STRONGDM_", "", environment=True).items()
    }
    origins |= {name: f"--{name.replace('_', '-')}" for name in flags}
    doubts = [str(doubt.message).removeprefix("strongdm-auth: ") for doubt in caught]
    return Read(settings, origins, doubts)


def shown(settings: Settings, name: str) -> str:
    """A setting's value for people; of a secret, that it is there."""
    value = getattr(settings, name)
    if value is None or value == ():
        return "not set"
    if name == "replay_store":
        return shown_store(value)
    if name in ("client_secret", "dpop_nonce_secret"):
        return "set (not shown)"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g} s"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={place}" for name, place in value.items())
    if isinstance(value, (tuple, frozenset)):
        return ", ".join(sorted(map(str, value)) if isinstance(value, frozenset) else map(str, value))
    return str(value)


def shown_store(store: object) -> str:
    """A store's URL without the password that may be in it, in its user information or its query."""
    if not isinstance(store, str):
        return type(store).__name__
    return re.sub(r"//[^/?#]*@", "//...@", store.partition("?")[0])
