"""Step-up authentication (RFC 9470 3, 6, 9); checklist 71-73."""

from typing import Any

import pytest

from strongdm_auth import ConfigurationError, InvalidToken, Requirement, Verifier
from strongdm_auth.errors import InsufficientUserAuthentication, MissingCredentials
from strongdm_auth.testing import Issuer
from tests.conftest import NOW, request

from .support import (
    JSON_VALUES,
    Caller,
    MakeVerifier,
    challenges_of,
    denied,
    honest_claims,
    json_with,
    mint,
    opaque_token,
    realm_token,
    refused,
    script_introspection,
)

STRONG = Requirement(acr=["phr", "mfa"])
RECENT = Requirement(max_age=300)


def test_the_challenge_names_what_would_do(issuer: Issuer, verifier: Verifier) -> None:
    """RFC 9470 3; checklist 71: acr values in order of preference, max_age, and the scopes of the route."""
    requirement = Requirement("write", acr=["phr", "mfa"], max_age=300)
    error, denial = denied(verifier, request(mint(issuer, scopes="read write")), requirement)
    assert (type(error), error.status_code, error.error) == (
        InsufficientUserAuthentication,
        401,
        "insufficient_user_authentication",
    )
    (challenge,) = challenges_of(denial)
    assert (challenge.scheme, challenge.error) == ("Bearer", "insufficient_user_authentication")
    assert challenge.parameters["acr_values"] == "phr mfa"
    assert challenge.parameters["max_age"] == "300"
    assert challenge.parameters["scope"] == "write"


@pytest.mark.parametrize(
    ("requirement", "named"),
    [(STRONG, {"acr_values"}), (RECENT, {"max_age"}), (STRONG & RECENT, {"acr_values", "max_age"})],
)
def test_each_part_is_named_only_where_it_is_asked_for(
    issuer: Issuer, verifier: Verifier, requirement: Requirement, named: set[str]
) -> None:
    """RFC 9470 3; checklist 71."""
    _, denial = denied(verifier, request(mint(issuer)), requirement)
    (challenge,) = challenges_of(denial)
    assert {"acr_values", "max_age"} & set(challenge.parameters) == named


def test_a_bound_token_is_challenged_under_dpop(caller: Caller, verifier: Verifier) -> None:
    """RFC 9470 3, RFC 9449 7.1; checklist 71."""
    _, denial = denied(verifier, caller.request(), STRONG)
    (challenge,) = challenges_of(denial)
    assert (challenge.scheme, challenge.error) == ("DPoP", "insufficient_user_authentication")


@pytest.mark.parametrize("max_age", [-1, 1.5, "300", True, float("nan")])
def test_max_age_is_a_whole_number_of_seconds(max_age: Any) -> None:
    """RFC 9470 3; checklist 71."""
    with pytest.raises(ConfigurationError, match="max_age"):
        Requirement(max_age=max_age)


@pytest.mark.parametrize("acr", ["phr", "mfa"])
def test_any_one_of_the_acr_values_will_do(issuer: Issuer, verifier: Verifier, acr: str) -> None:
    """RFC 9470 3, 6.1; checklist 71, 72."""
    assert verifier.authorize(request(mint(issuer, claims={"acr": acr})), STRONG)


@pytest.mark.parametrize("acr", ["PHR", "phr mfa", "", "0", "phr ", None])
def test_another_acr_or_none_is_challenged(issuer: Issuer, verifier: Verifier, acr: str | None) -> None:
    """RFC 9470 6.1; checklist 72."""
    assert refused(verifier, request(mint(issuer, claims={"acr": acr})), STRONG).reason == "step_up.acr"


@pytest.mark.parametrize(
    ("age", "passes"), [(0, True), (330, True), (331, False), (-30, True), (-31, False), (10**9, False)]
)
def test_the_authentication_must_be_recent_enough(issuer: Issuer, verifier: Verifier, age: int, passes: bool) -> None:
    """RFC 9470 3, 6.1; checklist 72: give or take the leeway of 30 s."""
    sent = request(mint(issuer, claims={"auth_time": int(NOW) - age}))
    if passes:
        assert verifier.authorize(sent, RECENT)
    else:
        assert refused(verifier, sent, RECENT).reason == "step_up.max_age"


@pytest.mark.parametrize("kind", JSON_VALUES)
@pytest.mark.parametrize(("claim", "requirement"), [("acr", STRONG), ("auth_time", RECENT)])
def test_a_claim_of_the_wrong_json_type_is_challenged(
    issuer: Issuer, verifier: Verifier, claim: str, requirement: Requirement, kind: str
) -> None:
    """RFC 9470 6.1; checklist 72 (fail closed)."""
    token = realm_token(issuer, json_with(honest_claims(), claim, JSON_VALUES[kind]))
    error = refused(verifier, request(token), requirement)
    assert (type(error), error.status_code) == (InsufficientUserAuthentication, 401)


@pytest.mark.parametrize("text", ["-1e400", "1e308", "-1e308", str(10**400), str(-(10**400)), '"1800000000"', "0"])
def test_an_auth_time_that_is_no_time_of_ours_is_challenged(issuer: Issuer, verifier: Verifier, text: str) -> None:
    """RFC 9470 6.1, the contract's "no input gets a 500"; checklist 72."""
    token = realm_token(issuer, json_with(honest_claims(), "auth_time", text))
    assert refused(verifier, request(token), RECENT).reason == "step_up.max_age"


def test_a_token_without_these_claims_is_challenged(issuer: Issuer, verifier: Verifier) -> None:
    """RFC 9470 6.1; checklist 72 (fail closed)."""
    assert refused(verifier, request(mint(issuer)), STRONG).reason == "step_up.acr"
    assert refused(verifier, request(mint(issuer)), RECENT).reason == "step_up.max_age"


def test_acr_and_auth_time_of_an_opaque_token_come_from_introspection(issuer: Issuer, asking: MakeVerifier) -> None:
    """RFC 9470 6.2; checklist 72."""
    verifier, requirement = asking("fallback"), STRONG & RECENT
    strong = opaque_token(issuer, claims={"acr": "mfa", "auth_time": int(NOW) - 10})
    assert verifier.authorize(request(strong), requirement)
    assert refused(verifier, request(opaque_token(issuer)), requirement).reason == "step_up.acr"
    script_introspection(issuer, acr="mfa", auth_time="today")
    assert refused(verifier, request("another"), requirement).reason == "step_up.max_age"


@pytest.mark.parametrize("spoil", [{"lifetime": -60}, {"audience": "x"}, {"header": {"typ": "dpop+jwt"}}])
def test_an_invalid_token_learns_nothing_of_the_policy(
    issuer: Issuer, verifier: Verifier, spoil: dict[str, Any]
) -> None:
    """RFC 9470 9; checklist 73."""
    error, denial = denied(verifier, request(mint(issuer, **spoil)), STRONG & RECENT)
    assert type(error) is InvalidToken
    for challenge in challenges_of(denial):
        assert not {"acr_values", "max_age"} & set(challenge.parameters)


def test_nor_does_a_request_without_credentials(verifier: Verifier) -> None:
    """RFC 9470 9; checklist 73."""
    error, denial = denied(verifier, request(), STRONG & RECENT)
    assert type(error) is MissingCredentials
    for challenge in challenges_of(denial):
        assert not {"acr_values", "max_age"} & set(challenge.parameters)


def test_nor_does_a_bound_token_without_its_proof(caller: Caller, verifier: Verifier) -> None:
    """RFC 9470 9; checklist 73."""
    for sent in (request(caller.token), request(caller.token, scheme="DPoP"), caller.request(caller.proof("POST"))):
        _, denial = denied(verifier, sent, STRONG)
        assert all("acr_values" not in challenge.parameters for challenge in challenges_of(denial))
