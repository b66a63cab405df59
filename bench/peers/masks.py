"""masks-client: its bare `Verifier`, sync. RS256 and ES256 tokens, proofs of many algorithms, replay memory in the process."""

from collections.abc import Callable

import masks.models
import masks.verifier

from bench.minting import Client
from bench.timing import Batch, Contender, Loop
from bench.world import AUDIENCE, URL, World, bearer, bound

from . import NotSupported


def _verifier(world: World) -> masks.verifier.Verifier:
    metadata = masks.models.Metadata.from_dict({"issuer": world.issuer, "jwks_uri": f"{world.issuer}/jwks"})
    return masks.verifier.Verifier(masks.models.Issuer(world.issuer, metadata, allow_plain_http=True), AUDIENCE)


def _contender(world: World, headers: Callable[[], dict[str, str]]) -> Contender:
    verifier = _verifier(world)

    def prepare(count: int) -> Batch:
        inputs = [headers() for _ in range(count)]

        def run() -> None:
            for one in inputs:
                verifier.authenticate("GET", URL, one)

        return run

    return Contender("masks", prepare)


def unseen(world: World, alg: str, loop: Loop) -> tuple[Contender, str]:
    """A bearer token; nothing is remembered."""
    if alg == "EdDSA":
        raise NotSupported("RS256 and ES256 only")
    return _contender(world, lambda: bearer(world.token(alg))), ""


def dpop(world: World, loop: Loop) -> tuple[Contender, str]:
    """One ES256 token bound to one client, a fresh proof each time."""
    agent = Client()
    token = world.token("ES256", agent)
    return _contender(world, lambda: bound(token, agent.proof("GET", URL, token))), "replay check included"
