"""Cedar policies over tokens and routes, with Cedar's own engine: what they see, and that doubt refuses."""

from pathlib import Path
from typing import Any

import pytest

from strongdm_auth import AccessDenied, AccessToken, ConfigurationError, Request, Requirement
from strongdm_auth.cedar import CedarPolicies
from strongdm_auth.request import ScopeRequest
from strongdm_auth.testing import SigningKey
from strongdm_auth.tokens import read_actors
from tests.conftest import request

from .world import ALPHA, ISSUER, World

EXAMPLE = Path(__file__).parents[2] / "examples" / "fastapi_app" / "policies.cedar"
NOTES = 'permit(principal, action, resource in Path::"/notes");'


def token(**made: Any) -> AccessToken:
    act = made.pop("act", None)
    chain = read_actors(act)
    honest: dict[str, Any] = {"subject": "cli_a", "issuer": ALPHA, "realm": "alpha", "client_id": "cli_a"}
    return AccessToken(**honest | made, delegation=chain, actor=chain[0] if chain else None)


def permitted(
    policies: str, asked: AccessToken | None = None, path: str = "/notes/7", method: str = "GET", **kept: Any
) -> bool:
    hook = CedarPolicies(policies, **kept)
    return hook(asked or token(), Request(method, f"https://api.example.com{path}", {}), Requirement(scopes="read"))


def when(condition: str) -> str:
    return f"permit(principal, action, resource) when {{ {condition} }};"


def test_what_no_policy_permits_is_refused() -> None:
    assert not permitted("")
    assert not permitted('permit(principal == Agent::"alpha/cli_b", action, resource);')
    assert permitted('permit(principal == Agent::"alpha/cli_a", action, resource);')


def test_a_forbid_beats_every_permit() -> None:
    both = 'permit(principal, action, resource); forbid(principal, action == Action::"DELETE", resource);'
    assert permitted(both)
    assert not permitted(both, method="DELETE")


@pytest.mark.parametrize(
    ("realm", "subject", "name", "same"),
    [
        ("alpha", "cli_a", "alpha/cli_a", True),
        ("beta", "cli_a", "alpha/cli_a", False),
        (None, "cli_a", "/cli_a", True),
        (None, "alpha/cli_a", "alpha/cli_a", False),  # a subject of the base issuer that would pass for a realm's
        ("alpha", 'cli_a" || true', 'alpha/cli_a" || true', False),
    ],
)
def test_a_name_is_somebody_s_in_one_realm_only(realm: str | None, subject: str, name: str, same: bool) -> None:
    written = name.replace('"', "")
    found = permitted(
        f'permit(principal == Agent::"{written}", action, resource);', token(realm=realm, subject=subject)
    )
    assert found == same


@pytest.mark.parametrize(
    ("condition", "made", "expected"),
    [
        ('principal in Realm::"alpha"', {}, True),
        ('principal in Realm::"alpha"', {"realm": "beta"}, False),
        ('principal in Realm::"alpha"', {"realm": None}, False),
        ('principal.scopes.contains("read")', {"scopes": frozenset({"read", "x"})}, True),
        ('principal.scopes.contains("read")', {"scopes": frozenset({"readx"})}, False),
        ("principal.scopes.containsAll(context.scopes_needed)", {"scopes": frozenset({"read"})}, True),
        ("principal.bound", {"key_thumbprint": "x"}, True),
        ("principal.bound", {}, False),
        ('principal has actor && principal.actor == "cli_s"', {"act": {"sub": "cli_s", "act": {"sub": "b"}}}, True),
        ('principal has actor && principal.actor == "b"', {"act": {"sub": "cli_s", "act": {"sub": "b"}}}, False),
        ("principal has actor", {}, False),
        ('principal.actors.contains("b") && principal.depth == 2', {"act": {"sub": "a", "act": {"sub": "b"}}}, True),
        ('principal.actor == "?"', {"act": "malformed"}, True),
        (f'principal.issuer == "{ALPHA}"', {}, True),
        ('principal.subject == "cli_a"', {}, True),
        ('principal has client_id && principal.client_id == "cli_a"', {}, True),
        ("principal has client_id", {"client_id": None}, False),
        ("principal has realm", {"realm": None, "issuer": ISSUER}, False),
        ('principal.audience.contains("x")', {"audience": ("x", "y")}, True),
        ("principal.introspected", {"introspected": True}, True),
        ("principal.introspected", {}, False),
    ],
)
def test_policies_see_the_token(condition: str, made: dict[str, Any], expected: bool) -> None:
    assert permitted(when(condition), token(**made)) == expected


@pytest.mark.parametrize(
    ("path", "below"),
    [
        ("/notes", True),
        ("/notes/", True),
        ("/notes/7", True),
        ("/notes/7/lines?x=1", True),
        ("/notes/a%20b", True),
        ("/n%6Ftes/7", True),
        ("/notesx", False),
        ("/", False),
        ("/admin/notes", False),
        # What two readers may read as two paths is refused, whatever a policy says.
        ("/notes/../admin", False),
        ("/notes/%2e%2e/admin", False),
        ("/notes/./7", False),
        ("/notes//7", False),
        ("//notes/7", False),
        ("/notes%2f7", False),
        ("/notes%2F..%2Fadmin", False),
        ("/notes\\7", False),
        ("/notes/%5c7", False),
        ("/notes/%252e", False),
        ("/notes/%ff", False),
        # A router whose pattern ends in `$` lets a newline follow; parameters and controls are cut off by some.
        ("/notes%0a", False),
        ("/notes/7%00", False),
        ("/notes;x=1", False),
        ("/notes/7%3bx", False),
        # Each step of it costs Cedar an entity.
        ("/notes" + "/a" * 63, True),
        ("/notes" + "/a" * 64, False),
        ("/notes/" + "a" * 1_017, True),
        ("/notes/" + "a" * 1_018, False),
    ],
)
def test_paths_are_what_they_lie_below(path: str, below: bool) -> None:
    assert permitted(NOTES, path=path) == below


@pytest.mark.parametrize("path", ["/notes/../admin", "//", "/a//b", "/%2e%2e"])
def test_a_path_in_doubt_is_refused_even_where_all_is_permitted(path: str) -> None:
    assert permitted("permit(principal, action, resource);")
    assert not permitted("permit(principal, action, resource);", path=path)
    assert permitted("permit(principal, action, resource);", path="/")


def test_a_forbid_that_cannot_be_judged_refuses(caplog: pytest.LogCaptureFixture) -> None:
    """Cedar skips a policy that ends in an error; a `forbid` that is skipped forbids nothing."""
    skipped = (
        'permit(principal, action, resource); forbid(principal, action, resource) when { principal.actor == "x" };'
    )
    assert not permitted(skipped)
    assert permitted(skipped, token(act={"sub": "y"}))
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_groups_come_with_entities() -> None:
    uid = {"type": "Path", "id": "/notes/7"}
    group = [{"uid": {"type": "Group", "id": "x"}, "attrs": {"open": True}, "parents": []}]
    assert permitted('permit(principal, action, resource) when { Group::"x".open };', entities=group)
    with pytest.raises(ConfigurationError, match="entities"):
        CedarPolicies(NOTES, entities=[{"uid": uid, "attrs": object()}])


@pytest.mark.parametrize("text", ["permit(", "allow(principal, action, resource);"])
def test_policies_that_cannot_be_read_are_a_mistake_at_start_up(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Cedar"):
        CedarPolicies(text)
    with pytest.raises(ConfigurationError, match="Cedar"):
        CedarPolicies.load(tmp_path / "not-there.cedar")


def test_as_the_setting_it_refuses_with_403(world: World, key: SigningKey) -> None:
    world.publish(key)
    verifier = world.verifier(authorize=CedarPolicies(NOTES))
    with pytest.raises(AccessDenied) as caught:
        verifier.authorize(request(world.token(key)), Requirement())
    assert caught.value.reason == "policy.refused"
    assert verifier.authorize(request(world.token(key), url="https://api.example.com/notes/7"), Requirement())


@pytest.mark.parametrize(
    ("made", "method", "path", "expected"),
    [
        ({"realm": "acme"}, "GET", "/protected", True),
        ({"realm": "globex"}, "GET", "/protected", False),
        ({"realm": "globex", "key_thumbprint": "x"}, "POST", "/protected", True),
        ({"realm": "acme"}, "POST", "/protected", False),
        ({"realm": "acme"}, "GET", "/admin", True),
        ({"realm": "acme", "act": {"sub": "cli_s"}}, "GET", "/admin", False),
        ({"realm": "acme", "act": {"sub": "cli_s"}}, "GET", "/delegated", True),
    ],
)
def test_the_policies_of_the_example(made: dict[str, Any], method: str, path: str, expected: bool) -> None:
    made["issuer"] = f"{ISSUER}/realms/{made['realm']}"
    assert permitted(EXAMPLE.read_text(), token(**made), path, method) == expected


@pytest.mark.parametrize("shut", ["/api/secret", "/secret"])
@pytest.mark.parametrize(
    ("path", "root_path", "by_the_whole", "by_its_own"),
    [
        ("/secret", "", True, False),
        ("/api/secret", "", False, True),
        # One view, and two paths that lead to it: with the mount, and without.
        ("/api/secret", "/api", False, False),
        ("/secret", "/api", False, False),
        ("/secret", "/api/", False, False),
        ("/other", "/api", True, True),
        ("/apix/secret", "/api", True, True),
    ],
)
def test_a_view_below_a_mount_is_judged_by_both_its_paths(
    shut: str, path: str, root_path: str, by_the_whole: bool, by_its_own: bool
) -> None:
    policies = f'permit(principal, action, resource); forbid(principal, action, resource in Path::"{shut}");'
    scope = {"type": "http", "method": "GET", "path": path, "root_path": root_path, "headers": []}
    permitted = CedarPolicies(policies)(token(), ScopeRequest(scope), Requirement())
    assert permitted == (by_the_whole if shut == "/api/secret" else by_its_own)


@pytest.mark.parametrize("method", ["delete", "Delete", "get"])
def test_a_method_that_some_frameworks_take_for_another_is_refused(method: str) -> None:
    """RFC 9110 9.1: methods are case-sensitive; werkzeug and Django think otherwise."""
    assert not permitted("permit(principal, action, resource);", method=method)
    assert permitted("permit(principal, action, resource);", method=method.upper())


@pytest.mark.parametrize("spelled", [lambda uid: uid, lambda uid: {"__entity": uid}])
def test_an_agent_and_a_path_may_be_in_groups(spelled: Any, caplog: pytest.LogCaptureFixture) -> None:
    agent, path = {"type": "Agent", "id": "alpha/cli_a"}, {"type": "Path", "id": "/notes/7"}
    ops, shut = {"type": "Group", "id": "ops"}, {"type": "Group", "id": "shut"}
    lies = {"scopes": ["admin"], "team": "blue"}
    entities = [{"uid": spelled(agent), "attrs": lies, "parents": [ops]}, {"uid": spelled(path), "parents": [shut]}]
    assert permitted('permit(principal in Group::"ops", action, resource);', entities=entities)
    assert permitted('permit(principal in Realm::"alpha", action, resource in Path::"/notes");', entities=entities)
    assert permitted('permit(principal, action, resource in Group::"shut");', entities=entities)
    assert permitted(when('principal.team == "blue"'), entities=entities)
    assert not permitted(when('principal.scopes.contains("admin")'), entities=entities), "what the token says counts"
    assert not permitted('permit(principal in Group::"ops", action, resource);', token(subject="b"), entities=entities)
    assert not caplog.records


def test_the_log_of_a_policy_that_fails_says_nothing_of_agents_and_groups(caplog: pytest.LogCaptureFixture) -> None:
    """Cedar's own words may hold every entity of the deployment, and a name that a client chose."""
    entities = [{"uid": {"type": "Group", "id": "secret-group"}}]
    assert not permitted(when("principal.nothing"), token(subject="eve-the-agent"), entities=entities)
    assert [record.getMessage() for record in caplog.records] == [
        "refused: 1 Cedar policies or entities could not be judged"
    ]
