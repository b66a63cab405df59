"""The contract table through the wrapper and the SDK's own authentication, with the SDK's own token at the end."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend
from starlette.middleware.authentication import AuthenticationMiddleware

from strongdm_auth import AsyncVerifier
from strongdm_auth.mcp import StrongDMTokenVerifier, current_token
from strongdm_auth.testing import Issuer
from tests.contract import ROUTES, Case, World, described, frozen_settings
from tests.contract_cases import CASES
from tests.doors.asgi_calls import ASGIDoor


async def endpoint(scope: Any, receive: Any, send: Any) -> None:
    body = json.dumps(described(current_token())).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


def mcp_door(settings: dict[str, Any]) -> ASGIDoor:
    auth = StrongDMTokenVerifier(AsyncVerifier(**settings))
    server: Any = AuthenticationMiddleware(AuthContextMiddleware(endpoint), backend=BearerAuthBackend(auth))
    doors = {path: auth.sender_constrained(server, require=requirement) for path, requirement in ROUTES.items()}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await doors[scope["path"]](scope, receive, send)

    return ASGIDoor(app, auth.verifier)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Issuer(realms=("alpha", "beta", "gamma")).serve() as issuer:
        yield World(issuer)


@pytest.fixture(scope="module")
def doors() -> Iterator[dict[tuple[str, ...], ASGIDoor]]:
    doors: dict[tuple[str, ...], ASGIDoor] = {}
    yield doors
    for door in doors.values():
        door.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_contract(case: Case, world: World, doors: dict[Any, ASGIDoor]) -> None:
    settings = world.settings(**case.settings)
    key = frozen_settings(settings) + (case.name if case.before else "")
    door = doors.get(key)
    if door is None:
        door = doors[key] = mcp_door(settings)
    headers = case.send(world)
    for _ in range(case.sent_before):
        door.send(case.method, case.path, case.query, headers)
    if case.before is not None:
        case.before(world, headers)
    try:
        answer = door.send(case.method, case.path, case.query, headers)
    finally:
        world.issuer.heal()
    case.check(answer)
