"""PyJWT with its `PyJWKClient`, as its documentation shows: find the signing key, then `jwt.decode`. No DPoP."""

import jwt

from bench.timing import Batch, Contender, Loop
from bench.world import AUDIENCE, World


def unseen(world: World, alg: str, loop: Loop) -> tuple[Contender, str]:
    """A token; nothing is remembered but the key set."""
    keys = jwt.PyJWKClient(f"{world.issuer}/jwks")

    def prepare(count: int) -> Batch:
        inputs = [world.token(alg) for _ in range(count)]

        def run() -> None:
            for token in inputs:
                key = keys.get_signing_key_from_jwt(token)
                jwt.decode(token, key, algorithms=[alg], audience=AUDIENCE, issuer=world.issuer)

        return run

    return Contender("pyjwt", prepare), ""
