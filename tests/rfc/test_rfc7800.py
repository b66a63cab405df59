"""Confirmation claims that cannot be checked here (RFC 7800 3.1, RFC 8705 3.1); checklist 77."""

from typing import Any

import pytest

from strongdm_auth import InvalidToken, Verifier
from strongdm_auth.testing import DPoPKey, Issuer
from tests.conftest import URL, request

from .support import JSON_VALUES, Caller, honest_claims, json_with, mint, realm_token, refused

JWK = DPoPKey.generate("ES256").public_jwk
CONFIRMATIONS: dict[str, Any] = {
    "nothing": {},
    "certificate of another hash": {"x5t": "bwcK0esc3ACC3DB2Y5_lESsXE8o"},
    "x5t#S256 is cut": {"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o"},
    "x5t#S256 is null beside a jkt": {"x5t#S256": None, "jkt": "A" * 43},
    "embedded key": {"jwk": JWK},
    "encrypted key": {"jwe": "a.b.c.d.e"},
    "key id": {"kid": "dfd1aa97-6d8d-4575-a0fe-34b96de2bfad"},
    "key set": {"jku": "https://evil.test/keys", "kid": "k"},
    "unknown member": {"osc": "x"},
    "jkt in another case": {"JKT": "A" * 43},
    "jkt of another hash": {"jkt#S512": "A" * 86},
    "jkt is empty": {"jkt": ""},
    "jkt is null": {"jkt": None},
}


@pytest.mark.parametrize("name", CONFIRMATIONS)
@pytest.mark.parametrize("scheme", ["Bearer", "DPoP"])
def test_a_confirmation_that_cannot_be_checked_refuses_the_token(
    issuer: Issuer, caller: Caller, verifier: Verifier, name: str, scheme: str
) -> None:
    """RFC 7800 3.1; checklist 77: such a token is bound, so it is no bearer token."""
    token = mint(issuer, claims={"cnf": CONFIRMATIONS[name]})
    proof = caller.key.proof("GET", URL, token, now=caller.clock()) if scheme == "DPoP" else None
    error = refused(verifier, request(token, proof))
    assert (type(error), error.status_code, error.error, error.reason) == (
        InvalidToken,
        401,
        "invalid_token",
        "token.confirmation",
    )


def test_a_token_bound_to_a_key_and_to_a_certificate_needs_both(
    issuer: Issuer, caller: Caller, verifier: Verifier
) -> None:
    """RFC 7800 3.1, RFC 8705 3.1; checklist 77: one half is not enough."""
    token = mint(issuer, claims={"cnf": {"jkt": caller.key.thumbprint, "x5t#S256": "A" * 43}})
    proof = caller.key.proof("GET", URL, token, now=caller.clock())
    assert refused(verifier, request(token, proof)).reason == "token.certificate_missing"


def test_members_that_confirm_nothing_more_are_ignored_beside_a_jkt(
    issuer: Issuer, caller: Caller, verifier: Verifier
) -> None:
    """RFC 7800 3.1 (members that are not understood are ignored); checklist 77."""
    token = mint(issuer, claims={"cnf": {"jkt": caller.key.thumbprint, "note": 1}})
    proof = caller.key.proof("GET", URL, token, now=caller.clock())
    assert verifier.authenticate(request(token, proof)).key_thumbprint == caller.key.thumbprint
    assert refused(verifier, request(token)).reason == "token.bound"


@pytest.mark.parametrize("kind", JSON_VALUES)
def test_a_cnf_of_the_wrong_json_type_refuses_the_token(issuer: Issuer, verifier: Verifier, kind: str) -> None:
    """RFC 7800 3.1; checklist 77: null is not absent."""
    token = realm_token(issuer, json_with(honest_claims(), "cnf", JSON_VALUES[kind]))
    error = refused(verifier, request(token))
    assert (type(error), error.reason) == (InvalidToken, "token.confirmation")


def test_a_cnf_below_act_binds_nothing(issuer: Issuer, caller: Caller, verifier: Verifier) -> None:
    """RFC 7800 3.1, RFC 8693 4.1; checklist 77: only the top-level claim does."""
    token = mint(issuer, claims={"act": {"sub": "x", "cnf": {"jkt": caller.key.thumbprint}}})
    assert verifier.authenticate(request(token)).key_thumbprint is None
