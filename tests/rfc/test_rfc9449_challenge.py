"""The challenges of a resource server that takes DPoP (RFC 9449 7.1, 7.2, 8); checklist 26, 27, 29, 30, 34.

Their syntax, for every kind of refusal, is in test_rfc6750_challenges.py.
"""

import pytest

from strongdm_auth import Request, Verifier
from strongdm_auth.testing import DPoPKey, Issuer
from tests.conftest import URL, request

from .support import Caller, MakeVerifier, challenges_of, denied, header_of, mint

DEFAULT_ALGS = "ES256 ES384 RS256 PS256 EdDSA Ed25519"


@pytest.mark.parametrize(
    ("dpop_algorithms", "algs"), [(None, DEFAULT_ALGS), ("ES256", "ES256"), (["EdDSA", "PS512"], "EdDSA PS512")]
)
def test_algs_lists_what_is_accepted(make_verifier: MakeVerifier, dpop_algorithms: object, algs: str) -> None:
    """RFC 9449 7.1; checklist 26."""
    _, denial = denied(make_verifier(dpop_algorithms=dpop_algorithms), request())
    assert challenges_of(denial)[1].parameters["algs"] == algs


def test_without_a_token_the_dpop_challenge_has_algs_and_no_error(make_verifier: MakeVerifier) -> None:
    """RFC 9449 7.1 (the challenge to a request without token); checklist 27."""
    _, denial = denied(make_verifier(dpop="required"), request())
    (challenge,) = challenges_of(denial)
    assert (denial.status, challenge.scheme, challenge.parameters) == (401, "DPoP", {"algs": DEFAULT_ALGS})


def test_a_bad_proof_is_told_on_the_dpop_challenge(caller: Caller, verifier: Verifier) -> None:
    """RFC 9449 7.1; checklist 26."""
    _, denial = denied(verifier, caller.request(caller.proof("POST")))
    (challenge,) = challenges_of(denial)
    assert (denial.status, challenge.scheme, challenge.error) == (401, "DPoP", "invalid_dpop_proof")
    assert challenge.parameters["algs"] == DEFAULT_ALGS


@pytest.mark.parametrize("scheme", ["Bearer", "DPoP"])
def test_both_schemes_are_offered_and_the_error_stands_on_the_one_that_was_used(
    issuer: Issuer, verifier: Verifier, scheme: str
) -> None:
    """RFC 9449 7.2; checklist 29: Bearer first, since clients trip over a value that begins with DPoP and has no nonce."""
    _, denial = denied(verifier, request(mint(issuer, lifetime=-60), scheme=scheme))
    challenges = challenges_of(denial)
    assert [challenge.scheme for challenge in challenges] == ["Bearer", "DPoP"]
    assert [challenge.scheme for challenge in challenges if challenge.error] == [scheme]
    assert [challenge.error for challenge in challenges if challenge.error] == ["invalid_token"]


def test_a_proof_by_the_wrong_key_is_told_as_an_invalid_token(caller: Caller, verifier: Verifier) -> None:
    """RFC 9449 7.1 (the answer to a binding mismatch); checklist 22, 26."""
    proof = DPoPKey.generate().proof("GET", URL, caller.token, now=caller.clock())
    _, denial = denied(verifier, request(caller.token, proof))
    assert {challenge.scheme: challenge.error for challenge in challenges_of(denial)}["DPoP"] == "invalid_token"


@pytest.mark.parametrize("order", [("Bearer", "DPoP"), ("DPoP", "Bearer"), ("DPoP", "DPoP")])
def test_two_authorization_headers_are_a_bad_request(
    caller: Caller, verifier: Verifier, order: tuple[str, str]
) -> None:
    """RFC 9449 7.2, RFC 6750 3.1; checklist 30: both tokens and the proof are good."""
    headers = [("Authorization", f"{scheme} {caller.token}") for scheme in order] + [("DPoP", caller.proof())]
    error, denial = denied(verifier, Request("GET", URL, headers))
    assert (denial.status, error.error) == (400, "invalid_request")
    assert [challenge.error for challenge in challenges_of(denial)] == ["invalid_request"]


@pytest.mark.parametrize("what", ["nothing", "nonce"])
def test_scripts_in_browsers_may_read_the_challenge_and_the_nonce(
    caller: Caller, make_verifier: MakeVerifier, what: str
) -> None:
    """RFC 9449 7.1, 8.2 (Access-Control-Expose-Headers); checklist 34."""
    verifier = make_verifier(dpop_nonce="required")
    _, denial = denied(verifier, request() if what == "nothing" else caller.request())
    exposed = {
        name.strip().lower() for name in (header_of(denial.headers, "Access-Control-Expose-Headers") or "").split(",")
    }
    assert "www-authenticate" in exposed
    assert what == "nothing" or "dpop-nonce" in exposed
