"""One verifier for many: 50 threads, event loops side by side and one after the other, over kept connections."""

import asyncio
import gc
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from strongdm_auth import AsyncVerifier, Refused, Verifier
from strongdm_auth.testing import DPoPKey
from tests.conftest import AUDIENCE, URL, request
from tests.parts.world import async_status_of, settle_tasks, status_of

from .recording_issuer import RecordingIssuer, recording

Found = TypeVar("Found")
THREADS = 50
DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture
def recorder() -> Iterator[RecordingIssuer]:
    with recording() as recorder:
        yield recorder


def _all_at_once(work: Callable[[int], Found], number: int = THREADS) -> list[Found]:
    ready = threading.Barrier(number)

    def at_once(each: int) -> Found:
        ready.wait(10)
        return work(each)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(at_once, range(number)))


def test_50_threads_ask_and_each_gets_its_own_answer(recorder: RecordingIssuer) -> None:
    verifier = Verifier(**recorder.settings())

    def work(number: int) -> int:
        right = 0
        for each in range(10):
            subject = f"agent-{number}-{each}"
            token = verifier.authenticate(request(recorder.token(subject)))
            right += token.subject == subject and token.introspected
        return right

    assert _all_at_once(work) == [10] * THREADS
    assert recorder.issuer.count("/jwks") == 1
    verifier.close()


def test_threads_keep_their_connections(recorder: RecordingIssuer) -> None:
    verifier = Verifier(**recorder.settings())

    def work(_: int) -> int:
        return max(status_of(verifier, recorder.token()) for _ in range(20))

    assert _all_at_once(work, 10) == [200] * 10
    assert len({port for port, _ in recorder.questions}) <= 2 * 10  # and not one for each of 200 questions
    verifier.close()


def _reason(verifier: Verifier, token: str, proof: str) -> str:
    try:
        verifier.authenticate(request(token, proof))
    except Refused as refusal:
        return refusal.reason
    return "in"


def test_one_proof_that_50_threads_send_lets_one_in(recorder: RecordingIssuer) -> None:
    settings = {"issuer": recorder.issuer.issuer_url("alpha"), "audience": AUDIENCE}
    verifier, key = Verifier(**settings), DPoPKey.generate()
    token = recorder.issuer.token(realm="alpha", audience=AUDIENCE, key=key)
    for _ in range(5):
        proof = key.proof("GET", URL, token)

        def work(_: int, proof: str = proof) -> str:
            return _reason(verifier, token, proof)

        assert sorted(_all_at_once(work)) == [*["dpop.replayed"] * (THREADS - 1), "in"]


def test_loops_side_by_side_have_connections_of_their_own(recorder: RecordingIssuer) -> None:
    verifier = AsyncVerifier(**recorder.settings())
    asked: dict[int, list[str]] = {}

    async def several(number: int) -> int:
        tokens = asked.setdefault(number, [recorder.token() for _ in range(20)])
        statuses = [await async_status_of(verifier, token) for token in tokens]
        await settle_tasks()
        await verifier.aclose()
        return max(statuses)

    assert _all_at_once(lambda number: asyncio.run(several(number)), 8) == [200] * 8
    ports = [recorder.ports(*tokens) for tokens in asked.values()]
    assert len(set().union(*ports)) == sum(map(len, ports)), "two loops used one connection"
    assert recorder.issuer.count("/jwks") == 1


def _descriptors_after_loops(recorder: RecordingIssuer, *, closing: bool) -> list[int]:
    """How many files are open after each of several loops that used one verifier and ended."""
    verifier = AsyncVerifier(**recorder.settings())

    async def several() -> list[int]:
        statuses = await asyncio.gather(*(async_status_of(verifier, recorder.token()) for _ in range(5)))
        if closing:
            await verifier.aclose()
        return statuses

    found = []
    for _ in range(6):
        assert asyncio.run(several()) == [200] * 5
        gc.collect()  # what a closed loop leaves is garbage with cycles in it
        found.append(len(os.listdir(DESCRIPTORS)))
    return found


# A loop that ends without `aclose` leaves its sockets to the collector, which says so.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="what is open cannot be counted here")
@pytest.mark.parametrize("closing", [True, False], ids=["closing", "without a word"])
def test_loops_one_after_the_other_leave_nothing_open(recorder: RecordingIssuer, closing: bool) -> None:
    found = _descriptors_after_loops(recorder, closing=closing)
    gc.collect()  # while what it says of the last loop is expected
    # Both ends of the last two loops' sockets: the issuer's threads take a moment to see that a connection is gone.
    assert max(found) <= found[0] + 2 * 2 * 5
    assert recorder.issuer.count("/jwks") == 1


def test_threads_and_loops_that_share_one_memory_let_a_proof_in_once(recorder: RecordingIssuer) -> None:
    settings = {"issuer": recorder.issuer.issuer_url("alpha"), "audience": AUDIENCE}
    threaded, key = Verifier(**settings), DPoPKey.generate()
    looped = threaded.for_event_loops()
    token = recorder.issuer.token(realm="alpha", audience=AUDIENCE, key=key)
    proof = key.proof("GET", URL, token)

    async def in_loop() -> str:
        try:
            await looped.authenticate(request(token, proof))
        except Refused as refusal:
            return refusal.reason
        finally:
            await looped.aclose()
        return "in"

    def work(number: int) -> str:
        return asyncio.run(in_loop()) if number % 2 else _reason(threaded, token, proof)

    assert sorted(_all_at_once(work, 10)) == [*["dpop.replayed"] * 9, "in"]


def test_threads_that_come_and_go_share_one_verifier(recorder: RecordingIssuer) -> None:
    """A server that starts a thread a request."""
    verifier = Verifier(**recorder.settings())
    statuses: list[int] = []
    for _ in range(100):
        thread = threading.Thread(target=lambda: statuses.append(status_of(verifier, recorder.token())))
        thread.start()
        thread.join(10)
    assert statuses == [200] * 100
    assert len({port for port, _ in recorder.questions}) == 1
    verifier.close()
