"""Introspection (RFC 7662) and revocation (RFC 7009). Both need an authenticated client; a token that is
unknown, expired, revoked or somebody else's is told in the same words, so neither can be used to learn
about tokens."""

from __future__ import annotations

from strongdm_auth.testing.authority import Authority, InactiveTokenError
from strongdm_auth.testing.messages import OAuthError, Reply, Request, json_reply


def introspect(authority: Authority, realm: str | None, request: Request) -> Reply:
    """POST /introspect; below a realm's path it knows only that realm's tokens."""
    form = request.form()
    authority.clients.authenticate(request, form, realm=realm)
    try:
        claims = authority.read(form.need("token"), realm).claims
    except InactiveTokenError:
        return json_reply({"active": False})
    confirmation = claims.get("cnf")
    token_type = "DPoP" if isinstance(confirmation, dict) and "jkt" in confirmation else "Bearer"
    return json_reply({**claims, "active": True, "token_type": token_type})


def revoke(authority: Authority, realm: str | None, request: Request) -> Reply:
    """POST /revoke; done, and also answered so, for a token there is nothing to revoke about."""
    form = request.form()
    client = authority.clients.authenticate(request, form, realm=realm)
    token = form.need("token")
    try:
        live = authority.read(token, realm)
    except InactiveTokenError:
        return json_reply({})
    if live.claims.get("client_id") != client.client_id:
        raise OAuthError(400, "invalid_grant", "the token was issued to another client")  # RFC 7009 section 2.1
    authority.revoke(token)
    return json_reply({})
