"""What is worth knowing about a token or a proof that was decoded and not verified: what an API would trip over first."""

from __future__ import annotations

from typing import Any

from strongdm_auth.fields import ASYMMETRIC_ALGORITHMS
from strongdm_auth.jose import PRIVATE_MEMBERS, UnusableKey, import_public_key, is_numeric_date

from .decoded import Decoded
from .times import relative, span

#: The defaults of `leeway` and `dpop_proof_max_age`.
LEEWAY, PROOF_MAX_AGE = 30.0, 60.0
#: An access token that lives longer is a long time in a thief's hands.
LONG_LIFE = 86_400.0
_ACCESS_TOKEN_TYPES = ("jwt", "at+jwt", "application/at+jwt")
#: Header members that name a key, or where to get one: an issuer's keys come from its own key set alone (RFC 8725 3.10).
_KEYS_IN_HEADER = ("jwk", "jku", "x5u", "x5c")


def oddities(decoded: Decoded, now: float, scheme: str | None = None) -> list[str]:
    """Remarks, the weightiest first."""
    if decoded.encrypted:
        return ["it is encrypted (JWE): only the issuer can read it, and this library takes signed tokens only"]
    if decoded.header is None:
        return ["it is no JWT: only the issuer knows what it means (introspection, RFC 7662)"]
    found = list(decoded.faults)
    found += _header(decoded.header, proof=decoded.kind == "DPoP proof")
    if decoded.claims is not None:
        found += _times(decoded, now)
        found += _proof(decoded, now) if decoded.kind == "DPoP proof" else _token(decoded, scheme)
    return found


def shown_header(decoded: Decoded) -> dict[str, Any] | None:
    """The header, less the private members of a key that should never have been in it."""
    if decoded.header is None:
        return None
    jwk = decoded.header.get("jwk")
    if not isinstance(jwk, dict):
        return dict(decoded.header)
    return {**decoded.header, "jwk": {name: "..." if name in PRIVATE_MEMBERS else jwk[name] for name in jwk}}


def thumbprint_of_proof(decoded: Decoded) -> str | None:
    """RFC 7638, of the key in a proof's header."""
    try:
        return import_public_key((decoded.header or {}).get("jwk")).thumbprint
    except UnusableKey:
        return None


def _header(header: Any, *, proof: bool) -> list[str]:
    found = []
    alg, typ = header.get("alg"), header.get("typ")
    if not isinstance(alg, str) or alg.lower() == "none":
        found.append("alg: it is signed by nobody")
    elif alg not in ASYMMETRIC_ALGORITHMS:
        found.append(f"alg: {alg} is symmetric or unknown: whoever could check it could have made it, too")
    if "crit" in header or header.get("b64", True) is not True:
        found.append("crit, b64: it asks for an extension, and none is known")
    if proof:
        return found
    if typ is not None and (not isinstance(typ, str) or typ.lower() not in _ACCESS_TOKEN_TYPES):
        found.append("typ: it says that it is something else than an access token")
    found += [
        f"{name}: a key in the header is never used for access tokens" for name in _KEYS_IN_HEADER if name in header
    ]
    if "kid" not in header:
        found.append("kid: missing; every key of the issuer that fits the algorithm has to be tried")
    return found


def _times(decoded: Decoded, now: float) -> list[str]:
    found = []
    expires_at, issued_at, not_before = decoded.date("exp"), decoded.date("iat"), decoded.date("nbf")
    for name in ("exp", "iat", "nbf"):
        if name in (decoded.claims or {}) and decoded.date(name) is None:
            found.append(f"{name}: not a number")
    if expires_at is not None and expires_at <= now:
        grace = " (within the usual leeway of 30 seconds)" if now - LEEWAY < expires_at else ""
        found.append(f"exp: expired {relative(expires_at, now)}{grace}")
    for name, at in (("nbf", not_before), ("iat", issued_at)):
        if at is not None and at > now + LEEWAY:
            found.append(f"{name}: from the future, {relative(at, now)}; or this clock is wrong")
    if expires_at is not None and issued_at is not None and expires_at - issued_at > LONG_LIFE:
        found.append(f"exp: it lives for {span(expires_at - issued_at)}, which is long for an access token")
    return found


def _token(decoded: Decoded, scheme: str | None) -> list[str]:
    claims = decoded.claims or {}
    found = [f"{name}: missing, and needed" for name in ("iss", "sub", "exp", "iat") if claims.get(name) is None]
    if claims.get("aud") is None:
        found.append(
            "aud: missing; an API that sets its audience refuses it, and one that does not takes it for its own"
        )
    if decoded.kind == "JWT-SVID":
        found.append("sub: a SPIFFE ID: this is a workload's identity, and no access token")
    elif claims.get("token_type", "access_token") != "access_token" or "events" in claims or "nonce" in claims:
        found.append("it has claims of another kind of JWT (an ID token, a logout token): it is no access token")
    if not str(claims.get("scope") or ""):
        found.append("scope: none")
    confirmation = claims.get("cnf")
    if decoded.thumbprint is not None:
        found.append("cnf.jkt: bound to a key; send it with the scheme DPoP and a fresh proof by that key")
        if scheme == "Bearer":
            found.append("it came as Bearer, and would be refused for that")
    elif isinstance(confirmation, dict) and "x5t#S256" in confirmation:
        found.append(
            "cnf.x5t#S256: bound to a TLS certificate, which only the server that ends the TLS connection can check"
        )
    elif confirmation is not None:
        found.append("cnf: bound in a way that is not known here")
    else:
        found.append("bound to nothing: whoever has it can use it")
        if scheme == "DPoP":
            found.append("it came with the scheme DPoP, and would be refused for that")
    if "act" in claims:
        found.append(f"act: {_acting(claims['act'])} acts for {decoded.text('sub') or 'somebody'}")
    return found


def _acting(act: object) -> str:
    subject = act.get("sub") if isinstance(act, dict) else None
    return subject if isinstance(subject, str) else "somebody who cannot be told"


def _proof(decoded: Decoded, now: float) -> list[str]:
    header, claims = decoded.header or {}, decoded.claims or {}
    found = []
    if header.get("typ") != "dpop+jwt":
        found.append("typ: must be dpop+jwt")
    jwk = header.get("jwk")
    if isinstance(jwk, dict) and not PRIVATE_MEMBERS.isdisjoint(jwk):
        found.append("jwk: THE PRIVATE KEY IS IN THE HEADER: whoever saw this proof has it. Make a new key")
    else:
        try:
            import_public_key(jwk)
        except UnusableKey as fault:
            found.append(f"jwk: {fault}")
    found += [f"{name}: missing, and needed" for name in ("jti", "htm", "htu", "iat") if claims.get(name) is None]
    issued_at = claims.get("iat")
    if is_numeric_date(issued_at) and issued_at < now - PROOF_MAX_AGE:
        found.append(f"iat: made {relative(issued_at, now)}; a proof usually counts for a minute")
    htu = decoded.text("htu") or ""
    if "?" in htu or "#" in htu:
        found.append("htu: it should have neither query nor fragment (RFC 9449 4.2)")
    if "ath" not in claims:
        found.append("ath: missing; right for a token endpoint, refused by an API")
    return found
