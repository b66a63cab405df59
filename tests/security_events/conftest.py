"""An API in realm alpha, told by an issuer that needs no socket."""

from collections.abc import Callable
from typing import Any

import pytest

from strongdm_auth import Verifier
from strongdm_auth.testing import Clock, Issuer
from tests.stores.conftest import start_valkey as start_valkey
from tests.stores.conftest import valkey as valkey

from .api import API, MakeAPI


@pytest.fixture
def issuer(clock: Clock) -> Issuer:
    """As everybody's, less RSA, whose keys take long to make."""
    return Issuer(realms=("alpha", "beta"), clock=clock, algorithms=("EdDSA", "ES256"))


@pytest.fixture
def make_api(issuer: Issuer, clock: Clock, make_verifier: Callable[..., Verifier]) -> MakeAPI:
    def make(**settings: Any) -> API:
        return API(issuer, clock, make_verifier(**settings))

    return make


@pytest.fixture
def api(make_api: MakeAPI) -> API:
    """Only realm alpha is let in."""
    return make_api()


@pytest.fixture
def any_realm(make_api: MakeAPI) -> API:
    """The base issuer is let in, and every realm below it."""
    return make_api(realms="*")
