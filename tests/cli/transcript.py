"""A page with console blocks, read as a session: what is typed, what comes back, and what of it differs each time."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
#: What differs from one run to the next -> what stands for it.
_CHANGING: tuple[tuple[str, str], ...] = (
    (r"127\.0\.0\.1:\d+", "ISSUER"),
    (r"enroll_[0-9a-f-]{36}", "ENROLLMENT"),
    (r"cli_my_agent_[0-9a-f]{16}", "CLIENT"),
    (r"(?:/[\w.-]+)+/\.config/strongdmid", "KEPT"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "TIME"),
    (r"\b(?:in|for) (?:1 hour|59 minutes(?: \d+ seconds?)?)", "SOON"),
    (r", (?:now|\d seconds? ago)\b", ", NOW"),
    (r"\b1\d{9}\b", "SECONDS"),
    (r"\b[a-z0-9]+-[0-9a-f]{12}\b", "KID"),
    (r"[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])", "THUMBPRINT"),
    (r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{22}(?![A-Za-z0-9_-])", "JTI"),
    (r"\d+( of \d+)? characters", "LENGTH"),
    (r" {2,}", "  "),
)


@dataclass(frozen=True)
class Step:
    """One line that is typed, and what comes back."""

    command: str
    shown: str


def steps(page: str) -> Iterator[Step]:
    """Every `$` line of the page, with the lines up to the next one."""
    for block in BLOCK.findall(page):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            yield Step(command, shown)


def normalised(text: str) -> str:
    """The text with everything that changes replaced."""
    for pattern, name in _CHANGING:
        text = re.sub(pattern, name, text)
    return text.strip("\n")
