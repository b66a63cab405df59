"""An issuer that takes requests and never answers: who has good keys does not notice, and who has none is told in time."""

import asyncio
import logging
import time

import pytest

from strongdm_auth.testing import Clock, SigningKey, unsigned_token
from tests.conftest import AUDIENCE

from .callers import AT_ONCE, KINDS, calling
from .faulty_issuer import DISCOVERY, FAULTS, INTROSPECTION, KEYS, FaultyIssuer

_log = logging.getLogger(__name__)
TIMEOUT = 0.8
#: What a request that waits may take beyond its timeout, on a busy machine.
SLACK = 1.0


@pytest.fixture
def claims(faulty: FaultyIssuer, clock: Clock) -> dict[str, object]:
    now = int(clock())
    return {"iss": f"{faulty.url}/realms/alpha", "sub": "agent", "aud": AUDIENCE, "iat": now, "exp": now + 100_000}


@pytest.mark.parametrize(("kind", "at"), [("sync", DISCOVERY), ("async", KEYS)])
def test_no_good_request_waits_while_ageing_keys_are_refreshed(
    faulty: FaultyIssuer, key: SigningKey, clock: Clock, claims: dict[str, object], kind: str, at: str
) -> None:
    async def main() -> float:
        async with calling(kind, faulty.url, clock, http_timeout=TIMEOUT) as caller:
            known = key.sign({}, claims)
            assert (await caller.ask(known)).status == 200
            faulty.break_down(FAULTS["hang"](faulty), at)
            clock.advance(900)
            asked, number, slowest = len(faulty.requests), 0, 0.0
            end = time.monotonic() + TIMEOUT + 0.1
            while time.monotonic() < end:
                number += 1
                for token in (known, key.sign({}, {**claims, "jti": str(number)})):
                    outcome = await caller.ask(token)
                    assert outcome.status == 200
                    slowest = max(slowest, outcome.seconds)
                await asyncio.sleep(0.001)
            assert len(faulty.requests) - asked == (1 if at == DISCOVERY else 2)
            return slowest

    slowest = asyncio.run(main())
    _log.info("slowest good request while the refresh hangs at %s, %s: %.1f ms", at, kind, slowest * 1e3)
    assert slowest < AT_ONCE


@pytest.mark.parametrize("kind", KINDS)
def test_no_good_request_waits_while_unknown_kids_have_the_keys_fetched(
    faulty: FaultyIssuer, key: SigningKey, clock: Clock, claims: dict[str, object], kind: str
) -> None:
    unknown = [unsigned_token({"alg": "EdDSA", "kid": f"{number}"}, claims, b"\x01" * 64) for number in range(20)]

    async def main() -> float:
        async with calling(kind, faulty.url, clock, http_timeout=TIMEOUT) as caller:
            assert (await caller.ask(key.sign({}, claims))).status == 200
            faulty.break_down(FAULTS["hang"](faulty), KEYS)
            strangers = [caller.meanwhile(token) for token in unknown]
            async with asyncio.timeout(10):
                while len(faulty.requests) < 3:
                    await asyncio.sleep(0.005)
            slowest = 0.0
            for number in range(100):
                outcome = await caller.ask(key.sign({}, {**claims, "jti": str(number)}))
                assert outcome.status == 200
                slowest = max(slowest, outcome.seconds)
                await asyncio.sleep(0)
            assert not any(stranger.done() for stranger in strangers)
            for stranger in await asyncio.gather(*strangers):
                assert stranger.status == 503
                assert stranger.seconds < TIMEOUT + SLACK
            return slowest

    slowest = asyncio.run(main())
    _log.info("slowest good request while a forced fetch hangs, %s: %.1f ms", kind, slowest * 1e3)
    assert slowest < AT_ONCE
    assert len(faulty.requests) == 3


def test_an_issuer_that_hangs_ties_up_a_bounded_number_of_requests(
    faulty: FaultyIssuer, key: SigningKey, clock: Clock, claims: dict[str, object]
) -> None:
    """Beyond those that may wait for keys, who comes is told at once to come back."""
    faulty.break_down(FAULTS["hang"](faulty), DISCOVERY)
    tokens = [key.sign({}, {**claims, "jti": str(number)}) for number in range(400)]

    async def main() -> float:
        async with calling("async", faulty.url, clock, http_timeout=TIMEOUT) as caller:
            requests = [caller.meanwhile(token) for token in tokens]
            await asyncio.sleep(TIMEOUT / 2)
            waiting = sum(not request.done() for request in requests)
            assert 1 < waiting <= 129  # one that fetches, and those that wait for it
            outcomes = await asyncio.gather(*requests)
            assert {outcome.status for outcome in outcomes} == {503}
            return max(outcome.seconds for outcome in outcomes)

    assert asyncio.run(main()) < TIMEOUT + SLACK
    assert len(faulty.requests) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_an_introspection_endpoint_that_hangs_holds_up_no_request_that_need_not_ask(
    faulty: FaultyIssuer, key: SigningKey, clock: Clock, claims: dict[str, object], kind: str
) -> None:
    """Whose answer is remembered, and who fails before anybody is asked."""
    settings = {"introspection": "always", "client_id": "api", "client_secret": "s", "http_timeout": TIMEOUT}
    known, expired = key.sign({}, claims), key.sign({}, {**claims, "exp": int(clock()) - 100})
    new = [key.sign({}, {**claims, "jti": str(number)}) for number in range(20)]

    async def main() -> float:
        async with calling(kind, faulty.url, clock, **settings) as caller:
            assert (await caller.ask(known)).status == 200
            faulty.break_down(FAULTS["hang"](faulty), INTROSPECTION)
            hanging = [caller.meanwhile(token) for token in new]
            await asyncio.sleep(0.1)
            slowest = 0.0
            for _ in range(50):
                for token, status in ((known, 200), (expired, 401)):
                    outcome = await caller.ask(token)
                    assert outcome.status == status
                    slowest = max(slowest, outcome.seconds)
                await asyncio.sleep(0.002)
            assert not any(request.done() for request in hanging)
            for outcome in await asyncio.gather(*hanging):
                assert outcome.status == 503
                assert outcome.seconds < TIMEOUT + SLACK
            return slowest

    slowest = asyncio.run(main())
    _log.info("slowest request that need not ask while introspection hangs, %s: %.1f ms", kind, slowest * 1e3)
    assert slowest < AT_ONCE


def test_an_introspection_endpoint_that_hangs_ties_up_a_bounded_number_of_requests(
    faulty: FaultyIssuer, key: SigningKey, clock: Clock, claims: dict[str, object]
) -> None:
    """64 questions at a time; who comes on top is told at once to come back, and all is well when it answers again."""
    settings = {"introspection": "always", "client_id": "api", "client_secret": "s", "http_timeout": TIMEOUT}
    tokens = [key.sign({}, {**claims, "jti": str(number)}) for number in range(200)]

    async def main() -> None:
        async with calling("async", faulty.url, clock, **settings) as caller:
            assert (await caller.ask(key.sign({}, claims))).status == 200
            faulty.break_down(FAULTS["hang"](faulty), INTROSPECTION)
            requests = [caller.meanwhile(token) for token in tokens]
            await asyncio.sleep(TIMEOUT / 2)
            assert sum(not request.done() for request in requests) == 64
            assert {outcome.status for outcome in await asyncio.gather(*requests)} == {503}
            faulty.heal()
            for token in tokens:
                assert (await caller.ask(token)).status == 200

    asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_requests_that_bring_one_token_wait_for_one_question_and_no_longer(
    faulty: FaultyIssuer, key: SigningKey, clock: Clock, claims: dict[str, object], kind: str
) -> None:
    """An agent's calls come many at once. That the question came to nothing is told to all who waited for it."""
    settings = {"introspection": "always", "client_id": "api", "client_secret": "s", "http_timeout": TIMEOUT}
    token = key.sign({}, {**claims, "jti": "one"})

    async def main() -> None:
        async with calling(kind, faulty.url, clock, **settings) as caller:
            assert (await caller.ask(key.sign({}, claims))).status == 200
            faulty.break_down(FAULTS["hang"](faulty), INTROSPECTION)
            asked = len(faulty.requests)
            outcomes = await asyncio.gather(*(caller.meanwhile(token) for _ in range(50)))
            assert {outcome.status for outcome in outcomes} == {503}
            assert max(outcome.seconds for outcome in outcomes) < TIMEOUT + SLACK
            assert len(faulty.requests) - asked <= 2  # one, but for a thread that was late
            faulty.heal()
            assert {
                outcome.status for outcome in await asyncio.gather(*(caller.meanwhile(token) for _ in range(50)))
            } == {200}

    asyncio.run(main())
