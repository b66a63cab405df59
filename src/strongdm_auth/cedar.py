"""Cedar policies, judged in this process: `authorize=CedarPolicies.load("policies.cedar")`. Needs the extra `cedar`.

    permit(principal in Realm::"alpha", action == Action::"GET", resource in Path::"/notes")
    when { principal.scopes.contains("notes:read") && principal.bound };

principal   `Agent::"alpha/cli_a"`: the realm and the token's subject (`Agent::"/cli_a"`, of the base issuer), since the same
            name in another realm is somebody else; in `Realm::"alpha"`. Attributes: `subject`, `issuer`, `scopes`,
            `audience`, `bound`, `introspected`, `actors` (a set of names), `depth`; and `realm`, `client_id`, `actor` (who acts
            now), where the token has them: ask `principal has actor` first.
action      `Action::"GET"`
resource    `Path::"/notes/7"`, in `Path::"/notes"` and in `Path::"/"`. Where the app has a mount (`root_path`), the path is
            judged twice, with it and without: both must be permitted. Attribute `route` where the framework tells.
context     `scopes_needed`, what the route asks

What no policy permits is refused, and so is what a policy cannot judge: Cedar skips a `forbid` that ends in an error.
"""

import json
import logging
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from .errors import ConfigurationError
from .request import Request
from .requirement import Requirement
from .tokens import AccessToken

try:
    import cedarpy
except ImportError as fault:
    raise ConfigurationError("Cedar policies need the package cedarpy: pip install 'strongdm-auth[cedar]'") from fault

_log = logging.getLogger("strongdm_auth.cedar")

#: A path that is longer, or deeper, is refused: Cedar is told of each step of it.
LONGEST_PATH = 1_024
DEEPEST_PATH = 64
#: What routers and servers read in different ways: control characters, which a `$` in a router's pattern lets follow; the
#: parameters behind `;`, which some cut off; `\\`, which some take for a slash; and what was escaped twice.
_IN_DOUBT = re.compile(r"[\x00-\x1f\x7f;\\%]|^//|^[^/]")

Entity = dict[str, str]


class CedarPolicies:
    """A hook for the setting `authorize`: whether a set of policies permits the request.

    Args:
        policies: their text.
        entities: more of them, in Cedar's JSON format, for policies that speak of groups of agents or of paths.

    Raises:
        ConfigurationError: they cannot be read; at start-up.
    """

    def __init__(self, policies: str, *, entities: list[dict[str, Any]] | None = None) -> None:
        try:
            given = [{"attrs": {}, "parents": [], **entity} for entity in entities or []]
            self._policies = cedarpy.PolicySet.from_str(policies)
            cedarpy.Entities.from_json_str(json.dumps(given))
            self._entities = {_uid(entity): entity for entity in given}
        except (ValueError, TypeError, KeyError) as problem:
            raise ConfigurationError(f"the Cedar policies or entities cannot be read: {problem}") from None

    @classmethod
    def load(cls, path: str | Path, *, entities: list[dict[str, Any]] | None = None) -> "CedarPolicies":
        """The policies of a file. Raises ConfigurationError where there is none."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError) as problem:
            raise ConfigurationError(f"the Cedar policies cannot be read: {problem}") from None
        return cls(text, entities=entities)

    def __call__(self, token: AccessToken, request: Request, requirement: Requirement) -> bool:
        """Whether it is permitted."""
        path = _plain(request.path)
        # A framework may read another path than policies would, and some take `delete` for DELETE (RFC 9110 9.1: they are two).
        if path is None or request.method != request.method.upper():
            return False
        names = _names(path, request.mount.rstrip("/"))
        return all(self._permit(token, request, requirement, name) for name in names)

    def _permit(self, token: AccessToken, request: Request, requirement: Requirement, path: str) -> bool:
        principal, resource = _entity("Agent", f"{token.realm or ''}/{token.subject or ''}"), _entity("Path", path)
        asked = {
            "principal": principal,
            "action": _entity("Action", request.method),
            "resource": resource,
            "context": {"scopes_needed": list(requirement.scope_names())},
        }
        entities = self._with(_agent(principal, token), _path(resource, path, request.route))
        found = cedarpy.is_authorized(asked, self._policies, entities)
        if found.diagnostics.errors:
            _log.error("refused: %d Cedar policies or entities could not be judged", len(found.diagnostics.errors))
            return False
        return found.allowed

    def _with(self, *asked: dict[str, Any]) -> list[dict[str, Any]]:
        """All entities; where one was given for who asks, or for what, its groups count, and what we know ourselves."""
        all_of_them = dict(self._entities)
        for entity in asked:
            there = all_of_them.get(_uid(entity), {})
            parents = [*entity["parents"], *there.get("parents", ())]
            all_of_them[_uid(entity)] = {
                **entity,
                "attrs": {**there.get("attrs", {}), **entity["attrs"]},
                "parents": parents,
            }
        return list(all_of_them.values())


def _uid(entity: dict[str, Any]) -> tuple[str, str]:
    """Cedar's JSON has two spellings of it."""
    uid = entity["uid"]
    uid = uid.get("__entity", uid)
    return uid["type"], uid["id"]


def _entity(kind: str, name: str) -> Entity:
    return {"type": kind, "id": name}


def _agent(principal: Entity, token: AccessToken) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "subject": token.subject or "",
        "issuer": token.issuer,
        "scopes": sorted(token.scopes),
        "audience": list(token.audience),
        "bound": token.bound,
        "svid": token.svid,
        "introspected": token.introspected,
        "actors": [actor.subject or "?" for actor in token.delegation],
        "depth": len(token.delegation),
    }
    if token.realm is not None:
        attributes["realm"] = token.realm
    if token.client_id is not None:
        attributes["client_id"] = token.client_id
    if token.actor is not None:
        attributes["actor"] = token.actor.subject or "?"
    parents = [] if token.realm is None else [_entity("Realm", token.realm)]
    return {"uid": principal, "attrs": attributes, "parents": parents}


def _path(resource: Entity, path: str, route: str | None) -> dict[str, Any]:
    """A path, and every path that it lies below."""
    steps = path.strip("/").split("/")
    parents = ["/"] if path != "/" else []
    parents += ["/" + "/".join(steps[:count]) for count in range(1, len(steps))]
    return {
        "uid": resource,
        "attrs": {} if route is None else {"route": route},
        "parents": [_entity("Path", parent) for parent in parents],
    }


def _names(path: str, mount: str) -> set[str]:
    """The paths that lead to the same view: an app with a mount takes it off, and does without where it is not there."""
    if not mount:
        return {path}
    if path == mount or path.startswith(f"{mount}/"):
        return {path, path.removeprefix(mount) or "/"}
    return {path, mount + path}


def _plain(path: str) -> str | None:
    """A path, decoded, without a slash at its end; None for one that can be read in several ways."""
    if len(path) > LONGEST_PATH or "%2f" in path.lower():
        return None
    try:
        plain = unquote(path, errors="strict")
    except UnicodeDecodeError:
        return None
    if _IN_DOUBT.search(plain):
        return None
    below = plain[1:].removesuffix("/")
    steps = below.split("/") if below else []
    return "/" + below if len(steps) <= DEEPEST_PATH and {"", ".", ".."}.isdisjoint(steps) else None
