"""A view below a mount has two paths; a policy that shuts one shuts the other, whichever door is in front."""

from typing import Any

import pytest
from fastapi import Depends, FastAPI
from starlette.testclient import TestClient

from strongdm_auth.asgi import StrongDMAuthMiddleware
from strongdm_auth.cedar import CedarPolicies
from strongdm_auth.fastapi import StrongDMAuth
from strongdm_auth.testing import Issuer

AUDIENCE = "https://api.example.com"
SHUT = 'permit(principal, action, resource); forbid(principal, action, resource in Path::"/secret");'


def behind_the_middleware(settings: dict[str, Any]) -> Any:
    app = FastAPI()
    app.root_path = "/api"
    app.get("/secret")(lambda: "secret")
    app.get("/open")(lambda: "open")
    return StrongDMAuthMiddleware(app, **settings)


def behind_the_dependency(settings: dict[str, Any]) -> Any:
    app = FastAPI(dependencies=[Depends(StrongDMAuth(**settings))])
    app.root_path = "/api"
    app.get("/secret")(lambda: "secret")
    app.get("/open")(lambda: "open")
    return app


@pytest.mark.parametrize("built", [behind_the_middleware, behind_the_dependency])
def test_a_view_that_is_shut_is_shut_by_all_its_paths(built: Any) -> None:
    with Issuer(realms=("alpha",)).serve() as issuer:
        settings = {"issuer": issuer.url, "realms": "alpha", "audience": AUDIENCE, "authorize": CedarPolicies(SHUT)}
        token = issuer.token("cli_agent", realm="alpha", audience=AUDIENCE)
        with TestClient(built(settings)) as client:
            headers = {"Authorization": f"Bearer {token}"}
            paths = ("/open", "/api/open", "/secret", "/api/secret", "/secret%0a", "/api/secret%0A")
            statuses = {path: client.get(path, headers=headers).status_code for path in paths}
    assert statuses.pop("/open") == statuses.pop("/api/open") == 200
    assert set(statuses.values()) == {403}
