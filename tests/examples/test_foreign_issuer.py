"""An issuer that nobody here wrote: authgent-server's tokens, bound and unbound, at the example apps over HTTP."""

import json
import os
import sys
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from strongdm_auth.testing import DPoPKey

AUDIENCE = "https://api.example.com"


class Authgent:
    """A running authgent-server and one client of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        grants = ["client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"]
        registered = httpx.post(
            f"{url}/register", json={"client_name": "agent", "grant_types": grants, "scope": "read admin"}
        ).json()
        self.client = {name: registered[name] for name in ("client_id", "client_secret")}

    def token(self, key: DPoPKey | None = None, **form: str) -> dict[str, Any]:
        headers = {} if key is None else {"DPoP": key.proof("POST", f"{self.url}/token")}
        form = {"grant_type": "client_credentials", "scope": "read", "resource": AUDIENCE, **self.client, **form}
        response = httpx.post(f"{self.url}/token", data=form, headers=headers)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer


@pytest.fixture(scope="module")
def authgent(demo: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authgent]:
    folder: Path = tmp_path_factory.mktemp("authgent")
    port = demo.free_port()
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "AUTHGENT_SECRET_KEY": "0123456789abcdef" * 4,
        "AUTHGENT_SERVER_URL": url,
        "AUTHGENT_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/authgent.db",
    }
    command = [
        str(Path(sys.executable).with_name("authgent-server")),
        "run",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with demo.running(command, url, "/.well-known/jwks.json", folder, environment):
        yield Authgent(url)


@pytest.fixture(scope="module", params=["flask_app", "fastapi_app", "django_app"])
def api(request: pytest.FixtureRequest, demo: ModuleType, authgent: Authgent) -> Iterator[str]:
    """Each example app, trusting that issuer alone, and asking it about every token of its own when told to."""
    with demo.serving(request.param, issuer=authgent.url, realms="*", audience=AUDIENCE) as base:
        yield base


def claims_of(token: str) -> dict[str, Any]:
    segment = token.split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return claims


def test_its_unbound_token_is_let_in_as_bearer(authgent: Authgent, api: str) -> None:
    answer = authgent.token()
    response = httpx.get(f"{api}/agent-info", headers={"Authorization": f"Bearer {answer['access_token']}"})
    assert response.status_code == 200, response.text
    told = response.json()
    claims = claims_of(answer["access_token"])
    assert (told["subject"], told["issuer"], told["realm"]) == (claims["sub"], authgent.url, None)
    assert told["scopes"] == ["read"]
    assert told["key_thumbprint"] is None


def test_its_scopes_are_enforced(authgent: Authgent, api: str) -> None:
    reader = {"Authorization": f"Bearer {authgent.token()['access_token']}"}
    admin = {"Authorization": f"Bearer {authgent.token(scope='read admin')['access_token']}"}
    assert httpx.get(f"{api}/admin", headers=reader).status_code == 403
    assert httpx.get(f"{api}/admin", headers=admin).status_code == 200


def test_its_bound_token_is_let_in_with_its_proof_once(authgent: Authgent, api: str) -> None:
    key = DPoPKey.generate()
    answer = authgent.token(key)
    token = answer["access_token"]
    assert answer["token_type"] == "DPoP"
    headers = {"Authorization": f"DPoP {token}", "DPoP": key.proof("GET", f"{api}/agent-info", token)}
    response = httpx.get(f"{api}/agent-info", headers=headers)
    assert response.status_code == 200, response.text
    assert response.json()["key_thumbprint"] == key.thumbprint
    replayed = httpx.get(f"{api}/agent-info", headers=headers)
    assert (replayed.status_code, replayed.json()["error"]) == (401, "invalid_dpop_proof")


def test_its_bound_token_is_turned_away_as_bearer_and_with_another_key(authgent: Authgent, api: str) -> None:
    key, thief = DPoPKey.generate(), DPoPKey.generate()
    token = authgent.token(key)["access_token"]
    as_bearer = httpx.get(f"{api}/protected", headers={"Authorization": f"Bearer {token}"})
    assert (as_bearer.status_code, as_bearer.json()["error"]) == (401, "invalid_token")
    proof = thief.proof("GET", f"{api}/protected", token)
    stolen = httpx.get(f"{api}/protected", headers={"Authorization": f"DPoP {token}", "DPoP": proof})
    assert (stolen.status_code, stolen.json()["error"]) == (401, "invalid_token")


def test_its_token_for_another_api_is_turned_away(authgent: Authgent, api: str) -> None:
    token = authgent.token(resource="https://else.example")["access_token"]
    response = httpx.get(f"{api}/protected", headers={"Authorization": f"Bearer {token}"})
    assert (response.status_code, response.json()["error"]) == (401, "invalid_token")


def test_its_transaction_token_is_no_access_token(authgent: Authgent, api: str) -> None:
    """It signs those with the same key, for the same audience and scope; only `typ` tells."""
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": authgent.token()["access_token"],
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "requested_token_type": "urn:ietf:params:oauth:token-type:txn_token",
        "audience": AUDIENCE,
    }
    token = authgent.token(**form)["access_token"]
    response = httpx.get(f"{api}/protected", headers={"Authorization": f"Bearer {token}"})
    assert (response.status_code, response.json()["error"]) == (401, "invalid_token")


def test_its_delegated_token_says_who_acts(authgent: Authgent, api: str) -> None:
    other = Authgent(authgent.url)
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": authgent.token()["access_token"],
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "audience": AUDIENCE,
    }
    token = other.token(**form)["access_token"]
    response = httpx.get(f"{api}/delegated", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 200, response.text
    assert response.json()["actors"][0] == claims_of(token)["act"]["sub"]


def test_its_revoked_token_is_turned_away_where_every_token_is_introspected(
    demo: ModuleType, authgent: Authgent
) -> None:
    settings = {
        "issuer": authgent.url,
        "realms": "*",
        "audience": AUDIENCE,
        "introspection": "always",
        **authgent.client,
    }
    with demo.serving("flask_app", introspection_ttl="0", **settings) as api:
        token = authgent.token()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        before = httpx.get(f"{api}/protected", headers=headers)
        httpx.post(f"{authgent.url}/revoke", data={"token": token, **authgent.client})
        time.sleep(0.05)
        after = httpx.get(f"{api}/protected", headers=headers)
    assert (before.status_code, after.status_code) == (200, 401), (before.text, after.text)
