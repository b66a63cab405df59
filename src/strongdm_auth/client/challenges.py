"""Reading what a server asks for: `WWW-Authenticate` (RFC 9110 11.6.1), as it comes, in one line or in several.

Whatever cannot be read is skipped: a malformed challenge must not make an agent fail that only wanted to know why it was
refused. What a challenge asks for decides only between answers that are safe anyway.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

#: Longer values are not read: an honest one with three challenges has a few hundred characters.
MOST_CHARACTERS = 8_192

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf'({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))', re.DOTALL)
_SCHEME = re.compile(rf"({_TOKEN})(?:[ \t]+|(?=,)|$)")
_BETWEEN = re.compile(r"[ \t,]*")
_UP_TO_COMMA = re.compile(r"[^,]*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class Challenge(NamedTuple):
    """One scheme, in lower case, and its parameters, their names in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def read_challenges(values: Iterable[str]) -> list[Challenge]:
    """All challenges of an answer, in order; those that cannot be read are left out."""
    return [challenge for value in values if len(value) <= MOST_CHARACTERS for challenge in _read(value)]


def _read(value: str) -> list[Challenge]:
    found: list[tuple[str, dict[str, str]]] = []
    at = 0
    while at < len(value):
        at = _end(_BETWEEN, value, at)
        parameter = _PARAMETER.match(value, at)
        if parameter is not None and found:
            name, quoted, plain = parameter.groups()
            # The first counts where a name stands twice: nobody gets to add to what the server said first.
            found[-1][1].setdefault(name.lower(), _ESCAPE.sub(r"\1", quoted) if quoted is not None else plain)
            at = parameter.end()
        elif parameter is None and (scheme := _SCHEME.match(value, at)) is not None:
            found.append((scheme[1].lower(), {}))
            at = scheme.end()
        else:
            at = max(_end(_UP_TO_COMMA, value, at), at + 1)
    return [Challenge(scheme, MappingProxyType(parameters)) for scheme, parameters in found]


def _end(pattern: re.Pattern[str], value: str, at: int) -> int:
    match = pattern.match(value, at)
    return at if match is None else match.end()
