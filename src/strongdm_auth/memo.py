"""A bounded memory for things that can be worked out again: no clock, no sweep, least recently used first to go.

Every operation is a few steps of an `OrderedDict`, each atomic: no lock is needed or held. Two threads at once may find an
entry gone that one of them just saw, or work something out twice; neither can make it wrong.
"""

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Memo(Generic[Key, Value]):
    """At most `capacity` entries, those that were used last."""

    __slots__ = ("_capacity", "_entries")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """The value, or None."""
        value = self._entries.get(key)
        if value is not None:
            try:
                self._entries.move_to_end(key)
            except KeyError:  # another thread's `put` made it go
                return value
        return value

    def put(self, key: Key, value: Value) -> None:
        """Remember a value; the least recently used may be forgotten for it."""
        entries = self._entries
        entries[key] = value
        try:
            entries.move_to_end(key)
            while len(entries) > self._capacity:
                entries.popitem(last=False)
        except KeyError:  # other threads were faster
            return

    def __len__(self) -> int:
        return len(self._entries)
