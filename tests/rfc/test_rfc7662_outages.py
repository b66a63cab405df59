"""Introspection that cannot be had, and answers that are kept (RFC 7662 2.3, 4); checklist 49-51."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from strongdm_auth import Requirement, Verifier
from strongdm_auth.errors import TemporarilyUnavailable
from strongdm_auth.testing import Clock, Issuer
from tests.conftest import AUDIENCE, NOW, request

from .support import (
    MakeVerifier,
    denied,
    header_of,
    mint,
    opaque_token,
    refused,
    script_introspection,
    watched_verifier,
)

Break = Callable[[Issuer], None]

BROKEN: dict[str, Break] = {
    f"status {status}": lambda issuer, status=status: issuer.answer("/introspect", status, body=b'{"active": true}')
    for status in (201, 204, 301, 302, 307, 400, 401, 403, 404, 405, 429, 500, 502, 503, 504)
} | {
    "HTML": lambda issuer: issuer.answer("/introspect", body=b"<html>active: true</html>"),
    "nothing": lambda issuer: issuer.answer("/introspect", body=b""),
    "list": lambda issuer: issuer.answer("/introspect", body=b'[{"active": true}]'),
    "true": lambda issuer: issuer.answer("/introspect", body=b"true"),
    "cut short": lambda issuer: issuer.answer("/introspect", body=b'{"active": true, "sub": "x'),
    "active twice": lambda issuer: issuer.answer("/introspect", body=b'{"active": false, "active": true}'),
    "NaN": lambda issuer: issuer.answer("/introspect", body=b'{"active": true, "exp": NaN}'),
    "byte order mark": lambda issuer: issuer.answer("/introspect", body=b'\xef\xbb\xbf{"active": true}'),
    "too deep": lambda issuer: issuer.answer("/introspect", body=b'{"active": true, "x": ' + b"[" * 5_000),
    "too large": lambda issuer: issuer.answer("/introspect", body=b'{"active": true}' + b" " * 512 * 1024),
    "timeout": lambda issuer: issuer.stall(60, path="/introspect"),
    "no network": lambda issuer: issuer.answer(
        "/.well-known/openid-configuration",
        body=json.dumps({"issuer": issuer.url, "introspection_endpoint": "https://gone.test/introspect"}).encode(),
    ),
    "discovery fails": lambda issuer: issuer.fail(500, path="/.well-known/openid-configuration"),
    "another issuer's discovery": lambda issuer: issuer.answer(
        "/.well-known/openid-configuration", body=json.dumps({"issuer": "https://evil.test"}).encode()
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_opaque_token_gets_a_503_while_introspection_is_broken(
    issuer: Issuer, asking: MakeVerifier, name: str
) -> None:
    """RFC 7662 2.3; checklist 49: neither a bad token nor a good one."""
    BROKEN[name](issuer)
    error, denial = denied(asking("fallback"), request(opaque_token(issuer)))
    assert (type(error), error.status_code, error.error) == (TemporarilyUnavailable, 503, "temporarily_unavailable")
    assert error.reason == "introspection.unavailable"
    assert int(header_of(denial.headers, "Retry-After") or 0) >= 1
    assert header_of(denial.headers, "WWW-Authenticate") is None


@pytest.mark.parametrize("name", [name for name in BROKEN if "discovery" not in name and name != "no network"])
def test_a_jwt_gets_a_503_too_where_every_token_is_asked_about(issuer: Issuer, asking: MakeVerifier, name: str) -> None:
    """RFC 7662 2.3; checklist 49: an issuer that will not introspect its own JWTs is an outage, never a pass."""
    BROKEN[name](issuer)
    error = refused(asking("always"), request(mint(issuer)))
    assert (error.status_code, error.reason) == (503, "introspection.unavailable")


def test_wrong_client_credentials_are_our_fault_and_not_the_tokens(issuer: Issuer, make_verifier: MakeVerifier) -> None:
    """RFC 7662 2.3; checklist 49."""
    verifier = make_verifier(introspection="fallback", client_id="nobody", client_secret="wrong")
    assert refused(verifier, request(opaque_token(issuer))).status_code == 503


def test_a_route_that_wants_introspection_without_credentials_lets_nobody_in(
    issuer: Issuer, verifier: Verifier
) -> None:
    """RFC 7662 2.1; checklist 49."""
    assert refused(verifier, request(mint(issuer)), Requirement(introspect=True)).status_code == 503


def test_an_outage_is_not_remembered(issuer: Issuer, asking: MakeVerifier) -> None:
    """RFC 7662 2.3; checklist 49."""
    verifier, token = asking("fallback"), opaque_token(issuer)
    issuer.fail(503, path="/introspect")
    assert refused(verifier, request(token)).status_code == 503
    issuer.heal()
    assert verifier.authenticate(request(token)).introspected


def test_an_answer_is_kept_for_the_ttl_and_no_longer(issuer: Issuer, clock: Clock, asking: MakeVerifier) -> None:
    """RFC 7662 4; checklist 50."""
    verifier, token = asking("fallback"), opaque_token(issuer)
    for _ in range(5):
        verifier.authenticate(request(token))
    clock.advance(59.9)
    verifier.authenticate(request(token))
    assert issuer.count("/introspect") == 1
    issuer.revoke(token)
    assert verifier.authenticate(request(token))
    clock.advance(0.1)
    assert refused(verifier, request(token)).reason == "token.inactive"
    assert issuer.count("/introspect") == 2


def test_that_a_token_is_inactive_is_kept_no_longer_either(issuer: Issuer, clock: Clock, asking: MakeVerifier) -> None:
    """RFC 7662 4; checklist 50."""
    verifier = asking("fallback")
    for _ in range(3):
        assert refused(verifier, request("unknown")).reason == "token.inactive"
    clock.advance(60)
    assert refused(verifier, request("unknown")).reason == "token.inactive"
    assert issuer.count("/introspect") <= 4


@pytest.mark.parametrize("exp", [int(NOW) + 10, NOW + 10.0])
def test_an_answer_is_never_kept_past_its_expiry(
    issuer: Issuer, clock: Clock, asking: MakeVerifier, exp: float
) -> None:
    """RFC 7662 4; checklist 50: the leeway does not lengthen what is kept."""
    verifier = asking("fallback")
    script_introspection(issuer, exp=exp)
    verifier.authenticate(request("opaque"))
    clock.advance(9.999)
    verifier.authenticate(request("opaque"))
    assert issuer.count("/introspect") == 1
    clock.advance(0.001)
    script_introspection(issuer, active=False)
    assert refused(verifier, request("opaque")).reason == "token.inactive"


def test_with_a_ttl_of_zero_every_request_asks(issuer: Issuer, asking: MakeVerifier) -> None:
    """RFC 7662 4; checklist 50."""
    verifier, token = asking("always", introspection_ttl=0), mint(issuer)
    assert verifier.authenticate(request(token))
    issuer.revoke(token)
    assert refused(verifier, request(token)).reason == "token.inactive"


def test_an_answer_is_kept_for_its_own_token_only(issuer: Issuer, asking: MakeVerifier) -> None:
    """RFC 7662 4; checklist 50: tokens that begin and end alike are still two."""
    verifier = asking("fallback")
    good, twin = "x" * 400 + "1" + "y" * 400, "x" * 400 + "2" + "y" * 400
    script_introspection(issuer)
    assert verifier.authenticate(request(good))
    script_introspection(issuer, active=False)
    assert refused(verifier, request(twin)).reason == "token.inactive"
    assert verifier.authenticate(request(good))


@pytest.mark.parametrize(
    "endpoint", ["http://id.strongdm.test/introspect", "ftp://id.strongdm.test/x", "//x", 5, "", []]
)
def test_an_endpoint_that_is_not_https_is_not_asked(issuer: Issuer, clock: Clock, endpoint: Any) -> None:
    """RFC 7662 4; checklist 51."""
    issuer.answer(
        "/.well-known/openid-configuration",
        body=json.dumps({"issuer": issuer.url, "introspection_endpoint": endpoint}).encode(),
    )
    verifier, seen = watched_verifier(
        issuer, clock, introspection="fallback", client_id="a", client_secret="s", audience=AUDIENCE
    )
    assert refused(verifier, request("opaque")).status_code == 503
    assert seen.urls == [f"{issuer.url}/.well-known/openid-configuration"]


def test_neither_token_nor_secret_gets_into_a_log_or_a_repr(
    issuer: Issuer, asking: MakeVerifier, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 7662 4, 5; checklist 51."""
    caplog.set_level("DEBUG")
    verifier, token = asking("fallback"), opaque_token(issuer)
    accepted = verifier.authenticate(request(token))
    issuer.fail(500, path="/introspect")
    error = refused(verifier, request("another-opaque-token"))
    said = caplog.text + repr((accepted, verifier, error, verifier.settings, request(token)))
    secret = verifier.settings.client_secret
    assert secret is not None
    assert not any(word in said for word in (token, "another-opaque-token", secret))
