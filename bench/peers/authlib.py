"""Authlib: the JWT bearer validator that its documentation has you write for a resource server, on `joserfc`.

The key set is imported once. No DPoP.
"""

from collections.abc import Callable

from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from joserfc.jwk import KeySet

from bench.timing import Batch, Contender, Loop
from bench.world import AUDIENCE, World


def unseen(world: World, alg: str, loop: Loop) -> tuple[Contender, str]:
    """A token; nothing is remembered."""
    keys = KeySet.import_key_set(world.jwks())  # type: ignore[arg-type]

    class Validator(JWTBearerTokenValidator):
        def get_jwks(self) -> object:
            return keys

    validator = Validator(world.issuer, AUDIENCE)

    def check(token: str) -> None:
        claims = validator.authenticate_token(token)
        validator.validate_token(claims, ["read"], None)

    return _contender(check, lambda: world.token(alg)), ""


def _contender(check: Callable[[str], None], token: Callable[[], str]) -> Contender:
    def prepare(count: int) -> Batch:
        inputs = [token() for _ in range(count)]

        def run() -> None:
            for one in inputs:
                check(one)

        return run

    return Contender("authlib", prepare)
