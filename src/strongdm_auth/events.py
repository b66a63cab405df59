"""What the verifier tells those who watch it: each decision, and each exchange with the issuer. Values only, never a token."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Who asked for what, and what they were told.

    Of a refused request only what was verified before the refusal is known: an invented token names nobody.
    """

    #: Seconds since the epoch.
    time: float
    #: `anonymous` is let in, too: nobody, where a route does not ask. `unavailable` is our fault or the issuer's.
    outcome: Literal["admitted", "anonymous", "refused", "unavailable"]
    #: Stable, for alerts and dashboards: "ok", or what `Refused.reason` is, such as "token.expired".
    reason: str
    #: The answer's status, and its error code; 200 stands for whatever the view then says.
    status: int
    error: str | None
    method: str
    #: As it was sent, without the query: a client may have put a token there.
    path: str
    #: The route's own pattern, such as `/notes/<id>`, where the framework tells.
    route: str | None
    #: What the route asks for.
    scopes_needed: tuple[str, ...]
    scheme: Literal["Bearer", "DPoP"] | None
    subject: str | None = None
    #: Who acts for the subject: the agent now acting first, then the ones before it. "?" stands for one who cannot be told.
    actors: tuple[str, ...] = ()
    client_id: str | None = None
    issuer: str | None = None
    realm: str | None = None
    scopes: tuple[str, ...] = ()
    #: RFC 7638, of the key that the token is bound to.
    key_thumbprint: str | None = None
    #: RFC 8705 3.1, of the client certificate that the token is bound to.
    certificate_thumbprint: str | None = None
    #: SHA-256 of the token's `jti`, base64url: tells two tokens apart, and gives none away.
    token_id_hash: str | None = None

    def as_json(self) -> str:
        """One line, ASCII only, so that no name that somebody chose can begin another line."""
        told = {name: value for name, value in asdict(self).items() if value is not None and value != ()}
        return json.dumps({"event": "decision"} | told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request to the issuer, and what came of it."""

    #: Seconds since the epoch, and seconds.
    time: float
    duration: float
    purpose: Literal["discovery", "jwks", "trust_bundle", "introspection"]
    method: Literal["GET", "POST"]
    url: str
    #: None where no answer came.
    status: int | None
    #: Why there is none, in words for a log.
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityEvent:
    """A Security Event Token was accepted (RFC 8417): what its issuer said has happened."""

    #: Seconds since the epoch: now, and the time up to which what was issued to the subjects has ended.
    time: float
    at: float
    issuer: str
    #: The URIs of the events.
    events: tuple[str, ...]
    #: How many names tokens are refused by from now on; 0 for events without effect.
    subjects: int

    def as_json(self) -> str:
        """One line, ASCII only."""
        return json.dumps({"event": "security_event"} | asdict(self))


Event: TypeAlias = Decision | Exchange | SecurityEvent
#: Whoever watches: called in the request's own thread or event loop, so quick. What it raises is logged and stops nothing.
Observer: TypeAlias = Callable[[Event], Any]
