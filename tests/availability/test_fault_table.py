"""What an issuer's fault does to requests: one table, a row a fault, a column a phase, over real sockets.

A phase is how old the keys are when the fault strikes. Nobody who is good is refused while the last good keys may serve,
nobody waits for a refresh, an outage is a 503 and never the client's fault, and what has healed works without a restart.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from strongdm_auth.testing import Clock, SigningKey, unsigned_token
from tests.conftest import AUDIENCE

from .callers import AT_ONCE, KINDS, Caller, calling
from .certificates import Authority
from .faulty_issuer import DISCOVERY, FAULTS, KEYS, FaultyIssuer

MAX_AGE, STALE, COOLDOWN = 900, 3_600, 30
#: For faults that make us wait; the others come to their end by themselves.
SHORT, LONG = 0.3, 5.0
SLOW = ("hang", "drip")
#: What a request that waits may take beyond its timeout, on a busy machine.
SLACK = 1.0


class Row(NamedTuple):
    """The status that a request gets in each phase."""

    #: No keys yet.
    cold: int
    #: Keys that are fresh: nobody is asked.
    fresh: int
    #: The same, but the token names a key that is not among them.
    unknown_kid: int
    #: Past jwks_max_age: the old keys serve, and are refreshed in the background.
    ageing: int
    #: Past jwks_max_age and jwks_stale.
    stale: int
    #: The fault is over, and so is the cooldown.
    healed: int


DOWN = Row(cold=503, fresh=200, unknown_kid=503, ageing=200, stale=503, healed=200)
#: Where the keys are is known: a token that forces a fetch goes there and finds that there is no such key.
LOST = Row(cold=503, fresh=200, unknown_kid=401, ageing=200, stale=503, healed=200)
#: An issuer need not have a discovery document.
FINE = Row(cold=200, fresh=200, unknown_kid=401, ageing=200, stale=200, healed=200)

REFUSED, UNTRUSTED, MISNAMED, EXPIRED = "refused", "certificate of a stranger", "of another host", "expired"

TABLE: dict[tuple[str, str], Row] = {
    ("reset", DISCOVERY): LOST,
    ("hang", DISCOVERY): LOST,
    ("drip", DISCOVERY): LOST,
    ("500", DISCOVERY): LOST,
    ("404", DISCOVERY): FINE,
    ("html", DISCOVERY): LOST,
    ("truncated", DISCOVERY): LOST,
    ("huge", DISCOVERY): LOST,
    ("redirect", DISCOVERY): LOST,
    ("wrong issuer", DISCOVERY): LOST,
    ("reset", KEYS): DOWN,
    ("hang", KEYS): DOWN,
    ("drip", KEYS): DOWN,
    ("500", KEYS): DOWN,
    ("404", KEYS): DOWN,
    ("html", KEYS): DOWN,
    ("truncated", KEYS): DOWN,
    ("huge", KEYS): DOWN,
    ("redirect", KEYS): DOWN,
    ("no keys", KEYS): DOWN,
    (REFUSED, ""): DOWN,
    (UNTRUSTED, ""): DOWN,
    (MISNAMED, ""): DOWN,
    (EXPIRED, ""): DOWN,
}
CERTIFICATES = (UNTRUSTED, MISNAMED, EXPIRED)


class Story:
    """One row, told from the first request to the last, with one verifier."""

    def __init__(
        self,
        row: Row,
        issuer: FaultyIssuer,
        strike: Callable[[], None],
        key: SigningKey,
        clock: Clock,
        attempts: Callable[[], int],
    ) -> None:
        self._row, self._issuer, self.strike, self._key, self._clock = row, issuer, strike, key, clock
        self._attempts_so_far = attempts
        self._claims = {
            "iss": f"{issuer.url}/realms/alpha",
            "sub": "agent",
            "aud": AUDIENCE,
            "iat": int(clock()),
            "exp": int(clock()) + 1_000_000,
        }
        self._tokens = 0
        self._failed = 0

    async def tell(self, caller: Caller) -> None:
        known = self._good()
        # No keys: the first request finds out, the next one within the cooldown asks nobody.
        self.strike()
        await self._waits(caller, self._row.cold)
        self._expect_attempts(failed=self._row.cold == 503)
        await self._asks_nobody(caller, self._good(), self._row.cold)
        self._issuer.heal()
        await self._asks_nobody(caller, self._good(), self._row.cold)
        self._clock.advance(COOLDOWN)
        assert (await caller.ask(known)).status == self._row.healed
        # Fresh keys.
        self.strike()
        for token in (known, self._good()):
            await self._asks_nobody(caller, token, self._row.fresh)
        assert (await caller.ask(self._stranger())).status == self._row.unknown_kid
        self._expect_attempts(failed=self._row.unknown_kid == 503)
        await self._asks_nobody(caller, self._good(), self._row.fresh)
        # Past their age, twice: an attempt a cooldown, in the background.
        broken = self._row is not FINE
        self._clock.advance(MAX_AGE)
        for _ in range(2):
            for token in (known, self._good()):
                await self._at_once(caller, token, self._row.ageing)
            await caller.settled()
            self._expect_attempts(failed=broken)
            await self._asks_nobody(caller, known, self._row.ageing)
            self._clock.advance(COOLDOWN)
        # As long as the keys may serve, and then no longer.
        self._clock.advance(STALE - 2 * COOLDOWN - 1)
        await self._at_once(caller, known, self._row.ageing)
        await caller.settled()
        self._expect_attempts(failed=broken)
        self._clock.advance(1)
        for token in (known, self._good(), self._stranger() if broken else known):
            await self._asks_nobody(caller, token, self._row.stale)
        self._clock.advance(COOLDOWN)
        await self._waits(caller, self._row.stale)
        await caller.settled()
        self._expect_attempts(failed=broken)
        # It is over.
        self._issuer.heal()
        self._clock.advance(COOLDOWN)
        assert (await caller.ask(self._good())).status == self._row.healed
        assert (await caller.ask(known)).status == self._row.healed
        await caller.settled()
        self._expect_attempts(failed=False)

    async def _waits(self, caller: Caller, status: int) -> None:
        outcome = await caller.ask(self._good())
        assert outcome.status == status
        assert outcome.seconds < SHORT + SLACK

    async def _at_once(self, caller: Caller, token: str, status: int) -> None:
        outcome = await caller.ask(token)
        assert outcome.status == status
        assert outcome.seconds < AT_ONCE

    async def _asks_nobody(self, caller: Caller, token: str, status: int) -> None:
        connections = self._issuer.connections
        await self._at_once(caller, token, status)
        await caller.settled()
        assert self._issuer.connections == connections
        self._expect_attempts(failed=False)

    def _expect_attempts(self, *, failed: bool) -> None:
        """Whether one more attempt than before came to nothing."""
        self._failed += failed
        assert self._attempts_so_far() == self._failed

    def _good(self) -> str:
        """A token that was never seen before."""
        self._tokens += 1
        return self._key.sign({}, {**self._claims, "jti": str(self._tokens)})

    def _stranger(self) -> str:
        """A token that may be good, for all that can be told without the issuer."""
        self._tokens += 1
        return unsigned_token({"alg": "EdDSA", "kid": f"unknown-{self._tokens}"}, self._claims, b"\x01" * 64)


def _tell(story: Story, kind: str, issuer: FaultyIssuer, clock: Clock, *, timeout: float = LONG) -> None:
    async def main() -> None:
        async with calling(kind, issuer.url, clock, http_timeout=timeout) as caller:
            await story.tell(caller)

    asyncio.run(main())


@pytest.fixture
def attempts(caplog: pytest.LogCaptureFixture) -> Callable[[], int]:
    """How many attempts to get keys have come to nothing: each leaves one line in the log."""
    return lambda: sum("cannot be had" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("fault", "at"), [where for where in TABLE if where[0] not in CERTIFICATES])
def test_a_fault_does_in_each_phase_what_the_table_says(
    faulty: FaultyIssuer, key: SigningKey, clock: Clock, attempts: Callable[[], int], kind: str, fault: str, at: str
) -> None:
    def strike() -> None:
        if fault == REFUSED:
            faulty.stop_listening()
        else:
            faulty.break_down(FAULTS[fault](faulty), at)

    story = Story(TABLE[fault, at], faulty, strike, key, clock, attempts)
    _tell(story, kind, faulty, clock, timeout=SHORT if fault in SLOW else LONG)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", CERTIFICATES)
def test_a_certificate_that_does_not_count_is_an_outage_as_any_other(
    key: SigningKey,
    clock: Clock,
    attempts: Callable[[], int],
    kind: str,
    fault: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority = Authority(tmp_path, "trusted")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    bad = {
        UNTRUSTED: lambda: Authority(tmp_path, "unknown").context(),
        MISNAMED: lambda: authority.context(address="127.0.0.2"),
        EXPIRED: lambda: authority.context(expired=True),
    }[fault]()
    with FaultyIssuer(key, authority.context()).running() as issuer:
        assert isinstance(issuer, FaultyIssuer)

        def strike() -> None:
            issuer.present(bad)

        _tell(Story(TABLE[fault, ""], issuer, strike, key, clock, attempts), kind, issuer, clock)
        assert issuer.requests  # what counts, it was asked for by TLS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", [DISCOVERY, KEYS])
def test_an_outage_fills_no_log_however_many_requests_come(
    faulty: FaultyIssuer, key: SigningKey, clock: Clock, attempts: Callable[[], int], kind: str, at: str
) -> None:
    faulty.break_down(FAULTS["500"](faulty), at)
    claims = {"iss": f"{faulty.url}/realms/alpha", "sub": "a", "aud": AUDIENCE, "exp": int(clock()) + 600}

    async def main() -> None:
        async with calling(kind, faulty.url, clock) as caller:
            for number in range(50):
                assert (await caller.ask(key.sign({}, {**claims, "jti": str(number)}))).status == 503

    asyncio.run(main())
    assert attempts() == 1
