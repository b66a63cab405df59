"""The one form of every input: lines, each an edit to something honest. `claims aud "https://else.example"`.

Text, so that a kept input can be read and a finding be written by hand; forgiving, so that whatever a mutator makes of it
means something. A value is JSON where it parses as JSON, and its own text where it does not.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

#: More lines than that find nothing that fewer would not.
MOST_LINES = 40


class Edit(NamedTuple):
    """One line: what it is about, and the rest as it stands."""

    head: str
    rest: str

    @property
    def value(self) -> Any:
        """The rest as a value."""
        return value_of(self.rest)

    @property
    def text(self) -> str:
        """The rest as text; a JSON string stands for what is in it, so that a line can hold a line break."""
        value = value_of(self.rest)
        return value if isinstance(value, str) else self.rest

    @property
    def member(self) -> tuple[str, Any]:
        """The rest as a member's name and its value; without a value, REMOVED."""
        name, space, rest = self.rest.partition(" ")
        return name, value_of(rest) if space else REMOVED


#: What stands for "take this member away".
REMOVED = object()


def edits(data: bytes) -> Iterator[Edit]:
    """The edits of an input, in order."""
    for line in data.decode("utf-8", "surrogateescape").split("\n")[:MOST_LINES]:
        if line:
            head, _, rest = line.partition(" ")
            yield Edit(head, rest)


def value_of(text: str) -> Any:
    """JSON, else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def apply(members: dict[str, Any], edit: Edit) -> None:
    """Lay one edit over the members of an object."""
    name, value = edit.member
    if value is REMOVED:
        members.pop(name, None)
    else:
        members[name] = value


def words(text: str) -> tuple[str, ...]:
    """What stands between bars and line breaks: how a target lists what its inputs are made of."""
    return tuple(word for word in re.split(r"\s*(?:\n|\s\|\s)\s*", text.strip()) if word)
