"""docs/testing.md is a project: its files are written down as they stand, and run as their readers run them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
FILES = {title: text for language, title, text in FENCE.findall(PAGE.read_text(encoding="utf-8")) if title}
#: Of pytest; one has three parameters.
TESTS = sum(text.count("def test_") for title, text in FILES.items() if title != "test_unittest.py") + 2

#: What pytest-django does: the settings are read before tests are imported.
READY = "import django\n\ndjango.setup()\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "ready.py").write_text(READY, encoding="utf-8")
    return folder


def run(project: Path, *command: str) -> str:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "settings",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONWARNINGS": "error",
    }
    done = subprocess.run(
        [sys.executable, *command],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_every_snippet_is_a_file_that_runs() -> None:
    shown = FENCE.findall(PAGE.read_text(encoding="utf-8"))
    assert [text for language, title, text in shown if language == "python" and not title] == []
    assert len(shown) == len(FILES), "no file twice"
    frameworks = ("flask", "fastapi", "starlette", "django", "drf", "plain", "unittest", "authorisation", "trouble")
    assert {f"test_{name}.py" for name in frameworks} <= FILES.keys()


def test_pytest_runs_them(project: Path) -> None:
    plugins = ("-p", "ready", "-p", "strongdm_auth.pytest_plugin", "-p", "no:cacheprovider")
    told = run(project, "-m", "pytest", "-q", "-W", "error", *plugins, "--ignore=test_unittest.py")
    passed = re.search(r"(\d+) passed", told)
    assert passed, told
    assert int(passed[1]) == TESTS


def test_unittest_runs_its_own(project: Path) -> None:
    assert "Ran 2 tests" in run(project, "-m", "unittest", "test_unittest")
