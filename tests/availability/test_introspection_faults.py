"""What a fault of the introspection endpoint does, over real sockets: neither a bad token nor a good one comes of it.

The same table for a token that was never asked about, for one whose answer is still remembered, and for the same one once
the answer has lapsed. There is no cooldown: the first request after the fault is let in.
"""

import asyncio
import gc
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from strongdm_auth.testing import Clock, SigningKey
from tests.conftest import AUDIENCE
from tests.parts.sockets import always, message

from .callers import AT_ONCE, KINDS, calling
from .certificates import Authority
from .faulty_issuer import DISCOVERY, FAULTS, INTROSPECTION, FaultyIssuer

TTL = 60
#: For faults that make us wait; the others come to their end by themselves.
SHORT, LONG = 0.3, 5.0
SLOW = ("hang", "drip")
#: What a request that waits may take beyond its timeout, on a busy machine.
SLACK = 1.0
REFUSED, UNTRUSTED = "refused", "certificate of a stranger"
SETTINGS: dict[str, Any] = {
    "introspection": "always",
    "introspection_ttl": TTL,
    "client_id": "api",
    "client_secret": "secret",
}


class Row(NamedTuple):
    """The status in each phase."""

    #: A good token that nobody has been asked about.
    new: int
    #: One whose answer is remembered: nobody is asked.
    remembered: int
    #: One that is not good for a reason of its own: nobody is asked.
    expired: int
    #: One whose answer has lapsed.
    lapsed: int
    #: The fault is over.
    healed: int
    #: The fault is over, and the token was revoked meanwhile.
    revoked: int


AWAY = Row(new=503, remembered=200, expired=401, lapsed=503, healed=200, revoked=401)
#: Once it is known where to ask, discovery is not needed for jwks_max_age.
KNOWN = Row(new=200, remembered=200, expired=401, lapsed=200, healed=200, revoked=401)

TABLE: dict[tuple[str, str], Row] = {
    ("reset", INTROSPECTION): AWAY,
    ("hang", INTROSPECTION): AWAY,
    ("drip", INTROSPECTION): AWAY,
    ("500", INTROSPECTION): AWAY,
    ("404", INTROSPECTION): AWAY,
    ("html", INTROSPECTION): AWAY,
    ("truncated", INTROSPECTION): AWAY,
    ("huge", INTROSPECTION): AWAY,
    ("redirect", INTROSPECTION): AWAY,
    ("active, it says, with a 500", INTROSPECTION): AWAY,
    ("inactive, it says, with a 500", INTROSPECTION): AWAY,
    ("500", DISCOVERY): KNOWN,
    (REFUSED, ""): AWAY,
    (UNTRUSTED, ""): AWAY,
}


async def _tell(
    kind: str, issuer: FaultyIssuer, key: SigningKey, clock: Clock, strike: Callable[[], None], *, timeout: float = LONG
) -> Row:
    now = int(clock())
    claims = {"iss": f"{issuer.url}/realms/alpha", "sub": "agent", "aud": AUDIENCE, "iat": now, "exp": now + 600}
    known, new = key.sign({}, {**claims, "jti": "known"}), key.sign({}, {**claims, "jti": "new"})
    expired = key.sign({}, {**claims, "exp": now - 100})
    async with calling(kind, issuer.url, clock, http_timeout=timeout, **SETTINGS) as caller:

        async def asking(token: str) -> int:
            outcome = await caller.ask(token)
            assert outcome.seconds < SHORT + SLACK
            return outcome.status

        async def asking_nobody(token: str) -> int:
            connections, outcome = issuer.connections, await caller.ask(token)
            assert outcome.seconds < AT_ONCE
            assert issuer.connections == connections
            return outcome.status

        assert await asking(known) == 200
        strike()
        first, remembered, dead = await asking(new), await asking_nobody(known), await asking_nobody(expired)
        clock.advance(TTL)
        lapsed = await asking(known)
        assert await asking(known) == lapsed  # an outage is not remembered, as a good answer is
        issuer.revoked.add(new)
        issuer.heal()
        return Row(first, remembered, dead, lapsed, await asking(known), await _after_ttl(clock, asking, new))


async def _after_ttl(clock: Clock, asking: Callable[[str], Any], token: str) -> int:
    clock.advance(TTL)
    status: int = await asking(token)
    return status


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("fault", "at"), [where for where in TABLE if where[0] != UNTRUSTED])
def test_a_fault_of_introspection_does_what_the_table_says(
    faulty: FaultyIssuer, key: SigningKey, clock: Clock, kind: str, fault: str, at: str
) -> None:
    def strike() -> None:
        if fault == REFUSED:
            faulty.stop_listening()
        else:
            faulty.break_down(FAULTS[fault](faulty), at)

    timeout = SHORT if fault in SLOW else LONG
    assert asyncio.run(_tell(kind, faulty, key, clock, strike, timeout=timeout)) == TABLE[fault, at]


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_that_does_not_count_gets_no_token_to_see(
    key: SigningKey, clock: Clock, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path, "trusted")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    stranger = Authority(tmp_path, "unknown").context()
    with FaultyIssuer(key, authority.context()).running() as issuer:
        assert isinstance(issuer, FaultyIssuer)
        asked: list[int] = []

        def strike() -> None:
            asked.append(len(issuer.asked_about))
            issuer.present(stranger)

        assert asyncio.run(_tell(kind, issuer, key, clock, strike)) == TABLE[UNTRUSTED, ""]
        assert asked == [1]
        assert len(issuer.asked_about) == 3  # before the fault and after it


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["500", "html", "wrong issuer", "redirect", "hang"])
def test_an_issuer_that_does_not_say_where_to_ask_is_an_outage(
    faulty: FaultyIssuer, key: SigningKey, clock: Clock, kind: str, fault: str
) -> None:
    """The realm's own discovery is fine, so the keys are there; that of the base issuer, who is asked, is not."""
    now = int(clock())
    claims = {"iss": f"{faulty.url}/realms/alpha", "sub": "agent", "aud": AUDIENCE, "iat": now, "exp": now + 600}
    token = key.sign({}, claims)
    # One for the realm beta, where it is the base issuer that was asked for.
    wrong = always(message(faulty.honest(f"/realms/beta{DISCOVERY}")))
    talk = wrong if fault == "wrong issuer" else FAULTS[fault](faulty)

    async def main() -> list[int]:
        timeout = SHORT if fault in SLOW else LONG
        async with calling(kind, faulty.url, clock, http_timeout=timeout, **SETTINGS) as caller:
            faulty.break_down(FAULTS["404"](faulty), f"/realms/alpha{DISCOVERY}")
            faulty.break_down(talk, DISCOVERY)
            broken = [(await caller.ask(token)).status for _ in range(2)]
            faulty.heal()
            return [*broken, (await caller.ask(token)).status]

    assert asyncio.run(main()) == [503, 503, 200]
    assert faulty.asked_about == [token]


def test_an_issuer_that_overruns_again_and_again_leaves_no_clients_behind(
    faulty: FaultyIssuer, key: SigningKey, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Each time, the client that threads share is given up with all its connections; nobody may hold on to it."""
    caplog.set_level(logging.CRITICAL, "strongdm_auth")  # a captured record holds its exception, and that the client
    now = int(clock())
    claims = {"iss": f"{faulty.url}/realms/alpha", "sub": "agent", "aud": AUDIENCE, "iat": now, "exp": now + 600}
    tokens = [key.sign({}, {**claims, "jti": str(number)}) for number in range(6)]

    async def told() -> int:
        async with calling("sync", faulty.url, clock, http_timeout=SHORT, **SETTINGS) as caller:
            assert (await caller.ask(tokens[0])).status == 200
            faulty.break_down(FAULTS["hang"](faulty), INTROSPECTION)
            assert {(await caller.ask(token)).status for token in tokens[1:]} == {503}
            faulty.over.set()
            await caller.settled()
            return _clients()

    before = _clients()
    assert asyncio.run(told()) <= before + 1


def _clients() -> int:
    gc.collect()
    return sum(type(each) is httpx.Client for each in gc.get_objects())
