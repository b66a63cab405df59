"""Token exchange against the local issuer: a child agent with fewer scopes, and who acts for whom."""

import asyncio

import pytest

from strongdm_auth.client import ClientCredentials, DPoPKey, FixedToken, Network, TokenExchange, TokenRequestFailed
from strongdm_auth.testing import Client, Issuer
from tests.client.conftest import Time, claims_of


@pytest.fixture
def child(issuer: Issuer) -> Client:
    return issuer.client("child", scopes="read", realm="alpha")


def test_a_child_acts_for_its_parent_with_fewer_scopes(
    issuer: Issuer, child: Client, client: Client, network: Network
) -> None:
    parent = ClientCredentials(issuer.issuer_url("alpha"), *client.auth, scopes="read write", network=network)
    source = TokenExchange(
        issuer.issuer_url("alpha"), *child.auth, subject=parent, scopes="read", audience="https://api", network=network
    )
    for token in (source.token(), asyncio.run(source.bound_to(DPoPKey.generate()).atoken())):
        claims = claims_of(token.value)
        assert (claims["sub"], claims["act"]["sub"]) == (client.client_id, child.client_id)
        assert (claims["scope"], claims["aud"]) == ("read", "https://api")
    assert ("cnf" in claims) is True


def test_a_chain_of_agents_is_nested_and_each_is_asked_again_when_its_token_ends(
    issuer: Issuer, child: Client, client: Client, network: Network, time: Time
) -> None:
    url = issuer.issuer_url("alpha")
    parent = ClientCredentials(url, *client.auth, scopes="read write", network=network)
    middle = TokenExchange(url, *child.auth, subject=parent, network=network)
    last = issuer.client("last", scopes="read", realm="alpha")
    source = TokenExchange(url, *last.auth, subject=middle, scopes="read", network=network)
    first = source.token()
    claims = claims_of(first.value)
    assert claims["act"] == {"sub": last.client_id, "act": {"sub": child.client_id}}
    time.clock.advance(3601)
    assert claims_of(source.token().value)["exp"] > claims["exp"]
    assert issuer.count("/token") == 6


def test_an_actor_token_says_who_acts(issuer: Issuer, child: Client, client: Client, network: Network) -> None:
    url = issuer.issuer_url("alpha")
    actor = ClientCredentials(url, *child.auth, network=network)
    user = issuer.token("user-1", scopes="read", realm="alpha")
    source = TokenExchange(url, *client.auth, subject=user, actor=actor, network=network)
    claims = claims_of(source.token().value)
    assert claims["sub"] == "user-1"
    assert claims["act"] == {"sub": child.client_id, "iss": url}
    fixed = TokenExchange(url, *client.auth, subject=FixedToken(user), actor=actor.token().value, network=network)
    assert claims_of(fixed.token().value)["act"]["sub"] == child.client_id


def test_more_than_the_subject_has_is_not_given(issuer: Issuer, child: Client, network: Network) -> None:
    url = issuer.issuer_url("alpha")
    user = issuer.token("user-1", scopes="read", realm="alpha")
    source = TokenExchange(url, *child.auth, subject=user, scopes="admin", network=network)
    with pytest.raises(TokenRequestFailed) as failure:
        source.token()
    assert failure.value.error == "invalid_scope"


def test_no_error_and_no_repr_has_the_tokens_in_it(issuer: Issuer, child: Client, network: Network) -> None:
    subject, actor = "subject-" + "x" * 20, "actor-" + "y" * 20
    source = TokenExchange(issuer.issuer_url("alpha"), *child.auth, subject=subject, actor=actor, network=network)
    issuer.answer(
        "/token", 400, body=f'{{"error": "invalid_request", "error_description": "{subject} {actor}"}}'.encode()
    )
    with pytest.raises(TokenRequestFailed) as failure:
        source.token()
    assert str(failure.value) == "invalid_request: ... ... (status 400)"
    assert subject not in repr(source)


def test_what_fails_at_the_parent_is_told_by_the_child(issuer: Issuer, child: Client, network: Network) -> None:
    url = issuer.issuer_url("alpha")
    parent = ClientCredentials(url, "nobody", "wrong-secret", network=network)
    source = TokenExchange(url, *child.auth, subject=parent, network=network)
    with pytest.raises(TokenRequestFailed, match="invalid_client"):
        source.token()
    with pytest.raises(TokenRequestFailed, match="invalid_client"):
        asyncio.run(source.atoken())
