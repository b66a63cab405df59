"""How each proxy tells the original request: in headers of its own making (nginx, Traefik), or as the request itself (Envoy).

Exactly one convention is read, the one the deployment names; what the others would say counts for nothing, since nobody but
the client could have said it. Each header of the convention must be there once: a second one is the client's.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from strongdm_auth.errors import StrongDMAuthError
from strongdm_auth.request import ServedRequest

ConventionName = Literal["nginx", "traefik", "envoy"]

#: RFC 9110 9.1: a method is a token, and case matters; no registered one has more than 17 letters.
_METHOD = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,32}")
#: Origin form (RFC 9112 3.2.1). No backslash, which some servers take for a slash, and no fragment, which some cut off.
_TARGET = re.compile(r"(/[!-\"$->@-\[\]-~]*)(?:\?([!-\"$-~\x80-\xff]*))?")
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPED_SLASH = re.compile(r"%(?=2f|5c)", re.IGNORECASE)
_QUERY_OR_FRAGMENT = re.compile(r"[?#]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
#: The handshake of a websocket is an HTTP request, and its URI an http one (RFC 6455 4.1): that is what `htu` names.
_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class Unclear(StrongDMAuthError):
    """The original request is not told, or servers may read it in different ways. Nobody is let in on a guess."""

    status_code = 400
    error = "invalid_request"
    reason = "forward_auth.unclear"


class Untold(Unclear):
    """A header of the convention is missing, repeated or malformed: the proxy's configuration, or somebody beside it.

    `problem` is for the log alone: which header, and what is wrong with it; never its value.
    """

    reason = "forward_auth.untold"

    def __init__(self, problem: str) -> None:
        super().__init__("The proxy does not tell the original request as it must")
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Asked:
    """The request that the proxy sent here: method, target and headers, names in lower case."""

    method: str
    #: As it was sent, still escaped; empty where the server does not tell.
    target: str
    headers: Sequence[tuple[str, str]]
    #: Whether the server joins repeated headers, and takes `X_Original_URI` for `X-Original-URI`, as CGI and WSGI do.
    joined: bool = False
    #: The address that it came from: the proxy's.
    peer: str | None = None

    @property
    def path(self) -> str:
        """The path of its own target."""
        return self.target.partition("?")[0]

    def named(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for other, value in self.headers if other == name]

    def only(self, name: str) -> str:
        """The value of a header that must be there once."""
        values = self.named(name)
        if len(values) != 1 or not values[0]:
            raise Untold(f"{name} is {'repeated' if len(values) > 1 else 'missing'}")
        return values[0]


@dataclass(frozen=True, slots=True)
class Convention:
    """Where one proxy puts what; names in lower case. None for method and target: they are the request's own."""

    name: ConventionName
    method: str | None
    target: str | None
    #: The headers with scheme and host, read only where no `public_url` is set.
    origin: tuple[str, str] | None
    #: The statuses of a refusal that the proxy passes on; every other one would become a 500. None: all.
    statuses: frozenset[int] | None = None


CONVENTIONS: dict[str, Convention] = {
    # nginx has no names of its own for these: they are what our recipe sets.
    "nginx": Convention("nginx", "x-original-method", "x-original-uri", None, frozenset({401, 403})),
    "traefik": Convention(
        "traefik", "x-forwarded-method", "x-forwarded-uri", ("x-forwarded-proto", "x-forwarded-host")
    ),
    "envoy": Convention("envoy", None, None, ("x-forwarded-proto", "host")),
}


class OriginalRequest(ServedRequest):
    """The request that the client sent to the proxy: what rules and proofs are held against."""

    __slots__ = ("_asked", "_origin", "_path", "_query")

    def __init__(self, method: str, origin: str, path: str, query: str, asked: Asked) -> None:
        self.method = method
        self._origin, self._path, self._query = origin, path, query
        self._asked = asked
        self.authorization = tuple(asked.named("authorization"))
        self.dpop = tuple(asked.named("dpop"))

    @property
    def certificate(self) -> bytes | None:
        """None: the connection is the proxy's, and its certificate nobody else's."""
        return None

    @property
    def peer(self) -> str | None:
        return self._asked.peer

    def values(self, name: str) -> tuple[str, ...]:
        return tuple(self._asked.named(name))

    @property
    def origin(self) -> str:
        return self._origin

    @property
    def path(self) -> str:
        return self._path

    @property
    def query(self) -> str:
        return self._query


def original_request(
    asked: Asked, convention: Convention, origin: tuple[str, str] | None, path_prefix: str = ""
) -> OriginalRequest:
    """What the client asked for. `origin`: the headers that name scheme and host; None where `public_url` does.

    Raises:
        Untold: a header of the convention is missing, repeated or malformed.
        Unclear: the target is not one that every server reads alike.
    """
    method = asked.method if convention.method is None else asked.only(convention.method)
    if not _METHOD.fullmatch(method):
        raise Untold(f"{convention.method or 'the request'} has no method of HTTP")
    target = asked.target if convention.target is None else asked.only(convention.target)
    if path_prefix:
        if not target.startswith(f"{path_prefix}/"):
            raise Untold("the path does not begin with path_prefix")
        target = target[len(path_prefix) :]
    match = _TARGET.fullmatch(target)
    if match is None:
        raise Unclear("The target of the request is malformed")
    path, query = match[1], match[2] or ""
    if asked.joined and convention.target is not None and ("," in path or re.search(r",[ \t]*/", query)):
        raise Untold(f"{convention.target} may be two that the server joined")
    return OriginalRequest(method, "" if origin is None else _origin(asked, *origin), path, query, asked)


def _origin(asked: Asked, scheme: str, host: str) -> str:
    named = _SCHEMES.get(asked.only(scheme).lower())
    if named is None:
        raise Untold(f"{scheme} is no scheme of HTTP")
    return f"{named}://{asked.only(host)}"  # whether it is an origin is looked at where it counts: `ServedRequest.uri`


def readings(path: str) -> Iterator[str]:
    """A path decoded as the servers behind a proxy may: once, twice, an escaped slash kept apart, `\\` for `/`, cut at `%3F`.

    Which of them the upstream will choose cannot be told here, so that what any of them needs must be there.

    Raises:
        Unclear: it is escaped more than twice, not UTF-8, or holds a control character, which some servers stop at.
    """
    for sent in dict.fromkeys((path, _without_dots(path))):
        yield from _decoded(sent)


def _without_dots(path: str) -> str:
    """For servers that take out `.` and `..` before they decode, and leave those that were escaped."""
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    return "/" + "/".join(kept)


def _decoded(path: str) -> Iterator[str]:
    if "%" not in path:
        yield path
        return
    if _BARE_PERCENT.search(path):
        raise Unclear("The path is malformed")
    try:
        once = unquote(path, errors="strict")
        twice = unquote(once, errors="strict")
        apart = unquote(_ESCAPED_SLASH.sub("%25", path), errors="strict")
    except UnicodeDecodeError:
        raise Unclear("The path is not UTF-8") from None
    if _CONTROL.search(twice) or unquote(twice) != twice:
        raise Unclear("The path can be read in more than one way")
    decoded = (once, twice, apart)
    whole = (*decoded, *(each.replace("\\", "/") for each in decoded))
    yield from dict.fromkeys((*whole, *(_QUERY_OR_FRAGMENT.split(each)[0] for each in whole)))
