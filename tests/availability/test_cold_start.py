"""Everybody comes at once and there are no keys yet: one fetch of discovery and one of keys, over real sockets.

From threads, from tasks of one event loop, and from several event loops in threads of their own.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from strongdm_auth import AsyncVerifier, Verifier
from strongdm_auth.testing import Clock, Issuer
from tests.conftest import AUDIENCE
from tests.parts.world import async_status_of, settle, settle_tasks, status_of

CROWD = 100
LOOPS = 10
#: Long enough that all of them have come before the first answer has.
STALL = 0.15


class Verifiers(NamedTuple):
    """One of each kind, with one memory, as a framework with sync and async views has them."""

    threaded: Verifier
    looped: AsyncVerifier


Crowd = Callable[[Verifiers, list[str]], list[int]]


def _threads(verifiers: Verifiers, tokens: list[str]) -> list[int]:
    ready = threading.Barrier(len(tokens))

    def ask(token: str) -> int:
        ready.wait(10)
        return status_of(verifiers.threaded, token)

    with ThreadPoolExecutor(len(tokens)) as pool:
        return list(pool.map(ask, tokens))


def _tasks(verifiers: Verifiers, tokens: list[str]) -> list[int]:
    return asyncio.run(_ask_all(verifiers.looped, tokens))


def _loops(verifiers: Verifiers, tokens: list[str]) -> list[int]:
    ready = threading.Barrier(LOOPS)

    def loop(number: int) -> list[int]:
        ready.wait(10)
        return asyncio.run(_ask_all(verifiers.looped, tokens[number::LOOPS]))

    with ThreadPoolExecutor(LOOPS) as pool:
        return [status for found in pool.map(loop, range(LOOPS)) for status in found]


def _threads_and_a_loop(verifiers: Verifiers, tokens: list[str]) -> list[int]:
    half = len(tokens) // 2
    with ThreadPoolExecutor(1) as pool:
        in_loop = pool.submit(_tasks, verifiers, tokens[half:])
        return [*_threads(verifiers, tokens[:half]), *in_loop.result(10)]


async def _ask_all(verifier: AsyncVerifier, tokens: list[str]) -> list[int]:
    statuses = await asyncio.gather(*(async_status_of(verifier, token) for token in tokens))
    await settle_tasks()
    await verifier.aclose()
    return statuses


CROWDS: dict[str, Crowd] = {
    "threads": _threads,
    "tasks of one loop": _tasks,
    "loops in threads": _loops,
    "threads and a loop": _threads_and_a_loop,
}


@pytest.fixture(params=CROWDS.values(), ids=CROWDS.keys())
def crowd(request: pytest.FixtureRequest) -> Crowd:
    chosen: Crowd = request.param
    return chosen


@pytest.fixture
def make_verifiers(counting: Issuer, clock: Clock) -> Callable[..., Verifiers]:
    def make(**settings: Any) -> Verifiers:
        settings = {"issuer": counting.url, "realms": ["alpha"], "audience": AUDIENCE} | settings
        threaded = Verifier(clock=clock, **settings)
        return Verifiers(threaded, threaded.for_event_loops())

    return make


def _tokens(issuer: Issuer) -> list[str]:
    return [issuer.token(realm="alpha", audience=AUDIENCE) for _ in range(CROWD)]


@pytest.mark.parametrize("realms", [["alpha"], "*"], ids=["named realm", "any realm"])
def test_100_cold_requests_make_one_fetch_of_each_document(
    counting: Issuer, make_verifiers: Callable[..., Verifiers], crowd: Crowd, realms: Any
) -> None:
    counting.stall(STALL)
    assert crowd(make_verifiers(realms=realms), _tokens(counting)) == [200] * CROWD
    assert counting.requests == [
        ("GET", "/realms/alpha/.well-known/openid-configuration"),
        ("GET", "/realms/alpha/jwks"),
    ]


def test_100_cold_requests_during_an_outage_make_one_attempt(
    counting: Issuer, make_verifiers: Callable[..., Verifiers], crowd: Crowd
) -> None:
    counting.stall(STALL)
    counting.fail(500)
    assert crowd(make_verifiers(), _tokens(counting)) == [503] * CROWD
    assert counting.requests == [("GET", "/realms/alpha/.well-known/openid-configuration")]


def test_100_requests_with_a_rotated_key_make_one_fetch(
    counting: Issuer, make_verifiers: Callable[..., Verifiers], crowd: Crowd
) -> None:
    verifiers = make_verifiers()
    assert status_of(verifiers.threaded, counting.token(realm="alpha", audience=AUDIENCE)) == 200
    counting.rotate("alpha")
    counting.stall(STALL)
    counting.forget_requests()
    assert crowd(verifiers, _tokens(counting)) == [200] * CROWD
    assert counting.requests == [("GET", "/realms/alpha/jwks")]


def test_100_requests_with_ageing_keys_make_one_refresh(
    counting: Issuer, make_verifiers: Callable[..., Verifiers], crowd: Crowd, clock: Clock
) -> None:
    verifiers = make_verifiers()
    assert status_of(verifiers.threaded, counting.token(realm="alpha", audience=AUDIENCE)) == 200
    counting.stall(STALL)
    counting.forget_requests()
    clock.advance(900)
    assert crowd(verifiers, _tokens(counting)) == [200] * CROWD
    settle()
    assert counting.count("/openid-configuration") == 1
    assert counting.count("/jwks") == 1
