"""`fake_token`: the value that a route gets, of a token that nobody signed. For `dependency_overrides`, for DRF's
`force_authenticate`, for functions that take an `AccessToken`, and for `unsafe_authenticated_as`. It never was a string, so no
API can be made to take it for a credential."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Mapping
from typing import TypedDict

from strongdm_auth.claims import read_access_token
from strongdm_auth.errors import InvalidToken
from strongdm_auth.testing.clients import scope_tokens
from strongdm_auth.tokens import AccessToken

_ISSUER = "https://id.strongdm.ai"


class TokenParts(TypedDict, total=False):
    """What `fake_token` takes, but for the subject."""

    scopes: str | Iterable[str]
    realm: str | None
    issuer: str
    audience: str | Iterable[str] | None
    client_id: str | None
    actor: str | Mapping[str, object] | None
    dpop: bool
    lifetime: float
    introspected: bool
    claims: Mapping[str, object] | None


def fake_token(
    subject: str = "agent",
    *,
    scopes: str | Iterable[str] = (),
    realm: str | None = None,
    issuer: str = _ISSUER,
    audience: str | Iterable[str] | None = None,
    client_id: str | None = None,
    actor: str | Mapping[str, object] | None = None,
    dpop: bool = False,
    lifetime: float = 3600,
    introspected: bool = False,
    claims: Mapping[str, object] | None = None,
) -> AccessToken:
    """An `AccessToken` as an API would have read it from such a token.

    Args:
        issuer: the base issuer; the token is of `realm` below it.
        client_id: whom it was issued to; left out, whoever acts, else the subject.
        actor: who acts for the subject, by name or as an `act` claim, which may nest.
        dpop: bound to a key.
        claims: laid over the others last; None removes one.

    Raises:
        ValueError: no API could have read such claims.
    """
    act = {"sub": actor} if isinstance(actor, str) else actor
    acting = act.get("sub") if act else None
    now = int(time.time())
    honest: dict[str, object] = {
        "iss": issuer if realm is None else f"{issuer}/realms/{realm}",
        "sub": subject,
        "client_id": client_id or (acting if isinstance(acting, str) else subject),
        "scope": " ".join(scope_tokens(scopes)),
        "iat": now,
        "exp": int(now + lifetime),
        "jti": secrets.token_urlsafe(16),
        "token_type": "access_token",
        "aud": audience if audience is None or isinstance(audience, str) else list(audience),
        "cnf": {"jkt": secrets.token_urlsafe(32)} if dpop else None,
        "act": act,
        **(claims or {}),
    }
    text = json.dumps({name: value for name, value in honest.items() if value is not None})
    told: dict[str, object] = json.loads(text)
    try:
        return read_access_token(told, text, str(told.get("iss", issuer)), realm, introspected=introspected)
    except InvalidToken as refusal:
        raise ValueError(f"no API would read these claims: {refusal.reason}") from None
