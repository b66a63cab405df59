"""The types that an application sees. The other files of this folder are never run: type checkers read them, strictly.

What must be an error carries both checkers' words for it (`type: ignore[...]`, `pyright: ignore[...]`), and a comment that
is not needed is an error, too: so a misspelt setting that is let through fails here, and a type that got lost.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def run(*command: str) -> str:
    """What a checker says; this test's fault if it does not end well."""
    environment = os.environ | {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_mypy_says_what_it_should_and_no_more() -> None:
    pytest.importorskip("mypy", reason="mypy is in the dependency group types")
    config, cache = HERE / "mypy.ini", ROOT / ".mypy_cache" / "applications"
    said = run(sys.executable, "-m", "mypy", f"--config-file={config}", f"--cache-dir={cache}", str(HERE))
    assert "no issues found" in said


def test_pyright_says_what_it_should_and_no_more() -> None:
    pytest.importorskip("pyright", reason="pyright is in the dependency group types")
    said = run(sys.executable, "-m", "pyright", "--project", str(HERE), "--pythonpath", sys.executable)
    assert said.startswith("0 errors, 0 warnings")
