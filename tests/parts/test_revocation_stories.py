"""Revoking and learning of it, against a store that answers what a test wants: what it is told, asked, and believed."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest

from strongdm_auth import AsyncVerifier, InvalidToken, Refused, TemporarilyUnavailable, Verifier
from strongdm_auth.asking import hash_of
from strongdm_auth.revocation import LIST_AGE, PAUSE, Revocation, spellings
from strongdm_auth.testing import SigningKey
from tests.conftest import NOW, request

from .world import World, async_status_of, settle, settle_tasks

DAY = 86_400.0
LEEWAY = 30


class Store:
    """What workers share: a list in parts of two. `answer` and `fault`, when set, are what each operation does instead."""

    def __init__(self) -> None:
        self.list: list[Revocation] = []
        #: What was asked of it, in order: the operation and its arguments.
        self.asked: list[tuple[Any, ...]] = []
        self.fault: Exception | None = None
        self.answer: Any = ...

    def first_use(self, key: bytes, owner: str, until: float, now: float) -> bool:
        return True

    def recall(self, name: bytes) -> Any:
        return None

    def keep(self, name: bytes, value: bytes, seconds: float, replace: bool) -> Any:
        return None

    def revoke(self, hashes: Sequence[bytes], until: float, now: float) -> Any:
        return self._answered(("revoke", list(hashes), until, now), True)

    def revoked(self, position: str) -> Any:
        read = int(position or 0)
        found = self.list[read : read + 2]
        return self._answered(("revoked", position), (str(read + len(found)), found))

    def positions(self) -> list[str]:
        return [position for operation, position, *_ in self.asked if operation == "revoked"]

    def _answered(self, asked: tuple[Any, ...], honest: Any) -> Any:
        self.asked.append(asked)
        if self.fault is not None:
            raise self.fault
        return honest if self.answer is ... else self.answer


class LaterStore(Store):
    """The same for event loops: each operation is awaited."""

    def _answered(self, asked: tuple[Any, ...], honest: Any) -> Awaitable[Any]:
        async def later() -> Any:
            await asyncio.sleep(0)
            return Store._answered(self, asked, honest)

        return later()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def worker(world: World, key: SigningKey, store: Store) -> Verifier:
    world.publish(key)
    return world.verifier(replay_store=store, leeway=LEEWAY)


def _hashes(token: str) -> list[bytes]:
    return [hash_of(f"{scheme} {token}") for scheme in ("Bearer", "DPoP")]


def _reason(verifier: Verifier, token: str) -> str | None:
    try:
        verifier.authenticate(request(token))
    except Refused as refusal:
        return refusal.reason
    return None


# What the store is told


def test_the_store_is_told_under_both_schemes_and_until_the_token_ends(
    world: World, key: SigningKey, worker: Verifier, store: Store
) -> None:
    now = world.clock()
    token = world.token(key, exp=int(now) + 600)
    worker.revoke(token)
    assert store.asked == [("revoke", _hashes(token), now + 600 + LEEWAY, now)]
    assert _reason(worker, token) == "token.revoked"


def test_the_store_is_told_of_every_spelling(world: World, worker: Verifier, store: Store) -> None:
    token, twin = spellings(world.token(SigningKey.generate("ES256")))
    worker.revoke(twin)
    ((_, hashes, _, _),) = store.asked
    assert sorted(hashes) == sorted(_hashes(token) + _hashes(twin))


@pytest.mark.parametrize(
    ("exp", "seconds"),
    [
        (None, 30 * DAY),
        ("tomorrow", 30 * DAY),
        (True, 30 * DAY),
        (1_900_000_000, 100_000_000),
        (NOW + 3_650 * DAY + 1, 3_650 * DAY),
        (10**400, 3_650 * DAY),
        (1, 1 - NOW),
    ],
)
def test_until_when_a_revocation_counts(
    world: World, key: SigningKey, worker: Verifier, store: Store, exp: object, seconds: float
) -> None:
    """As long as the token says it lives, ten years at the most; one that does not say, for thirty days."""
    worker.revoke(world.token(key, exp=exp))
    ((_, _, until, now),) = store.asked
    assert until - now - LEEWAY == seconds


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "a.W10.c"])
def test_a_token_that_cannot_be_read_is_revoked_for_thirty_days(worker: Verifier, store: Store, token: str) -> None:
    worker.revoke(token)
    assert [(hashes, until - now) for _, hashes, until, now in store.asked] == [(_hashes(token), 30 * DAY + LEEWAY)]


@pytest.mark.parametrize("answer", [False, None, 1, "OK", [True]], ids=repr)
def test_a_store_that_does_not_say_exactly_true_has_told_nobody(
    world: World, key: SigningKey, worker: Verifier, store: Store, answer: object
) -> None:
    store.answer, token = answer, world.token(key)
    with pytest.raises(TemporarilyUnavailable) as caught:
        worker.revoke(token)
    assert caught.value.reason == "revocation.unavailable"
    store.answer = ...
    assert _reason(worker, token) == "token.revoked", "this process knows all the same"


def test_a_store_that_fails_has_told_nobody(world: World, key: SigningKey, worker: Verifier, store: Store) -> None:
    store.fault, token = OSError("down"), world.token(key)
    with pytest.raises(TemporarilyUnavailable):
        worker.revoke(token)
    assert _reason(worker, token) == "token.revoked"


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_a_store_for_event_loops_tells_threads_nothing(world: World, key: SigningKey) -> None:
    world.publish(key)
    store, token = LaterStore(), world.token(key)
    verifier = world.verifier(replay_store=store)
    with pytest.raises(TemporarilyUnavailable):
        verifier.revoke(token)
    assert _reason(verifier, world.token(key, sub="other")) is None, "what it gives is no list"
    assert _reason(verifier, token) == "token.revoked"


def test_where_too_many_are_revoked_the_store_is_not_told_either(
    worker: Verifier, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strongdm_auth.revocation.MOST_REVOCATIONS", 4)
    worker.revoke("one")
    worker.revoke("two")
    with pytest.raises(TemporarilyUnavailable):
        worker.revoke("three")
    assert [hashes for _, hashes, *_ in store.asked] == [_hashes("one"), _hashes("two")]


def test_a_store_of_used_proofs_alone_is_told_nothing(world: World, key: SigningKey) -> None:
    class Proofs:
        def first_use(self, key: bytes, owner: str, until: float, now: float) -> bool:
            return True

    world.publish(key)
    verifier, token = world.verifier(replay_store=Proofs()), world.token(key)
    verifier.revoke(token)
    assert _reason(verifier, token) == "token.revoked"


# What the store is asked


def test_a_list_is_read_from_where_it_was_left_to_its_end(
    world: World, key: SigningKey, worker: Verifier, store: Store
) -> None:
    tokens = [world.token(key, jti=str(number)) for number in range(5)]
    store.list = [(digest, world.clock() + 600) for token in tokens[:3] for digest in _hashes(token)]
    assert [_reason(worker, token) for token in tokens] == ["token.revoked"] * 3 + [None] * 2
    assert store.positions() == ["", "2", "4", "6"]
    store.list += [(digest, world.clock() + 600) for digest in _hashes(tokens[4])]
    world.clock.advance(LIST_AGE)
    assert _reason(worker, tokens[3]) is None  # has the list read beside it
    settle()
    assert store.positions() == ["", "2", "4", "6", "6", "8"]
    assert [_reason(worker, token) for token in tokens[3:]] == [None, "token.revoked"]


def test_a_list_is_read_once_a_second_however_many_come(
    world: World, key: SigningKey, worker: Verifier, store: Store
) -> None:
    token = world.token(key)
    for second in range(4):
        for _ in range(5):
            assert _reason(worker, token) is None
            settle()
        assert len(store.positions()) == second + 1
        world.clock.advance(LIST_AGE)


@pytest.mark.parametrize("answer", [None, [], "1", {"1": []}], ids=repr)
def test_what_is_no_list_counts_as_none_and_is_asked_for_five_seconds_later(
    world: World, key: SigningKey, worker: Verifier, store: Store, answer: object
) -> None:
    store.answer, token = answer, world.token(key)
    for _ in range(4):
        assert _reason(worker, token) is None
        settle()
        world.clock.advance(1)
    assert store.positions() == [""]
    world.clock.advance(PAUSE - 4)
    store.answer, store.list = ..., [(digest, world.clock() + 600) for digest in _hashes(token)]
    assert _reason(worker, world.token(key, sub="other")) is None  # has the list read, beside it
    settle()
    assert _reason(worker, token) == "token.revoked"


def test_what_was_read_before_the_store_went_away_counts(
    world: World, key: SigningKey, worker: Verifier, store: Store
) -> None:
    tokens = [world.token(key, jti=str(number)) for number in range(2)]
    store.list = [(digest, world.clock() + 600) for token in tokens for digest in _hashes(token)]
    revoked, asked = store.revoked, []

    def then_fail(position: str) -> Any:
        asked.append(position)
        if len(asked) == 2:
            raise OSError("down")
        return revoked(position)

    store.revoked = then_fail  # type: ignore[method-assign]
    assert [_reason(worker, token) for token in tokens] == ["token.revoked", None]
    world.clock.advance(PAUSE)
    _reason(worker, tokens[1])
    settle()
    assert asked == ["", "2", "2", "4"], "it goes on where it was"
    assert _reason(worker, tokens[1]) == "token.revoked"


# In event loops


def test_event_loops_tell_and_learn_through_a_store_that_is_awaited(world: World, key: SigningKey) -> None:
    world.publish(key)
    store, tokens = LaterStore(), [world.token(key, jti=str(number)) for number in range(4)]
    store.list = [(digest, world.clock() + 600) for token in tokens[:2] for digest in _hashes(token)]
    verifier = world.async_verifier(replay_store=store, leeway=LEEWAY)

    async def scenario() -> None:
        statuses = await asyncio.gather(*(async_status_of(verifier, token) for token in tokens))
        assert statuses == [401, 401, 200, 200], "all wait for the first news, which one of them reads"
        assert store.positions() == ["", "2", "4"]
        await verifier.revoke(tokens[2])
        assert store.asked[-1] == ("revoke", _hashes(tokens[2]), world.clock() + 1_000_000 + LEEWAY, world.clock())
        store.list += [(digest, world.clock() + 600) for digest in _hashes(tokens[3])]
        world.clock.advance(LIST_AGE)
        assert await async_status_of(verifier, tokens[3]) == 200, "the list is read beside it"
        await settle_tasks()
        assert [await async_status_of(verifier, token) for token in tokens] == [401] * 4

    asyncio.run(scenario())


def test_a_cancelled_request_leaves_nobody_waiting(world: World, key: SigningKey) -> None:
    """Those who wait for what it was reading go on, and read it themselves the next time: not without the news."""
    world.publish(key)
    token = world.token(key)
    store = LaterStore()
    store.list = [(digest, world.clock() + 600) for digest in _hashes(token)]
    verifier = world.async_verifier(replay_store=store)

    async def scenario() -> None:
        first = asyncio.create_task(verifier.authenticate(request(token)))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        async with asyncio.timeout(5):
            with pytest.raises(InvalidToken, match="revoked"):
                await verifier.authenticate(request(token))

    asyncio.run(scenario())


@pytest.mark.parametrize("fault", [OSError("down"), None])
def test_event_loops_go_on_without_a_store(world: World, key: SigningKey, fault: Exception | None) -> None:
    world.publish(key)
    store, token = LaterStore(), world.token(key)
    store.fault, store.answer = fault, None
    verifier: AsyncVerifier = world.async_verifier(replay_store=store)

    async def scenario() -> None:
        assert await async_status_of(verifier, token) == 200
        with pytest.raises(TemporarilyUnavailable):
            await verifier.revoke(token)
        assert await async_status_of(verifier, token) == 401

    asyncio.run(scenario())
