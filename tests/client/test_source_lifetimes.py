"""How long a token is held, and when a new one is asked for."""

from typing import Any

import httpx
import pytest

from strongdm_auth.client import ClientCredentials, TokenRequestFailed
from strongdm_auth.client.sources import EARLY
from tests.client.conftest import Time, as_json
from tests.client.token_endpoint import ISSUER, TokenEndpoint, source_at


def test_a_token_is_held_until_shortly_before_it_expires(time: Time) -> None:
    endpoint = TokenEndpoint()
    source = source_at(endpoint, time)
    assert source.token() is source.token()
    time.clock.advance(3600 - EARLY - 1)
    assert source.token().value == "token-1"
    time.clock.advance(1)
    assert source.token().value == "token-2"
    assert len(endpoint.got) == 2


def test_many_agents_do_not_renew_at_the_same_moment(time: Time) -> None:
    for chance in (0.0, 0.5, 1.0):
        endpoint = TokenEndpoint()
        token = source_at(endpoint, time, network={"chance": lambda chance=chance: chance}).token()
        assert token.renew_at == token.expires_at - EARLY * (1 + chance)


@pytest.mark.parametrize("lifetime", [1, 10, 40])
def test_a_short_lived_token_serves_half_its_life(lifetime: int, time: Time) -> None:
    endpoint = TokenEndpoint()
    endpoint.answers = [lambda: endpoint.token(expires_in=lifetime)] * 2
    token = source_at(endpoint, time).token()
    assert token.renew_at == token.obtained_at + lifetime / 2


@pytest.mark.parametrize("expires_in", [None, "soon", -1, 0, True, [3600], 1e300])
def test_a_token_whose_end_is_not_told_counts_until_it_is_refused(expires_in: Any, time: Time) -> None:
    endpoint = TokenEndpoint()
    endpoint.answers = [lambda: endpoint.token(expires_in=expires_in)]
    source = source_at(endpoint, time)
    token = source.token()
    assert token.expires_at is None
    time.clock.advance(1e6)
    assert source.token() is token
    assert source.token(instead_of=token).value == "token-2"


def test_a_lifetime_written_as_a_string_is_understood(time: Time) -> None:
    endpoint = TokenEndpoint()
    endpoint.answers = [lambda: endpoint.token(expires_in="60")]
    token = source_at(endpoint, time).token()
    assert token.expires_at == token.obtained_at + 60


def test_while_a_token_counts_an_issuer_that_is_away_is_no_reason_to_fail_or_to_wait(time: Time) -> None:
    endpoint = TokenEndpoint()
    source = source_at(endpoint, time)
    source.token()
    time.clock.advance(3600 - EARLY)
    endpoint.answers = [httpx.ConnectError("away"), httpx.Response(503)]
    assert [source.token().value for _ in range(5)] == ["token-1"] * 5
    assert len(endpoint.got) == 2  # and it is not asked again for each request
    assert time.waits == []
    time.clock.advance(11)
    assert source.token().value == "token-1"
    time.clock.advance(11)
    assert source.token().value == "token-2"


def test_a_token_that_has_expired_is_not_handed_out_though_the_issuer_is_away(time: Time) -> None:
    endpoint = TokenEndpoint()
    source = source_at(endpoint, time)
    source.token()
    time.clock.advance(3600)
    endpoint.answers = [httpx.Response(500)] * 9
    with pytest.raises(TokenRequestFailed):
        source.token()


def test_a_token_that_was_refused_is_replaced_once_for_everybody(time: Time) -> None:
    endpoint = TokenEndpoint()
    source = source_at(endpoint, time)
    refused = source.token()
    assert {source.token(instead_of=refused).value for _ in range(3)} == {"token-2"}
    assert len(endpoint.got) == 2


def test_scopes_are_added_to_what_it_had_and_stay(time: Time) -> None:
    endpoint = TokenEndpoint()
    for scope in ("read", "read write", "read write"):
        endpoint.answers.append(lambda scope=scope: endpoint.token(scope=scope))
    source = source_at(endpoint, time)
    source.token()
    assert source.token(scopes={"write"}).scopes == {"read", "write"}
    assert source.token(scopes={"write"}) is source.token()
    time.clock.advance(3600)
    source.token()
    assert [form.get("scope") for form in endpoint.forms] == [None, ["read write"], ["read write"]]


def test_scopes_that_are_not_given_any_more_do_not_lock_the_agent_out(time: Time) -> None:
    endpoint = TokenEndpoint()
    source = source_at(endpoint, time, scopes="read")
    source.token(scopes={"write"})
    time.clock.advance(3600)
    endpoint.answers = [as_json(400, {"error": "invalid_scope"})]
    assert source.token().scopes == {"read"}
    assert [form["scope"] for form in endpoint.forms] == [["read write"], ["read write"], ["read"]]


def test_a_refused_scope_leaves_the_token_as_it_is(time: Time) -> None:
    endpoint = TokenEndpoint()
    source = source_at(endpoint, time)
    token = source.token()
    endpoint.answers = [as_json(400, {"error": "invalid_scope"})]
    with pytest.raises(TokenRequestFailed, match="invalid_scope"):
        source.token(scopes={"admin"})
    assert source.token() is token


@pytest.mark.parametrize("scopes", ["a\nb", ['a"b'], ["a b"], [""], "é"])
def test_what_is_no_scope_is_refused_at_once(scopes: Any) -> None:
    with pytest.raises(ValueError, match="scope"):
        ClientCredentials(ISSUER, "c", "s", scopes=scopes)
