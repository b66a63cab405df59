"""What the header and the claims of an access token must be: RFC 9068 4, the `strongdm` profile, RFC 7800 3.

Signature first, claims after: nothing here is asked of a token whose signature has not been verified, but for `alg`,
`typ` and `kid`, which choose how to verify it. Wrong JSON types are refused, never guessed at.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from .errors import InvalidToken
from .jose import is_numeric_date, refuses_critical
from .settings import Settings
from .tokens import AccessToken, read_actors

_ACCESS_TOKEN_TYPES = frozenset({"at+jwt", "application/at+jwt"})
#: The `strongdm` profile also takes what does not say. Everything else (dpop+jwt, logout+jwt, txntoken+jwt) says it is not.
_UNTYPED = frozenset({"jwt"})
#: Keycloak and its kin say what a token is in a claim `typ`; Refresh, ID, Logout and Offline have the same iss and aud.
_ACCESS_TOKEN_TYP_CLAIMS = frozenset({"bearer", "dpop"})
#: Claims that only an ID token (OIDC Core 2, 3.3.2.11) or a logout token (OIDC Back-Channel Logout 2.4) has.
_ID_TOKEN_CLAIMS = frozenset({"nonce", "at_hash", "c_hash", "s_hash"})
RFC9068_CLAIMS = ("iss", "exp", "aud", "sub", "client_id", "iat", "jti")
STRONGDM_CLAIMS = ("iss", "exp", "sub", "iat")
_THUMBPRINT_LENGTH = 43  # SHA-256, base64url


class ClaimRules:
    """The rules of one API, built once from its settings."""

    def __init__(self, settings: Settings) -> None:
        self._algorithms = frozenset(settings.algorithms)
        self._audience = frozenset(settings.audience)
        self._leeway = settings.leeway
        self._strict = settings.token_profile == "rfc9068"
        self._required = RFC9068_CLAIMS if self._strict else STRONGDM_CLAIMS

    def check_header(self, header: Mapping[str, Any]) -> tuple[str, str | None, str]:
        """`alg`, `kid` and the media type of a token's header. `jwk`, `jku`, `x5u` and `x5c` in it mean nothing here."""
        alg, kid, typ = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
        if not isinstance(alg, str) or alg not in self._algorithms:
            raise InvalidToken("token.algorithm")
        if refuses_critical(header) or not isinstance(typ, str) or not (kid is None or isinstance(kid, str)):
            raise InvalidToken("token.malformed")
        media_type = typ.lower()
        if media_type not in _ACCESS_TOKEN_TYPES and (self._strict or media_type not in _UNTYPED):
            raise InvalidToken("token.type")
        return alg, kid, media_type

    def check_claims(self, claims: Mapping[str, Any], media_type: str, now: float) -> None:
        """Hold a JWT's claims against the profile; its signature is good and its issuer ours.

        Raises:
            InvalidToken: one is missing, malformed, or says no.
        """
        for name in self._required:
            if claims.get(name) is None:
                raise InvalidToken("token.claims")
        self.check_common(claims, now)
        self._check_kind(claims, media_type)
        if self._audience.isdisjoint(audience_of(claims)) and self._audience:
            raise InvalidToken("token.audience")

    def check_common(self, claims: Mapping[str, Any], now: float) -> None:
        """Types and times, of a JWT's claims and of an introspection answer alike; what is absent is not asked for."""
        for name in ("iss", "sub", "client_id", "azp", "jti", "scope"):
            if not isinstance(claims.get(name, ""), str):
                raise InvalidToken("token.claims")
        for name in ("exp", "iat", "nbf"):
            date = claims.get(name, 0)
            if type(date) is not int and not is_numeric_date(date):
                raise InvalidToken("token.claims")
        if "sub" in claims and not claims["sub"]:
            raise InvalidToken("token.claims")
        if "exp" in claims and now - self._leeway >= claims["exp"]:
            raise InvalidToken("token.expired")
        latest = now + self._leeway
        if claims.get("iat", now) > latest or claims.get("nbf", now) > latest:
            raise InvalidToken("token.not_yet_valid")

    def for_us(self, claims: Mapping[str, Any]) -> bool:
        """Whether an introspection answer names our audience; one that names none does not (RFC 7662 2.2)."""
        return not self._audience or not self._audience.isdisjoint(audience_of(claims))

    def _check_kind(self, claims: Mapping[str, Any], media_type: str) -> None:
        """Other kinds of JWT, signed with the same key, are no access tokens (RFC 8725 3.12)."""
        typ = claims.get("typ", "Bearer")
        if claims.get("token_type", "access_token") != "access_token" or claims.get("token_use", "access") != "access":
            raise InvalidToken("token.type")
        if not isinstance(typ, str) or typ.lower() not in _ACCESS_TOKEN_TYP_CLAIMS or "events" in claims:
            raise InvalidToken("token.type")
        if media_type in _ACCESS_TOKEN_TYPES or not claims.keys().isdisjoint(("token_type", "typ", "token_use")):
            return  # it says that it is one
        if (
            claims["sub"].lower().startswith("spiffe:")
        ):  # a JWT-SVID: same issuer, no type (peers have taken them for tokens)
            raise InvalidToken("token.type")
        azp = claims.get("azp")
        if not _ID_TOKEN_CLAIMS.isdisjoint(claims) or (azp and audience_of(claims) == (azp,)):
            raise InvalidToken("token.type")


def audience_of(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """`aud` as a tuple: a string, a list of strings, or absent (RFC 7519 4.1.3). Raises InvalidToken for anything else."""
    audience = claims.get("aud")
    if audience is None:
        return ()
    if isinstance(audience, str):
        return _alone(audience)
    if isinstance(audience, list) and all(isinstance(name, str) for name in audience):
        return tuple(audience)
    raise InvalidToken("token.claims")


def scopes_of(claims: Mapping[str, Any]) -> frozenset[str]:
    """`scope`, separated by spaces and nothing else (RFC 6749 3.3): no other white space makes two of one."""
    return _split_scope(claims.get("scope") or "")


# Most tokens of an API say the same in these two: one value for all of them saves time, and 300 bytes a token.


@lru_cache(1024)
def _alone(audience: str) -> tuple[str]:
    return (audience,)


@lru_cache(1024)
def _split_scope(scope: str) -> frozenset[str]:
    return frozenset(filter(None, scope.split(" ")))


class Confirmation(NamedTuple):
    """What a token is bound to (`cnf`, RFC 7800): all of it has to be shown."""

    #: RFC 9449 6: thumbprint of a key.
    jkt: str | None = None
    #: RFC 8705 3.1: thumbprint of a client certificate.
    x5t: str | None = None


_UNBOUND = Confirmation()


def confirmation_of(claims: Mapping[str, Any]) -> Confirmation:
    """What a token is bound to; both None when it is bound to nothing.

    Raises:
        InvalidToken: it is bound in a way that cannot be checked here (RFC 7800 3.1).
    """
    if "cnf" not in claims:
        return _UNBOUND
    confirmation = claims["cnf"]
    if not isinstance(confirmation, dict):
        raise InvalidToken("token.confirmation")
    found = {name: confirmation[name] for name in ("jkt", "x5t#S256") if name in confirmation}
    if not found or not all(isinstance(each, str) and len(each) == _THUMBPRINT_LENGTH for each in found.values()):
        raise InvalidToken("token.confirmation")
    return Confirmation(found.get("jkt"), found.get("x5t#S256"))


def read_access_token(
    claims: Mapping[str, Any], payload: str, issuer: str, realm: str | None, *, introspected: bool = False
) -> AccessToken:
    """The value a route gets, from claims that passed the rules."""
    act, subject = claims.get("act"), claims.get("sub")
    actors = () if act is None else read_actors(act)
    client_id = claims.get("client_id") or claims.get("azp")
    jkt, x5t = confirmation_of(claims)
    return AccessToken(
        subject=subject,
        issuer=issuer,
        realm=realm,
        scopes=scopes_of(claims),
        client_id=subject if client_id == subject else client_id,  # one string for both
        audience=audience_of(claims),
        expires_at=claims.get("exp"),
        issued_at=claims.get("iat"),
        token_id=claims.get("jti"),
        key_thumbprint=jkt,
        certificate_thumbprint=x5t,
        actor=actors[0] if actors else None,
        delegation=actors,
        introspected=introspected,
        _payload=payload,
    )
