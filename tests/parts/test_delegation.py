"""A route's policy on delegation (RFC 8693 4.1): who may act for whom, how deep, and what is no policy at all."""

import time
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongdm_auth import AccessDenied, AccessToken, ActorPattern, ConfigurationError, Delegation
from strongdm_auth.tokens import MOST_ACTORS, read_actors

from .world import ALPHA, ISSUER


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


OTHER = ALPHA.replace("alpha", "beta")
FOREIGN = "https://id.example.org/realms/alpha"


@pytest.mark.parametrize(
    ("allowed", "own", "named", "beta", "foreign"),
    [
        ("cli_a", True, True, False, False),
        (ActorPattern("cli_a"), True, True, False, False),
        (ActorPattern("cli_?"), True, True, False, False),
        (ActorPattern("cli_b"), False, False, False, False),
        (ActorPattern(), True, True, False, False),
        (ActorPattern("cli_a", issuer=ALPHA), True, True, False, False),
        (ActorPattern("cli_a", issuer=OTHER), False, False, True, False),
        (ActorPattern("cli_a", issuer=FOREIGN), False, False, False, True),
        (ActorPattern("cli_a", issuer="https://id.example.*"), True, True, True, True),
        (ActorPattern("cli_b", issuer="*"), False, False, False, False),
        (ActorPattern("cli_a", realm="alpha"), True, True, False, False),
        (ActorPattern("cli_a", realm="beta"), False, False, True, False),
        (ActorPattern("cli_a", realm="*"), True, True, True, False),
        (ActorPattern("cli_b", realm="*"), False, False, False, False),
        (["cli_b", ActorPattern("cli_a", realm="beta")], False, False, True, False),
    ],
)
def test_whose_agent_it_is_counts_and_not_its_name_alone(
    allowed: Any, own: bool, named: bool, beta: bool, foreign: bool
) -> None:
    """An agent of the same name, of another issuer: only where the policy names that issuer or realm."""
    policy = Delegation(allowed_actors=allowed)
    issuers = (None, ALPHA, OTHER, FOREIGN)
    chains = [{"sub": "cli_a"} | ({} if issuer is None else {"iss": issuer}) for issuer in issuers]
    let_in = [verdict(policy, realm_token(chain)) == "let in" for chain in chains]
    assert let_in == [own, named, beta, foreign]


def realm_token(act: dict[str, Any]) -> AccessToken:
    chain = read_actors(act)
    return AccessToken(subject="user_ann", issuer=ALPHA, realm="alpha", delegation=chain, actor=chain[0])


def test_realms_lie_below_the_base_of_a_token_s_issuer_that_is_the_base_itself() -> None:
    chain = read_actors({"sub": "cli_a", "iss": ALPHA})
    base = AccessToken(subject="user_ann", issuer=ISSUER, delegation=chain, actor=chain[0])
    assert verdict(Delegation(allowed_actors=ActorPattern(realm="alpha")), base) == "let in"
    assert verdict(Delegation(allowed_actors=ActorPattern(realm="beta")), base) == "delegation.actor"


@pytest.mark.parametrize("issuer", ["", 7, ["https://id.example.com"], {}, True])
def test_an_actor_whose_issuer_cannot_be_read_is_malformed(issuer: object) -> None:
    assert verdict(Delegation(), realm_token({"sub": "cli_a", "iss": issuer})) == "delegation.malformed"


@pytest.mark.parametrize(
    "parts", [{"subject": ""}, {"issuer": ""}, {"realm": ""}, {"subject": 7}, {"issuer": ALPHA, "realm": "alpha"}]
)
def test_an_actor_pattern_that_fits_nobody_is_a_mistake(parts: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        ActorPattern(**parts)


HUMAN = "*@example.com"


@pytest.mark.parametrize(
    ("policy", "subject", "actors", "reason"),
    [
        # As RFC 8693 and StrongDM ID have it: `sub` is whom it is done for.
        (Delegation(human=HUMAN), "ann@example.com", ["cli_a"], "let in"),
        (Delegation(human=HUMAN), "ann@example.com", ["cli_a", "cli_b"], "let in"),
        (Delegation(human=HUMAN), "cli_evil", ["cli_a"], "delegation.human"),
        (Delegation(human=HUMAN), "cli_evil", ["cli_a", "ann@example.com"], "delegation.human"),
        (Delegation(human=HUMAN), "cli_evil", ["ann@example.com"], "delegation.human"),
        (Delegation(human=HUMAN), None, ["cli_a"], "delegation.human"),
        (Delegation(human=HUMAN), "ann@example.com", [], "delegation.missing"),
        (Delegation(human=HUMAN, required=False), "ann@example.com", [], "let in"),
        (Delegation(human=HUMAN, required=False), "cli_evil", [], "delegation.human"),
        (Delegation(human=HUMAN, forbid=True), "ann@example.com", [], "let in"),
        (Delegation(human=HUMAN, forbid=True), "cli_evil", [], "delegation.human"),
        (Delegation(human=[]), "ann@example.com", ["cli_a"], "delegation.human"),
        # As some issuers have it: `sub` is the agent now acting, and the human stands innermost.
        (Delegation(human=HUMAN, human_at="innermost"), "cli_a", ["ann@example.com"], "let in"),
        (Delegation(human=HUMAN, human_at="innermost"), "cli_b", ["cli_a", "ann@example.com"], "let in"),
        (Delegation(human=HUMAN, human_at="innermost"), "ann@example.com", ["cli_a"], "delegation.human"),
        (Delegation(human=HUMAN, human_at="innermost"), "cli_b", ["ann@example.com", "cli_a"], "delegation.human"),
        (Delegation(human=HUMAN, human_at="innermost", required=False), "ann@example.com", [], "let in"),
        (Delegation(human=HUMAN, human_at="innermost", required=False), "cli_evil", [], "delegation.human"),
        # Both policies count.
        (Delegation(human=HUMAN) & Delegation(human="ann@*"), "ann@example.com", ["cli_a"], "let in"),
        (Delegation(human=HUMAN) & Delegation(human="bob@*"), "ann@example.com", ["cli_a"], "delegation.human"),
        (Delegation() & Delegation(human=HUMAN), "cli_evil", ["cli_a"], "delegation.human"),
        (
            Delegation(human=HUMAN) & Delegation(human=HUMAN, human_at="innermost"),
            "ann@example.com",
            ["cli_a"],
            "delegation.human",
        ),
    ],
)
def test_a_human_stands_where_the_issuer_puts_them_and_nowhere_else(
    policy: Delegation, subject: str | None, actors: list[str], reason: str
) -> None:
    assert verdict(policy, token(*actors, subject=subject)) == reason


def test_a_human_stands_at_one_of_two_places() -> None:
    with pytest.raises(ConfigurationError, match="human_at"):
        Delegation(human=HUMAN, human_at="outermost")  # type: ignore[arg-type]


@settings(max_examples=300)
@given(st.text("ab*?", min_size=1, max_size=8), st.text("ab", max_size=8))
def test_patterns_mean_what_shells_mean_by_them(pattern: str, name: str) -> None:
    said = verdict(Delegation(allowed_subjects=pattern), token("cli_a", subject=name))
    assert (said == "let in") == fnmatchcase(name, pattern)


def test_a_long_name_costs_a_walk_and_not_a_walk_for_each_character() -> None:
    began = time.monotonic()
    assert verdict(Delegation(human="*@*.*.example.com"), token("cli_a", subject="@." * 5_000)) == "delegation.human"
    assert time.monotonic() - began < 1  # three nested walks would take minutes
