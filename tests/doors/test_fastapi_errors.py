"""How refusals of the FastAPI door meet an application's own handlers and answers."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse

from strongdm_auth import InvalidToken, StrongDMAuthError
from strongdm_auth.fastapi import StrongDMAuth
from strongdm_auth.testing import Issuer
from tests.contract import AUDIENCE, World
from tests.contract_cases import bearer
from tests.doors.asgi_client import get


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Issuer(realms=("alpha", "beta", "gamma")).serve() as issuer:
        yield World(issuer)


@pytest.mark.parametrize("catches", [InvalidToken, StrongDMAuthError])
def test_a_handler_for_one_kind_of_refusal_catches_it(catches: type[Exception], world: World) -> None:
    auth, app = StrongDMAuth(**world.settings()), FastAPI()
    app.add_api_route("/protected", lambda: 1, dependencies=[Depends(auth)])

    async def mine(request: Request, error: Any) -> JSONResponse:
        return JSONResponse({"mine": error.reason}, error.status_code, dict(error.denial.headers))

    app.add_exception_handler(catches, mine)
    response = get(app, "/protected", [("Authorization", "Bearer abc")])
    assert (response.status_code, response.json()) == (401, {"mine": "token.opaque"})


def test_an_endpoint_may_refuse_in_our_words_with_nothing_installed(world: World) -> None:
    auth, app = StrongDMAuth(**world.settings()), FastAPI()

    @app.get("/account", dependencies=[Depends(auth.require(optional=True))])
    async def account() -> None:
        raise StrongDMAuthError("No such account for this agent", 403)

    response = get(app, "/account")
    assert (response.status_code, response.json()["error"]) == (403, "access_denied")


def test_two_schemes_on_one_route_each_put_their_headers_on_the_answer(world: World) -> None:
    first, second, app = StrongDMAuth(**world.settings()), StrongDMAuth(**world.settings(audience="x")), FastAPI()
    second.install(app)
    dependencies = [Depends(first), Depends(second.require(optional=True))]
    app.add_api_route("/protected", lambda: Response("own"), dependencies=dependencies)
    response = get(app, "/protected", bearer(audience=[AUDIENCE, "x"])(world))
    assert (response.status_code, response.headers["Vary"]) == (200, "Authorization, DPoP")
