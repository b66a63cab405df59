"""authgent, the SDK: `verify_token` and, called by hand, `verify_dpop_proof`. ES256 only; no `ath`, no replay check."""

import time

from authgent.dpop import verify_dpop_proof
from authgent.jwks import JWKSFetcher
from authgent.verify import verify_token

from bench.minting import Client
from bench.timing import Contender, Loop
from bench.world import AUDIENCE, URL, World

from . import NotSupported


def _fetcher(world: World) -> JWKSFetcher:
    """Its key set as it is after a fetch (the issuer's ES256 key; of others it makes errors)."""
    fetcher = JWKSFetcher(world.issuer)
    fetcher._keys = {"key-es256": world.jwks()["keys"][0]}  # type: ignore[index]
    fetcher._last_fetch = time.monotonic()
    return fetcher


def unseen(world: World, alg: str, loop: Loop) -> tuple[Contender, str]:
    """A bearer token; nothing is remembered."""
    if alg != "ES256":
        raise NotSupported("ES256 only")
    fetcher = _fetcher(world)

    async def call(token: str) -> object:
        return await verify_token(token, world.issuer, AUDIENCE, fetcher)

    return Contender("authgent", lambda count: loop.batch(call, [world.token() for _ in range(count)])), ""


def dpop(world: World, loop: Loop) -> tuple[Contender, str]:
    """One token bound to one client, a fresh proof each time."""
    fetcher, agent = _fetcher(world), Client()
    token = world.token("ES256", agent)

    async def call(proof: str) -> object:
        identity = await verify_token(token, world.issuer, AUDIENCE, fetcher)
        return verify_dpop_proof(identity, proof, "GET", URL)

    def inputs(count: int) -> list[str]:
        return [agent.proof("GET", URL, token) for _ in range(count)]

    return Contender("authgent", lambda count: loop.batch(call, inputs(count))), "no ath, no replay check"
