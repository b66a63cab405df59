"""The route table: a path that it calls open leads nowhere that is protected, however a framework reads it.

The oracle walks: from the path, through every way of reading it that some framework or server has, to all that they lead to.
If one of the paths it comes to is protected, the first must not have been open.
"""

import re
from collections.abc import Iterator

from fuzz.edits import edits, words
from fuzz.oracle import remove_dot_segments
from strongdm_auth import ConfigurationError, Requirement
from strongdm_auth.request import EnvironRequest, ScopeRequest
from strongdm_auth.routes import RouteTable

_MOST_READINGS = 200
_TRAILING = "\r\n\t\0 "
HEADS = words(r"""
    protect | exempt | need | path
""")
VALUES = words(r"""
    /api | /api/admin | / | /API | /health | /docs/x | "/caf\u00e9" | "/stra\u00dfe" | /a | /a/b | "/\u0130"
    /x/../api | /./api | //api | /api;x/admin | /api//admin | \api | /api/..;/x | /API/admin | /api/admin/..
    /a/b/../../api | "/api\n" | "/api\u0000/x" | /%61pi | /api%2fadmin | /.. | .. | . | ; | // | %2e
    /health/../api | /health/%2e%2e/api | /health;/x | /apia | /api. | /x//../api | admin | read | "\u017f"
""")


def check(data: bytes) -> None:
    """See the module's text."""
    protected: dict[str, dict[str, object]] = {}
    exempt: list[str] = []
    paths: list[str] = []
    require: Requirement | None = None
    try:
        for edit in edits(data):
            match edit.head:
                case "protect":
                    protected[edit.text] = {"scopes": [f"s{len(protected)}"]}
                case "exempt":
                    exempt.append(edit.text)
                case "need":
                    require = Requirement(edit.text)
                case "path":
                    paths.append(edit.text)
        table = RouteTable(protected or {"/api/admin": {"scopes": "s0"}}, require, exempt)
    except ConfigurationError:
        return
    entries = [f"/{entry.strip('/')}" for entry in protected or ["/api/admin"]]
    for raw in paths[:4]:
        for path in _routed(raw):
            check_path(table, path, entries, [f"/{entry.strip('/')}" for entry in exempt], require)


def check_path(
    table: RouteTable, path: str, entries: list[str], exempt: list[str], require: Requirement | None
) -> None:
    """The table's answer for one path, held against all ways of reading it."""
    found = table.find(path)
    assert table.find(path) == found
    if found is not None:
        assert require is None or found & require == found
        return
    readings = set(_readings(path))
    guarded = [
        (reading, entry) for reading in readings for entry in entries if _below(reading.casefold(), entry.casefold())
    ]
    if guarded or require is not None:
        # Then it is open because it is exempt, which it only is where it means one thing.
        assert all(any(_is_exempt(reading, entry) for entry in exempt) for reading in readings), (path, guarded)


def _routed(raw: str) -> Iterator[str]:
    """The path as an app gets it: as it stands, and decoded by a WSGI or an ASGI server."""
    yield raw
    octets = re.sub(rb"%([0-9A-Fa-f]{2})", lambda escape: bytes([int(escape[1], 16)]), raw.encode("utf-8", "replace"))
    yield EnvironRequest({"REQUEST_METHOD": "GET", "PATH_INFO": octets.decode("latin-1")}).route_path
    path = octets.decode("utf-8", "surrogateescape")
    yield ScopeRequest({"path": path, "headers": [], "root_path": ""}).route_path


def _below(path: str, entry: str) -> bool:
    return entry == "/" or path == entry or path.startswith(f"{entry}/")


def _is_exempt(path: str, entry: str) -> bool:
    return not path.strip("/") if entry == "/" else _below(path, entry)


def _readings(path: str) -> Iterator[str]:
    """The path, and all that it is turned into by one way of reading after the other.

    Matrix parameters, and then what trails the path, are cut off it as it came: nobody does so later.
    """
    plain = re.sub(";[^/]*", "", path)
    new = list({path, plain, path.rstrip(_TRAILING), plain.rstrip(_TRAILING)})
    seen = set(new)
    while new and len(seen) < _MOST_READINGS:
        current = new.pop()
        yield current
        for reading in _steps(current):
            if reading not in seen:
                seen.add(reading)
                new.append(reading)


def _steps(path: str) -> Iterator[str]:
    yield path.replace("\\", "/")
    yield re.sub("/+", "/", path)
    yield re.sub(r"/\.(?=/|$)", "", path) or "/"
    if not re.search(r"//|\\", path):
        # Open finding: who resolves dots before merging slashes, or takes a backslash for a letter. Then: always.
        yield remove_dot_segments(path) or "/"
