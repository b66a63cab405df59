"""A strict reader of `WWW-Authenticate` (RFC 9110 11.2, 11.6.1; RFC 6750 3; RFC 9449 7.1).

It takes less than the grammar allows: what real clients, some of which split at commas, read without trouble. Each scheme
once, each with at least one parameter, each parameter once and quoted, nothing that would need an escape.
"""

import re
from dataclasses import dataclass

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
#: RFC 6750 3: %x20-21 / %x23-5B / %x5D-7E, so that no quoted pair is ever needed.
_QUOTED = re.compile(r'"([\x20-\x21\x23-\x5B\x5D-\x7E]*)"')
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+(?: [\x21\x23-\x5B\x5D-\x7E]+)*")
_ERROR = re.compile(r"[a-z_]+")
_KNOWN = frozenset(
    {"realm", "error", "error_description", "scope", "algs", "acr_values", "max_age", "resource_metadata"}
)


@dataclass(frozen=True)
class Challenge:
    scheme: str
    parameters: dict[str, str]

    @property
    def error(self) -> str | None:
        return self.parameters.get("error")


class BadChallenge(ValueError):
    """Not what a strict client reads."""


def parse_challenges(value: str) -> list[Challenge]:
    """The challenges of one field value, in order."""
    found: list[Challenge] = []
    position = 0
    while True:
        scheme = _TOKEN.match(value, position)
        if scheme is None or value[scheme.end() : scheme.end() + 1] != " ":
            raise BadChallenge(f"no scheme with a parameter at {position} of {value!r}")
        parameters, position = _parameters(value, scheme.end() + 1)
        found.append(_checked(scheme[0], parameters))
        if position == len(value):
            break
        position += 2
    if len({challenge.scheme.lower() for challenge in found}) != len(found):
        raise BadChallenge(f"a scheme stands twice in {value!r}")
    return found


def _parameters(value: str, position: int) -> tuple[dict[str, str], int]:
    parameters: dict[str, str] = {}
    while True:
        name = _TOKEN.match(value, position)
        if name is None or value[name.end() : name.end() + 1] != "=":
            raise BadChallenge(f"no parameter at {position} of {value!r}")
        quoted = _QUOTED.match(value, name.end() + 1)
        if quoted is None:
            raise BadChallenge(f"no plain quoted value for {name[0]} in {value!r}")
        if name[0].lower() in parameters:
            raise BadChallenge(f"{name[0]} stands twice in {value!r}")
        parameters[name[0].lower()] = quoted[1]
        position = quoted.end()
        if position == len(value):
            return parameters, position
        if value[position : position + 2] != ", ":
            raise BadChallenge(f"no comma at {position} of {value!r}")
        following = _TOKEN.match(value, position + 2)
        if following is not None and value[following.end() : following.end() + 1] == " ":
            return parameters, position
        position += 2


def _checked(scheme: str, parameters: dict[str, str]) -> Challenge:
    if unknown := set(parameters) - _KNOWN:
        raise BadChallenge(f"parameters that no RFC names here: {unknown}")
    if not _ERROR.fullmatch(parameters.get("error", "none")):
        raise BadChallenge(f"no error code: {parameters['error']!r}")
    for name in ("scope", "algs", "acr_values"):
        if name in parameters and not _SCOPE.fullmatch(parameters[name]):
            raise BadChallenge(f"{name} is no list of words with one space between them: {parameters[name]!r}")
    if not parameters.get("max_age", "0").isdecimal():
        raise BadChallenge("max_age is no non-negative integer (RFC 9470 3)")
    if not parameters.get("resource_metadata", "https://x/").startswith(("https://", "http://")):
        raise BadChallenge("resource_metadata is no absolute URL (RFC 9728 5.1)")
    return Challenge(scheme, parameters)
