"""`fake_token`: what a route gets, without a signature."""

import time

import pytest
from tests.conftest import request

from strongdm_auth import AccessToken, Verifier
from strongdm_auth.testing import TrustedIssuer, fake_token


def test_it_is_a_value_like_any_other() -> None:
    token = fake_token("ann", scopes="read write", realm="acme", audience=["a", "b"], claims={"tenant": 7})
    assert isinstance(token, AccessToken)
    assert token.subject == token.client_id == "ann"
    assert token.scopes == {"read", "write"}
    assert (token.realm, token.issuer) == ("acme", "https://id.strongdm.ai/realms/acme")
    assert token.audience == ("a", "b")
    assert (token["tenant"], token.claims["scope"]) == (7, "read write")
    assert token.expires_at is not None
    assert 3590 < token.expires_at - time.time() <= 3600
    assert (token.bound, token.actor, token.introspected) == (False, None, False)
    assert fake_token(dpop=True).bound
    assert fake_token(introspected=True).introspected


def test_it_is_what_a_verifier_makes_of_the_same_token() -> None:
    actor = {"sub": "cli_a", "act": {"sub": "cli_b"}}
    with TrustedIssuer(realms=["acme"], audience="https://api.example.com") as issuer:
        made = issuer.token("ann", scopes="read", actor=actor, claims={"jti": "1"})
        real = Verifier(realms=["acme"], audience="https://api.example.com").authenticate(request(made))
    parts = {"iat": real.issued_at, "exp": real.expires_at, "jti": "1"}
    audience = "https://api.example.com"
    fake = fake_token("ann", scopes=["read"], realm="acme", audience=audience, actor=actor, claims=parts)
    assert dict(fake) == dict(real)
    for name in ("subject", "issuer", "realm", "scopes", "client_id", "audience", "delegation", "actor", "token_id"):
        assert getattr(fake, name) == getattr(real, name), name


def test_claims_are_laid_over_and_none_removes() -> None:
    token = fake_token("ann", claims={"sub": None, "client_id": "cli_1", "exp": 1})
    assert (token.subject, token.client_id, token.expires_at) == (None, "cli_1", 1)
    assert "sub" not in token
    assert fake_token(claims={"iss": "https://elsewhere.example"}).issuer == "https://elsewhere.example"


@pytest.mark.parametrize("parts", [{"claims": {"cnf": "x"}}, {"claims": {"aud": 5}}, {"scopes": 'a"b'}])
def test_what_no_api_could_have_read_is_a_mistake_of_the_test(parts: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        fake_token(**parts)  # type: ignore[arg-type]


def test_two_are_never_the_same() -> None:
    assert fake_token().token_id != fake_token().token_id
