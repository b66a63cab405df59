"""What stands beside each check of `explain`: the values that were compared. For reading; the verifier has judged already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from strongdm_auth.claims import RFC9068_CLAIMS, STRONGDM_CLAIMS, audience_of, scopes_of
from strongdm_auth.dpop import MOST_PROOF_BYTES
from strongdm_auth.errors import InvalidToken
from strongdm_auth.jose import encode_segment

from .decoded import Decoded
from .oddities import thumbprint_of_proof
from .times import span, when

if TYPE_CHECKING:
    from strongdm_auth import Request, Requirement, Settings

#: Long values are cut: a list of a hundred scopes helps nobody.
MOST_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Case:
    """A request and what it was held against."""

    settings: Settings
    request: Request
    requirement: Requirement
    token: str
    decoded: Decoded
    proof: Decoded | None
    now: float
    #: What was heard from the issuer and the store meanwhile, in a line each.
    heard: tuple[str, ...] = ()


def evidence(check: str, case: Case, *, failed: bool) -> str:
    """The values for one check; "" where there is nothing to show."""
    tell = _EVIDENCE.get(check)
    try:
        text = "" if tell is None else tell(case)
    except InvalidToken:  # a claim of the wrong type
        text = "malformed"
    if failed and check in ("keys", "kid", "introspection", "first use") and case.heard:
        text = "; ".join(filter(None, (text, *case.heard)))
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 3] + "..."


def _header(decoded: Decoded | None, name: str) -> str:
    value = ((decoded and decoded.header) or {}).get(name)
    return "absent" if value is None else str(value)


def _claim(decoded: Decoded | None, name: str) -> str:
    value = ((decoded and decoded.claims) or {}).get(name)
    return "absent" if value is None else str(value)


def _credentials(case: Case) -> str:
    values = case.request.authorization
    if len(values) != 1:
        return f"{len(values)} Authorization headers" if values else "no Authorization header"
    scheme = values[0].strip().partition(" ")[0]
    return f"scheme {scheme}" if len(scheme) <= 16 else "no scheme"


def _algorithm(case: Case) -> str:
    return f"{_header(case.decoded, 'alg')}; accepted: {', '.join(case.settings.algorithms)}"


def _issuer(case: Case) -> str:
    settings = case.settings
    if settings.realm is not None:
        allowed = settings.issuer
    elif settings.realms is None or settings.realms == "*":
        allowed = f"{settings.issuer} and any realm of it"
    else:
        allowed = ", ".join(f"{settings.issuer.removesuffix('/')}/realms/{realm}" for realm in sorted(settings.realms))
    return f"{_claim(case.decoded, 'iss')}; let in: {allowed}"


def _needed_claims(case: Case) -> str:
    needed = RFC9068_CLAIMS if case.settings.token_profile == "rfc9068" else STRONGDM_CLAIMS
    missing = [name for name in needed if (case.decoded.claims or {}).get(name) is None]
    return f"missing: {', '.join(missing)}" if missing else f"profile {case.settings.token_profile}"


def _date(decoded: Decoded | None, name: str, now: float) -> str:
    at = None if decoded is None else decoded.date(name)
    return f"{name} absent" if at is None else f"{name} {when(at, now)}"


def _audience(case: Case) -> str:
    audience = audience_of(case.decoded.claims or {})
    return f"aud {', '.join(audience) or 'absent'}; this API: {', '.join(case.settings.audience) or 'not set'}"


def _confirmation(case: Case) -> str:
    if case.decoded.thumbprint is not None:
        return f"bound to the key {case.decoded.thumbprint}"
    return _claim(case.decoded, "cnf") if "cnf" in (case.decoded.claims or {}) else "bound to nothing"


def _binding(case: Case) -> str:
    bound = "bound" if case.decoded.thumbprint else "not bound"
    return f"{bound}; {_credentials(case)}" + ("; dpop=required" if case.settings.dpop == "required" else "")


def _ath(case: Case) -> str:
    expected = encode_segment(sha256(case.token.encode("utf-8", "surrogatepass")).digest())
    return f"ath {_claim(case.proof, 'ath')}; of this token: {expected}"


def _jkt(case: Case) -> str:
    by = "unusable" if case.proof is None else thumbprint_of_proof(case.proof)
    return f"proof by {by}; token bound to {case.decoded.thumbprint}"


def _scopes(case: Case) -> str:
    needed = case.requirement.scope_names()
    held = sorted(scopes_of(case.decoded.claims or {})) if case.decoded.claims is not None else ["?"]
    missing = sorted(case.requirement.scopes - set(held))
    told = f"needed: {' '.join(needed)}; held: {' '.join(held) or 'none'}"
    return f"{told}; missing: {' '.join(missing)}" if missing else told


_EVIDENCE: dict[str, Callable[[Case], str]] = {
    "credentials": _credentials,
    "length": lambda case: f"{len(case.token)} of {case.settings.max_token_bytes} characters",
    "form": lambda case: (
        "; ".join(case.decoded.faults)
        or ("" if case.decoded.is_jws else f"{case.decoded.kind}; introspection={case.settings.introspection}")
    ),
    "alg": _algorithm,
    "typ": lambda case: f"typ {_header(case.decoded, 'typ')}",
    "issuer": _issuer,
    "kid": lambda case: f"kid {_header(case.decoded, 'kid')}",
    "claims": _needed_claims,
    "exp": lambda case: _date(case.decoded, "exp", case.now),
    "nbf, iat": lambda case: _date(case.decoded, "nbf" if case.decoded.date("nbf") else "iat", case.now),
    "kind": lambda case: case.decoded.kind,
    "aud": _audience,
    "cnf": _confirmation,
    "binding": _binding,
    "one proof": lambda case: f"{len(case.request.dpop)} DPoP headers" if len(case.request.dpop) != 1 else "",
    "proof length": lambda case: f"{sum(map(len, case.request.dpop))} of {MOST_PROOF_BYTES} characters",
    "proof form": lambda case: "; ".join(case.proof.faults) if case.proof else "",
    "proof typ": lambda case: f"typ {_header(case.proof, 'typ')}",
    "proof alg": lambda case: f"{_header(case.proof, 'alg')}; accepted: {', '.join(case.settings.dpop_algorithms)}",
    "htm": lambda case: f"htm {_claim(case.proof, 'htm')}; this request: {case.request.method}",
    "htu": lambda case: f"htu {_claim(case.proof, 'htu')}; this request: {case.request.uri(case.settings.public_url)}",
    "proof age": lambda case: (
        f"{_date(case.proof, 'iat', case.now)}; counts for {span(case.settings.dpop_proof_max_age)}"
    ),
    "ath": _ath,
    "nonce": lambda case: f"nonce {_claim(case.proof, 'nonce')}",
    "jkt": _jkt,
    "route: scope": _scopes,
    "route: acr": lambda case: f"acr {_claim(case.decoded, 'acr')}; needed: {' '.join(case.requirement.acr or ())}",
    "route: max_age": lambda case: _date(case.decoded, "auth_time", case.now),
    "route: act": lambda case: f"act {_claim(case.decoded, 'act')}",
}
