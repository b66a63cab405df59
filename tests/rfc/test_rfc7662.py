"""Introspection (RFC 7662): what is asked, and what an answer is worth; checklist 23, 46-48.

Outages and the cache are in test_rfc7662_outages.py.
"""

from base64 import b64decode
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from strongdm_auth import ConfigurationError, InvalidToken, Requirement, Settings, Verifier
from strongdm_auth.testing import Clock, DPoPKey, Issuer
from tests.conftest import AUDIENCE, NOW, request

from .support import Caller, MakeVerifier, mint, opaque_token, refused, script_introspection, watched_verifier


def test_the_question_is_an_authenticated_post(issuer: Issuer, clock: Clock) -> None:
    """RFC 7662 2.1, RFC 6749 2.3.1; checklist 46."""
    client = issuer.client("api")
    verifier, seen = watched_verifier(
        issuer, clock, introspection="fallback", client_id=client.client_id, client_secret=client.client_secret
    )
    token = opaque_token(issuer)
    assert verifier.authenticate(request(token)).introspected
    asked = [sent for sent in seen.requests if sent.url.path.endswith("/introspect")]
    assert [sent.method for sent in asked] == ["POST"]
    assert parse_qs(asked[0].content.decode())["token"] == [token]
    assert asked[0].headers["Content-Type"] == "application/x-www-form-urlencoded"
    scheme, _, credentials = asked[0].headers["Authorization"].partition(" ")
    assert (scheme, b64decode(credentials).decode()) == ("Basic", f"{client.client_id}:{client.client_secret}")
    assert not any(token in url for url in seen.urls)


def test_odd_credentials_are_form_encoded_before_basic_joins_them(issuer: Issuer, clock: Clock) -> None:
    """RFC 6749 2.3.1; checklist 46."""
    verifier, seen = watched_verifier(
        issuer, clock, introspection="fallback", client_id="a:b c", client_secret="s%é+/="
    )
    refused(verifier, request("opaque"))
    sent = httpx.Headers(seen.requests[-1].headers)["Authorization"]
    assert b64decode(sent.removeprefix("Basic ")) == b"a%3Ab+c:s%25%C3%A9%2B%2F%3D"


@pytest.mark.parametrize("missing", [{"client_id": "a"}, {"client_secret": "s"}, {}])
@pytest.mark.parametrize("mode", ["fallback", "always"])
def test_introspection_without_credentials_is_a_configuration_error(mode: str, missing: dict[str, str]) -> None:
    """RFC 7662 2.1; checklist 46."""
    with pytest.raises(ConfigurationError, match="client_id and client_secret"):
        Settings(realms="alpha", audience=AUDIENCE, introspection=mode, **missing)


def test_an_opaque_token_is_refused_unasked_while_introspection_is_off(issuer: Issuer, verifier: Verifier) -> None:
    """RFC 7662 2 and the contract's introspection=off; checklist 46."""
    error = refused(verifier, request(opaque_token(issuer)))
    assert (error.status_code, error.reason, issuer.count("/introspect")) == (401, "token.opaque", 0)


@pytest.mark.parametrize("mode", ["fallback", "always"])
def test_an_opaque_token_that_is_active_is_let_in(issuer: Issuer, asking: MakeVerifier, mode: str) -> None:
    """RFC 7662 2.2; checklist 47."""
    token = asking(mode).authenticate(request(opaque_token(issuer)))
    assert (token.subject, token.realm, token.scopes) == ("cli_agent", "alpha", frozenset({"read"}))
    assert (token.introspected, token.audience) == (True, (AUDIENCE,))


@pytest.mark.parametrize("active", ["true", "True", 1, 1.0, 0, [True], {"a": 1}, "", None, False, ...], ids=repr)
@pytest.mark.parametrize("mode", ["fallback", "always"])
def test_only_a_boolean_true_is_active(issuer: Issuer, asking: MakeVerifier, mode: str, active: Any) -> None:
    """RFC 7662 2.2; checklist 47."""
    script_introspection(issuer, active=active)
    token = mint(issuer) if mode == "always" else opaque_token(issuer)
    error = refused(asking(mode), request(token))
    assert (type(error), error.status_code, error.error, error.reason) == (
        InvalidToken,
        401,
        "invalid_token",
        "token.inactive",
    )


# Members of an answer about an opaque token -> the reason of the refusal, or None where the token passes.
ANSWERS: list[tuple[dict[str, Any], str | None]] = [
    ({"iss": "https://id.strongdm.test/realms/beta"}, "token.issuer"),
    ({"iss": "https://id.strongdm.test"}, "token.issuer"),
    ({"iss": "https://evil.test"}, "token.issuer"),
    ({"iss": 5}, "token.claims"),
    ({"iss": None}, "token.issuer"),  # then it is the base issuer's, and only alpha is let in
    ({"iss": ...}, "token.issuer"),
    ({"aud": "https://other.example.com"}, "token.audience"),
    ({"aud": ["https://other.example.com", AUDIENCE]}, None),
    ({"aud": [AUDIENCE, 1]}, "token.claims"),
    ({"aud": 5}, "token.claims"),
    ({"aud": None}, "token.audience"),
    ({"aud": ...}, "token.audience"),
    ({"exp": int(NOW) - 30}, "token.expired"),
    ({"exp": int(NOW) - 29}, None),
    ({"exp": "2000000000"}, "token.claims"),
    ({"exp": True}, "token.claims"),
    ({"exp": None}, None),  # OPTIONAL
    ({"exp": ...}, None),
    ({"nbf": int(NOW) + 31}, "token.not_yet_valid"),
    ({"nbf": "soon"}, "token.claims"),
    ({"iat": int(NOW) + 31}, "token.not_yet_valid"),
    ({"sub": ...}, None),
    ({"sub": None}, None),
    ({"sub": ["x"]}, "token.claims"),
    ({"scope": ["read"]}, "token.claims"),
    ({"scope": None}, None),
    ({"client_id": 1}, "token.claims"),
    ({"cnf": {"jkt": "A" * 43}}, "token.bound"),
    ({"cnf": {"x5t#S256": "A" * 43}}, "token.certificate_missing"),
    ({"cnf": {"kid": "k"}}, "token.confirmation"),
    ({"cnf": {"jkt": 5}}, "token.confirmation"),
    ({"cnf": {}}, "token.confirmation"),
    ({"cnf": []}, "token.confirmation"),
    ({"cnf": "jkt"}, "token.confirmation"),
    ({"cnf": None}, None),
    ({"token_type": "DPoP"}, "token.confirmation"),  # bound, and nothing to hold a proof against
    ({"token_type": "dpop", "cnf": None}, "token.confirmation"),
    ({"token_type": "bearer"}, None),
    ({"token_type": "access_token"}, None),
    ({"token_type": None}, None),
    ({"token_type": ...}, None),
    ({"token_type": "refresh_token"}, "token.type"),
    ({"token_type": "id_token"}, "token.type"),
    ({"token_type": "mac"}, "token.type"),
    ({"token_type": 5}, "token.type"),
    ({"token_type": ["Bearer"]}, "token.type"),
]


@pytest.mark.parametrize(("members", "reason"), ANSWERS, ids=lambda value: str(value)[:50])
@pytest.mark.parametrize("mode", ["fallback", "always"])
def test_an_active_answer_is_checked_like_a_token(
    issuer: Issuer, asking: MakeVerifier, mode: str, members: dict[str, Any], reason: str | None
) -> None:
    """RFC 7662 2.2, 4; checklist 23, 48: active alone is not authorisation."""
    script_introspection(issuer, **members)
    verifier, sent = asking(mode), request(opaque_token(issuer))
    if reason is None:
        assert verifier.authenticate(sent).introspected
    else:
        error = refused(verifier, sent)
        assert (type(error), error.status_code, error.reason) == (InvalidToken, 401, reason)


def test_an_answer_without_issuer_speaks_of_the_issuer_that_was_asked(issuer: Issuer, asking: MakeVerifier) -> None:
    """RFC 7662 2.2 (iss is OPTIONAL); checklist 48."""
    script_introspection(issuer, iss=...)
    token = asking("fallback", realms="*").authenticate(request(opaque_token(issuer, realm=None)))
    assert (token.issuer, token.realm) == (issuer.url, None)


CONTRADICTIONS: list[tuple[dict[str, Any], str | None]] = [
    ({"iss": "https://id.strongdm.test/realms/beta"}, "token.introspection_mismatch"),
    ({"iss": ...}, None),
    ({"iss": None}, None),
    ({"sub": "cli_other"}, "token.introspection_mismatch"),
    ({"sub": ...}, None),
    ({"sub": None}, None),
    ({"aud": "https://other.example.com"}, "token.audience"),
    ({"aud": 5}, "token.claims"),
    ({"aud": ...}, None),
    ({"aud": None}, None),
    ({"exp": int(NOW) - 60}, "token.expired"),
    ({"exp": ...}, None),
    ({"exp": "x"}, "token.claims"),
    ({"nbf": int(NOW) + 60}, "token.not_yet_valid"),
    ({"cnf": {"jkt": "A" * 43}}, "token.introspection_mismatch"),
    ({"cnf": {}}, "token.confirmation"),
    ({"cnf": None}, None),
    ({"token_type": "DPoP"}, "token.confirmation"),
    ({"token_type": "refresh_token"}, "token.type"),
    ({"token_type": ...}, None),
]


@pytest.mark.parametrize(("members", "reason"), CONTRADICTIONS, ids=lambda value: str(value)[:50])
def test_an_answer_about_a_jwt_must_not_contradict_it(
    issuer: Issuer, asking: MakeVerifier, members: dict[str, Any], reason: str | None
) -> None:
    """RFC 7662 2.2, 4; checklist 48."""
    script_introspection(issuer, **members)
    verifier, sent = asking("always"), request(mint(issuer))
    if reason is None:
        assert verifier.authenticate(sent).introspected
    else:
        assert (refused(verifier, sent).status_code, refused(verifier, sent).reason) == (401, reason)


@pytest.mark.parametrize(
    ("granted", "told", "left"),
    [("read write", "read", {"read"}), ("read", "read admin", {"read"}), ("read", "", set()), ("read", ..., {"read"})],
)
def test_an_answer_can_narrow_the_scopes_of_a_jwt_and_never_widen_them(
    issuer: Issuer, asking: MakeVerifier, granted: str, told: Any, left: set[str]
) -> None:
    """RFC 7662 2.2; checklist 48."""
    script_introspection(issuer, scope=told)
    assert asking("always").authenticate(request(mint(issuer, scopes=granted))).scopes == left


@pytest.mark.parametrize(
    "spoil",
    [
        {"lifetime": -60},
        {"audience": "https://other.example.com"},
        {"header": {"typ": "dpop+jwt"}},
        {"claims": {"iss": "https://evil.test"}},
        {"claims": {"token_type": "refresh_token"}},
        {"claims": {"cnf": {"kid": "k"}}},
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["fallback", "always"])
def test_a_jwt_that_fails_locally_is_never_rescued(
    issuer: Issuer, asking: MakeVerifier, mode: str, spoil: dict[str, Any]
) -> None:
    """RFC 7662 4 and the contract's introspection; checklist 48: the issuer is not even asked."""
    script_introspection(issuer)
    assert refused(asking(mode), request(mint(issuer, **spoil))).status_code == 401
    assert issuer.count("/introspect") == 0


@pytest.mark.parametrize("token", ["a.b.c", "e30.e30.e30", "eyJhbGciOiJub25lIn0.e30.AA"])
def test_what_looks_like_a_jwt_and_is_none_is_not_asked_about(issuer: Issuer, asking: MakeVerifier, token: str) -> None:
    """RFC 7662 4 and the contract's introspection=fallback; checklist 48."""
    script_introspection(issuer)
    assert refused(asking("fallback"), request(token)).status_code == 401
    assert issuer.count("/introspect") == 0


def test_a_jwt_is_not_asked_about_in_fallback_mode_unless_the_route_wants_it(
    issuer: Issuer, asking: MakeVerifier
) -> None:
    """RFC 7662 1; checklist 48."""
    verifier, token = asking("fallback"), mint(issuer)
    issuer.revoke(token)
    assert verifier.authenticate(request(token)).introspected is False
    assert issuer.count("/introspect") == 0
    assert refused(verifier, request(token), Requirement(introspect=True)).reason == "token.inactive"


def test_a_bound_opaque_token_needs_its_proof(
    issuer: Issuer, asking: MakeVerifier, clock: Clock, dpop_key: DPoPKey
) -> None:
    """RFC 9449 6.2, 7.2; checklist 23, 28."""
    verifier, token = asking("fallback"), opaque_token(issuer, key=dpop_key)
    assert refused(verifier, request(token)).reason == "token.bound"
    assert refused(verifier, request(token, scheme="DPoP")).reason == "dpop.missing"
    proof = dpop_key.proof("GET", "https://api.example.com/things", token, now=clock())
    assert verifier.authenticate(request(token, proof)).key_thumbprint == dpop_key.thumbprint
    assert refused(verifier, request(token, proof)).reason == "dpop.replayed"
    stranger = DPoPKey.generate().proof("GET", "https://api.example.com/things", token, now=clock())
    assert refused(verifier, request(token, stranger)).reason == "token.key_mismatch"


def test_the_answers_binding_must_be_the_jwts_own(issuer: Issuer, asking: MakeVerifier, clock: Clock) -> None:
    """RFC 9449 6.2; checklist 23: and a bound JWT stays bound when the answer forgets to say so."""
    caller = Caller(issuer, clock, DPoPKey.generate())
    verifier = asking("always", introspection_ttl=0)
    script_introspection(issuer)
    assert verifier.authenticate(caller.request()).key_thumbprint == caller.key.thumbprint
    assert refused(verifier, request(caller.token)).reason == "token.bound"
    script_introspection(issuer, cnf={"jkt": DPoPKey.generate().thumbprint})
    assert refused(verifier, caller.request()).reason == "token.introspection_mismatch"
