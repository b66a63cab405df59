"""What the package promises: a name, a parameter or an attribute that comes or goes shows in a review."""

import ast
import difflib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.surface import PUBLIC, SNAPSHOT, SOURCE, declared, exported, find, path_of, surface
from tests.parts.test_imports import FRAMEWORKS, imported_by

ROOT = Path(__file__).parents[2]
MODULES = [
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__") for path in SOURCE.rglob("*.py")
]
_SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_the_public_surface_is_what_was_agreed() -> None:
    agreed, found = SNAPSHOT.read_text(encoding="utf-8").splitlines(), surface().splitlines()
    difference = "\n".join(difflib.unified_diff(agreed, found, "agreed", "found", lineterm="", n=1))
    assert not difference, f"if this is meant, run `python -m tests.packaging.surface` and commit it:\n{difference}"


@pytest.mark.parametrize("module", [module for module in MODULES if declared(module) is not None])
def test_what_a_module_says_it_exports_is_there(module: str) -> None:
    names = declared(module) or []
    assert len(names) == len(set(names))
    submodules = {other.removeprefix(f"{module}.") for other in MODULES if other.startswith(f"{module}.")}
    assert [name for name in names if find(module, name) is None and name not in submodules] == []


def imports(text: str) -> Iterator[tuple[str, str]]:
    """Module and name of each import of ours in a program."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "strongdm_auth":
            yield from ((node.module or "", alias.name) for alias in node.names)


def programs() -> Iterator[tuple[str, str]]:
    """Every program that users see, and where it stands."""
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for snippet in _SNIPPET.findall(page.read_text(encoding="utf-8")):
            yield str(page.relative_to(ROOT)), snippet
    for file in ROOT.glob("examples/**/*.py"):
        yield str(file.relative_to(ROOT)), file.read_text(encoding="utf-8")


def test_pages_and_examples_import_what_is_public() -> None:
    found = [(place, module, name) for place, text in programs() for module, name in imports(text)]
    assert len(found) > 20
    private = [
        (place, module, name)
        for place, module, name in found
        if f"{module}.{name}" not in PUBLIC and (module not in PUBLIC or name not in exported(module))
    ]
    assert private == []


def test_every_public_module_is_there() -> None:
    assert [module for module in PUBLIC if not path_of(module).is_file()] == []


def test_a_door_without_its_library_says_which_one_is_missing() -> None:
    absent = (*FRAMEWORKS, "httpx2", "requests", "redis", "opentelemetry", "cedarpy")
    imported_by("from tests.packaging import alone\nalone.check_doors_say_what_is_missing()", absent)
