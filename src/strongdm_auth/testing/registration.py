"""The registration endpoints of StrongDM ID: a client asks, its sponsor reads a code, the client confirms
and gets its secret once; an agent is enrolled with a token the same way. The code is handed to `notify`
instead of mailed and never appears in an answer."""

from __future__ import annotations

from datetime import UTC, datetime

from strongdm_auth.testing.authority import Authority
from strongdm_auth.testing.clients import Client, scope_tokens
from strongdm_auth.testing.enrollment import Enrollment
from strongdm_auth.testing.messages import OAuthError, Reply, Request, json_reply

_MAX_TEXT = 200  # a name or an address; longer ones are not people's


def request_registration(authority: Authority, realm: str | None, request: Request) -> Reply:
    """POST /register/request"""
    enrollment = _open(authority, realm, request.json_object(), agent=False)
    answer = _described(authority, enrollment)
    root = authority.issuer_url(enrollment.realm)
    answer["approval_url"] = f"{root}/register/approve?enrollment={enrollment.enrollment_id}"
    answer["poll_token"] = enrollment.poll_token
    return json_reply(answer)


def enroll_agent(authority: Authority, realm: str | None, request: Request) -> Reply:
    """POST /register/agent"""
    enrollment = _open(authority, realm, request.json_object(), agent=True)
    return json_reply(_described(authority, enrollment))


def confirm(authority: Authority, realm: str | None, request: Request) -> Reply:
    """POST /register/confirm"""
    body = request.json_object()
    enrollment = authority.enrollments.confirm(
        _text(body, "enrollment_id"),
        realm,
        poll_token=_text(body, "poll_token"),
        code=_text(body, "verification_code"),
    )
    return json_reply(_credentials(authority, _registered(authority, enrollment)))


def activate_agent(authority: Authority, realm: str | None, request: Request) -> Reply:
    """POST /register/agent/activate"""
    enrollment = authority.enrollments.activate(_text(request.json_object(), "enrollment_token"), realm)
    return json_reply(_credentials(authority, _registered(authority, enrollment)))


def status(authority: Authority, realm: str | None, request: Request) -> Reply:
    """GET /register/status/{id}"""
    enrollment = authority.enrollments.find(request.path.rpartition("/")[2], realm)
    return json_reply(
        {
            "enrollment_id": enrollment.enrollment_id,
            "status": enrollment.status(authority.clock()),
            "expires_at": _timestamp(enrollment.expires_at),
            "realm": enrollment.realm,
        }
    )


def approval_page(authority: Authority, realm: str | None, request: Request) -> Reply:  # noqa: ARG001
    """GET /register/approve: the link of the answer leads somewhere, and says where the code is."""
    text = "Local issuer, for development only. The verification code was printed where this issuer runs.\n"
    return Reply(200, (("Content-Type", "text/plain; charset=utf-8"),), text.encode())


def _open(authority: Authority, realm: str | None, body: dict[str, object], *, agent: bool) -> Enrollment:
    email = _text(body, "email")
    if "@" not in email:
        raise OAuthError(400, "invalid_request", "email must be an address")
    name = _text(body, "agent_name" if agent else "client_name")
    asked = body.get("requested_scopes", [])
    if not isinstance(asked, list) or not all(isinstance(scope, str) for scope in asked):
        raise OAuthError(400, "invalid_request", "requested_scopes must be a list of strings")
    if not set(asked) <= set(authority.scopes):
        raise OAuthError(403, "access_denied", "a requested scope is not offered here")
    return authority.enrollments.open(
        "enrollment_token" if agent else "verification_code",
        realm=_chosen_realm(authority, realm, body),
        email=email,
        name=name,
        scopes=scope_tokens(asked),
    )


def _chosen_realm(authority: Authority, realm: str | None, body: dict[str, object]) -> str | None:
    """The realm of the path; at the root the one the body names, else the home realm."""
    named = body.get("realm")
    if realm is not None or named is None:
        return authority.home_realm if realm is None else realm
    if not isinstance(named, str) or named not in authority.realms:
        raise OAuthError(404, "not_found", "there is no such realm")
    return named


def _registered(authority: Authority, enrollment: Enrollment) -> Client:
    return authority.clients.register(
        enrollment.name, scopes=enrollment.scopes, realm=enrollment.realm, email=enrollment.email
    )


def _described(authority: Authority, enrollment: Enrollment) -> dict[str, object]:
    root = authority.issuer_url(enrollment.realm)
    return {
        "enrollment_id": enrollment.enrollment_id,
        "status_url": f"{root}/register/status/{enrollment.enrollment_id}",
        "expires_at": _timestamp(enrollment.expires_at),
        "email_sent": False,
        "realm": enrollment.realm,
        "token_endpoint": f"{root}/token",
    }


def _credentials(authority: Authority, client: Client) -> dict[str, object]:
    root = authority.issuer_url(client.realm)
    return {
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "granted_scopes": list(client.scopes),
        "token_endpoint": f"{root}/token",
        "issuer": root,
        "realm": client.realm,
    }


def _text(body: dict[str, object], name: str) -> str:
    value = body.get(name)
    # Printable only: names end up in a terminal, where control characters are commands.
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT or not value.isprintable():
        raise OAuthError(400, "invalid_request", f"{name} must be a short printable string")
    return value


def _timestamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
