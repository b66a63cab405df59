"""What a story may ask the world for, and what it is answered: all that passes between `flow` and the drivers."""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

from .keys import Flight

_Result = TypeVar("_Result")


class Unreachable(Exception):
    """Thrown into a story: the exchange came to nothing. The text is for the log; `status` the HTTP one, if it came to that."""

    def __init__(self, text: str, *, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Fetch:
    """One HTTP exchange: a GET, or a POST of `form` where that is set. Answered with a `Reply`."""

    purpose: Literal["discovery", "jwks", "trust_bundle", "introspection"]
    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(("Accept", "application/json"),), repr=False)
    form: bytes | None = field(default=None, repr=False)
    #: Seconds it may take, where that is less than `http_timeout`: two exchanges for one purpose share it.
    within: float | None = None


class Reply(NamedTuple):
    """What came back: a status, at most the allowed number of bytes, and the time it is now."""

    status: int
    body: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Join:
    """Wait until somebody else's flight has landed, for as long as a flight may take. Answered with the time."""

    flight: Flight


@dataclass(frozen=True, slots=True)
class Background:
    """Run this story meanwhile and do not wait for it. Answered with None at once."""

    story: "Story[float]"


@dataclass(frozen=True, slots=True)
class FirstUse:
    """Ask the replay store. Answered with exactly True or False."""

    key: bytes
    owner: str
    until: float
    now: float


@dataclass(frozen=True, slots=True)
class AskStore:
    """Have the store that workers share do one of its operations (`revocation.SharedStore`). Answered with what it gives."""

    operation: Literal["recall", "keep", "revoke", "revoked"]
    arguments: tuple[Any, ...] = field(repr=False)


Need: TypeAlias = Fetch | Join | Background | FirstUse | AskStore
#: A generator that yields needs, is sent their answers, and ends in a result.
Story: TypeAlias = Generator[Need, Any, _Result]
