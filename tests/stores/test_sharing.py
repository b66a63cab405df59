"""What workers tell each other through a Valkey: the issuer's answers and revocations. A worker is a verifier here."""

import asyncio
import gc
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
import redis

from strongdm_auth import AsyncVerifier, Refused, Requirement, Verifier
from strongdm_auth.asking import hash_of
from strongdm_auth.errors import TemporarilyUnavailable
from strongdm_auth.revocation import LIST_AGE, LIST_TOO_OLD, spellings
from strongdm_auth.stores.redis import RedisStore
from strongdm_auth.testing import Clock, DPoPKey, Issuer
from tests.conftest import AUDIENCE, NOW, URL, request

from .conftest import Valkey

Worker = Callable[..., Verifier]
ROUTE = Requirement()


@pytest.fixture
def worker(valkey: Valkey, issuer: Issuer, make_verifier: Callable[..., Verifier]) -> Iterator[Worker]:
    """One more worker of the same API."""
    client, made = issuer.client("the API"), []

    def make(**settings: Any) -> Verifier:
        credentials = {"client_id": client.client_id, "client_secret": client.client_secret}
        verifier = make_verifier(**({"replay_store": valkey.url, "introspection": "fallback"} | credentials | settings))
        made.append(verifier)
        return verifier

    yield make
    _background_ends()
    for verifier in made:
        verifier.close()


def _background_ends() -> None:
    for thread in threading.enumerate():
        if thread.name == "strongdm-auth-keys":
            thread.join(10)


def _opaque(issuer: Issuer, **made: Any) -> str:
    return issuer.opaque_token("cli_agent", **({"realm": "alpha", "audience": AUDIENCE} | made))


def _jwt(issuer: Issuer, **made: Any) -> str:
    return issuer.token("cli_agent", **({"realm": "alpha", "audience": AUDIENCE} | made))


def _reason(verifier: Verifier, token: str, proof: str | None = None) -> str | None:
    try:
        verifier.authenticate(request(token, proof))
    except Refused as refusal:
        return refusal.reason
    return None


# The issuer's answers


def test_what_one_worker_was_answered_the_others_need_not_ask(worker: Worker, issuer: Issuer) -> None:
    one, other, token = worker(), worker(), _opaque(issuer)
    assert one.authenticate(request(token)) == other.authenticate(request(token))
    assert other.authenticate(request(token)).introspected
    assert issuer.count("/introspect") == 1


def test_a_revocation_that_one_worker_hears_of_holds_for_all(worker: Worker, issuer: Issuer, clock: Clock) -> None:
    one, other, token = worker(), worker(), _opaque(issuer)
    assert _reason(one, token) is _reason(other, token) is None
    issuer.revoke(token)
    clock.advance(60)  # the answer may be kept no longer, and one worker asks anew
    assert _reason(one, token) == "token.inactive"
    assert _reason(other, token) == "token.inactive"
    assert issuer.count("/introspect") == 2


def test_threads_and_event_loops_share_answers(
    worker: Worker, issuer: Issuer, valkey: Valkey, make_async_verifier: Callable[..., AsyncVerifier]
) -> None:
    one, token = worker(), _opaque(issuer)
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
    token = _opaque(issuer)
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
    one, good, bad = worker(), _opaque(issuer), "made-up-token"
    one.authenticate(request(good))
    assert _reason(one, bad) == "token.inactive"
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
            assert _reason(worker(), bad) == "token.inactive", value
        client.set(of_good, good_value)  # kept by the thief for longer than it may be
    issuer.revoke(good)
    clock.advance(60)
    assert _reason(worker(), good) == "token.inactive"


@pytest.mark.parametrize("other", [{"client_secret": "another"}, {"client_id": "another"}])
def test_another_apis_answers_are_not_ours(worker: Worker, issuer: Issuer, other: dict[str, str]) -> None:
    """Two APIs, one store. The other has no leave to ask, and must not get by with what we were told."""
    token = _opaque(issuer)
    worker().authenticate(request(token))
    assert _reason(worker(**other), token) == "introspection.unavailable"


def test_while_the_store_is_away_each_worker_asks_for_itself(
    worker: Worker, issuer: Issuer, valkey: Valkey, clock: Clock
) -> None:
    one, other, token, key = worker(), worker(), _opaque(issuer), DPoPKey.generate()
    assert _reason(one, token) is None
    valkey.kill()
    assert _reason(one, token) is None, "it has the answer itself"
    assert issuer.count("/introspect") == 1
    assert _reason(other, token) is _reason(other, token) is None
    assert issuer.count("/introspect") == 2
    bound = _jwt(issuer, key=key)
    assert _reason(one, bound, key.proof("GET", URL, bound, now=clock())) == "replay.unavailable"
    assert _reason(one, _jwt(issuer)) is None, "a Bearer token needs no store"


# Revocations


def test_a_revoked_token_is_refused_here_at_once_and_elsewhere_within_a_second(
    worker: Worker, issuer: Issuer, clock: Clock
) -> None:
    one, other, token, kept = worker(), worker(), _jwt(issuer), _jwt(issuer)
    assert _reason(one, token) is _reason(other, token) is None
    one.revoke(token)
    assert _reason(one, token) == "token.revoked"
    clock.advance(LIST_AGE)
    _reason(other, kept)  # any request has the list brought up to date, and does not wait for it
    _background_ends()
    assert _reason(other, token) == "token.revoked"
    assert _reason(other, kept) is None
    denial = other.denial(_refusal(other, token))
    assert (denial.status, json.loads(denial.body)["error"]) == (401, "invalid_token")


def _refusal(verifier: Verifier, token: str) -> Refused:
    with pytest.raises(Refused) as caught:
        verifier.authenticate(request(token))
    return caught.value


def test_a_worker_that_was_idle_waits_for_the_news(worker: Worker, issuer: Issuer, clock: Clock) -> None:
    one, other, token = worker(), worker(), _jwt(issuer)
    assert _reason(other, token) is None
    clock.advance(LIST_TOO_OLD)
    one.revoke(token)
    assert _reason(other, token) == "token.revoked"


def test_a_worker_that_starts_later_knows(worker: Worker, issuer: Issuer) -> None:
    token = _jwt(issuer)
    worker().revoke(token)
    assert _reason(worker(), token) == "token.revoked"


def test_a_bound_token_is_revoked_too_and_its_proof_not_used_up(worker: Worker, issuer: Issuer, clock: Clock) -> None:
    one, key = worker(), DPoPKey.generate()
    token = _jwt(issuer, key=key)
    one.revoke(token)
    for _ in range(2):
        assert _reason(one, token, key.proof("GET", URL, token, now=clock())) == "token.revoked"


@pytest.mark.parametrize("spelling", ["bearer {}", "BEARER   {}", "Bearer {}"])
def test_no_spelling_of_the_header_gets_round_it(worker: Worker, issuer: Issuer, spelling: str) -> None:
    one, token = worker(), _jwt(issuer)
    one.authenticate(request(token))
    one.revoke(token)
    asked = request(token)
    asked = type(asked)("GET", URL, {"Authorization": spelling.format(token)})
    with pytest.raises(Refused) as caught:
        one.authenticate(asked)
    assert caught.value.reason == "token.revoked"


def test_an_opaque_token_can_be_revoked(worker: Worker, issuer: Issuer, clock: Clock) -> None:
    one, token = worker(), _opaque(issuer)
    assert _reason(one, token) is None
    one.revoke(token)
    clock.advance(3_000)
    assert _reason(one, token) == "token.revoked"


def test_without_a_shared_store_this_process_knows(
    issuer: Issuer, make_verifier: Callable[..., Verifier], clock: Clock
) -> None:
    one, token = make_verifier(), _jwt(issuer)
    one.authenticate(request(token))
    one.revoke(token)
    assert _reason(one, token) == "token.revoked"
    other = one.for_event_loops()
    with pytest.raises(Refused, match="revoked"):
        asyncio.run(other.authenticate(request(token)))


def test_event_loops_revoke_and_learn(
    worker: Worker, issuer: Issuer, clock: Clock, valkey: Valkey, make_async_verifier: Callable[..., AsyncVerifier]
) -> None:
    token, kept = _jwt(issuer), _jwt(issuer)
    one = worker()
    assert _reason(one, token) is None

    async def scenario() -> None:
        other = make_async_verifier(replay_store=valkey.url)
        await other.revoke(token)
        clock.advance(LIST_TOO_OLD)
        assert _reason(one, token) == "token.revoked"
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
    one, token, later = worker(), _jwt(issuer), _jwt(issuer)
    one.revoke(token)
    valkey.kill()
    valkey.start()
    clock.advance(LIST_TOO_OLD)
    assert _reason(one, token) == "token.revoked"
    other = worker()
    other.revoke(later)  # a new list, whose first entries must not be taken for the old one's
    clock.advance(LIST_TOO_OLD)
    assert _reason(one, later) == "token.revoked"


def test_a_revocation_that_nobody_could_be_told_of_says_so(
    worker: Worker, issuer: Issuer, valkey: Valkey, clock: Clock
) -> None:
    one, token, other = worker(), _jwt(issuer), _jwt(issuer)
    assert _reason(one, token) is None
    valkey.kill()
    with pytest.raises(TemporarilyUnavailable, match="try again"):
        one.revoke(token)
    assert _reason(one, token) == "token.revoked", "this process knows"
    clock.advance(LIST_TOO_OLD)
    assert _reason(one, other) is None, "a Bearer token that is not known to be revoked needs no store"
    valkey.start()
    one.revoke(token)
    assert _reason(worker(), token) == "token.revoked"


def test_a_store_that_hangs_does_not_hold_up_bearer_tokens(
    issuer: Issuer, make_verifier: Callable[..., Verifier], clock: Clock
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}/0?socket_timeout=0.2"
        verifier, token = make_verifier(replay_store=url), _jwt(issuer)
        took = []
        for _ in range(50):
            clock.advance(1)
            begun = time.monotonic()
            assert _reason(verifier, token) is None
            took.append(time.monotonic() - begun)
        _background_ends()
        verifier.close()
    assert took[0] < 1
    assert max(took[1:]) < 0.15, "only the first waits, to learn that there is nobody"


def test_many_revocations_are_read_in_parts_and_a_full_list_takes_no_more(
    worker: Worker, issuer: Issuer, valkey: Valkey, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strongdm_auth.stores.redis_commands._PAGE", 7)
    monkeypatch.setattr("strongdm_auth.stores.redis_commands.MOST_REVOCATIONS", 100)
    one, tokens = worker(), [_jwt(issuer) for _ in range(50)]
    for token in tokens:
        one.revoke(token)
    with pytest.raises(TemporarilyUnavailable):
        one.revoke("one-more")
    other = worker()
    assert {_reason(other, token) for token in tokens} == {"token.revoked"}
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
    assert _reason(make_verifier(replay_store=store), _jwt(issuer)) is None
    assert store.asked == 1_000


# What an attack on these parts found


@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA"])
def test_a_revoked_token_has_no_other_spelling(worker: Worker, issuer: Issuer, alg: str) -> None:
    """Where (r, s) is an ECDSA signature, (r, n - s) is one, too, and whoever has the token can make it."""
    one = worker(algorithms=alg)
    token = _jwt(issuer, alg=alg)
    twins = [each for each in spellings(token) if each != token]
    assert len(twins) == alg.startswith("ES")
    assert all(_reason(one, twin) is None for twin in twins)
    one.revoke(token)
    assert {_reason(one, each) for each in (token, *twins)} == {"token.revoked"}
    assert {_reason(worker(algorithms=alg), each) for each in (token, *twins)} == {"token.revoked"}


@pytest.mark.parametrize("text", ["", "Bearer {}", "{} ", "{}\n", " {}", "{}, {}", "é"])
def test_what_is_no_token_cannot_be_revoked(worker: Worker, issuer: Issuer, text: str) -> None:
    one, token = worker(), _jwt(issuer)
    with pytest.raises(ValueError, match="access token"):
        one.revoke(text.replace("{}", token))


def test_a_token_that_never_ends_can_be_revoked(worker: Worker, issuer: Issuer) -> None:
    one, token = worker(), _jwt(issuer, claims={"exp": 10**400})
    assert _reason(one, token) is None
    one.revoke(token)
    assert _reason(one, token) == "token.revoked"


def test_all_that_come_to_an_idle_worker_wait_for_the_news(
    worker: Worker, issuer: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, idle, token = worker(), worker(), _jwt(issuer)
    assert _reason(idle, token) is None
    one.revoke(token)
    clock.advance(600)
    asked = RedisStore.revoked

    def slowly(store: RedisStore, position: str) -> Any:
        time.sleep(0.2)
        return asked(store, position)

    monkeypatch.setattr(RedisStore, "revoked", slowly)
    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(lambda _: _reason(idle, token), range(6))) == {"token.revoked"}


def test_a_request_that_was_cancelled_leaves_the_news_to_the_next(
    worker: Worker, issuer: Issuer, clock: Clock, valkey: Valkey, make_async_verifier: Callable[..., AsyncVerifier]
) -> None:
    token = _jwt(issuer)
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


def test_event_loops_that_end_take_their_connections_along(
    issuer: Issuer, valkey: Valkey, make_async_verifier: Callable[..., AsyncVerifier]
) -> None:
    verifier, token = make_async_verifier(replay_store=valkey.url), _jwt(issuer)
    for _ in range(5):
        asyncio.run(verifier.authenticate(request(token)))
    gc.collect()
    assert len(verifier._store._clients) == 0


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


def test_an_older_answer_never_replaces_that_a_token_is_inactive(worker: Worker, issuer: Issuer) -> None:
    one, other, token = worker(), worker(), _opaque(issuer)
    digest, introspection = hash_of(token), one._server.introspection
    assert _reason(one, token) is None
    stored = introspection.remembered(digest, NOW)
    assert stored is not None
    assert introspection.seal is not None
    issuer.revoke(token)
    with redis.Redis(port=int(one.settings.replay_store.split(":")[2].split("/")[0])) as client:
        client.delete(*client.scan_iter("strongdm-auth:answer:*"))
    assert _reason(other, token) == "token.inactive"
    # What was asked before the revocation, and arrives after it.
    one._driver.run(one._server.asking._keep_answer(digest, stored, NOW))
    assert _reason(other, token) == _reason(one, token) == "token.inactive"
    introspection.remember(digest, {"active": False}, NOW)
    introspection.remember(digest, stored, NOW)
    assert introspection.remembered(digest, NOW) == {"active": False}


def test_what_else_somebody_put_on_the_list_is_passed_over(worker: Worker, issuer: Issuer, valkey: Valkey) -> None:
    one, token = worker(), _jwt(issuer)
    one.revoke("first")
    with redis.Redis(port=valkey.port) as client:
        client.zadd("strongdm-auth:{revoked}:by-age", {b"short": 1.5})
    one.revoke(token)
    assert _reason(worker(), token) == "token.revoked"
