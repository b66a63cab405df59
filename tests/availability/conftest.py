import gc
from collections.abc import Iterator

import pytest

from strongdm_auth.testing import Clock, Issuer, SigningKey
from tests.parts.world import settle

from .faulty_issuer import FaultyIssuer


@pytest.fixture
def key() -> SigningKey:
    return SigningKey.generate("EdDSA")


@pytest.fixture
def faulty(key: SigningKey) -> Iterator[FaultyIssuer]:
    """An issuer that will break, on plain HTTP."""
    with FaultyIssuer(key).running() as issuer:
        assert isinstance(issuer, FaultyIssuer)
        yield issuer


@pytest.fixture
def counting(clock: Clock) -> Iterator[Issuer]:
    """An honest issuer on a socket that counts what it is asked. Its clock is the tests' own."""
    with Issuer(realms=("alpha", "beta"), algorithms=("EdDSA",), clock=clock).serve() as issuer:
        yield issuer


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    settle()


@pytest.fixture(autouse=True, scope="module")
def _no_socket_is_left() -> Iterator[None]:
    yield
    gc.collect()  # a socket that nobody closed is a warning, and warnings are errors
