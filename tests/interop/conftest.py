"""One world for other people's clients: a local issuer on a socket, and the example apps, which trust it, behind servers."""

from collections.abc import Iterator
from types import ModuleType

import pytest

from strongdm_auth.testing import Client, Issuer
from tests.examples.conftest import demo as demo
from tests.interop.node_packages import Node, installed

AUDIENCE = "https://api.example.com"
APPS = ("flask_app", "fastapi_app", "django_app")
#: An example app, and whether it takes bearer tokens, too.
NONCE_APIS = (("flask_app", "allowed"), ("fastapi_app", "required"))
#: For what is the client's doing more than the API's: one app will do.
one_api = pytest.mark.parametrize("api", APPS[:1], indirect=True, scope="session")
one_nonce_api = pytest.mark.parametrize("nonce_api", NONCE_APIS[:1], indirect=True, scope="session", ids="-".join)


@pytest.fixture(scope="session")
def local_issuer() -> Iterator[Issuer]:
    with Issuer(realms=("acme",)).serve() as issuer:
        yield issuer


@pytest.fixture(scope="session")
def issuer_url(local_issuer: Issuer) -> str:
    """The issuer of realm acme: all that a client is told."""
    return local_issuer.issuer_url("acme")


@pytest.fixture(scope="session")
def agent(local_issuer: Issuer) -> Client:
    """A client of realm acme. The API's scope `admin` is not its own."""
    return local_issuer.client("agent", scopes="openid read write", realm="acme")


@pytest.fixture(scope="session", params=APPS)
def api(request: pytest.FixtureRequest, demo: ModuleType, local_issuer: Issuer) -> Iterator[str]:
    """Each example app, which takes bearer tokens and bound ones."""
    with demo.serving(request.param, issuer=local_issuer.url, realms="acme", audience=AUDIENCE) as base:
        yield base


@pytest.fixture(scope="session", params=NONCE_APIS, ids="-".join)
def nonce_api(request: pytest.FixtureRequest, demo: ModuleType, local_issuer: Issuer) -> Iterator[str]:
    """An API that wants its own nonce in every proof; behind gunicorn beside bearer tokens, behind uvicorn without them."""
    folder, dpop = request.param
    settings = {"issuer": local_issuer.url, "realms": "acme", "audience": AUDIENCE}
    with demo.serving(folder, dpop=dpop, dpop_nonce="required", **settings) as base:
        yield base


@pytest.fixture(scope="session")
def node() -> Node:
    """Node.js with the packages of `node/package-lock.json`."""
    return installed()
