"""One world for all tests: a local issuer with two realms, a clock that tests move, verifiers that talk to it in process."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from strongdm_auth import AsyncVerifier, Request, Verifier
from strongdm_auth.testing import Clock, Issuer

NOW = 1_800_000_000.0
AUDIENCE = "https://api.example.com"
URL = "https://api.example.com/things"


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the person who runs the tests has set for an app of theirs must not matter here."""
    import os

    for name in [name for name in os.environ if name.startswith("STRONGDM_") or name == "WEB_CONCURRENCY"]:
        monkeypatch.delenv(name)


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.set(NOW)
    return clock


@pytest.fixture
def issuer(clock: Clock) -> Issuer:
    """Base issuer and the realms `alpha` and `beta`; its transport reaches it without a socket."""
    return Issuer(realms=("alpha", "beta"), clock=clock)


@pytest.fixture
def make_verifier(issuer: Issuer, clock: Clock) -> Callable[..., Verifier]:
    """A `Verifier` for realm alpha and `AUDIENCE`; keywords change its settings."""

    def make(**settings: Any) -> Verifier:
        settings = {"issuer": issuer.url, "realms": ["alpha"], "audience": AUDIENCE} | settings
        return Verifier(client=httpx.Client(transport=issuer.transport()), clock=clock, **settings)

    return make


@pytest.fixture
def make_async_verifier(issuer: Issuer, clock: Clock) -> Callable[..., AsyncVerifier]:
    """The same as `make_verifier`, for event loops."""

    def make(**settings: Any) -> AsyncVerifier:
        settings = {"issuer": issuer.url, "realms": ["alpha"], "audience": AUDIENCE} | settings
        return AsyncVerifier(client=httpx.AsyncClient(transport=issuer.transport()), clock=clock, **settings)

    return make


def request(
    token: str | None = None, proof: str | None = None, *, scheme: str | None = None, url: str = URL
) -> Request:
    """A GET with these credentials; a proof makes the scheme DPoP unless one is named."""
    headers = {}
    if token is not None:
        headers["Authorization"] = f"{scheme or ('DPoP' if proof else 'Bearer')} {token}"
    if proof is not None:
        headers["DPoP"] = proof
    return Request("GET", url, headers)


@pytest.fixture
def served_issuer() -> Iterator[Issuer]:
    """The same issuer on a real socket and with real time."""
    with Issuer(realms=("alpha", "beta")).serve() as issuer:
        yield issuer
