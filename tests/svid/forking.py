"""A process that forks in the midst of a fetch of a bundle: `python -m tests.svid.forking`. The flight is the parent's, and so
is the lock that one of its threads holds; the child has to fetch by itself, and the parent's keys serve it meanwhile."""

import os
import sys
import time

from strongdm_auth.testing import Clock
from tests.parts.world import World, settle

from .domains import Domain, jwt_svid_key, told

#: A child that has not ended by then is taken for one that never will.
HUNG = 20.0


def main() -> None:
    clock = Clock()
    clock.set(1_800_000_000.0)
    world = World(clock)
    domain = Domain(world, "a.example")
    verifier = world.verifier(trust_domains={domain.name: domain.url})
    parent = told(verifier, domain.svid())
    settle()
    fetched, new = domain.fetches, jwt_svid_key()
    domain.publish(domain.key, new)
    keys = verifier._server.issuers.bundle(domain.name)
    assert keys is not None
    assert keys.begin(clock(), forced=True) is not None
    assert keys._lock.acquire(timeout=1)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        stranger = domain.svid(key=jwt_svid_key())
        answers = [told(verifier, domain.svid(jti="2")), told(verifier, domain.svid(key=new))]
        clock.advance(31)
        answers.append(told(verifier, stranger))
        os.write(writing, f"{' '.join(answers)}, fetched {fetched} and {domain.fetches}".encode())
        os._exit(0)
    end = time.monotonic() + HUNG
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            os.kill(child, 9)
            os.waitpid(child, 0)
            raise SystemExit("the child hung")
        time.sleep(0.01)
    sys.stdout.write(f"parent {parent}, child {os.read(reading, 1000).decode()}\n")


main()
