"""A route's policy on delegation (RFC 8693 4.1): who may act for whom, how deep, and what is no policy at all."""

from collections.abc import Iterable
from typing import Any

import pytest

from strongdm_auth import AccessDenied, AccessToken, ConfigurationError, Delegation
from strongdm_auth.tokens import MOST_ACTORS, read_actors

from .world import ALPHA


def token(*actors: object, subject: str | None = "user_ann") -> AccessToken:
    """A token of `user_ann` with these actors, outermost first; one that is no str stands as it is."""
    act: Any = None
    for actor in reversed(actors):
        act = {"sub": actor} | ({"act": act} if act is not None else {}) if isinstance(actor, str) else actor
    chain = read_actors(act)
    return AccessToken(subject=subject, issuer=ALPHA, delegation=chain, actor=chain[0] if chain else None)


def verdict(policy: Delegation, asked: AccessToken) -> str:
    try:
        policy.check(asked)
    except AccessDenied as refusal:
        return refusal.reason
    return "let in"


@pytest.mark.parametrize(
    ("policy", "direct", "delegated"),
    [
        (Delegation(), "delegation.missing", "let in"),
        (Delegation(required=False), "let in", "let in"),
        (Delegation(forbid=True), "let in", "delegation.forbidden"),
        (Delegation(forbid=True, required=True), "let in", "delegation.forbidden"),
        (Delegation() & Delegation(forbid=True), "delegation.missing", "delegation.forbidden"),
        (Delegation(required=False) & Delegation(), "delegation.missing", "let in"),
    ],
)
def test_delegation_is_asked_for_allowed_or_forbidden(policy: Delegation, direct: str, delegated: str) -> None:
    assert (verdict(policy, token()), verdict(policy, token("cli_a"))) == (direct, delegated)


@pytest.mark.parametrize("most", [1, 2, 3, MOST_ACTORS])
def test_a_chain_may_be_as_long_as_the_policy_says(most: int) -> None:
    policy, names = Delegation(max_depth=most), [f"agent_{number}" for number in range(MOST_ACTORS + 1)]
    assert verdict(policy, token(*names[:most])) == "let in"
    reason = "delegation.too_deep" if most < MOST_ACTORS else "delegation.malformed"  # cut off, and so not to be told
    assert verdict(policy, token(*names[: most + 1])) == reason


def test_both_policies_depths_count() -> None:
    for policy in (
        Delegation(max_depth=1) & Delegation(max_depth=3),
        Delegation(max_depth=3) & Delegation(max_depth=1),
    ):
        assert verdict(policy, token("a", "b")) == "delegation.too_deep"


@pytest.mark.parametrize(
    ("allowed", "name", "reason"),
    [
        (None, "cli_a", "let in"),
        ((), "cli_a", "delegation.actor"),
        ("cli_a", "cli_a", "let in"),
        ("cli_a", "c", "delegation.actor"),  # one name, not its letters
        (["cli_b", "cli_a"], "cli_a", "let in"),
        (["cli_*"], "cli_", "let in"),
        (["cli_*"], "xcli_a", "delegation.actor"),
        (["cli_?"], "cli_a", "let in"),
        (["cli_?"], "cli_ab", "delegation.actor"),
        (["cli_?"], "cli_", "delegation.actor"),
        (["cli_a"], "CLI_A", "delegation.actor"),
        (["cli_a"], "cli_a\n", "delegation.actor"),
        (["*"], "cli\na", "let in"),
        (["cli.a"], "cli-a", "delegation.actor"),
        (["cli_a"], None, "delegation.malformed"),
        (["*"], None, "delegation.malformed"),
    ],
)
def test_the_outermost_actor_must_be_one_of_those_allowed(
    allowed: str | Iterable[str] | None, name: str | None, reason: str
) -> None:
    asked = token(name if name is not None else {"iss": ALPHA})
    assert verdict(Delegation(allowed_actors=allowed), asked) == reason


def test_only_the_outermost_actor_decides() -> None:
    """RFC 8693 4.1: the ones before it are information."""
    policy = Delegation(allowed_actors="cli_good")
    assert verdict(policy, token("cli_good", "cli_bad")) == "let in"
    assert verdict(policy, token("cli_bad", "cli_good")) == "delegation.actor"


@pytest.mark.parametrize(
    ("allowed", "subject", "reason"),
    [
        ("user_*", "user_ann", "let in"),
        ("user_*", "cli_user_ann", "delegation.subject"),
        ((), "user_ann", "delegation.subject"),
        ("*", None, "delegation.subject"),
    ],
)
def test_only_those_allowed_may_be_acted_for(allowed: str | Iterable[str], subject: str | None, reason: str) -> None:
    """An opaque token may have no subject at all; then nobody can say who is acted for."""
    assert verdict(Delegation(allowed_subjects=allowed), token("cli_a", subject=subject)) == reason


def test_of_two_policies_both_lists_must_name_the_actor_and_the_subject() -> None:
    actors = Delegation(allowed_actors=["a", "b"]) & Delegation(allowed_actors=["b", "c"])
    assert [verdict(actors, token(name)) for name in "abc"] == ["delegation.actor", "let in", "delegation.actor"]
    subjects = Delegation(allowed_subjects=["u", "v"]) & Delegation(allowed_subjects=["v", "w"])
    reasons = [verdict(subjects, token("a", subject=name)) for name in "uvw"]
    assert reasons == ["delegation.subject", "let in", "delegation.subject"]


@pytest.mark.parametrize("act", [["cli_a"], 7, [], {}, {"sub": 7}, {"sub": ""}, {"act": {"sub": "a"}}])
def test_an_actor_that_cannot_be_told_is_refused_wherever_delegation_is_looked_at(act: object) -> None:
    for policy in (Delegation(), Delegation(required=False), Delegation(allowed_actors="*")):
        assert verdict(policy, token(act)) == "delegation.malformed"
        assert verdict(policy, token("cli_good", act)) == "delegation.malformed"
    assert verdict(Delegation(forbid=True), token(act)) == "delegation.forbidden"


@pytest.mark.parametrize("max_depth", [0, -1, MOST_ACTORS + 1, 1.5, "1", True, None])
def test_a_depth_is_a_whole_number_that_can_be_reached(max_depth: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_depth must be a whole number from 1 to 16"):
        Delegation(max_depth=max_depth)


@pytest.mark.parametrize("field", ["allowed_actors", "allowed_subjects"])
@pytest.mark.parametrize("names", [[""], ["cli_a", ""], [7], "", [None]])
def test_a_name_that_matches_nobody_is_a_mistake(field: str, names: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{field} must be names or patterns"):
        Delegation(**{field: names})
