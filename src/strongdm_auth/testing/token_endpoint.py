"""The token endpoint (RFC 6749 section 3.2): client credentials, and token exchange next door, with tokens
bound to a key when a DPoP proof comes along (RFC 9449 section 5). As at the real service, the root
endpoint takes the realm from the client. It never grants a scope the client was not registered for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from strongdm_auth.testing import proof_check
from strongdm_auth.testing.authority import Authority
from strongdm_auth.testing.clients import Client, scope_tokens
from strongdm_auth.testing.messages import Form, OAuthError, Reply, Request, json_reply
from strongdm_auth.testing.token_exchange import EXCHANGE_GRANT, exchanged_claims

GRANT_TYPES = ("client_credentials", EXCHANGE_GRANT)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token request asked for, once it was found in order."""

    client: Client
    form: Form
    scopes: tuple[str, ...] | None
    audience: str | tuple[str, ...] | None
    jkt: str | None


def token(authority: Authority, realm: str | None, request: Request) -> Reply:
    """POST /token"""
    form = request.form()
    client = authority.clients.authenticate(request, form, realm=realm)
    grant_type = form.need("grant_type")
    if grant_type not in GRANT_TYPES:
        raise OAuthError(400, "unsupported_grant_type", "the grant types here are in the discovery document")
    grant = Grant(client, form, _requested_scopes(form), _requested_audience(form), _proven_key(authority, request))
    answer: dict[str, object] = {}
    if grant_type == EXCHANGE_GRANT:
        claims = exchanged_claims(authority, client, form, scopes=grant.scopes, audience=grant.audience, jkt=grant.jkt)
        answer["issued_token_type"] = "urn:ietf:params:oauth:token-type:access_token"
    else:
        claims = _own_claims(authority, grant)
    answer["access_token"] = authority.mint(claims, realm=client.realm)
    answer["token_type"] = "Bearer" if grant.jkt is None else "DPoP"
    answer["expires_in"] = _seconds_left(claims)
    answer["scope"] = claims["scope"]
    return json_reply(answer)


def _own_claims(authority: Authority, grant: Grant) -> dict[str, object]:
    client = grant.client
    scopes = client.scopes if grant.scopes is None else grant.scopes
    if not set(scopes) <= set(client.scopes):
        raise OAuthError(400, "invalid_scope", "a scope is not registered for this client")
    return authority.claims(
        client.client_id,
        client_id=client.client_id,
        scopes=scopes,
        realm=client.realm,
        audience=grant.audience,
        jkt=grant.jkt,
        actor=None,
        lifetime=None,
    )


def _requested_scopes(form: Form) -> tuple[str, ...] | None:
    scope = form.get("scope")
    try:
        return None if scope is None else scope_tokens(scope)
    except ValueError:
        raise OAuthError(400, "invalid_scope", "the scope parameter is malformed") from None


def _requested_audience(form: Form) -> str | tuple[str, ...] | None:
    resources = form.all("resource")
    if not all(_is_absolute_uri(resource) for resource in resources):
        raise OAuthError(400, "invalid_target", "resource must be an absolute URI without a fragment")
    audience: Sequence[str] = tuple(dict.fromkeys((*form.all("audience"), *resources)))
    if len(audience) > 1:
        return tuple(audience)
    return audience[0] if audience else None


def _is_absolute_uri(value: str) -> bool:
    try:
        return bool(urlsplit(value).scheme) and "#" not in value
    except ValueError:
        return False


def _proven_key(authority: Authority, request: Request) -> str | None:
    proofs = request.header_values("DPoP")
    if not proofs:
        return None
    try:
        return proof_check.check_proof(
            proofs, method=request.method, url=authority.url + request.path, now=authority.clock()
        )
    except proof_check.InvalidProofError as invalid:
        raise OAuthError(400, "invalid_dpop_proof", str(invalid)) from None


def _seconds_left(claims: dict[str, object]) -> int:
    expires_at, issued_at = claims["exp"], claims["iat"]
    return expires_at - issued_at if isinstance(expires_at, int) and isinstance(issued_at, int) else 0
