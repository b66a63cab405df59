"""Real servers, frameworks and clients: closed within a second, nothing in the server's log, and no task left behind."""

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, WebSocket
from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route, WebSocketRoute
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from strongdm_auth import AccessToken, open_connections
from strongdm_auth.asgi import StrongDMAuthMiddleware
from strongdm_auth.fastapi import StrongDMAuth
from strongdm_auth.testing import Issuer
from tests.conftest import AUDIENCE

from .conftest import watched
from .lines import until
from .servers import Server, served

EVENTS = "text/event-stream"
#: Seconds that a token lives here, less what is left of the present one: enough to be let in on a machine that is busy.
LIFETIME = 3
#: What such a machine may take on top of the second that everything ends within.
BUSY = 1


async def numbers(request: Any = None) -> AsyncIterator[str]:
    number = 0
    while True:
        yield f"data: {number}\n\n"
        number += 1
        await asyncio.sleep(0.02)


async def quiet(request: Any = None) -> AsyncIterator[str]:
    yield "data: nothing more\n\n"
    await asyncio.Event().wait()


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


async def objects() -> AsyncIterator[dict[str, str]]:
    async for text in numbers():
        yield {"data": text}


def starlette_app() -> Any:
    def plain(request: Request) -> StreamingResponse:
        return StreamingResponse(finite(), media_type="application/x-ndjson")

    async def finite() -> AsyncIterator[str]:
        for _ in range(35):
            yield "1\n"
            await asyncio.sleep(0.1)

    return Starlette(
        routes=[
            WebSocketRoute("/ws", echo),
            Route("/numbers", lambda request: StreamingResponse(numbers(), media_type=EVENTS)),
            Route("/quiet", lambda request: StreamingResponse(quiet(), media_type=EVENTS)),
            Route("/objects", lambda request: EventSourceResponse(objects())),
            Route("/plain", plain),
        ]
    )


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer(realms=("alpha",)).serve() as issuer:
        yield issuer


def settings(issuer: Issuer) -> dict[str, Any]:
    return {"issuer": issuer.url, "realms": ["alpha"], "audience": AUDIENCE, "leeway": 0}


def headers(issuer: Issuer, **claims: Any) -> dict[str, str]:
    token = issuer.token("cli_agent", realm="alpha", audience=AUDIENCE, lifetime=3_600, claims=claims)
    return {"Authorization": f"Bearer {token}"}


async def websocket_until_closed(server: Server, sent: dict[str, str], path: str = "/ws") -> tuple[int, str, float]:
    """Code and reason of the close, and when it came."""
    async with connect(f"ws://{server.origin}{path}", additional_headers=sent, proxy=None) as websocket:
        await websocket.send("hello")
        assert await websocket.recv() == "hello"
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(websocket.recv(), 10)
    assert closed.value.rcvd is not None, "cut, and not closed"
    return closed.value.rcvd.code, closed.value.rcvd.reason, time.time()


async def stream_until_ended(server: Server, sent: dict[str, str], path: str) -> tuple[str, float]:
    """The body, which must be a whole one (httpx raises where it is cut), and when it ended."""
    async with (
        httpx.AsyncClient(base_url=f"http://{server.origin}", timeout=10, trust_env=False) as client,
        client.stream("GET", path, headers=sent) as response,
    ):
        assert response.status_code == 200
        assert response.headers["Vary"] == "Authorization, DPoP"
        text = "".join([piece async for piece in response.aiter_text()])
        return text, time.time()


def test_everything_ends_within_a_second_of_the_token(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    """But for a response that is no event stream, which is half a second longer and comes whole."""
    door = StrongDMAuthMiddleware(starlette_app(), end_with_token=True, **settings(issuer))

    async def clients(server: Server) -> None:
        expiry = int(time.time()) + LIFETIME
        sent = headers(issuer, exp=expiry)
        closed, plain, *streams = await asyncio.gather(
            websocket_until_closed(server, sent),
            stream_until_ended(server, sent, "/plain"),
            *(stream_until_ended(server, sent, path) for path in ("/numbers", "/quiet", "/objects")),
        )
        code, reason, at = closed
        assert (code, reason) == (1008, "The access token has expired")
        for ended in (at, *(at for _, at in streams)):
            assert 0 <= ended - expiry < 1 + BUSY
        assert all("data: " in text for text, _ in streams)
        assert plain[0] == "1\n" * 35

    caplog.set_level(logging.INFO)
    with served(door) as server:
        asyncio.run(clients(server))
        asyncio.run(until(lambda: server.tasks == []))
        assert watched(door) == 0
    assert [record for record in caplog.records if _is_an_error(record)] == []


def test_by_another_implementation_of_websockets_too(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    door = StrongDMAuthMiddleware(starlette_app(), end_with_token=True, **settings(issuer))

    async def client(server: Server) -> None:
        sent = headers(issuer)
        ending = asyncio.create_task(websocket_until_closed(server, sent))
        await until(lambda: watched(door) == 1)
        await door.verifier.revoke(sent["Authorization"].partition(" ")[2])
        assert (await ending)[:2] == (1008, "The access token was revoked")

    caplog.set_level(logging.INFO)
    with served(door, "wsproto") as server:
        asyncio.run(client(server))
        asyncio.run(until(lambda: server.tasks == []))
    assert [record for record in caplog.records if _is_an_error(record)] == []


def test_fastapi_ends_what_its_dependencies_let_in(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    auth, app = StrongDMAuth(**settings(issuer)), FastAPI()
    auth.install(app, end_with_token=True)
    Agent = Annotated[AccessToken, Depends(auth)]  # noqa: N806

    @app.websocket("/ws")
    async def converse(websocket: WebSocket, agent: Agent) -> None:
        await echo(websocket)

    @app.websocket("/open")
    async def converse_with_anyone(websocket: WebSocket) -> None:
        await echo(websocket)

    @app.get("/numbers")
    async def count(agent: Agent) -> StreamingResponse:
        return StreamingResponse(numbers(), media_type=EVENTS)

    @app.get("/objects")
    async def objects_of(agent: Agent) -> EventSourceResponse:
        return EventSourceResponse(objects())

    async def clients(server: Server) -> None:
        sent = headers(issuer)
        token = sent["Authorization"].partition(" ")[2]
        async with connect(f"ws://{server.origin}/open", additional_headers=sent, proxy=None) as stays:
            ending = asyncio.gather(
                websocket_until_closed(server, sent),
                stream_until_ended(server, sent, "/numbers"),
                stream_until_ended(server, sent, "/objects"),
            )
            await until(lambda: _watched_by(app) == 3)
            asyncio.run_coroutine_threadsafe(auth.verifier.revoke(token), server._loop)  # type: ignore[arg-type]
            revoked_at = time.time()
            (code, reason, at), *streams = await ending
            assert (code, reason) == (1008, "The access token was revoked")
            for ended in (at, *(at for _, at in streams)):
                assert ended - revoked_at < 1 + BUSY
            await stays.send("still here")
            assert await stays.recv() == "still here"

    caplog.set_level(logging.INFO)
    with served(app) as server:
        asyncio.run(clients(server))
        asyncio.run(until(lambda: server.tasks == []))
    assert [record for record in caplog.records if _is_an_error(record)] == []


def _completion(app: FastAPI) -> Any:
    layer: Any = app.middleware_stack
    while not hasattr(layer, "_connections"):
        layer = layer.app
    return layer


def _watched_by(app: FastAPI) -> int:
    return 0 if app.middleware_stack is None else watched(_completion(app))


def test_each_of_two_schemes_of_an_app_ends_its_own(issuer: Issuer) -> None:
    """An app may have several audiences, and apps below one another: whoever let it in finds what it let in."""
    auths = {name: StrongDMAuth(**settings(issuer) | {"audience": name}) for name in ("one", "two")}
    app = FastAPI()
    for name, auth in auths.items():
        auth.install(app, end_with_token=True)

        @app.websocket(f"/{name}")
        async def converse(websocket: WebSocket, agent: Annotated[AccessToken, Depends(auth)]) -> None:
            await echo(websocket)

    async def client(server: Server) -> None:
        for name, auth in auths.items():
            sent = headers(issuer, aud=name)
            async with connect(f"ws://{server.origin}/{name}", additional_headers=sent, proxy=None) as websocket:
                await auth.verifier.revoke(sent["Authorization"].partition(" ")[2])
                with pytest.raises(ConnectionClosed) as closed:
                    await asyncio.wait_for(websocket.recv(), 5)
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1008

    with served(app) as server:
        asyncio.run(client(server))


def test_without_the_option_fastapi_ends_nothing(issuer: Issuer) -> None:
    auth, app = StrongDMAuth(**settings(issuer)), FastAPI()
    auth.install(app)

    @app.websocket("/ws")
    async def converse(websocket: WebSocket, agent: Annotated[AccessToken, Depends(auth)]) -> None:
        await echo(websocket)

    async def client(server: Server) -> None:
        sent = headers(issuer)
        async with connect(f"ws://{server.origin}/ws", additional_headers=sent, proxy=None) as websocket:
            await auth.verifier.revoke(sent["Authorization"].partition(" ")[2])
            await asyncio.sleep(2 * open_connections.INTERVAL)
            await websocket.send("hello")
            assert await websocket.recv() == "hello"

    with served(app) as server:
        asyncio.run(client(server))
        assert _completion(app)._connections is None


def test_two_hundred_connections_leave_nothing(issuer: Issuer, caplog: pytest.LogCaptureFixture) -> None:
    """Half of them go by themselves, and half are closed; the memory of the first hundred is all that is ever needed."""
    door = StrongDMAuthMiddleware(starlette_app(), end_with_token=True, **settings(issuer))

    async def fifty(server: Server) -> None:
        sent = headers(issuer)
        lines = [await connect(f"ws://{server.origin}/ws", additional_headers=sent, proxy=None) for _ in range(50)]
        for line in lines:
            await line.send("hello")
            await line.recv()
        await asyncio.gather(*(line.close() for line in lines[::2]))
        await until(lambda: watched(door) == 25)
        future = asyncio.run_coroutine_threadsafe(
            door.verifier.revoke(sent["Authorization"].partition(" ")[2]),
            server._loop,  # type: ignore[arg-type]
        )
        await asyncio.wrap_future(future)
        for line in lines[1::2]:
            with pytest.raises(ConnectionClosed) as closed:
                await asyncio.wait_for(line.recv(), 5)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1008

    def objects() -> int:
        gc.collect()
        kinds = (open_connections.Connection, open_connections.Ending)
        return sum(issubclass(type(each), kinds) for each in gc.get_objects())  # lazy objects are not to be woken

    before = objects()
    caplog.set_level(logging.INFO)
    with served(door) as server:
        for _ in range(4):
            asyncio.run(fifty(server))
            asyncio.run(until(lambda: server.tasks == []))
            assert watched(door) == 0
        assert objects() <= before
    assert [record for record in caplog.records if _is_an_error(record)] == []


def _is_an_error(record: logging.LogRecord) -> bool:
    """What the server, or the event loop, would wake somebody up for."""
    return record.levelno >= logging.WARNING and record.name.startswith(("uvicorn", "asyncio"))
