"""What workers tell each other through a Valkey: revocations."""

import asyncio
import json
import logging
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from strongdm_auth import AsyncVerifier, Refused, Requirement, Verifier
from strongdm_auth.asking import hash_of
from strongdm_auth.errors import TemporarilyUnavailable
from strongdm_auth.revocation import LIST_AGE, LIST_TOO_OLD
from strongdm_auth.stores.redis import RedisStore
from strongdm_auth.testing import Clock, DPoPKey, Issuer
from tests.conftest import NOW, URL, request

from .conftest import Valkey
from .sharing import Worker, background_ends, jwt, opaque, reason_of, refusal_of

ROUTE = Requirement()


def test_a_revoked_token_is_refused_here_at_once_and_elsewhere_within_a_second(
    worker: Worker, issuer: Issuer, clock: Clock
) -> None:
    one, other, token, kept = worker(), worker(), jwt(issuer), jwt(issuer)
    assert reason_of(one, token) is reason_of(other, token) is None
    one.revoke(token)
    assert reason_of(one, token) == "token.revoked"
    clock.advance(LIST_AGE)
    reason_of(other, kept)  # any request has the list brought up to date, and does not wait for it
    background_ends()
    assert reason_of(other, token) == "token.revoked"
    assert reason_of(other, kept) is None
    denial = other.denial(refusal_of(other, token))
    assert (denial.status, json.loads(denial.body)["error"]) == (401, "invalid_token")


def test_a_worker_that_was_idle_waits_for_the_news(worker: Worker, issuer: Issuer, clock: Clock) -> None:
    one, other, token = worker(), worker(), jwt(issuer)
    assert reason_of(other, token) is None
    clock.advance(LIST_TOO_OLD)
    one.revoke(token)
    assert reason_of(other, token) == "token.revoked"


def test_a_worker_that_starts_later_knows(worker: Worker, issuer: Issuer) -> None:
    token = jwt(issuer)
    worker().revoke(token)
    assert reason_of(worker(), token) == "token.revoked"


def test_a_bound_token_is_revoked_too_and_its_proof_not_used_up(worker: Worker, issuer: Issuer, clock: Clock) -> None:
    one, key = worker(), DPoPKey.generate()
    token = jwt(issuer, key=key)
    one.revoke(token)
    for _ in range(2):
        assert reason_of(one, token, key.proof("GET", URL, token, now=clock())) == "token.revoked"


@pytest.mark.parametrize("spelling", ["bearer {}", "BEARER   {}", "Bearer {}"])
def test_no_spelling_of_the_header_gets_round_it(worker: Worker, issuer: Issuer, spelling: str) -> None:
    one, token = worker(), jwt(issuer)
    one.authenticate(request(token))
    one.revoke(token)
    asked = request(token)
    asked = type(asked)("GET", URL, {"Authorization": spelling.format(token)})
    with pytest.raises(Refused) as caught:
        one.authenticate(asked)
    assert caught.value.reason == "token.revoked"


def test_an_opaque_token_can_be_revoked(worker: Worker, issuer: Issuer, clock: Clock) -> None:
    one, token = worker(), opaque(issuer)
    assert reason_of(one, token) is None
    one.revoke(token)
    clock.advance(3_000)
    assert reason_of(one, token) == "token.revoked"


def test_without_a_shared_store_this_process_knows(
    issuer: Issuer, make_verifier: Callable[..., Verifier], clock: Clock
) -> None:
    one, token = make_verifier(), jwt(issuer)
    one.authenticate(request(token))
    one.revoke(token)
    assert reason_of(one, token) == "token.revoked"
    other = one.for_event_loops()
    with pytest.raises(Refused, match="revoked"):
        asyncio.run(other.authenticate(request(token)))


def test_event_loops_revoke_and_learn(
    worker: Worker, issuer: Issuer, clock: Clock, valkey: Valkey, make_async_verifier: Callable[..., AsyncVerifier]
) -> None:
    token, kept = jwt(issuer), jwt(issuer)
    one = worker()
    assert reason_of(one, token) is None

    async def scenario() -> None:
        other = make_async_verifier(replay_store=valkey.url)
        await other.revoke(token)
        clock.advance(LIST_TOO_OLD)
        assert reason_of(one, token) == "token.revoked"
        await other.authenticate(request(kept))  # its first, which waits for the list
        one.revoke(kept)
        clock.advance(LIST_AGE)
        await other.authenticate(request(kept))
        for _ in range(100):
            if kept_is_known := hash_of(f"Bearer {kept}") in other._server.revocations.until:
                break
            await asyncio.sleep(0.02)
        assert kept_is_known
        with pytest.raises(Refused):
            await other.authenticate(request(kept))
        await other.aclose()

    asyncio.run(scenario())


def test_a_store_that_forgot_revives_nothing_that_a_worker_knew(
    worker: Worker, issuer: Issuer, valkey: Valkey, clock: Clock
) -> None:
    one, token, later = worker(), jwt(issuer), jwt(issuer)
    one.revoke(token)
    valkey.kill()
    valkey.start()
    clock.advance(LIST_TOO_OLD)
    assert reason_of(one, token) == "token.revoked"
    other = worker()
    other.revoke(later)  # a new list, whose first entries must not be taken for the old one's
    clock.advance(LIST_TOO_OLD)
    assert reason_of(one, later) == "token.revoked"


def test_a_revocation_that_nobody_could_be_told_of_says_so(
    worker: Worker, issuer: Issuer, valkey: Valkey, clock: Clock
) -> None:
    one, token, other = worker(), jwt(issuer), jwt(issuer)
    assert reason_of(one, token) is None
    valkey.kill()
    with pytest.raises(TemporarilyUnavailable, match="try again"):
        one.revoke(token)
    assert reason_of(one, token) == "token.revoked", "this process knows"
    clock.advance(LIST_TOO_OLD)
    assert reason_of(one, other) is None, "a Bearer token that is not known to be revoked needs no store"
    valkey.start()
    one.revoke(token)
    assert reason_of(worker(), token) == "token.revoked"


def test_a_store_that_hangs_does_not_hold_up_bearer_tokens(
    issuer: Issuer, make_verifier: Callable[..., Verifier], clock: Clock
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}/0?socket_timeout=0.2"
        verifier, token = make_verifier(replay_store=url), jwt(issuer)
        took = []
        for _ in range(50):
            clock.advance(1)
            begun = time.monotonic()
            assert reason_of(verifier, token) is None
            took.append(time.monotonic() - begun)
        background_ends()
        verifier.close()
    assert took[0] < 1
    assert max(took[1:]) < 0.15, "only the first waits, to learn that there is nobody"


def test_many_revocations_are_read_in_parts_and_a_full_list_takes_no_more(
    worker: Worker, issuer: Issuer, valkey: Valkey, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strongdm_auth.stores.redis_commands._PAGE", 7)
    monkeypatch.setattr("strongdm_auth.stores.redis_commands.MOST_REVOCATIONS", 100)
    one, tokens = worker(), [jwt(issuer) for _ in range(50)]
    for token in tokens:
        one.revoke(token)
    with pytest.raises(TemporarilyUnavailable):
        one.revoke("one-more")
    other = worker()
    assert {reason_of(other, token) for token in tokens} == {"token.revoked"}
    clock.advance(3_700)  # all have expired, and their places are free
    one.revoke("one-more")
    assert len(RedisStore(valkey.url).revoked("")[1]) == 2


def test_a_list_that_never_ends_is_the_stores_fault(
    issuer: Issuer, make_verifier: Callable[..., Verifier], caplog: pytest.LogCaptureFixture
) -> None:
    class Endless:
        asked = 0

        def first_use(self, key: bytes, owner: str, until: float, now: float) -> bool:
            return True

        def recall(self, name: bytes) -> None:
            return None

        def keep(self, name: bytes, value: bytes, seconds: float, replace: bool) -> None:
            return None

        def revoke(self, hashes: Any, until: float, now: float) -> bool:
            return True

        def revoked(self, position: str) -> tuple[str, list[tuple[bytes, float]]]:
            self.asked += 1
            return position, [(b"x" * 32, NOW + 60)]

    caplog.set_level(logging.ERROR)
    store = Endless()
    assert reason_of(make_verifier(replay_store=store), jwt(issuer)) is None
    assert store.asked == 1_000
