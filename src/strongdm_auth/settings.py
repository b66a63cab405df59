"""The one table of settings: every field, its default, and what a value must look like. Frozen once built.

A field is a keyword argument, `STRONGDM_<FIELD>` in the environment and in Flask's `app.config`, and
`STRONGDM_AUTH["<FIELD>"]` in Django. Order: keyword, framework's config, environment, default. A wrong value or an
unknown key is a `ConfigurationError` that names the field, the problem and the fix; a secret's value is never shown.
"""

import difflib
import os
import re
import secrets
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network
from types import MappingProxyType
from typing import Any, Literal, NoReturn, TypedDict, Unpack
from urllib.parse import urlsplit

from .errors import ConfigurationError
from .fields import (
    DJANGO_CACHE,
    REDIS,
    SHARED_OPERATIONS,
    parse_algorithms,
    parse_callable,
    parse_certificate_source,
    parse_choice,
    parse_names,
    parse_observers,
    parse_path,
    parse_proxies,
    parse_realms,
    parse_replay_store,
    parse_seconds,
    parse_secret_list,
    parse_size,
    parse_switch,
    parse_text,
    parse_trust_domains,
    parse_url,
)
from .spiffe import TRUST_DOMAIN
from .urls import fetch_problem, normalise

#: RFC 9068 4: leeway is "usually no more than a few minutes".
MOST_LEEWAY = 600.0
_REALM_SUFFIX = re.compile(r"/realms/([^/]+)$")


class SecurityWarning(UserWarning):
    """A setting leaves a door open that you may have meant to shut. Given once, at start-up."""


class SettingsKeywords(TypedDict, total=False):
    """The settings as keyword arguments; `None` means unset. See the README's table for each one's meaning."""

    issuer: str | None
    realms: str | Iterable[str] | None
    audience: str | Iterable[str] | None
    algorithms: str | Iterable[str] | None
    token_profile: Literal["strongdm", "rfc9068"] | str | None
    leeway: float | str | None
    dpop: Literal["allowed", "required"] | str | None
    dpop_algorithms: str | Iterable[str] | None
    dpop_proof_max_age: float | str | None
    dpop_nonce: Literal["off", "required"] | str | None
    dpop_nonce_secret: str | bytes | Iterable[str | bytes] | None
    replay_store: object
    introspection: Literal["off", "fallback", "always"] | str | None
    introspection_ttl: float | str | None
    client_id: str | None
    client_secret: str | None
    public_url: str | None
    resource: str | None
    jwks_max_age: float | str | None
    jwks_stale: float | str | None
    jwks_cooldown: float | str | None
    http_timeout: float | str | None
    max_token_bytes: int | str | None
    unsafe_allow_http: bool | str | None
    unsafe_show_reasons: bool | str | None
    client_certificate: str | None
    trusted_proxies: str | Iterable[str] | None
    trust_domains: str | Iterable[str] | Mapping[str, str] | None
    security_events: str | None
    authorize: Callable[..., Any] | str | None
    on_event: Callable[..., Any] | Iterable[Callable[..., Any]] | str | None
    introspection_enabled: bool | str | None
    jwks_cache_ttl: float | str | None


#: field -> (default, parser). The defaults are the contract; change one and the documentation changes with it.
_FIELDS: dict[str, tuple[Any, Callable[[object], Any]]] = {
    "issuer": ("https://id.strongdm.ai", parse_url),
    "realms": (None, parse_realms),
    "audience": ((), parse_names),
    "algorithms": (("RS256", "ES256", "EdDSA", "Ed25519"), parse_algorithms),
    "token_profile": ("strongdm", parse_choice("strongdm", "rfc9068")),
    "leeway": (30.0, parse_seconds(0, MOST_LEEWAY)),
    "dpop": ("allowed", parse_choice("allowed", "required")),
    "dpop_algorithms": (("ES256", "ES384", "RS256", "PS256", "EdDSA", "Ed25519"), parse_algorithms),
    "dpop_proof_max_age": (60.0, parse_seconds(1, 3600)),
    "dpop_nonce": ("off", parse_choice("off", "required")),
    "dpop_nonce_secret": (None, parse_secret_list),
    "replay_store": ("memory://", parse_replay_store),
    "introspection": ("off", parse_choice("off", "fallback", "always")),
    "introspection_ttl": (60.0, parse_seconds(0, 86_400)),
    "client_id": (None, parse_text),
    "client_secret": (None, parse_text),
    "public_url": (None, parse_url),
    "resource": (None, parse_url),
    "jwks_max_age": (900.0, parse_seconds(0, 86_400)),
    "jwks_stale": (3600.0, parse_seconds(0, 604_800)),
    "jwks_cooldown": (30.0, parse_seconds(0, 3600)),
    "http_timeout": (5.0, parse_seconds(0.05, 60)),
    "max_token_bytes": (16_384, parse_size),
    "unsafe_allow_http": (False, parse_switch),
    "unsafe_show_reasons": (False, parse_switch),
    "client_certificate": ("tls", parse_certificate_source),
    "trusted_proxies": ((), parse_proxies),
    "trust_domains": (None, parse_trust_domains),
    "security_events": (None, parse_path),
    "authorize": (None, parse_callable),
    "on_event": ((), parse_observers),
}
#: The keywords of the middleware that StrongDM ID's examples began with -> (field, what its value means there).
_FORMER_NAMES: dict[str, tuple[str, Callable[[object], object]]] = {
    "introspection_enabled": ("introspection", lambda value: "always" if parse_switch(value) else None),
    "jwks_cache_ttl": ("jwks_max_age", lambda value: value),
}
_SECRET_FIELDS = frozenset({"client_secret", "dpop_nonce_secret", "replay_store"})


class Settings:
    """Every setting, checked. `Settings(issuer=..., audience=...)`; what is not given comes from the environment.

    Raises:
        ConfigurationError: a value is wrong, a key unknown, or two settings contradict each other.
    """

    issuer: str
    realms: frozenset[str] | Literal["*"] | None
    audience: tuple[str, ...]
    algorithms: tuple[str, ...]
    token_profile: Literal["strongdm", "rfc9068"]
    leeway: float
    dpop: Literal["allowed", "required"]
    dpop_algorithms: tuple[str, ...]
    dpop_proof_max_age: float
    dpop_nonce: Literal["off", "required"]
    dpop_nonce_secret: tuple[bytes, ...]
    replay_store: Any
    introspection: Literal["off", "fallback", "always"]
    introspection_ttl: float
    client_id: str | None
    client_secret: str | None
    public_url: str | None
    resource: str | None
    jwks_max_age: float
    jwks_stale: float
    jwks_cooldown: float
    http_timeout: float
    max_token_bytes: int
    unsafe_allow_http: bool
    unsafe_show_reasons: bool
    #: `off`, `tls`, or `header:NAME`: see `certificates`.
    client_certificate: str
    trusted_proxies: tuple[IPv4Network | IPv6Network | Literal["unix"], ...]
    #: SPIFFE trust domain -> where its bundle is. See `workloads`.
    trust_domains: Mapping[str, str]
    #: The path at which Security Event Tokens are received (RFC 8935); None: at none.
    security_events: str | None
    #: See `policy.Authorize`, and `events.Observer`.
    authorize: Callable[..., Any] | None
    on_event: tuple[Callable[..., Any], ...]

    def __init__(self, **keywords: Unpack[SettingsKeywords]) -> None:
        self._build(keywords, None, "", os.environ)

    @classmethod
    def load(
        cls,
        keywords: Mapping[str, object],
        config: Mapping[str, object] | None = None,
        *,
        prefix: str = "STRONGDM_",
        environ: Mapping[str, str] | None = None,
    ) -> "Settings":
        """The settings from a framework: keywords, then `config` (keys `prefix` + FIELD), then the environment."""
        settings = cls.__new__(cls)
        settings._build(keywords, config, prefix, os.environ if environ is None else environ)
        return settings

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"Settings are frozen; build new ones with {name}=...")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"Settings are frozen; {name} stays")

    def __repr__(self) -> str:
        shown = (
            f"{name}={'...' if name in _SECRET_FIELDS and getattr(self, name) else repr(getattr(self, name))}"
            for name in Settings.__annotations__
        )
        return f"Settings({', '.join(shown)})"

    @property
    def realm(self) -> str | None:
        """The realm that `issuer` itself is, when it is realm-qualified; None for a base issuer."""
        match = _REALM_SUFFIX.search(self.issuer)
        return match[1] if match else None

    @property
    def shares_memory(self) -> bool:
        """Whether `replay_store` keeps more than used proofs: it has all operations of `revocation.SharedStore`."""
        if isinstance(self.replay_store, str):
            return self.replay_store.startswith(REDIS)
        return all(callable(getattr(self.replay_store, name, None)) for name in SHARED_OPERATIONS)

    def _build(
        self,
        keywords: Mapping[str, object],
        config: Mapping[str, object] | None,
        prefix: str,
        environ: Mapping[str, str],
    ) -> None:
        given = read_fields(environ, "STRONGDM_", "in the environment", environment=True)
        given |= read_fields(config or {}, prefix, "in the configuration")
        given |= read_fields(keywords, None, "as a keyword argument")
        values: dict[str, Any] = {name: default for name, (default, _) in _FIELDS.items()}
        for name, (value, spelling, place) in given.items():
            try:
                values[name] = _FIELDS[name][1](value)
            except ValueError as problem:
                shown = "" if name in _SECRET_FIELDS else f" (got {_shortened(value)})"
                raise ConfigurationError(f"{spelling} {place} {problem}{shown}") from None
        values["trust_domains"] = _bundle_urls(values["trust_domains"], values["issuer"])
        _check(values)
        _warn(values, environ)
        if not values["dpop_nonce_secret"]:
            values["dpop_nonce_secret"] = (secrets.token_bytes(32),)
        for name in Settings.__annotations__:
            object.__setattr__(self, name, values[name])


def _shortened(value: object) -> str:
    text = re.sub(r"//.*@", "//...@", repr(value))  # a password may stand before the host of a wrong URL
    return text if len(text) <= 80 else text[:77] + "..."


def read_fields(
    source: Mapping[str, object] | Mapping[str, str], prefix: str | None, place: str, *, environment: bool = False
) -> dict[str, tuple[object, str, str]]:
    """field -> (value, the key as written, where), for the keys of `source` that are ours. None and "" mean unset."""
    found: dict[str, tuple[object, str, str]] = {}
    for key, value in source.items():
        if prefix is None:
            name = key
        elif isinstance(key, str) and key.startswith(prefix):
            name = key[len(prefix) :].lower()
        else:
            continue
        field, meaning = _FORMER_NAMES.get(name, (name, None))
        if field not in _FIELDS:
            close = difflib.get_close_matches(name, _FIELDS, n=1)
            spelled = (prefix or "") + (close[0].upper() if prefix is not None else close[0]) if close else ""
            hint = f"did you mean {spelled}?" if close else "known are " + ", ".join(sorted(_FIELDS))
            raise ConfigurationError(f"{key} {place} is no setting of strongdm-auth; {hint}")
        blank = isinstance(value, str) and not value.strip() and (environment or field not in _SECRET_FIELDS)
        if value is None or blank or (meaning is not None and field in found):
            continue
        if meaning is not None:
            try:
                value = meaning(value)
            except ValueError as problem:
                raise ConfigurationError(f"{key} {place} {problem} (got {_shortened(value)})") from None
        if environment and field == "dpop_nonce_secret" and isinstance(value, str):
            value = value.split(",")  # only here: as a keyword, a secret may have a comma in it
        if value is not None:
            found[field] = (value, key, place)
    return found


def _bundle_urls(domains: Mapping[str, str | None] | None, issuer: str) -> Mapping[str, str]:
    """Where the bundles are. An issuer has one below its base; unless said otherwise, that is of the domain it is in, as
    strongdm.ai is for id.strongdm.ai."""
    base = _REALM_SUFFIX.sub("", issuer).removesuffix("/")
    if domains is None:
        host = urlsplit(issuer).hostname or ""
        domains = {host.removeprefix("id."): None} if TRUST_DOMAIN.fullmatch(host) else {}
    return MappingProxyType({name: url or base + "/.well-known/spiffe-trust-bundle" for name, url in domains.items()})


def _check(values: dict[str, Any]) -> None:
    """What no field can tell alone."""
    issuer, realms = values["issuer"], values["realms"]
    urls = [(name, values[name]) for name in ("issuer", "public_url", "resource")]
    for name, url in (*urls, *(("trust_domains", url) for url in values["trust_domains"].values())):
        plain_http_is_fine = values["unsafe_allow_http"] or name == "public_url"
        if url is not None and (problem := fetch_problem(url, allow_http=plain_http_is_fine)):
            raise ConfigurationError(
                f"{name} {problem} (got {_shortened(url)}); use https://, or unsafe_allow_http=True in a closed test network"
            )
    if normalise(issuer) is None or ".." in urlsplit(issuer).path or "//" in urlsplit(issuer).path:
        raise ConfigurationError(
            f"issuer must be a plain URL such as https://id.example.com (got {_shortened(issuer)})"
        )
    if realms is not None and (match := _REALM_SUFFIX.search(issuer)) and realms != frozenset({match[1]}):
        raise ConfigurationError(
            f"realms must be left out when issuer already is one realm ({match[1]!r}); or set issuer to the base issuer"
        )
    if values["jwks_max_age"] + values["jwks_stale"] == 0:
        raise ConfigurationError(
            "jwks_max_age and jwks_stale must not both be 0: no key would ever serve; set jwks_max_age to 900"
        )
    if values["introspection"] != "off" and not (values["client_id"] and values["client_secret"]):
        raise ConfigurationError(
            "client_id and client_secret must be set when introspection is on: the issuer asks who is asking (RFC 7662 2.1)"
        )
    by_header = values["client_certificate"].startswith("header:")
    if by_header and not values["trusted_proxies"]:
        raise ConfigurationError(
            "trusted_proxies must be set when client_certificate is a header, which anybody can send: name the addresses of "
            "the proxies that set it, such as 10.0.0.0/8, or unix"
        )
    if values["trusted_proxies"] and not by_header:
        raise ConfigurationError(
            "trusted_proxies is for client_certificate='header:NAME' alone, and nothing else is read from proxies; "
            "leave it out, or name the header"
        )
    if values["token_profile"] == "rfc9068" and not values["audience"]:
        raise ConfigurationError(
            "audience must be set with token_profile='rfc9068': RFC 9068 4 makes every API check it"
        )


def _warn(values: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    issuer, workers = values["issuer"], environ.get("WEB_CONCURRENCY", "1")
    doubts = []
    if values["realms"] is None and not _REALM_SUFFIX.search(issuer):
        doubts.append(
            f"realms is not set: agents of every realm of {issuer} are let in. "
            "Set realms to the ones you mean, or to '*' for any"
        )
    if not values["audience"]:
        doubts.append(
            "audience is not set: tokens that were issued for other APIs are let in. Set audience to this API's identifier"
        )
    several = workers.isdecimal() and int(workers) > 1
    if several and values["dpop_nonce"] == "required" and not values["dpop_nonce_secret"]:
        doubts.append(
            "dpop_nonce_secret is not set and WEB_CONCURRENCY says there are several workers: "
            "each refuses the others' nonces. Give all of them one secret"
        )
    if several and values["replay_store"] == "memory://":
        doubts.append(
            "replay_store is memory:// and WEB_CONCURRENCY says there are several workers: "
            "a proof can be used once in each. Give all of them one store, such as redis://HOST:6379/0"
        )
    if values["unsafe_allow_http"]:
        doubts.append("unsafe_allow_http is on: whoever sits on the network path to the issuer decides who gets in")
    apart = str(values["replay_store"]).startswith(("memory://", DJANGO_CACHE))
    if several and values["security_events"] and apart:
        doubts.append(
            "security_events is set and WEB_CONCURRENCY says there are several workers: only the one that is told refuses the "
            "tokens that ended. Give all of them one store, such as replay_store=redis://HOST:6379/0"
        )
    if any(getattr(network, "prefixlen", 1) == 0 for network in values["trusted_proxies"]):
        doubts.append(
            "trusted_proxies names every address: anybody may then say which client certificate is theirs. "
            "Name the proxies' own addresses"
        )
    bundles = list(values["trust_domains"].values())
    if len(set(bundles)) < len(bundles):
        doubts.append(
            "trust_domains names one bundle for several domains: each key in it vouches for all of them "
            "(SPIFFE Trust Domain and Bundle 6.4). Give each its own, as NAME=URL"
        )
    if values["unsafe_show_reasons"]:
        doubts.append(
            "unsafe_show_reasons is on: refusals tell strangers which check they failed. It is for development"
        )
    for doubt in doubts:
        warnings.warn(f"strongdm-auth: {doubt}.", SecurityWarning, stacklevel=_caller())


def _caller() -> int:
    """The stack level of the first frame outside this package, where the user's own line is."""
    level, frame = 1, sys._getframe(1)
    package = __name__.rpartition(".")[0]
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(package):
        level, frame = level + 1, frame.f_back
    return level
