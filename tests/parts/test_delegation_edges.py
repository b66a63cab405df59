"""Two policies on delegation at once, whichever stands first; and realms below a base that is written with a slash."""

from typing import Any

import pytest

from strongdm_auth import AccessToken, Delegation, Refused, Requirement
from strongdm_auth.delegation import ActorPattern
from strongdm_auth.tokens import Actor
from tests.conftest import NOW


def _token(issuer: str, realm: str | None, actor: Actor | None) -> AccessToken:
    chain = () if actor is None else (actor,)
    return AccessToken(subject="ann", issuer=issuer, realm=realm, delegation=chain, actor=actor)


def _actor(issuer: str | None = None) -> Actor:
    return Actor("cli_a", issuer=issuer)


def _reason(policy: Delegation, token: AccessToken) -> str | None:
    try:
        Requirement(delegation=policy).check(token, NOW)
    except Refused as refusal:
        return refusal.reason
    return None


@pytest.mark.parametrize(
    ("strict", "delegated", "direct"),
    [
        ({"forbid": True}, "delegation.forbidden", None),
        ({"required": True}, None, "delegation.missing"),
        ({"required": False, "allowed_actors": "cli_b"}, "delegation.actor", None),
        ({"required": False, "allowed_subjects": "bob"}, "delegation.subject", None),
        ({"required": False, "human": "bob"}, "delegation.human", "delegation.human"),
        ({"required": False, "human": "ann", "human_at": "innermost"}, "delegation.human", None),
    ],
)
def test_what_one_of_two_policies_asks_both_ask(
    strict: dict[str, Any], delegated: str | None, direct: str | None
) -> None:
    """A middleware's and a route's: it makes no difference which of them says it."""
    policy, loose = Delegation(**strict), Delegation(required=False)
    for both in (policy & loose, loose & policy, policy, policy & policy):
        assert _reason(both, _token("https://id.example.com", None, _actor())) == delegated
        assert _reason(both, _token("https://id.example.com", None, None)) == direct


def test_one_that_forbids_and_one_that_requires_let_nobody_in() -> None:
    for both in (Delegation() & Delegation(forbid=True), Delegation(forbid=True) & Delegation()):
        assert _reason(both, _token("https://id.example.com", None, _actor())) == "delegation.forbidden"
        assert _reason(both, _token("https://id.example.com", None, None)) == "delegation.missing"


@pytest.mark.parametrize("base", ["https://id.example.com", "https://id.example.com/x", "https://id.example.com/X"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_realm_lies_below_the_base_with_one_slash_between(base: str, slash: str) -> None:
    """As the verifier itself makes a realm's issuer of the setting; a letter at the end of the base is no slash."""
    policy = Delegation(allowed_actors=ActorPattern("cli_a", realm="alpha"))
    for realm, reason in (("alpha", None), ("beta", "delegation.actor"), ("alphaX", "delegation.actor")):
        token = _token(base + slash, None, _actor(f"{base}/realms/{realm}"))
        assert _reason(policy, token) == reason
    for issuer in (f"{base}//realms/alpha", f"{base[:-1]}/realms/alpha", f"{base}X/realms/alpha", f"{base}/alpha"):
        assert _reason(policy, _token(base + slash, None, _actor(issuer))) == "delegation.actor"


@pytest.mark.parametrize(("actor", "reason"), [(None, None), ("alpha", None), ("beta", "delegation.actor")])
def test_an_actor_without_an_issuer_is_of_the_token_s_own_realm(actor: str | None, reason: str | None) -> None:
    base = "https://id.example.com"
    issuer = None if actor is None else f"{base}/realms/{actor}"
    policy = Delegation(allowed_actors=ActorPattern("cli_a", realm="alpha"))
    assert _reason(policy, _token(f"{base}/realms/alpha", "alpha", _actor(issuer))) == reason
