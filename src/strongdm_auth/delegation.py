"""A route's policy on delegation (RFC 8693 4.1): may, must or must not someone act for the subject, and who.

Only the outermost actor decides; the ones before it are information. What is malformed is refused, never taken for
"nobody acts". `allowed_actors=()` allows no one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from .errors import AccessDenied, ConfigurationError
from .tokens import MOST_ACTORS, AccessToken, Actor


def _patterns(name: str, value: Iterable[str] | None) -> frozenset[str] | None:
    if value is None:
        return None
    patterns = frozenset({value} if isinstance(value, str) else value)
    if not all(isinstance(pattern, str) and pattern for pattern in patterns):
        raise ConfigurationError(f"{name} must be names or patterns such as 'cli_scheduler_*'")
    return patterns


@dataclass(frozen=True, slots=True, init=False)
class Delegation:
    """`Delegation()` asks for a delegated token; `Delegation(forbid=True)` for one that is not.

    Args:
        forbid: refuse every token that carries `act`.
        required: refuse every token that does not. False: both are fine, and what is delegated is checked.
        max_depth: how many actors there may be at the most (1: the subject's own agent, nobody in between).
        allowed_actors: patterns (`*`, `?`) for the outermost actor's `sub`.
        allowed_subjects: patterns for the token's own `sub`, the one acted for.
    """

    forbid: bool
    required: bool
    max_depth: int
    allowed_actors: tuple[frozenset[str], ...]
    allowed_subjects: tuple[frozenset[str], ...]

    def __init__(
        self,
        *,
        forbid: bool = False,
        required: bool = True,
        max_depth: int = MOST_ACTORS,
        allowed_actors: Iterable[str] | None = None,
        allowed_subjects: Iterable[str] | None = None,
    ) -> None:
        if isinstance(max_depth, bool) or not isinstance(max_depth, int) or not 1 <= max_depth <= MOST_ACTORS:
            raise ConfigurationError(f"max_depth must be a whole number from 1 to {MOST_ACTORS}")
        actors = _patterns("allowed_actors", allowed_actors)
        subjects = _patterns("allowed_subjects", allowed_subjects)
        self._set(forbid, required and not forbid, max_depth, (actors,), (subjects,))

    def _set(
        self,
        forbid: bool,
        required: bool,
        max_depth: int,
        actors: Iterable[frozenset[str] | None],
        subjects: Iterable[frozenset[str] | None],
    ) -> None:
        object.__setattr__(self, "forbid", forbid)
        object.__setattr__(self, "required", required)
        object.__setattr__(self, "max_depth", max_depth)
        object.__setattr__(self, "allowed_actors", tuple(dict.fromkeys(group for group in actors if group is not None)))
        object.__setattr__(
            self, "allowed_subjects", tuple(dict.fromkeys(group for group in subjects if group is not None))
        )

    def __and__(self, other: "Delegation") -> "Delegation":
        """Both policies at once. One that forbids and one that requires let nobody in."""
        both = object.__new__(Delegation)
        both._set(
            self.forbid or other.forbid,
            self.required or other.required,
            min(self.max_depth, other.max_depth),
            self.allowed_actors + other.allowed_actors,
            self.allowed_subjects + other.allowed_subjects,
        )
        return both

    def check(self, token: AccessToken) -> None:
        """Raises AccessDenied unless the token's delegation is as the policy wants it."""
        chain = token.delegation
        if not chain:
            if self.required:
                raise AccessDenied("delegation.missing")
            return
        if self.forbid:
            raise AccessDenied("delegation.forbidden")
        if any(actor.subject is None for actor in chain):
            raise AccessDenied("delegation.malformed")
        if len(chain) > self.max_depth:
            raise AccessDenied("delegation.too_deep")
        outermost: Actor = chain[0]
        if not all(_matches(outermost.subject, group) for group in self.allowed_actors):
            raise AccessDenied("delegation.actor")
        if not all(_matches(token.subject, group) for group in self.allowed_subjects):
            raise AccessDenied("delegation.subject")


def _matches(name: str | None, patterns: frozenset[str]) -> bool:
    return name is not None and any(_expression(pattern).fullmatch(name) for pattern in patterns)


@lru_cache(1024)
def _expression(pattern: str) -> re.Pattern[str]:
    """`*` is any run of characters and `?` any one; every other character, `[` too, is itself."""
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
