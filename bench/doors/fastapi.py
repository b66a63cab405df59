"""The FastAPI door: a route with `Security(auth, ...)` against the same route with an empty async dependency."""

from typing import Annotated, Any

from fastapi import Depends, FastAPI, Security

from bench import ours
from bench.record import Row
from bench.timing import Contender, Loop
from bench.world import AUDIENCE, World, bearer
from strongdm_auth import AccessToken
from strongdm_auth.fastapi import StrongDMAuth

from . import BY_KEY, added, asgi_calls, compared, peer


async def _nothing() -> None:
    """An async dependency that does nothing: what FastAPI itself asks for one."""


def row(world: World, loop: Loop, *, with_peers: bool, rounds: int) -> Row:
    """Any valid token, a token with scopes, and both with `auth.install(app)`."""
    headers = bearer(world.token())
    base = FastAPI()

    @base.get("/data")
    async def bare(_nobody: Annotated[None, Depends(_nothing)]) -> dict[str, bool]:
        return {"ok": True}

    apps = {
        "Security(auth)": _guarded(world, [], install=False),
        "Security(auth, scopes)": _guarded(world, ["read"], install=False),
        "Security(auth, scopes), installed": _guarded(world, ["read"], install=True),
    }
    contenders = [asgi_calls.contender("bare", base, "/data", headers, loop)]
    contenders += [asgi_calls.contender(name, app, "/data", headers, loop) for name, app in apps.items()]
    peers = []
    if with_peers:
        contender, cell = peer("auth0-fastapi-api", lambda: _auth0(world, loop), "RS256, nothing remembered")
        peers.append(cell)
        contenders += [] if contender is None else [contender]
    samples = compared(contenders, rounds)
    for cell in peers:
        if cell.name in samples:
            cell.value = samples[cell.name].added_to(samples["bare"])[0] * 1e6
    target = BY_KEY["fastapi"]
    figures = [added(name, samples[name], samples["bare"], target.limit) for name in apps]
    return Row("fastapi", target.operation, figures, peers, target.reference)


def _guarded(world: World, scopes: list[str], *, install: bool) -> FastAPI:
    app = FastAPI()
    auth = StrongDMAuth(**ours.settings(world))
    if install:
        auth.install(app)

    @app.get("/data")
    async def guarded(_token: Annotated[AccessToken, Security(auth, scopes=scopes)]) -> dict[str, bool]:
        return {"ok": True}

    return app


def _auth0(world: World, loop: Loop) -> Contender:
    from fastapi_plugin.fast_api_client import Auth0FastAPI

    from bench.peers import auth0

    app = FastAPI()
    plugin = Auth0FastAPI(domain=auth0.DOMAIN, audience=AUDIENCE)
    plugin.api_client = auth0.client(world)

    @app.get("/data")
    async def guarded(
        _claims: Annotated[dict[str, Any], Depends(plugin.require_auth(scopes="read"))],
    ) -> dict[str, bool]:
        return {"ok": True}

    headers = bearer(world.token("RS256", issuer=auth0.ISSUER))
    return asgi_calls.contender("auth0-fastapi-api", app, "/data", headers, loop)
