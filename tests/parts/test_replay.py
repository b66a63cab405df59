"""Was this proof used before? The store in memory, stores of others, and what happens when one cannot answer."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from strongdm_auth import AsyncVerifier, MemoryReplayStore, Refused, Request, Verifier
from strongdm_auth.replay import ReplayStoreFull, replay_key
from strongdm_auth.testing import Clock, DPoPKey, SigningKey
from tests.conftest import URL

from .world import World

WINDOW = 90.0


def _key(number: int) -> bytes:
    return replay_key("owner", str(number))


def test_a_key_is_seen_for_the_first_time_once() -> None:
    store = MemoryReplayStore()
    assert store.first_use(_key(1), "owner", 90, 0) is True
    assert store.first_use(_key(1), "owner", 90, 0) is False
    assert store.first_use(_key(2), "owner", 90, 0) is True
    assert len(store) == 2


def test_50_threads_with_one_key_get_one_first_use() -> None:
    store = MemoryReplayStore()
    start = threading.Barrier(50)

    def use(_: int) -> list[bool]:
        start.wait(5)
        return [store.first_use(_key(number), "owner", 90, 0) for number in range(200)]

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(use, range(50)))
    assert [sum(each) for each in zip(*answers, strict=True)] == [1] * 200


def test_two_owners_may_use_the_same_jti() -> None:
    assert replay_key("a", "jti") != replay_key("b", "jti")
    assert replay_key("a", "b.c") != replay_key("a.b", "d")
    assert len(replay_key("a", "x" * 100_000)) == 16
    replay_key("a", "\ud800")  # JSON may hold half a surrogate pair


def test_a_key_is_remembered_until_its_time_and_then_lapses() -> None:
    store = MemoryReplayStore()
    assert store.first_use(_key(1), "owner", 100, 10)
    for now in (10, 50, 99.9, 100):
        assert not store.first_use(_key(1), "owner", 190, now)
    # It may be remembered for longer, but not for ever. Other keys come by meanwhile, in every part of the store.
    for now in range(101, 500, 20):
        for number in range(5_000):
            store.first_use(_key(now * 10_000 + number), "other", now + WINDOW, now)
    assert store.first_use(_key(1), "owner", 600, 500)


def test_every_key_is_remembered_for_its_whole_window_under_steady_traffic() -> None:
    store = MemoryReplayStore()
    for now in range(400):
        assert store.first_use(_key(now), "owner", now + WINDOW, now)
        for earlier in range(max(0, now - int(WINDOW)), now + 1):
            assert not store.first_use(_key(earlier), "owner", now + WINDOW, now)


def test_windows_of_different_length_are_each_kept() -> None:
    """A proof from the future (clock skew) counts for longer than one that is already old."""
    store = MemoryReplayStore()
    for number in range(2_000):
        assert store.first_use(_key(number), "owner", 1_000 if number % 2 else 10, 0)
    for now in (5, 11, 200, 500, 1_000):
        for number in range(1, 2_000, 2):
            assert not store.first_use(_key(number), "owner", 1_000, now)
        for number in range(2_000):
            store.first_use(_key(now * 10_000 + number), "owner", now + 1, now)


def test_what_has_lapsed_gives_its_room_back() -> None:
    store = MemoryReplayStore()
    for now in range(0, 2_000, 100):
        for number in range(2_000):
            assert store.first_use(_key(now * 10_000 + number), "owner", now + WINDOW, now)
    assert len(store) <= 3 * 2_000


def test_a_full_store_forgets_nothing_and_lets_nobody_in() -> None:
    store = MemoryReplayStore(capacity=10_000, quota=10_000)
    full = 0
    for number in range(30_000):
        try:
            assert store.first_use(_key(number), f"owner-{number}", WINDOW, 0)
        except ReplayStoreFull:
            full += 1
    assert full >= 15_000
    assert len(store) <= 13_000
    for number in range(1_000):
        assert _remembered(store, number)


def _remembered(store: MemoryReplayStore, number: int) -> bool:
    try:
        return store.first_use(_key(number), "owner", WINDOW, 0) is False
    except ReplayStoreFull:
        return True  # refused all the same


def test_a_full_store_is_open_again_when_its_entries_have_lapsed() -> None:
    store = MemoryReplayStore(capacity=25_600, quota=25_600)
    for number in range(60_000):
        try:
            store.first_use(_key(number), "owner", WINDOW, 0)
        except ReplayStoreFull:
            continue
    for number in range(60_000, 65_000):  # 20 a shard, where 126 have room
        assert store.first_use(_key(number), "owner", 300, 200)


def test_one_client_cannot_fill_the_store_for_the_others() -> None:
    store = MemoryReplayStore(capacity=100_000, quota=10_000)
    refused = 0
    for number in range(40_000):
        try:
            store.first_use(_key(number), "greedy", WINDOW, 0)
        except ReplayStoreFull:
            refused += 1
    assert refused >= 20_000
    for number in range(40_000, 45_000):
        assert store.first_use(_key(number), f"modest-{number % 50}", WINDOW, 0)


def test_the_quota_is_given_back_too() -> None:
    store = MemoryReplayStore(capacity=1_000_000, quota=25_600)
    for now in range(0, 3_000, 200):
        for number in range(5_000):
            assert store.first_use(_key(now * 10_000 + number), "steady", now + WINDOW, now)


def test_a_store_takes_as_many_proofs_a_window_as_it_is_said_to_hold() -> None:
    store = MemoryReplayStore(capacity=90_000, quota=90_000)
    a_second = int(90_000 / WINDOW)
    for now in range(300):
        for number in range(a_second):
            assert store.first_use((now * a_second + number).to_bytes(16, "big"), "owner", now + WINDOW, now)


def test_a_clock_set_back_does_not_fill_the_store_for_good() -> None:
    """What was remembered in a future that is over must not stand in the way until that future comes."""
    store = MemoryReplayStore(capacity=50_000, quota=50_000)
    year = 365 * 86_400.0
    for number in range(1_000):
        assert store.first_use(_key(number), "owner", year + WINDOW, year)
    for now in range(0, 6_000, 200):
        for number in range(3_000):
            assert store.first_use(_key(1_000_000 + now * 1_000 + number), "owner", now + WINDOW, now)


@pytest.mark.parametrize("back", [0.5, 5, 45, WINDOW])
def test_a_clock_set_back_by_a_little_forgets_no_proof(back: float) -> None:
    """A step of NTP, or a leap second: a proof from before it is good for as long again, and was used."""
    store, now = MemoryReplayStore(), 1_000_000.0
    for number in range(2_000):
        assert store.first_use(_key(number), "owner", now + WINDOW, now)
    for number in range(2_000):
        assert not store.first_use(_key(number), "owner", now - back + WINDOW, now - back)
    for number in range(2_000):
        assert not store.first_use(_key(number), "owner", now + WINDOW, now)


def test_a_clock_set_back_by_more_than_a_store_looks_ahead_gives_the_room_back() -> None:
    store, now = MemoryReplayStore(capacity=25_600, quota=25_600), 1_000_000.0
    for number in range(15_000):
        assert store.first_use(_key(number), "owner", now + WINDOW, now)
    now -= WINDOW + 0.5  # what is remembered ends later than any proof of this present could, be it kept twice as long
    for number in range(100_000, 115_000):
        assert store.first_use(_key(number), "owner", now + WINDOW, now)
    assert len(store) <= 15_000 + 256


def test_its_length_is_that_of_all_it_remembers() -> None:
    store = MemoryReplayStore()
    for number in range(2_000):
        assert store.first_use(_key(number), "owner", 1 + number / 100 + WINDOW, 1 + number / 100)
        assert len(store) == number + 1


def test_what_a_fork_copied_is_used_under_locks_of_its_own() -> None:
    """One that a thread of the parent's held would be held for ever: that thread is not there to give it back."""
    store = MemoryReplayStore()
    assert store.first_use(_key(1), "owner", WINDOW, 0)
    for shard in store._shards:
        shard.lock.acquire()
    store.after_fork()
    assert not any(shard.lock.locked() for shard in store._shards)
    assert store.first_use(_key(1), "owner", WINDOW, 0) is False
    assert store.first_use(_key(2), "owner", WINDOW, 0) is True


def test_no_part_of_a_store_of_a_million_is_large_enough_to_stall_the_process() -> None:
    """Dropping a set of a million entries takes a tenth of a second with the GIL held; a small one, nothing."""
    store = MemoryReplayStore()
    owner_hashes = [f"owner-{number}" for number in range(8)]
    for number in range(1_000_000):
        # As `replay_key` makes them: 16 bytes that nobody can steer.
        store.first_use(number.to_bytes(16, "big"), owner_hashes[number & 7], WINDOW, 0)
    assert len(store) == 1_000_000
    sizes = [len(part) for shard in store._shards for part in (shard.seen, shard.old, shard.counts, shard.old_counts)]
    assert max(sizes) <= 20_000


# Through a verifier


class Knock:
    """Requests of one agent with a bound token."""

    def __init__(self, world: World, key: SigningKey) -> None:
        self._world, self._key = world, DPoPKey.generate()
        world.publish(key)
        self.token = world.token(key, cnf={"jkt": self._key.thumbprint})

    def request(self, jti: str | None = None) -> Request:
        proof = self._key.proof("GET", URL, self.token, now=self._world.clock(), jti=jti)
        return Request("GET", URL, {"Authorization": f"DPoP {self.token}", "DPoP": proof})


@pytest.fixture
def knock(world: World, key: SigningKey) -> Knock:
    return Knock(world, key)


def _status(verifier: Verifier, request: Request) -> int:
    try:
        verifier.authenticate(request)
    except Refused as refusal:
        return verifier.denial(refusal).status
    return 200


async def _async_status(verifier: AsyncVerifier, request: Request) -> int:
    try:
        await verifier.authenticate(request)
    except Refused as refusal:
        return verifier.denial(refusal).status
    return 200


def test_a_proof_is_let_in_once(world: World, knock: Knock) -> None:
    verifier = world.verifier()
    request = knock.request()
    assert [_status(verifier, request) for _ in range(3)] == [200, 401, 401]
    assert _status(verifier, knock.request()) == 200


def test_a_proof_is_let_in_once_by_50_threads(world: World, knock: Knock) -> None:
    verifier = world.verifier()
    request = knock.request()
    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(lambda _: _status(verifier, request), range(50)))
    assert sorted(statuses) == [200] + [401] * 49


@pytest.mark.parametrize("leeway", [0, 30])
def test_a_proof_is_never_let_in_twice_however_long_somebody_waits(
    world: World, knock: Knock, clock: Clock, leeway: int
) -> None:
    verifier = world.verifier(leeway=leeway)
    request = knock.request()
    assert _status(verifier, request) == 200
    for _ in range(150):
        clock.advance(1)
        assert _status(verifier, request) == 401
        assert _status(verifier, knock.request()) == 200


def test_a_store_that_is_full_is_503(world: World, knock: Knock) -> None:
    class Full:
        def first_use(self, key: bytes, owner: str, until: float, now: float) -> bool:
            raise ReplayStoreFull

    assert _status(world.verifier(replay_store=Full()), knock.request()) == 503


def test_the_store_in_memory_is_503_when_one_key_has_had_its_share(
    world: World, knock: Knock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strongdm_auth.flow.MemoryReplayStore", lambda: MemoryReplayStore(capacity=100_000, quota=256))
    verifier = world.verifier()
    statuses = {_status(verifier, knock.request()) for _ in range(2_000)}
    assert statuses == {200, 503}


class Store:
    """One of others' making: asks `answer` for every key."""

    def __init__(self, answer: Callable[[bytes], Any]) -> None:
        self._answer = answer
        self.asked: list[tuple[bytes, str, float, float]] = []

    def first_use(self, key: bytes, owner: str, until: float, now: float) -> Any:
        self.asked.append((key, owner, until, now))
        return self._answer(key)


def test_a_store_of_others_is_asked_once_for_each_request_and_told_all_it_needs(
    world: World, knock: Knock, clock: Clock
) -> None:
    store = Store(lambda key: True)
    verifier = world.verifier(replay_store=store)
    assert _status(verifier, knock.request("one")) == 200
    ((key, owner, until, now),) = store.asked
    assert len(key) == 16
    assert len(owner) == 43
    assert now == clock()
    assert until >= clock() + 60


TRUTHY = [1, "OK", b"1", [True], object(), 1.0, None, 0, "", False, "True"]


@pytest.mark.parametrize("answer", TRUTHY, ids=repr)
def test_an_answer_that_is_not_exactly_true_lets_nobody_in(world: World, knock: Knock, answer: object) -> None:
    verifier = world.verifier(replay_store=Store(lambda key: answer))
    assert _status(verifier, knock.request()) in (401, 503)


@pytest.mark.parametrize("answer", TRUTHY, ids=repr)
def test_an_awaited_answer_that_is_not_exactly_true_lets_nobody_in(world: World, knock: Knock, answer: object) -> None:
    async def late(key: bytes) -> object:
        return answer

    verifier = world.async_verifier(replay_store=Store(late))
    assert asyncio.run(_async_status(verifier, knock.request())) in (401, 503)


@pytest.mark.parametrize(
    "fault", [RuntimeError("down"), OSError(), TimeoutError(), KeyError("x"), RecursionError()], ids=repr
)
def test_a_store_that_fails_is_503(world: World, knock: Knock, fault: Exception) -> None:
    def fail(key: bytes) -> bool:
        raise fault

    async def fail_late(key: bytes) -> bool:
        raise fault

    assert _status(world.verifier(replay_store=Store(fail)), knock.request()) == 503
    for failing in (fail, fail_late):
        verifier = world.async_verifier(replay_store=Store(failing))
        assert asyncio.run(_async_status(verifier, knock.request())) == 503


def test_a_store_may_be_a_coroutine_function(world: World, knock: Knock) -> None:
    memory = MemoryReplayStore()

    class Later:
        async def first_use(self, key: bytes, owner: str, until: float, now: float) -> bool:
            await asyncio.sleep(0)
            return memory.first_use(key, owner, until, now)

    verifier = world.async_verifier(replay_store=Later())
    request = knock.request()

    async def main() -> list[int]:
        return await asyncio.gather(*(_async_status(verifier, request) for _ in range(20)))

    assert sorted(asyncio.run(main())) == [200] + [401] * 19


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_a_store_that_must_be_awaited_lets_nobody_in_where_nobody_awaits(world: World, knock: Knock) -> None:
    async def late(key: bytes) -> bool:
        return True

    assert _status(world.verifier(replay_store=Store(late)), knock.request()) in (401, 503)


def test_a_proof_that_fails_a_check_is_not_used_up(world: World, knock: Knock) -> None:
    store = Store(lambda key: True)
    verifier = world.verifier(replay_store=store)
    good = knock.request()
    elsewhere = Request("POST", URL, {"Authorization": good.authorization[0], "DPoP": good.dpop[0]})
    assert _status(verifier, elsewhere) == 401
    assert store.asked == []
    assert _status(verifier, good) == 200


def test_a_bearer_token_never_troubles_the_store(world: World, key: SigningKey) -> None:
    store = Store(lambda key: False)
    world.publish(key)
    request = Request("GET", URL, {"Authorization": f"Bearer {world.token(key)}"})
    assert _status(world.verifier(replay_store=store), request) == 200
    assert store.asked == []
