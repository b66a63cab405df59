"""What the value of a setting must look like: one parser a kind of field. A parser gives the value back as the verifier
wants it, or raises ValueError with the problem and the fix, in words that go after the field's name.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Literal, NoReturn

from .spiffe import TRUST_DOMAIN
from .urls import fetch_problem

#: Every asymmetric JWS algorithm of the IANA registry that the JOSE library verifies. None is symmetric (RFC 8725 3.1).
ASYMMETRIC_ALGORITHMS = frozenset(
    [
        "RS256",
        "RS384",
        "RS512",
        "PS256",
        "PS384",
        "PS512",
        "ES256",
        "ES384",
        "ES512",
        "ES256K",
        "EdDSA",
        "Ed25519",
        "Ed448",
    ]
)
#: The scheme of `replay_store` that names one of Django's caches.
DJANGO_CACHE = "django-cache://"
#: Those that name a Redis or Valkey server.
REDIS = ("redis://", "rediss://", "valkey://", "valkeys://")
#: What a store can do that workers share for more than used proofs (`revocation.SharedStore`).
SHARED_OPERATIONS = ("recall", "keep", "revoke", "revoked")
#: One path segment without escapes: what a realm's name may be, so that `iss` can smuggle nothing into a URL.
REALM_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._~-]{0,127}", re.ASCII)

_PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
#: RFC 9110 5.1, without an underscore, which WSGI cannot tell from a dash.
HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")


def _wrong(problem: str) -> NoReturn:
    raise ValueError(problem)


def parse_text(value: object) -> str:
    if not isinstance(value, str):
        _wrong("must be a string")
    return value


def parse_url(value: object) -> str:
    url = parse_text(value)
    if problem := fetch_problem(url, allow_http=True):
        _wrong(f"{problem}; use for example https://id.example.com")
    if "?" in url:
        _wrong("must not have a query; remove everything from '?' on")
    return url


def parse_path(value: object) -> str:
    path = parse_text(value)
    if not _PLAIN_PATH.fullmatch(path):
        _wrong("must be a plain path such as /security-events")
    return path


def parse_names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split(",")
    if isinstance(value, (bytes, Mapping)) or not isinstance(value, Iterable):
        _wrong("must be a string (comma-separated) or a list of strings")
    names = [parse_text(name).strip() for name in value]
    found = tuple(dict.fromkeys(name for name in names if name))
    return found or _wrong("must name at least one; leave it out to get the default")


def parse_algorithms(value: object) -> tuple[str, ...]:
    names = parse_names(value)
    for name in names:
        if name.lower() == "none" or name.upper().startswith("HS"):
            _wrong(f"must not name {name!r}: only asymmetric algorithms can tell who signed (RFC 8725 3.1, 3.2)")
        if name not in ASYMMETRIC_ALGORITHMS:
            _wrong(f"names the unknown algorithm {name!r}; known are {', '.join(sorted(ASYMMETRIC_ALGORITHMS))}")
    return names


def parse_realms(value: object) -> frozenset[str] | Literal["*"]:
    names = parse_names(value)
    if names == ("*",):
        return "*"
    for name in names:
        if not REALM_NAME.fullmatch(name) or ".." in name:
            _wrong(
                f"names {name!r}, which is no realm name; give the last path segment of its issuer, or '*' for any realm"
            )
    return frozenset(names)


def parse_choice(*choices: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        return value if isinstance(value, str) and value in choices else _wrong(f"must be one of {', '.join(choices)}")

    return parse


def parse_seconds(least: float, most: float) -> Callable[[object], float]:
    def parse(value: object) -> float:
        problem = f"must be a number of seconds from {least:g} to {most:g}, for example {max(least, min(30, most)):g}"
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            _wrong(problem)
        try:
            seconds = float(value)
        except (ValueError, OverflowError):
            _wrong(problem)
        return seconds if math.isfinite(seconds) and least <= seconds <= most else _wrong(problem)

    return parse


def parse_size(value: object) -> int:
    problem = "must be a whole number of bytes from 256 to 1048576, for example 16384"
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not str(value).isdecimal():
        _wrong(problem)
    return int(value) if 256 <= int(value) <= 1_048_576 else _wrong(problem)


def parse_certificate_source(value: object) -> str:
    name = value.removeprefix("header:").strip() if isinstance(value, str) else ""
    if value in ("off", "tls"):
        return str(value)
    if name.lower() in ("authorization", "dpop", "host", "cookie", "content-type", "content-length"):
        _wrong(f"must name a header of the proxy's own, not {name}, which every client sends")
    if isinstance(value, str) and value.startswith("header:") and HEADER_NAME.fullmatch(name):
        return f"header:{name}"
    return _wrong("must be off, tls, or header:NAME with the name of a header such as header:X-Client-Cert")


def parse_proxies(value: object) -> tuple[IPv4Network | IPv6Network | Literal["unix"], ...]:
    found: list[IPv4Network | IPv6Network | Literal["unix"]] = []
    for name in parse_names(value):
        try:
            network = None if name == "unix" else ip_network(name)
        except ValueError:
            _wrong(f"names {name!r}; give addresses, networks such as 10.0.0.0/8, or unix for a Unix socket")
        if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
            _wrong(f"names {name!r}; write the IPv4 network itself, as peers are compared")
        found.append(network or "unix")
    return tuple(found)


def parse_trust_domains(value: object) -> dict[str, str | None]:
    """Trust domain -> its bundle's URL; None for the issuer's own."""
    pairs: Iterable[tuple[object, object]]
    if isinstance(value, Mapping):
        pairs = value.items()
    else:
        pairs = [(name, url or None) for name, _, url in (each.partition("=") for each in parse_names(value))]
    found: dict[str, str | None] = {}
    for name, url in pairs:
        if not isinstance(name, str) or not TRUST_DOMAIN.fullmatch(name):
            _wrong(
                f"names {name!r}, which is no trust domain such as example.org, or example.org=https://... for its bundle"
            )
        if name in found:
            _wrong(f"names {name!r} twice; give each trust domain one bundle")
        found[name] = None if url is None else parse_url(url)
    return found


def parse_switch(value: object) -> bool:
    known = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in known:
        return known[value.lower()]
    return _wrong("must be true or false")


def parse_secret_list(value: object) -> tuple[bytes, ...]:
    if isinstance(value, (str, bytes)):
        value = [value]
    if not isinstance(value, Iterable):
        _wrong("must be a string or a list of strings: the first signs, all verify")
    found = []
    for secret in value:
        if not isinstance(secret, (str, bytes)):
            _wrong("must be a string or a list of strings: the first signs, all verify")
        found.append(secret.encode() if isinstance(secret, str) else secret)
    if not found or not all(secret.strip() for secret in found):
        _wrong("must not be empty; make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'")
    return tuple(secret.strip() for secret in found)


def parse_replay_store(value: object) -> object:
    if isinstance(value, str):
        known = value == "memory://" or value.startswith((DJANGO_CACHE, *REDIS))
        return (
            value
            if known
            else _wrong("must be memory://, redis://..., rediss://..., valkey://... or django-cache://ALIAS")
        )
    if not callable(getattr(value, "first_use", None)):
        _wrong("must be a URL such as memory://, or an object with a method first_use(key, owner, until, now)")
    return value


def parse_callable(value: object) -> Callable[..., Any]:
    """A callable, or where one is: `package.module:name`. A class stands for what it makes without arguments."""
    if isinstance(value, str):
        module, _, name = value.partition(":") if ":" in value else value.rpartition(".")
        try:
            value = getattr(import_module(module), name)
        except (ImportError, AttributeError, ValueError) as fault:
            _wrong(f"cannot be imported ({fault}); give a callable or its place, such as package.module:name")
    if isinstance(value, type):
        value = value()
    return value if callable(value) else _wrong("must be a callable, or its place such as package.module:name")


def parse_observers(value: object) -> tuple[Callable[..., Any], ...]:
    if isinstance(value, str):
        value = parse_names(value)
    observers = list(value) if isinstance(value, (list, tuple)) and not callable(value) else [value]
    return tuple(map(parse_callable, observers))
