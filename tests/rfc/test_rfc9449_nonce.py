"""Nonces of the resource server (RFC 9449 8, 9); checklist 19, 31-33, 37."""

import re
from typing import Any

import pytest

from strongdm_auth import Verifier
from strongdm_auth.dpop import NONCE_LIFETIME, NONCE_RENEWAL
from strongdm_auth.errors import UseDPoPNonce
from strongdm_auth.testing import Clock, Issuer
from tests.conftest import NOW, request

from .support import JSON_VALUES, Caller, MakeVerifier, challenges_of, denied, header_of, json_with, mint, refused

SECRET = "a secret that all workers share"


@pytest.fixture
def strict(make_verifier: MakeVerifier) -> Verifier:
    return make_verifier(dpop_nonce="required", dpop_nonce_secret=SECRET)


def nonce_from(verifier: Verifier, caller: Caller) -> str:
    """The nonce that a refusal brings."""
    error, denial = denied(verifier, caller.request())
    assert isinstance(error, UseDPoPNonce)
    nonce = header_of(denial.headers, "DPoP-Nonce")
    assert nonce is not None
    return nonce


def test_a_proof_without_nonce_is_refused_with_one_to_use(caller: Caller, strict: Verifier) -> None:
    """RFC 9449 9; checklist 32, 37."""
    error, denial = denied(strict, caller.request())
    assert (type(error), error.status_code, error.error, error.reason) == (
        UseDPoPNonce,
        401,
        "use_dpop_nonce",
        "dpop.nonce_missing",
    )
    (challenge,) = challenges_of(denial)
    assert (challenge.scheme, challenge.error) == ("DPoP", "use_dpop_nonce")
    assert header_of(denial.headers, "DPoP-Nonce")
    assert header_of(denial.headers, "Cache-Control") == "no-store"


def test_the_retry_with_that_nonce_succeeds_and_goes_on_succeeding(caller: Caller, strict: Verifier) -> None:
    """RFC 9449 9; checklist 19, 32."""
    nonce = nonce_from(strict, caller)
    for _ in range(3):
        assert strict.authenticate(caller.request(nonce=nonce))


def test_a_nonce_has_only_the_characters_of_the_header(caller: Caller, clock: Clock, strict: Verifier) -> None:
    """RFC 9449 8.1 (1*NQCHAR); checklist 31."""
    for _ in range(50):
        clock.advance(1)
        assert re.fullmatch(r"[\x21\x23-\x5B\x5D-\x7E]+", nonce_from(strict, caller))


def test_nobody_without_the_secret_can_tell_a_nonce_in_advance(
    caller: Caller, clock: Clock, make_verifier: MakeVerifier
) -> None:
    """RFC 9449 8 (unpredictable); checklist 31."""
    verifiers = [make_verifier(dpop_nonce="required") for _ in range(10)]  # each with a random secret
    assert len({nonce_from(verifier, caller) for verifier in verifiers}) == 10
    first = nonce_from(verifiers[0], caller)
    clock.advance(1)
    second = nonce_from(verifiers[0], caller)
    assert sum(one != other for one, other in zip(first, second, strict=True)) > 10


@pytest.mark.parametrize(
    "forge",
    [
        lambda nonce: "x",
        lambda nonce: "",
        lambda nonce: nonce[:-1],
        lambda nonce: nonce + "A",
        lambda nonce: nonce + "=",
        lambda nonce: nonce[::-1],
        lambda nonce: nonce.swapcase(),
        lambda nonce: "A" * len(nonce),
        lambda nonce: nonce[:10] + "é" + nonce[11:],
        lambda nonce: nonce[:11],
        lambda nonce: f" {nonce}",
        lambda nonce: nonce * 2,
    ],
)
def test_a_forged_nonce_is_refused(caller: Caller, strict: Verifier, forge: Any) -> None:
    """RFC 9449 4.3 (10), 9; checklist 19, 37."""
    forged = forge(nonce_from(strict, caller))
    error, denial = denied(strict, caller.request(nonce=forged))
    assert (type(error), error.status_code, error.error, error.reason) == (
        UseDPoPNonce,
        401,
        "use_dpop_nonce",
        "dpop.nonce_stale",
    )
    assert strict.authenticate(caller.request(nonce=header_of(denial.headers, "DPoP-Nonce")))


@pytest.mark.parametrize("position", [0, 4, 10, 12, 20, 31])
def test_no_character_of_a_nonce_can_be_changed(caller: Caller, strict: Verifier, position: int) -> None:
    """RFC 9449 8; checklist 19, 31: neither its time nor its seal."""
    nonce = nonce_from(strict, caller)
    changed = nonce[:position] + ("B" if nonce[position] == "A" else "A") + nonce[position + 1 :]
    assert refused(strict, caller.request(nonce=changed)).reason == "dpop.nonce_stale"


@pytest.mark.parametrize("kind", JSON_VALUES)
def test_a_nonce_of_the_wrong_json_type_is_refused(caller: Caller, strict: Verifier, kind: str) -> None:
    """RFC 9449 4.2, 4.3 (10); checklist 19, 37."""
    proof = caller.raw_proof(json_with(caller.claims(), "nonce", JSON_VALUES[kind]))
    assert refused(strict, caller.request(proof)).error == "use_dpop_nonce"


def test_a_nonce_of_another_secret_is_refused(caller: Caller, strict: Verifier, make_verifier: MakeVerifier) -> None:
    """RFC 9449 8; checklist 19."""
    other = make_verifier(dpop_nonce="required", dpop_nonce_secret="another secret")
    assert refused(strict, caller.request(nonce=nonce_from(other, caller))).reason == "dpop.nonce_stale"


def test_workers_with_one_secret_take_each_others_nonces(
    caller: Caller, strict: Verifier, make_verifier: MakeVerifier
) -> None:
    """RFC 9449 8 and the contract's dpop_nonce_secret; checklist 19."""
    twin = make_verifier(dpop_nonce="required", dpop_nonce_secret=SECRET)
    assert strict.authenticate(caller.request(nonce=nonce_from(twin, caller)))


def test_secrets_can_be_rotated(caller: Caller, strict: Verifier, make_verifier: MakeVerifier) -> None:
    """RFC 9449 8; checklist 19: the first secret seals, all of them are known."""
    old = nonce_from(strict, caller)
    rotated = make_verifier(dpop_nonce="required", dpop_nonce_secret=["a new secret", SECRET])
    assert rotated.authenticate(caller.request(nonce=old))
    new = nonce_from(rotated, caller)
    assert refused(strict, caller.request(nonce=new)).reason == "dpop.nonce_stale"
    assert make_verifier(dpop_nonce="required", dpop_nonce_secret="a new secret").authenticate(
        caller.request(nonce=new)
    )


def test_a_stale_nonce_is_refused_and_a_fresh_one_comes_along(caller: Caller, clock: Clock, strict: Verifier) -> None:
    """RFC 9449 8.2, 9; checklist 32."""
    nonce = nonce_from(strict, caller)
    clock.set(NOW + NONCE_LIFETIME)
    assert strict.authenticate(caller.request(nonce=nonce))
    clock.set(NOW + NONCE_LIFETIME + 1)
    error, denial = denied(strict, caller.request(nonce=nonce))
    assert (error.error, error.reason) == ("use_dpop_nonce", "dpop.nonce_stale")
    fresh = header_of(denial.headers, "DPoP-Nonce")
    assert fresh != nonce
    assert strict.authenticate(caller.request(nonce=fresh))


@pytest.mark.parametrize(("behind", "passes"), [(30, True), (31, False), (3600, False)])
def test_a_nonce_from_the_future_passes_within_the_leeway_only(
    caller: Caller, clock: Clock, strict: Verifier, behind: int, passes: bool
) -> None:
    """RFC 9449 8; checklist 19: another worker's clock may be ahead a little."""
    nonce = nonce_from(strict, caller)
    clock.set(NOW - behind)
    sent = caller.request(nonce=nonce)
    if passes:
        assert strict.authenticate(sent)
    else:
        assert refused(strict, sent).status_code == 401


def test_an_answer_renews_a_nonce_before_it_lapses(caller: Caller, clock: Clock, strict: Verifier) -> None:
    """RFC 9449 8.2; checklist 33: such an answer is not stored, and a busy agent never meets a refusal."""
    nonce = nonce_from(strict, caller)
    clock.advance(NONCE_RENEWAL - 1)
    admission = strict.admit(caller.request(nonce=nonce))
    assert admission is not None
    assert header_of(admission.headers, "DPoP-Nonce") is None
    for _ in range(12):
        clock.advance(NONCE_RENEWAL)
        admission = strict.admit(caller.request(nonce=nonce))
        assert admission is not None
        renewed = header_of(admission.headers, "DPoP-Nonce")
        if renewed is not None:
            assert header_of(admission.headers, "Cache-Control") == "no-store"
            assert header_of(admission.headers, "Vary") == "Authorization, DPoP"
            nonce = renewed
    assert clock() > NOW + 2 * NONCE_LIFETIME


def test_a_nonce_that_nobody_asked_for_is_ignored(caller: Caller, verifier: Verifier) -> None:
    """RFC 9449 4.3 (10) ("if the server provided a nonce"); checklist 19."""
    assert verifier.authenticate(caller.request(nonce="whatever"))
    admission = verifier.admit(caller.request())
    assert admission is not None
    assert header_of(admission.headers, "DPoP-Nonce") is None


def test_no_proof_ever_passes_without_a_nonce_where_it_is_required(
    caller: Caller, issuer: Issuer, strict: Verifier
) -> None:
    """RFC 9449 11.3; checklist 37: not after one with a nonce, and not by its key being known."""
    nonce = nonce_from(strict, caller)
    assert strict.authenticate(caller.request(nonce=nonce))
    for _ in range(3):
        assert refused(strict, caller.request()).error == "use_dpop_nonce"
    assert strict.authenticate(request(mint(issuer)))  # bearer tokens have no proof


def test_only_use_dpop_nonce_brings_a_nonce(caller: Caller, strict: Verifier) -> None:
    """RFC 9449 8; checklist 31, 32: at most one DPoP-Nonce, and none that invites a useless retry."""
    for sent in (request("x"), caller.request("a.b.c"), request(caller.token), request()):
        _, denial = denied(strict, sent)
        assert header_of(denial.headers, "DPoP-Nonce") is None
