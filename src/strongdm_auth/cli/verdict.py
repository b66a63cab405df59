"""A request, given to the verifier, and what it said: the checks with their results, the answer, what to do."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from strongdm_auth import Admission, Exchange, Refused, TemporarilyUnavailable, Verifier
from strongdm_auth.events import Event

from .advice import ADVICE
from .checks import FIRST_USE, PROOF, Check, Result, failing, story, ticked
from .decoded import decode
from .evidence import Case, evidence

if TYPE_CHECKING:
    from strongdm_auth import AccessToken, Denial, Request, Requirement, Settings


#: What is not asked of a token that is bound to nothing.
WITHOUT_PROOF = frozenset(check.name for check in (*PROOF, FIRST_USE))


@dataclass(frozen=True, slots=True)
class Line:
    """One check, what came of it, and the values that were compared."""

    check: Check
    result: Result
    evidence: str

    def document(self) -> dict[str, Any]:
        """For JSON."""
        check = self.check
        told = {"step": check.step, "check": check.name, "question": check.question}
        return {**told, "result": self.result, "evidence": self.evidence}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the verifier said."""

    lines: tuple[Line, ...]
    token: AccessToken | None
    refusal: Refused | None
    denial: Denial | None
    advice: tuple[str, ...]
    exchanges: tuple[Exchange, ...]

    @property
    def reason(self) -> str:
        """`ok`, or the refusal's."""
        return "ok" if self.refusal is None else self.refusal.reason

    @property
    def error(self) -> str:
        """The error code in the answer's body."""
        return "" if self.refusal is None else self.refusal.error

    @property
    def status(self) -> int:
        """The exit status: 2 where it could not be told."""
        return 0 if self.refusal is None else 2 if isinstance(self.refusal, TemporarilyUnavailable) else 1

    def token_rows(self) -> Iterator[tuple[str, str]]:
        """Who was let in."""
        token = self.token
        if token is None:
            return
        yield "subject", token.subject or "none"
        yield "issuer", token.issuer
        yield "scopes", " ".join(sorted(token.scopes)) or "none"
        yield "client", token.client_id or "none"
        if token.delegation:
            yield "acting", " for ".join(actor.subject or "?" for actor in token.delegation)
        if token.key_thumbprint is not None:
            yield "bound to", token.key_thumbprint
        if token.certificate_thumbprint is not None:
            yield "bound to certificate", token.certificate_thumbprint

    def document(self) -> dict[str, Any]:
        """All of it, for JSON."""
        denial = self.denial
        answer = None
        if denial is not None:
            answer = {"status": denial.status, "headers": dict(denial.headers), "body": json.loads(denial.body)}
        return {
            "admitted": self.refusal is None,
            "reason": self.reason,
            "checks": [line.document() for line in self.lines],
            "token": dict(self.token_rows()),
            "answer": answer,
            "advice": list(self.advice),
            "exchanges": [
                {"purpose": one.purpose, "url": one.url, "status": one.status, "failure": one.failure}
                for one in self.exchanges
            ],
        }


class Exchanges:
    """Keeps what the verifier asks the issuer: the setting `on_event` of what is judged by."""

    def __init__(self) -> None:
        self.told: list[Exchange] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, Exchange):
            self.told.append(event)


def judge(
    settings: Settings, request: Request, requirement: Requirement, now: float, exchanges: Exchanges, *, own_store: bool
) -> Verdict:
    """Have a fresh verifier judge the request as of `now`; first by itself, then for the route, as a door does.

    `own_store`: the settings' replay store is one of this command's, and no word on what the API has seen.
    """
    verifier = Verifier(settings, clock=lambda: now)
    token, refusal, in_route = None, None, False
    with overheard() as heard:
        try:
            token = verifier.authenticate(request)
            in_route = True
            verifier.admit(request, requirement, Admission(token, ()))
        except Refused as refused:
            refusal = refused
        finally:
            verifier.close()
    compact = request.authorization[0].strip().partition(" ")[2].strip() if request.authorization else ""
    decoded = decode(compact)
    proof = decode(request.dpop[0].strip()) if request.dpop else None
    case = Case(settings, request, requirement, compact, decoded, proof, now, tuple(heard))
    checks, failed = story(opaque=bool(compact) and not decoded.is_jws and compact.count(".") != 2), None
    if refusal is not None:
        failed = failing(refusal.reason, checks, {one.purpose for one in exchanges.told}, in_route=in_route)
    unavailable = isinstance(refusal, TemporarilyUnavailable)
    verified: Any = token if refusal is None else refusal.token
    bound = decoded.thumbprint is not None if verified is None else verified.key_thumbprint is not None
    not_asked = _not_asked(case, own_store=own_store) | (frozenset() if bound else WITHOUT_PROOF)
    lines = []
    for check, result in ticked(checks, failed, not_asked, unavailable=unavailable):
        shown = result in ("pass", "fail", "cannot tell")
        text = evidence(check.name, case, failed=result in ("fail", "cannot tell")) if shown else ""
        if check.name == "first use" and result == "pass" and own_store:
            text = "by an empty store of this command's own; --use-replay-store asks the API's"
        if check.name == "aud" and result == "not asked":
            text = "audience is not set: tokens for other APIs count here, too"
        lines.append(Line(check, result, text))
    advice = [] if refusal is None else [ADVICE[refusal.reason]]
    denial = None if refusal is None else verifier.denial(refusal, requirement)
    return Verdict(tuple(lines), token, refusal, denial, tuple(advice), tuple(exchanges.told))


def _bound_to_certificate(claims: Any) -> bool:
    confirmation = claims.get("cnf") if isinstance(claims, dict) else None
    return isinstance(confirmation, dict) and "x5t#S256" in confirmation


def _not_asked(case: Case, *, own_store: bool) -> set[str]:
    """The checks that these settings, this route or this token do without."""
    settings, requirement = case.settings, case.requirement
    without = {
        "aud": not settings.audience,
        "certificate": not _bound_to_certificate(case.decoded.claims),
        "nonce": settings.dpop_nonce == "off",
        "revoked here": own_store or not settings.shares_memory,
        "introspection": settings.introspection != "always" and not requirement.introspect and case.decoded.is_jws,
        "route: dpop": not requirement.dpop,
        "route: realm": requirement.realms is None,
        "route: act": requirement.delegation is None,
        "route: acr": requirement.acr is None,
        "route: max_age": requirement.max_age is None,
        "route: scope": not requirement.scope_names(),
        "policy": settings.authorize is None,
    }
    return {name for name, unasked in without.items() if unasked}


@contextmanager
def overheard() -> Iterator[list[str]]:
    """What the library would write to its log meanwhile: why keys cannot be had, why a store failed."""
    heard: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING:
                heard.append(record.getMessage())

    logger, ear = logging.getLogger("strongdm_auth"), Ear()
    logger.addHandler(ear)
    try:
        yield heard
    finally:
        logger.removeHandler(ear)
