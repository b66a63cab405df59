"""`dpop_nonce=required` through every door, with a clock that moves: RFC 9449 8, 8.2, 9."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from strongdm_auth import AsyncVerifier, Request, UseDPoPNonce, Verifier
from strongdm_auth.dpop import NONCE_LIFETIME, NONCE_RENEWAL
from strongdm_auth.testing import Clock, DPoPKey, Issuer
from tests.conftest import NOW
from tests.contract import AUDIENCE, BASE, Answer
from tests.doors.test_contract import DOORS, Door

OLD, NEW, FOREIGN = "the secret of last year", "the secret of this year", "somebody else's secret"
URL = f"{BASE}/protected"
DAY = 86_400


class Client:
    """An agent with a bound token, before a door whose clock the test moves."""

    def __init__(self, issuer: Issuer, clock: Clock, open_door: Callable[..., Door]) -> None:
        self._issuer, self.clock = issuer, clock
        self._key = DPoPKey.generate()
        self._token = issuer.token("cli_agent", realm="alpha", audience=AUDIENCE, key=self._key, lifetime=DAY)
        self._open_door = open_door
        self._doors: dict[str, Door] = {}

    def settings(self, *secrets: str) -> dict[str, Any]:
        return {
            "issuer": self._issuer.url,
            "realms": ["alpha"],
            "audience": AUDIENCE,
            "dpop_nonce": "required",
            "dpop_nonce_secret": list(secrets),
            "jwks_max_age": DAY,  # nothing else than nonces grows old here
        }

    def ask(self, nonce: str | None = None, *secrets: str) -> Answer:
        """A request with a fresh proof, to the door that knows these secrets; `OLD` unless told otherwise."""
        secrets = secrets or (OLD,)
        door = self._doors.get(repr(secrets))
        if door is None:
            door = self._doors[repr(secrets)] = self._open_door(self.settings(*secrets))
        return door.send("GET", "/protected", "", self._headers(nonce))

    def verifier(self, *secrets: str) -> Verifier:
        """Another worker: nothing in common with the door but the secrets."""
        client = httpx.Client(transport=self._issuer.transport())
        return Verifier(client=client, clock=self.clock, **self.settings(*secrets))

    def nonce_of(self, verifier: Verifier) -> str:
        with pytest.raises(UseDPoPNonce) as caught:
            verifier.authenticate(self.request())
        return dict(verifier.denial(caught.value).headers)["DPoP-Nonce"]

    def request(self, nonce: str | None = None) -> Request:
        return Request("GET", URL, self._headers(nonce))

    def _headers(self, nonce: str | None) -> list[tuple[str, str]]:
        proof = self._key.proof("GET", URL, self._token, nonce=nonce, now=self.clock())
        return [("Authorization", f"DPoP {self._token}"), ("DPoP", proof)]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Issuer, Clock]]:
    clock = Clock(at=NOW)
    with Issuer(realms=("alpha",), clock=clock).serve() as issuer:
        yield issuer, clock


@pytest.fixture(params=DOORS)
def client(request: pytest.FixtureRequest, served: tuple[Issuer, Clock], monkeypatch: pytest.MonkeyPatch) -> Any:
    issuer, clock = served
    clock.set(NOW)
    opened: list[Door] = []
    for verifier in (Verifier, AsyncVerifier):
        # A door has no argument for the clock of its verifier, which is the system's.
        monkeypatch.setitem(verifier.__init__.__kwdefaults__, "clock", clock)

    def open_door(settings: dict[str, Any]) -> Door:
        opened.append(DOORS[request.param](settings))
        return opened[-1]

    yield Client(issuer, clock, open_door)
    for door in opened:
        door.close()


def challenged(answer: Answer) -> str:
    """The nonce of an answer that asks for one."""
    assert answer.status == 401
    assert answer.challenges["DPoP"]["error"] == "use_dpop_nonce"
    assert "no-store" in (answer.header("Cache-Control") or "")
    nonce = answer.header("DPoP-Nonce")
    assert nonce
    return nonce


def admitted(answer: Answer) -> str | None:
    """The nonce that an answer renews; such an answer must not be stored."""
    assert answer.status == 200, answer
    nonce = answer.header("DPoP-Nonce")
    assert nonce is None or "no-store" in (answer.header("Cache-Control") or "")
    return nonce


def test_the_first_request_learns_a_nonce_and_the_second_gets_in(client: Client) -> None:
    nonce = challenged(client.ask())
    for _ in range(3):
        assert admitted(client.ask(nonce)) is None
    assert challenged(client.ask()), "a proof without one is never let in, whatever came before"


def test_a_nonce_is_renewed_half_way_and_refused_when_it_has_lapsed(client: Client) -> None:
    first = challenged(client.ask())
    client.clock.set(NOW + NONCE_RENEWAL - 1)
    assert admitted(client.ask(first)) is None
    client.clock.set(NOW + NONCE_RENEWAL)
    second = admitted(client.ask(first))
    assert second not in (None, first)
    assert admitted(client.ask(second)) is None
    client.clock.set(NOW + NONCE_LIFETIME)
    assert admitted(client.ask(first)) not in (None, first, second)
    client.clock.set(NOW + NONCE_LIFETIME + 1)
    fresh = challenged(client.ask(first))
    assert admitted(client.ask(fresh)) is None
    assert admitted(client.ask(second)) is not None


def test_whoever_keeps_the_last_nonce_is_refused_once_and_never_again(client: Client) -> None:
    nonce: str | None = None
    statuses, seen = [], set()
    while client.clock() < NOW + 10 * NONCE_LIFETIME:
        answer = client.ask(nonce)
        nonce = answer.header("DPoP-Nonce") or nonce
        seen.add(nonce)
        statuses.append(answer.status)
        client.clock.advance(0 if len(statuses) == 1 else NONCE_RENEWAL - 1)
    assert statuses == [401] + [200] * (len(statuses) - 1)
    assert len(seen) > 9


def test_workers_with_one_secret_take_each_others_nonces(client: Client) -> None:
    worker = client.verifier(OLD)
    assert admitted(client.ask(client.nonce_of(worker))) is None
    assert worker.authenticate(client.request(challenged(client.ask())))


def test_a_foreign_nonce_is_answered_with_a_fresh_one(client: Client) -> None:
    foreign = client.nonce_of(client.verifier(FOREIGN))
    own = challenged(client.ask(foreign))
    assert own != foreign
    assert admitted(client.ask(own)) is None


def test_secrets_are_rotated_without_a_refusal(client: Client) -> None:
    """The first signs, all verify; when the old one is dropped, those who came meanwhile have nonces of the new one."""
    nonce = challenged(client.ask(None, OLD))
    assert admitted(client.ask(nonce, NEW, OLD)) is None
    client.clock.advance(NONCE_RENEWAL)
    renewed = admitted(client.ask(nonce, NEW, OLD))
    assert renewed is not None
    assert admitted(client.ask(renewed, NEW)) is None
    assert challenged(client.ask(nonce, NEW)), "the old secret counts no more"
    assert challenged(client.ask(renewed, OLD)), "the new one signed, and not the old one"
    assert admitted(client.ask(challenged(client.ask(None, NEW, OLD)), NEW)) is None
