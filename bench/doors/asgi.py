"""The ASGI door: the middleware in front of a bare ASGI app, a Starlette app and a FastAPI app."""

from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from bench import ours
from bench.record import Row
from bench.timing import Contender, Loop
from bench.world import AUDIENCE, World, bearer
from strongdm_auth.asgi import StrongDMAuthMiddleware

from . import BY_KEY, added, asgi_calls, compared, peer


async def _plain(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def _starlette_view(_request: Any) -> JSONResponse:
    return JSONResponse({"ok": True})


async def _fastapi_view() -> dict[str, bool]:
    return {"ok": True}


def row(world: World, loop: Loop, *, with_peers: bool, rounds: int) -> Row:
    """Each app bare and behind the middleware that protects all of it."""
    starlette = Starlette(routes=[Route("/data", _starlette_view)])
    fastapi = FastAPI()
    fastapi.get("/data")(_fastapi_view)
    apps: dict[str, Any] = {"plain ASGI": _plain, "Starlette": starlette, "FastAPI": fastapi}
    headers = bearer(world.token())
    contenders = []
    for name, app in apps.items():
        door = StrongDMAuthMiddleware(app, **ours.settings(world))
        contenders.append(asgi_calls.contender(name, app, "/data", headers, loop))
        contenders.append(asgi_calls.contender(f"{name}, door", door, "/data", headers, loop))
    peers = []
    if with_peers:
        contender, cell = peer("authgent", lambda: _authgent(world, starlette, loop), "Starlette; nothing remembered")
        peers.append(cell)
        contenders += [] if contender is None else [contender]
    samples = compared(contenders, rounds)
    for cell in peers:
        if cell.name in samples:
            cell.value = samples[cell.name].added_to(samples["Starlette"])[0] * 1e6
    target = BY_KEY["asgi"]
    figures = [added(name, samples[f"{name}, door"], samples[name], target.limit) for name in apps]
    return Row("asgi", target.operation, figures, peers, target.reference)


def _authgent(world: World, app: Any, loop: Loop) -> Contender:
    from authgent.middleware.fastapi import AgentAuthMiddleware
    from authgent.verify import _fetchers

    from bench.peers import authgent

    _fetchers[world.issuer] = authgent._fetcher(world)
    guarded = AgentAuthMiddleware(app, world.issuer, AUDIENCE)
    return asgi_calls.contender("authgent", guarded, "/data", bearer(world.token()), loop)
