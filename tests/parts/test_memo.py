"""Bounded memory: what is in use stays, and what was used longest ago goes."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from strongdm_auth.memo import Memo


def _filled(capacity: int, *keys: str) -> Memo[str, str]:
    memo: Memo[str, str] = Memo(capacity)
    for key in keys:
        memo.put(key, key.upper())
    return memo


def _known(memo: Memo[str, str], keys: str) -> str:
    """Those of the keys that are there, the oldest first; to `get` them would make them young."""
    return "".join(key for key in memo._entries if key in keys)


def test_it_holds_as_many_as_it_is_for_and_the_oldest_goes() -> None:
    assert _known(_filled(3, *"abc"), "abc") == "abc"
    memo = _filled(3, *"abcd")
    assert _known(memo, "abcd") == "bcd"
    assert len(memo) == 3
    assert (memo.get("a"), memo.get("d")) == (None, "D")


def test_what_was_asked_for_is_not_the_oldest() -> None:
    """A flood of tokens that are good once does not push out those of agents that come back."""
    memo = _filled(3, *"abc")
    assert memo.get("a") == "A"
    memo.put("d", "D")
    assert _known(memo, "abcd") == "cad"


def test_what_was_put_again_is_new_and_takes_no_room() -> None:
    memo = _filled(3, *"abc")
    memo.put("a", "another")
    assert len(memo) == 3
    memo.put("d", "D")
    assert memo.get("a") == "another"
    assert memo.get("b") is None


def test_what_is_not_there_is_none_and_leaves_no_trace() -> None:
    memo = _filled(3)
    assert memo.get("a") is None
    assert len(memo) == 0


@pytest.fixture
def impatient_threads() -> Iterator[None]:
    """Threads that take turns as often as can be."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("impatient_threads")
def test_threads_that_push_each_others_entries_out_get_the_right_value_or_none() -> None:
    memo: Memo[int, int] = Memo(2)
    start = threading.Barrier(8)

    def use(thread: int) -> None:
        start.wait(5)
        for number in range(2_000):
            key = (thread + number) % 4
            memo.put(key, key * 10)
            assert memo.get(key) in (key * 10, None)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(8)))
    assert len(memo) <= 2
