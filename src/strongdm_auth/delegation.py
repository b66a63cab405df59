"""A route's policy on delegation (RFC 8693 4.1): may, must or must not someone act for the subject, and who.

Only the outermost actor and the token's own claims decide; the actors before it are information. What is malformed is
refused, never taken for "nobody acts". `allowed_actors=()` allows no one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from .errors import AccessDenied, ConfigurationError
from .tokens import MOST_ACTORS, AccessToken, Actor


@dataclass(frozen=True, slots=True)
class ActorPattern:
    """An agent that may act, where its name alone does not say whose agent it is.

    `*` is any run of characters and `?` any one. All that is given must fit.

    Args:
        subject: the actor's `sub`; its client id, in StrongDM ID's tokens.
        issuer: the actor's own `iss`. If neither this nor `realm` is given, only actors of the token's issuer fit, which
            are those without an `iss` and those with that one: the same name elsewhere is somebody else's.
        realm: the actor's realm, below the same base as the token's issuer.
    """

    subject: str = "*"
    issuer: str | None = None
    realm: str | None = None

    def __post_init__(self) -> None:
        given = [self.subject, *(part for part in (self.issuer, self.realm) if part is not None)]
        if not all(isinstance(part, str) and part for part in given):
            raise ConfigurationError("allowed_actors must be names or patterns such as 'cli_scheduler_*'")
        if self.issuer is not None and self.realm is not None:
            raise ConfigurationError("an ActorPattern has an issuer or a realm, not both: a realm is an issuer's")

    def fits(self, actor: Actor, token: AccessToken) -> bool:
        """Whether this is the one who acts by this token."""
        issuer = actor.issuer or token.issuer
        if self.realm is not None:
            base = token.issuer if token.realm is None else token.issuer.removesuffix(f"/realms/{token.realm}")
            prefix = base.removesuffix("/") + "/realms/"
            if not issuer.startswith(prefix) or not _fits(issuer.removeprefix(prefix), self.realm):
                return False
        elif not (_fits(issuer, self.issuer) if self.issuer is not None else issuer == token.issuer):
            return False
        return _fits(actor.subject, self.subject)


#: One of these is needed.
_Actors = frozenset[ActorPattern]
_Names = frozenset[str]


def _actors(value: str | ActorPattern | Iterable[str | ActorPattern]) -> _Actors:
    given = [value] if isinstance(value, str | ActorPattern) else value
    return frozenset(each if isinstance(each, ActorPattern) else ActorPattern(each) for each in given)


def _names(name: str, value: str | Iterable[str]) -> _Names:
    patterns = frozenset({value} if isinstance(value, str) else value)
    if not all(isinstance(pattern, str) and pattern for pattern in patterns):
        raise ConfigurationError(f"{name} must be names or patterns such as '*@example.com'")
    return patterns


@dataclass(frozen=True, slots=True, init=False)
class Delegation:
    """`Delegation()` asks for a delegated token; `Delegation(forbid=True)` for one that is not.

    Args:
        forbid: refuse every token that carries `act`.
        required: refuse every token that does not. False: both are fine, and what is delegated is checked.
        max_depth: how many actors there may be at the most (1: the subject's own agent, nobody in between).
        allowed_actors: patterns (`*`, `?`) for the outermost actor's `sub`, or `ActorPattern`s.
        allowed_subjects: patterns for the token's own `sub`, the one acted for.
        human: patterns for the names of humans; one must be at the root of what is done, whether anybody acts or not.
        human_at: where an issuer puts them: the token's `subject`, as RFC 8693 and StrongDM ID do; or, where the token's
            `sub` is the agent and `act` tells whom it has its rights from, `innermost`.

    Raises:
        ConfigurationError: a part makes no sense.
    """

    forbid: bool
    required: bool
    max_depth: int
    allowed_actors: tuple[_Actors, ...]
    allowed_subjects: tuple[_Names, ...]
    human: tuple[_Names, ...]
    innermost_human: tuple[_Names, ...]

    def __init__(
        self,
        *,
        forbid: bool = False,
        required: bool = True,
        max_depth: int = MOST_ACTORS,
        allowed_actors: str | ActorPattern | Iterable[str | ActorPattern] | None = None,
        allowed_subjects: str | Iterable[str] | None = None,
        human: str | Iterable[str] | None = None,
        human_at: Literal["subject", "innermost"] = "subject",
    ) -> None:
        if isinstance(max_depth, bool) or not isinstance(max_depth, int) or not 1 <= max_depth <= MOST_ACTORS:
            raise ConfigurationError(f"max_depth must be a whole number from 1 to {MOST_ACTORS}")
        if human_at not in ("subject", "innermost"):
            raise ConfigurationError("human_at must be 'subject' or 'innermost'")
        humans = () if human is None else (_names("human", human),)
        self._set(
            forbid=forbid,
            required=required and not forbid,
            max_depth=max_depth,
            allowed_actors=() if allowed_actors is None else (_actors(allowed_actors),),
            allowed_subjects=() if allowed_subjects is None else (_names("allowed_subjects", allowed_subjects),),
            human=humans if human_at == "subject" else (),
            innermost_human=humans if human_at == "innermost" else (),
        )

    def _set(self, **parts: object) -> None:
        for name, value in parts.items():
            object.__setattr__(self, name, value)

    def __and__(self, other: "Delegation") -> "Delegation":
        """Both policies at once. One that forbids and one that requires let nobody in."""
        both = object.__new__(Delegation)
        both._set(
            forbid=self.forbid or other.forbid,
            required=self.required or other.required,
            max_depth=min(self.max_depth, other.max_depth),
            **{
                name: tuple(dict.fromkeys(getattr(self, name) + getattr(other, name)))
                for name in ("allowed_actors", "allowed_subjects", "human", "innermost_human")
            },
        )
        return both

    def check(self, token: AccessToken) -> None:
        """Raises AccessDenied unless the token's delegation is as the policy wants it."""
        chain = token.delegation
        if chain:
            self._check_chain(chain, token)
        elif self.required:
            raise AccessDenied("delegation.missing")
        innermost = chain[-1].subject if chain else token.subject
        if not _fit(token.subject, self.human) or not _fit(innermost, self.innermost_human):
            raise AccessDenied("delegation.human")

    def _check_chain(self, chain: tuple[Actor, ...], token: AccessToken) -> None:
        if self.forbid:
            raise AccessDenied("delegation.forbidden")
        if any(actor.subject is None for actor in chain):
            raise AccessDenied("delegation.malformed")
        if len(chain) > self.max_depth:
            raise AccessDenied("delegation.too_deep")
        outermost = chain[0]
        if not all(any(each.fits(outermost, token) for each in group) for group in self.allowed_actors):
            raise AccessDenied("delegation.actor")
        if not _fit(token.subject, self.allowed_subjects):
            raise AccessDenied("delegation.subject")


def _fit(name: str | None, groups: tuple[_Names, ...]) -> bool:
    return all(any(_fits(name, pattern) for pattern in group) for group in groups)


def _fits(name: str | None, pattern: str) -> bool:
    return name is not None and _expression(pattern).fullmatch(name) is not None


@lru_cache(1024)
def _expression(pattern: str) -> re.Pattern[str]:
    """`*` is any run of characters and `?` any one; every other character, `[` too, is itself.

    What stands between two `*` is looked for from the left and then stays (an atomic group): a long name costs a walk or two,
    and never a walk for each of its characters.
    """
    first, *rest = (re.escape(piece).replace(r"\?", ".") for piece in pattern.split("*"))
    if not rest:
        return re.compile(first, re.DOTALL)
    middle = "".join(f"(?>.*?{piece})" for piece in rest[:-1] if piece)
    return re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL)
