"""What a route gets: the access token, read and believed. Values only; nothing here decides.

`actor` is the agent now acting, `delegation` the chain from it to the one who acted first (RFC 8693 4.1: only the
outermost actor and the top-level claims may decide access; the nested ones are information).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

#: Deeper chains are not walked. RFC 8693 names no number; delegation of delegation of an agent is rarely 3 deep.
MOST_ACTORS = 16


class Claims(dict[str, Any]):
    """A JSON object that cannot be changed, so that one request's view cannot alter what the next one reads."""

    def _frozen(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("claims are read-only; copy them with dict(claims) to change the copy")

    # Any: each of these has a signature of its own in `dict`, and none of them returns.
    _refuse: Any = _frozen
    __setitem__ = __delitem__ = __ior__ = update = pop = popitem = clear = setdefault = _refuse

    def __repr__(self) -> str:
        return f"<Claims {sorted(self)}>"

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[list[tuple[str, Any]]]]:
        return dict, (list(self.items()),)


class Items(list[Any]):
    """A JSON list that cannot be changed."""

    def _frozen(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("claims are read-only; copy a list with list(items) to change the copy")

    _refuse: Any = _frozen
    __setitem__ = __delitem__ = __iadd__ = __imul__ = append = extend = insert = pop = remove = clear = _refuse
    sort = reverse = _refuse

    def __reduce__(self) -> tuple[type[list[Any]], tuple[tuple[Any, ...]]]:
        return list, (tuple(self),)


def _freeze(value: Any) -> Any:
    if isinstance(value, dict):
        return Claims({name: _freeze(member) for name, member in value.items()})
    if isinstance(value, list):
        return Items(_freeze(member) for member in value)
    return value


@dataclass(frozen=True, slots=True)
class Actor:
    """One who acts for another (RFC 8693 4.1). `actor` is the one who acted before it, if any."""

    #: None when the `act` claim is there but is no object with a string `sub`: someone acts, and who cannot be told.
    subject: str | None
    issuer: str | None = None
    actor: "Actor | None" = None


def read_actors(act: object) -> tuple[Actor, ...]:
    """The chain of an `act` claim, outermost first; cut off at `MOST_ACTORS`, the last one then being unknown."""
    found: list[tuple[str | None, str | None]] = []
    while act is not None:
        if not isinstance(act, dict) or len(found) == MOST_ACTORS:
            found.append((None, None))
            break
        subject, issuer = act.get("sub"), act.get("iss")
        # Without an `iss` it is one of the token's issuer; with one that is empty or no string it is nobody who can be told.
        known = isinstance(subject, str) and subject and (issuer is None or (isinstance(issuer, str) and issuer))
        found.append((subject, issuer) if known else (None, None))
        act = act.get("act")
    chain: list[Actor] = []
    for subject, issuer in reversed(found):
        chain.append(Actor(subject, issuer, chain[-1] if chain else None))
    return tuple(reversed(chain))


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class AccessToken(Mapping[str, Any]):
    """A verified access token. Reading it as a mapping reads its claims; `repr` shows neither token nor claims.

    Times are seconds since the epoch.
    """

    # What `dataclass` would write goes through `object.__setattr__` by name, which takes twice as long: a microsecond for
    # each token that was never seen.
    def __init__(
        self,
        *,
        subject: str | None,
        issuer: str,
        realm: str | None = None,
        scopes: frozenset[str] = frozenset(),
        client_id: str | None = None,
        audience: tuple[str, ...] = (),
        expires_at: float | None = None,
        issued_at: float | None = None,
        token_id: str | None = None,
        key_thumbprint: str | None = None,
        certificate_thumbprint: str | None = None,
        actor: Actor | None = None,
        delegation: tuple[Actor, ...] = (),
        introspected: bool = False,
        svid: bool = False,
        _payload: str = "{}",
    ) -> None:
        _set_subject(self, subject)
        _set_issuer(self, issuer)
        _set_realm(self, realm)
        _set_scopes(self, scopes)
        _set_client_id(self, client_id)
        _set_audience(self, audience)
        _set_expires_at(self, expires_at)
        _set_issued_at(self, issued_at)
        _set_token_id(self, token_id)
        _set_key_thumbprint(self, key_thumbprint)
        _set_certificate_thumbprint(self, certificate_thumbprint)
        _set_actor(self, actor)
        _set_delegation(self, delegation)
        _set_introspected(self, introspected)
        _set_svid(self, svid)
        _set_payload(self, _payload)
        _set_claims(self, None)

    subject: str | None
    issuer: str
    #: The realm's name; None for the base issuer.
    realm: str | None = None
    scopes: frozenset[str] = frozenset()
    #: `client_id`, else `azp`.
    client_id: str | None = None
    audience: tuple[str, ...] = ()
    #: None only for an opaque token whose issuer names no end.
    expires_at: int | float | None = None
    issued_at: int | float | None = None
    token_id: str | None = None
    #: RFC 7638 thumbprint of the key the token is bound to (`cnf.jkt`); None for a bearer token.
    key_thumbprint: str | None = None
    #: SHA-256 of the client certificate the token is bound to (`cnf.x5t#S256`, RFC 8705 3.1); None where it is to none.
    certificate_thumbprint: str | None = None
    #: The one now acting; None when the subject acts itself.
    actor: Actor | None = None
    #: All actors, outermost (now acting) first.
    delegation: tuple[Actor, ...] = ()
    #: Whether the issuer was asked and said "active" (RFC 7662).
    introspected: bool = False
    #: Whether it is no access token but a workload's JWT-SVID: `subject` is its SPIFFE ID and `issuer` its trust domain.
    svid: bool = False
    #: The claims as JSON text: a fifth of the memory of the parsed ones, which most routes never read.
    _payload: str = field(default="{}", repr=False)
    _claims: Claims | None = field(default=None, init=False, repr=False, compare=False)

    def __repr__(self) -> str:
        return f"<AccessToken subject={self.subject!r} issuer={self.issuer!r} scopes={sorted(self.scopes)}>"

    def __hash__(self) -> int:
        return hash((self.subject, self.issuer, self._payload))

    @property
    def bound(self) -> bool:
        """Whether it is worth nothing to who steals it: bound to a key (RFC 9449) or to a certificate (RFC 8705)."""
        return self.key_thumbprint is not None or self.certificate_thumbprint is not None

    @property
    def claims(self) -> Claims:
        """The claims, read-only all the way down."""
        claims = self._claims
        if claims is None:
            claims = _freeze(json.loads(self._payload))
            _set_claims(self, claims)
        return claims

    def has_scopes(self, *scopes: str) -> bool:
        """Whether every one of `scopes` was granted."""
        return self.scopes.issuperset(scopes)

    def has_any_scope(self, *scopes: str) -> bool:
        """Whether at least one of `scopes` was granted."""
        return not self.scopes.isdisjoint(scopes)

    def __getitem__(self, name: str) -> Any:
        return self.claims[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.claims)

    def __len__(self) -> int:
        return len(self.claims)

    def __bool__(self) -> bool:
        return True


def scheme_of(token: AccessToken) -> Literal["Bearer", "DPoP"]:
    """The scheme that it is used with: bound is bound (RFC 9449 7.1)."""
    return "Bearer" if token.key_thumbprint is None else "DPoP"


_set_subject, _set_issuer, _set_realm, _set_scopes, _set_client_id, _set_audience, _set_expires_at, _set_issued_at = (
    vars(AccessToken)[name].__set__
    for name in ("subject", "issuer", "realm", "scopes", "client_id", "audience", "expires_at", "issued_at")
)
_set_token_id, _set_key_thumbprint, _set_certificate_thumbprint, _set_actor, _set_delegation, _set_introspected = (
    vars(AccessToken)[name].__set__
    for name in ("token_id", "key_thumbprint", "certificate_thumbprint", "actor", "delegation", "introspected")
)
_set_svid, _set_payload, _set_claims = (vars(AccessToken)[name].__set__ for name in ("svid", "_payload", "_claims"))


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a framework's `request.user` is: the subject of a token, or nobody. It has what Starlette and Django ask for."""

    token: AccessToken | None = None

    @property
    def is_authenticated(self) -> bool:
        """Whether there is a token."""
        return self.token is not None

    @property
    def identity(self) -> str:
        """The subject; empty for nobody."""
        return (self.token.subject or "") if self.token is not None else ""

    display_name = identity


@dataclass(frozen=True, slots=True)
class Anonymous:
    """What stands for the token of a request that needs none: no scopes, and false."""

    scopes: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return False


NOBODY = Principal()
ANONYMOUS = Anonymous()
