"""The floor: one bare `public_key.verify` of `cryptography`, key preloaded, on data as long as what the others verify.

No base64, no JSON, no JWS: what nobody who checks a signature can do without.
"""

from .minting import Key
from .timing import Batch, Contender

NAME = "floor"


def floor(key: Key, size: int = 350) -> Contender:
    """Bare verification of signatures by `key` over `size` bytes."""
    verify = key.bare_verify()
    pool = [(key.sign(data)[1], data) for data in (bytes([number]) * size for number in range(64))]

    def prepare(count: int) -> Batch:
        inputs = [pool[number % len(pool)] for number in range(count)]

        def run() -> None:
            for signature, data in inputs:
                verify(signature, data)

        return run

    return Contender(NAME, prepare)
