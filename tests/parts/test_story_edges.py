"""The story to the second and to the byte: when the issuer is asked again, what is remembered, and what is not."""

from collections.abc import Callable
from typing import Any

import pytest

from strongdm_auth import InvalidToken, Request, Requirement, TemporarilyUnavailable, Verifier
from strongdm_auth.dpop import LONGEST_HEADER_REMEMBERED
from strongdm_auth.replay import MemoryReplayStore
from strongdm_auth.testing import Clock, DPoPKey, Issuer, SigningKey
from tests.conftest import AUDIENCE, NOW, URL, request

from .world import Answer, World, status_of

COOLDOWN = 30


def test_a_first_token_with_an_unknown_key_does_not_have_the_set_fetched_twice(world: World, key: SigningKey) -> None:
    """It was fetched for this very token: there can be nothing newer."""
    world.publish(key)
    verifier = world.verifier()
    assert status_of(verifier, world.forged("stranger")) == 401
    assert status_of(verifier, world.forged(key.kid)) == 401
    assert world.count("/jwks") == 2, "one to have a set, one that the second token forced"


def test_a_first_token_with_an_unknown_key_costs_one_fetch(world: World, key: SigningKey) -> None:
    world.publish(key)
    verifier = world.verifier()
    assert status_of(verifier, world.forged("stranger")) == 401
    assert world.count("/jwks") == 1


@pytest.mark.parametrize(("later", "left"), [(0, 30), (1, 29), (29.5, 0.5)])
def test_an_unknown_key_is_503_until_the_cooldown_of_an_outage_is_over(
    world: World, key: SigningKey, other_key: SigningKey, later: float, left: float
) -> None:
    """To the last half second, and the answer says how long that is."""
    world.publish(key)
    verifier = world.verifier()
    assert status_of(verifier, world.token(key)) == 200
    world.outage = Answer(status=500)
    assert status_of(verifier, world.token(other_key)) == 503
    world.clock.advance(later)
    with pytest.raises(TemporarilyUnavailable) as caught:
        verifier.authenticate(request(world.token(other_key)))
    assert (caught.value.reason, caught.value.retry_after) == ("keys.unavailable", left)


def test_an_unknown_key_is_401_when_the_issuer_answers_again(
    world: World, key: SigningKey, other_key: SigningKey
) -> None:
    world.publish(key)
    verifier = world.verifier()
    assert status_of(verifier, world.token(key)) == 200
    world.outage = Answer(status=500)
    assert status_of(verifier, world.token(other_key)) == 503
    world.outage = None
    world.clock.advance(COOLDOWN)
    with pytest.raises(InvalidToken) as caught:
        verifier.authenticate(request(world.token(other_key)))
    assert caught.value.reason == "token.key_unknown"


@pytest.mark.parametrize("bound", [False, True])
def test_a_token_of_the_longest_size_is_recalled_like_any_other(
    issuer: Issuer, make_verifier: Callable[..., Verifier], bound: bool
) -> None:
    key = DPoPKey.generate() if bound else None
    token = issuer.token("cli_agent", realm="alpha", audience=AUDIENCE, key=key)
    verifier = make_verifier(max_token_bytes=len(token))

    def sent() -> Any:
        return request(token, None if key is None else key.proof("GET", URL, token, now=NOW))

    assert verifier._server.recall(sent(), NOW)[0] is None
    assert verifier.authenticate(sent()).subject == "cli_agent"
    assert verifier._server.recall(sent(), NOW)[0] is not None


def test_a_query_that_names_no_token_makes_nothing_new(issuer: Issuer, make_verifier: Callable[..., Verifier]) -> None:
    verifier, token = make_verifier(), issuer.token("cli_agent", realm="alpha", audience=AUDIENCE)
    verifier.authenticate(request(token))
    for query, recalled in (("page=2", True), ("access=x", True), ("a%20b", True), ("access_token=x", False)):
        admission, _ = verifier._server.recall(request(token, url=f"{URL}?{query}"), NOW)
        assert (admission is not None) is recalled


def test_a_known_token_is_not_verified_again_where_the_store_is_elsewhere(
    issuer: Issuer, make_verifier: Callable[..., Verifier], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof is new each time and the token is not; only the first has its signature checked."""
    key, verifier = DPoPKey.generate(), make_verifier(replay_store=MemoryReplayStore())
    token = issuer.token("cli_agent", realm="alpha", audience=AUDIENCE, key=key)
    first = verifier.authenticate(request(token, key.proof("GET", URL, token, now=NOW)))
    monkeypatch.setattr(verifier._server, "_verify", None)
    assert verifier.authenticate(request(token, key.proof("GET", URL, token, now=NOW))) is first


@pytest.mark.parametrize("mode", ["fallback", "always"])
def test_one_request_asks_about_an_opaque_token_once(
    issuer: Issuer, make_verifier: Callable[..., Verifier], mode: str
) -> None:
    """Also where nothing may be kept, and the route asks for it on top."""
    client = issuer.client("api", realm="alpha")
    verifier = make_verifier(
        introspection=mode, introspection_ttl=0, client_id=client.client_id, client_secret=client.client_secret
    )
    token = issuer.opaque_token("cli_agent", realm="alpha", audience=AUDIENCE)
    issuer.forget_requests()
    admitted = verifier.authorize(request(token), Requirement(introspect=True))
    assert admitted is not None
    assert admitted.introspected
    assert sum(path.endswith("/introspect") for _, path in issuer.requests) == 1


@pytest.mark.parametrize(("stuffing", "kept"), [(0, 1), (LONGEST_HEADER_REMEMBERED, 0)])
def test_a_header_that_was_stuffed_is_not_remembered(world: World, key: SigningKey, stuffing: int, kept: int) -> None:
    """The issuer signed it, and might sign what an agent sends it; nobody is to fill the memory with long ones."""
    world.publish(key)
    verifier = world.verifier()
    for number in range(3):
        token = world.token(key, header={"kid": key.kid, "x": "x" * stuffing}, jti=str(number))
        assert status_of(verifier, token) == 200
    assert len(verifier._server._headers_known) == kept


def test_a_token_that_was_refused_leaves_its_header_behind_nowhere(world: World, key: SigningKey, clock: Clock) -> None:
    world.publish(key)
    verifier = world.verifier()
    for forged in (world.forged(key.kid), world.forged("stranger"), world.token(key, exp=int(clock()) - 60)):
        assert status_of(verifier, forged) == 401
    assert len(verifier._server._headers_known) == len(verifier._server.verified) == 0


SPELLINGS = ["bearer {}", "BEARER {}", "Bearer  {}", "Bearer {} ", "\tBearer {}", "Bearer" + 20_000 * " " + "{}"]


@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda spelling: spelling[:12])
@pytest.mark.parametrize("known", [False, True])
def test_a_revoked_token_is_refused_however_its_scheme_is_spelt(
    world: World, key: SigningKey, spelling: str, known: bool
) -> None:
    """What is remembered of a token, its revocation above all, is found under all spellings that are read as the same."""
    world.publish(key)
    verifier, token = world.verifier(), world.token(key)
    sent = Request("GET", URL, {"Authorization": spelling.format(token)})
    if known:
        assert verifier.authenticate(sent)
        assert verifier.authenticate(request(token))
        assert len(verifier._server.verified) == 1
    verifier.revoke(token)
    for again in (sent, request(token)):
        with pytest.raises(InvalidToken) as caught:
            verifier.authenticate(again)
        assert caught.value.reason == "token.revoked"
