"""What reaches a terminal, and what does not."""

import io
import json

import pytest

from strongdm_auth.cli.terminal import Painted, Terminal, as_json, escaped, shortened

ESCAPES = [
    "\x1b[2J",  # clears the screen
    "\x1b]52;c;cm0gLXJm\x07",  # puts text into the clipboard
    "\x9b31m",  # the same as ESC [, in one character
    "\r\x7f\b",
    "user\u202egro.live",  # read from right to left
    "a\u200bb\u2028c\udc80",
]


class Screen(io.StringIO):
    """A terminal that remembers what it was sent."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("text", ESCAPES)
def test_no_control_character_is_sent(text: str) -> None:
    for colour in ("", "bad"):
        screen = Screen()
        terminal = Terminal(screen, {"NO_COLOR": "1"})
        part = Painted(text, colour) if colour else text
        terminal.line(part)
        terminal.rows([(part, part), ("x", "y")])
        terminal.text(text)
        terminal.json({text: text})
        assert all(character.isprintable() or character == "\n" for character in screen.getvalue())


def test_colours_are_ours_and_wrap_escaped_text_only() -> None:
    screen = Screen()
    Terminal(screen, {}).line(Painted("a\x1b[0mb", "good"))
    assert screen.getvalue() == "\x1b[32ma\\u001b[0mb\x1b[0m\n"


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colours_where_they_are_not_wanted(environ: dict[str, str]) -> None:
    screen = Screen()
    Terminal(screen, environ).line(Painted("good", "good"))
    assert screen.getvalue() == "good\n"


def test_an_empty_no_color_means_nothing() -> None:
    screen = Screen()
    Terminal(screen, {"NO_COLOR": ""}).line(Painted("good", "good"))
    assert "\x1b[32m" in screen.getvalue()


def test_no_colours_but_on_a_terminal() -> None:
    stream = io.StringIO()
    Terminal(stream, {}).line(Painted("good", "good"))
    assert stream.getvalue() == "good\n"


@pytest.mark.parametrize("text", [*ESCAPES[:5], "\u00a0", "\U000e0041", "\x00"])
def test_json_that_is_escaped_is_the_same_json(text: str) -> None:
    document = json.dumps({"a": text}, ensure_ascii=False)
    raw = "".join(character for character in document if character >= " " or character in "\n\t")
    assert json.loads(escaped(raw)) == {"a": text}
    assert json.loads(as_json({"a": text})) == {"a": text}


def test_columns_are_aligned_and_lines_end_without_spaces() -> None:
    screen = Screen()
    Terminal(screen, {"NO_COLOR": "1"}).rows([("a", "b", ""), ("long", Painted("c", "bad"), "d")])
    assert screen.getvalue() == "  a     b\n  long  c  d\n"


def test_what_a_stream_cannot_write_is_escaped() -> None:
    octets = io.BytesIO()
    stream = io.TextIOWrapper(octets, encoding="ascii")
    Terminal(stream, {}).line("caf\u00e9")
    assert octets.getvalue() == b"caf\\xe9\n"


def test_a_short_secret_shows_nothing_and_a_long_one_its_beginning() -> None:
    assert shortened("hunter2hunter2") == "... (14 characters)"
    assert shortened("x" * 100) == "xxxxxx... (100 characters)"
