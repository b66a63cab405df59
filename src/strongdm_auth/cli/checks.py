"""The story of `flow`, as a list to be ticked off: each check, in order, and the reasons that say it failed.

Nothing is judged here. The verifier judges, and gives one reason; the checks before the one that the reason belongs to have
passed, and those after it were not reached. Where two checks share a reason, what the verifier asked the world for until then
tells them apart.
"""

from collections.abc import Collection, Iterable
from typing import Literal, NamedTuple

Result = Literal["pass", "fail", "not reached", "not asked", "cannot tell"]


class Check(NamedTuple):
    """One check: its place in the story, its name, what it asks, and the reasons it fails with."""

    step: int
    name: str
    question: str
    reasons: frozenset[str]


def _check(step: int, name: str, question: str, *reasons: str) -> Check:
    return Check(step, name, question, frozenset(reasons))


_DELEGATION = ("missing", "forbidden", "malformed", "too_deep", "actor", "subject", "human")

CREDENTIALS: tuple[Check, ...] = (
    _check(
        1,
        "credentials",
        "one set of credentials: Bearer or DPoP, one token",
        *(f"credentials.{reason}" for reason in ("missing", "scheme", "repeated", "malformed")),
    ),
    _check(1, "length", "the token is not too long", "token.too_long"),
    _check(1, "revoked here", "the API itself has not revoked it", "token.revoked"),
)
JWT: tuple[Check, ...] = (
    _check(2, "form", "it is a JWT, whole and well-formed", "token.malformed", "token.opaque"),
    _check(2, "alg", "its algorithm is accepted", "token.algorithm"),
    _check(2, "typ", "its header does not say that it is something else", "token.type"),
    _check(3, "issuer", "its issuer is let in", "token.issuer"),
    _check(4, "keys", "the issuer's keys can be had", "keys.unavailable", "keys.busy"),
    _check(5, "kid", "the issuer has the key that it names", "token.key_unknown"),
    _check(5, "signature", "the signature holds", "token.signature"),
    _check(5, "claims", "the claims that are needed are there, and well-formed", "token.claims"),
    _check(5, "exp", "it has not expired", "token.expired"),
    _check(5, "nbf, iat", "it counts already", "token.not_yet_valid"),
    _check(5, "kind", "it is an access token, and no other kind of JWT", "token.type"),
    _check(5, "aud", "it is for this API", "token.audience"),
    _check(5, "cnf", "it is bound to nothing, or to what can be checked", "token.confirmation"),
)
OPAQUE: tuple[Check, ...] = (
    _check(2, "form", "it is a JWT, or the issuer may be asked about it", "token.malformed", "token.opaque"),
)
#: What the issuer's answer about a token may be refused for, besides its own reasons.
_ANSWER = (
    "token.type",
    "token.issuer",
    "token.claims",
    "token.expired",
    "token.not_yet_valid",
    "token.audience",
    "token.confirmation",
)
INTROSPECTION = _check(
    8,
    "introspection",
    "the issuer says that it counts",
    "introspection.unavailable",
    "introspection.busy",
    "token.inactive",
    "token.introspection_mismatch",
)
CERTIFICATE = _check(
    6,
    "certificate",
    "the TLS certificate that it is bound to came along",
    "token.certificate_missing",
    "token.certificate_mismatch",
)
BINDING = _check(6, "binding", "bound is sent as DPoP, unbound as Bearer", "token.bound", "token.unbound")
PROOF: tuple[Check, ...] = (
    _check(6, "one proof", "one DPoP proof came along", "dpop.missing", "dpop.repeated"),
    _check(6, "proof length", "the proof is not too long", "dpop.too_long"),
    _check(6, "proof form", "the proof is a JWT, whole and well-formed", "dpop.malformed"),
    _check(6, "proof typ", "the proof says that it is one (dpop+jwt)", "dpop.typ"),
    _check(6, "proof alg", "the proof's algorithm is accepted, and fits its key", "dpop.algorithm"),
    _check(6, "proof key", "the key in the proof is public and usable", "dpop.key"),
    _check(6, "proof claims", "jti, htm, htu, iat and ath are there", "dpop.claims"),
    _check(6, "htm", "the proof is for this method", "dpop.htm_mismatch"),
    _check(6, "htu", "the proof is for this URL", "dpop.htu_mismatch"),
    _check(6, "proof age", "the proof is fresh", "dpop.expired", "dpop.not_yet_valid"),
    _check(6, "ath", "the proof is for this token", "dpop.ath_mismatch"),
    _check(6, "nonce", "the proof has a nonce of this API's", "dpop.nonce_missing", "dpop.nonce_stale"),
    _check(6, "jkt", "the proof is by the key that the token is bound to", "token.key_mismatch"),
    _check(6, "proof signature", "the proof's signature holds", "dpop.signature"),
)
FIRST_USE = _check(7, "first use", "the proof was never used before", "dpop.replayed", "replay.unavailable")
ROUTE: tuple[Check, ...] = (
    _check(9, "route: dpop", "bound, where the route wants it bound", "token.unbound"),
    _check(9, "route: realm", "the route lets this realm in", "realm.not_admitted"),
    _check(9, "route: act", "who acts for whom suits the route", *(f"delegation.{reason}" for reason in _DELEGATION)),
    _check(9, "route: acr", "authenticated strongly enough", "step_up.acr"),
    _check(9, "route: max_age", "authenticated recently enough", "step_up.max_age"),
    _check(9, "route: scope", "the scopes that the route needs are there", "scope.insufficient"),
    _check(10, "policy", "the application's own policy says yes", "policy.refused", "policy.unavailable"),
)
#: Reasons that no request with an access token is refused with: `revoke()` has the first, routes for workloads the others.
NOT_OF_THE_STORY = frozenset({"revocation.unavailable"}) | {
    f"svid.{reason}"
    for reason in ("needed", "malformed", "algorithm", "type", "trust_domain", "not_admitted", "unconfigured")
}


def story(*, opaque: bool) -> tuple[Check, ...]:
    """All checks in order, for a JWT or for a token that only the issuer can read."""
    if opaque:
        return (*CREDENTIALS, *OPAQUE, INTROSPECTION, CERTIFICATE, BINDING, *PROOF, FIRST_USE, *ROUTE)
    return (*CREDENTIALS, *JWT, CERTIFICATE, BINDING, *PROOF, FIRST_USE, INTROSPECTION, *ROUTE)


def failing(reason: str, checks: Iterable[Check], asked: Collection[str], *, in_route: bool = False) -> Check:
    """The check that this reason belongs to. `asked`: the purposes of the exchanges with the issuer until then."""
    candidates = [check for check in checks if reason in check.reasons] or [c for c in JWT if reason in c.reasons]
    if reason in _ANSWER and "introspection" in asked:
        return INTROSPECTION
    if reason == "token.issuer" and asked:  # the issuer itself knows no such realm
        return next(check for check in JWT if check.name == "keys")
    if len(candidates) > 1 and reason == "token.type":
        return candidates[1 if "jwks" in asked else 0]
    if len(candidates) > 1:  # token.unbound: of the settings, or of the route
        return candidates[1 if in_route else 0]
    return candidates[0]


def ticked(
    checks: Iterable[Check], failed: Check | None, not_asked: Collection[str], *, unavailable: bool = False
) -> list[tuple[Check, Result]]:
    """Each check with its result. `not_asked` names those that these settings, this route or this token do without."""
    found: list[tuple[Check, Result]] = []
    reached = True
    for check in checks:
        if check is failed:
            found.append((check, "cannot tell" if unavailable else "fail"))
            reached = False
        elif check.name in not_asked:
            found.append((check, "not asked"))
        else:
            found.append((check, "pass" if reached else "not reached"))
    return found
