"""What workers tell each other through a Valkey: the issuer's answers."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
import redis

from strongdm_auth import AsyncVerifier, Requirement
from strongdm_auth.asking import hash_of
from strongdm_auth.testing import Clock, DPoPKey, Issuer
from tests.conftest import AUDIENCE, NOW, URL, request

from .conftest import Valkey
from .sharing import Worker, jwt, opaque, reason_of

ROUTE = Requirement()


def test_what_one_worker_was_answered_the_others_need_not_ask(worker: Worker, issuer: Issuer) -> None:
    one, other, token = worker(), worker(), opaque(issuer)
    assert one.authenticate(request(token)) == other.authenticate(request(token))
    assert other.authenticate(request(token)).introspected
    assert issuer.count("/introspect") == 1


def test_a_revocation_that_one_worker_hears_of_holds_for_all(worker: Worker, issuer: Issuer, clock: Clock) -> None:
    one, other, token = worker(), worker(), opaque(issuer)
    assert reason_of(one, token) is reason_of(other, token) is None
    issuer.revoke(token)
    clock.advance(60)  # the answer may be kept no longer, and one worker asks anew
    assert reason_of(one, token) == "token.inactive"
    assert reason_of(other, token) == "token.inactive"
    assert issuer.count("/introspect") == 2


def test_threads_and_event_loops_share_answers(
    worker: Worker, issuer: Issuer, valkey: Valkey, make_async_verifier: Callable[..., AsyncVerifier]
) -> None:
    one, token = worker(), opaque(issuer)
    expected = one.authenticate(request(token))
    settings = {"client_id": one.settings.client_id, "client_secret": one.settings.client_secret}

    async def scenario() -> Any:
        other = make_async_verifier(replay_store=valkey.url, introspection="fallback", **settings)
        found = await other.authenticate(request(token))
        await other.aclose()
        return found

    assert asyncio.run(scenario()) == expected
    assert issuer.count("/introspect") == 1


def test_an_answer_in_the_store_tells_nobody_anything(worker: Worker, issuer: Issuer, valkey: Valkey) -> None:
    token = opaque(issuer)
    worker().authenticate(request(token))
    with redis.Redis(port=valkey.port) as client:
        (name,) = client.scan_iter("strongdm-auth:answer:*")
        value = client.get(name)
        assert 0 < client.pttl(name) <= 60_000
    for secret in (
        token.encode(),
        b"cli_agent",
        AUDIENCE.encode(),
        b"active",
        hash_of(token),
        hash_of(token).hex().encode(),
    ):
        assert secret not in name
        assert secret not in value


def test_who_can_write_to_the_store_cannot_say_who_is_let_in(
    worker: Worker, issuer: Issuer, valkey: Valkey, clock: Clock
) -> None:
    one, good, bad = worker(), opaque(issuer), "made-up-token"
    one.authenticate(request(good))
    assert reason_of(one, bad) == "token.inactive"
    document = {"active": True, "sub": "root", "iss": issuer.url + "/realms/alpha", "aud": AUDIENCE, "exp": NOW + 600}
    with redis.Redis(port=valkey.port) as client:
        (of_good, of_bad) = sorted(client.scan_iter("strongdm-auth:answer:*"), key=lambda name: -len(client.get(name)))
        good_value = client.get(of_good)
        forged = (
            good_value,  # a real answer, about another token
            json.dumps(document).encode(),
            json.dumps({"answer": document, "until": NOW + 600}).encode(),
            good_value[:-1] + bytes([good_value[-1] ^ 1]),
            b"",
            b"\0" * 11,
            b"\0" * 12,
        )
        for value in forged:
            client.set(of_bad, value)
            assert reason_of(worker(), bad) == "token.inactive", value
        client.set(of_good, good_value)  # kept by the thief for longer than it may be
    issuer.revoke(good)
    clock.advance(60)
    assert reason_of(worker(), good) == "token.inactive"


@pytest.mark.parametrize("other", [{"client_secret": "another"}, {"client_id": "another"}])
def test_another_apis_answers_are_not_ours(worker: Worker, issuer: Issuer, other: dict[str, str]) -> None:
    """Two APIs, one store. The other has no leave to ask, and must not get by with what we were told."""
    token = opaque(issuer)
    worker().authenticate(request(token))
    assert reason_of(worker(**other), token) == "introspection.unavailable"


def test_while_the_store_is_away_each_worker_asks_for_itself(
    worker: Worker, issuer: Issuer, valkey: Valkey, clock: Clock
) -> None:
    one, other, token, key = worker(), worker(), opaque(issuer), DPoPKey.generate()
    assert reason_of(one, token) is None
    valkey.kill()
    assert reason_of(one, token) is None, "it has the answer itself"
    assert issuer.count("/introspect") == 1
    assert reason_of(other, token) is reason_of(other, token) is None
    assert issuer.count("/introspect") == 2
    bound = jwt(issuer, key=key)
    assert reason_of(one, bound, key.proof("GET", URL, bound, now=clock())) == "replay.unavailable"
    assert reason_of(one, jwt(issuer)) is None, "a Bearer token needs no store"


def test_an_older_answer_never_replaces_that_a_token_is_inactive(worker: Worker, issuer: Issuer) -> None:
    one, other, token = worker(), worker(), opaque(issuer)
    digest, introspection = hash_of(token), one._server.introspection
    assert reason_of(one, token) is None
    stored = introspection.remembered(digest, NOW)
    assert stored is not None
    assert introspection.seal is not None
    issuer.revoke(token)
    with redis.Redis(port=int(one.settings.replay_store.split(":")[2].split("/")[0])) as client:
        client.delete(*client.scan_iter("strongdm-auth:answer:*"))
    assert reason_of(other, token) == "token.inactive"
    # What was asked before the revocation, and arrives after it.
    one._driver.run(one._server.asking._keep_answer(digest, stored, NOW))
    assert reason_of(other, token) == reason_of(one, token) == "token.inactive"
    introspection.remember(digest, {"active": False}, NOW)
    introspection.remember(digest, stored, NOW)
    assert introspection.remembered(digest, NOW) == {"active": False}
