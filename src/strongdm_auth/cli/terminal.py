"""What people get to see. Whatever is written goes through here, and control characters go no further.

A token's claims and a server's answer are chosen by others. Sent to a terminal as they are, they could move the cursor,
rewrite what stands above, or put text into the clipboard; a letter that runs from right to left could pass one name off as
another. Each such character is written as its escape (`\\u001b`).
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TextIO

_ESCAPES: Mapping[str, str] = {"good": "32", "bad": "31", "doubt": "33", "faint": "2", "strong": "1"}

#: What a check came to -> its colour.
COLOURS: Mapping[str, str] = {
    "pass": "good",
    "fail": "bad",
    "cannot tell": "bad",
    "not reached": "faint",
    "not asked": "faint",
}


class Painted(NamedTuple):
    """A text with a colour: `good`, `bad`, `doubt`, `faint` or `strong`."""

    text: str
    colour: str


Text = str | Painted


class Terminal:
    """Standard output or standard error, as lines, as aligned rows, or as JSON."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._stream = stream
        #: https://no-color.org: any value but an empty one.
        self._colours = stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"

    def line(self, *parts: Text) -> None:
        """One line, of parts that follow each other."""
        self._write("".join(map(self._painted, parts)) + "\n")

    def heading(self, text: str) -> None:
        """An empty line, and what comes next."""
        self.line()
        self.line(Painted(text, "strong"))

    def rows(self, rows: Iterable[Sequence[Text]], *, indent: int = 2) -> None:
        """Lines with their columns aligned; the last one is as long as it is."""
        table = [[(_plain(cell), cell) for cell in row] for row in rows]
        if not table:
            return
        columns = max(map(len, table))
        widths = [max((len(row[at][0]) for row in table if at < len(row) - 1), default=0) for at in range(columns)]
        for row in table:
            padded = [self._painted(cell) + " " * (widths[at] - len(text)) for at, (text, cell) in enumerate(row)]
            self._write((" " * indent + "  ".join(padded)).rstrip() + "\n")

    def text(self, text: str) -> None:
        """Several lines, as they come."""
        for line in text.removesuffix("\n").split("\n"):
            self.line(line.removesuffix("\r"))

    def json(self, value: object) -> None:
        """JSON, ASCII only: no character in it means anything to a terminal."""
        self._write(as_json(value) + "\n")

    def _painted(self, part: Text) -> str:
        if isinstance(part, Painted) and self._colours:
            return f"\x1b[{_ESCAPES[part.colour]}m{escaped(part.text)}\x1b[0m"
        return _plain(part)

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        self._stream.flush()  # whoever reads a pipe waits for the line; and errors stand where they belong


def _plain(part: Text) -> str:
    return escaped(part.text if isinstance(part, Painted) else part)


def escaped(text: str) -> str:
    """The text with everything that is no visible character, nor a space, escaped as JSON does: JSON stays JSON."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else json.dumps(character)[1:-1] for character in text.expandtabs(4)
    )


def as_json(value: object) -> str:
    """Indented JSON without any control character."""
    return json.dumps(value, indent=2, ensure_ascii=True, default=str)


def shortened(secret: str) -> str:
    """A secret as it may be shown: how it begins, if it is long enough to spare that, and how long it is."""
    begins = f"{secret[:6]}..." if len(secret) >= 40 else "..."
    return f"{begins} ({len(secret)} characters)"
