"""Around any ASGI and any WSGI application, and Starlette's backends."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, assert_type

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware

from strongdm_auth import AsyncVerifier, Requirement, Verifier
from strongdm_auth.asgi import StrongDMAuthMiddleware
from strongdm_auth.starlette import StrongDMAuthBackend
from strongdm_auth.wsgi import StrongDMAuthMiddleware as ForWSGI

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    start_response("200 OK", [])
    return [b""]


routes = {"/api": {}, "/api/admin": {"scopes": ["admin"]}}
around_wsgi: "WSGIApplication" = ForWSGI(application, protected_routes=routes, audience="https://api.example.com")
assert_type(ForWSGI(application).verifier, Verifier)

around_asgi = StrongDMAuthMiddleware(
    Starlette(),
    protected_routes={"/api": {}, "/api/admin": Requirement(scopes="admin", dpop=True)},
    exempt=["/api/health"],
)
assert_type(around_asgi.verifier, AsyncVerifier)
backend = StrongDMAuthBackend(audience="https://api.example.com")
Starlette(
    middleware=[
        Middleware(StrongDMAuthMiddleware, protected_routes=routes, audience="https://api.example.com"),
        Middleware(AuthenticationMiddleware, backend=backend, on_error=backend.on_error),
    ]
)


def check_arguments() -> None:
    Middleware(StrongDMAuthMiddleware, audiance="misspelt")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    StrongDMAuthMiddleware(Starlette(), audiance="misspelt")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    StrongDMAuthMiddleware(Starlette(), {})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ForWSGI(application, audiance="misspelt")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ForWSGI(Starlette())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
