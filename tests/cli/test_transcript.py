"""docs/cli.md, replayed against a real `strongdm-auth mock-issuer`: ids, tokens, times and ports differ, nothing else does.

To write the page's answers anew: `python -m tests.cli.test_transcript`.
"""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from strongdm_auth.cli import main

from .transcript import Step, normalised, steps

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


class Session:
    """Two terminals: the issuer in one, the agent in the other."""

    def __init__(self, process: subprocess.Popen[str], setenv: Callable[[str, str], None]) -> None:
        self._process, self._setenv = process, setenv
        self._first = self._read_until(lambda line: line.startswith("Verification codes"))
        origin = re.search(r"127\.0\.0\.1:\d+", self._first)
        assert origin is not None
        self._origin = origin[0]

    def answer(self, step: Step) -> str:
        """What comes back to a line that is typed."""
        command = step.command.replace("127.0.0.1:9000", self._origin)
        if command.startswith("strongdm-auth mock-issuer"):
            return self._first
        if command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            self._setenv(name, value)
            return ""
        typed = ""
        if command == "strongdm-auth confirm":
            typed = self._code() + "\n"
        shown = ""
        for part in command.split(" | "):
            name, *argv = shlex.split(part)
            assert name == "strongdm-auth"
            shown = typed = _run(argv, typed)
        return shown

    def _code(self) -> str:
        return self._read_until(lambda line: line.startswith("verification code")).split()[-1]

    def _read_until(self, last: Callable[[str], bool]) -> str:
        assert self._process.stdout is not None
        lines = []
        for line in self._process.stdout:
            lines.append(line)
            if last(line):
                break
        return "".join(lines)


def _run(argv: list[str], typed: str) -> str:
    """What a terminal would show of one command."""
    screen, before = io.StringIO(), sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(typed.encode()))
    try:
        with contextlib.redirect_stdout(screen), contextlib.redirect_stderr(screen):
            main(argv)
    finally:
        sys.stdin = before
    return screen.getvalue()


@contextlib.contextmanager
def session(folder: Path, setenv: Callable[[str, str], None], port: str = "0") -> Iterator[Session]:
    """A fresh home, and the issuer in a process of its own."""
    setenv("HOME", str(folder))
    with contextlib.chdir(folder):
        process = subprocess.Popen(
            [sys.executable, "-m", "strongdm_auth", "mock-issuer", "--port", port, "--realm", "my-org"],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield Session(process, setenv)
        finally:
            process.terminate()
            process.wait(10)
            assert process.stdout is not None
            process.stdout.close()


def test_the_page_s_session_can_be_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with session(tmp_path, monkeypatch.setenv) as running:
        for step in steps(PAGE.read_text(encoding="utf-8")):
            expected = re.sub(r"^Code: .*\n", "", step.shown)  # what was typed
            answer = running.answer(step)
            if expected.endswith("...\n"):
                expected = expected.removesuffix("...\n")
                answer = "".join(answer.splitlines(keepends=True)[: expected.count("\n")])
            assert normalised(answer) == normalised(expected), step.command


def test_the_page_shows_no_secret() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert not re.search(r"eyJ[\w-]{10,}|sec_\w|pt_\w", page)


def _rewrite() -> None:
    """Put present answers into the page; port 9000 must be free."""
    page, written, at = PAGE.read_text(encoding="utf-8"), "", 0
    with tempfile.TemporaryDirectory() as folder, session(Path(folder), os.environ.__setitem__, "9000") as running:
        for step in steps(page):
            line = f"$ {step.command}\n"
            place = page.index(line, at) + len(line)
            written, at = written + page[at:place], place + len(step.shown)
            answer = running.answer(step).replace(folder, "/home/you")
            fixed = step.command.startswith(("strongdm-auth mock-issuer", "export"))
            typed = "".join(re.findall(r"^Code: .*\n", step.shown))
            written += step.shown if fixed else typed + answer
    PAGE.write_text(written + page[at:], encoding="utf-8")


if __name__ == "__main__":
    _rewrite()
