"""The Starlette door. Use `strongdm_auth.asgi.StrongDMAuthMiddleware`: `request.auth`, `request.user` and Starlette's own
`@requires` work behind it. For apps that stack authentication backends there is a backend of ours, too:

    Middleware(AuthenticationMiddleware, backend=(backend := StrongDMAuthBackend(...)), on_error=backend.on_error)
"""

from typing import Any, Unpack

from .extras import lacking

try:
    from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError
except ModuleNotFoundError as missing:
    raise lacking(missing, "starlette", "starlette") from missing
from starlette.requests import HTTPConnection
from starlette.responses import Response

from .asgi import SLOT, StrongDMAuthMiddleware
from .errors import MissingCredentials, Refused, StrongDMAuthError
from .flow import Admission
from .request import ScopeRequest
from .requirement import ANY_TOKEN, Requirement
from .settings import SettingsKeywords
from .tokens import AccessToken, Principal
from .verifier import AsyncVerifier

__all__ = ["RefusedAuthentication", "StrongDMAuthBackend", "StrongDMAuthMiddleware"]


class RefusedAuthentication(AuthenticationError):
    """Starlette's exception for bad credentials, with ours in `refusal`."""

    def __init__(self, refusal: Refused) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class TokenCredentials(AuthCredentials):
    """Starlette's credentials, for `request.auth`: the token's scopes, and the token."""

    def __init__(self, token: AccessToken) -> None:
        super().__init__(sorted(token.scopes))
        self.token = token


class StrongDMAuthBackend(AuthenticationBackend):
    """A backend for Starlette's `AuthenticationMiddleware`: None without credentials of ours, so that others may try.

    A backend cannot put headers on answers: with `dpop_nonce="required"` clients get a fresh nonce by a refusal every five
    minutes, and `Vary: Authorization, DPoP` is yours to set. `StrongDMAuthMiddleware` does both.
    """

    def __init__(self, requirement: Requirement = ANY_TOKEN, **settings: Unpack[SettingsKeywords]) -> None:
        self._requirement = requirement
        self.verifier = AsyncVerifier(**settings)

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any] | None:
        """Who sent this; raises `RefusedAuthentication` for credentials that are no good."""
        kept: dict[Any, Admission] = conn.scope.setdefault(SLOT, {})
        try:
            admission = await self.verifier.admit(ScopeRequest(conn.scope), self._requirement, kept.get(self.verifier))
        except MissingCredentials:
            return None
        except Refused as refusal:
            raise RefusedAuthentication(refusal) from refusal
        if admission is None:
            return None
        kept[self.verifier] = admission
        return TokenCredentials(admission.token), Principal(admission.token)

    def on_error(self, _: HTTPConnection, error: Exception) -> Response:
        """The contract's answer to a refusal, in place of Starlette's 400 in plain text."""
        refusal = error.refusal if isinstance(error, RefusedAuthentication) else StrongDMAuthError("Refused", 400)
        denial = self.verifier.denial(refusal, self._requirement)
        return Response(denial.body, denial.status, dict(denial.headers))
