"""Who may be let in, said a second time: slow, obvious, and by other means than the verifier's.

Nothing of the verifier's own rules is used here, only its settings; signatures are joserfc's word. Whoever is let in must be
let in by this, too.
"""

import hashlib
import json
import math
import re
import warnings
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard
from urllib.parse import unquote_plus

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from strongdm_auth import Settings

Published = Mapping[str, Sequence[Any]]

_KEY_TYPES: dict[str, Any] = {"EC": ECKey, "OKP": OKPKey, "RSA": RSAKey}
_PUBLIC = ("kty", "crv", "x", "y", "n", "e")
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_STRINGS = ("sub", "scope", "client_id", "azp", "jti")
_SYMMETRIC_OR_NONE = re.compile(r"none|HS.*", re.IGNORECASE)


class _Registry(jws.JWSRegistry):
    max_header_length = 8_192  # a proof's header has a key in it

    def check_header(self, header: Any) -> None:
        """Nothing: it is looked at in `read`, and what means nothing here may be anything (RFC 7515 4)."""


class Asked(NamedTuple):
    """A request, as plain as it came."""

    authorization: Sequence[str]
    dpop: Sequence[str]
    method: str
    url: str


def admits(
    asked: Asked, settings: Settings, published: Published, now: float, nonces: Collection[str] = ()
) -> dict[str, Any] | None:
    """The claims of the token that lets this request in; None where nothing may. `nonces` are the good ones."""
    credentials = _credentials(asked, settings)
    if credentials is None:
        return None
    scheme, token = credentials
    claims = _believed(token, settings, published, now)
    if claims is None:
        return None
    if "cnf" not in claims:
        return claims if scheme == "bearer" and settings.dpop != "required" else None
    confirmation = claims["cnf"]
    if scheme != "dpop" or not isinstance(confirmation, dict) or "x5t#S256" in confirmation:
        return None
    proven = len(asked.dpop) == 1 and _proves(asked, token, confirmation.get("jkt"), settings, now, nonces)
    return claims if proven else None


def _credentials(asked: Asked, settings: Settings) -> tuple[str, str] | None:
    """RFC 6750 2.1: one header, one scheme of ours, one b64token; and no second token in the query."""
    if len(asked.authorization) != 1:
        return None
    match = re.fullmatch(r"[ \t]*([A-Za-z]+) +([A-Za-z0-9._~+/-]+=*)[ \t]*", asked.authorization[0])
    if match is None or match[1].lower() not in ("bearer", "dpop") or len(match[2]) > settings.max_token_bytes:
        return None
    query = asked.url.partition("#")[0].partition("?")[2]
    if any(unquote_plus(pair.partition("=")[0]) == "access_token" for pair in query.split("&")):
        return None
    return match[1].lower(), match[2]


def _believed(token: str, settings: Settings, published: Published, now: float) -> dict[str, Any] | None:
    """The claims, where the token is a good one for this API (RFC 9068 4, RFC 8725)."""
    parts = read(token)
    if parts is None:
        return None
    header, claims = parts
    alg, typ, issuer = header.get("alg"), header.get("typ", "JWT"), claims.get("iss")
    if alg not in settings.algorithms or _SYMMETRIC_OR_NONE.fullmatch(alg):
        return None
    if not isinstance(issuer, str) or issuer not in _issuers(settings, published):
        return None
    if not any(_may_sign(jwk, header.get("kid")) and signed(token, alg, jwk) for jwk in published[issuer]):
        return None
    late, early = claims.get("exp"), [claims.get("iat", now), claims.get("nbf", now)]
    if not _is_number(late) or not all(map(_is_number, early)):
        return None
    if now - settings.leeway >= late or max(early) > now + settings.leeway or "iat" not in claims:
        return None
    audience = claims.get("aud") or []
    audience = [audience] if isinstance(audience, str) else audience
    if not isinstance(audience, list) or not all(isinstance(name, str) for name in audience):
        return None
    if settings.audience and set(settings.audience).isdisjoint(audience):
        return None
    if not claims.get("sub") or not all(isinstance(claims.get(name, ""), str) for name in _STRINGS):
        return None
    return claims if _is_access_token(typ, claims, strict=settings.token_profile == "rfc9068") else None


def _is_access_token(typ: object, claims: dict[str, Any], *, strict: bool) -> bool:
    """RFC 8725 3.12: ID tokens, logout tokens, SVIDs and the like are signed with the same keys."""
    said = str(typ).lower() in ("at+jwt", "application/at+jwt")
    if strict:
        return (
            said and all(claims.get(name) is not None for name in ("jti", "client_id", "aud")) and _right_claims(claims)
        )
    if not said and str(typ).lower() != "jwt":
        return False
    if not said and claims.keys().isdisjoint(("token_type", "token_use", "typ")):
        if claims["sub"].startswith("spiffe://") or not claims.keys().isdisjoint(
            ("nonce", "at_hash", "c_hash", "s_hash")
        ):
            return False
        if claims.get("azp") and claims.get("aud") in (claims["azp"], [claims["azp"]]):
            return False
    return _right_claims(claims)


def _right_claims(claims: dict[str, Any]) -> bool:
    return (
        claims.get("token_type", "access_token") == "access_token"
        and claims.get("token_use", "access") == "access"
        and str(claims.get("typ", "bearer")).lower() in ("bearer", "dpop")
        and "events" not in claims
    )


def _issuers(settings: Settings, published: Published) -> set[str]:
    if settings.realms in (None, "*"):
        return set(published)
    return {f"{settings.issuer}/realms/{realm}" for realm in settings.realms or ()}


def _proves(
    asked: Asked, token: str, thumbprint: object, settings: Settings, now: float, nonces: Collection[str]
) -> bool:
    """RFC 9449 4.3, all twelve checks but for replay."""
    proof = asked.dpop[0].strip(" \t")
    parts = read(proof)
    if parts is None or len(proof) > 8_192:
        return False
    header, claims = parts
    alg, jwk, issued_at = header.get("alg"), header.get("jwk"), claims.get("iat")
    if header.get("typ") != "dpop+jwt" or alg not in settings.dpop_algorithms or _SYMMETRIC_OR_NONE.fullmatch(alg):
        return False
    if not isinstance(jwk, dict) or not jwk.keys().isdisjoint(_PRIVATE):
        return False
    if not signed(proof, alg, {**jwk, "alg": None}) or public_key(jwk).thumbprint() != thumbprint:
        return False
    hashed = urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
    ours = asked.url if settings.public_url is None else settings.public_url.rstrip("/") + (_split(asked.url)[2] or "/")
    there = normal_form(ours)
    return (
        isinstance(claims.get("jti"), str)
        and claims["jti"] != ""
        and claims.get("htm") == asked.method
        and isinstance(claims.get("htu"), str)
        and there is not None
        and normal_form(claims["htu"]) == there
        and _is_number(issued_at)
        and now - settings.dpop_proof_max_age <= issued_at <= now + settings.leeway
        and claims.get("ath") == hashed
        and (settings.dpop_nonce == "off" or claims.get("nonce") in nonces)
    )


def read(compact: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Header and claims of a compact JWS in its one spelling (RFC 7515); None for anything else, and for extensions."""
    parts = compact.split(".")
    objects = [_object(part) for part in parts[:2]]
    if (
        len(parts) != 3
        or not parts[2]
        or _octets(parts[2]) is None
        or not all(isinstance(each, dict) for each in objects)
    ):
        return None
    header, claims = objects
    return None if "crit" in header or header.get("b64", True) is not True else (header, claims)


def _octets(segment: str) -> bytes | None:
    try:
        octets = urlsafe_b64decode(segment.encode("ascii") + b"=" * (-len(segment) % 4))
    except ValueError:
        return None
    return octets if urlsafe_b64encode(octets).rstrip(b"=").decode() == segment else None


def _object(segment: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise ValueError("a name twice")
        return dict(pairs)

    def refuse(name: str) -> None:
        raise ValueError(name)

    octets = _octets(segment)
    try:
        value = json.loads((octets or b"").decode("utf-8"), object_pairs_hook=unique, parse_constant=refuse)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text
        return value if _depth(value) <= 32 else None
    except (ValueError, RecursionError):
        return None


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


def _is_number(value: object) -> TypeGuard[float]:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _may_sign(jwk: Any, kid: object) -> bool:
    """A public signature key, and the one that is named (RFC 7517 4.2, 4.3)."""
    if not isinstance(jwk, dict) or not jwk.keys().isdisjoint(_PRIVATE) or jwk.get("use", "sig") != "sig":
        return False
    operations = jwk.get("key_ops", ["verify"])
    return isinstance(operations, list) and "verify" in operations and kid in (None, jwk.get("kid"))


def public_key(jwk: Mapping[str, Any]) -> Any:
    """joserfc's key from the members that make the key. Raises KeyError, ValueError, TypeError or JoseError."""
    return _KEY_TYPES[jwk["kty"]].import_key({name: jwk[name] for name in _PUBLIC if name in jwk})


def signed(compact: str, alg: str, jwk: Mapping[str, Any]) -> bool:
    """Whether this key made this signature: joserfc's own word."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it calls the name EdDSA deprecated
            registry = _Registry(algorithms=[alg], strict_check_header=False)
            jws.deserialize_compact(compact, public_key(jwk), registry=registry)
    except (JoseError, ValueError, TypeError, KeyError):
        return False
    return jwk.get("alg") in (None, alg) or {jwk["alg"], alg} == {"EdDSA", "Ed25519"}


# When two URLs are one (RFC 3986), step by step as the RFC has it.


def _split(url: str) -> tuple[str, str, str]:
    """Scheme, authority and path, by the expression of appendix B."""
    match = re.match(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)", url, re.DOTALL)
    assert match is not None
    return match[1] or "", match[2] or "", match[3]


def normal_form(url: str) -> tuple[str, str, str, str] | None:
    """Scheme, host, port and path in their one spelling (6.2.2, 6.2.3); None where it is no http(s) URL."""
    scheme, authority, path = _split(url)
    scheme = _lower(scheme)
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        host, port = authority, ""
    if scheme not in ("http", "https") or not host or "@" in authority or (port and not re.fullmatch("[0-9]+", port)):
        return None
    plain = _unescaped(path)
    if plain is None:
        return None
    default = {"http": "80", "https": "443"}[scheme]
    # The host as the verifier does it, which also lowers letters that no host has (only ASCII is a host, 3.2.2).
    return scheme, host.lower(), port or default, remove_dot_segments(plain) or "/"


def _lower(text: str) -> str:
    return "".join(chr(ord(letter) + 32) if "A" <= letter <= "Z" else letter for letter in text)


def _unescaped(path: str) -> str | None:
    """6.2.2.2: escapes of unreserved characters decoded, the others in capitals."""
    done = ""
    while path:
        if path[0] != "%":
            done, path = done + path[0], path[1:]
            continue
        digits = path[1:3]
        if not re.fullmatch("[0-9A-Fa-f]{2}", digits):
            return None
        letter = chr(int(digits, 16))
        done, path = done + (letter if re.fullmatch(r"[A-Za-z0-9._~-]", letter) else f"%{digits.upper()}"), path[3:]
    return done


def remove_dot_segments(path: str) -> str:
    """5.2.4, letter by letter of its steps A to E."""
    out = ""
    while path:
        if path.startswith("../"):
            path = path[3:]
        elif path.startswith("./"):
            path = path[2:]
        elif path.startswith("/./") or path == "/.":
            path = "/" + path[3:]
        elif path.startswith("/../") or path == "/..":
            path, out = "/" + path[4:], out.rpartition("/")[0]
        elif path in (".", ".."):
            path = ""
        else:
            end = path.find("/", 1)
            end = len(path) if end < 0 else end
            out, path = out + path[:end], path[end:]
    return out
