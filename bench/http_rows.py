"""Requests a second over HTTP, of the bare route: bare, Bearer and DPoP blocks in turns against one server process.

Both the throughput that the client sees and the server's own CPU time are compared. The latter is the steadier figure on
a machine that does other things as well: the client, on the same machine, takes from the former what it needs itself.
"""

import statistics
from collections.abc import Callable

from . import http_load
from .http_servers import gunicorn, serving, uvicorn
from .minting import Client
from .record import Figure, Peer, Row
from .targets import BY_KEY
from .timing import Loop
from .world import World, bearer, bound

Block = Callable[[int, int], list[bytes]]
_BEARER, _DPOP = 0.93, 0.50


def row(world: World, loop: Loop, *, rounds: int, block: int) -> Row:
    """FastAPI under uvicorn, Flask under gunicorn, and auth0-fastapi-api under uvicorn."""
    target = BY_KEY["http"]
    figures: list[Figure] = []
    peers: list[Peer] = []
    series: dict[str, object] = {}
    for name, command, limited in (("FastAPI", uvicorn("fastapi_app"), True), ("Flask", gunicorn("flask_app"), False)):
        found = _compare(world, loop, command, _ours(world), rounds, block)
        series[name] = found
        for kind, limit in (("bearer", _BEARER), ("dpop", _DPOP)):
            label = f"{name}, {'Bearer seen before' if kind == 'bearer' else 'DPoP'}"
            figures.append(Figure(label, found[kind], "rel", limit=limit if limited else None, at_least=True))
            if f"{kind}_cpu" in found:
                figures.append(Figure(f"{label}, by the server's CPU time", found[f"{kind}_cpu"], "rel"))
    try:
        found = _compare(world, loop, uvicorn("auth0_app"), _auth0(world), rounds, block)
    except Exception as fault:  # whatever it is: it goes into its cell
        peers.append(Peer("auth0-fastapi-api", unit="rel", note=f"broke: {type(fault).__name__}: {fault}"[:120]))
    else:
        series["auth0-fastapi-api"] = found
        for kind, note in (("bearer", "Bearer"), ("dpop", "DPoP, no replay check")):
            peers.append(Peer("auth0-fastapi-api", found[kind], unit="rel", note=note))
    return Row("http", target.operation, figures, peers, target.reference, series=series)


def _ours(world: World) -> dict[str, Block]:
    agent = Client()
    return _blocks(world.token(), world.token("ES256", agent), agent)


def _auth0(world: World) -> dict[str, Block]:
    from .peers.auth0 import ISSUER

    agent = Client()
    return _blocks(world.token("RS256", issuer=ISSUER), world.token("RS256", agent, issuer=ISSUER), agent)


def _blocks(token: str, bound_token: str, agent: Client) -> dict[str, Block]:
    """The bare route gets the same bytes as the protected one: reading a header is the server's work, not ours."""

    def proofs(port: int, count: int) -> list[bytes]:
        host, url = f"127.0.0.1:{port}", f"http://127.0.0.1:{port}/data"
        return [
            http_load.request("/data", bound(bound_token, agent.proof("GET", url, bound_token)) | {"host": host})
            for _ in range(count)
        ]

    return {
        "bare": lambda _port, count: [http_load.request("/open", bearer(token))] * count,
        "bearer": lambda port, count: [http_load.request("/data", bearer(token))] * count,
        "dpop": proofs,
    }


def _compare(
    world: World, loop: Loop, command: list[str], blocks: dict[str, Block], rounds: int, block: int
) -> dict[str, float]:
    with serving(command, world) as (port, pid):
        loads: dict[str, list[http_load.Load]] = {kind: [] for kind in blocks}
        for number in range(rounds + 1):
            for kind, make in blocks.items():
                load = loop.run(http_load.drive(port, make(port, block), pid))
                if number:  # the first round warms both sides
                    loads[kind].append(load)
    found = {"requests_per_second": block / min(load.wall for load in loads["bare"])}
    for kind in ("bearer", "dpop"):
        pairs = list(zip(loads["bare"], loads[kind], strict=True))
        found[kind] = statistics.median(bare.wall / load.wall for bare, load in pairs)
        if all(load.server_cpu and bare.server_cpu for bare, load in pairs):
            found[f"{kind}_cpu"] = statistics.median((b.server_cpu or 0) / (one.server_cpu or 1) for b, one in pairs)
    return found
