"""The command as a process: the entry points, pipes, exit statuses, a real terminal, and what is loaded when."""

import json
import os
import pty
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from strongdm_auth.cli import COMMANDS
from strongdm_auth.testing import unsigned_token

TOKEN = unsigned_token({"alg": "ES256", "typ": "at+jwt"}, {"sub": "agent\x1b[2J", "exp": 1}, b"signature")
MODULE = [sys.executable, "-W", "error", "-m", "strongdm_auth"]
SCRIPT = Path(sysconfig.get_path("scripts")) / "strongdm-auth"


def run(*argv: str, stdin: str = "", command: list[str] = MODULE) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command, *argv], input=stdin, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize(
    "command",
    [
        MODULE,
        pytest.param([str(SCRIPT)], marks=pytest.mark.skipif(not SCRIPT.exists(), reason="not installed as a script")),
    ],
    ids=["python -m", "script"],
)
def test_both_entry_points_read_standard_input_and_set_the_exit_status(command: list[str]) -> None:
    good = run("inspect", "--json", stdin=TOKEN, command=command)
    assert (good.returncode, good.stderr) == (0, "")
    assert json.loads(good.stdout)["claims"]["sub"] == "agent\x1b[2J"
    assert run("inspect", stdin="opaque", command=command).returncode == 1
    wrong = run("inspect", TOKEN, command=command)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert TOKEN not in wrong.stderr


def test_help_loads_nothing_heavy() -> None:
    names = "httpx joserfc cryptography cachetools asyncio strongdm_auth.client strongdm_auth.testing strongdm_auth.settings"
    code = f"""
import sys
from strongdm_auth.cli import main
for argv in (["--help"], ["--version"], *([name, "--help"] for name in {[*COMMANDS]!r} if name != "forward-auth")):
    try:
        main(argv)
    except SystemExit as stopped:
        assert stopped.code == 0, argv
print(*(name for name in {names.split()!r} if name in sys.modules))
"""
    done = run(command=[sys.executable, "-W", "error", "-c", code])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == ""


def test_every_command_says_what_it_does() -> None:
    told = run("--help").stdout
    assert all(name in told for name in COMMANDS)


def on_a_terminal(*argv: str, **environ: str) -> bytes:
    """What a terminal is sent."""
    ours, theirs = pty.openpty()
    try:
        environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        process = subprocess.Popen(
            [*MODULE, *argv],
            stdin=subprocess.PIPE,
            stdout=theirs,
            stderr=theirs,
            env={**environment, "TERM": "xterm", **environ},
        )
        os.close(theirs)
        assert process.stdin is not None
        process.stdin.write(TOKEN.encode())
        process.stdin.close()
        shown = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            shown += piece
        process.wait(20)
    finally:
        os.close(ours)
    return shown


def test_on_a_terminal_there_are_colours_and_no_one_else_s_escapes() -> None:
    shown = on_a_terminal("inspect")
    assert b"\x1b[1m" in shown
    assert b"\x1b[2J" not in shown
    assert b"agent\\u001b[2J" in shown


def test_no_color_turns_them_off() -> None:
    assert b"\x1b" not in on_a_terminal("inspect", NO_COLOR="1")


def test_a_pipe_that_has_seen_enough_is_no_traceback() -> None:
    process = subprocess.Popen(
        [*MODULE, "inspect"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stdin.write(TOKEN.encode())
    process.stdin.close()
    told = process.stderr.read()
    assert process.wait(20) == 1
    process.stderr.close()
    assert told == b""


def test_forward_auth_is_one_of_the_commands() -> None:
    refused = run("forward-auth", "nginx", "--host", "0.0.0.0")
    assert refused.returncode == 2
    assert "--unsafe-host" in refused.stderr
