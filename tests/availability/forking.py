"""A process that forks, driven by lines of JSON: `python -m tests.availability.forking sync|async SETTINGS`.

{"ask": [TOKEN, ...]}                       the statuses, asked here
{"begin": TOKEN}                            asked here, in a thread or task of its own; answered when it has begun
{"fork": [[TOKEN, ...], ...], "patience": SECONDS}
                                            for each child, a status and the seconds until it came, for each token;
                                            a refusal is asked again while there is patience; null for a child that hung
{"end": true}                               the statuses of what was begun
"""

import asyncio
import json
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any

import httpx  # noqa: F401 (now, and not in the first request, whose time is short)

from strongdm_auth import AsyncVerifier, Verifier
from tests.parts.world import async_status_of, status_of

#: A child that has not ended by then is taken for one that never will.
HUNG = 20


class Process:
    """One verifier, and what was begun. An `AsyncVerifier` lives in a loop that runs in a thread, as a server's does."""

    def __init__(self, kind: str, settings: dict[str, Any]) -> None:
        self._begun: list[Future[int]] = []
        self._threaded = Verifier(**settings) if kind == "sync" else None
        self._looped = AsyncVerifier(**settings) if kind == "async" else None
        self._loop = asyncio.new_event_loop()
        if kind == "async":
            threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def ask(self, tokens: list[str]) -> list[int]:
        return [self._begin(token).result(HUNG) for token in tokens]

    def begin(self, token: str) -> bool:
        self._begun.append(self._begin(token))
        return True

    def end(self) -> list[int]:
        return [future.result(HUNG) for future in self._begun]

    def fork(self, children: list[list[str]], patience: float) -> list[Any]:
        born = [self._bear(tokens, patience) for tokens in children]
        return [self._bury(child, pipe) for child, pipe in born]

    def _begin(self, token: str) -> "Future[int]":
        if self._looped is not None:
            coroutine: Coroutine[Any, Any, int] = async_status_of(self._looped, token)
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        future: Future[int] = Future()
        threading.Thread(target=lambda: future.set_result(self._ask_here(token)), daemon=True).start()
        return future

    def _ask_here(self, token: str) -> int:
        assert self._threaded is not None
        return status_of(self._threaded, token)

    def _bear(self, tokens: list[str], patience: float) -> tuple[int, int]:
        reading, writing = os.pipe()
        child = os.fork()
        if child:
            os.close(writing)
            return child, reading
        try:
            signal.alarm(HUNG)
            asked = (
                self._ask_as_child(tokens, patience)
                if self._threaded
                else asyncio.run(self._ask_in_new_loop(tokens, patience))
            )
            os.write(writing, json.dumps(asked).encode())
        finally:
            os._exit(0)

    def _ask_as_child(self, tokens: list[str], patience: float) -> list[tuple[int, float]]:
        found = []
        for token in tokens:
            begun = time.monotonic()
            while (status := self._ask_here(token)) != 200 and time.monotonic() - begun < patience:
                time.sleep(0.05)
            found.append((status, time.monotonic() - begun))
        return found

    async def _ask_in_new_loop(self, tokens: list[str], patience: float) -> list[tuple[int, float]]:
        assert self._looped is not None
        found = []
        for token in tokens:
            begun = time.monotonic()
            while (status := await async_status_of(self._looped, token)) != 200 and time.monotonic() - begun < patience:
                await asyncio.sleep(0.05)
            found.append((status, time.monotonic() - begun))
        await self._looped.aclose()
        return found

    @staticmethod
    def _bury(child: int, pipe: int) -> Any:
        with os.fdopen(pipe) as said:
            text = said.read()
        os.waitpid(child, 0)
        return json.loads(text) if text else None


def main() -> None:
    warnings.simplefilter("ignore", DeprecationWarning)  # a fork while there are threads: that is the point
    process = Process(sys.argv[1], json.loads(sys.argv[2]))
    for line in sys.stdin:
        match json.loads(line):
            case {"ask": tokens}:
                answer: Any = process.ask(tokens)
            case {"begin": token}:
                answer = process.begin(token)
            case {"fork": children, "patience": patience}:
                answer = process.fork(children, patience)
            case {"end": _}:
                answer = process.end()
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
