"""A verifier of either kind, asked in one way, with a watch in hand: the tests of a fault are told once for both."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from strongdm_auth import AsyncVerifier, Verifier
from tests.conftest import AUDIENCE
from tests.parts.world import async_status_of, settle, settle_tasks, status_of

#: What a request may take that waits for nobody, on a busy machine.
AT_ONCE = 0.25
KINDS = ("sync", "async")


class Outcome(NamedTuple):
    """What one request got, and how long it took."""

    status: int
    seconds: float


class Caller:
    """Asks one verifier: from threads, or from tasks of the running event loop."""

    def __init__(self, kind: str, clock: Callable[[], float], settings: dict[str, Any]) -> None:
        self._threaded = Verifier(clock=clock, **settings) if kind == "sync" else None
        self._looped = AsyncVerifier(clock=clock, **settings) if kind == "async" else None
        self._pool = ThreadPoolExecutor(50)

    async def ask(self, token: str) -> Outcome:
        """200, or the status of the refusal."""
        if self._threaded is not None:
            return self._in_thread(token)
        assert self._looped is not None
        begun = time.monotonic()
        return Outcome(await async_status_of(self._looped, token), time.monotonic() - begun)

    def meanwhile(self, token: str) -> "asyncio.Future[Outcome]":
        """The same, in a thread or a task of its own."""
        if self._threaded is not None:
            return asyncio.get_running_loop().run_in_executor(self._pool, self._in_thread, token)
        return asyncio.create_task(self.ask(token))

    async def settled(self) -> None:
        """Once what goes on in the background has ended."""
        settle()
        await settle_tasks()

    async def close(self) -> None:
        self._pool.shutdown()
        if self._threaded is not None:
            self._threaded.close()
        if self._looped is not None:
            await self._looped.aclose()
        await asyncio.sleep(0.01)  # asyncio closes a connection whose TLS handshake was cut off a turn later
        await self.settled()

    def _in_thread(self, token: str) -> Outcome:
        assert self._threaded is not None
        begun = time.monotonic()
        return Outcome(status_of(self._threaded, token), time.monotonic() - begun)


@asynccontextmanager
async def calling(kind: str, url: str, clock: Callable[[], float], **settings: Any) -> AsyncIterator[Caller]:
    """A caller of a verifier for the realm alpha of the issuer at `url`; keywords change its settings."""
    caller = Caller(kind, clock, {"issuer": url, "realms": ["alpha"], "audience": AUDIENCE} | settings)
    try:
        yield caller
    finally:
        await caller.close()
