"""Claims that say what a token is, or for whom, with a value of another kind: refused, and no fault (RFC 8725 3.11, 3.12)."""

import json

import pytest

from strongdm_auth import InvalidToken, Verifier
from strongdm_auth.testing import Issuer
from tests.conftest import AUDIENCE, request

from .support import JSON_VALUES, honest_claims, json_with, realm_token, refused

#: As they stand in JSON, but for what the claim may be.
OTHERS = {name: text for name, text in JSON_VALUES.items() if name != "word"}


@pytest.mark.parametrize("claim", ["typ", "token_type", "token_use"])
@pytest.mark.parametrize("value", OTHERS)
def test_a_kind_that_is_no_word_is_not_an_access_token_s(
    issuer: Issuer, verifier: Verifier, claim: str, value: str
) -> None:
    error = refused(verifier, request(realm_token(issuer, json_with(honest_claims(), claim, OTHERS[value]))))
    assert (type(error), error.reason) == (InvalidToken, "token.type")


@pytest.mark.parametrize(
    "audience",
    [
        *("true", "1", "{}", json.dumps({AUDIENCE: 1}), "1e400"),
        *(json.dumps([AUDIENCE, other]) for other in (None, 1, True, [AUDIENCE], {}, 1.5)),
        json.dumps([[AUDIENCE]]),
    ],
)
def test_an_audience_that_is_neither_a_name_nor_a_list_of_them_is_malformed(
    issuer: Issuer, verifier: Verifier, audience: str
) -> None:
    """RFC 7519 4.1.3: also when our own name is in it somewhere."""
    error = refused(verifier, request(realm_token(issuer, json_with(honest_claims(), "aud", audience))))
    assert (type(error), error.reason) == (InvalidToken, "token.claims")


@pytest.mark.parametrize("azp", [None, "", "cli_agent", AUDIENCE])
def test_a_token_for_us_that_was_issued_to_another_is_ours(issuer: Issuer, verifier: Verifier, azp: str | None) -> None:
    """Only where the audience is the client itself (OIDC Core 2), and nothing says it is an access token, it is an ID token."""
    claims = honest_claims() | ({} if azp is None else {"azp": azp})
    assert verifier.authenticate(request(realm_token(issuer, claims))).subject == "cli_agent"
    untyped = realm_token(issuer, claims, typ="JWT")
    if azp == AUDIENCE:
        assert refused(verifier, request(untyped)).reason == "token.type"
    else:
        assert verifier.authenticate(request(untyped)).subject == "cli_agent"
