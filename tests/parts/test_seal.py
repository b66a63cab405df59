"""Answers that are shut up for the store: what opens, for whom, and for how long."""

from typing import Any

import pytest

from strongdm_auth.seal import Seal
from tests.conftest import NOW

ANSWER = {"active": True, "sub": "agent"}
ONE, OTHER = b"\1" * 32, b"\2" * 32


@pytest.fixture
def seal() -> Seal:
    return Seal("secret", "https://id.example.com", "the API")


def test_an_answer_opens_until_its_time(seal: Seal) -> None:
    value = seal.shut(ONE, ANSWER, NOW + 60)
    assert seal.open(ONE, value, NOW + 59.9) == ANSWER
    assert seal.open(ONE, value, NOW + 60) is None


def test_workers_with_the_same_secret_open_each_others_and_nobody_elses(seal: Seal) -> None:
    value = seal.shut(ONE, ANSWER, NOW + 60)
    assert Seal("secret", "https://id.example.com", "the API").open(ONE, value, NOW) == ANSWER
    for secret, *context in (
        ("another", "https://id.example.com", "the API"),
        ("secret", "https://id.example.org", "the API"),
        ("secret", "https://id.example.com", "another API"),
        ("secret", "https://id.example.com"),
        ("secret", "https://id.example.comthe API"),
    ):
        stranger = Seal(secret, *context)
        assert stranger.open(ONE, value, NOW) is None
        assert stranger.name(ONE) != seal.name(ONE)


def test_an_answer_about_one_token_opens_for_no_other(seal: Seal) -> None:
    assert seal.open(OTHER, seal.shut(ONE, ANSWER, NOW + 60), NOW) is None
    assert seal.name(OTHER) != seal.name(ONE)


def test_the_same_answer_never_looks_the_same(seal: Seal) -> None:
    assert len({seal.shut(ONE, ANSWER, NOW + 60) for _ in range(20)}) == 20


@pytest.mark.parametrize("until", [None, "tomorrow", True, [], {}, float("nan"), float("inf")], ids=repr)
def test_an_answer_that_does_not_say_until_when_is_none(seal: Seal, until: Any) -> None:
    """Sealed by somebody who has the secret, such as another release of ours: no reason to trust its form, or to fail."""
    assert seal.open(ONE, seal.shut(ONE, ANSWER, until), 0) is None


@pytest.mark.parametrize("document", [None, "active", True, [ANSWER], 1], ids=repr)
def test_an_answer_that_is_no_object_is_none(seal: Seal, document: Any) -> None:
    assert seal.open(ONE, seal.shut(ONE, document, NOW + 60), NOW) is None


def test_bytes_of_any_length_are_none(seal: Seal) -> None:
    value = seal.shut(ONE, ANSWER, NOW + 60)
    for length in range(len(value)):
        assert seal.open(ONE, value[:length], NOW) is None
    assert seal.open(ONE, value + b"\0", NOW) is None
