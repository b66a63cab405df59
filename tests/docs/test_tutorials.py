"""A tutorial is a project: its files are written as the page says, and its own tests run as its reader runs them, by pytest."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .pages import ROOT, Page, every_page

TUTORIALS = [page for page in every_page() if page.path.parent.name == "tutorials" and page.files]


def test_there_is_a_tutorial_for_each_door() -> None:
    names = {page.path.stem for page in TUTORIALS}
    assert {"flask", "fastapi", "starlette", "django", "drf", "wsgi", "no-framework"} <= names


@pytest.mark.parametrize("page", [*TUTORIALS, Page(ROOT / "README.md")], ids=lambda page: page.name)
def test_the_project_of_a_tutorial_passes_its_own_tests(page: Page, tmp_path: Path) -> None:
    for name, text in page.files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--rootdir", "."]
    # A reader has few of the plugins that are here, and ours.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "strongdm_auth.pytest_plugin"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{page.name}:\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.name)
def test_a_tutorial_shows_the_first_200_and_a_test(page: Page) -> None:
    """From nothing: what to install, how to run it, what a stranger and what an agent gets; then scopes, DPoP, a test."""
    for words in ("issuer.md", "pip install", "STRONGDM_ISSUER=http://127.0.0.1:9000", "401", "< 200 OK", "dpop=True"):
        assert words in page.text, f"{page.name} lacks {words!r}"
