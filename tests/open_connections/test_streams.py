"""An event stream that ends with its token, and responses that are none: those are never cut."""

import asyncio
from typing import Any

import pytest

from strongdm_auth import Requirement, open_connections
from strongdm_auth.testing import Clock

from .apps import Stream, silent
from .conftest import MANY_LOOKS, MakeDoor, MakeToken, watched
from .lines import EVENT_STREAM, Line, in_loop, opened, until

END = {"type": "http.response.body", "body": b"", "more_body": False}


@pytest.mark.parametrize("spec_version", ["2.0", "2.3", "2.4", "3.0"])
def test_its_body_ends_as_a_body_does(spec_version: str, make_door: MakeDoor, token: MakeToken, clock: Clock) -> None:
    app = Stream()

    @in_loop
    async def scenario() -> None:
        async with opened(make_door(app), Line(token(), "http", spec_version=spec_version)) as line:
            clock.advance(89)
            await asyncio.sleep(MANY_LOOKS)
            assert line.open
            clock.advance(1)
            assert await line.closed() == END
            await line.task  # type: ignore[misc]
        assert line.sent[-1] == END
        assert all(message["body"] == b"data: x\n\n" for message in line.sent[1:-1])

    scenario()
    assert app.heard == [{"type": "http.disconnect"}]


@pytest.mark.parametrize(("spec_version", "raises"), [("2.0", False), ("2.3", False), ("2.4", True), ("2.10", True)])
def test_what_the_app_sends_afterwards_is_dropped_or_raises_as_the_version_has_it(
    spec_version: str, raises: bool, make_door: MakeDoor, token: MakeToken, clock: Clock
) -> None:
    app = Stream()
    app.deaf = True

    @in_loop
    async def scenario() -> None:
        async with opened(make_door(app), Line(token(), "http", spec_version=spec_version)) as line:
            clock.advance(90)
            await line.closed()
            pieces = app.pieces
            await until(lambda: app.fault or app.pieces > pieces + 3)
        assert line.sent[-1] == END

    scenario()
    assert isinstance(app.fault, OSError) == raises


@in_loop
async def test_a_server_that_says_no_version_has_none_of_the_newer_rules(
    make_door: MakeDoor, token: MakeToken, clock: Clock
) -> None:
    app, line = Stream(), Line(token(), "http")
    app.deaf = True
    del line.scope["asgi"]
    async with opened(make_door(app), line):
        clock.advance(90)
        await line.closed()
        pieces = app.pieces
        await until(lambda: app.pieces > pieces + 3)
    assert app.fault is None


@in_loop
async def test_one_that_neither_sends_nor_receives_ends(make_door: MakeDoor, token: MakeToken, clock: Clock) -> None:
    async with opened(make_door(silent), Line(token(), "http")) as line:
        clock.advance(90)
        assert await line.closed() == END


@in_loop
async def test_the_headers_of_the_admission_are_on_it(make_door: MakeDoor, token: MakeToken) -> None:
    async with opened(make_door(Stream()), Line(token(), "http")) as line:
        assert dict(line.sent[0]["headers"]) == {
            b"content-type": b"text/event-stream; charset=utf-8",
            b"vary": b"Authorization, DPoP",
        }


@pytest.mark.parametrize(
    "header",
    [
        (b"content-type", b"text/event-stream"),
        (b"Content-Type", b"text/event-stream;charset=utf-8"),
        (b"CONTENT-TYPE", b" Text/Event-Stream ; charset=utf-8"),
    ],
)
def test_an_event_stream_is_known_however_it_is_spelled(
    header: tuple[bytes, bytes], make_door: MakeDoor, token: MakeToken, clock: Clock
) -> None:
    @in_loop
    async def scenario() -> None:
        async with opened(make_door(Stream([(b"x-a", b"b"), header])), Line(token(), "http")) as line:
            clock.advance(90)
            assert await line.closed() == END

    scenario()


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", b"text/plain")],
        [(b"content-type", b"application/x-ndjson")],
        [(b"content-type", b"application/octet-stream"), (b"x-was", b"text/event-stream")],
        [(b"accept", b"text/event-stream")],
    ],
)
def test_a_response_that_is_no_event_stream_is_never_cut(
    headers: Any, make_door: MakeDoor, token: MakeToken, clock: Clock
) -> None:
    app = Stream(headers)

    @in_loop
    async def scenario() -> None:
        door = make_door(app)
        async with opened(door, Line(token(), "http")) as line:
            clock.advance(100_000)
            await asyncio.sleep(MANY_LOOKS)
            pieces = app.pieces
            await until(lambda: app.pieces > pieces + 3)
            assert (line.open, watched(door)) == (True, 0)

    scenario()


@in_loop
async def test_a_plain_answer_passes_whole(make_door: MakeDoor, token: MakeToken, clock: Clock) -> None:
    """And takes as long as it likes; the request's body is read as ever."""
    bodies: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            message = await receive()
            bodies.append(message["body"])
            more = message["more_body"]
        clock.advance(90)
        await asyncio.sleep(MANY_LOOKS)
        await send({"type": "http.response.start", "status": 201, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    line = Line(token(), "http")
    line.coming.get_nowait()
    for number, more in ((b"1", True), (b"2", True), (b"3", False)):
        line.coming.put_nowait({"type": "http.request", "body": number, "more_body": more})
    await make_door(app)(line.scope, line.receive, line.send)  # type: ignore[arg-type]
    assert bodies == [b"1", b"2", b"3"]
    assert [message.get("body") for message in line.sent] == [None, b"one ", b"two"]
    assert line.sent[0]["status"] == 201


@in_loop
async def test_an_app_that_ended_it_first_is_not_talked_over(
    make_door: MakeDoor, token: MakeToken, clock: Clock
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": EVENT_STREAM})
        await send({"type": "http.response.body", "body": b"data: last\n\n"})
        await receive()
        await asyncio.sleep(MANY_LOOKS)

    async with opened(make_door(app), Line(token(), "http")) as line:
        clock.advance(90)
        await line.task  # type: ignore[misc]
        await asyncio.sleep(MANY_LOOKS)
    assert [message.get("body") for message in line.sent] == [None, b"data: last\n\n"]


@in_loop
async def test_a_client_that_went_first_ends_the_app_as_ever(
    make_door: MakeDoor, token: MakeToken, clock: Clock
) -> None:
    app = Stream()
    door = make_door(app)
    async with opened(door, Line(token(), "http")) as line:
        line.coming.put_nowait({"type": "http.disconnect"})
        await line.task  # type: ignore[misc]
        assert watched(door) == 0
        clock.advance(90)
        await asyncio.sleep(MANY_LOOKS)
    assert app.heard == [{"type": "http.disconnect"}]
    assert END not in line.sent


@in_loop
async def test_a_client_that_does_not_read_gets_the_end_once_it_does(
    make_door: MakeDoor, token: MakeToken, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_connections, "_PATIENCE", 0.05)
    app = Stream()
    app.deaf = True
    async with opened(make_door(app), Line(token(), "http")) as line:
        await until(lambda: app.pieces)
        line.reading.clear()
        clock.advance(90)
        await until(lambda: app.heard)
        await asyncio.sleep(0.1)  # the patience
        pieces = len(line.sent)
        line.reading.set()
        assert await line.closed() == END
        await until(lambda: app.fault)
    assert len(line.sent) <= pieces + 2  # what it was in the middle of sending, and the end


@pytest.mark.parametrize("options", [{"require": Requirement(optional=True)}, {"exempt": ["/stream"]}])
def test_who_came_without_a_token_is_never_cut(options: Any, make_door: MakeDoor, clock: Clock) -> None:
    @in_loop
    async def scenario() -> None:
        door = make_door(Stream(), **options)
        async with opened(door, Line(None, "http")) as line:
            clock.advance(100_000)
            await asyncio.sleep(MANY_LOOKS)
            assert (line.open, watched(door)) == (True, 0)

    scenario()
