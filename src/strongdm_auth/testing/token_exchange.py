"""Token exchange (RFC 8693): an agent gets a token that speaks for the subject and names the agent in
`act`, the earlier actor nested inside. The new token never has more scopes than the subject's token and
never outlives it."""

from __future__ import annotations

from collections.abc import Mapping

from strongdm_auth.testing.authority import Authority, InactiveTokenError, LiveToken
from strongdm_auth.testing.clients import Client
from strongdm_auth.testing.messages import Form, OAuthError

EXCHANGE_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_TOKEN_TYPES = frozenset({"urn:ietf:params:oauth:token-type:access_token", "urn:ietf:params:oauth:token-type:jwt"})
_MAX_ACTORS = 16  # each exchange makes the token longer; honest chains are a few agents deep


def exchanged_claims(
    authority: Authority,
    client: Client,
    form: Form,
    *,
    scopes: tuple[str, ...] | None,
    audience: str | tuple[str, ...] | None,
    jkt: str | None,
) -> dict[str, object]:
    """The claims of the token that this client gets for the subject token in the form.

    Without a scope or an audience of its own the request keeps the subject token's.

    Raises:
        OAuthError: 400, as RFC 8693 section 2.2.2 has it.
    """
    if form.get("requested_token_type") not in {None, *_TOKEN_TYPES}:
        raise OAuthError(400, "invalid_request", "only access tokens are issued here")
    subject = _presented(authority, client, form, "subject_token").claims
    actor = _actor(authority, client, form, subject)
    held = str(subject.get("scope", "")).split()
    granted = tuple(held) if scopes is None else scopes
    if not set(granted) <= set(held):
        raise OAuthError(400, "invalid_scope", "a scope is not in the subject token")
    claims = authority.claims(
        str(subject.get("sub", "")),
        client_id=client.client_id,
        scopes=granted,
        realm=client.realm,
        audience=audience,
        jkt=jkt,
        actor=actor,
        lifetime=None,
    )
    if audience is None and "aud" in subject:
        claims["aud"] = subject["aud"]
    expires_at, subject_expires_at = claims["exp"], subject["exp"]
    if isinstance(expires_at, int) and isinstance(subject_expires_at, int | float):
        claims["exp"] = int(min(expires_at, subject_expires_at))
    return claims


def _actor(authority: Authority, client: Client, form: Form, subject: Mapping[str, object]) -> dict[str, object]:
    """The `act` claim: whoever acts now, outside of whoever acted before (section 4.1)."""
    actor: dict[str, object] = {"sub": client.client_id}
    if form.get("actor_token") is not None:
        presented = _presented(authority, client, form, "actor_token").claims
        actor = {"sub": presented.get("sub"), "iss": presented.get("iss")}
    elif form.get("actor_token_type") is not None:
        raise OAuthError(400, "invalid_request", "actor_token_type needs an actor_token")
    may_act = subject.get("may_act")
    if isinstance(may_act, Mapping) and may_act.get("sub") != actor["sub"]:
        raise OAuthError(400, "invalid_request", "the subject token lets somebody else act")  # section 4.4
    earlier = subject.get("act")
    if isinstance(earlier, Mapping):
        actor["act"] = earlier
    if _depth(actor) > _MAX_ACTORS:
        raise OAuthError(400, "invalid_request", "the chain of actors is too long")
    return actor


def _presented(authority: Authority, client: Client, form: Form, name: str) -> LiveToken:
    """The token in this parameter, if it is of the client's realm or of the base issuer."""
    token = form.need(name)
    if form.need(f"{name}_type") not in _TOKEN_TYPES:
        raise OAuthError(400, "invalid_request", f"{name}_type must be an access token's")
    try:
        live = authority.read(token)
    except InactiveTokenError:
        live = None
    if live is None or live.realm not in {None, client.realm} or not isinstance(live.claims.get("sub"), str):
        raise OAuthError(400, "invalid_request", f"the {name} is not one to build on")
    return live


def _depth(actor: Mapping[str, object]) -> int:
    depth, link = 0, actor.get("act")
    while isinstance(link, Mapping):
        depth, link = depth + 1, link.get("act")
    return depth + 1
