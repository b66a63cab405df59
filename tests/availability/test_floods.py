"""Floods against a real local issuer that counts: what a stranger can make us fetch, and what that costs who is good.

The clock stands still, so that each bound is a number and not a matter of how fast the machine is.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from strongdm_auth.issuers import UNPROVEN_FETCHES
from strongdm_auth.testing import Clock, Issuer, unsigned_token
from tests.conftest import AUDIENCE

from .callers import AT_ONCE, KINDS, Caller, calling

_log = logging.getLogger(__name__)
COOLDOWN = 30
#: Discovery, which an invented realm does not have, and then the place where StrongDM ID has its keys.
EXCHANGES_A_REALM = 2


class Flood:
    """Junk by the thousand, with a good token every now and then."""

    def __init__(self, issuer: Issuer, caller: Caller, clock: Clock) -> None:
        self._issuer, self.caller = issuer, caller
        self._claims = {"sub": "stranger", "aud": AUDIENCE, "iat": int(clock()), "exp": int(clock()) + 600}
        self.known = self.good()
        #: The longest that somebody good had to wait.
        self.slowest = 0.0

    def good(self) -> str:
        """A token that was never seen before."""
        return self._issuer.token(realm="alpha", audience=AUDIENCE)

    async def unknown_kids(self, number: int, *, since: int = 0) -> set[int]:
        """Tokens that each name another key of alpha's: the statuses they get."""
        return await self._pour([self.junk("alpha", f"unknown-{each}") for each in range(since, since + number)])

    async def invented_realms(self, number: int, *, since: int = 0) -> set[int]:
        """Tokens that each name another realm."""
        return await self._pour([self.junk(f"invented-{each}", "any") for each in range(since, since + number)])

    async def _pour(self, junk: list[str]) -> set[int]:
        found = set()
        for place, token in enumerate(junk):
            found.add((await self.caller.ask(token)).status)
            if place % 50 == 0:
                for good in (self.known, self.good()):
                    outcome = await self.caller.ask(good)
                    assert outcome.status == 200
                    self.slowest = max(self.slowest, outcome.seconds)
        return found

    def junk(self, realm: str, kid: str) -> str:
        """A token of this realm that nobody signed."""
        claims = {**self._claims, "iss": f"{self._issuer.url}/realms/{realm}"}
        return unsigned_token({"alg": "EdDSA", "kid": kid}, claims, b"\x01" * 64)


@asynccontextmanager
async def flooding(issuer: Issuer, clock: Clock, kind: str, **settings: object) -> AsyncIterator[Flood]:
    """A verifier that lets any realm in and has the keys of alpha; nothing is counted yet."""
    async with calling(kind, issuer.url, clock, **{"realms": "*"} | settings) as caller:
        flood = Flood(issuer, caller, clock)
        assert (await caller.ask(flood.known)).status == 200
        issuer.forget_requests()
        yield flood


@pytest.mark.parametrize("kind", KINDS)
def test_1000_invented_realms_cost_a_handful_of_fetches(counting: Issuer, clock: Clock, kind: str) -> None:
    bound = UNPROVEN_FETCHES * EXCHANGES_A_REALM

    async def main() -> float:
        async with flooding(counting, clock, kind) as flood:
            assert await flood.invented_realms(1_000) == {401, 503}
            assert len(counting.requests) == bound
            clock.advance(COOLDOWN)
            await flood.invented_realms(1_000, since=1_000)
            assert len(counting.requests) == 2 * bound
            return flood.slowest

    slowest = asyncio.run(main())
    _log.info("1,000 invented realms, %s: %d fetches, slowest good request %.1f ms", kind, bound, slowest * 1e3)
    assert bound == 8
    assert slowest < AT_ONCE
    assert not any("/alpha/" in path for _, path in counting.requests)


@pytest.mark.parametrize("kind", KINDS)
def test_10000_unknown_kids_cost_one_fetch(counting: Issuer, clock: Clock, kind: str) -> None:
    async def main() -> float:
        async with flooding(counting, clock, kind) as flood:
            assert await flood.unknown_kids(10_000) == {401}
            assert counting.requests == [("GET", "/realms/alpha/jwks")]
            clock.advance(COOLDOWN)
            await flood.unknown_kids(100, since=10_000)
            assert counting.requests == [("GET", "/realms/alpha/jwks")] * 2
            return flood.slowest

    slowest = asyncio.run(main())
    _log.info("10,000 unknown kids, %s: 1 fetch, slowest good request %.1f ms", kind, slowest * 1e3)
    assert slowest < AT_ONCE


@pytest.mark.parametrize("kind", KINDS)
def test_good_tokens_need_not_wait_while_a_flood_makes_a_slow_issuer_work(
    counting: Issuer, clock: Clock, kind: str
) -> None:
    """The fetch that the flood forced takes a second; of the flood, some wait for it."""

    async def main() -> float:
        async with flooding(counting, clock, kind, http_timeout=3) as flood:
            counting.stall(1, path="/jwks")
            junk = [flood.junk("alpha", f"unknown-{each}") for each in range(20)]
            junk += [flood.junk(f"invented-{each}", "any") for each in range(20)]
            waiting = [flood.caller.meanwhile(token) for token in junk]
            async with asyncio.timeout(10):
                while not counting.count("/alpha/jwks"):
                    await asyncio.sleep(0.005)
            slowest = 0.0
            for _ in range(100):
                for token in (flood.known, flood.good()):
                    outcome = await flood.caller.ask(token)
                    assert outcome.status == 200
                    slowest = max(slowest, outcome.seconds)
                await asyncio.sleep(0)
            assert not all(each.done() for each in waiting)
            assert {each.status for each in await asyncio.gather(*waiting)} <= {401, 503}
            return slowest

    slowest = asyncio.run(main())
    _log.info("slowest good request while a flood's fetch is under way, %s: %.1f ms", kind, slowest * 1e3)
    assert slowest < AT_ONCE
    assert counting.count("/alpha/jwks") == 1
    assert len(counting.requests) <= 1 + UNPROVEN_FETCHES * EXCHANGES_A_REALM


@pytest.mark.parametrize("kind", KINDS)
def test_a_real_realm_gets_in_beside_a_flood_of_invented_ones(counting: Issuer, clock: Clock, kind: str) -> None:
    """It shares their budget until it is known: its first token may be told to come back, and gets in when it does."""

    async def main() -> list[int]:
        async with flooding(counting, clock, kind) as flood:
            await flood.invented_realms(100)
            beta = counting.token(realm="beta", audience=AUDIENCE)
            first = (await flood.caller.ask(beta)).status
            clock.advance(COOLDOWN)
            then = (await flood.caller.ask(beta)).status
            await flood.invented_realms(1_000, since=100)
            return [first, then, (await flood.caller.ask(beta)).status]

    assert asyncio.run(main()) == [503, 200, 200]
    assert counting.count("/beta/jwks") == 1


# Rotation


@pytest.mark.parametrize("kind", KINDS)
def test_a_rotated_key_works_at_its_first_request(counting: Issuer, clock: Clock, kind: str) -> None:
    async def main() -> None:
        async with flooding(counting, clock, kind) as flood:
            counting.rotate("alpha", keep_old=True)
            assert (await flood.caller.ask(flood.good())).status == 200
            assert counting.requests == [("GET", "/realms/alpha/jwks")]
            assert (await flood.caller.ask(flood.known)).status == 200

    asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_that_is_rotated_in_a_flood_works_after_the_cooldown(counting: Issuer, clock: Clock, kind: str) -> None:
    """The flood used up the fetch that a token may force; the next one is due a cooldown later, and the good token gets it."""

    async def main() -> None:
        async with flooding(counting, clock, kind) as flood:
            assert await flood.unknown_kids(50) == {401}
            counting.rotate("alpha", keep_old=True)
            rotated = flood.good()
            assert (await flood.caller.ask(rotated)).status in (401, 503)
            clock.advance(COOLDOWN - 1)
            assert (await flood.caller.ask(rotated)).status in (401, 503)
            assert counting.count("/jwks") == 1
            clock.advance(1)
            assert (await flood.caller.ask(rotated)).status == 200
            assert counting.count("/jwks") == 2

    asyncio.run(main())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("noticed", ["when the keys age", "when a new key comes"])
def test_a_key_that_the_issuer_withdrew_is_refused_after_the_refresh(
    counting: Issuer, clock: Clock, kind: str, noticed: str
) -> None:
    async def main() -> None:
        async with flooding(counting, clock, kind) as flood:
            late = flood.good()
            counting.rotate("alpha", keep_old=False)
            if noticed == "when the keys age":
                clock.advance(900)
                assert (await flood.caller.ask(flood.known)).status == 200  # at once, with what is known
                await flood.caller.settled()
            else:
                assert (await flood.caller.ask(flood.good())).status == 200
            for token in (flood.known, late):
                assert (await flood.caller.ask(token)).status == 401
            assert (await flood.caller.ask(flood.good())).status == 200

    asyncio.run(main())
