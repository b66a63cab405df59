"""APIs on origins of their own, in threads of the test's process, that remember what a browser sent them."""

import asyncio
import json
import socket
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, Request, Security, WebSocket
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import RedirectResponse, StreamingResponse

from strongdm_auth import AccessToken
from strongdm_auth.asgi import StrongDMAuthMiddleware
from strongdm_auth.fastapi import StrongDMAuth

AUDIENCE = "https://api.example.com"
ORDINARY = {
    "allow_methods": ["GET", "POST"],
    "allow_headers": ["Authorization", "DPoP"],
    "expose_headers": ["WWW-Authenticate", "DPoP-Nonce"],
}


@dataclass
class Asked:
    """A request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]

    @property
    def proof(self) -> dict[str, Any]:
        """The claims of its proof, unverified."""
        payload = self.headers["dpop"].split(".")[1]
        return dict(json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


@dataclass
class API:
    """An origin, and all that it was asked."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    door: Any = None

    def take(self) -> list[Asked]:
        """What was asked since the last time, without preflights: browsers cache those as they like."""
        taken, self.asked[:] = [one for one in self.asked if one.method != "OPTIONS"], []
        return taken

    def old_nonce(self, seconds: int) -> str:
        """A nonce that this API gave so long ago."""
        return str(self.door.verifier._server.proofs.nonces.issue(time.time() - seconds))


class Origins:
    """Many origins behind one server, since to start and stop one takes a while: an app gets the next free port."""

    def __init__(self, most: int = 60) -> None:
        self._listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(most)]
        self._ports = iter([listener.getsockname()[1] for listener in self._listeners])
        self._apps: dict[int, tuple[Any, API]] = {}

    def serve(self, app: Any, door: Any = None) -> API:
        """The app on an origin of its own; `door` is what verifies in it."""
        port = next(self._ports)
        api = API(f"http://127.0.0.1:{port}", door=door)
        self._apps[port] = app, api
        return api

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        app, api = self._apps[scope["server"][1]]
        query = f"?{scope['query_string'].decode()}" if scope["query_string"] else ""
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        api.asked.append(Asked(scope.get("method", "WEBSOCKET"), scope["path"] + query, headers))
        await app(scope, receive, send)

    @contextmanager
    def running(self) -> Iterator["Origins"]:
        config = uvicorn.Config(self, lifespan="off", log_level="error")
        config.timeout_graceful_shutdown = 1  # the browser may hold connections open
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": self._listeners}, name="origins", daemon=True)
        thread.start()
        deadline = time.monotonic() + 10
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        try:
            assert server.started
            yield self
        finally:
            server.should_exit = True
            thread.join(10)
            for listener in self._listeners:
                listener.close()


def fastapi_app(auth: StrongDMAuth, before: dict[str, Any] | None = None) -> FastAPI:
    """The example's routes, and a few for what browsers do; `before`: CORS that is there before `install`."""
    app = FastAPI()
    agent, admin = Annotated[AccessToken, Depends(auth)], Annotated[AccessToken, Security(auth, scopes=["admin"])]

    @app.get("/protected")
    def protected(agent: agent) -> dict[str, object]:  # type: ignore[valid-type]
        return {"subject": agent.subject}  # type: ignore[attr-defined]

    @app.post("/protected")
    async def echo(agent: agent, request: Request) -> object:  # type: ignore[valid-type]
        return await request.json()

    @app.get("/agent-info")
    def agent_info(agent: agent) -> dict[str, object]:  # type: ignore[valid-type]
        return {"key_thumbprint": agent.key_thumbprint}  # type: ignore[attr-defined]

    @app.get("/admin")
    def only_admins(agent: admin) -> None:  # type: ignore[valid-type]
        """Nobody here has that scope."""

    @app.post("/revoke")
    async def revoke(request: Request) -> None:
        await auth.verifier.revoke((await request.body()).decode())

    @app.get("/away")
    def away(to: str) -> RedirectResponse:
        return RedirectResponse(to)

    @app.get("/events")
    async def events(agent: agent) -> StreamingResponse:  # type: ignore[valid-type]
        async def told() -> AsyncIterator[str]:
            for number in range(3):
                yield f"data: {number}\n\n"
                await asyncio.sleep(0)

        return StreamingResponse(told(), media_type="text/event-stream")

    @app.websocket("/socket")
    async def live(socket: WebSocket, agent: agent) -> None:  # type: ignore[valid-type]
        await socket.accept()

    if before is not None:
        app.add_middleware(CORSMiddleware, **before)
    auth.install(app)
    return app


def fastapi_behind_cors(settings: dict[str, Any], cors: dict[str, Any]) -> tuple[Any, StrongDMAuth]:
    auth = StrongDMAuth(**settings)
    app = fastapi_app(auth)
    app.add_middleware(CORSMiddleware, **cors)
    return app, auth


def fastapi_around_cors(settings: dict[str, Any], cors: dict[str, Any]) -> tuple[Any, StrongDMAuth]:
    auth = StrongDMAuth(**settings)
    return fastapi_app(auth, before=cors), auth


def asgi_behind_cors(settings: dict[str, Any], cors: dict[str, Any]) -> tuple[Any, Any]:
    door = StrongDMAuthMiddleware(_hello, **settings)
    return CORSMiddleware(door, **cors), door


def asgi_around_cors(settings: dict[str, Any], cors: dict[str, Any]) -> tuple[Any, Any]:
    door = StrongDMAuthMiddleware(CORSMiddleware(_hello, **cors), **settings)
    return door, door


async def _hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b"{}"})


def always_wants_a_nonce(cors: dict[str, Any]) -> Any:
    """An API that is never content, and gives another nonce each time."""
    given = iter(range(1_000))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"www-authenticate", b'DPoP error="use_dpop_nonce"'), (b"dpop-nonce", b"n%d" % next(given))]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    return CORSMiddleware(app, **cors)


def token_endpoint_with_nonces(cors: dict[str, Any]) -> Any:
    """RFC 9449 section 8: 400, with the code in the body, until the proof has the nonce."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        proof = Asked("", "", {name.decode(): value.decode() for name, value in scope["headers"]}).proof
        content = proof.get("nonce") == "of-the-issuer"
        said = {"access_token": "token", "token_type": "DPoP"} if content else {"error": "use_dpop_nonce"}
        headers = [(b"content-type", b"application/json"), (b"dpop-nonce", b"of-the-issuer")]
        await send({"type": "http.response.start", "status": 200 if content else 400, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(said).encode()})

    return CORSMiddleware(app, **cors)
