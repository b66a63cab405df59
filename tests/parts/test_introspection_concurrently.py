"""Many requests with one opaque token at once: the issuer is asked once, and nobody is told to come back for that."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from strongdm_auth import AsyncVerifier, Refused, Verifier
from strongdm_auth.introspection import MOST_WAITING
from strongdm_auth.testing import Clock, Issuer
from tests.conftest import AUDIENCE, request


class _Held(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Reaches the issuer; keeps questions back until it is told to let them go."""

    def __init__(self, issuer: Issuer) -> None:
        self._inner: Any = issuer.transport()
        self.asked = threading.Event()
        self.go = threading.Event()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/introspect"):
            self.asked.set()
            self.go.wait(10)
        return self._inner.handle_request(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/introspect"):
            self.asked.set()
            while not self.go.is_set():
                await asyncio.sleep(0.005)
        return await self._inner.handle_async_request(request)


@pytest.fixture
def held(issuer: Issuer) -> Iterator[_Held]:
    transport = _Held(issuer)
    yield transport
    transport.go.set()


@pytest.fixture
def settings(issuer: Issuer) -> dict[str, Any]:
    client = issuer.client("api")
    return {
        "issuer": issuer.url,
        "realms": ["alpha"],
        "audience": AUDIENCE,
        "introspection": "fallback",
        "client_id": client.client_id,
        "client_secret": client.client_secret,
    }


@pytest.fixture
def verifier(held: _Held, clock: Clock, settings: dict[str, Any]) -> Verifier:
    return Verifier(client=httpx.Client(transport=held), clock=clock, **settings)


@pytest.fixture
def token(issuer: Issuer) -> str:
    return issuer.opaque_token("cli_agent", realm="alpha", audience=AUDIENCE)


def _reason(verifier: Verifier, token: str) -> str | None:
    try:
        verifier.authenticate(request(token))
    except Refused as refusal:
        return refusal.reason
    return None


def _all_at_once(held: _Held, work: Callable[[int], Any], number: int) -> list[Any]:
    with ThreadPoolExecutor(number) as pool:
        answers = [pool.submit(work, index) for index in range(number)]
        assert held.asked.wait(10)
        threading.Timer(0.1, held.go.set).start()
        return [answer.result(20) for answer in answers]


def test_100_threads_with_one_token_ask_once(held: _Held, verifier: Verifier, issuer: Issuer, token: str) -> None:
    assert _all_at_once(held, lambda _: _reason(verifier, token), 100) == [None] * 100
    assert issuer.count("/introspect") == 1


def test_100_tasks_with_one_token_ask_once(
    held: _Held, clock: Clock, settings: dict[str, Any], issuer: Issuer, token: str
) -> None:
    async def scenario() -> list[Any]:
        verifier = AsyncVerifier(client=httpx.AsyncClient(transport=held), clock=clock, **settings)
        asyncio.get_running_loop().call_later(0.05, held.go.set)
        return await asyncio.gather(*(verifier.authenticate(request(token)) for _ in range(100)))

    assert {found.subject for found in asyncio.run(scenario())} == {"cli_agent"}
    assert issuer.count("/introspect") == 1


def test_an_outage_is_one_for_all_who_wait(held: _Held, verifier: Verifier, issuer: Issuer, token: str) -> None:
    issuer.fail(500, path="/introspect")
    assert set(_all_at_once(held, lambda _: _reason(verifier, token), 50)) == {"introspection.unavailable"}
    asked = issuer.count("/introspect")
    assert asked < 25, "those that came while it was asked did not ask again"
    issuer.heal()
    assert _reason(verifier, token) is None


def test_a_revoked_token_is_refused_to_all_who_wait(
    held: _Held, verifier: Verifier, issuer: Issuer, token: str
) -> None:
    issuer.revoke(token)
    assert _all_at_once(held, lambda _: _reason(verifier, token), 50) == ["token.inactive"] * 50


def test_two_tokens_do_not_wait_for_each_other(held: _Held, verifier: Verifier, issuer: Issuer) -> None:
    tokens = [issuer.opaque_token(f"cli_{n}", realm="alpha", audience=AUDIENCE) for n in range(10)]
    subjects = _all_at_once(held, lambda n: verifier.authenticate(request(tokens[n])).subject, 10)
    assert subjects == [f"cli_{n}" for n in range(10)]
    assert issuer.count("/introspect") == 10


def test_where_nothing_may_be_kept_each_request_asks(
    held: _Held, clock: Clock, settings: dict[str, Any], issuer: Issuer, token: str
) -> None:
    """What was asked before a revocation must not answer for a request that came after it."""
    verifier = Verifier(client=httpx.Client(transport=held), clock=clock, **settings, introspection_ttl=0)
    assert _all_at_once(held, lambda _: _reason(verifier, token), 20) == [None] * 20
    assert issuer.count("/introspect") == 20


def test_one_who_gives_up_leaves_the_question_to_the_next(
    held: _Held, clock: Clock, settings: dict[str, Any], issuer: Issuer, token: str
) -> None:
    async def scenario() -> Any:
        verifier = AsyncVerifier(client=httpx.AsyncClient(transport=held), clock=clock, **settings)
        first = asyncio.create_task(verifier.authenticate(request(token)))
        while not held.asked.is_set():
            await asyncio.sleep(0.005)
        others = [asyncio.create_task(verifier.authenticate(request(token))) for _ in range(5)]
        await asyncio.sleep(0.02)
        first.cancel()
        held.go.set()
        return await asyncio.gather(*others)

    assert {found.subject for found in asyncio.run(scenario())} == {"cli_agent"}


def test_who_waits_is_bounded(verifier: Verifier, issuer: Issuer, token: str, clock: Clock) -> None:
    introspection, digest = verifier._server.introspection, b"a token"
    question = introspection.begin(digest, clock())
    assert question is not None
    assert all(introspection.join(digest, clock()) is question for _ in range(MOST_WAITING))
    assert introspection.join(digest, clock()) is None
    introspection.end(digest, question)
    assert introspection.join(digest, clock()) is None


def test_a_question_that_was_lost_is_not_waited_for(verifier: Verifier, clock: Clock) -> None:
    introspection, digest = verifier._server.introspection, b"a token"
    assert introspection.begin(digest, clock())  # by a process that forked, say
    clock.advance(11)
    assert introspection.join(digest, clock()) is None
    assert introspection.begin(digest, clock())
