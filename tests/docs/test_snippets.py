"""Every Python snippet of the README and of docs/ runs: a page is one program, from top to bottom.

What a snippet takes for granted, and no reader needs to see, stands in `PREAMBLES`. Pages whose programs need a world of their
own, such as an issuer or another library, are run elsewhere; which test does it stands in `ELSEWHERE`.
"""

import logging
import os
from collections.abc import Iterator

import pytest

from .pages import ROOT, Page, every_page

PAGES = every_page()
#: Page -> what its first snippet may suppose.
PREAMBLES: dict[str, str] = {"README": Page(ROOT / "README.md").files["app.py"]}
#: Page -> the test that runs it, which names it.
ELSEWHERE = {
    "docs/client": "tests/client/test_docs.py",
    "docs/mcp": "tests/doors/test_mcp_docs.py",
    "docs/how-to/proxy": "tests/docs/test_how_to.py",
    "docs/how-to/realms": "tests/docs/test_how_to.py",
    "docs/how-to/workers": "tests/docs/test_how_to.py",
    "docs/moving/strongdm-example": "tests/docs/test_moving.py",
    "docs/moving/auth0-api-python": "tests/docs/test_moving.py",
    "docs/moving/authlib": "tests/docs/test_moving.py",
    "docs/moving/pyjwt": "tests/docs/test_moving.py",
}


@pytest.fixture
def put_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A page may set variables of the environment and turn the audit trail on; off again for whoever comes next."""
    logger = logging.getLogger("strongdm_auth.audit")
    level, handlers = logger.level, list(logger.handlers)
    environment = dict(os.environ)
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]


@pytest.mark.usefixtures("put_back")
@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.program and page.name not in ELSEWHERE], ids=lambda page: page.name
)
def test_the_snippets_of_a_page_run(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRONGDM_AUDIENCE", "https://api.example.com")
    monkeypatch.setenv("STRONGDM_REALMS", "acme")
    names: dict[str, object] = {"__name__": "snippets"}
    for snippet in [PREAMBLES.get(page.name, ""), *page.program]:
        exec(compile(snippet, str(page.path), "exec"), names)


@pytest.mark.parametrize(("name", "test"), ELSEWHERE.items())
def test_what_runs_elsewhere_does(name: str, test: str) -> None:
    page = Page(ROOT / f"{name}.md")
    assert page.program, f"{name} has no program; take it out of ELSEWHERE"
    assert page.path.stem in (ROOT / test).read_text(encoding="utf-8"), f"{test} does not name {name}"


def test_no_snippet_is_in_a_language_that_nobody_runs_by_mistake() -> None:
    """`py` or `Python` would be coloured like Python, and not run."""
    odd = [
        (page.name, each.language)
        for page in PAGES
        for each in page.snippets
        if each.language.lower() in ("py", "python3")
    ]
    assert odd == []
