"""fastmcp's side: its provider with our issuers, our resource, our verifier."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, cast

from fastmcp.server.auth import AccessToken, RemoteAuthProvider, TokenVerifier
from pydantic import AnyHttpUrl, ConfigDict, TypeAdapter

from strongdm_auth.errors import ConfigurationError

if TYPE_CHECKING:
    from strongdm_auth.mcp.tokens import VerifiedAccessToken

#: An issuer is compared character by character; pydantic's own AnyHttpUrl would add a slash to one without a path.
_URL = TypeAdapter(AnyHttpUrl, config=ConfigDict(url_preserve_empty_path=True))

Verify = Callable[[str], Awaitable["VerifiedAccessToken | None"]]


class _Verifier(TokenVerifier):
    def __init__(self, verify: Verify, required_scopes: list[str]) -> None:
        super().__init__(required_scopes=required_scopes)
        self._verify = verify

    async def verify_token(self, token: str) -> AccessToken | None:
        # fastmcp's own get_access_token() makes its kind of token of the SDK's.
        return cast("AccessToken | None", await self._verify(token))


def provider(
    verify: Verify, issuers: Sequence[str], resource: str, required_scopes: list[str], path: str
) -> RemoteAuthProvider:
    """fastmcp says where the resource is by the server's base URL and the endpoint's path; `resource` must be the two."""
    if path.strip("/") and not resource.endswith("/" + path.strip("/")):
        raise ConfigurationError(f"resource must end with the path of the MCP endpoint, {path!r} (got {resource!r})")
    base_url = resource.removesuffix("/").removesuffix(path.strip("/")).removesuffix("/")
    return RemoteAuthProvider(
        _Verifier(verify, required_scopes),
        authorization_servers=[_URL.validate_python(issuer) for issuer in issuers],
        base_url=base_url,
    )
