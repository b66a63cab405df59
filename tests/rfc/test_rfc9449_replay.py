"""A proof is used once (RFC 9449 11.1); checklist 35, 36."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from strongdm_auth import AsyncVerifier, Refused, Verifier
from strongdm_auth.errors import InvalidDPoPProof, TemporarilyUnavailable
from strongdm_auth.testing import Clock, DPoPKey, Issuer
from tests.conftest import NOW, request

from .support import Caller, MakeVerifier, denied, header_of, refused


def test_a_proof_that_was_used_is_refused(caller: Caller, verifier: Verifier) -> None:
    """RFC 9449 11.1; checklist 35."""
    proof = caller.proof()
    assert verifier.authenticate(caller.request(proof))
    error = refused(verifier, caller.request(proof))
    assert (type(error), error.status_code, error.error, error.reason) == (
        InvalidDPoPProof,
        401,
        "invalid_dpop_proof",
        "dpop.replayed",
    )


def test_the_same_jti_in_another_proof_is_refused(caller: Caller, verifier: Verifier) -> None:
    """RFC 9449 11.1; checklist 35: another iat, another signature, the same jti."""
    assert verifier.authenticate(caller.request(caller.proof(jti="once")))
    again = caller.proof(jti="once", now=NOW - 1)
    assert refused(verifier, caller.request(again)).reason == "dpop.replayed"


def test_two_keys_may_use_the_same_jti(issuer: Issuer, clock: Clock, caller: Caller, verifier: Verifier) -> None:
    """RFC 9449 4.2, 11.1; checklist 35: nobody can use up another's jti."""
    other = Caller(issuer, clock, DPoPKey.generate())
    for agent in (caller, other):
        assert verifier.authenticate(agent.request(agent.proof(jti="same")))
    for agent in (caller, other):
        assert refused(verifier, agent.request(agent.proof(jti="same"))).reason == "dpop.replayed"


@pytest.mark.parametrize("made", [0, 30, -20])
def test_a_proof_is_remembered_for_as_long_as_it_would_count(
    caller: Caller, clock: Clock, verifier: Verifier, made: int
) -> None:
    """RFC 9449 11.1; checklist 35: also one from the near future, which counts for longer."""
    proof = caller.proof(now=NOW + made)
    assert verifier.authenticate(caller.request(proof))
    for later in (0.5, 30, 59, 60, 75, 89, 90):
        clock.set(NOW + later)
        verifier.authenticate(caller.request())  # others come and go meanwhile
        reason = refused(verifier, caller.request(proof)).reason
        assert reason == ("dpop.replayed" if later <= made + 60 else "dpop.expired")


def test_long_and_odd_jtis_are_remembered_too(caller: Caller, verifier: Verifier) -> None:
    """RFC 9449 11.1 (a hash will do); checklist 35: two that differ only at the end are two."""
    for jti in ("x" * 5_000, "x" * 4_999 + "y", "é☃", "\x00", "\x00\x00", "a.b", "a", " a"):
        sent = caller.request(caller.proof(jti=jti))
        assert verifier.authenticate(sent)
        assert refused(verifier, sent).reason == "dpop.replayed"


def test_a_proof_that_failed_a_check_is_not_used_up(caller: Caller, verifier: Verifier) -> None:
    """RFC 9449 11.1; checklist 35: a thief who replays it elsewhere cannot shut its owner out."""
    proof = caller.proof()
    assert refused(verifier, caller.request(proof, method="POST")).reason == "dpop.htm_mismatch"
    forged = proof.rpartition(".")[0] + "." + "A" * 86
    assert refused(verifier, caller.request(forged)).reason == "dpop.signature"
    assert verifier.authenticate(caller.request(proof))


def test_of_fifty_threads_with_one_proof_exactly_one_passes(caller: Caller, verifier: Verifier) -> None:
    """RFC 9449 11.1; checklist 36."""
    verifier.authenticate(caller.request())
    sent, barrier = caller.request(), threading.Barrier(50)

    def attempt(_: int) -> str:
        barrier.wait(30)
        try:
            verifier.authenticate(sent)
        except Refused as error:
            return error.reason
        return "passed"

    with ThreadPoolExecutor(50) as pool:
        assert Counter(pool.map(attempt, range(50))) == {"passed": 1, "dpop.replayed": 49}


class SlowStore:
    """An async store that, like a server far away, lets everybody else run before it answers."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()

    async def first_use(self, key: bytes, owner: str, until: float, now: float) -> bool:
        await asyncio.sleep(0)
        fresh = key not in self.seen
        self.seen.add(key)
        await asyncio.sleep(0)
        return fresh


@pytest.mark.parametrize("store", ["memory", "own"])
def test_of_fifty_tasks_with_one_proof_exactly_one_passes(
    caller: Caller, make_async_verifier: Callable[..., AsyncVerifier], store: str
) -> None:
    """RFC 9449 11.1; checklist 36: in an event loop, also with a store that has to be awaited."""
    verifier = make_async_verifier(**({} if store == "memory" else {"replay_store": SlowStore()}))
    sent = caller.request()

    async def attempt() -> str:
        try:
            await verifier.authenticate(sent)
        except Refused as error:
            return error.reason
        return "passed"

    async def everybody() -> Counter[str]:
        return Counter(await asyncio.gather(*(attempt() for _ in range(50))))

    assert asyncio.run(everybody()) == {"passed": 1, "dpop.replayed": 49}


class SharedStore:
    """What two processes share: one atomic step, and a record of what was asked."""

    def __init__(self) -> None:
        self.lock, self.asked = threading.Lock(), dict[bytes, tuple[str, float]]()

    def first_use(self, key: bytes, owner: str, until: float, now: float) -> bool:
        with self.lock:
            return self.asked.setdefault(key, mark := (owner, until)) is mark


def test_two_verifiers_with_one_store_let_a_proof_in_once(caller: Caller, make_verifier: MakeVerifier) -> None:
    """RFC 9449 11.1; checklist 36."""
    store = SharedStore()
    first, second = (make_verifier(replay_store=store) for _ in range(2))
    sent = caller.request(caller.proof(now=NOW - 5))
    assert first.authenticate(sent)
    assert refused(second, sent).reason == "dpop.replayed"
    ((key, (owner, until)),) = store.asked.items()
    assert (len(key), owner, until) == (16, caller.key.thumbprint, NOW + 55)


class BrokenStore:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def first_use(self, key: bytes, owner: str, until: float, now: float) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("fault", [ConnectionError("redis is away"), TimeoutError(), ValueError("x"), KeyError("k")])
def test_a_store_that_cannot_answer_lets_nobody_in(
    caller: Caller, make_verifier: MakeVerifier, fault: Exception
) -> None:
    """RFC 9449 11.1 and the contract's replay_store (fails closed); checklist 35."""
    error, denial = denied(make_verifier(replay_store=BrokenStore(fault)), caller.request())
    assert (type(error), error.status_code, error.reason) == (TemporarilyUnavailable, 503, "replay.unavailable")
    assert int(header_of(denial.headers, "Retry-After") or 0) >= 1


@pytest.mark.parametrize("answer", [False, None, 0, 1, "yes", b"OK", [True]], ids=repr)
def test_only_a_true_from_the_store_is_a_first_use(caller: Caller, make_verifier: MakeVerifier, answer: Any) -> None:
    """RFC 9449 11.1; checklist 35."""
    error = refused(make_verifier(replay_store=BrokenStore(answer)), caller.request())
    assert error.status_code in (401, 503)


def test_bearer_tokens_need_no_store(issuer: Issuer, make_verifier: MakeVerifier) -> None:
    """RFC 6750; checklist 35: an outage of the replay store is none for those it does not concern."""
    token = issuer.token("a", realm="alpha", audience="https://api.example.com")
    assert make_verifier(replay_store=BrokenStore(OSError())).authenticate(request(token))
