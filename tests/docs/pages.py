"""A page of the documentation as what a reader makes of it: a program, a project of files, commands, links."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE)
_TITLE = re.compile(r'title="([^"]+)"')
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_TAGS = re.compile(r"<[^>]+>")


@dataclass(frozen=True)
class Snippet:
    """A fenced block: its language, the file it is said to be, its text."""

    language: str
    title: str | None
    text: str


@dataclass(frozen=True)
class Page:
    path: Path

    @property
    def name(self) -> str:
        """`README`, `docs/how-to/proxy`: for test ids and messages."""
        return str(self.path.relative_to(ROOT).with_suffix(""))

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def snippets(self) -> list[Snippet]:
        found = []
        for match in _FENCE.finditer(self.text):
            language, _, rest = match["info"].strip().partition(" ")
            title = _TITLE.search(rest)
            lines = (line.removeprefix(match["indent"]) for line in match["text"].splitlines(keepends=True))
            found.append(Snippet(language, title[1] if title else None, "".join(lines)))
        return found

    @property
    def program(self) -> list[str]:
        """The Python snippets that are no file's: they run one after the other."""
        return [snippet.text for snippet in self.snippets if snippet.language == "python" and snippet.title is None]

    @property
    def files(self) -> dict[str, str]:
        """The files that the page has its reader write; what is said of one file later goes on below."""
        files: dict[str, str] = {}
        for snippet in self.snippets:
            if snippet.title is not None:
                before = files.get(snippet.title)
                files[snippet.title] = snippet.text if before is None else f"{before}\n\n{snippet.text}"
        return files

    def commands(self, name: str) -> Iterator[list[str]]:
        """What the page has its reader type that begins with `name`: the arguments of each."""
        for snippet in self.snippets:
            if snippet.language != "console":
                continue
            text = snippet.text.replace("\\\n", " ")
            for line in text.splitlines():
                if not line.startswith("$ "):
                    continue
                for part in re.split(r" \| | && | ; ", line[2:]):
                    words = shlex.split(part, comments=True)
                    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                        words.pop(0)
                    if words and words[0] == name:
                        yield words[1 : words.index(">")] if ">" in words else words[1:]

    @cached_property
    def prose(self) -> str:
        """The page without its fenced blocks."""
        return _FENCE.sub("", self.text)

    @property
    def links(self) -> list[str]:
        return _LINK.findall(self.prose)

    @cached_property
    def anchors(self) -> set[str]:
        """What `#...` may name on this page: its headings, as GitHub and MkDocs both spell them."""
        return {_slug(heading) for heading in _HEADING.findall(self.prose)}

    def rows(self, heading: str | None = None) -> list[list[str]]:
        """The cells of the page's tables, without their heads; of those below one heading, if it is named."""
        text = self.prose
        if heading is not None:
            text = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.MULTILINE)[1]
            text = re.split(r"^#", text, maxsplit=1, flags=re.MULTILINE)[0]
        lines = text.splitlines()
        rows = []
        for number, line in enumerate(lines):
            is_head = number + 1 < len(lines) and re.fullmatch(r"\|[-| :]+\|", lines[number + 1])
            if line.startswith("|") and not is_head and not re.fullmatch(r"\|[-| :]+\|", line):
                rows.append([cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        return rows


def _slug(heading: str) -> str:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", _TAGS.sub("", heading))
    return re.sub(r"[^\w\- ]", "", text).strip().lower().replace(" ", "-")


def every_page() -> list[Page]:
    """The README, and all of docs/."""
    return [Page(ROOT / "README.md"), *(Page(path) for path in sorted((ROOT / "docs").rglob("*.md")))]


def page(name: str) -> Page:
    return Page(ROOT / "docs" / f"{name}.md")
