"""Which path of StrongDM ID is answered by what, at the root and below `/realms/{name}` alike. A path
leads to exactly one endpoint; an unknown one, or an unknown realm, is a 404 in the service's own form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from strongdm_auth.testing import discovery, introspection, protected, registration, token_endpoint
from strongdm_auth.testing.authority import Authority
from strongdm_auth.testing.messages import OAuthError, Reply, Request

Endpoint = Callable[[Authority, str | None, Request], Reply]

_REALMS = "/realms/"
_STATUS = "/register/status/"

ENDPOINTS: dict[str, dict[str, Endpoint]] = {
    "/.well-known/openid-configuration": {"GET": discovery.metadata},
    "/.well-known/spiffe-trust-bundle": {"GET": protected.trust_bundle},
    "/jwks": {"GET": discovery.key_set},
    "/token": {"POST": token_endpoint.token},
    "/introspect": {"POST": introspection.introspect},
    "/revoke": {"POST": introspection.revoke},
    "/userinfo": {"GET": protected.userinfo, "POST": protected.userinfo},
    "/svid/jwt": {"POST": protected.jwt_svid},
    "/register/request": {"POST": registration.request_registration},
    "/register/confirm": {"POST": registration.confirm},
    "/register/approve": {"GET": registration.approval_page},
    "/register/agent": {"POST": registration.enroll_agent},
    "/register/agent/activate": {"POST": registration.activate_agent},
    _STATUS: {"GET": registration.status},
}


#: Any page may ask, as the Authorize dialog of an API's documentation does (Fetch standard, CORS protocol).
_CROSS_ORIGIN = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "WWW-Authenticate, DPoP-Nonce"),
)
_PREFLIGHT = (
    *_CROSS_ORIGIN,
    ("Access-Control-Allow-Methods", "GET, POST"),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP, X-Requested-With"),
    ("Access-Control-Max-Age", "600"),
)


def dispatch(authority: Authority, request: Request) -> Reply:
    """The answer to this request, for pages of any origin."""
    if request.method == "OPTIONS":
        return Reply(204, _PREFLIGHT)
    reply = _dispatch(authority, request)
    return replace(reply, headers=(*reply.headers, *_CROSS_ORIGIN))


def _dispatch(authority: Authority, request: Request) -> Reply:
    """A refusal is an answer, too. HEAD is answered as GET, less the body on a wire."""
    try:
        realm, path = _split_realm(authority, request.path)
        methods = ENDPOINTS.get(_STATUS if path.startswith(_STATUS) else path)
        if methods is None:
            raise _not_found()
        endpoint = methods.get("GET" if request.method == "HEAD" else request.method)
        if endpoint is None:
            allowed = (("Allow", ", ".join(methods)),)
            raise OAuthError(405, "invalid_request", "this method is not allowed here", allowed)
        return endpoint(authority, realm, request)
    except OAuthError as refusal:
        return refusal.reply()


def _split_realm(authority: Authority, path: str) -> tuple[str | None, str]:
    if not path.startswith(_REALMS):
        return None, path
    realm, slash, rest = path.removeprefix(_REALMS).partition("/")
    if realm not in authority.realms:
        raise _not_found()
    return realm, slash + rest


def _not_found() -> OAuthError:
    return OAuthError(404, "not_found", "there is nothing at this path")
