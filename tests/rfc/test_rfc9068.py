"""Validating JWT access tokens (RFC 9068 4, RFC 7519 4.1); checklist 40-45. Which typ counts is in test_rfc8725_kinds.py."""

from typing import Any

import pytest

from strongdm_auth import ConfigurationError, InvalidToken, Settings, Verifier
from strongdm_auth.testing import Clock, Issuer
from tests.conftest import AUDIENCE, NOW, request

from .support import JSON_VALUES, MakeVerifier, honest_claims, json_with, mint, realm_token, refused

ALPHA = "https://id.strongdm.test/realms/alpha"


@pytest.mark.parametrize(
    "iss",
    [
        ALPHA + "/",
        ALPHA + " ",
        " " + ALPHA,
        ALPHA.upper(),
        "https://ID.strongdm.test/realms/alpha",
        "HTTPS://id.strongdm.test/realms/alpha",
        "http://id.strongdm.test/realms/alpha",
        "https://id.strongdm.test:443/realms/alpha",
        "https://id.strongdm.test/realms/Alpha",
        "https://id.strongdm.test/realms/%61lpha",
        "https://id.strongdm.test/realms/alphabet",
        "https://id.strongdm.test/realms/alph",
        "https://id.strongdm.test/realms/beta",
        "https://id.strongdm.test/realms/beta/../alpha",
        "https://id.strongdm.test",
        "https://id.strongdm.test.evil.test/realms/alpha",
        "https://evil.test/?https://id.strongdm.test/realms/alpha",
        ALPHA + "\x00",
        ALPHA.replace("alpha", "ａlpha"),
        ALPHA.replace("alpha", "alph\u0430"),
        "",
        "alpha",
    ],
)
def test_an_issuer_that_is_not_equal_code_point_by_code_point_is_refused(
    issuer: Issuer, verifier: Verifier, iss: str
) -> None:
    """RFC 9068 4, RFC 7519 4.1.1; checklist 40."""
    error = refused(verifier, request(realm_token(issuer, honest_claims(iss=iss))))
    assert (type(error), error.status_code) == (InvalidToken, 401)
    assert error.reason == "token.issuer"


@pytest.mark.parametrize("aud", [AUDIENCE, [AUDIENCE], ["https://other.example.com", AUDIENCE], [AUDIENCE, AUDIENCE]])
def test_a_token_that_names_this_api_is_let_in(issuer: Issuer, verifier: Verifier, aud: Any) -> None:
    """RFC 9068 4, RFC 7519 4.1.3; checklist 41."""
    assert AUDIENCE in verifier.authenticate(request(realm_token(issuer, honest_claims(aud=aud)))).audience


@pytest.mark.parametrize(
    "aud",
    [
        "https://other.example.com",
        AUDIENCE + "/",
        AUDIENCE.upper(),
        AUDIENCE[:-1],
        f" {AUDIENCE}",
        f"{AUDIENCE} https://other.example.com",
        [],
        [[AUDIENCE]],
        [AUDIENCE, 1],
        [AUDIENCE, None],
        {AUDIENCE: AUDIENCE},
        1,
        True,
        "",
        None,
    ],
    ids=repr,
)
@pytest.mark.parametrize("profile", ["strongdm", "rfc9068"])
def test_a_token_that_does_not_name_this_api_is_refused(
    issuer: Issuer, make_verifier: MakeVerifier, aud: Any, profile: str
) -> None:
    """RFC 9068 4; checklist 41."""
    error = refused(make_verifier(token_profile=profile), request(realm_token(issuer, honest_claims(aud=aud))))
    assert (type(error), error.status_code) == (InvalidToken, 401)
    assert error.reason in ("token.audience", "token.claims")


def test_a_token_without_audience_is_refused(issuer: Issuer, verifier: Verifier) -> None:
    """RFC 9068 4; checklist 41."""
    assert refused(verifier, request(mint(issuer, audience=None))).reason == "token.audience"


def test_one_of_several_audiences_of_the_api_is_enough(issuer: Issuer, make_verifier: MakeVerifier) -> None:
    """RFC 9068 4; checklist 41."""
    verifier = make_verifier(audience=["https://a.example.com", AUDIENCE])
    assert verifier.authenticate(request(mint(issuer)))
    assert refused(verifier, request(mint(issuer, audience="https://b.example.com"))).reason == "token.audience"


def test_the_rfc9068_profile_cannot_be_used_without_an_audience() -> None:
    """RFC 9068 4; checklist 41."""
    with pytest.raises(ConfigurationError, match="audience"):
        Settings(realms="alpha", token_profile="rfc9068")


@pytest.mark.parametrize(("after_expiry", "passes"), [(-1, True), (29.999, True), (30, False), (30.001, False)])
def test_expiry_counts_with_a_leeway_of_thirty_seconds(
    issuer: Issuer, clock: Clock, verifier: Verifier, after_expiry: float, passes: bool
) -> None:
    """RFC 9068 4, RFC 7519 4.1.4; checklist 43: for a token seen for the first time and for one that is remembered."""
    fresh, known = mint(issuer, lifetime=600), mint(issuer, lifetime=600)
    assert verifier.authenticate(request(known))
    clock.set(NOW + 600 + after_expiry)
    for token in (fresh, known):
        if passes:
            assert verifier.authenticate(request(token))
        else:
            assert refused(verifier, request(token)).reason == "token.expired"


@pytest.mark.parametrize("claim", ["nbf", "iat"])
@pytest.mark.parametrize(("ahead", "passes"), [(0, True), (30, True), (31, False), (10**400, False)])
def test_a_token_from_the_future_is_refused(
    issuer: Issuer, verifier: Verifier, claim: str, ahead: int, passes: bool
) -> None:
    """RFC 7519 4.1.5, 4.1.6; checklist 43."""
    sent = request(realm_token(issuer, honest_claims(**{claim: int(NOW) + ahead})))
    if passes:
        assert verifier.authenticate(sent)
    else:
        assert refused(verifier, sent).reason == "token.not_yet_valid"


@pytest.mark.parametrize("leeway", [-1, 601, 3600, "ten", float("nan"), True])
def test_the_leeway_is_no_more_than_a_few_minutes(leeway: Any) -> None:
    """RFC 9068 4 ("usually no more than a few minutes"); checklist 43."""
    with pytest.raises(ConfigurationError, match="leeway"):
        Settings(realms="alpha", audience=AUDIENCE, leeway=leeway)


@pytest.mark.parametrize("claim", ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"])
@pytest.mark.parametrize("absent", ["removed", "null"])
def test_the_rfc9068_profile_needs_every_claim_of_section_2_2(
    issuer: Issuer, make_verifier: MakeVerifier, claim: str, absent: str
) -> None:
    """RFC 9068 2.2, 4; checklist 44."""
    verifier = make_verifier(token_profile="rfc9068")
    assert verifier.authenticate(request(realm_token(issuer, honest_claims())))
    claims = honest_claims(**{claim: None})
    if absent == "removed":
        del claims[claim]
    error = refused(verifier, request(realm_token(issuer, claims)))
    assert (type(error), error.error) == (InvalidToken, "invalid_token")
    assert error.reason == ("token.issuer" if claim == "iss" else "token.claims")


@pytest.mark.parametrize("claim", ["iss", "exp", "sub", "iat"])
def test_the_strongdm_profile_needs_iss_sub_exp_and_iat(issuer: Issuer, verifier: Verifier, claim: str) -> None:
    """The contract's token_profile; checklist 44."""
    claims = {name: value for name, value in honest_claims().items() if name in ("iss", "exp", "sub", "iat", "aud")}
    assert verifier.authenticate(request(realm_token(issuer, claims)))
    del claims[claim]
    assert refused(verifier, request(realm_token(issuer, claims))).reason in ("token.claims", "token.issuer")


def test_an_empty_subject_is_nobody(issuer: Issuer, verifier: Verifier) -> None:
    """RFC 9068 2.2; checklist 44."""
    assert refused(verifier, request(realm_token(issuer, honest_claims(sub="")))).reason == "token.claims"


# The one kind of JSON value of JSON_VALUES that each claim may have; everything else must be refused.
RIGHT_KIND = {
    "iss": set(),
    "sub": {"word"},
    "aud": set(),
    "exp": set(),
    "iat": {"one"},
    "nbf": {"one"},
    "jti": {"word"},
    "scope": {"word"},
    "client_id": {"word"},
    "azp": {"word"},
    "cnf": set(),
    "token_type": set(),
    "typ": set(),
    "token_use": set(),
}


@pytest.mark.parametrize("profile", ["strongdm", "rfc9068"])
@pytest.mark.parametrize("kind", JSON_VALUES)
@pytest.mark.parametrize("claim", RIGHT_KIND)
def test_a_claim_of_the_wrong_json_type_is_refused(
    issuer: Issuer, make_verifier: MakeVerifier, claim: str, kind: str, profile: str
) -> None:
    """RFC 7519 4.1, RFC 9068 2.2; checklist 40-44: a 401 for each, never an error outside the tree."""
    verifier = make_verifier(token_profile=profile)
    sent = request(realm_token(issuer, json_with(honest_claims(), claim, JSON_VALUES[kind])))
    if kind in RIGHT_KIND[claim]:
        assert verifier.authenticate(sent)
    else:
        error = refused(verifier, sent)
        assert (type(error), error.status_code, error.error) == (InvalidToken, 401, "invalid_token")


@pytest.mark.parametrize("kind", JSON_VALUES)
@pytest.mark.parametrize("claim", ["act", "acr", "auth_time", "may_act", "groups", "unknown", "", "é", "\\u0000"])
def test_a_claim_that_authentication_does_not_ask_for_may_be_anything(
    issuer: Issuer, verifier: Verifier, claim: str, kind: str
) -> None:
    """RFC 9068 2.2; checklist 44: unknown claims are ignored, and reading the token never fails."""
    text = json_with(honest_claims(), "CLAIM", JSON_VALUES[kind]).replace(b"CLAIM", claim.encode())
    token = verifier.authenticate(request(realm_token(issuer, text)))
    assert token.subject == "cli_agent"
    assert len(token.claims) == len(honest_claims()) + 1


TIMES = {
    # JSON text -> what lets the token in when exp is it, and when iat or nbf is it
    "-1": (False, True),
    "0": (False, True),
    "-0.0": (False, True),
    "18e8": (True, True),
    "1800003600.5": (True, False),
    "1e10": (True, False),
    "1e308": (True, False),
    str(10**400): (True, False),
    str(-(10**400)): (False, True),
    "1e400": (False, False),
    "-1E+400": (False, False),
}


@pytest.mark.parametrize("text", TIMES, ids=lambda text: text[:12])
@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
def test_a_time_may_be_any_json_number_and_no_infinite_one(
    issuer: Issuer, verifier: Verifier, claim: str, text: str
) -> None:
    """RFC 7519 2 (NumericDate); checklist 43: the answer is yes or a 401."""
    sent = request(realm_token(issuer, json_with(honest_claims(), claim, text)))
    if TIMES[text][0 if claim == "exp" else 1]:
        assert verifier.authenticate(sent)
    else:
        assert refused(verifier, sent).status_code == 401
