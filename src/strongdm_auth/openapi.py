"""Completing an OpenAPI document: the scopes that requirements name, and the 401 and 403 answers. No framework imported."""

from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from itertools import product
from typing import Any

from .requirement import Requirement

#: Alternatives written out for one operation at the most; more choices than that are left to the text.
MOST_ALTERNATIVES = 16

_ANSWERS = {
    "401": "No valid access token: the challenge in WWW-Authenticate says what is needed",
    "403": "The access token does not suffice here: the challenge names the scopes that do",
}
_ERROR = {"type": "object", "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}}}
_CHALLENGE = {"WWW-Authenticate": {"schema": {"type": "string"}}}


def complete(
    document: dict[str, Any], routes: Iterable[Any], scheme: str, needs: Callable[[Any], Iterator[Requirement]]
) -> None:
    """Add to the operations under `scheme` what their dependencies ask for; words of the application's own stay.

    `needs` gives the requirements of a route's dependant.
    """
    required: dict[tuple[str, str], Requirement] = {}
    for route in routes:
        requirement = reduce(Requirement.__and__, needs(route.dependant), Requirement())
        required |= {(route.path_format, method.lower()): requirement for method in route.methods or ()}
    named: set[str] = set()
    for path, operations in document.get("paths", {}).items():
        for method, operation in operations.items():
            if isinstance(operation, dict) and any(scheme in one for one in operation.get("security", ())):
                named |= _ask(operation, required.get((path, method), Requirement()), scheme)
                _answer(operation)
    flows = document.get("components", {}).get("securitySchemes", {}).get(scheme, {}).get("flows", {})
    for flow in flows.values():
        for name in sorted(named):
            flow["scopes"].setdefault(name, "")


def _ask(operation: dict[str, Any], required: Requirement, scheme: str) -> set[str]:
    """One entry of `security` for each way to have the scopes (OpenAPI 3.1, 4.8.30); returns every scope named."""
    ours = [one for one in operation["security"] if scheme in one]
    scopes = required.scopes.union(*(one[scheme] for one in ours))
    choices = [sorted(group) for group in sorted(required.any_scope, key=sorted) if group.isdisjoint(scopes)]
    ways = list(product(*choices))
    if len(ways) > MOST_ALTERNATIVES:
        ways = [()]
    alternatives = [{**ours[0], scheme: sorted(scopes.union(way))} for way in ways]
    operation["security"] = [one for one in operation["security"] if scheme not in one] + alternatives
    return set(scopes).union(*required.any_scope)


def _answer(operation: dict[str, Any]) -> None:
    for status, description in _ANSWERS.items():
        content = {"application/json": {"schema": _ERROR}}
        operation["responses"].setdefault(
            status, {"description": description, "headers": _CHALLENGE, "content": content}
        )
