"""Tokens, codes and bodies, from where they may come: a file, standard input, a variable of the environment."""

import argparse
import os
import re
import sys
from pathlib import Path

from .failure import CommandError

#: More than any token, header or file of ours; the body of a request may be larger.
MOST_BYTES = 1024 * 1024
MOST_BODY_BYTES = 64 * MOST_BYTES
STDIN = "-"

_FIELD = re.compile(r"(?:>\s*)?(?:authorization|dpop)\s*:\s*", re.IGNORECASE)
_SCHEME = re.compile(r"(bearer|dpop)\s+(?=\S)", re.IGNORECASE)


def add_secret(parser: argparse.ArgumentParser, name: str, what: str, *, default: str = "") -> None:
    """`--NAME-file` and `--NAME-env`, for a secret."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        f"--{name}-file", metavar="FILE", help=f"{what}; - is standard input{default and f' (default: {default})'}"
    )
    either.add_argument(f"--{name}-env", metavar="NAME", help="the variable of the environment that has it")


def read_secret(arguments: argparse.Namespace, name: str, *, what: str = "", default: str | None = None) -> str | None:
    """The secret, without white space around it; None if it was not given. `default` is the file where nothing is said.

    Raises:
        CommandError: it cannot be read, or is empty.
    """
    attribute = name.replace("-", "_")
    variable: str | None = getattr(arguments, f"{attribute}_env")
    if variable is not None:
        text = os.environ.get(variable, "")
        source = f"the variable {variable}" if variable.isidentifier() else "that variable"
    else:
        path: str | None = getattr(arguments, f"{attribute}_file") or default
        if path is None:
            return None
        text, source = read_text(path, what=what or name), "standard input" if path == STDIN else path
    if not text.strip():
        raise CommandError(f"there is nothing in {source}; it should have the {what or name}", status=2)
    return text.strip()


def read_text(path: str, *, what: str) -> str:
    """A file's text, or standard input's. Raises CommandError if it cannot be read, or is too long to be what it should be."""
    return read_bytes(path, what=what, most=MOST_BYTES).decode("utf-8", "surrogateescape")


def read_bytes(path: str, *, what: str, most: int = MOST_BODY_BYTES) -> bytes:
    """What is in a file, or comes by standard input."""
    try:
        if path == STDIN:
            if sys.stdin.isatty():
                sys.stderr.write(f"Reading the {what} from the terminal; Ctrl-D ends it.\n")
            content = sys.stdin.buffer.read(most + 1)
        else:
            with Path(path).open("rb") as file:
                content = file.read(most + 1)
    except OSError as fault:
        raise CommandError(f"cannot read {path}: {fault.strerror or fault}", status=2) from None
    if len(content) > most:
        raise CommandError(f"{'standard input' if path == STDIN else path} is longer than {most} bytes", status=2)
    return content


def bare_token(text: str) -> tuple[str, str | None]:
    """The token in what people paste (`Authorization: DPoP eyJ...`, a token over several lines), and the scheme, if named."""
    text = _FIELD.sub("", text.strip(), count=1)
    scheme = _SCHEME.match(text)
    if scheme is not None:
        text = text[scheme.end() :]
    return "".join(text.split()), None if scheme is None else {"bearer": "Bearer", "dpop": "DPoP"}[scheme[1].lower()]


def read_headers(text: str) -> list[tuple[str, str]]:
    """Header fields, one a line, as they were sent; what `curl -v` and browsers put around them is left out.

    Raises:
        CommandError: a line is no header field.
    """
    fields = []
    for line in text.splitlines():
        line = line.removeprefix("> ").rstrip("\r")
        if not line.strip() or re.match(r"[A-Z]+ \S+ HTTP/", line):
            continue
        name, colon, value = line.partition(":")
        if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise CommandError("a line of the headers is not `Name: value`", status=2)
        fields.append((name, value.strip(" \t")))
    return fields
