"""Brings the pages that lie beside docs/ into the site, and makes links to them work there as they do in the repository.

A hook of MkDocs (`hooks` in mkdocs.yml). A link to a file that is no page, such as a module, is left as its text; one to
nothing at all is left for MkDocs to complain about.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
#: A file of the repository -> the page that it is on the site.
BROUGHT = {
    "ARCHITECTURE.md": "inside.md",
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "examples/README.md": "examples/all.md",
    **{f"examples/{folder.name}/README.md": f"examples/{folder.name}.md" for folder in (ROOT / "examples").glob("*/")},
}
#: What of an example is shown, and in which colours.
LANGUAGES = {".py": "python", ".js": "javascript", ".html": "html", ".cedar": "text"}
#: What is not brought, since a page of docs/ says it.
SAID_BY = {"README.md": "index.md", "README.md#settings": "settings.md"}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """The pages that are brought; an example comes with its source."""
    for path, page in BROUGHT.items():
        if (ROOT / path).exists():
            text = (ROOT / path).read_text(encoding="utf-8")
            if path.count("/") == 2:
                text += "".join(_source(file) for file in sorted((ROOT / path).parent.glob("*.*")))
            files.append(File.generated(config, page, content=_relinked(text, path, page)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links out of docs/ lead to the pages that were brought."""
    uri = page.file.src_uri
    return markdown if uri in BROUGHT.values() else _relinked(markdown, f"docs/{uri}", uri)


def _relinked(markdown: str, path: str, page: str) -> str:
    """The text of the repository's file `path`, with links as they must be on the site's page `page`."""

    def relink(match: re.Match[str]) -> str:
        image, text, target, anchor = match[1], match[2], match[3], match[4] or ""
        whole = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        found = SAID_BY.get(whole + anchor)
        if found is not None:
            anchor = ""
        elif whole.startswith("docs/"):
            found = whole.removeprefix("docs/")
        elif (ROOT / whole).exists():
            found = SAID_BY.get(whole) or BROUGHT.get(whole) or BROUGHT.get(f"{whole}/README.md")
            if found is None:
                return text
        if found is None:
            return match[0]
        return f"{image}[{text}]({posixpath.relpath(found, posixpath.dirname(page) or '.')}{anchor})"

    return _LINK.sub(relink, markdown)


def _source(file: Path) -> str:
    language = LANGUAGES.get(file.suffix)
    if language is None:
        return ""
    return f"\n## {file.name}\n\n```{language}\n{file.read_text(encoding='utf-8')}```\n"
