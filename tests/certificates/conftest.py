"""One authority for all of these tests, one issuer whose keys are made once, and one on a socket for those with servers."""

from collections.abc import Iterator

import pytest

from strongdm_auth.testing import Clock, Issuer
from tests.certificates.authority import Agent, Authority
from tests.conftest import NOW


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def agent(authority: Authority) -> Agent:
    return authority.agent


@pytest.fixture(scope="session")
def other(authority: Authority) -> Agent:
    return authority.other


@pytest.fixture(scope="session")
def clock() -> Clock:
    """It stands still: no test here moves it."""
    clock = Clock()
    clock.set(NOW)
    return clock


@pytest.fixture(scope="session")
def issuer_in_process(clock: Clock) -> Issuer:
    return Issuer(realms=("alpha", "beta"), clock=clock)


@pytest.fixture
def issuer(issuer_in_process: Issuer) -> Iterator[Issuer]:
    yield issuer_in_process
    issuer_in_process.heal()


@pytest.fixture(scope="session")
def real_issuer() -> Iterator[Issuer]:
    with Issuer(realms=("alpha", "beta")).serve() as issuer:
        yield issuer
