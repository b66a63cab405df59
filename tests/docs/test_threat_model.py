"""docs/threat-model.md names a test for each attack; each of them is there."""

import ast
from functools import lru_cache

import pytest

from .pages import ROOT, page

PAGE = page("threat-model")
ATTACKS = ("Stolen and repeated", "Forged and confused", "Other people's agents", "Ways round the door")
TABLES = (*ATTACKS, "Keeping good agents out")
ROWS = [row for heading in TABLES for row in PAGE.rows(heading)]


@lru_cache
def named_in(path: str) -> frozenset[str]:
    """The names of the tests in a file, also of those in classes."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_the_test_that_a_row_names_is_in_the_tree(row: list[str]) -> None:
    attack, _, test = row
    path, _, name = test.strip("`").partition("::")
    assert (ROOT / path).is_file(), f"docs/threat-model.md, the row {attack!r}: there is no file {path}"
    assert name in named_in(path), f"docs/threat-model.md, the row {attack!r}: {path} has no test {name}"


def test_every_attack_has_a_check_and_a_test() -> None:
    assert len(ROWS) > 50
    assert [row for row in ROWS if len(row) != 3 or not all(row)] == []
    assert len({row[2] for row in ROWS}) == len(ROWS), (
        "a test stands for two attacks: find the one that is each one's own"
    )


def test_what_is_not_defended_says_why_and_what_to_do() -> None:
    rows = PAGE.rows("What is not defended")
    assert len(rows) > 5
    assert all(len(row) == 3 and all(row) for row in rows)
