"""Ends that are hard to get right: apps that leave at once, several that listen, stores and servers that misbehave."""

import asyncio
import gc
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from strongdm_auth import AsyncVerifier, asgi, introspection, open_connections
from strongdm_auth.testing import Clock, Issuer
from tests.conftest import AUDIENCE

from .apps import silent
from .conftest import MANY_LOOKS, MakeDoor, MakeToken
from .lines import EVENT_STREAM, Line, Message, in_loop, opened, until


class Slow(Line):
    """A server that has something to do before a message goes out."""

    async def send(self, message: Message) -> None:
        await asyncio.sleep(0.01)
        await super().send(message)


async def leaves_at_once(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def fails_at_once(scope: Any, receive: Any, send: Any) -> None:
    """As an app of Starlette's that does not catch `WebSocketDisconnect`."""
    await leaves_at_once(scope, receive, send)
    raise LookupError


async def stops_its_speaker(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})

    async def speak() -> None:
        while True:
            await send({"type": "websocket.send", "text": "word"})
            await asyncio.sleep(0)

    speaking = asyncio.create_task(speak())
    while (await receive())["type"] != "websocket.disconnect":
        pass
    speaking.cancel()


@pytest.mark.parametrize("app", [leaves_at_once, fails_at_once, stops_its_speaker])
@pytest.mark.parametrize("kind", [Line, Slow])
def test_the_close_frame_goes_out_although_the_app_leaves_at_once(
    kind: Any, app: Any, make_door: MakeDoor, token: MakeToken, clock: Clock
) -> None:
    @in_loop
    async def scenario() -> None:
        door, line = make_door(app), kind(token())
        task = asyncio.create_task(door(line.scope, line.receive, line.send))
        await until(lambda: line.open)
        clock.advance(90)
        with suppress(LookupError):
            await task
        assert line.closing is not None
        assert line.closing["code"] == 1008

    scenario()


@in_loop
async def test_an_app_that_lets_through_what_send_raises_is_no_error_of_the_servers(
    make_door: MakeDoor, token: MakeToken, clock: Clock
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await send({"type": "websocket.send", "text": "word"})
            await asyncio.sleep(0.002)

    async with opened(make_door(app), Line(token())) as line:
        clock.advance(90)
        await line.task  # type: ignore[misc]
        assert line.closing is not None


@pytest.mark.parametrize("who", ["the client", "the token"])
def test_an_app_that_asks_now_and_then_learns_who_has_gone(
    who: str, make_door: MakeDoor, token: MakeToken, clock: Clock
) -> None:
    """Starlette's `is_disconnected` waits for nothing: it is cancelled wherever it would have to."""
    gone: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        await request.body()
        await send({"type": "http.response.start", "status": 200, "headers": EVENT_STREAM})
        while not await request.is_disconnected():
            await asyncio.sleep(0.002)
        gone.append(True)

    @in_loop
    async def scenario() -> None:
        async with opened(make_door(app), Line(token(), "http")) as line:
            if who == "the client":
                line.coming.put_nowait({"type": "http.disconnect"})
            else:
                clock.advance(90)
            await asyncio.wait_for(line.task, 2)  # type: ignore[arg-type]

    scenario()
    assert gone == [True]


@in_loop
async def test_two_may_listen_at_once(make_door: MakeDoor, token: MakeToken) -> None:
    heard: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})

        async def listen() -> None:
            heard.append((await receive())["text"])

        await asyncio.gather(listen(), listen(), listen())

    async with opened(make_door(app), Line(token())) as line:
        await asyncio.sleep(0.01)
        for text in "123":
            line.say(text)
        await asyncio.wait_for(line.task, 2)  # type: ignore[arg-type]
    assert sorted(heard) == ["1", "2", "3"]


@in_loop
async def test_who_began_to_listen_before_the_stream_began_is_told(
    make_door: MakeDoor, token: MakeToken, clock: Clock
) -> None:
    """As Starlette's and Django's responses do."""
    heard: list[Message] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        listening = asyncio.create_task(receive())
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": EVENT_STREAM})
        heard.append(await listening)

    async with opened(make_door(app), Line(token(), "http")) as line:
        clock.advance(90)
        await asyncio.wait_for(line.task, 2)  # type: ignore[arg-type]
    assert heard == [{"type": "http.disconnect"}]


@in_loop
async def test_what_follows_the_apps_own_end_is_the_servers_to_judge(make_door: MakeDoor, token: MakeToken) -> None:
    """Trailers are let through."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": b"x"})
        await send({"type": "http.response.trailers", "headers": []})

    line = Line(token(), "http")
    await make_door(app)(line.scope, line.receive, line.send)  # type: ignore[arg-type]
    assert line.kinds == ["http.response.start", "http.response.body", "http.response.trailers"]


@in_loop
async def test_one_task_looks_however_often_they_come_and_go(make_door: MakeDoor, token: MakeToken) -> None:
    """Else a client that connects and goes, again and again, would leave a task each time."""
    door = make_door(silent)
    async with opened(door, Line(token())):
        pass
    for _ in range(20):
        async with opened(door, Line(token())):
            names = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]  # type: ignore[union-attr]
            assert names.count("OpenConnections._watch") == 1


class Store:
    """A shared store that answers once as it should."""

    def __init__(self, then: Callable[[], Any]) -> None:
        self._then, self._asked = then, 0

    async def first_use(self, *arguments: Any) -> bool:
        return True

    recall = keep = revoke = first_use

    async def revoked(self, position: str) -> tuple[str, Sequence[Any]]:
        self._asked += 1
        return ("", ()) if self._asked == 1 else await self._then()


async def hangs() -> Any:
    await asyncio.Event().wait()


async def talks_nonsense() -> Any:
    return "", 7


@pytest.mark.parametrize("then", [hangs, talks_nonsense])
def test_no_store_keeps_a_token_alive(then: Any, make_door: MakeDoor, token: MakeToken, clock: Clock) -> None:
    @in_loop
    async def scenario() -> None:
        async with opened(make_door(silent, replay_store=Store(then)), Line(token())) as line:
            clock.advance(1)
            await asyncio.sleep(MANY_LOOKS)
            clock.advance(90)
            assert (await line.closed())["code"] == 1008

    scenario()


@in_loop
async def test_without_a_shared_store_none_is_asked(
    make_door: MakeDoor, token: MakeToken, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with opened(make_door(silent), Line(token())):
        await asyncio.sleep(MANY_LOOKS)
    assert caplog.records == []


@in_loop
async def test_many_that_the_issuer_must_be_asked_about_wait_for_their_turn(
    often: None, issuer: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They came together, as after a restart: none is cut because the issuer can answer so many at once only."""
    monkeypatch.setattr(introspection, "MOST_QUESTIONS", 4)
    monkeypatch.setattr(open_connections, "_MOST_QUESTIONS", 2)
    client, answers = issuer.client("the API"), issuer.transport()

    class Network(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            await asyncio.sleep(0.002)
            return await answers.handle_async_request(request)

    def verifier(**settings: Any) -> AsyncVerifier:
        settings |= {"issuer": issuer.url, "realms": ["alpha"], "audience": AUDIENCE, "introspection": "fallback"}
        settings |= {"client_id": client.client_id, "client_secret": client.client_secret}
        return AsyncVerifier(client=httpx.AsyncClient(transport=Network()), clock=clock, **settings)

    monkeypatch.setattr(asgi, "AsyncVerifier", verifier)
    door, lines = asgi.StrongDMAuthMiddleware(silent, end_with_token=True), []
    for _ in range(120):
        made = issuer.opaque_token("cli_agent", realm="alpha", audience=AUDIENCE, lifetime=100_000)
        lines.append(line := Line(made))
        line.task = asyncio.create_task(door(line.scope, line.receive, line.send))  # type: ignore[arg-type]
        await until(lambda line=line: line.open)
    for _ in range(125):
        clock.advance(1)
        await asyncio.sleep(0.008)
    cut = sum(line.closing is not None for line in lines)
    for line in lines:
        line.task.cancel()  # type: ignore[union-attr]
    await asyncio.gather(*(line.task for line in lines), return_exceptions=True)  # type: ignore[misc]
    assert cut == 0
    assert issuer.count("/introspect") > 120


def test_a_server_whose_send_raises_what_it_likes_is_not_complained_about(
    make_door: MakeDoor, token: MakeToken, clock: Clock
) -> None:
    class Gone(Exception):
        """As anyio's and hypercorn's are no OSError."""

    @in_loop
    async def scenario() -> None:
        async with opened(make_door(silent), Line(token())) as line:
            line.fault = Gone()
            clock.advance(90)
            await asyncio.sleep(MANY_LOOKS)
        gc.collect()

    scenario()


def test_a_loop_that_is_closed_in_the_middle_is_not_complained_about(make_door: MakeDoor, token: MakeToken) -> None:
    """By `loop.close()` and nothing else: what was running is collected, which must raise nothing."""
    doors, lines, loop = [make_door(silent)], [Line(token())], asyncio.new_event_loop()

    async def begun() -> None:
        line = lines[0]
        line.task = asyncio.create_task(doors[0](line.scope, line.receive, line.send))  # type: ignore[arg-type]
        await until(lambda: line.open)

    loop.run_until_complete(begun())
    loop.close()
    doors.clear()
    lines.clear()
    gc.collect()
