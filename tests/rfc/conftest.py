"""Fixtures of the RFC tests, on top of the issuer, the clock and the verifiers that all tests share."""

from collections.abc import Callable

import pytest

from strongdm_auth import Verifier
from strongdm_auth.testing import Clock, DPoPKey, Issuer

from .support import Caller, MakeVerifier


@pytest.fixture
def verifier(make_verifier: Callable[..., Verifier]) -> Verifier:
    return make_verifier()


@pytest.fixture(scope="session")
def dpop_key() -> DPoPKey:
    return DPoPKey.generate("ES256")


@pytest.fixture
def caller(issuer: Issuer, clock: Clock, dpop_key: DPoPKey) -> Caller:
    """An agent of realm alpha whose token is bound to `dpop_key`."""
    return Caller(issuer, clock, dpop_key)


@pytest.fixture
def asking(issuer: Issuer, make_verifier: MakeVerifier) -> MakeVerifier:
    """Makes verifiers that introspect; the mode is the first argument."""
    client = issuer.client("api", realm="alpha")
    credentials = {"client_id": client.client_id, "client_secret": client.client_secret}
    return lambda mode, **settings: make_verifier(introspection=mode, **(credentials | settings))
