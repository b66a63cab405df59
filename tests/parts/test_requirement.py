"""What a route asks of a token: how its parts are read, what is no requirement, what each refuses, and in which order."""

import json
from typing import Any

import pytest

from strongdm_auth import AccessToken, ConfigurationError, Delegation, Refused, Requirement
from strongdm_auth.requirement import ANY_TOKEN
from tests.conftest import NOW

from .world import ALPHA


def token(*scopes: str, bound: bool = False, realm: str | None = "alpha", **claims: Any) -> AccessToken:
    return AccessToken(
        subject="agent",
        issuer=ALPHA,
        realm=realm,
        scopes=frozenset(scopes),
        key_thumbprint="t" * 43 if bound else None,
        _payload=json.dumps(claims),
    )


def verdict(requirement: Requirement, asked: AccessToken, leeway: float = 0) -> str:
    try:
        requirement.check(asked, NOW, leeway)
    except Refused as refusal:
        return refusal.reason
    return "let in"


# How parts are read


@pytest.mark.parametrize("scopes", ["a b", " a  b ", ["a", "b"], ("b", "a", "a"), {"a", "b"}])
def test_scopes_are_names_in_a_text_or_a_list(scopes: Any) -> None:
    assert Requirement(scopes) == Requirement(scopes=["a", "b"])
    assert Requirement(scopes).scope_names() == ("a", "b")


@pytest.mark.parametrize(
    ("any_scope", "groups"),
    [
        ((), []),
        ("", []),
        ("a b", [{"a", "b"}]),
        (["a", "b"], [{"a", "b"}]),
        ([["a", "b"], ["c"]], [{"a", "b"}, {"c"}]),
        (["a b"], None),
        ([["a", "b"], "c"], None),
        (["c", ["a", "b"]], None),
        ([["a"], []], None),
        ([[]], None),
        ([7], None),
        ([["a", 7]], None),
    ],
)
def test_any_scope_is_one_group_or_several_and_none_is_empty(any_scope: Any, groups: list[set[str]] | None) -> None:
    if groups is None:
        with pytest.raises((ConfigurationError, TypeError)):
            Requirement(any_scope=any_scope)
    else:
        assert Requirement(any_scope=any_scope).any_scope == frozenset(frozenset(group) for group in groups)


def test_groups_are_texts_too() -> None:
    """`["a b", "c d"]` would be names with spaces in them; as groups they are lists."""
    assert Requirement(any_scope=[["a", "b"], ("c", "d")]).scope_names() == ("a", "b", "c", "d")


@pytest.mark.parametrize("part", ["scopes", "any_scope", "acr"])
@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\x7fb", "a\nb", "é", "", "a b", 7, None])
def test_a_name_that_a_challenge_could_not_carry_is_a_mistake(part: str, name: Any) -> None:
    """RFC 6749 3.3, RFC 6750 3: it goes into a header as it is."""
    with pytest.raises(ConfigurationError):
        Requirement(**{part: ["good", name]})


@pytest.mark.parametrize("max_age", [-1, 1.5, "300", True])
def test_max_age_is_a_whole_number(max_age: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_age"):
        Requirement(max_age=max_age)


@pytest.mark.parametrize("delegation", [True, {}, "cli_a", Requirement()])
def test_delegation_is_a_delegation(delegation: Any) -> None:
    with pytest.raises(ConfigurationError, match="delegation must be a Delegation"):
        Requirement(delegation=delegation)


def test_one_realm_is_its_name_and_not_its_letters() -> None:
    assert Requirement(realms="alpha").realms == Requirement(realms=["alpha"]).realms == {"alpha"}
    assert Requirement().realms is None
    assert Requirement(realms=()).realms == frozenset(), "nobody's, which is not anybody's"


def test_switches_are_switches() -> None:
    on, off = Requirement(dpop=1, introspect=1, optional=1), Requirement()  # type: ignore[arg-type]
    assert on.dpop is on.introspect is on.optional is True
    assert (off.dpop, off.introspect, off.optional, off.acr, off.max_age) == (False, False, False, None, None)


def test_acr_values_keep_their_order() -> None:
    """RFC 9470 4: in order of preference."""
    assert Requirement(acr="gold silver gold").acr == ("gold", "silver")
    assert (Requirement(acr="gold silver bronze") & Requirement(acr="bronze gold")).acr == ("gold", "bronze")


# What each refuses


@pytest.mark.parametrize(
    ("requirement", "asked", "reason"),
    [
        (Requirement("a b"), token("a", "b", "c"), "let in"),
        (Requirement("a b"), token("a"), "scope.insufficient"),
        (Requirement(any_scope="a b"), token("b"), "let in"),
        (Requirement(any_scope="a b"), token("c"), "scope.insufficient"),
        (Requirement(any_scope=[["a"], ["b", "c"]]), token("a", "c"), "let in"),
        (Requirement(any_scope=[["a"], ["b", "c"]]), token("a"), "scope.insufficient"),
        (Requirement(dpop=True), token(bound=True), "let in"),
        (Requirement(dpop=True), token(), "token.unbound"),
        (Requirement(realms="alpha"), token(), "let in"),
        (Requirement(realms="beta"), token(), "realm.not_admitted"),
        (Requirement(realms="alpha"), token(realm=None), "realm.not_admitted"),
        (Requirement(realms=()), token(), "realm.not_admitted"),
        (Requirement(delegation=Delegation()), token(), "delegation.missing"),
        (Requirement(delegation=Delegation(forbid=True)), token(), "let in"),
        (Requirement(acr="gold silver"), token(acr="silver"), "let in"),
        (Requirement(acr="gold silver"), token(acr="gold silver"), "step_up.acr"),
        (Requirement(acr="gold"), token(), "step_up.acr"),
        (Requirement(acr=()), token(acr="gold"), "step_up.acr"),
        (Requirement(max_age=0), token(auth_time=NOW), "let in"),
        (Requirement(max_age=0), token(auth_time=NOW - 1), "step_up.max_age"),
        (Requirement(max_age=0), token(), "step_up.max_age"),
        (Requirement(max_age=10), token(auth_time="1800000000"), "step_up.max_age"),
        (Requirement(max_age=2_000_000_000), token(auth_time=1), "let in"),
        (Requirement(max_age=2_000_000_000), token(auth_time=True), "step_up.max_age"),
        (ANY_TOKEN, token(), "let in"),
    ],
    ids=str,
)
def test_what_a_part_refuses(requirement: Requirement, asked: AccessToken, reason: str) -> None:
    assert verdict(requirement, asked) == reason


@pytest.mark.parametrize(
    ("age", "reason"), [(310, "let in"), (310.001, "step_up.max_age"), (-10, "let in"), (-10.001, "step_up.max_age")]
)
def test_the_age_of_an_authentication_counts_with_the_leeway_on_both_sides(age: float, reason: str) -> None:
    assert verdict(Requirement(max_age=300), token(auth_time=NOW - age), leeway=10) == reason


def test_what_a_better_token_could_mend_is_told_before_what_a_scope_could() -> None:
    """A client that is told of a scope first would ask for it in vain."""
    asked, missing = Requirement("a", dpop=True, realms="beta", acr="gold", max_age=1), []
    for mended in (
        token(),
        token(bound=True),
        token(bound=True, realm="beta"),
        token(bound=True, realm="beta", acr="gold"),
        token(bound=True, realm="beta", acr="gold", auth_time=NOW),
        token("a", bound=True, realm="beta", acr="gold", auth_time=NOW),
    ):
        missing.append(verdict(asked, mended))
    assert missing == [
        "token.unbound",
        "realm.not_admitted",
        "step_up.acr",
        "step_up.max_age",
        "scope.insufficient",
        "let in",
    ]


# Two at once


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        (Requirement("a"), Requirement("b"), Requirement("a b")),
        (Requirement(any_scope="a b"), Requirement(any_scope="c"), Requirement(any_scope=[["a", "b"], ["c"]])),
        (Requirement(dpop=True), Requirement(), Requirement(dpop=True)),
        (Requirement(introspect=True), Requirement(), Requirement(introspect=True)),
        (Requirement(optional=True), Requirement(), Requirement()),
        (Requirement(optional=True), Requirement(optional=True), Requirement(optional=True)),
        (Requirement(realms=["a", "b"]), Requirement(realms=["b", "c"]), Requirement(realms="b")),
        (Requirement(realms="a"), Requirement(realms="b"), Requirement(realms=())),
        (Requirement(realms="a"), Requirement(), Requirement(realms="a")),
        (Requirement(acr="x y"), Requirement(acr="y z"), Requirement(acr="y")),
        (Requirement(acr="x"), Requirement(acr="z"), Requirement(acr=())),
        (Requirement(acr="x"), Requirement(), Requirement(acr="x")),
        (Requirement(max_age=0), Requirement(max_age=300), Requirement(max_age=0)),
        (Requirement(max_age=300), Requirement(), Requirement(max_age=300)),
        (
            Requirement(delegation=Delegation(required=False)),
            Requirement(delegation=Delegation(max_depth=2)),
            Requirement(delegation=Delegation(max_depth=2)),
        ),
        (Requirement(delegation=Delegation()), Requirement(), Requirement(delegation=Delegation())),
    ],
    ids=str,
)
def test_both_at_once_is_the_stricter_of_each(first: Requirement, second: Requirement, both: Requirement) -> None:
    assert first & second == both
    assert second & first == both


@pytest.mark.parametrize("other", [None, True, {}, "read", Delegation()])
def test_a_requirement_goes_together_with_requirements_only(other: Any) -> None:
    with pytest.raises(TypeError):
        Requirement() & other
