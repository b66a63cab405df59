"""joserfc alone: `jwt.decode` with an imported key set, and its claims registry. No requests, no key fetching, no DPoP."""

import warnings

from joserfc import jwt
from joserfc.jwk import KeySet

from bench.timing import Batch, Contender, Loop
from bench.world import AUDIENCE, World


def unseen(world: World, alg: str, loop: Loop) -> tuple[Contender, str]:
    """A token; nothing is remembered."""
    keys = KeySet.import_key_set(world.jwks())  # type: ignore[arg-type]
    rules = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": world.issuer},
        aud={"essential": True, "value": AUDIENCE},
        exp={"essential": True},
    )

    def prepare(count: int) -> Batch:
        inputs = [world.token(alg) for _ in range(count)]

        def run() -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the name EdDSA, once a call
                for token in inputs:
                    rules.validate(jwt.decode(token, keys, algorithms=[alg]).claims)

        return run

    return Contender("joserfc", prepare), "no key fetching, no request"
