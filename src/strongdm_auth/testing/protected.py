"""The endpoints of the local issuer that take an access token: userinfo (OpenID Connect Core section 5.3)
and JWT-SVIDs (SPIFFE JWT-SVID section 2). A token bound to a key is taken only with its proof. SVIDs are
signed with a key of their own, which is in the trust bundle and in no issuer's key set."""

from __future__ import annotations

import re
from collections.abc import Mapping

from strongdm_auth.testing import jws, proof_check
from strongdm_auth.testing.authority import Authority, InactiveTokenError, LiveToken
from strongdm_auth.testing.messages import OAuthError, Reply, Request, json_reply, public_document

_WORKLOAD = re.compile(r"[A-Za-z0-9._-]+")  # SPIFFE-ID section 2.2


def userinfo(authority: Authority, realm: str | None, request: Request) -> Reply:
    """GET or POST /userinfo"""
    claims = _presented_token(authority, realm, request).claims
    scopes = str(claims.get("scope", "")).split()
    if "openid" not in scopes:
        raise _refused(403, "insufficient_scope", "the scope openid is needed", 'scope="openid"')
    answer: dict[str, object] = {"sub": claims.get("sub")}
    client = authority.clients.get(str(claims.get("client_id")))
    if client is not None:
        answer["name"] = client.name
        if "email" in scopes and client.email is not None:
            answer["email"] = client.email
    return json_reply(answer)


def jwt_svid(authority: Authority, realm: str | None, request: Request) -> Reply:
    """POST /svid/jwt"""
    live = _presented_token(authority, realm, request)
    audience = request.json_object().get("audience")
    names = [audience] if isinstance(audience, str) else audience
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise OAuthError(400, "invalid_request", "audience must be a list of strings")
    try:
        svid, claims = mint_svid(authority, str(live.claims.get("client_id")), realm=live.realm, audience=names)
    except ValueError:
        raise OAuthError(400, "invalid_request", "this client's id cannot be part of a SPIFFE ID") from None
    return json_reply({"svid": svid, "spiffe_id": claims["sub"], "expires_at": claims["exp"]})


def mint_svid(
    authority: Authority,
    client_id: str,
    *,
    realm: str | None,
    audience: list[str],
    header: Mapping[str, object] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> tuple[str, dict[str, object]]:
    """A JWT-SVID for this workload, and its claims.

    Raises:
        ValueError: the client id has characters that no SPIFFE ID may have.
    """
    if not _WORKLOAD.fullmatch(client_id):
        raise ValueError("not a SPIFFE path segment")
    now = authority.clock()
    claims: dict[str, object] = {
        "sub": f"spiffe://{authority.trust_domain}/workload/{client_id}",
        "aud": audience,
        "iat": int(now),
        "exp": int(now + authority.token_lifetime),
        "iss": authority.issuer_url(realm),
    }
    claims = jws.with_overrides(claims, overrides)
    return authority.svid_key().sign({"typ": "JWT", **(header or {})}, claims), claims


def trust_bundle(authority: Authority, realm: str | None, request: Request) -> Reply:  # noqa: ARG001
    """GET /.well-known/spiffe-trust-bundle: one trust domain, whatever the realm."""
    return public_document(trust_bundle_document(authority))


def trust_bundle_document(authority: Authority) -> dict[str, object]:
    """The trust bundle as JSON."""
    return {
        "keys": [key.public_jwk() for key in authority.svid_keys()],
        "spiffe_sequence": 1,
        "spiffe_refresh_hint": 300,
    }


def _presented_token(authority: Authority, realm: str | None, request: Request) -> LiveToken:
    authorization = request.header("Authorization")
    if authorization is None:
        raise OAuthError(401, "unauthorized", "an access token is needed", _challenge("Bearer", 'realm="local issuer"'))
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    try:
        live = authority.read(token, realm)
    except InactiveTokenError:
        raise _refused(401, "invalid_token", "the token is not one of this issuer, or no longer") from None
    confirmation = live.claims.get("cnf")
    if scheme.lower() == "bearer" and confirmation is None:
        return live
    if scheme.lower() != "dpop" or not isinstance(confirmation, dict):
        raise _refused(401, "invalid_token", "the scheme does not suit the token")
    try:
        jkt = proof_check.check_proof(
            request.header_values("DPoP"),
            method=request.method,
            url=authority.url + request.path,
            now=authority.clock(),
            access_token=token,
        )
    except proof_check.InvalidProofError as invalid:
        raise _refused(401, "invalid_dpop_proof", str(invalid), scheme="DPoP") from None
    if jkt != confirmation.get("jkt"):
        raise _refused(401, "invalid_token", "the proof is of another key", scheme="DPoP")
    return live


def _refused(status: int, error: str, description: str, *parameters: str, scheme: str = "Bearer") -> OAuthError:
    return OAuthError(status, error, description, _challenge(scheme, f'error="{error}"', *parameters))


def _challenge(scheme: str, *parameters: str) -> tuple[tuple[str, str], ...]:
    return (("WWW-Authenticate", f"{scheme} {', '.join(parameters)}"),)
