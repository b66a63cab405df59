"""Every link of every page leads to a file that is there and, where it names one, to a heading of it."""

import re
from pathlib import Path

import pytest

from .pages import ROOT, Page, every_page

PAGES = [*every_page(), *(Page(path) for path in sorted(ROOT.glob("*.md")) if path.name != "README.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Page) -> None:
    missing = []
    for link in page.links:
        target, _, anchor = link.partition("#")
        if ":" in target:  # another site
            continue
        path = (page.path.parent / target).resolve() if target else page.path
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in Page(path).anchors):
            missing.append(link)
    assert missing == [], f"{page.name}: these links lead nowhere: {', '.join(missing)}"


def test_every_page_stands_in_the_navigation_once() -> None:
    entries = re.findall(r"^ +- .*?: ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert len(entries) == len(set(entries)), "mkdocs.yml names a page twice"
    assert sorted(pages - set(entries)) == [], "these pages are not in the nav of mkdocs.yml"
    assert sorted(set(entries) - pages - brought()) == [], "the nav of mkdocs.yml names pages that are not there"


def brought() -> set[str]:
    """The pages that docs/press/repository.py makes of the files beside docs/."""
    source = (ROOT / "docs" / "press" / "repository.py").read_text(encoding="utf-8")
    folders = {f"examples/{folder.parent.name}.md" for folder in (ROOT / "examples").glob("*/README.md")}
    return set(re.findall(r'^    "[\w/]+\.md": "([\w/-]+\.md)",$', source, re.MULTILINE)) | folders


@pytest.mark.parametrize("page", every_page(), ids=lambda page: page.name)
def test_a_page_begins_with_its_name_and_what_the_reader_gets(page: Page) -> None:
    first, _, rest = page.text.partition("\n")
    assert first.startswith("# "), f"{page.name} does not begin with a heading"
    assert re.match(r"\n(?!```)[^#|!\n]", rest), f"{page.name} does not say what the reader gets from it"


def test_drawings_are_those_of_the_script() -> None:
    names: dict[str, object] = {"__file__": str(ROOT / "docs" / "press" / "drawings.py"), "__name__": "drawings"}
    exec(compile(Path(str(names["__file__"])).read_text(encoding="utf-8"), "drawings.py", "exec"), names)
    for name, draw in names["DRAWINGS"].items():  # type: ignore[attr-defined]
        kept = (ROOT / "docs" / "img" / name).read_text(encoding="utf-8")
        assert kept == draw().svg(), f"docs/img/{name} is not what docs/press/drawings.py draws: run it"
