"""The site is built without a warning, from nothing but this folder, and its pages fetch nothing from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import strongdm_auth

from .pages import ROOT

pytest.importorskip("mkdocs")

#: What a browser fetches without being asked: scripts, style sheets, images, fonts.
_FETCHED = re.compile(
    r"""<(?:script|img|iframe|source)[^>]+src=["'](?:https?:)?//|"""
    r"""<link[^>]+rel=["'](?:stylesheet|preconnect|preload|icon)["'][^>]+href=["'](?:https?:)?//|"""
    r"""@import|url\(["']?(?:https?:)?//"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. No proxy leads out, so that a plugin that fetches fails."""
    target = tmp_path_factory.mktemp("site")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    environment = {**os.environ, **nowhere, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def test_it_is_built_without_a_warning(site: Path) -> None:
    assert (site / "index.html").is_file()
    assert (site / "security" / "index.html").is_file()  # brought from beside docs/
    assert (site / "examples" / "flask_app" / "index.html").is_file()


def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(pages) > 40
    fetching = {
        str(path.relative_to(site)): found[0]
        for path in pages
        if (found := _FETCHED.search(path.read_text(encoding="utf-8")))
    }
    assert fetching == {}


def test_the_reference_has_what_the_docstrings_say(site: Path) -> None:
    text = (site / "reference" / "core" / "index.html").read_text(encoding="utf-8")
    assert "Verifies requests from threads" in text
    assert 'id="strongdm_auth.Requirement"' in text


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    pages = [path.read_text(encoding="utf-8") for path in (site / "reference").rglob("*.html")]
    found = {name for text in pages for name in re.findall(r'id="strongdm_auth\.(?:\w+\.)*(\w+)"', text)}
    missing = sorted(set(strongdm_auth.__all__) - {"__version__"} - found)
    assert missing == [], f"no page of docs/reference has {', '.join(missing)}: add `::: strongdm_auth.NAME` to one"


def test_what_makes_the_site_is_not_in_it(site: Path) -> None:
    assert not list(site.rglob("*.py"))
