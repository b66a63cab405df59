"""Answers at the edges of RFC 6750, RFC 9110 and the contract: what an app raised itself, and what has no challenge."""

import pytest

from strongdm_auth import ConfigurationError, StrongDMAuthError, TemporarilyUnavailable, Verifier
from strongdm_auth.challenge import Denial
from strongdm_auth.errors import InvalidDPoPProof
from tests.conftest import request

from .support import MakeVerifier, challenges_of, denied


def headers_of(denial: Denial) -> dict[str, str]:
    assert len(dict(denial.headers)) == len(denial.headers)
    return dict(denial.headers)


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "1"), (0.001, "1"), (1, "1"), (1.001, "2"), (2, "2"), (29.5, "30"), (30, "30")]
)
def test_a_wait_is_told_in_whole_seconds_and_never_too_short(verifier: Verifier, seconds: float, told: str) -> None:
    """RFC 9110 10.2.3. Nought would have a client come back at once, and again."""
    headers = headers_of(verifier.denial(TemporarilyUnavailable("keys.unavailable", retry_after=seconds)))
    assert headers["Retry-After"] == told
    exposed = headers.pop("Access-Control-Expose-Headers")
    assert exposed == "Retry-After", "a page has to wait as long as others"
    assert headers.keys() == {"Content-Type", "Cache-Control", "Vary", "Retry-After"}, "no challenge"


@pytest.mark.parametrize("status", [404, 409, 418, 500, 503])
def test_what_an_app_refuses_for_reasons_of_its_own_has_no_challenge(verifier: Verifier, status: int) -> None:
    """RFC 9110 15.5: a challenge is for who may come in with other credentials."""
    denial = verifier.denial(StrongDMAuthError("no such thing", status))
    assert denial.status == status
    assert headers_of(denial).keys() == {"Content-Type", "Cache-Control", "Vary"}


@pytest.mark.parametrize("status", [400, 401, 403])
def test_what_an_app_refuses_as_we_do_has_one(verifier: Verifier, status: int) -> None:
    headers = headers_of(verifier.denial(StrongDMAuthError("not you", status)))
    assert headers["WWW-Authenticate"].startswith("Bearer error=")
    assert "WWW-Authenticate" in headers["Access-Control-Expose-Headers"]


def test_a_wrong_configuration_is_told_to_no_client(verifier: Verifier) -> None:
    with pytest.raises(ConfigurationError):
        verifier.denial(ConfigurationError("client_secret is 'hunter2'"))


@pytest.mark.parametrize("dpop", ["allowed", "required"])
def test_a_refused_proof_is_challenged_under_dpop_though_nobody_says_under_which_scheme_it_came(
    make_verifier: MakeVerifier, dpop: str
) -> None:
    """RFC 9449 7.1."""
    denial = make_verifier(dpop=dpop).denial(InvalidDPoPProof("dpop.missing"))
    (challenge,) = challenges_of(denial)
    assert (challenge.scheme, challenge.parameters["error"]) == ("DPoP", "invalid_dpop_proof")


@pytest.mark.parametrize("dpop", ["allowed", "required"])
@pytest.mark.parametrize("scheme", ["Bearer", "DPoP"])
def test_unreadable_credentials_are_challenged_under_the_scheme_they_came_with(
    make_verifier: MakeVerifier, dpop: str, scheme: str
) -> None:
    """RFC 6750 3.1 and the contract's table: it says what was wrong with what was sent."""
    error, denial = denied(make_verifier(dpop=dpop), request("not a token", scheme=scheme))
    (challenge,) = challenges_of(denial)
    assert error.status_code == 400
    assert (challenge.scheme, challenge.parameters["error"]) == (scheme, "invalid_request")
