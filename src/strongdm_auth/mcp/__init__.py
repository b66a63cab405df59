"""The MCP door: access tokens and DPoP for MCP servers in Python, with the official SDK (`mcp`) or with fastmcp.

    auth = StrongDMTokenVerifier(resource="https://tools.example.com/mcp", realms=["my-org"])
    server = MCPServer("tools", token_verifier=auth, auth=auth.auth_settings())

    @server.tool()
    @auth.require_scope("notes:write")
    def write_note(text: str) -> str: ...

    app = auth.sender_constrained(server.streamable_http_app())

An MCP server hands a verifier the token and nothing else, so the verifier alone refuses every bound token; the wrapper
sees the request, checks the proof, and is what answers 401, 403 and 503 as the MCP specification and the RFCs ask.
"""

import functools
import inspect
import json
import warnings
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, Unpack

from strongdm_auth.extras import lacking

try:
    from mcp.server.auth.settings import AuthSettings
except ModuleNotFoundError as missing:
    raise lacking(missing, "mcp", "mcp") from missing
import anyio.to_thread

from strongdm_auth.asgi import ASGIApp
from strongdm_auth.errors import ConfigurationError, MissingCredentials, Refused, TemporarilyUnavailable
from strongdm_auth.flow import Admission
from strongdm_auth.mcp.tokens import Presented, VerifiedAccessToken, current_sdk_token, current_token, presented_to
from strongdm_auth.mcp.tools import tool_error
from strongdm_auth.mcp.wrapper import SenderConstrained
from strongdm_auth.metadata import Metadata
from strongdm_auth.request import Request
from strongdm_auth.requirement import ANY_TOKEN, Requirement, RequirementKeywords
from strongdm_auth.settings import SecurityWarning, Settings, SettingsKeywords
from strongdm_auth.tokens import AccessToken
from strongdm_auth.urls import fetch_problem
from strongdm_auth.verifier import AsyncVerifier

if TYPE_CHECKING:
    from fastmcp.server.auth import RemoteAuthProvider

__all__ = ["StrongDMTokenVerifier", "VerifiedAccessToken", "current_token"]

_Parameters = ParamSpec("_Parameters")
_Tool: TypeAlias = Callable[_Parameters, Coroutine[Any, Any, Any]]


class StrongDMTokenVerifier:
    """A `TokenVerifier` for MCP servers.

    Args:
        verifier: an `AsyncVerifier` to use, such as `Verifier.for_event_loops()` of an API in the same process.
        settings: else, the settings; what is not given comes from the environment. `audience` or `resource` is needed, since
            MCP servers must check whom a token is for; one that is a URL gives the other.

    Raises:
        ConfigurationError: a setting is wrong, or there is no audience.
    """

    def __init__(self, verifier: AsyncVerifier | None = None, /, **settings: Unpack[SettingsKeywords]) -> None:
        if verifier is not None and settings:
            raise ConfigurationError("give an AsyncVerifier or keyword arguments, not both")
        self.verifier = AsyncVerifier(_for_one_resource(settings)) if verifier is None else verifier
        if not self.verifier.settings.audience:
            raise ConfigurationError("audience must be set: an MCP server must check whom a token is for")
        self._requirement = ANY_TOKEN
        self._tools: dict[str, Requirement] = {}

    async def verify_token(self, token: str) -> VerifiedAccessToken | None:
        """The token if it is good, None if it is not; called by the SDKs.

        A token that is bound to a key is good within `sender_constrained` alone, once its proof was checked there.

        Raises:
            TemporarilyUnavailable: it cannot be told. The SDKs make a 500 of it, and not the 401 for which clients would
                throw a good token away; within `sender_constrained` this is a 503 before it comes to that.
        """
        request = presented_to(self)
        if request is not None and not request.over:
            verified = request.token_for(token)
        else:
            try:
                verified = await self.verifier.authorize(self._request(token), ANY_TOKEN)
            except TemporarilyUnavailable:
                raise
            except Refused:
                verified = None
        return None if verified is None else VerifiedAccessToken.of(token, verified, self.verifier)

    def auth_settings(self, *, required_scopes: str | Iterable[str] = ()) -> AuthSettings:
        """The SDK's settings: our issuer, our resource, and the scopes that every request needs, here and in the wrapper."""
        published = self._published()
        self._need(required_scopes)
        return AuthSettings.model_validate(
            {
                "issuer_url": published["authorization_servers"][0],
                "resource_server_url": published["resource"],
                "required_scopes": sorted(self._requirement.scopes) or None,
                "validate_token_resource": False,  # we have checked the audience, which may have more than one name
            }
        )

    def fastmcp_auth(self, *, required_scopes: str | Iterable[str] = (), path: str = "/mcp") -> "RemoteAuthProvider":
        """The same for fastmcp: `FastMCP("tools", auth=auth.fastmcp_auth())`; `path` is the endpoint's."""
        from strongdm_auth.mcp.fastmcp import provider

        published = self._published()
        self._need(required_scopes)
        scopes = sorted(self._requirement.scopes)
        return provider(self.verify_token, published["authorization_servers"], published["resource"], scopes, path)

    def sender_constrained(
        self, app: ASGIApp, *, require: Requirement | None = None, exempt: Iterable[str] = ()
    ) -> ASGIApp:
        """`app`, an MCP server's, behind a check of the whole request: Bearer tokens, and bound ones with their proofs.

        Args:
            require: what every request needs, on top of the scopes in `auth_settings`.
            exempt: paths of your own that need no token, such as `/health`. The RFC 9728 document is served here.
        """
        requirement = self._requirement
        if require is not None:
            requirement = require if requirement is ANY_TOKEN else requirement & require
        return SenderConstrained(app, self, self.verifier, requirement, exempt, self._tools)

    def require(
        self,
        requirement: Requirement | None = None,
        /,
        *,
        tool: str | None = None,
        **parts: Unpack[RequirementKeywords],
    ) -> Callable[[Callable[_Parameters, Any]], "_Tool[_Parameters]"]:
        """What a tool needs, on top of the rest; below `@server.tool()`. `tool` is its name where that is not the function's.

        The wrapper answers 403 before the call gets through, so that clients ask for the scopes. Whatever else becomes of
        the message, the function itself is guarded, too: there the refusal is an error of the tool.
        """
        wanted = Requirement(**parts) if requirement is None else requirement
        if not isinstance(wanted, Requirement):
            raise ConfigurationError("give a Requirement(...), or its parts as keywords such as scopes={'read'}")
        if requirement is not None and parts:
            wanted = wanted & Requirement(**parts)

        def decorate(function: Callable[_Parameters, Any]) -> "_Tool[_Parameters]":
            name = function.__name__ if tool is None else tool
            self._tools[name] = wanted & self._tools.get(name, wanted)

            @functools.wraps(function)
            async def guarded(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> Any:
                if not _was_checked(presented_to(self), name):
                    await self.check(wanted)
                if inspect.iscoroutinefunction(function):
                    return await function(*args, **kwargs)
                return await anyio.to_thread.run_sync(functools.partial(function, *args, **kwargs))

            return guarded

        return decorate

    def require_scope(
        self, *scopes: str, require_all: bool = False, tool: str | None = None
    ) -> Callable[[Callable[_Parameters, Any]], "_Tool[_Parameters]"]:
        """A tool that needs at least one of `scopes`; with `require_all`, every one."""
        if not scopes or not all(isinstance(scope, str) for scope in scopes):
            raise ConfigurationError("require_scope needs the names of scopes: @auth.require_scope('notes:write')")
        return self.require(Requirement(scopes) if require_all else Requirement(any_scope=scopes), tool=tool)

    def require_all_scopes(
        self, *scopes: str, tool: str | None = None
    ) -> Callable[[Callable[_Parameters, Any]], "_Tool[_Parameters]"]:
        """A tool that needs every one of `scopes`."""
        return self.require_scope(*scopes, require_all=True, tool=tool)

    async def check(self, requirement: Requirement) -> AccessToken | None:
        """Hold `requirement` against the token of the message that is being answered; for use in tools and resources.

        Raises:
            ToolError: it does not suffice, or there is none.
        """
        told = current_sdk_token()
        token = None if told is None else told.verified_by(self.verifier)
        try:
            if told is None or token is None:
                if requirement.optional:
                    return None
                raise MissingCredentials("credentials.missing")
            admission = await self.verifier.admit(self._request(told.token), requirement, Admission(token, ()))
        except Refused as refusal:
            raise tool_error(refusal, self._requirement & requirement) from None
        return None if admission is None else admission.token

    def _request(self, compact: str) -> Request:
        """What the SDKs tell of a request: there was one, and a Bearer token with it."""
        settings = self.verifier.settings
        return Request("POST", settings.resource or settings.public_url or "", {"Authorization": f"Bearer {compact}"})

    def _need(self, scopes: str | Iterable[str]) -> None:
        needed = Requirement(scopes=scopes)
        if needed.scopes:
            self._requirement = self._requirement & needed

    def _published(self) -> dict[str, Any]:
        """Our RFC 9728 document: the SDKs make theirs of the same."""
        document = Metadata.of(self.verifier.settings)
        if document is None:
            raise ConfigurationError(
                "resource must be set: clients are told where the MCP server is, such as 'https://tools.example.com/mcp'"
            )
        published: dict[str, Any] = json.loads(document.body)
        return published


def _was_checked(request: Presented | None, tool: str) -> bool:
    """Whether the wrapper has held the tool's requirement against the token of this very message.

    A session's task keeps the context of the request that began it, whose token may have been another.
    """
    told = current_sdk_token()
    return (
        request is not None
        and not request.over
        and told is not None
        and request.token_for(told.token) is not None
        and tool in request.tools
    )


def _for_one_resource(keywords: SettingsKeywords) -> Settings:
    """The settings, with the audience from the resource or the resource from the audience: for MCP they are one (RFC 8707)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # they are made once more
        found = Settings(**keywords)
    audience, resource = list(found.audience), found.resource
    if not audience and resource is None:
        raise ConfigurationError(
            "audience or resource must be set: an MCP server must check whom a token is for; "
            "set resource to its URL, such as 'https://tools.example.com/mcp'"
        )
    if resource is None and len(audience) == 1 and not fetch_problem(audience[0], allow_http=found.unsafe_allow_http):
        resource = audience[0]
    completed: SettingsKeywords = {**keywords, "audience": audience or (resource and [resource]), "resource": resource}
    return Settings(**completed)
