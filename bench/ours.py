"""Our own verifiers, in threads and in an event loop. From the headers of a request to an `AccessToken`."""

from collections.abc import Callable, Mapping
from typing import Any

from strongdm_auth import AsyncVerifier, Request, Verifier

from .timing import Batch, Contender, Loop
from .world import AUDIENCE, URL, World

Headers = Mapping[str, str]


#: The library with nothing but an issuer and an audience set. Realms are named so that no start-up warning is due.
def settings(world: World) -> dict[str, Any]:
    """The settings of every verifier and door in these benchmarks."""
    return {"issuer": world.issuer, "realms": ["*"], "audience": AUDIENCE}


def warmed(world: World) -> Verifier:
    """A verifier that has fetched its keys."""
    verifier = Verifier(**settings(world))
    verifier.authenticate(Request("GET", URL, {"Authorization": f"Bearer {world.token()}"}))
    return verifier


def sync(name: str, world: World, headers: Callable[[], Headers]) -> Contender:
    """`Verifier.authenticate`, a request's `Request` included."""
    verifier = warmed(world)

    def prepare(count: int) -> Batch:
        inputs = [headers() for _ in range(count)]

        def run() -> None:
            for one in inputs:
                verifier.authenticate(Request("GET", URL, one))

        return run

    return Contender(name, prepare)


def asynchronous(name: str, world: World, headers: Callable[[], Headers], loop: Loop) -> Contender:
    """`AsyncVerifier.authenticate`, likewise."""
    verifier = AsyncVerifier(**settings(world))

    async def call(one: Headers) -> object:
        return await verifier.authenticate(Request("GET", URL, one))

    loop.run(call({"Authorization": f"Bearer {world.token()}"}))
    return Contender(name, lambda count: loop.batch(call, [headers() for _ in range(count)]))
