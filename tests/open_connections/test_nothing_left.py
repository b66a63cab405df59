"""What is left when connections, apps and event loops end in one way or another: nothing."""

import asyncio
import gc
import threading
from typing import Any

import pytest

from strongdm_auth import open_connections
from strongdm_auth.testing import Clock, Issuer
from tests.conftest import AUDIENCE

from .apps import Listener, Speaker, Stream, silent
from .conftest import MANY_LOOKS, MakeDoor, MakeToken, watched
from .lines import EVENT_STREAM, Line, in_loop, opened, until


def watchers(door: Any) -> int:
    return len(door._connections._watching)


def objects() -> int:
    """How many there are for connections, open or not."""
    gc.collect()
    kinds = (open_connections.Connection, open_connections.Ending)
    return sum(issubclass(type(each), kinds) for each in gc.get_objects())  # lazy objects are not to be woken


@in_loop
async def test_one_task_looks_at_all_of_them_and_only_while_there_are_any(
    make_door: MakeDoor, token: MakeToken
) -> None:
    door = make_door(silent)
    assert watchers(door) == 0
    for _ in range(2):  # it begins again
        async with opened(door, Line(token())), opened(door, Line(token(), "http")):
            assert (watched(door), watchers(door)) == (2, 1)
        assert watched(door) == 0
        await until(lambda: watchers(door) == 0)


@in_loop
async def test_who_comes_after_a_pause_is_looked_at(make_door: MakeDoor, token: MakeToken, clock: Clock) -> None:
    door = make_door(silent)
    async with opened(door, Line(token())):
        pass
    await until(lambda: watchers(door) == 0)
    async with opened(door, Line(token())) as line:
        clock.advance(90)
        await line.closed()


@in_loop
async def test_who_comes_as_the_last_one_goes_is_looked_at(make_door: MakeDoor, token: MakeToken, clock: Clock) -> None:
    door = make_door(silent)
    for _ in range(5):
        async with opened(door, Line(token())):
            pass
        async with opened(door, Line(token())) as line:
            clock.advance(90)
            await line.closed()


@pytest.mark.parametrize("kind", ["websocket", "http"])
def test_an_exception_in_the_app_is_the_servers_to_see(kind: str, make_door: MakeDoor, token: MakeToken) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if kind == "websocket":
            await send({"type": "websocket.accept"})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": EVENT_STREAM})
        waiting = asyncio.create_task(receive())
        await asyncio.sleep(0.01)
        waiting.cancel()
        raise LookupError("of the app's own")

    @in_loop
    async def scenario() -> None:
        door, line = make_door(app), Line(token(), kind)
        with pytest.raises(LookupError, match="of the app's own"):
            await door(line.scope, line.receive, line.send)  # type: ignore[arg-type]
        assert watched(door) == 0

    scenario()


@pytest.mark.parametrize(("app", "kind"), [(silent, "websocket"), (silent, "http"), (Stream(), "http")])
def test_a_server_that_cancels_the_app_has_it_cancelled(
    app: Any, kind: str, make_door: MakeDoor, token: MakeToken
) -> None:
    @in_loop
    async def scenario() -> None:
        door, line = make_door(app), Line(token(), kind)
        task = asyncio.create_task(door(line.scope, line.receive, line.send))  # type: ignore[arg-type]
        await until(lambda: line.open)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert watched(door) == 0

    scenario()


@pytest.mark.parametrize("app", [Listener, Speaker, Stream])
def test_a_hundred_that_ended_leave_no_object(app: Any, make_door: MakeDoor, token: MakeToken, clock: Clock) -> None:
    kind = "http" if app is Stream else "websocket"
    before = objects()  # those of other tests, that somebody holds

    @in_loop
    async def scenario() -> None:
        door = make_door(lambda *arguments: app()(*arguments))
        async with opened(door, Line(token(), kind)):
            pass  # the issuer's keys are there
        await until(lambda: watchers(door) == 0)
        lines = [Line(token(), kind) for _ in range(100)]
        tasks = [asyncio.create_task(door(line.scope, line.receive, line.send)) for line in lines]  # type: ignore[arg-type]
        await until(lambda: watched(door) == 100)
        assert watchers(door) == 1
        for line in lines:
            if kind == "websocket":
                line.say("hello")
        clock.advance(90)
        await asyncio.wait_for(asyncio.gather(*tasks), 10)
        assert all(line.closing for line in lines)
        assert watched(door) == 0

    scenario()
    assert objects() <= before


def test_a_loop_that_ends_leaves_none_to_the_next(make_door: MakeDoor, token: MakeToken, clock: Clock) -> None:
    """As a server that is stopped in the middle: `asyncio.run` cancels whatever is left."""
    door = make_door(silent)

    async def stopped_in_the_middle() -> None:
        line = Line(token())
        line.task = asyncio.create_task(door(line.scope, line.receive, line.send))  # type: ignore[arg-type]
        await until(lambda: line.open)

    for _ in range(2):
        asyncio.run(stopped_in_the_middle())
        assert (watched(door), watchers(door)) == (0, 0)

    @in_loop
    async def goes_on() -> None:
        async with opened(door, Line(token())) as line:
            clock.advance(90)
            await line.closed()

    goes_on()


def test_each_of_two_loops_looks_at_its_own(make_door: MakeDoor, token: MakeToken, clock: Clock) -> None:
    door, both, faults = make_door(silent), threading.Barrier(2, timeout=10), []

    async def one_loop() -> None:
        async with opened(door, Line(token())) as line:
            await asyncio.to_thread(both.wait)
            assert watched(door) == 2
            await asyncio.to_thread(both.wait)
            clock.set(clock.start + 90)  # type: ignore[attr-defined]
            assert (await line.closed())["code"] == 1008

    def in_thread() -> None:
        try:
            asyncio.run(one_loop())
        except BaseException as fault:
            faults.append(fault)

    clock.start = clock()  # type: ignore[attr-defined]
    threads = [threading.Thread(target=in_thread) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert faults == []
    assert (watched(door), watchers(door)) == (0, 0)


@in_loop
async def test_a_question_under_way_ends_with_the_connection(
    make_door: MakeDoor, issuer: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = issuer.client("the API")
    door = make_door(silent, introspection="fallback", client_id=client.client_id, client_secret=client.client_secret)
    made = issuer.opaque_token("cli_agent", realm="alpha", audience=AUDIENCE)
    asked = []

    async def unanswered(standing: Any) -> None:
        asked.append(standing)
        await asyncio.Event().wait()

    monkeypatch.setattr(door.verifier, "ask_about", unanswered)
    async with opened(door, Line(made)):
        clock.advance(60)
        await until(lambda: asked)
        await asyncio.sleep(MANY_LOOKS)
        assert len(asked) == 1  # one question at a time
