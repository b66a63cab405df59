"""Our own client over sockets: the example apps behind their servers, the local issuer, and one that nobody here wrote."""

import asyncio
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest
import requests

import strongdm_auth.client.httpx2 as for_httpx2
import strongdm_auth.client.requests as for_requests
from strongdm_auth.client import (
    BearerAuth,
    ClientCredentials,
    DPoPAuth,
    DPoPKey,
    Service,
    TokenExchange,
    TokenRequestFailed,
)
from strongdm_auth.testing import Client
from tests.examples.test_foreign_issuer import Authgent
from tests.examples.test_foreign_issuer import authgent as authgent
from tests.interop.conftest import AUDIENCE, one_api, one_nonce_api


@pytest.fixture
def source(issuer_url: str, agent: Client) -> ClientCredentials:
    return ClientCredentials(issuer_url, *agent.auth, scopes="read", audience=AUDIENCE)


def with_requests(auth: Any) -> Any:
    session = requests.Session()
    session.auth = auth
    return session


LIBRARIES = {
    "httpx": (DPoPAuth, BearerAuth, lambda auth: httpx.Client(auth=auth)),
    "httpx2": (for_httpx2.DPoPAuth, for_httpx2.BearerAuth, lambda auth: httpx2.Client(auth=auth)),
    "requests": (for_requests.DPoPAuth, for_requests.BearerAuth, with_requests),
}


@pytest.fixture(params=LIBRARIES.values(), ids=LIBRARIES)
def library(request: pytest.FixtureRequest) -> Any:
    """DPoPAuth, BearerAuth, and how to make a client of the library."""
    return request.param


@pytest.mark.parametrize("alg", ["ES256", "EdDSA"])
def test_bound_tokens_are_let_in(library: Any, source: ClientCredentials, api: str, alg: str) -> None:
    key = DPoPKey.generate(alg)
    with library[2](library[0](source, key)) as client:
        read = client.get(f"{api}/agent-info?a=b")
        written = client.post(f"{api}/protected", json={"note": "x"})
        refused = client.get(f"{api}/admin")
    assert (read.status_code, written.status_code, refused.status_code) == (200, 200, 403)
    assert read.json()["key_thumbprint"] == key.thumbprint


@one_api
def test_bearer_tokens_are_let_in(library: Any, source: ClientCredentials, api: str) -> None:
    with library[2](library[1](source)) as client:
        assert client.get(f"{api}/agent-info").json()["key_thumbprint"] is None
        assert client.post(f"{api}/protected").status_code == 200


def test_the_nonce_is_learnt_once(library: Any, source: ClientCredentials, nonce_api: str) -> None:
    with library[2](library[0](source)) as client:
        answers = [client.post(f"{nonce_api}/protected", json={"note": "x"}), client.get(f"{nonce_api}/protected")]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [len(answer.history) for answer in answers] == [1, 0]


@one_api
def test_a_missing_scope_is_asked_for_at_an_issuer_over_a_socket(local_issuer: Any, issuer_url: str, api: str) -> None:
    admin = local_issuer.client("admin", scopes="read admin", realm="acme")
    source = ClientCredentials(issuer_url, *admin.auth, scopes="read", audience=AUDIENCE)
    with httpx.Client(auth=DPoPAuth(source, may_ask_for="admin")) as client:
        assert client.get(f"{api}/admin").status_code == 200


@one_nonce_api
def test_in_an_event_loop(source: ClientCredentials, nonce_api: str) -> None:
    async def calls() -> list[int]:
        async with httpx.AsyncClient(auth=DPoPAuth(source)) as client:
            answers = await asyncio.gather(*(client.get(f"{nonce_api}/protected") for _ in range(5)))
            return [answer.status_code for answer in answers]

    assert asyncio.run(calls()) == [200] * 5


class Foreign:
    """authgent-server as a client of ours knows it: by its URL, and by what registration gave."""

    def __init__(self, server: Authgent) -> None:
        self.url = server.url
        self.client = server.client["client_id"], server.client["client_secret"]

    def source(self, *client: str, **how: Any) -> ClientCredentials:
        return ClientCredentials(self.url, *(client or self.client), **{"scopes": "read", "resource": AUDIENCE, **how})


@pytest.fixture(scope="module")
def foreign(authgent: Authgent) -> Foreign:
    return Foreign(authgent)


@pytest.fixture(scope="module")
def api_of_foreign(demo: ModuleType, foreign: Foreign) -> Any:
    """An API that trusts that issuer alone."""
    with demo.serving("flask_app", issuer=foreign.url, realms="*", audience=AUDIENCE, dpop_nonce="required") as base:
        yield base


@pytest.mark.parametrize("client_auth", ["client_secret_basic", "client_secret_post"])
def test_a_foreign_issuers_tokens_are_got_and_let_in(foreign: Foreign, api_of_foreign: str, client_auth: str) -> None:
    key = DPoPKey.generate()
    with httpx.Client(auth=DPoPAuth(foreign.source(client_auth=client_auth), key)) as client:
        bound = client.get(f"{api_of_foreign}/agent-info").json()
    with httpx.Client(auth=BearerAuth(foreign.source(client_auth=client_auth))) as client:
        unbound = client.get(f"{api_of_foreign}/agent-info").json()
    assert (bound["key_thumbprint"], unbound["key_thumbprint"]) == (key.thumbprint, None)
    assert bound["issuer"] == unbound["issuer"] == foreign.url


def test_a_foreign_issuers_delegated_token_says_who_acts(
    authgent: Authgent, foreign: Foreign, api_of_foreign: str
) -> None:
    child = Foreign(Authgent(authgent.url))
    exchange = TokenExchange(child.url, *child.client, subject=foreign.source(), scopes="read", audience=AUDIENCE)
    with httpx.Client(auth=BearerAuth(exchange)) as client:
        told = client.get(f"{api_of_foreign}/delegated")
    assert told.status_code == 200, told.text
    assert child.client[0] in told.json()["actors"][0]


def test_a_foreign_issuers_refusals_are_understood(foreign: Foreign) -> None:
    """In its own words, right or wrong: RFC 6749 5.2 has invalid_scope for the first."""
    for asked, error, status in (
        (foreign.source(scopes="nothing-like-it"), "insufficient_scope", 403),
        (foreign.source(foreign.client[0], "wrong"), "invalid_client", 401),
    ):
        with pytest.raises(TokenRequestFailed) as refused:
            asked.token()
        assert (refused.value.error, refused.value.status) == (error, status), refused.value


def test_introspection_and_revocation_at_a_foreign_issuer(foreign: Foreign) -> None:
    service = Service(foreign.url, *foreign.client)
    token = foreign.source().token()
    assert service.introspect(token)["active"] is True
    service.revoke(token)
    assert service.introspect(token)["active"] is False
