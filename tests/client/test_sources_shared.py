"""One token request for all who need it: threads, tasks, forks, and those who give up."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from strongdm_auth.client import ClientCredentials, Network
from strongdm_auth.client.network import Join
from strongdm_auth.client.sources import EARLY
from tests.client.conftest import Time, as_json, network_of
from tests.client.token_endpoint import ISSUER, TokenEndpoint, source_at


class Held:
    """A token endpoint that answers when it is told to."""

    def __init__(self) -> None:
        self.arrived, self.open = threading.Event(), threading.Event()
        self.count = 0

    def _token(self) -> httpx.Response:
        return as_json(200, {"access_token": f"token-{self.count}", "token_type": "Bearer", "expires_in": 3600})

    def transport(self) -> "_HeldTransport":
        return _HeldTransport(self)


class _HeldTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    def __init__(self, held: Held) -> None:
        self._held = held

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/token"):
            return httpx.Response(404)
        self._held.count += 1
        self._held.arrived.set()
        assert self._held.open.wait(10)
        return self._held._token()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/token"):
            return httpx.Response(404)
        self._held.count += 1
        self._held.arrived.set()
        while not self._held.open.is_set():
            await asyncio.sleep(0.001)
        return self._held._token()


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def slow(held: Held, time: Time) -> ClientCredentials:
    return ClientCredentials(ISSUER, "c", "secret", network=network_of(held.transport(), time))


def test_threads_share_one_request(held: Held, slow: ClientCredentials) -> None:
    with ThreadPoolExecutor(16) as pool:
        tokens = [pool.submit(slow.token) for _ in range(16)]
        assert held.arrived.wait(10)
        held.open.set()
        assert {token.result(10).value for token in tokens} == {"token-1"}
    assert held.count == 1


def test_tasks_share_one_request(held: Held, slow: ClientCredentials) -> None:
    async def call() -> set[str]:
        tasks = [asyncio.create_task(slow.atoken()) for _ in range(16)]
        while not held.arrived.is_set():
            await asyncio.sleep(0.001)
        held.open.set()
        return {token.value for token in await asyncio.gather(*tasks)}

    assert asyncio.run(call()) == {"token-1"}
    assert held.count == 1


@pytest.mark.parametrize("first", ["thread", "task"])
def test_threads_and_tasks_share_one_request(first: str, held: Held, slow: ClientCredentials) -> None:
    def in_loop() -> str:
        return asyncio.run(slow.atoken()).value

    def in_thread() -> str:
        return slow.token().value

    begins, joins = (in_thread, in_loop) if first == "thread" else (in_loop, in_thread)
    with ThreadPoolExecutor(4) as pool:
        leader = pool.submit(begins)
        assert held.arrived.wait(10)
        followers = [pool.submit(joins), pool.submit(in_loop), pool.submit(in_thread)]
        held.open.set()
        assert {done.result(10) for done in (leader, *followers)} == {"token-1"}
    assert held.count == 1


def test_a_failure_is_everybody_s_and_each_gets_an_error_of_its_own(
    time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived, opened, joined = threading.Event(), threading.Event(), threading.Semaphore(0)
    meet = Network._meet

    def meeting(network: Network, need: Any) -> Any:
        if isinstance(need, Join):
            joined.release()
        return meet(network, need)

    monkeypatch.setattr(Network, "_meet", meeting)

    def refuse() -> httpx.Response:
        arrived.set()
        assert opened.wait(10)
        return as_json(401, {"error": "invalid_client", "error_description": "no"})

    endpoint = TokenEndpoint(refuse)
    source = source_at(endpoint, time)
    with ThreadPoolExecutor(8) as pool:
        leader = pool.submit(source.token)
        assert arrived.wait(10)
        followers = [pool.submit(source.token) for _ in range(7)]
        assert all(joined.acquire(timeout=10) for _ in followers)
        opened.set()
        failures = [done.exception(10) for done in (leader, *followers)]
    assert len(endpoint.got) == 1
    assert {str(failure) for failure in failures} == {"invalid_client: no (status 401)"}
    assert len({id(failure) for failure in failures}) == 8


def test_a_request_whose_task_is_cancelled_gives_way(held: Held, slow: ClientCredentials) -> None:
    async def call() -> str:
        leader = asyncio.create_task(slow.atoken())
        while not held.arrived.is_set():
            await asyncio.sleep(0.001)
        follower = asyncio.create_task(slow.atoken())
        await asyncio.sleep(0.01)
        leader.cancel()
        held.open.set()
        return (await asyncio.wait_for(follower, 10)).value

    assert asyncio.run(call()) == "token-2"


def test_one_that_waits_may_be_cancelled_and_the_request_goes_on(held: Held, slow: ClientCredentials) -> None:
    async def call() -> str:
        leader = asyncio.create_task(slow.atoken())
        while not held.arrived.is_set():
            await asyncio.sleep(0.001)
        follower = asyncio.create_task(slow.atoken())
        await asyncio.sleep(0.01)
        follower.cancel()
        held.open.set()
        return (await asyncio.wait_for(leader, 10)).value

    assert asyncio.run(call()) == "token-1"


def test_a_blocking_call_inside_the_loop_that_asks_does_not_wait_for_itself(
    held: Held, slow: ClientCredentials
) -> None:
    async def call() -> set[str]:
        leader = asyncio.create_task(slow.atoken())
        while not held.arrived.is_set():
            await asyncio.sleep(0.001)
        held.open.set()
        blocking = slow.token()  # the loop stands still here, and the leader with it
        return {blocking.value, (await leader).value}

    assert asyncio.run(call()) == {"token-2"}
    assert held.count == 2


def test_while_one_renews_the_others_use_the_token_that_still_counts(
    held: Held, slow: ClientCredentials, time: Time
) -> None:
    held.open.set()
    first = slow.token()
    held.open.clear()
    held.arrived.clear()
    time.clock.advance(3600 - EARLY)
    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(slow.token)
        assert held.arrived.wait(10)
        assert slow.token() is first
        held.open.set()
        assert renewing.result(10).value == "token-2"


def test_a_request_that_never_ends_gives_way_in_the_end(
    held: Held, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClientCredentials, "_LONGEST", 0.02)
    source = ClientCredentials(ISSUER, "c", "s", network=network_of(held.transport(), time, patience=0.0))
    with ThreadPoolExecutor(2) as pool:
        lost = pool.submit(source.token)
        assert held.arrived.wait(10)
        held.arrived.clear()
        follower = pool.submit(source.token)
        assert held.arrived.wait(10)  # it asks, too
        held.open.set()
        assert follower.result(10).value == lost.result(10).value == "token-2"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_of_a_fork_waits_for_nobody(held: Held, slow: ClientCredentials) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(slow.token)
        assert held.arrived.wait(10)
        slow.after_fork()  # what `forks` calls in the child
        held.open.set()
        assert slow.token().value == "token-2"
