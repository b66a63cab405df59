"""An issuer that is a table of answers by URL, for tests that want to say byte for byte what comes back, and when."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from strongdm_auth import AsyncVerifier, Refused, Verifier
from strongdm_auth.testing import Clock, SigningKey, unsigned_token
from tests.conftest import AUDIENCE, request

ISSUER = "https://id.example.com"
DISCOVERY = "/.well-known/openid-configuration"


class Gate:
    """Keeps an answer back until it is opened."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self._open = threading.Event()

    def open(self) -> None:
        self._open.set()

    def wait(self) -> None:
        self.arrived.set()
        self._open.wait(20)

    async def wait_in_loop(self) -> None:
        self.arrived.set()
        while not self._open.is_set():
            await asyncio.sleep(0.001)


class _Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that has to be read, as over a network: in pieces, and still compressed if it was."""

    def __init__(self, body: bytes) -> None:
        self._pieces = [body[start : start + 65_536] for start in range(0, len(body), 65_536)]

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


@dataclass(frozen=True)
class Answer:
    """What one URL answers. `fault` is raised in its stead; a `gate` keeps it back, and an event loop waits for `delay`."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Exception | None = None
    gate: Gate | None = None
    delay: float = 0.0

    def response(self) -> httpx.Response:
        if self.fault is not None:
            raise self.fault
        return httpx.Response(self.status, headers=dict(self.headers), stream=_Stream(self.body))


def as_json(value: object) -> Answer:
    return Answer(json.dumps(value).encode(), headers={"Content-Type": "application/json"})


class _Transport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    def __init__(self, world: "World") -> None:
        self._world = world

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._world.answer_to(request)
        if answer.gate is not None:
            answer.gate.wait()
        return answer.response()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = self._world.answer_to(request)
        if answer.gate is not None:
            await answer.gate.wait_in_loop()
        if answer.delay:
            await asyncio.sleep(answer.delay)
        return answer.response()


class World:
    """The table, what was asked of it, and tokens of the issuers in it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        #: Every URL asked for, in order.
        self.calls: list[str] = []
        self.answers: dict[str, Answer] = {}
        #: When set, what every URL answers.
        self.outage: Answer | None = None
        self._gates: list[Gate] = []

    # The table

    def answer_to(self, request: httpx.Request) -> Answer:
        url = str(request.url)
        self.calls.append(url)
        if self.outage is not None:
            return self.outage
        return self.answers.get(url, Answer(status=404))

    def publish(self, *keys: SigningKey, realm: str | None = "alpha", jwks_uri: str | None = None) -> None:
        """These keys are the realm's from now on; its discovery document says where."""
        self.publish_jwks([key.public_jwk() for key in keys], realm=realm, jwks_uri=jwks_uri)

    def publish_jwks(self, jwks: Sequence[object], *, realm: str | None = "alpha", jwks_uri: str | None = None) -> None:
        issuer = issuer_of(realm)
        jwks_uri = jwks_uri or f"{issuer}/jwks"
        self.answers[issuer + DISCOVERY] = as_json({"issuer": issuer, "jwks_uri": jwks_uri})
        self.answers[jwks_uri] = as_json({"keys": list(jwks)})

    def hold(self, url: str) -> Gate:
        """Keep this URL's answer back until the gate is opened."""
        gate = self.gate()
        self.answers[url] = replace(self.answers[url], gate=gate)
        return gate

    def gate(self) -> Gate:
        gate = Gate()
        self._gates.append(gate)
        return gate

    def count(self, suffix: str = "") -> int:
        return sum(url.endswith(suffix) for url in self.calls)

    def close(self) -> None:
        """Let everybody go, and wait until the threads of the verifiers are gone."""
        for gate in self._gates:
            gate.open()
        settle()

    # Its tokens

    def claims(self, realm: str | None = "alpha", **claims: object) -> dict[str, object]:
        now = int(self.clock())
        honest = {
            "iss": issuer_of(realm),
            "sub": "agent",
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 1_000_000,
            "scope": "read",
        }
        return {name: value for name, value in {**honest, **claims}.items() if value is not None}

    def token(
        self,
        key: SigningKey,
        realm: str | None = "alpha",
        *,
        header: Mapping[str, object] | None = None,
        **claims: object,
    ) -> str:
        return key.sign(header or {}, self.claims(realm, **claims))

    def forged(self, kid: str, realm: str | None = "alpha", *, alg: str = "EdDSA") -> str:
        """A token that names a key and was signed by nobody."""
        return unsigned_token({"alg": alg, "kid": kid}, self.claims(realm), b"\x01" * 64)

    # Verifiers that see nothing but the table

    def verifier(self, **settings: Any) -> Verifier:
        client = httpx.Client(transport=_Transport(self))
        return Verifier(client=client, clock=self.clock, **self._settings(settings))

    def async_verifier(self, **settings: Any) -> AsyncVerifier:
        client = httpx.AsyncClient(transport=_Transport(self))
        return AsyncVerifier(client=client, clock=self.clock, **self._settings(settings))

    @staticmethod
    def _settings(settings: dict[str, Any]) -> dict[str, Any]:
        return {"issuer": ISSUER, "realms": ["alpha"], "audience": AUDIENCE} | settings


def issuer_of(realm: str | None) -> str:
    return ISSUER if realm is None else f"{ISSUER}/realms/{realm}"


ALPHA = issuer_of("alpha")


def settle() -> None:
    """Wait until the verifiers' own threads, background refreshes among them, have ended."""
    for _ in range(100):
        own = [thread for thread in threading.enumerate() if thread.name.startswith("strongdm-auth-")]
        if not own:
            return
        for thread in own:
            thread.join(5)
    raise AssertionError("a thread of a verifier does not end")


async def settle_tasks() -> None:
    """Wait until all other tasks of this loop have ended."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others, timeout=5)


def status_of(verifier: Verifier, token: str) -> int:
    """200, or the status of the refusal."""
    try:
        verifier.authenticate(request(token))
    except Refused as refusal:
        return _status(verifier, refusal)
    return 200


async def async_status_of(verifier: AsyncVerifier, token: str) -> int:
    try:
        await verifier.authenticate(request(token))
    except Refused as refusal:
        return _status(verifier, refusal)
    return 200


def _status(verifier: Verifier | AsyncVerifier, refusal: Refused) -> int:
    denial = verifier.denial(refusal)
    headers = dict(denial.headers)
    if denial.status == 503:
        assert int(headers["Retry-After"]) >= 1
        assert "WWW-Authenticate" not in headers
    else:
        assert "WWW-Authenticate" in headers
    return denial.status
