"""The inputs that the fuzzers' kept corpora hold, once each and without a fuzzer; see fuzz/README.md."""

from pathlib import Path

import pytest
from fuzz.run import CORPORA
from fuzz.targets import NAMES, load

#: Small enough to be read, and to be run with the tests.
MOST_FILES, MOST_BYTES = 200, 4_096


def _kept(name: str) -> list[Path]:
    return sorted((CORPORA / name).iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_found_in_the_kept_inputs(name: str) -> None:
    target = load(name)
    for path in _kept(name):
        try:
            target.check(path.read_bytes())
        except Exception as finding:
            finding.add_note(f"again: python -m fuzz.run {name} {path.relative_to(CORPORA.parent.parent)}")
            raise


@pytest.mark.parametrize("name", NAMES)
def test_the_kept_inputs_are_few_and_small(name: str) -> None:
    kept = _kept(name)
    assert 0 < len(kept) < MOST_FILES
    assert all(path.stat().st_size < MOST_BYTES for path in kept)


def test_each_folder_of_inputs_is_a_target_s() -> None:
    assert {path.name for path in CORPORA.iterdir()} == set(NAMES)
