"""What holds a lock is renewed in the child of a fork; that it then works there, in real children, `availability` shows."""

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from strongdm_auth import Verifier, forks
from strongdm_auth.replay import MemoryReplayStore
from strongdm_auth.testing import Issuer, SigningKey
from tests.conftest import AUDIENCE, request

from .world import World


@pytest.fixture(autouse=True)
def _nobody_else() -> Iterator[None]:
    """What other tests have left must not be renewed in the midst of something."""
    gc.collect()
    parts, forks._parts = forks._parts, type(forks._parts)()
    yield
    forks._parts = parts


def _locks(verifier: Verifier) -> list[Any]:
    server = verifier._server
    assert isinstance(server.replay, MemoryReplayStore)
    issuers = server.issuers
    keys = [*issuers._fixed.values(), *issuers._proven.values(), *issuers._unproven.values()]
    return [
        *(part._lock for part in (issuers, server.introspection, server.revocations, *keys)),
        *(shard.lock for shard in server.replay._shards),
    ]


def test_every_lock_of_a_verifier_is_new_in_a_child(issuer: Issuer, make_verifier: Callable[..., Verifier]) -> None:
    verifier = make_verifier(realms="*")
    for realm in ("alpha", None):
        verifier.authenticate(request(issuer.token("cli_agent", realm=realm, audience=AUDIENCE)))
    verifier._server.issuers.find(f"{issuer.url}/realms/invented")
    before = _locks(verifier)
    assert len(before) == 3 + 3 + 256
    for lock in before:
        assert lock.acquire(timeout=1), "a thread that will not be there to give it back"
    forks._renew()
    assert not any(lock.locked() for lock in _locks(verifier))
    verifier.authenticate(request(issuer.token("cli_agent", realm="beta", audience=AUDIENCE)))


def test_a_flight_of_the_parents_is_nobodys_in_a_child(world: World, key: SigningKey) -> None:
    """Nobody there brings it to its end: whoever waited for it, or left it to be made, would do so for a flight's time."""
    world.publish(key)
    verifier = world.verifier()
    keys = verifier._server.issuers.find(str(world.claims()["iss"]))
    assert keys is not None
    assert keys.begin(world.clock(), forced=True) is not None
    forks._renew()
    assert not keys.fetching(world.clock())
    assert keys.begin(world.clock(), forced=True) is not None, "what a token had forced is given back, too"


def test_what_is_gone_is_not_kept_for_a_fork() -> None:
    class Part:
        def after_fork(self) -> None:
            raise AssertionError

    forks.renew_after_fork(Part())
    gc.collect()
    forks._renew()
