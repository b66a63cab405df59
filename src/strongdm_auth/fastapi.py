"""The FastAPI door: a security scheme. Use it as a dependency; it decides nothing.

    auth = StrongDMAuth(audience="https://api.example.com")
    Admin = Annotated[AccessToken, Security(auth, scopes=["admin"])]

    @app.get("/admin")
    async def admin(agent: Admin): return {"agent": agent.subject}

`auth.install(app)`, once, is worth its line: the 401 and 403 answers are then in the OpenAPI document, the metadata
document is served, and endpoints that return a `Response` of their own get the headers of an admission, too (FastAPI
drops what dependencies set on those).
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, wraps
from typing import Annotated, Any, ParamSpec, TypeVar, Unpack, cast

from .extras import lacking

try:
    from fastapi import FastAPI, Response, Security, routing
except ModuleNotFoundError as missing:
    raise lacking(missing, "fastapi", "fastapi") from missing
from fastapi.openapi.models import OAuth2 as OAuth2Model
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlows
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from . import errors
from .asgi import (
    POLICY_VIOLATION,
    SLOT,
    ASGIApp,
    Message,
    Receive,
    Scope,
    Send,
    answer,
    received,
    receives,
    serves,
    without_claims,
)
from .challenge import Denial
from .errors import ConfigurationError, StrongDMAuthError
from .flow import VARY, Admission
from .headers import merged
from .issuers import endpoint
from .metadata import Metadata
from .open_connections import Ending, OpenConnections
from .openapi import complete
from .request import ScopeRequest
from .requirement import ANY_TOKEN, Requirement, RequirementKeywords
from .settings import SettingsKeywords
from .standing import Standing
from .tokens import AccessToken
from .verifier import AsyncVerifier

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class AuthenticationError(StrongDMAuthError, HTTPException):
    """A refusal that is FastAPI's exception, too; `refusal` is ours, and `denial` the answer to it.

    `@app.exception_handler(StrongDMAuthError)` replaces the answer; without one it is the contract's.
    """

    def __init__(self, refusal: StrongDMAuthError, denial: Denial) -> None:
        HTTPException.__init__(self, denial.status, refusal.message, dict(denial.headers))
        self.message, self.status_code = refusal.message, denial.status
        self.error, self.reason = refusal.error, refusal.reason
        self.refusal, self.denial = refusal, denial


#: A refusal's class -> the same as FastAPI's exception: a handler for `InvalidToken` catches one, as in the other doors.
_BOTH: dict[type[errors.Refused], type[AuthenticationError]] = {
    refusal: type(refusal.__name__, (AuthenticationError, refusal), {"__doc__": refusal.__doc__})
    for refusal in errors.REFUSALS
}


class StrongDMAuth(SecurityBase):
    """A security scheme for `Security(auth, scopes=[...])` and `Depends(auth)`; the value is the `AccessToken`.

    Args:
        auto_error: False: a request without credentials gets None. Bad credentials are refused all the same.
        scopes: names and descriptions for the Authorize dialog of the OpenAPI page.
        settings: see the README's table; what is not given comes from the environment.

    Raises:
        ConfigurationError: a setting is wrong; at construction.
    """

    def __init__(
        self,
        *,
        auto_error: bool = True,
        scopes: Mapping[str, str] | None = None,
        **settings: Unpack[SettingsKeywords],
    ) -> None:
        self.verifier = AsyncVerifier(**settings)
        self.requirement = ANY_TOKEN if auto_error else Requirement(optional=True)
        self.scheme_name = "StrongDM"
        token_url = endpoint(self.verifier.settings.issuer, "token")
        flow = OAuthFlowClientCredentials(tokenUrl=token_url, scopes=dict(scopes or {}))
        self.model = OAuth2Model(flows=OAuthFlows(clientCredentials=flow), description="An agent's access token")

    async def __call__(
        self, connection: HTTPConnection, security_scopes: SecurityScopes, response: Response
    ) -> AccessToken | None:
        """Authenticate, once a request however many dependencies ask, and hold the scopes against the token."""
        requirement = self.requirement
        if security_scopes.scopes:
            requirement = _with_scopes(requirement, tuple(security_scopes.scopes))
        admission = await self._admit(connection, requirement)
        response.raw_headers[:] = merged(response.raw_headers, (VARY,) if admission is None else admission.headers)
        return None if admission is None else admission.token

    def require(
        self, requirement: Requirement | None = None, /, **parts: Unpack[RequirementKeywords]
    ) -> "StrongDMAuth":
        """The same scheme with more asked: `Depends(auth.require(dpop=True))`."""
        wanted = requirement if requirement is not None else Requirement(**parts)
        if not isinstance(wanted, Requirement):
            raise ConfigurationError("give a Requirement(...), or its parts as keywords such as scopes={'read'}")
        if requirement is not None and parts:
            wanted = wanted & Requirement(**parts)
        sibling = object.__new__(StrongDMAuth)
        sibling.verifier, sibling.scheme_name, sibling.model = self.verifier, self.scheme_name, self.model
        sibling.requirement = wanted if self.requirement is ANY_TOKEN else self.requirement & wanted
        return sibling

    def require_scope(
        self, *scopes: str, require_all: bool = False
    ) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
        """A decorator for path functions: at least one of `scopes`; with `require_all`, every one. Below `@app.get(...)`."""
        if not scopes or not all(isinstance(scope, str) for scope in scopes):
            raise ConfigurationError("require_scope needs the names of scopes: @auth.require_scope('admin')")
        sibling = self.require(scopes=scopes) if require_all else self.require(any_scope=scopes)
        return lambda function: _with_dependency(function, sibling)

    def require_all_scopes(
        self, *scopes: str
    ) -> Callable[[Callable[_Parameters, _Result]], Callable[_Parameters, _Result]]:
        """A decorator for path functions: every one of `scopes`."""
        return self.require_scope(*scopes, require_all=True)

    def install(self, app: FastAPI, *, end_with_token: bool = False) -> None:
        """Complete what dependencies cannot reach; see the module's text.

        `end_with_token`: close websockets, and stop event streams, when their token expires or is revoked.
        """
        app.exception_handlers.setdefault(StrongDMAuthError, self._render)  # type: ignore[arg-type]
        app.add_middleware(_Completion, verifier=self.verifier, end_with_token=end_with_token)
        describe = app.openapi

        def openapi() -> dict[str, Any]:
            if app.openapi_schema is None:
                complete(describe(), _api_routes(app), self.scheme_name, _needs)
            return describe()

        app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend the document

    async def _admit(self, connection: HTTPConnection, requirement: Requirement) -> Admission | None:
        kept: dict[Any, Admission | None] = connection.scope.setdefault(SLOT, {})
        # The app's handlers stand in the scope, where Starlette's routing looks when an exception passes. Ours is put
        # there, if the application has none for our errors, since FastAPI's own would wrap the body in {"detail": ...}.
        handlers, _ = connection.scope.get("starlette.exception_handlers", ({}, {}))
        handlers.setdefault(StrongDMAuthError, self._render)
        try:
            admission = await self.verifier.admit(ScopeRequest(connection.scope), requirement, kept.get(self.verifier))
        except errors.Refused as refusal:
            raise _BOTH[type(refusal)](refusal, self.verifier.denial(refusal, requirement)) from None
        kept[self.verifier] = admission
        return admission

    async def _render(self, connection: HTTPConnection, error: StrongDMAuthError) -> Response | None:
        """The answer to a refusal, on HTTP and on a websocket that was not accepted yet."""
        denial = error.denial if isinstance(error, AuthenticationError) else self.verifier.denial(error)
        response = Response(denial.body, denial.status, dict(denial.headers))
        if not isinstance(connection, WebSocket):
            return response
        if "websocket.http.response" in (connection.scope.get("extensions") or {}):
            await connection.send_denial_response(response)
        else:
            await connection.close(POLICY_VIOLATION)
        return None


@lru_cache(1024)  # an application has so many routes, and each the same scopes for every request
def _with_scopes(requirement: Requirement, scopes: tuple[str, ...]) -> Requirement:
    return requirement & Requirement(scopes=scopes)


def _with_dependency(function: Callable[_Parameters, _Result], scheme: StrongDMAuth) -> Callable[_Parameters, _Result]:
    """`function` with one more dependency, which FastAPI finds in the signature and `function` never sees."""
    signature = inspect.signature(function, eval_str=True)
    name = f"strongdm_auth_token_{len(signature.parameters)}"  # another one for each decorator of a stack
    dependency = Security(scheme, scopes=sorted(scheme.requirement.scopes))
    added = inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[AccessToken | None, dependency]
    )
    parameters = list(signature.parameters.values())
    rest = parameters.pop() if parameters and parameters[-1].kind is inspect.Parameter.VAR_KEYWORD else None

    @wraps(function)
    async def awaiting(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop(name, None)  # absent when other code calls the function
        return await function(*args, **kwargs)  # type: ignore[misc]

    @wraps(function)
    def calling(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop(name, None)  # absent when other code calls the function
        return function(*args, **kwargs)

    guarded: Any = awaiting if inspect.iscoroutinefunction(function) else calling
    guarded.__signature__ = signature.replace(parameters=[*parameters, added, *([rest] if rest else [])])
    return cast(Callable[_Parameters, _Result], guarded)


class _Completion:
    """Serves the metadata document, and puts the headers of an admission on answers that dependencies cannot reach."""

    def __init__(self, app: ASGIApp, *, verifier: AsyncVerifier, end_with_token: bool) -> None:
        self.app, self._verifier = app, verifier
        self._metadata = Metadata.of(verifier.settings)
        self._connections = OpenConnections(verifier) if end_with_token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        scope = without_claims(scope, self._verifier.certificates)
        if self._metadata is not None and serves(self._metadata, scope):
            return await answer(self._metadata, scope, send)
        if receives(self._verifier, scope):
            return await answer(await received(self._verifier, scope, receive), scope, send)
        found = scope.get(
            SLOT
        )  # another scheme's `install`, or that of the app this one is mounted in, looks there, too
        kept: dict[Any, Admission | None] = {} if found is None else found

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [header for one in kept.values() for header in ((VARY,) if one is None else one.headers)]
                message = {**message, "headers": merged(message.get("headers", ()), tuple(dict.fromkeys(added)))}
            await send(message)

        def standing() -> Standing | None:
            admission = kept.get(self._verifier)
            return None if admission is None else self._verifier.standing(ScopeRequest(scope), admission.token)

        inner = {**scope, SLOT: kept}
        if self._connections is None:
            return await self.app(inner, receive, sending)
        return await Ending(self._connections, standing, scope, receive, sending).run(self.app, inner)


def _api_routes(app: FastAPI) -> Iterable[Any]:
    """The app's path operations; newer versions of FastAPI keep those of included routers apart until asked."""
    flatten = getattr(routing, "iter_route_contexts", iter)
    return [route for route in flatten(app.routes) if hasattr(route, "dependant")]


def _needs(dependant: Any) -> Iterator[Requirement]:
    """The requirements of all our schemes among a route's dependencies."""
    for dependency in dependant.dependencies:
        if isinstance(dependency.call, StrongDMAuth):
            yield dependency.call.requirement
        yield from _needs(dependency)
