"""One target a file. Each has `check(data)`, which fails on a finding, and the words that its inputs are made of."""

from importlib import import_module
from typing import Protocol, cast

NAMES = (
    "headers",
    "tokens",
    "proofs",
    "discovery",
    "key_sets",
    "introspection",
    "routes",
    "urls",
    "settings",
    "denials",
)


class Target(Protocol):
    """What a module in this folder is."""

    #: How a line of an input may begin, and what may stand in the rest of it: what the mutator puts together.
    HEADS: tuple[str, ...]
    VALUES: tuple[str, ...]

    def check(self, data: bytes) -> None:
        """Raise something, most often an AssertionError, if this input shows that a promise does not hold."""


def load(name: str) -> Target:
    """The target of this name."""
    return cast(Target, import_module(f"{__name__}.{name}"))
