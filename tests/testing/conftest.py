"""A local issuer with a clock that stands still, and a few ways to call it."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest

from strongdm_auth.testing import Client, Clock, Issuer, Notice

NOW = 1_800_000_000


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)


@dataclass
class Caller:
    """Calls an issuer without a network."""

    issuer: Issuer
    notices: list[Notice] = field(default_factory=list)

    def get(self, target: str, headers: Any = ()) -> Answer:
        return self.send("GET", target, headers)

    def post_json(self, target: str, value: object, headers: Mapping[str, str] | None = None) -> Answer:
        everything = {"Content-Type": "application/json", **(headers or {})}
        return self.send("POST", target, everything, json.dumps(value).encode())

    def post_form(self, target: str, client: Client | None, extra: Any = (), /, **form: Any) -> Answer:
        headers = [("Content-Type", "application/x-www-form-urlencoded"), *dict(extra).items()]
        if client is not None:
            headers.append(("Authorization", basic(*client.auth)))
        return self.send("POST", target, headers, urlencode(form, doseq=True).encode())

    def send(self, method: str, target: str, headers: Any = (), body: bytes = b"") -> Answer:
        status, answered, answer = self.issuer.respond(method, target, headers, body)
        return Answer(status, dict(answered), answer)


def basic(client_id: str, client_secret: str) -> str:
    return "Basic " + b64encode(f"{client_id}:{client_secret}".encode()).decode()


def segment(token: str, index: int) -> dict[str, Any]:
    text = token.split(".")[index]
    return json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))


@pytest.fixture
def clock() -> Clock:
    return Clock(at=NOW)


@pytest.fixture
def caller(clock: Clock) -> Caller:
    notices: list[Notice] = []
    issuer = Issuer(
        realms=("default", "acme"),
        algorithms=("ES256", "EdDSA"),
        clock=clock,
        notify=notices.append,
    )
    return Caller(issuer, notices)


@pytest.fixture
def issuer(caller: Caller) -> Issuer:
    return caller.issuer


@pytest.fixture
def served(issuer: Issuer) -> Iterator[Issuer]:
    with issuer.serve() as serving:
        yield serving


@pytest.fixture
def header_of() -> Any:
    return lambda token: segment(token, 0)


@pytest.fixture
def claims_of() -> Any:
    return lambda token: segment(token, 1)


@pytest.fixture
def basic_of() -> Any:
    return basic
