"""A DPoP proof by itself, given to the verifier's own rules (`dpop.ProofRules`): RFC 9449 4.3 but for first use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from strongdm_auth import Refused, Request, Requirement, Settings
from strongdm_auth.asking import hash_of
from strongdm_auth.dpop import ProofRules
from strongdm_auth.jose import encode_segment

from .advice import ADVICE
from .checks import PROOF, failing, ticked
from .decoded import decode
from .evidence import Case, evidence
from .verdict import Line


@dataclass(frozen=True, slots=True)
class ProofVerdict:
    """What the rules said."""

    lines: tuple[Line, ...]
    thumbprint: str | None
    refusal: Refused | None
    advice: tuple[str, ...]

    @property
    def status(self) -> int:
        """The exit status."""
        return 0 if self.refusal is None else 1

    def document(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "good": self.refusal is None,
            "reason": "ok" if self.refusal is None else self.refusal.reason,
            "thumbprint": self.thumbprint,
            "checks": [line.document() for line in self.lines],
            "advice": list(self.advice),
        }


def judge_proof(settings: Settings, proof: str, token: str | None, method: str, url: str, now: float) -> ProofVerdict:
    """The rules' word on one proof; with a token, also whether it is for that token and by its key."""
    request = Request(method, url, {"DPoP": proof})
    decoded = decode("" if token is None else token)
    refusal, thumbprint = None, None
    try:
        thumbprint = (
            ProofRules(settings)
            .check(
                request.dpop,
                method=method,
                uri=request.uri(settings.public_url),
                now=now,
                ath=None if token is None else encode_segment(hash_of(token)),
                thumbprint=decoded.thumbprint,
            )
            .thumbprint
        )
    except Refused as refused:
        refusal = refused
    case = Case(settings, request, Requirement(), token or "", decoded, decode(proof), now)
    without = {
        "nonce": settings.dpop_nonce == "off",
        "ath": token is None,
        "jkt": decoded.thumbprint is None,
    }
    failed = None if refusal is None else failing(refusal.reason, PROOF, ())
    lines = [
        Line(check, result, evidence(check.name, case, failed=result == "fail") if result in ("pass", "fail") else "")
        for check, result in ticked(PROOF, failed, {name for name, unasked in without.items() if unasked})
    ]
    advice = () if refusal is None else (ADVICE[refusal.reason],)
    return ProofVerdict(tuple(lines), thumbprint, refusal, advice)
