"""Where credentials may go: https, or http on this machine; and the DPoP nonces of each origin, kept apart.

A nonce belongs to the server that gave it (RFC 9449 8.2): sent elsewhere, it would tell others, and be refused.
"""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from strongdm_auth.memo import Memo
from strongdm_auth.urls import fetch_problem, is_loopback

from .errors import InsecureURL

#: Origins whose nonce is kept; an agent that calls more of them pays one more round trip where it has been long.
MOST_ORIGINS: Final = 256
#: The longest nonce that is kept; ours have 32 characters. It goes into every proof, and a header has its limits.
MOST_NONCE_CHARACTERS: Final = 1_024
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def origin_of(url: str) -> str:
    """Scheme, host and port (RFC 6454 4), in one spelling.

    Raises:
        InsecureURL: it is no absolute http(s) URL.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InsecureURL("not a URL") from None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not host:
        raise InsecureURL("credentials go to absolute https:// URLs only")
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{_DEFAULT_PORTS[scheme] if port is None else port}"


def refuse_insecure(url: str) -> None:
    """Raises InsecureURL unless credentials may be sent there: https, or http on loopback."""
    origin = origin_of(url)
    host = urlsplit(origin).hostname
    if origin.startswith("http:") and not is_loopback(host):
        raise InsecureURL(f"credentials must not go over plain http to {host}; use https:// (http:// is for loopback)")


def checked_issuer(issuer: str) -> str:
    """The issuer's URL, as it was given. Raises InsecureURL unless credentials may be sent there."""
    if problem := fetch_problem(issuer):
        raise InsecureURL(f"issuer {problem}")
    if "?" in issuer:
        raise InsecureURL("issuer must not have a query")
    return issuer


def checked_origins(urls: str | Iterable[str]) -> frozenset[str]:
    """The origins of these URLs, each of which may get credentials."""
    urls = [urls] if isinstance(urls, str) else list(urls)
    for url in urls:
        refuse_insecure(url)
    return frozenset(map(origin_of, urls))


class Nonces:
    """The last nonce of each origin."""

    def __init__(self) -> None:
        self._known: Memo[str, str] = Memo(MOST_ORIGINS)

    def get(self, origin: str) -> str | None:
        """What the next proof for this origin has to carry, if anything."""
        return self._known.get(origin)

    def learn(self, origin: str, nonce: str | None) -> None:
        """The origin's answer carried this in `DPoP-Nonce`."""
        if nonce and len(nonce) <= MOST_NONCE_CHARACTERS and nonce.isascii() and nonce.isprintable():
            self._known.put(origin, nonce)
