"""A websocket that ends with its token: what the client sees, what the app is told, and who may go first."""

import asyncio
import gc
from contextlib import suppress
from typing import Any

import pytest

from strongdm_auth import Requirement, errors, open_connections
from strongdm_auth.testing import Clock

from .apps import Listener, Speaker, silent
from .conftest import MANY_LOOKS, MakeDoor, MakeToken, watched
from .lines import Line, in_loop, opened, until

EXPIRED = {"type": "websocket.close", "code": 1008, "reason": "The access token has expired"}


@in_loop
async def test_it_is_closed_when_its_token_expires_and_not_before(
    make_door: MakeDoor, token: MakeToken, clock: Clock
) -> None:
    async with opened(make_door(silent), Line(token())) as line:
        clock.advance(60 + 29)  # the leeway is 30 seconds
        await asyncio.sleep(MANY_LOOKS)
        assert line.kinds == ["websocket.accept"]
        clock.advance(1)
        assert await line.closed() == EXPIRED


@in_loop
async def test_the_app_is_told_that_the_client_has_gone_and_can_say_nothing_more(
    make_door: MakeDoor, token: MakeToken, clock: Clock
) -> None:
    app = Listener()
    async with opened(make_door(app), Line(token())) as line:
        line.say("hello")
        await until(lambda: app.heard)
        clock.advance(90)
        await line.task  # type: ignore[misc]
    assert app.heard[-1] == EXPIRED | {"type": "websocket.disconnect"}
    assert isinstance(app.fault, OSError)
    assert line.kinds == ["websocket.accept", "websocket.close"]


@in_loop
async def test_an_app_that_only_speaks_is_stopped_by_what_send_raises(
    make_door: MakeDoor, token: MakeToken, clock: Clock
) -> None:
    app = Speaker()
    async with opened(make_door(app), Line(token())) as line:
        await until(lambda: "websocket.send" in line.kinds)
        clock.advance(90)
        await line.task  # type: ignore[misc]
    assert isinstance(app.fault, OSError)
    assert line.closing == EXPIRED
    assert line.kinds.index("websocket.close") == len(line.kinds) - 1


@in_loop
async def test_no_message_is_lost_that_came_while_the_token_was_good(make_door: MakeDoor, token: MakeToken) -> None:
    """Also where the app stops waiting for one, as `wait_for` does, and where it is slower than the client."""
    heard: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while len(heard) < 50:
            with suppress(TimeoutError):
                heard.append((await asyncio.wait_for(receive(), 0.001))["text"])

    async with opened(make_door(app), Line(token())) as line:
        for number in range(50):
            line.say(str(number))
            await asyncio.sleep(0.002 * (number % 3))
        await line.task  # type: ignore[misc]
    assert heard == [str(number) for number in range(50)]


@in_loop
async def test_what_comes_after_the_end_is_not_heard(make_door: MakeDoor, token: MakeToken, clock: Clock) -> None:
    heard: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while len(heard) < 5:
            heard.append((await receive())["type"])
            await asyncio.sleep(0.01)

    async with opened(make_door(app), Line(token())) as line:
        line.say("good")
        await until(lambda: heard)
        clock.advance(90)
        await line.closed()
        for _ in range(5):
            line.say("too late")
        await line.task  # type: ignore[misc]
    assert heard == ["websocket.receive", *["websocket.disconnect"] * 4]


@in_loop
async def test_an_app_that_closed_it_first_is_not_talked_over(
    make_door: MakeDoor, token: MakeToken, clock: Clock
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4000})
        await receive()
        await asyncio.sleep(MANY_LOOKS)

    async with opened(make_door(app), Line(token())) as line:
        clock.advance(90)
        await line.task  # type: ignore[misc]
        await asyncio.sleep(MANY_LOOKS)
    assert line.sent == [{"type": "websocket.accept"}, {"type": "websocket.close", "code": 4000}]


@in_loop
async def test_a_client_that_went_first_is_the_clients_word(
    make_door: MakeDoor, token: MakeToken, clock: Clock
) -> None:
    app, gone = Listener(), {"type": "websocket.disconnect", "code": 1001}
    async with opened(make_door(app), Line(token())) as line:
        line.coming.put_nowait(gone)
        await line.task  # type: ignore[misc]
        clock.advance(90)
        await asyncio.sleep(MANY_LOOKS)
    assert app.heard == [gone]
    assert "websocket.close" not in line.kinds


@pytest.mark.parametrize("fault", [OSError, RuntimeError])
def test_a_client_that_goes_while_it_is_closed_does_no_harm(
    fault: type[Exception], make_door: MakeDoor, token: MakeToken, clock: Clock
) -> None:
    app = Listener()

    @in_loop
    async def scenario() -> None:
        async with opened(make_door(app), Line(token())) as line:
            line.fault = fault("gone")
            app.fault = None
            clock.advance(90)
            await line.task  # type: ignore[misc]
            line.fault = app.fault = None
        gc.collect()  # asyncio complains of exceptions that nobody asked for when it forgets them

    scenario()
    assert app.heard[-1]["code"] == 1008


@in_loop
async def test_the_end_does_not_wait_for_ever_for_what_the_app_is_sending(
    make_door: MakeDoor, token: MakeToken, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a server has it that can close a connection whose client does not read."""
    monkeypatch.setattr(open_connections, "_PATIENCE", 0.05)

    class Closing(Line):
        async def send(self, message: Any) -> None:
            if message["type"] == "websocket.close":
                self.reading.set()
            await super().send(message)

    line = Closing(token())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        line.reading.clear()
        await send({"type": "websocket.send", "text": "blocked"})

    async with opened(make_door(app), line):
        clock.advance(90)
        assert await line.closed() == EXPIRED


@in_loop
async def test_a_client_that_does_not_read_holds_up_neither_the_app_nor_the_end(
    make_door: MakeDoor, token: MakeToken, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_connections, "_PATIENCE", 0.05)
    heard: list[Any] = []
    line = Line(token())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        line.reading.clear()
        sending = asyncio.create_task(send({"type": "websocket.send", "text": "blocked"}))
        heard.append(await receive())
        with suppress(OSError):
            await sending
        with suppress(OSError):
            await send({"type": "websocket.send", "text": "too late"})
        await asyncio.sleep(0.05)

    async with opened(make_door(app), line):
        await asyncio.sleep(0.01)
        clock.advance(90)
        await until(lambda: heard)
        await asyncio.sleep(0.1)  # the patience
        assert line.kinds == ["websocket.accept"]
        line.reading.set()
        await line.task  # type: ignore[misc]
    assert sorted(line.kinds[1:]) == ["websocket.close", "websocket.send"]
    assert "too late" not in [message.get("text") for message in line.sent]


@in_loop
async def test_what_was_never_accepted_is_not_watched_and_what_is_accepted_late_is(
    make_door: MakeDoor, token: MakeToken, clock: Clock
) -> None:
    entered, accept = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        entered.set()
        await accept.wait()
        await send({"type": "websocket.accept"})
        await asyncio.Event().wait()

    door, line = make_door(app), Line(token())
    line.task = asyncio.create_task(door(line.scope, line.receive, line.send))  # type: ignore[arg-type]
    await entered.wait()
    clock.advance(90)
    await asyncio.sleep(MANY_LOOKS)
    assert (line.sent, watched(door)) == ([], 0)
    accept.set()
    assert await line.closed() == EXPIRED
    line.task.cancel()


@in_loop
async def test_a_websocket_that_the_app_refuses_is_not_watched(make_door: MakeDoor, token: MakeToken) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 4001})

    door, line = make_door(app), Line(token())
    await door(line.scope, line.receive, line.send)  # type: ignore[arg-type]
    assert (line.kinds, watched(door)) == (["websocket.close"], 0)


@pytest.mark.parametrize("options", [{"require": Requirement(optional=True)}, {"exempt": ["/stream"]}])
def test_who_came_without_a_token_is_never_closed(options: Any, make_door: MakeDoor, clock: Clock) -> None:
    @in_loop
    async def scenario() -> None:
        door = make_door(silent, **options)
        async with opened(door, Line(None)) as line:
            clock.advance(100_000)
            await asyncio.sleep(MANY_LOOKS)
            assert (line.kinds, watched(door)) == (["websocket.accept"], 0)

    scenario()


@in_loop
async def test_a_token_on_an_optional_route_ends_like_any_other(
    make_door: MakeDoor, token: MakeToken, clock: Clock
) -> None:
    door = make_door(silent, require=Requirement(optional=True))
    async with opened(door, Line(token())) as line:
        clock.advance(90)
        assert await line.closed() == EXPIRED


@pytest.mark.parametrize("kind", ["websocket", "http"])
def test_without_the_option_nothing_changes(kind: str, make_door: MakeDoor, token: MakeToken, clock: Clock) -> None:
    @in_loop
    async def scenario() -> None:
        line, given = Line(token(), kind), []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            given.append(receive)
            await silent(scope, receive, send)

        async with opened(make_door(app, end_with_token=False), line):
            tasks = len(asyncio.all_tasks())
            clock.advance(100_000)
            await asyncio.sleep(MANY_LOOKS)
            assert line.open
            assert len(asyncio.all_tasks()) == tasks == 2  # this one and the app's
        assert given == [line.receive]

    scenario()


def test_the_reason_fits_into_a_close_frame() -> None:
    """RFC 6455 5.5: 125 octets, of which the code takes two."""
    assert [words for words in errors.DESCRIPTIONS.values() if len(words.encode()) > 123] == []
