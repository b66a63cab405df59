"""URL rules: which URLs may be fetched, and when two URLs are the same one (RFC 3986 6.2.2 and 6.2.3).

Used for issuers and `jwks_uri` (https, or http on loopback) and for `htu` (RFC 9449 4.3: compare without query and
fragment, normalised). Nothing here decodes a reserved character: `%2F` never becomes `/`.
"""

import ipaddress
import re
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": "80", "https": "443"}
#: RFC 3986 appendix B, narrowed: http(s) only, an authority without user information, then path; the rest is dropped.
_HTTP_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[^\s/?#@:\[\]\\]+)(?::(?P<port>[0-9]*))?(?P<path>/[^?#]*)?(?:[?#].*)?",
    re.IGNORECASE | re.DOTALL | re.ASCII,
)
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def is_loopback(host: str | None) -> bool:
    """Whether a URL's host is this machine: `localhost`, 127.0.0.0/8 or ::1, and no name that merely looks like it."""
    if host is None:
        return False
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback and getattr(address, "ipv4_mapped", None) is None


def fetch_problem(url: str, *, allow_http: bool = False) -> str | None:
    """Why `url` must not be fetched, in words for a person; None when it may be.

    https always may; http only on loopback, or anywhere with `allow_http`.
    """
    if not url.isascii() or any(character <= " " or character in '\\"<>^`{|}\x7f' for character in url):
        return "is not a URL: it has characters that no URL has"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("http", "https") or not host:
        return "must be an absolute https:// URL"
    if "@" in parts.netloc:
        return "must not have user information before the host"
    if "#" in url:
        return "must not have a fragment"
    if parts.scheme == "http" and not allow_http and not is_loopback(host):
        return "must be https:// (http:// is for loopback only)"
    return None


def _unescape(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else f"%{match[1].upper()}"


def _without_dot_segments(path: str) -> str:
    """RFC 3986 5.2.4, for a path that begins with a slash."""
    if "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            if kept:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def normalise(url: str) -> str | None:
    """The canonical form of an http(s) URL without query and fragment; None when it is no such URL.

    Case of scheme and host, default port, empty path, escapes of unreserved characters, case of the other escapes,
    and dot segments make no difference (RFC 3986 6.2.2, 6.2.3). Everything else does.
    """
    match = _HTTP_URL.fullmatch(url)
    if match is None:
        return None
    scheme, host, port, path = match.groups()
    scheme, host, path = scheme.lower(), host.lower(), path or "/"
    if "%" in path:
        if _BARE_PERCENT.search(path):
            return None
        path = _ESCAPE.sub(_unescape, path)
    if port and port != _DEFAULT_PORTS[scheme]:
        host = f"{host}:{port}"
    return f"{scheme}://{host}{_without_dot_segments(path)}"
