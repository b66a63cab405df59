"""requests_oauth2client against the example apps and the local issuer: bearer and bound tokens, by discovery."""

from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from strongdm_auth.testing import Client, Issuer
from tests.interop.conftest import AUDIENCE, one_api

oauth2client = pytest.importorskip("requests_oauth2client", reason="pip install --group interop")


@pytest.fixture
def client(issuer_url: str, agent: Client) -> Any:
    """Told the issuer and the client, and that loopback needs no TLS."""
    return oauth2client.OAuth2Client.from_discovery_endpoint(
        issuer=issuer_url, client_id=agent.client_id, client_secret=agent.client_secret, testing=True
    )


def auth(client: Any, **how: Any) -> Any:
    return oauth2client.OAuth2ClientCredentialsAuth(client, **{"scope": "read", "audience": AUDIENCE, **how})


def test_its_bound_token_is_let_in(client: Any, agent: Client, api: str) -> None:
    bound = auth(client, dpop=True)
    read = requests.get(f"{api}/protected", auth=bound)
    written = requests.post(f"{api}/protected", json={"note": "x"}, auth=bound)
    assert (read.status_code, written.status_code) == (200, 200), (read.text, written.text)
    assert bound.token.token_type == "DPoP"
    assert read.json()["subject"] == written.json()["subject"] == agent.client_id


def test_its_bearer_token_is_let_in(client: Any, agent: Client, api: str) -> None:
    as_bearer = auth(client)
    read = requests.get(f"{api}/protected", auth=as_bearer)
    written = requests.post(f"{api}/protected", json={"note": "x"}, auth=as_bearer)
    assert (read.status_code, written.status_code) == (200, 200), (read.text, written.text)
    assert read.json()["subject"] == written.json()["subject"] == agent.client_id
    assert written.json()["scopes"] == ["read"]


@pytest.fixture(params=["ES256", "ES384", "RS256", "PS256", "EdDSA"])
def key(request: pytest.FixtureRequest) -> Any:
    """A key of the agent's. An RSA key of its own making takes it seconds."""
    alg = request.param
    if alg in ("RS256", "PS256"):
        return oauth2client.DPoPKey(rsa.generate_private_key(public_exponent=65537, key_size=2048), alg=alg)
    return oauth2client.DPoPKey.generate(alg=alg)


@one_api
def test_its_bound_token_is_let_in_with_a_proof_of_each_algorithm(client: Any, api: str, key: Any) -> None:
    bound = auth(client, dpop=True, dpop_key=key)
    answer = requests.get(f"{api}/agent-info?a=b#c", auth=bound)
    assert answer.status_code == 200, answer.text
    assert answer.json()["key_thumbprint"] == key.dpop_jkt


def test_it_learns_the_nonce_and_sends_the_request_again(client: Any, nonce_api: str) -> None:
    key = oauth2client.DPoPKey.generate()
    bound = auth(client, dpop=True, dpop_key=key)
    written = requests.post(f"{nonce_api}/protected", json={"note": "x"}, auth=bound)
    assert written.status_code == 200, written.text
    learnt = key.rs_nonce
    assert learnt
    read = requests.get(f"{nonce_api}/protected", auth=bound)
    assert read.status_code == 200, read.text
    assert key.rs_nonce == learnt, "the nonce is good for the next request, too"


@pytest.mark.parametrize("dpop", [False, True])
def test_a_missing_scope_is_told_as_403(client: Any, api: str, dpop: bool) -> None:
    caller = oauth2client.ApiClient(api, auth=auth(client, dpop=dpop))
    with pytest.raises(requests.HTTPError) as refused:
        caller.get("admin")
    assert refused.value.response.status_code == 403
    assert refused.value.response.json()["error"] == "insufficient_scope"


@pytest.mark.parametrize("dpop", [False, True])
def test_a_token_for_another_api_is_told_as_401(client: Any, api: str, dpop: bool) -> None:
    """It takes a challenge that begins with DPoP for one that carries a nonce, and raises where there is none."""
    answer = requests.get(f"{api}/protected", auth=auth(client, dpop=dpop, audience="https://else.example"))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")


def test_the_issuers_refusals_are_exceptions_of_its_own(issuer_url: str, agent: Client, client: Any) -> None:
    with pytest.raises(oauth2client.InvalidScope) as refused:
        client.client_credentials(scope="admin")
    assert refused.value.description == "a scope is not registered for this client"
    with pytest.raises(oauth2client.InvalidTarget):
        client.client_credentials(scope="read", resource="no-uri")
    wrong = oauth2client.OAuth2Client(
        client.token_endpoint, client_id=agent.client_id, client_secret="wrong", testing=True
    )
    with pytest.raises(oauth2client.InvalidClient):
        wrong.client_credentials()


def test_introspection_user_info_and_revocation_at_the_issuer(client: Any, agent: Client) -> None:
    token = client.client_credentials(scope="openid read", audience=AUDIENCE)
    before = client.introspect_token(token)
    assert (before["active"], before["client_id"], before["aud"]) == (True, agent.client_id, AUDIENCE)
    assert client.userinfo(token)["sub"] == agent.client_id
    assert client.revoke_access_token(token) is True
    assert client.introspect_token(token) == {"active": False}


@one_api
@pytest.mark.parametrize("dpop", [False, True])
def test_what_it_exchanges_says_who_acts(
    local_issuer: Issuer, client: Any, agent: Client, api: str, dpop: bool
) -> None:
    users = local_issuer.token("alice@example.com", scopes="read write", realm="acme")
    token = client.token_exchange(
        subject_token=users, subject_token_type="access_token", scope="read", audience=AUDIENCE, dpop=dpop
    )
    answer = requests.get(f"{api}/delegated", auth=token)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"subject": "alice@example.com", "actors": [agent.client_id]}
