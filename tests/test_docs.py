"""Every Python snippet of the README and of docs/ runs: a page is one program, from top to bottom."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: Pages whose snippets need a world of their own: tests/client/test_docs.py, tests/doors/test_mcp_docs.py.
ELSEWHERE = {"client", "mcp"}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def snippets(page: Path) -> list[str]:
    return SNIPPET.findall(page.read_text(encoding="utf-8"))


@pytest.fixture
def trail() -> Iterator[None]:
    """A page turns the audit trail on; off again for whoever comes next."""
    logger = logging.getLogger("strongdm_auth.audit")
    level, handlers = logger.level, list(logger.handlers)
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers


@pytest.mark.usefixtures("trail")
@pytest.mark.parametrize(
    "page", [page for page in PAGES if snippets(page) and page.stem not in ELSEWHERE], ids=lambda page: page.stem
)
def test_the_snippets_of_a_page_run(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRONGDM_AUDIENCE", "https://api.example.com")
    monkeypatch.setenv("STRONGDM_REALMS", "acme")
    names: dict[str, object] = {"__name__": "snippets"}
    for snippet in snippets(page):
        exec(compile(snippet, str(page), "exec"), names)


@pytest.mark.parametrize("page", [*PAGES, *sorted(ROOT.glob("*.md"))], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []
