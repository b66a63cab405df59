"""What a route asks of a token. One frozen value for every door; `a & b` asks for both and so only tightens.

Checking is pure: the token was authenticated once for the request, and any number of requirements can be held against it.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypedDict, TypeVar

from .delegation import Delegation
from .errors import AccessDenied, ConfigurationError, InsufficientScope, InsufficientUserAuthentication, InvalidToken
from .spiffe import SpiffePattern, spiffe_patterns
from .tokens import AccessToken

#: RFC 6749 3.3: what one scope may be made of. No space, no quote, no backslash: it goes into a header as it is.
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")

_Part = TypeVar("_Part")


class RequirementKeywords(TypedDict, total=False):
    """The parts of a requirement as keyword arguments, as `auth.require(...)` takes them."""

    scopes: str | Iterable[str]
    any_scope: str | Iterable[str] | Iterable[Iterable[str]]
    dpop: bool
    introspect: bool
    realms: str | Iterable[str] | None
    delegation: Delegation | None
    acr: str | Iterable[str] | None
    max_age: int | None
    optional: bool
    spiffe_ids: str | Iterable[str] | None


def _words(name: str, value: str | Iterable[str]) -> tuple[str, ...]:
    words = value.split() if isinstance(value, str) else tuple(value)
    for word in words:
        if not isinstance(word, str) or not _SCOPE_TOKEN.fullmatch(word):
            raise ConfigurationError(
                f"{name} must be names without spaces, quotes or backslashes (RFC 6749 3.3), not {word!r}"
            )
    return tuple(dict.fromkeys(words))


def _groups(value: str | Iterable[str] | Iterable[Iterable[str]]) -> frozenset[frozenset[str]]:
    """`{"a", "b"}` is one group, `[{"a", "b"}, {"c", "d"}]` two; a token needs one scope of each."""
    members = value.split() if isinstance(value, str) else list(value)
    names = [member for member in members if isinstance(member, str)]
    if names and len(names) != len(members):
        raise ConfigurationError("any_scope must be names, or groups of names, not both")
    groups = frozenset(
        [frozenset(_words("any_scope", names))]
        if names
        else [frozenset(_words("any_scope", group)) for group in members]
    )
    if frozenset() in groups:
        raise ConfigurationError("any_scope has an empty group, which no token could satisfy")
    return groups


@dataclass(frozen=True, slots=True, init=False)
class Requirement:
    """What a token must be for a route; the empty requirement is "any valid token".

    Args:
        scopes: all of these (a string is split at spaces).
        any_scope: one of these; or several groups, one of each.
        dpop: only sender-constrained tokens: bound to a key (RFC 9449), or to a client certificate (RFC 8705).
        introspect: ask the issuer whether the token was revoked (RFC 7662).
        realms: only agents of these realms.
        delegation: who may act for whom.
        acr: authentication context classes, one of which is needed, best first (RFC 9470).
        max_age: seconds since the user authenticated, at the most (RFC 9470).
        optional: a request without credentials passes as anonymous; bad credentials are still refused.
        spiffe_ids: only workloads with such SPIFFE IDs, by their JWT-SVIDs and not by access tokens:
            `spiffe://example.org/agents/*` is all below that path.

    Raises:
        ConfigurationError: a part makes no sense.
    """

    scopes: frozenset[str]
    any_scope: frozenset[frozenset[str]]
    dpop: bool
    introspect: bool
    realms: frozenset[str] | None
    delegation: Delegation | None
    acr: tuple[str, ...] | None
    max_age: int | None
    optional: bool
    #: One of each group.
    spiffe_ids: tuple[frozenset[SpiffePattern], ...]

    def __init__(
        self,
        scopes: str | Iterable[str] = (),
        *,
        any_scope: str | Iterable[str] | Iterable[Iterable[str]] = (),
        dpop: bool = False,
        introspect: bool = False,
        realms: str | Iterable[str] | None = None,
        delegation: Delegation | None = None,
        acr: str | Iterable[str] | None = None,
        max_age: int | None = None,
        optional: bool = False,
        spiffe_ids: str | Iterable[str] | None = None,
    ) -> None:
        if max_age is not None and (isinstance(max_age, bool) or not isinstance(max_age, int) or max_age < 0):
            raise ConfigurationError("max_age must be a whole number of seconds, 0 or more (RFC 9470 3)")
        if delegation is not None and not isinstance(delegation, Delegation):
            raise ConfigurationError("delegation must be a Delegation(...)")
        self._set(
            scopes=frozenset(_words("scopes", scopes)),
            any_scope=_groups(any_scope),
            dpop=bool(dpop),
            introspect=bool(introspect),
            realms=None if realms is None else frozenset({realms} if isinstance(realms, str) else realms),
            delegation=delegation,
            acr=None if acr is None else _words("acr", acr),
            max_age=max_age,
            optional=bool(optional),
            spiffe_ids=() if spiffe_ids is None else (spiffe_patterns(spiffe_ids),),
        )

    def _set(self, **parts: object) -> None:
        for name, value in parts.items():
            object.__setattr__(self, name, value)

    def __and__(self, other: "Requirement") -> "Requirement":
        """Both at once: no token passes the result that does not pass each."""
        if not isinstance(other, Requirement):
            return NotImplemented
        realms = _both(_intersection, self.realms, other.realms)
        delegation = _both(Delegation.__and__, self.delegation, other.delegation)
        acr = _both(_in_both, self.acr, other.acr)
        max_age = _both(_least, self.max_age, other.max_age)
        both = object.__new__(Requirement)
        both._set(
            scopes=self.scopes | other.scopes,
            any_scope=self.any_scope | other.any_scope,
            dpop=self.dpop or other.dpop,
            introspect=self.introspect or other.introspect,
            realms=realms,
            delegation=delegation,
            acr=acr,
            max_age=max_age,
            optional=self.optional and other.optional,
            spiffe_ids=tuple(dict.fromkeys(self.spiffe_ids + other.spiffe_ids)),
        )
        return both

    def scope_names(self) -> tuple[str, ...]:
        """Every scope the route speaks of, sorted: what a challenge names so that a client asks once (RFC 6750 3)."""
        return tuple(sorted(self.scopes.union(*self.any_scope)))

    def check(self, token: AccessToken, now: float, leeway: float = 0.0) -> None:
        """Hold the requirement against an authenticated token, at `now` seconds since the epoch.

        Raises:
            InvalidToken: the token is bound to nothing and must be.
            AccessDenied: its realm or its delegation is not let in.
            InsufficientUserAuthentication: `acr` or `auth_time` do not suffice, or are not there (RFC 9470).
            InsufficientScope: a scope is missing.
        """
        if self is ANY_TOKEN:
            return
        if self.spiffe_ids:
            if not token.svid:  # the request was let in before, by a requirement that asks for access tokens
                raise InvalidToken("svid.needed")
            if not all(any(each.fits(token.subject or "") for each in group) for group in self.spiffe_ids):
                raise AccessDenied("svid.not_admitted")
        if self.introspect and token.svid:  # an issuer knows of no SVID whether it was revoked (RFC 7662 2)
            raise AccessDenied("svid.not_admitted")
        if self.dpop and not token.bound:
            raise InvalidToken("token.unbound")
        if self.realms is not None and token.realm not in self.realms:
            raise AccessDenied("realm.not_admitted")
        if self.delegation is not None:
            self.delegation.check(token)
        if self.acr is not None and token.claims.get("acr") not in self.acr:
            raise InsufficientUserAuthentication("step_up.acr")
        if self.max_age is not None:
            authenticated_at = token.claims.get("auth_time")
            # Compared, not subtracted: a number of 400 digits is a number, too.
            if isinstance(authenticated_at, bool) or not isinstance(authenticated_at, (int, float)):
                raise InsufficientUserAuthentication("step_up.max_age")
            if not now - self.max_age - leeway <= authenticated_at <= now + leeway:
                raise InsufficientUserAuthentication("step_up.max_age")
        if not self.scopes <= token.scopes:
            raise InsufficientScope("scope.insufficient")
        for group in self.any_scope:
            if group.isdisjoint(token.scopes):
                raise InsufficientScope("scope.insufficient")


def _both(combine: Callable[[_Part, _Part], _Part], mine: _Part | None, theirs: _Part | None) -> _Part | None:
    if mine is None or theirs is None:
        return theirs if mine is None else mine
    return combine(mine, theirs)


def _intersection(mine: frozenset[str], theirs: frozenset[str]) -> frozenset[str]:
    return mine & theirs


def _in_both(mine: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in mine if name in theirs)


def _least(mine: int, theirs: int) -> int:
    return min(mine, theirs)


#: Any valid token: what a route asks that asks nothing more.
ANY_TOKEN = Requirement()
