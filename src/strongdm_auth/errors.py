"""What can go wrong, as one tree. Every refusal carries its HTTP answer and a stable machine reason.

    StrongDMAuthError                     message, status_code, error, reason
    ├── ConfigurationError                at start-up: names the setting, what is wrong with it and the fix
    └── Refused                           a request was not let in
        ├── MissingCredentials            401  unauthorized (no error code in the challenge, RFC 6750 3.1)
        ├── InvalidRequest                400  invalid_request
        ├── InvalidToken                  401  invalid_token
        ├── InvalidDPoPProof              401  invalid_dpop_proof (RFC 9449 7.1)
        │   └── UseDPoPNonce              401  use_dpop_nonce (RFC 9449 9)
        ├── InsufficientScope             403  insufficient_scope
        ├── AccessDenied                  403  access_denied
        ├── InsufficientUserAuthentication 401 insufficient_user_authentication (RFC 9470)
        └── TemporarilyUnavailable        503  temporarily_unavailable: our fault or the issuer's, never the client's

`reason` ("token.expired") is for logs, metrics and tests; `message` is what a client may read. Neither ever
repeats anything that a client or an issuer sent.
"""

from typing import ClassVar

#: Each reason with the words a client gets for it. One table, so that a reviewer sees at a glance that none echoes input.
DESCRIPTIONS: dict[str, str] = {
    "credentials.missing": "Authentication is required",
    "credentials.scheme": "Authentication with the Bearer or DPoP scheme is required",
    "credentials.repeated": "More than one set of credentials was sent",
    "credentials.malformed": "The Authorization header is malformed",
    "token.too_long": "The access token is too long",
    "token.malformed": "The access token is malformed",
    "token.algorithm": "The access token is signed with an algorithm that is not accepted",
    "token.type": "The token is not an access token",
    "token.issuer": "The access token is from an issuer that is not accepted",
    "token.key_unknown": "The access token is signed with an unknown key",
    "token.signature": "The signature of the access token is not valid",
    "token.claims": "The access token lacks a claim or has a malformed one",
    "token.expired": "The access token has expired",
    "token.not_yet_valid": "The access token is not valid yet",
    "token.audience": "The access token is for another audience",
    "token.confirmation": "The access token is bound in a way that cannot be checked here",
    "token.opaque": "The access token is not a JWT",
    "token.inactive": "The access token is not active",
    "token.revoked": "The access token was revoked",
    "token.introspection_mismatch": "The issuer's word on the access token contradicts the token",
    "token.unbound": "The access token is not bound to a key",
    "token.bound": "The access token is bound to a key and needs the DPoP scheme",
    "token.key_mismatch": "The access token is bound to another key",
    "token.certificate_missing": "The access token is bound to a client certificate, which did not come with the request",
    "token.certificate_mismatch": "The access token is bound to another client certificate",
    "svid.needed": "A workload's SVID is required, and not an access token",
    "svid.malformed": "The JWT-SVID is malformed",
    "svid.algorithm": "The JWT-SVID is signed with an algorithm that is not accepted",
    "svid.type": "The token is not a JWT-SVID",
    "svid.trust_domain": "The JWT-SVID is from a trust domain that is not accepted",
    "svid.not_admitted": "This workload is not let in here",
    "svid.unconfigured": "Workloads cannot be let in by this deployment",
    "dpop.missing": "A DPoP proof is required",
    "dpop.repeated": "More than one DPoP proof was sent",
    "dpop.too_long": "The DPoP proof is too long",
    "dpop.malformed": "The DPoP proof is malformed",
    "dpop.typ": "The typ of the DPoP proof is not dpop+jwt",
    "dpop.algorithm": "The DPoP proof is signed with an algorithm that is not accepted",
    "dpop.key": "The key in the DPoP proof cannot be used",
    "dpop.claims": "The DPoP proof lacks a claim or has a malformed one",
    "dpop.htm_mismatch": "The DPoP proof is for another method",
    "dpop.htu_mismatch": "The DPoP proof is for another URI",
    "dpop.expired": "The DPoP proof is too old",
    "dpop.not_yet_valid": "The DPoP proof is from the future",
    "dpop.ath_mismatch": "The DPoP proof is for another access token",
    "dpop.signature": "The signature of the DPoP proof is not valid",
    "dpop.replayed": "The DPoP proof was used before",
    "dpop.nonce_missing": "The DPoP proof needs a nonce",
    "dpop.nonce_stale": "The DPoP proof needs a newer nonce",
    "scope.insufficient": "The access token lacks a scope that is needed here",
    "realm.not_admitted": "Agents of this realm are not let in here",
    "delegation.missing": "A delegated access token is required",
    "delegation.forbidden": "Delegated access tokens are not let in here",
    "delegation.malformed": "The delegation in the access token is malformed",
    "delegation.too_deep": "The delegation chain is too long",
    "delegation.actor": "The acting agent is not let in here",
    "delegation.subject": "Acting for this subject is not let in here",
    "delegation.human": "Only what a human is behind is let in here",
    "step_up.acr": "A stronger authentication is required",
    "step_up.max_age": "A more recent authentication is required",
    "keys.unavailable": "The issuer's keys cannot be had right now",
    "keys.busy": "The issuer's keys are being fetched",
    "introspection.unavailable": "The issuer cannot be asked about the token right now",
    "introspection.busy": "Too many tokens are being asked about right now",
    "revocation.unavailable": "The revocation could not be passed on to all workers; try again",
    "policy.refused": "This is not allowed",
    "policy.unavailable": "Whether this is allowed cannot be told right now",
    "replay.unavailable": "Whether the proof was used before cannot be told right now",
}


class StrongDMAuthError(Exception):
    """The root of the tree. Raise it yourself, `StrongDMAuthError("No such account", 403)`, to refuse from a view."""

    status_code: int = 401
    error: str = "invalid_token"
    reason: str = "application"

    #: The error code that goes with a status that an application chose.
    CODES: ClassVar[dict[int, str]] = {
        400: "invalid_request",
        401: "invalid_token",
        403: "access_denied",
        503: "temporarily_unavailable",
    }

    def __init__(self, message: str, status_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        if status_code is not None:
            self.status_code = status_code
            self.error = self.CODES.get(status_code, "access_denied" if status_code < 500 else "server_error")


class ConfigurationError(StrongDMAuthError):
    """A setting is wrong. Raised at start-up only; the message names the setting, the problem and the fix."""

    status_code = 500
    error = "server_error"
    reason = "configuration"


class Refused(StrongDMAuthError):
    """A request was not let in. `scheme` is the scheme that the client used, once that is known.

    `token` is its access token, where that was verified before something else failed; for the audit trail alone.
    """

    token: object = None

    def __init__(self, reason: str, *, scheme: str | None = None) -> None:
        self.message = message = DESCRIPTIONS[reason]
        Exception.__init__(self, message)  # not by way of the root: a class says its own status
        self.reason = reason
        self.scheme = scheme


class MissingCredentials(Refused):
    """Nothing was presented that could be judged; the challenge names no error (RFC 6750 3.1)."""

    error = "unauthorized"


class InvalidRequest(Refused):
    """The credentials cannot be read, or came twice (RFC 6750 3.1)."""

    status_code = 400
    error = "invalid_request"


class InvalidToken(Refused):
    """The access token does not count: expired, forged, for someone else, malformed, or not bound as it was used."""


class InvalidDPoPProof(Refused):
    """The proof is missing or fails a check of RFC 9449 4.3."""

    error = "invalid_dpop_proof"


class UseDPoPNonce(InvalidDPoPProof):
    """The proof needs a fresh nonce of ours (RFC 9449 9); the answer carries one in `DPoP-Nonce`."""

    error = "use_dpop_nonce"


class InsufficientScope(Refused):
    """The token is good, but a scope is missing."""

    status_code = 403
    error = "insufficient_scope"


class AccessDenied(Refused):
    """The token is good, but the route's policy (realm, delegation) says no."""

    status_code = 403
    error = "access_denied"


class InsufficientUserAuthentication(Refused):
    """The user must authenticate again or more strongly (RFC 9470 3)."""

    error = "insufficient_user_authentication"


class TemporarilyUnavailable(Refused):
    """It cannot be judged right now: keys, introspection or the replay store are away. Not the client's fault."""

    status_code = 503
    error = "temporarily_unavailable"

    def __init__(self, reason: str, *, retry_after: float = 5.0, scheme: str | None = None) -> None:
        super().__init__(reason, scheme=scheme)
        #: Seconds after which another try makes sense; whole seconds and at least 1 in the answer.
        self.retry_after = retry_after


#: The refusals that are raised; doors make each of them their framework's own exception, too.
REFUSALS: tuple[type[Refused], ...] = (
    MissingCredentials,
    InvalidRequest,
    InvalidToken,
    InvalidDPoPProof,
    UseDPoPNonce,
    InsufficientScope,
    AccessDenied,
    InsufficientUserAuthentication,
    TemporarilyUnavailable,
)
