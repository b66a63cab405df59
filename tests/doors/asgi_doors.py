"""The contract app behind the ASGI middleware: bare, and as Starlette and FastAPI apps; and FastAPI's dependencies."""

import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Response
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from strongdm_auth import AccessToken
from strongdm_auth.asgi import StrongDMAuthMiddleware
from strongdm_auth.fastapi import StrongDMAuth
from tests.contract import ROUTES, described
from tests.doors.asgi_calls import ASGIDoor


async def bare(scope: Any, receive: Any, send: Any) -> None:
    body = json.dumps(described(scope["auth"] or None)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


def asgi(settings: dict[str, Any]) -> ASGIDoor:
    app = StrongDMAuthMiddleware(bare, protected_routes=ROUTES, **settings)
    return ASGIDoor(app, app.verifier)


def starlette(settings: dict[str, Any]) -> ASGIDoor:
    async def endpoint(request: Request) -> JSONResponse:
        assert request.user.is_authenticated == bool(request.auth)
        return JSONResponse(described(request.auth or None))

    routes = [Route(path, endpoint, methods=["GET", "POST"]) for path in ROUTES]
    app = StrongDMAuthMiddleware(Starlette(routes=routes), protected_routes=ROUTES, **settings)
    return ASGIDoor(app, app.verifier)


def fastapi(settings: dict[str, Any]) -> ASGIDoor:
    """Dependencies alone, nothing installed; sync and async endpoints, and a dependency for the whole app as well."""
    auth = StrongDMAuth(**settings)
    app = FastAPI(dependencies=[Depends(auth.require(optional=True))])

    def endpoint_for(path: str) -> Callable[..., Any]:
        scheme = auth.require(ROUTES[path])

        def endpoint(token: Annotated[AccessToken | None, Depends(scheme)]) -> dict[str, Any]:
            return described(token)

        async def async_endpoint(token: Annotated[AccessToken | None, Depends(scheme)]) -> dict[str, Any]:
            return described(token)

        return endpoint if len(path) % 2 else async_endpoint

    for path in ROUTES:
        app.add_api_route(path, endpoint_for(path), methods=["GET", "POST"])
    return ASGIDoor(app, auth.verifier)


def fastapi_installed(settings: dict[str, Any]) -> ASGIDoor:
    """Endpoints that answer with a Response of their own."""
    auth = StrongDMAuth(**settings)
    app = FastAPI()
    auth.install(app)

    def endpoint_for(path: str) -> Callable[..., Awaitable[Response]]:
        async def endpoint(token: Annotated[AccessToken | None, Depends(auth.require(ROUTES[path]))]) -> Response:
            return JSONResponse(described(token))

        return endpoint

    for path in ROUTES:
        app.add_api_route(path, endpoint_for(path), methods=["GET", "POST"])
    return ASGIDoor(app, auth.verifier)
