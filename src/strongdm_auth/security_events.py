"""Security Event Tokens (RFC 8417): what an issuer says has happened, and which tokens do not count any more for it.

CAEP's session-revoked, credential-change and token-claims-change and RISC's account-disabled and their like all end in the
same: tokens that were issued up to then, to that subject, client, key or session, are refused; a new one is the way back. So
an event that comes twice, or late, or is replayed, does what it did the first time and nothing else.

A SET is verified like a token, and is no token (nor is a token a SET): its type is `secevent+jwt`. An issuer speaks for
itself alone; the base issuer speaks for its realms, too.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .claims import audience_of
from .errors import InvalidToken
from .issuers import Issuers
from .jose import is_numeric_date, refuses_critical
from .revocation import name_of
from .settings import Settings

#: A SET has a claim or two about each of a few events; RFC 8935 names no number.
MOST_SET_BYTES = 65_536
_CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
_RISC = "https://schemas.openid.net/secevent/risc/event-type/"
#: The events that end what was issued before them. Others are received and have no effect (RFC 8417 2.2).
ENDING = frozenset(
    [
        *(_CAEP + name for name in ("session-revoked", "credential-change", "token-claims-change")),
        *(_RISC + name for name in ("account-disabled", "account-purged", "sessions-revoked", "credential-compromise")),
        _RISC + "account-credential-change-required",
    ]
)
_KEY = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:"  # RFC 9278
#: RFC 9493 3.2.8: aliases do not nest, and nobody has more names than this.
_MOST_ALIASES = 16


class Undelivered(Exception):
    """A SET that is not accepted: `code` is RFC 8935's, `str` what the transmitter is told."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code


@dataclass(frozen=True, slots=True)
class Ending:
    """What a SET comes to: the names of whom it is about, and the time up to which what they were issued has ended."""

    events: tuple[str, ...]
    names: tuple[bytes, ...]
    at: float


class EventRules:
    """What a SET must be on this API; built once from the settings."""

    def __init__(self, settings: Settings, issuers: Issuers) -> None:
        self._issuers = issuers
        self._algorithms = frozenset(settings.algorithms)
        self._audience = frozenset(settings.audience)
        self._leeway = settings.leeway
        #: The base issuer, if there is one: it may speak of its realms.
        self._base = settings.issuer if settings.realm is None else None

    def check_header(self, header: Mapping[str, Any]) -> tuple[str, str | None]:
        """`alg` and `kid`. Raises Undelivered."""
        alg, kid, typ = header.get("alg"), header.get("kid"), header.get("typ")
        if not isinstance(typ, str) or typ.lower().removeprefix("application/") != "secevent+jwt":
            raise Undelivered("invalid_request", "The typ of a SET must be secevent+jwt")
        if not isinstance(alg, str) or alg not in self._algorithms:
            raise Undelivered("invalid_key", "The SET is signed with an algorithm that is not accepted")
        if refuses_critical(header) or not (kid is None or isinstance(kid, str)):
            raise Undelivered("invalid_request", "The header of the SET is malformed")
        return alg, kid

    def read(self, claims: Mapping[str, Any], now: float) -> Ending:
        """What it comes to; its signature is good and its issuer ours.

        Raises:
            Undelivered: a claim is missing or malformed, it is for another, or it tells of a subject that no token can be
                matched with: an event that was taken and did nothing would be believed to have done its work.
        """
        jti, iat, events = claims.get("jti"), claims.get("iat"), claims.get("events")
        if not isinstance(jti, str) or not jti or not is_numeric_date(iat) or iat < 0:
            raise Undelivered("invalid_request", "The SET lacks jti or iat")
        if not isinstance(events, dict) or not events or not all(isinstance(each, dict) for each in events.values()):
            raise Undelivered("invalid_request", "The SET has no events")
        try:
            if self._audience and self._audience.isdisjoint(audience_of(claims)):
                raise Undelivered("invalid_audience", "The SET is for another audience")
        except InvalidToken:
            raise Undelivered("invalid_request", "The aud of the SET is malformed") from None
        expires_at = claims.get("exp", now + 1 - self._leeway)
        if iat > now + self._leeway or not is_numeric_date(expires_at) or now - self._leeway >= expires_at:
            raise Undelivered("invalid_request", "The SET is from the future, or has expired")
        names: list[bytes] = []
        for kind, event in events.items():
            if kind in ENDING:
                subject = event.get("subject", claims.get("sub_id"))  # CAEP of 2021; RFC 9493 4 and all since
                if subject is None and isinstance(claims.get("sub"), str):
                    subject = {"format": "opaque", "id": claims["sub"]}  # RFC 8417 2.2
                names += self._names(subject, claims["iss"])
        return Ending(tuple(events), tuple(dict.fromkeys(names)), iat)

    def _names(self, subject: object, issuer: str) -> Iterable[bytes]:
        if not isinstance(subject, dict):
            raise Undelivered("invalid_request", "The event has no subject")
        form = subject.get("format", subject.get("subject_type"))  # as RISC and CAEP called it before RFC 9493
        if form is not None and not isinstance(form, str):
            raise Undelivered("invalid_request", "The subject of the event is malformed")
        if form in (None, "", "complex"):
            return self._complex(subject, issuer)
        if form == "aliases":
            identifiers = subject.get("identifiers")
            if not isinstance(identifiers, list) or not 0 < len(identifiers) <= _MOST_ALIASES:
                raise Undelivered("invalid_request", "The subject of the event is malformed")
            return self._aliases(identifiers, issuer)
        return self._simple(subject, issuer)

    def _complex(self, subject: Mapping[str, Any], issuer: str) -> Iterable[bytes]:
        """SSF 1.0, complex subjects: all members together name one thing. Wider is safe, narrower is not."""
        session, user = subject.get("session"), subject.get("user")
        if session is not None:
            names = [name_of("sid", issuer, _text(session, "id"))]
            if user is not None:  # tokens that do not say of which session they are may be of this one
                for whose, value in self._identifiers(user, issuer):
                    names.append(name_of("without sid", whose, value))
                    if _form(user) == "email":
                        names.append(name_of("email without sid", whose, value.casefold()))
            return names
        for member in (user, subject.get("application")):
            if member is not None:
                return self._simple(member, issuer)
        raise Undelivered("invalid_request", "No token can be matched with the subject of the event")

    def _aliases(self, identifiers: list[object], issuer: str) -> list[bytes]:
        """All of them name one subject: those that tokens can be matched with are enough; none is not."""
        names: list[bytes] = []
        fault: Undelivered | None = None
        for each in identifiers:
            try:
                names += self._simple(each, issuer)
            except Undelivered as problem:
                fault = fault or problem
        if fault is not None and not names:
            raise fault
        return names

    def _simple(self, subject: object, issuer: str) -> Iterator[bytes]:
        """A subject identifier of RFC 9493."""
        form = _form(subject)
        if form == "jwt_id":
            yield name_of("jti", self._speaks_for(issuer, subject), _text(subject, "jti"))
        elif form == "uri" and _text(subject, "uri").startswith(_KEY):
            yield name_of("jkt", issuer, _text(subject, "uri").removeprefix(_KEY))
        else:
            for whose, value in self._identifiers(subject, issuer):
                yield name_of("id", whose, value)
                if form == "email":
                    yield name_of("email", whose, value.casefold())

    def _identifiers(self, subject: object, issuer: str) -> Iterator[tuple[str, str]]:
        """By what tokens name it: `sub`, `client_id` or `act`, and whose name for it that is."""
        form = _form(subject)
        if form == "iss_sub":
            yield self._speaks_for(issuer, subject), _text(subject, "sub")
        elif form in ("opaque", "email", "uri"):
            yield issuer, _text(subject, "id" if form == "opaque" else form)
        else:
            raise Undelivered("invalid_request", "No token can be matched with the subject of the event")

    def _speaks_for(self, issuer: str, subject: object) -> str:
        """The issuer whose name for it is used: the SET's own, or one of its realms."""
        whose = _text(subject, "iss")
        if whose != issuer and (issuer != self._base or self._issuers.find(whose) is None):
            raise Undelivered("access_denied", "The issuer of the SET does not speak for the issuer of its subject")
        return whose


def _form(subject: object) -> str:
    form = subject.get("format", subject.get("subject_type")) if isinstance(subject, dict) else None
    return form.replace("-", "_") if isinstance(form, str) else ""


def _text(subject: object, member: str) -> str:
    value = subject.get(member) if isinstance(subject, dict) else None
    if not isinstance(value, str) or not value:
        raise Undelivered("invalid_request", "The subject of the event is malformed")
    return value
