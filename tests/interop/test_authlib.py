"""Authlib, which sends bearer tokens only, against the example apps and the local issuer: with requests, with httpx, async."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from strongdm_auth.testing import Client, Issuer
from tests.interop.conftest import AUDIENCE, one_api

WHY = "pip install --group interop"
for_requests = pytest.importorskip("authlib.integrations.requests_client", reason=WHY)
for_httpx = pytest.importorskip("authlib.integrations.httpx_client", reason=WHY)


@pytest.fixture(scope="module")
def metadata(issuer_url: str) -> dict[str, Any]:
    """Authlib's clients read no metadata themselves."""
    document: dict[str, Any] = httpx.get(f"{issuer_url}/.well-known/openid-configuration").json()
    return document


@pytest.fixture(params=[for_requests.OAuth2Session, for_httpx.OAuth2Client])
def opened(request: pytest.FixtureRequest, metadata: dict[str, Any], agent: Client) -> Iterator[Callable[..., Any]]:
    """Opens a client that knows the token endpoint."""
    clients = []

    def open_one(client_secret: str = agent.client_secret, **how: Any) -> Any:
        how = {"scope": "read", "token_endpoint": metadata["token_endpoint"], **how}
        clients.append(request.param(agent.client_id, client_secret, **how))
        return clients[-1]

    yield open_one
    for client in clients:
        client.close()


def test_its_token_is_let_in(opened: Callable[..., Any], agent: Client, api: str) -> None:
    client = opened()
    token = client.fetch_token(grant_type="client_credentials", audience=AUDIENCE)
    assert (token["token_type"], token["scope"]) == ("Bearer", "read")
    read = client.get(f"{api}/protected")
    written = client.post(f"{api}/protected", json={"note": "x"})
    assert (read.status_code, written.status_code) == (200, 200), (read.text, written.text)
    assert read.json()["subject"] == written.json()["subject"] == agent.client_id


def test_a_missing_scope_is_told_as_403(opened: Callable[..., Any], api: str) -> None:
    client = opened()
    client.fetch_token(grant_type="client_credentials", audience=AUDIENCE)
    answer = client.get(f"{api}/admin")
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_it_asks_for_a_new_token_when_the_old_one_has_expired(
    opened: Callable[..., Any], metadata: dict[str, Any], agent: Client
) -> None:
    client = opened(scope="openid", grant_type="client_credentials")
    first = client.fetch_token()["access_token"]
    client.token = {**client.token, "expires_at": time.time() - 1}
    assert client.get(metadata["userinfo_endpoint"]).json()["sub"] == agent.client_id
    assert client.token["access_token"] != first


def test_the_issuers_refusals_are_errors_of_its_own(opened: Callable[..., Any], agent: Client) -> None:
    refusal = for_requests.OAuthError
    with pytest.raises(refusal) as refused:
        opened().fetch_token(grant_type="client_credentials", scope="admin")
    assert (refused.value.error, refused.value.description) == (
        "invalid_scope",
        "a scope is not registered for this client",
    )
    with pytest.raises(refusal) as refused:
        opened("wrong").fetch_token(grant_type="client_credentials")
    assert refused.value.error == "invalid_client"
    with pytest.raises(refusal) as refused:
        opened().fetch_token(grant_type="password", username="a", password="b")
    assert refused.value.error == "unsupported_grant_type"


def test_its_secret_may_be_in_the_form(opened: Callable[..., Any]) -> None:
    client = opened(token_endpoint_auth_method="client_secret_post")
    assert client.fetch_token(grant_type="client_credentials")["scope"] == "read"


def test_introspection_and_revocation_at_the_issuer(
    opened: Callable[..., Any], metadata: dict[str, Any], agent: Client
) -> None:
    client = opened()
    token = client.fetch_token(grant_type="client_credentials", audience=AUDIENCE)["access_token"]
    before = client.introspect_token(metadata["introspection_endpoint"], token=token).json()
    assert (before["active"], before["client_id"]) == (True, agent.client_id)
    assert client.revoke_token(metadata["revocation_endpoint"], token=token).status_code == 200
    assert client.introspect_token(metadata["introspection_endpoint"], token=token).json() == {"active": False}


@one_api
def test_what_it_exchanges_says_who_acts(
    opened: Callable[..., Any], local_issuer: Issuer, agent: Client, api: str
) -> None:
    client = opened()
    client.fetch_token(
        grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token=local_issuer.token("alice@example.com", scopes="read write", realm="acme"),
        subject_token_type="urn:ietf:params:oauth:token-type:access_token",
        audience=AUDIENCE,
    )
    answer = client.get(f"{api}/delegated")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"subject": "alice@example.com", "actors": [agent.client_id]}


@one_api
def test_its_asynchronous_client_is_let_in(metadata: dict[str, Any], agent: Client, api: str) -> None:
    async def calls() -> tuple[int, int, int]:
        endpoint = metadata["token_endpoint"]
        async with for_httpx.AsyncOAuth2Client(*agent.auth, scope="read", token_endpoint=endpoint) as client:
            await client.fetch_token(grant_type="client_credentials", audience=AUDIENCE)
            read = await client.get(f"{api}/protected")
            written = await client.post(f"{api}/protected", json={"note": "x"})
            refused = await client.get(f"{api}/admin")
            return read.status_code, written.status_code, refused.status_code

    assert asyncio.run(calls()) == (200, 200, 403)
