"""Ways round what workers tell each other, and how they are shut."""

import asyncio
import gc
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
import redis

from strongdm_auth import AsyncVerifier, Refused, Requirement
from strongdm_auth.revocation import spellings
from strongdm_auth.stores.redis import RedisStore
from strongdm_auth.testing import Clock, Issuer
from tests.conftest import request

from .conftest import Valkey
from .sharing import Worker, jwt, reason_of

ROUTE = Requirement()


@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA"])
def test_a_revoked_token_has_no_other_spelling(worker: Worker, issuer: Issuer, alg: str) -> None:
    """Where (r, s) is an ECDSA signature, (r, n - s) is one, too, and whoever has the token can make it."""
    one = worker(algorithms=alg)
    token = jwt(issuer, alg=alg)
    twins = [each for each in spellings(token) if each != token]
    assert len(twins) == alg.startswith("ES")
    assert all(reason_of(one, twin) is None for twin in twins)
    one.revoke(token)
    assert {reason_of(one, each) for each in (token, *twins)} == {"token.revoked"}
    assert {reason_of(worker(algorithms=alg), each) for each in (token, *twins)} == {"token.revoked"}


@pytest.mark.parametrize("text", ["", "Bearer {}", "{} ", "{}\n", " {}", "{}, {}", "é"])
def test_what_is_no_token_cannot_be_revoked(worker: Worker, issuer: Issuer, text: str) -> None:
    one, token = worker(), jwt(issuer)
    with pytest.raises(ValueError, match="access token"):
        one.revoke(text.replace("{}", token))


def test_a_token_that_never_ends_can_be_revoked(worker: Worker, issuer: Issuer) -> None:
    one, token = worker(), jwt(issuer, claims={"exp": 10**400})
    assert reason_of(one, token) is None
    one.revoke(token)
    assert reason_of(one, token) == "token.revoked"


def test_all_that_come_to_an_idle_worker_wait_for_the_news(
    worker: Worker, issuer: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, idle, token = worker(), worker(), jwt(issuer)
    assert reason_of(idle, token) is None
    one.revoke(token)
    clock.advance(600)
    asked = RedisStore.revoked

    def slowly(store: RedisStore, position: str) -> Any:
        time.sleep(0.2)
        return asked(store, position)

    monkeypatch.setattr(RedisStore, "revoked", slowly)
    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(lambda _: reason_of(idle, token), range(6))) == {"token.revoked"}


def test_a_request_that_was_cancelled_leaves_the_news_to_the_next(
    worker: Worker, issuer: Issuer, clock: Clock, valkey: Valkey, make_async_verifier: Callable[..., AsyncVerifier]
) -> None:
    token = jwt(issuer)
    worker().revoke(token)

    async def scenario() -> None:
        verifier = make_async_verifier(replay_store=valkey.url)
        for _ in range(3):
            clock.advance(1)
            task = asyncio.create_task(verifier.authenticate(request(token)))
            await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        with pytest.raises(Refused, match="revoked"):
            await verifier.authenticate(request(token))
        await verifier.aclose()

    asyncio.run(scenario())


def test_a_list_that_came_back_older_is_read_again(valkey: Valkey) -> None:
    """A snapshot, or a replica that lagged: the same list, less its end."""
    one, other, now = RedisStore(valkey.url), RedisStore(valkey.url), time.time()
    for number in range(3):
        assert one.revoke([bytes([number]) * 32], now + 600, now)
    position, found = one.revoked(one.revoked("")[0])
    position, found = one.revoked("")
    assert len(found) == 3
    with redis.Redis(port=valkey.port) as client:
        kept = {name: client.dump(name) for name in client.scan_iter("strongdm-auth:{revoked}*")}
    for number in (3, 4):
        assert one.revoke([bytes([number]) * 32], now + 600, now)
    position, _ = one.revoked(position)
    valkey.kill()
    valkey.start()
    with redis.Redis(port=valkey.port) as client:
        for name, value in kept.items():
            client.restore(name, 0, value)
    assert other.revoke([b"x" * 32], now + 600, now)
    learned: list[Any] = []
    for _ in range(4):
        with suppress(redis.ConnectionError):
            position, found = one.revoked(position)
            learned += found
    assert b"x" * 32 in {digest for digest, _ in learned}
    one.close()
    other.close()


def test_what_else_somebody_put_on_the_list_is_passed_over(worker: Worker, issuer: Issuer, valkey: Valkey) -> None:
    one, token = worker(), jwt(issuer)
    one.revoke("first")
    with redis.Redis(port=valkey.port) as client:
        client.zadd("strongdm-auth:{revoked}:by-age", {b"short": 1.5})
    one.revoke(token)
    assert reason_of(worker(), token) == "token.revoked"


def test_event_loops_that_end_take_their_connections_along(
    issuer: Issuer, valkey: Valkey, make_async_verifier: Callable[..., AsyncVerifier]
) -> None:
    verifier, token = make_async_verifier(replay_store=valkey.url), jwt(issuer)
    for _ in range(5):
        asyncio.run(verifier.authenticate(request(token)))
    gc.collect()
    assert len(verifier._store._clients) == 0
