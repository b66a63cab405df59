"""The metadata of the local issuer and of each of its realms (OpenID Connect Discovery section 3, RFC 8414
section 2), and their key sets. Every URL is the issuer's as it is served now, and the document says what
it is: for development only."""

from __future__ import annotations

from strongdm_auth.testing import jws
from strongdm_auth.testing.authority import Authority
from strongdm_auth.testing.messages import Reply, Request, public_document
from strongdm_auth.testing.token_endpoint import GRANT_TYPES

NOTICE = "A local imitation of StrongDM ID for tests and development only. Do not trust its tokens anywhere else."


def metadata(authority: Authority, realm: str | None, request: Request) -> Reply:  # noqa: ARG001
    """GET /.well-known/openid-configuration"""
    return public_document(metadata_document(authority, realm))


def key_set(authority: Authority, realm: str | None, request: Request) -> Reply:  # noqa: ARG001
    """GET /jwks"""
    return public_document(authority.ring(realm).jwks())


def metadata_document(authority: Authority, realm: str | None) -> dict[str, object]:
    """The discovery document of the base issuer or of a realm."""
    issuer = authority.issuer_url(realm)
    client_authentication = ["client_secret_basic", "client_secret_post"]
    return {
        "issuer": issuer,
        "notice": NOTICE,  # a member of ours: `service_documentation` would have to be a URL (RFC 8414 2)
        "jwks_uri": f"{issuer}/jwks",
        "token_endpoint": f"{issuer}/token",
        "introspection_endpoint": f"{issuer}/introspect",
        "revocation_endpoint": f"{issuer}/revoke",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "scopes_supported": list(authority.scopes),
        "response_types_supported": [],
        "grant_types_supported": list(GRANT_TYPES),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(authority.algorithms),
        "token_endpoint_auth_methods_supported": client_authentication,
        "introspection_endpoint_auth_methods_supported": client_authentication,
        "revocation_endpoint_auth_methods_supported": client_authentication,
        "dpop_signing_alg_values_supported": list(jws.SIGNING_ALGORITHMS),
    }
