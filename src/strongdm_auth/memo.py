"""A bounded memory for things that can be worked out again: two generations, no clock, no sweep.

What is put in goes into the young generation; when that is full it becomes the old one, and what was old is forgotten.
A hit in the old one moves to the young. So the most recent `capacity` / 2 entries are always there, at most `capacity`
are, and both operations are one or two dictionary accesses, each atomic: no lock is needed or held.
"""

from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Memo(Generic[Key, Value]):
    """At most `capacity` entries; see the module's text for which are kept."""

    __slots__ = ("_half", "_old", "_young")

    def __init__(self, capacity: int) -> None:
        self._half = max(1, capacity // 2)
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def get(self, key: Key) -> Value | None:
        """The value, or None."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: Key, value: Value) -> None:
        """Remember a value; the oldest may be forgotten for it."""
        young = self._young
        young[key] = value
        if len(young) >= self._half:
            self._old = young
            self._young = {}

    def discard(self, key: Key) -> None:
        """Forget a key, if it is there."""
        self._young.pop(key, None)
        self._old.pop(key, None)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
