"""Measurements that need a process of their own: `python -m bench.child NAME ...` prints one JSON value.

Memory is counted by `tracemalloc`, which sees what Python allocates. A single operation's longest time is CPU time of its
thread, with the garbage collector on: what it collects in the middle of a request counts.
"""

import gc
import json
import os
import resource
import subprocess
import sys
import time
import tracemalloc
from typing import Any


def run(name: str, *arguments: object) -> Any:
    """What a child process measured."""
    command = [sys.executable, "-m", "bench.child", name, *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def replay(entries: int) -> dict[str, float]:
    """Fill the replay store, let all of it expire at once, and go on: bytes an entry and the longest operation of each part."""
    from strongdm_auth.replay import MemoryReplayStore

    keys = [os.urandom(16) for _ in range(entries + 20_000)]
    owners = [f"thumbprint-{number}" for number in range(1_000)]
    gc.collect()
    gc.freeze()
    store, begin = MemoryReplayStore(entries), 1_700_000_000.0

    def longest(part: list[bytes], now: float) -> float:
        worst = 0
        clock = time.thread_time_ns
        for number, key in enumerate(part):
            owner = owners[number % 1_000]
            since = clock()
            first = store.first_use(key, owner, now + 60, now)
            worst = max(worst, clock() - since)
            if not first:
                raise AssertionError("a fresh key was seen before")
        return worst / 1e6

    filling = longest(keys[:entries], begin)
    return {"filling_ms": filling, "expiring_ms": longest(keys[entries:], begin + 1_000.0)}


def replay_memory(entries: int) -> float:
    """Bytes a remembered proof."""
    from strongdm_auth.replay import MemoryReplayStore

    store, now = MemoryReplayStore(entries), 1_700_000_000.0
    owners = [f"thumbprint-{number}" for number in range(1_000)]
    gc.collect()
    tracemalloc.start()
    for number in range(entries):
        store.first_use(os.urandom(16), owners[number % 1_000], now + 60, now)
    return tracemalloc.get_traced_memory()[0] / entries


def token_memory(count: int) -> float:
    """Bytes a remembered access token: what is left after requests with so many tokens are over."""
    import warnings

    from strongdm_auth import Request

    from . import ours
    from .world import URL, World, bearer

    warnings.simplefilter("ignore")
    with World().serve() as world:
        requests = [Request("GET", URL, bearer(world.token("EdDSA"))) for _ in range(count)]
        verifier = ours.warmed(world)
        gc.collect()
        tracemalloc.start()
        for request in requests:
            verifier.authenticate(request)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / count


def imports(statement: str, repeats: int) -> float:
    """The least CPU seconds of a fresh interpreter that runs this statement (bytecode is there from the run before)."""
    best = float("inf")
    for _ in range(repeats + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", statement], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best


if __name__ == "__main__":
    call = {"replay": replay, "replay_memory": replay_memory, "token_memory": token_memory, "imports": imports}[
        sys.argv[1]
    ]
    print(json.dumps(call(*(int(word) if word.isdigit() else word for word in sys.argv[2:]))))  # type: ignore[operator]
