"""From a refusal to an HTTP answer: status, headers, body; the same from every door.

All challenges stand in one `WWW-Authenticate` value (RFC 9110 11.6.1), `Bearer` first where both are offered, each with
at least one parameter (RFC 6750 3, RFC 9449 7.1). Nothing a client sent gets into a header or a body.
"""

import json
import math
import re
from dataclasses import dataclass

from .errors import (
    ConfigurationError,
    InsufficientUserAuthentication,
    InvalidDPoPProof,
    InvalidToken,
    MissingCredentials,
    StrongDMAuthError,
    TemporarilyUnavailable,
)
from .requirement import ANY_TOKEN, Requirement

#: The protection space (RFC 9110 11.5), named where a challenge has nothing else to say.
REALM = "api"
#: What a script of another origin may read, where the app's CORS policy lets it in at all (RFC 9449 8).
EXPOSED = ("Access-Control-Expose-Headers", "WWW-Authenticate, DPoP-Nonce")
#: The header of `unsafe_show_reasons`. Each value is a key of `errors.DESCRIPTIONS`, or of an application's own making.
REASON = "StrongDM-Auth-Reason"
#: RFC 6750 3: what error and error_description may be made of.
_NOT_IN_A_DESCRIPTION = re.compile(r"[^\x20-\x21\x23-\x5B\x5D-\x7E]")


@dataclass(frozen=True, slots=True)
class Denial:
    """An answer that lets nobody in. Doors copy it into their framework's response, byte for byte."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Challenges:
    """What an API offers in its challenges; built once from the settings."""

    dpop_required: bool
    dpop_algorithms: tuple[str, ...]
    resource_metadata: str | None = None
    #: Tell the client the machine's reason, too: for development.
    show_reasons: bool = False

    def denial(
        self, error: StrongDMAuthError, requirement: Requirement = ANY_TOKEN, *, nonce: str | None = None
    ) -> Denial:
        """The answer to `error` on a route that asks `requirement`; `nonce` is a fresh one for `use_dpop_nonce`."""
        if isinstance(error, ConfigurationError):
            raise error  # a fault of the deployment's that no client should be told about
        headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Vary", "Authorization, DPoP")]
        if isinstance(error, TemporarilyUnavailable):
            headers.append(("Retry-After", str(max(1, math.ceil(error.retry_after)))))
            headers.append(("Access-Control-Expose-Headers", "Retry-After"))
        elif error.status_code in (400, 401, 403):
            headers.append(("WWW-Authenticate", self._challenge(error, requirement)))
        if nonce is not None:
            headers.append(("DPoP-Nonce", nonce))
        if headers[-1][0] in ("WWW-Authenticate", "DPoP-Nonce"):
            headers.append(EXPOSED)
        if self.show_reasons:
            headers.append((REASON, _NOT_IN_A_DESCRIPTION.sub("", error.reason)))
        body = {"error": error.error, "error_description": error.message}
        return Denial(error.status_code, tuple(headers), json.dumps(body).encode() + b"\n")

    def _challenge(self, error: StrongDMAuthError, requirement: Requirement) -> str:
        offered = ["DPoP"] if self.dpop_required or requirement.dpop else ["Bearer", "DPoP"]
        if requirement.spiffe_ids:
            offered = ["Bearer"]  # a JWT-SVID is bound to nothing
        used: str | None = getattr(error, "scheme", None) or offered[0]
        if isinstance(error, MissingCredentials):
            used = None
        elif isinstance(error, InvalidDPoPProof):
            used = "DPoP"
        elif isinstance(error, InvalidToken) and used not in offered:
            used = offered[0]  # a Bearer token where only DPoP is taken
        if used is not None and not isinstance(error, InvalidToken):
            offered = [used]  # the other scheme would not help: another token, or another proof, will
        return ", ".join(self._one(scheme, error if scheme == used else None, requirement) for scheme in offered)

    def _one(self, scheme: str, error: StrongDMAuthError | None, requirement: Requirement) -> str:
        parameters: dict[str, str] = {}
        if error is not None:
            parameters["error"] = error.error
            parameters["error_description"] = _NOT_IN_A_DESCRIPTION.sub("", error.message)
        if scopes := requirement.scope_names():
            parameters["scope"] = " ".join(scopes)
        if isinstance(error, InsufficientUserAuthentication):
            if requirement.acr:
                parameters["acr_values"] = " ".join(requirement.acr)
            if requirement.max_age is not None:
                parameters["max_age"] = str(requirement.max_age)
        if self.resource_metadata is not None:
            parameters["resource_metadata"] = self.resource_metadata
        if scheme == "DPoP":
            parameters["algs"] = " ".join(self.dpop_algorithms)
        if not parameters:
            parameters["realm"] = REALM
        return f"{scheme} " + ", ".join(f'{name}="{value}"' for name, value in parameters.items())
