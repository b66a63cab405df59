"""Two drivers for one story: threads and event loops. They do what a story asks for and decide nothing."""

import asyncio
import inspect
import logging
import threading
import time
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from .audit import Audit
from .errors import Refused
from .events import Exchange
from .http import AsyncHTTP, Clock, SyncHTTP
from .needs import AskStore, Background, Fetch, FirstUse, Join, Need, Reply, Story, Unreachable

_Result = TypeVar("_Result")
_log = logging.getLogger("strongdm_auth")


class SyncDriver:
    """Runs stories in the calling thread; background ones in a daemon thread."""

    def __init__(self, http: SyncHTTP, replay_store: Any, join_for: float, clock: Clock, audit: Audit) -> None:
        self._http, self._store, self._join_for, self._clock = http, replay_store, join_for, clock
        self._audit = audit

    def run(self, story: Story[_Result]) -> _Result:
        """The story's result, or what it raises."""
        try:
            need = next(story)
            while True:
                try:
                    answer = self._meet(need)
                except Unreachable as fault:
                    need = story.throw(fault)
                else:
                    need = story.send(answer)
        except StopIteration as end:
            result: _Result = end.value
            return result
        finally:
            story.close()

    def _meet(self, need: Need) -> Any:
        match need:
            case Fetch():
                with _Watch(need, self._clock, self._audit) as watch:
                    watch.reply = self._http.exchange(need)
                return watch.reply
            case Join(flight):
                _wait(flight.landed, self._join_for)
                return self._clock()
            case Background(story):
                # With the request's context, which tells who traces it that the fetch is part of it.
                run = partial(copy_context().run, self._run_in_background, story)
                try:
                    threading.Thread(target=run, name="strongdm-auth-keys", daemon=True).start()
                except RuntimeError:  # no more threads: then now
                    self._run_in_background(story)
                return None
            case FirstUse() | AskStore():
                return _ask_store(self._store, need)

    def _run_in_background(self, story: Story[float]) -> None:
        try:
            self.run(story)
        except Refused as refusal:
            _log.debug("background refresh ended: %s", refusal.reason)


class AsyncDriver:
    """Runs stories in the running event loop; background ones as tasks of it. Shares no lock with any loop."""

    def __init__(self, http: AsyncHTTP, replay_store: Any, join_for: float, clock: Clock, audit: Audit) -> None:
        self._http, self._store, self._join_for, self._clock = http, replay_store, join_for, clock
        self._audit = audit
        self._tasks: set[asyncio.Task[None]] = set()  # a task that nobody holds may be collected before it ends

    async def run(self, story: Story[_Result]) -> _Result:
        """The story's result, or what it raises."""
        try:
            need = next(story)
            while True:
                try:
                    answer = await self._meet(need)
                except Unreachable as fault:
                    need = story.throw(fault)
                else:
                    need = story.send(answer)
        except StopIteration as end:
            result: _Result = end.value
            return result
        finally:
            story.close()  # also when the request was cancelled: a flight that it began ends, and another may begin

    async def _meet(self, need: Need) -> Any:
        match need:
            case Fetch():
                with _Watch(need, self._clock, self._audit) as watch:
                    watch.reply = await self._http.exchange(need)
                return watch.reply
            case Join(flight):
                # `wait` cancels nothing when this request is cancelled, and the flight is another's.
                await asyncio.wait([asyncio.wrap_future(flight.landed)], timeout=self._join_for)
                return self._clock()
            case Background(story):
                task = asyncio.get_running_loop().create_task(self._run_in_background(story))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                return None
            case FirstUse() | AskStore():
                answer = _ask_store(self._store, need)
                if inspect.isawaitable(answer):
                    try:
                        return await answer
                    except Exception as fault:  # fails closed, whatever it is
                        raise _store_failed(fault) from fault
                return answer

    async def _run_in_background(self, story: Story[float]) -> None:
        try:
            await self.run(story)
        except Refused as refusal:
            _log.debug("background refresh ended: %s", refusal.reason)


class _Watch:
    """Tells those who watch of one exchange, however it went."""

    def __init__(self, need: Fetch, clock: Clock, audit: Audit) -> None:
        self.reply: Reply | None = None
        self._need, self._audit = need, audit
        self._began, self._since = clock(), time.monotonic()

    def __enter__(self) -> "_Watch":
        return self

    def __exit__(self, _: object, fault: BaseException | None, __: object) -> None:
        self._audit.exchanged(
            Exchange(
                time=self._began,
                duration=time.monotonic() - self._since,
                purpose=self._need.purpose,
                method="GET" if self._need.form is None else "POST",
                url=self._need.url,
                status=None if self.reply is None else self.reply.status,
                failure=None if fault is None else str(fault) or type(fault).__name__,
            )
        )


def _wait(landed: "Future[None]", seconds: float) -> None:
    try:
        landed.result(seconds)
    except TimeoutError:
        return  # the story looks at the keys, not at why the wait ended


def _ask_store(store: Any, need: FirstUse | AskStore) -> Any:
    try:
        if isinstance(need, AskStore):
            return getattr(store, need.operation)(*need.arguments)
        return store.first_use(need.key, need.owner, need.until, need.now)
    except Exception as fault:  # whatever a store raises, nobody gets in on it
        raise _store_failed(fault) from fault


def _store_failed(fault: Exception) -> Unreachable:
    """An outage is a line for each request that it cost; where the fault lies stands below it at DEBUG."""
    _log.error("the replay store failed: %s", type(fault).__name__)
    _log.debug("the replay store failed", exc_info=fault)
    return Unreachable("replay store")
