"""Bound tokens need their proof, unbound ones cannot have one (RFC 9449 6, 7.1, 7.2); checklist 22-25, 28."""

from typing import Any

import pytest

from strongdm_auth import InvalidToken, Requirement, Verifier
from strongdm_auth.errors import InvalidDPoPProof
from strongdm_auth.testing import Clock, DPoPKey, Issuer
from tests.conftest import URL, request

from .support import Caller, MakeVerifier, challenges_of, denied, mint, refused


@pytest.mark.parametrize("scheme", ["DPoP", "dpop", "DPOP", "DpOp"])
def test_a_bound_token_with_its_proof_is_let_in(caller: Caller, verifier: Verifier, scheme: str) -> None:
    """RFC 9449 7.1, RFC 9110 11.1; checklist 22, 24."""
    token = verifier.authenticate(request(caller.token, caller.proof(), scheme=scheme))
    assert token.key_thumbprint == caller.key.thumbprint


def test_a_proof_by_another_key_is_refused_as_an_invalid_token(
    issuer: Issuer, clock: Clock, caller: Caller, verifier: Verifier
) -> None:
    """RFC 9449 4.3 (12), 7.1; checklist 22: the thief's proof is flawless in itself."""
    thief = DPoPKey.generate("ES256")
    proof = thief.proof("GET", URL, caller.token, now=clock())
    error, denial = denied(verifier, request(caller.token, proof))
    assert (type(error), error.status_code, error.reason) == (InvalidToken, 401, "token.key_mismatch")
    assert {challenge.scheme: challenge.error for challenge in challenges_of(denial)} == {
        "Bearer": None,
        "DPoP": "invalid_token",
    }
    # Also when the thief's key is well known here, because it has a token of its own.
    own = Caller(issuer, clock, thief)
    assert verifier.authenticate(own.request())
    again = thief.proof("GET", URL, caller.token, now=clock())
    assert refused(verifier, request(caller.token, again)).reason == "token.key_mismatch"


def test_a_bound_token_without_proof_is_refused(caller: Caller, verifier: Verifier) -> None:
    """RFC 9449 7.1; checklist 24."""
    error, denial = denied(verifier, request(caller.token, scheme="DPoP"))
    assert (type(error), error.status_code, error.reason) == (InvalidDPoPProof, 401, "dpop.missing")
    (challenge,) = challenges_of(denial)
    assert (challenge.scheme, challenge.error) == ("DPoP", "invalid_dpop_proof")


@pytest.mark.parametrize("dpop", ["allowed", "required"])
@pytest.mark.parametrize("with_proof", [True, False])
def test_a_bound_token_sent_as_bearer_is_refused(
    caller: Caller, make_verifier: MakeVerifier, dpop: str, with_proof: bool
) -> None:
    """RFC 9449 7.2; checklist 28: with a good proof beside it, too, and however often it was let in as DPoP."""
    verifier = make_verifier(dpop=dpop)
    assert verifier.authenticate(caller.request())
    proof = caller.proof() if with_proof else None
    error = refused(verifier, request(caller.token, proof, scheme="Bearer"))
    assert (type(error), error.status_code, error.error, error.reason) == (
        InvalidToken,
        401,
        "invalid_token",
        "token.bound",
    )


@pytest.mark.parametrize("with_proof", [True, False])
def test_an_unbound_token_under_the_dpop_scheme_is_refused(
    issuer: Issuer, clock: Clock, dpop_key: DPoPKey, verifier: Verifier, with_proof: bool
) -> None:
    """RFC 9449 7.1; checklist 25: whatever proof comes along."""
    token = mint(issuer)
    proof = dpop_key.proof("GET", URL, token, now=clock()) if with_proof else None
    error, denial = denied(verifier, request(token, proof, scheme="DPoP"))
    assert (type(error), error.status_code, error.reason) == (InvalidToken, 401, "token.unbound")
    assert {challenge.scheme: challenge.error for challenge in challenges_of(denial)}["DPoP"] == "invalid_token"
    assert verifier.authenticate(request(token))  # as Bearer, which it is


def test_a_proof_beside_a_bearer_token_changes_nothing(caller: Caller, issuer: Issuer, verifier: Verifier) -> None:
    """RFC 9449 7.2; checklist 25: such a header is nobody's statement about the token."""
    token = mint(issuer)
    assert verifier.authenticate(request(token, caller.proof(), scheme="Bearer")).key_thumbprint is None
    assert verifier.authenticate(request(token, "nonsense", scheme="Bearer"))


@pytest.mark.parametrize("where", ["settings", "route"])
def test_only_bound_tokens_pass_where_dpop_is_required(
    issuer: Issuer, caller: Caller, make_verifier: MakeVerifier, where: str
) -> None:
    """RFC 9449 7.2 and the contract's dpop=required; checklist 25."""
    verifier = make_verifier(dpop="required" if where == "settings" else "allowed")
    requirement = Requirement(dpop=True) if where == "route" else Requirement()
    assert verifier.authorize(caller.request(), requirement)
    error, denial = denied(verifier, request(mint(issuer)), requirement)
    assert (type(error), error.reason) == (InvalidToken, "token.unbound")
    (challenge,) = challenges_of(denial)
    assert (challenge.scheme, challenge.error) == ("DPoP", "invalid_token")


@pytest.mark.parametrize(
    "jkt",
    ["", "x", "A" * 42, "A" * 44, "A" * 64, None, 1, True, [], {}, ["A" * 43]],
    ids=repr,
)
@pytest.mark.parametrize("scheme", ["Bearer", "DPoP"])
def test_a_jkt_that_is_no_thumbprint_is_refused_under_either_scheme(
    issuer: Issuer, caller: Caller, verifier: Verifier, jkt: Any, scheme: str
) -> None:
    """RFC 9449 6, 6.1; checklist 23: whether a token is bound is never guessed."""
    token = mint(issuer, claims={"cnf": {"jkt": jkt}})
    proof = caller.key.proof("GET", URL, token, now=caller.clock()) if scheme == "DPoP" else None
    error = refused(verifier, request(token, proof))
    assert (type(error), error.status_code, error.reason) == (InvalidToken, 401, "token.confirmation")


def test_the_thumbprint_is_compared_exactly(issuer: Issuer, caller: Caller, verifier: Verifier) -> None:
    """RFC 9449 6.1, RFC 7638 3.4; checklist 22."""
    for jkt in (caller.key.thumbprint.swapcase(), caller.key.thumbprint[::-1], caller.key.thumbprint[:-1] + "é"):
        token = mint(issuer, claims={"cnf": {"jkt": jkt}})
        proof = caller.key.proof("GET", URL, token, now=caller.clock())
        assert refused(verifier, request(token, proof)).status_code == 401


def test_binding_is_checked_again_for_a_token_that_is_remembered(caller: Caller, verifier: Verifier) -> None:
    """RFC 9449 7.1; checklist 22, 24: the memory of verified tokens spares no proof."""
    for _ in range(3):
        assert verifier.authenticate(caller.request())
        assert refused(verifier, request(caller.token)).reason == "token.bound"
        assert refused(verifier, request(caller.token, scheme="DPoP")).reason == "dpop.missing"
        assert refused(verifier, caller.request("a.b.c")).reason == "dpop.malformed"
