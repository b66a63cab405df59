"""A door whose verifier has the tests' clock and issuer, and which looks often, so that tests are soon done."""

from collections.abc import Callable
from typing import Any

import pytest

from strongdm_auth import AsyncVerifier, asgi, open_connections
from strongdm_auth.asgi import StrongDMAuthMiddleware
from strongdm_auth.testing import Clock, Issuer
from tests.conftest import AUDIENCE

MakeDoor = Callable[..., StrongDMAuthMiddleware]
MakeToken = Callable[..., str]
#: Seconds between two looks here, and a time in which there are many.
INTERVAL, MANY_LOOKS = 0.003, 0.04


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_connections, "INTERVAL", INTERVAL)


@pytest.fixture
def make_door(
    often: None, monkeypatch: pytest.MonkeyPatch, make_async_verifier: Callable[..., AsyncVerifier]
) -> MakeDoor:
    """The middleware around an app; keywords are its own and the settings'."""

    def make(app: Any, *, end_with_token: bool = True, **settings: Any) -> StrongDMAuthMiddleware:
        return StrongDMAuthMiddleware(app, end_with_token=end_with_token, **settings)

    monkeypatch.setattr(asgi, "AsyncVerifier", make_async_verifier)
    return make


@pytest.fixture
def token(issuer: Issuer, clock: Clock) -> MakeToken:
    """A token of realm alpha for the API, good for a minute, and for the leeway's 30 seconds more."""

    def make(**made: Any) -> str:
        return issuer.token("cli_agent", **({"realm": "alpha", "audience": AUDIENCE, "lifetime": 60} | made))

    return make


def watched(door: StrongDMAuthMiddleware) -> int:
    """How many connections a door is looking at, in all event loops."""
    assert door._connections is not None
    return sum(len(connections) for connections in door._connections._open.values())
