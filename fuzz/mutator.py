"""Mutations that know lines: whole edits come, go, and swap values, so that most inputs reach past the parsers.

Half of the time the bytes themselves are mutated, as any fuzzer does it: what knows the form finds nothing outside of it.
"""

import random
from collections.abc import Callable

Mutate = Callable[[bytes, int], bytes]


class Mutator:
    """The mutations of one target, from its words."""

    def __init__(self, heads: tuple[str, ...], values: tuple[str, ...], any_bytes: Mutate) -> None:
        self._heads, self._values, self._any_bytes = heads, values, any_bytes

    def mutate(self, data: bytes, most: int, seed: int) -> bytes:
        """Another input, of at most so many bytes."""
        chance = random.Random(seed)
        if chance.random() < 0.5:
            return bytes(self._any_bytes(data, most))
        lines = data.decode("utf-8", "surrogateescape").split("\n")
        for _ in range(chance.choice((1, 1, 2, 3))):
            at = chance.randrange(len(lines))
            chance.choice((self._insert, self._insert, self._replace, self._splice, _drop, _swap))(lines, at, chance)
        return _joined(lines, most)

    def cross(self, first: bytes, second: bytes, most: int, seed: int) -> bytes:
        """Some lines of each, in order."""
        chance = random.Random(seed)
        lines = [line for data in (first, second) for line in data.decode("utf-8", "surrogateescape").split("\n")]
        return _joined([line for line in lines if chance.random() < 0.6], most)

    def _line(self, chance: random.Random) -> str:
        head = chance.choice(self._heads)
        return head if chance.random() < 0.1 else f"{head} {chance.choice(self._values)}"

    def _insert(self, lines: list[str], at: int, chance: random.Random) -> None:
        lines.insert(at, self._line(chance))

    def _replace(self, lines: list[str], at: int, chance: random.Random) -> None:
        head = next((head for head in self._heads if lines[at].startswith(head)), lines[at].partition(" ")[0])
        lines[at] = f"{head} {chance.choice(self._values)}"

    def _splice(self, lines: list[str], at: int, chance: random.Random) -> None:
        """A known value, or a character, into the middle of a line."""
        where = chance.randint(0, len(lines[at]))
        until = min(len(lines[at]), where + chance.choice((0, 0, 1, 3)))
        put = chance.choice((chance.choice(self._values), chr(chance.randint(1, 0x17F))))
        lines[at] = lines[at][:where] + put + lines[at][until:]


def _drop(lines: list[str], at: int, _: random.Random) -> None:
    if len(lines) > 1:
        del lines[at]


def _swap(lines: list[str], at: int, chance: random.Random) -> None:
    other = chance.randrange(len(lines))
    lines[at], lines[other] = lines[other], lines[at]


def _joined(lines: list[str], most: int) -> bytes:
    return "\n".join(lines).encode("utf-8", "surrogateescape")[:most]
