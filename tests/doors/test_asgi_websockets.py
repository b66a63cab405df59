"""Websockets behind the ASGI middleware: let in by token or proof, refused in each way a server offers, and over a socket."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from strongdm_auth.asgi import StrongDMAuthMiddleware
from strongdm_auth.testing import Issuer
from tests.contract import BASE, Headers, World
from tests.contract_cases import bearer, bound
from tests.doors.asgi_calls import call, scope_of
from tests.doors.asgi_client import App

PREFLIGHT = [("Origin", "https://web.example"), ("Access-Control-Request-Method", "GET")]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Issuer(realms=("alpha", "beta", "gamma")).serve() as issuer:
        yield World(issuer)


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def door(app: App, world: World) -> StrongDMAuthMiddleware:
    return StrongDMAuthMiddleware(app, **world.settings())


def upgrade(door: Any, headers: Headers, path: str = "/ws", **more: Any) -> list[dict[str, Any]]:
    return call(door, scope_of("GET", path, headers=headers, kind="websocket", **more))


def test_a_websocket_is_refused_with_an_answer_where_the_server_can_send_one(
    app: App, door: StrongDMAuthMiddleware
) -> None:
    start, body = upgrade(door, [], extensions={"websocket.http.response": {}})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    headers = dict(start["headers"])
    assert headers[b"www-authenticate"].startswith(b'Bearer realm="api", DPoP algs="')
    assert (headers[b"cache-control"], headers[b"content-type"]) == (b"no-store", b"application/json")
    assert body["type"] == "websocket.http.response.body"
    assert json.loads(body["body"])["error"] == "unauthorized"
    assert app.scopes == []


@pytest.mark.parametrize("extensions", [{}, None, {"websocket.http.request": {}}])
def test_a_websocket_is_closed_for_a_policy_where_the_server_can_send_no_answer(
    extensions: Any, app: App, door: StrongDMAuthMiddleware
) -> None:
    (message,) = upgrade(door, [("Authorization", "Bearer x")], extensions=extensions)
    assert (message["type"], message["code"]) == ("websocket.close", 1008)
    assert app.scopes == []


def test_a_websocket_is_accepted_with_a_bearer_token(app: App, door: StrongDMAuthMiddleware, world: World) -> None:
    assert upgrade(door, bearer()(world)) == [{"type": "websocket.accept"}]
    assert app.scopes[0]["auth"].subject == "cli_agent"


def test_the_proof_for_a_websocket_names_the_https_uri_of_its_handshake(
    app: App, door: StrongDMAuthMiddleware, world: World
) -> None:
    assert upgrade(door, bound(path="/ws")(world)) == [{"type": "websocket.accept"}]
    assert app.scopes[0]["auth"].key_thumbprint == world.key.thumbprint
    for url in (BASE.replace("https", "wss") + "/ws", BASE.replace("https", "http") + "/ws"):
        (message,) = upgrade(door, bound(url=url)(world))
        assert message["type"] == "websocket.close"
    assert len(app.scopes) == 1


def test_the_route_table_holds_for_websockets(app: App, world: World) -> None:
    door = StrongDMAuthMiddleware(app, protected_routes={"/ws/admin": {"scopes": "admin"}}, **world.settings())
    assert upgrade(door, [], "/ws/open") == [{"type": "websocket.accept"}]
    assert upgrade(door, PREFLIGHT, "/ws/admin")[0]["type"] == "websocket.close"
    assert upgrade(door, bearer()(world), "/ws/admin")[0]["type"] == "websocket.close"
    assert upgrade(door, bearer(scopes=["admin"])(world), "/ws/admin") == [{"type": "websocket.accept"}]


# Over a socket


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The app behind uvicorn, in a thread, for as long as the block lasts; yields host and port."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_level="critical"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
        assert not thread.is_alive()


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json({"subject": websocket.user.identity, "said": await websocket.receive_text()})
    await websocket.close()


async def stream(request: Request) -> StreamingResponse:
    async def parts() -> Any:
        for part in ("one ", "two ", request.auth.subject):
            yield part

    return StreamingResponse(parts())


@pytest.fixture(scope="module")
def origin(world: World) -> Iterator[str]:
    routes = [WebSocketRoute("/ws", echo), Route("/stream", stream)]
    with served(StrongDMAuthMiddleware(Starlette(routes=routes), **world.settings())) as origin:
        yield origin


def said_to(origin: str, headers: Headers) -> dict[str, str]:
    with connect(f"ws://{origin}/ws", additional_headers=headers, proxy=None) as websocket:
        websocket.send("hello")
        answer: dict[str, str] = json.loads(websocket.recv())
        return answer


def test_over_a_socket_a_websocket_is_let_in_with_a_token_and_with_a_proof(origin: str, world: World) -> None:
    expected = {"subject": "cli_agent", "said": "hello"}
    assert said_to(origin, bearer()(world)) == expected
    assert said_to(origin, bound(url=f"http://{origin}/ws")(world)) == expected


def test_over_a_socket_a_websocket_is_refused_before_it_is_one(origin: str, world: World) -> None:
    proven = bound(url=f"http://{origin}/ws")(world)
    said_to(origin, proven)
    for headers, error in [
        ([], "unauthorized"),
        (bearer(audience="x")(world), "invalid_token"),
        (proven, "invalid_dpop_proof"),
        (bound(url=f"http://{origin}/other")(world), "invalid_dpop_proof"),
    ]:
        with pytest.raises(InvalidStatus) as refused:
            said_to(origin, headers)
        response = refused.value.response
        assert response.status_code == 401
        assert json.loads(response.body)["error"] == error
        assert "DPoP" in response.headers["WWW-Authenticate"]


def test_over_a_socket_answers_stream_and_a_head_request_gets_no_body(origin: str, world: World) -> None:
    with httpx.Client(base_url=f"http://{origin}") as client:
        assert client.get("/stream", headers=bearer()(world)).text == "one two cli_agent"
        refused = client.get("/stream")
        assert (refused.status_code, refused.json()["error"]) == (401, "unauthorized")
        head = client.head("/stream")
        assert (head.status_code, head.content) == (401, b"")
        assert head.headers["WWW-Authenticate"] == refused.headers["WWW-Authenticate"]
        twice = bearer()(world) * 2
        assert client.get("/stream", headers=twice).status_code == 400
        assert client.get("/stream", headers=bearer()(world)).status_code == 200, "the connection is in step"
