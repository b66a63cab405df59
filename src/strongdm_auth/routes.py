"""The route table of the middlewares: which paths are protected, and by what.

    {"/api/protected": {}, "/api/admin": {"scopes": ["admin"]}}

A path matches an entry that it equals or lies below, at a `/` boundary; the longest entry wins. Frameworks differ in how
they read `//`, `/./`, `;x` or case, so a path is also held against the table as each of those readings would have it, and
must then satisfy all that match: a path that could reach a protected view is never open. Exemptions work the other way
round: only a path that reads the same in every way can be exempt.
"""

import re
from collections.abc import Iterable, Mapping

from .errors import ConfigurationError
from .memo import Memo
from .requirement import ANY_TOKEN, Requirement

#: Paths whose answer is kept, and the longest such path: at most 1 MB, whatever strangers ask for.
PATHS_REMEMBERED = 4_096
LONGEST_REMEMBERED = 128

_SLASHES = re.compile(r"[/\\]+")
_MATRIX = re.compile(r";[^/]*")
#: Regular expressions that ignore case take these for an i; `casefold` does not.
_LIKE_I = {0x130: "i", 0x131: "i"}
#: What no plain path has: wildcards and parameters (they would be taken literally, and protect nothing), a query, escapes.
_NOT_PLAIN = re.compile(r"[*{}<>?#%\\;\x00-\x20\x7f]")


def _folded(path: str) -> str:
    """The path without matrix parameters, repeated slashes, case, `.` segments, and what may trail it."""
    segments = _SLASHES.sub("/", _MATRIX.sub("", path)).strip("\r\n\t\0 ").split("/")
    return "/" + "/".join(segment for segment in segments if segment not in ("", ".")).translate(_LIKE_I).casefold()


def _resolved(folded: str) -> str:
    """The same with `..` resolved."""
    kept: list[str] = []
    for segment in folded.split("/")[1:]:
        if segment != "..":
            kept.append(segment)
        elif kept:
            kept.pop()
    return "/" + "/".join(kept)


def _entries(paths: Iterable[object], what: str) -> list[str]:
    found = []
    for path in paths:
        stripped = path.strip("/") if isinstance(path, str) and path.startswith("/") else None
        if stripped is None or _NOT_PLAIN.search(stripped) or _resolved(_folded(stripped)) != f"/{stripped}".casefold():
            raise ConfigurationError(f"{what} must name plain paths such as '/api/admin', not {path!r}")
        found.append(f"/{stripped}")
    return found


class RouteTable:
    """A route table, read and checked once. Ask it with the decoded path that the framework itself routes by.

    Args:
        protected: path -> a `Requirement`, or its parts as a mapping; `{}` asks for any valid token. None: no table.
        require: what every path needs, on top of its entry. None with a table: paths that are not in it are open.
            None without a table: every path needs a valid token.
        exempt: paths that need nothing, whatever the rest says; `/` is the root alone.

    Raises:
        ConfigurationError: an entry is no plain path, or its requirement makes no sense.
    """

    def __init__(
        self,
        protected: Mapping[str, Requirement | Mapping[str, object]] | None = None,
        require: Requirement | None = None,
        exempt: Iterable[str] = (),
    ) -> None:
        if isinstance(exempt, str):
            exempt = (exempt,)
        if require is not None and not isinstance(require, Requirement):
            raise ConfigurationError("require must be a Requirement(...)")
        if protected is not None and not isinstance(protected, Mapping):
            raise ConfigurationError("protected_routes must be a mapping such as {'/api/admin': {'scopes': ['admin']}}")
        self._known: Memo[str, tuple[Requirement | None]] = Memo(PATHS_REMEMBERED)
        self._everywhere = ANY_TOKEN if protected is None and require is None else require
        self._exempt = _entries(exempt, "exempt")
        protected = protected or {}
        spelled = dict(zip(_entries(protected, "protected_routes"), protected.values(), strict=True))
        self._protected = {path: _requirement(path, parts) for path, parts in spelled.items()}
        self._folded: dict[str, Requirement] = {}
        for path, requirement in self._protected.items():
            folded = path.casefold()
            self._folded[folded] = requirement & self._folded.get(folded, requirement)
        #: No entry has more slashes: what comes behind them in a path, which may be 64 KB of slashes, is not looked at.
        self._deepest = max((path.count("/") for path in self._protected), default=1)

    def find(self, path: str) -> Requirement | None:
        """What a request for `path` needs; None when the path is open."""
        if not self._protected:
            if self._everywhere is None:
                return None
            if not self._exempt:
                return self._everywhere
        known = self._known.get(path)
        if known is None:
            known = (self._find(path),)
            if len(path) <= LONGEST_REMEMBERED:
                self._known.put(path, known)
        return known[0]

    def _find(self, path: str) -> Requirement | None:
        exact, folded = path.rstrip("/") or "/", _folded(path)
        readings = dict.fromkeys((folded, _resolved(folded)))
        if ";" in path and "\\" in path:  # a parameter ends at the next slash, whatever a server takes for one
            turned = _folded(path.replace("\\", "/"))
            readings |= dict.fromkeys((turned, _resolved(turned)))
        if list(readings) == [exact.casefold()] and any(
            exact == entry or (entry != "/" and exact.startswith(f"{entry}/")) for entry in self._exempt
        ):
            return None
        found = self._everywhere
        for requirement in (
            _longest(self._protected, _cut(exact, self._deepest)),
            *(_longest(self._folded, _cut(reading, self._deepest)) for reading in readings),
        ):
            if requirement is not None:
                found = requirement if found is None else found & requirement
        return found


def _cut(path: str, depth: int) -> str:
    """The first so many segments of a path."""
    return "/".join(path.split("/", depth + 1)[: depth + 1]) or "/"


def _longest(table: Mapping[str, Requirement], path: str) -> Requirement | None:
    while path not in table:
        if path == "/":
            return None
        path = path.rpartition("/")[0] or "/"
    return table[path]


def _requirement(path: str, parts: Requirement | Mapping[str, object]) -> Requirement:
    if isinstance(parts, Requirement):
        return parts
    if not isinstance(parts, Mapping):
        raise ConfigurationError(
            f"protected_routes[{path!r}] must be a Requirement or its parts, such as {{'scopes': ['admin']}}"
        )
    try:
        return Requirement(**parts) if parts else ANY_TOKEN  # type: ignore[arg-type]
    except TypeError:
        known = ", ".join(Requirement.__slots__)
        raise ConfigurationError(f"protected_routes[{path!r}] has an unknown part; known are {known}") from None
