"""A verified token in the SDK's own shape, and how it gets from the wrapper to `verify_token`."""

import hashlib
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken as SDKAccessToken
from pydantic import Field, PrivateAttr

from strongdm_auth.settings import Settings
from strongdm_auth.tokens import AccessToken
from strongdm_auth.verifier import AsyncVerifier


class VerifiedAccessToken(SDKAccessToken):
    """The SDK's `AccessToken`, with ours inside and out of its `repr`: what `get_access_token()` gives in a tool."""

    token: str = Field(repr=False)
    claims: dict[str, Any] | None = Field(default=None, repr=False)
    #: None in one that somebody made of text: it was not verified.
    _verified: AccessToken | None = PrivateAttr(default=None)
    _verifier: AsyncVerifier | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, compact: str, token: AccessToken, verifier: AsyncVerifier) -> "VerifiedAccessToken":
        """What `verifier` found `compact` to be."""
        told = cls(
            token=compact,
            client_id=_client_of(compact, token),
            scopes=sorted(token.scopes),
            expires_at=_expires_at(token, verifier.settings.leeway),
            resource=_resource_of(token, verifier.settings),
            subject=token.subject,
            claims={"iss": token.issuer, **token.claims},
        )
        told._verified, told._verifier = token, verifier
        return told

    def verified_by(self, verifier: AsyncVerifier) -> AccessToken | None:
        """Our token; None where another verifier, for another server in this process, let it in."""
        return self._verified if self._verifier is verifier else None


def current_token() -> AccessToken | None:
    """The verified token of the message that is being answered; None where there is none, such as on stdio."""
    told = current_sdk_token()
    return None if told is None else told._verified


def current_sdk_token() -> VerifiedAccessToken | None:
    """The same in the SDK's shape. The SDK keeps it for each message, also within a session that one request began."""
    told = get_access_token()
    return told if isinstance(told, VerifiedAccessToken) else None


def _client_of(compact: str, token: AccessToken) -> str:
    """Who the SDK takes for the owner of a session, next to issuer and subject. Never empty, or strangers would share one.

    Without a client, that is the agent now acting: two agents that act for one user are two.
    """
    actor = None if token.actor is None else token.actor.subject
    return token.client_id or actor or token.subject or "sha256:" + hashlib.sha256(compact.encode()).hexdigest()


def _expires_at(token: AccessToken, leeway: float) -> int | None:
    """In whole seconds. The SDK looks at it once more and knows no leeway: within ours, the end of the leeway."""
    expires_at = token.expires_at
    if expires_at is None:
        return None
    return int(expires_at) if expires_at > time.time() + 1 else math.ceil(expires_at + leeway)


def _resource_of(token: AccessToken, settings: Settings) -> str | None:
    """RFC 8707: which of our names the token was issued for."""
    ours = [name for name in token.audience if name in settings.audience]
    return settings.resource if settings.resource in ours else next(iter(ours), None)


@dataclass(slots=True)
class Presented:
    """A request that the wrapper has read, for as long as it lasts."""

    #: The `StrongDMTokenVerifier` whose wrapper that was.
    owner: object
    #: None on paths that need no token: whatever came along was not looked at.
    token: AccessToken | None = None
    compact: str = field(default="", repr=False)
    #: The tools it calls, whose requirements were held against the token.
    tools: frozenset[str] = frozenset()
    over: bool = False

    def token_for(self, compact: str) -> AccessToken | None:
        """What the wrapper found, for this very token; nothing else in the request counts."""
        return self.token if self.compact == compact else None


_presented: ContextVar[Presented | None] = ContextVar("strongdm_auth.mcp.presented", default=None)


@contextmanager
def presenting(request: Presented) -> Iterator[None]:
    """Inside, `verify_token` takes the wrapper's word. Tasks that the app starts copy the context, and may outlive it."""
    before = _presented.set(request)
    try:
        yield
    finally:
        request.over = True
        _presented.reset(before)


def presented_to(owner: object) -> Presented | None:
    """The request whose message is being answered, as this owner's wrapper has read it. It may be `over` by now."""
    request = _presented.get()
    return request if request is not None and request.owner is owner else None
