"""Tells those who watch: the logger `strongdm_auth.audit` (JSON lines, at INFO) and the observers that `on_event` names."""

import logging
from collections.abc import Sequence
from typing import Literal

from .asking import hash_of
from .errors import Refused, TemporarilyUnavailable
from .events import Decision, Event, Exchange, Observer, SecurityEvent
from .jose import encode_segment
from .request import Request
from .requirement import Requirement
from .tokens import AccessToken, scheme_of

#: A path is told up to here: servers take up to 64 KB of it from anybody.
LONGEST_PATH = 1_024

_trail = logging.getLogger("strongdm_auth.audit")
_log = logging.getLogger("strongdm_auth")


class Audit:
    """Where events go. Ask `listening` first: an event that nobody wants would cost a request more than all the rest."""

    __slots__ = ("_observers",)

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    @property
    def listening(self) -> bool:
        """Whether anybody wants to know of decisions."""
        return bool(self._observers) or _trail.isEnabledFor(logging.INFO)

    def admitted(self, request: Request, requirement: Requirement, token: AccessToken | None, now: float) -> None:
        """The request was let in: as its token says, or as nobody."""
        if self.listening:
            self._tell(_decision(request, requirement, token, None, now))

    def refused(self, request: Request, requirement: Requirement, refusal: Refused, now: float) -> None:
        """The request was not let in."""
        # Once a refusal, and for a developer: `strongdm-auth explain` goes on from here. The path is a stranger's.
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("refused: %.20s %.80r: %s (%s)", request.method, request.path, refusal.reason, refusal.message)
        if self.listening:
            token = refusal.token if isinstance(refusal.token, AccessToken) else None
            self._tell(_decision(request, requirement, token, refusal, now))

    def exchanged(self, exchange: Exchange) -> None:
        """The issuer was asked for something."""
        for observer in self._observers:
            _call(observer, exchange)

    def received(self, event: SecurityEvent) -> None:
        """An issuer told of something that ends tokens."""
        self._tell(event)

    def _tell(self, event: Decision | SecurityEvent) -> None:
        if _trail.isEnabledFor(logging.INFO):
            _trail.info("%s", event.as_json())
        for observer in self._observers:
            _call(observer, event)


def _call(observer: Observer, event: Event) -> None:
    try:
        observer(event)
    except Exception:  # whatever it is: who watches does not decide
        _log.exception("an observer failed")


def _decision(
    request: Request, requirement: Requirement, token: AccessToken | None, refusal: Refused | None, now: float
) -> Decision:
    outcome: Literal["admitted", "anonymous", "refused", "unavailable"] = "admitted" if token else "anonymous"
    scheme: Literal["Bearer", "DPoP"] | None = None
    if refusal is not None:
        outcome = "unavailable" if isinstance(refusal, TemporarilyUnavailable) else "refused"
        if refusal.scheme in ("Bearer", "DPoP"):
            scheme = "DPoP" if refusal.scheme == "DPoP" else "Bearer"
    elif token is not None:
        scheme = scheme_of(token)
    return Decision(
        time=now,
        outcome=outcome,
        reason="ok" if refusal is None else refusal.reason,
        status=200 if refusal is None else refusal.status_code,
        error=None if refusal is None else refusal.error,
        method=request.method,
        path=request.path[:LONGEST_PATH],
        route=request.route,
        scopes_needed=requirement.scope_names(),
        scheme=scheme,
        subject=token.subject if token else None,
        actors=tuple(actor.subject or "?" for actor in token.delegation) if token else (),
        client_id=token.client_id if token else None,
        issuer=token.issuer if token else None,
        realm=token.realm if token else None,
        scopes=tuple(sorted(token.scopes)) if token else (),
        key_thumbprint=token.key_thumbprint if token else None,
        certificate_thumbprint=token.certificate_thumbprint if token else None,
        token_id_hash=encode_segment(hash_of(token.token_id)) if token and token.token_id else None,
    )
