"""Many requests at once, event loops one after the other and side by side, and a process that forks."""

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from strongdm_auth import AsyncVerifier, Verifier
from strongdm_auth.testing import SigningKey
from tests.conftest import request

from .world import ALPHA, DISCOVERY, Answer, World, async_status_of, issuer_of, settle, settle_tasks, status_of


def _all_at_once(work: Callable[[int], int], number: int) -> list[int]:
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(work, range(number)))


@pytest.mark.parametrize("where", [DISCOVERY, "/jwks"])
def test_100_threads_that_come_at_once_make_one_fetch(world: World, key: SigningKey, where: str) -> None:
    world.publish(key)
    gate = world.hold(ALPHA + where)
    verifier = world.verifier()
    threading.Timer(0.05, gate.open).start()
    statuses = _all_at_once(lambda number: status_of(verifier, world.token(key, jti=str(number))), 100)
    assert statuses == [200] * 100
    assert world.calls == [ALPHA + DISCOVERY, f"{ALPHA}/jwks"]


def test_100_tasks_that_come_at_once_make_one_fetch(world: World, key: SigningKey) -> None:
    world.publish(key)
    gate = world.hold(ALPHA + DISCOVERY)

    async def main() -> list[int]:
        verifier = world.async_verifier()
        asyncio.get_running_loop().call_later(0.02, gate.open)
        return await asyncio.gather(*(async_status_of(verifier, world.token(key, jti=str(i))) for i in range(100)))

    assert asyncio.run(main()) == [200] * 100
    assert world.calls == [ALPHA + DISCOVERY, f"{ALPHA}/jwks"]


def test_100_threads_that_come_at_once_during_an_outage_make_one_attempt(world: World, key: SigningKey) -> None:
    gate = world.gate()
    world.outage = Answer(status=500, gate=gate)
    verifier = world.verifier()
    threading.Timer(0.05, gate.open).start()
    statuses = _all_at_once(lambda number: status_of(verifier, world.token(key, jti=str(number))), 100)
    assert statuses == [503] * 100
    assert len(world.calls) == 1


def test_requests_beyond_those_that_may_wait_are_told_to_come_back(world: World, key: SigningKey) -> None:
    world.publish(key)
    gate = world.hold(ALPHA + DISCOVERY)

    async def main() -> list[int]:
        verifier = world.async_verifier()
        asyncio.get_running_loop().call_later(0.05, gate.open)
        return await asyncio.gather(*(async_status_of(verifier, world.token(key, jti=str(i))) for i in range(300)))

    statuses = asyncio.run(main())
    assert set(statuses) == {200, 503}
    assert statuses.count(200) >= 100
    assert world.count("/jwks") == 1


def test_requests_with_known_keys_go_on_while_a_forced_fetch_hangs(
    world: World, key: SigningKey, other_key: SigningKey
) -> None:
    world.publish(key)
    verifier = world.verifier()
    assert status_of(verifier, world.token(key)) == 200
    world.publish(key, other_key)
    gate = world.hold(f"{ALPHA}/jwks")
    with ThreadPoolExecutor(2) as pool:
        rotated = [pool.submit(status_of, verifier, world.token(other_key, jti=str(number))) for number in range(2)]
        assert gate.arrived.wait(5)
        for number in range(100):
            assert status_of(verifier, world.token(key, jti=str(number))) == 200
        assert not any(each.done() for each in rotated)
        gate.open()
        assert [each.result(5) for each in rotated] == [200, 200]
    assert world.count("/jwks") == 2


def test_the_background_refresh_of_an_event_loop_holds_up_nobody(world: World, key: SigningKey) -> None:
    world.publish(key)

    async def main() -> None:
        verifier = world.async_verifier()
        assert await async_status_of(verifier, world.token(key)) == 200
        world.clock.advance(900)
        gate = world.hold(f"{ALPHA}/jwks")
        for number in range(20):
            assert await async_status_of(verifier, world.token(key, jti=str(number))) == 200
        await asyncio.sleep(0.01)
        assert gate.arrived.is_set()
        gate.open()
        await settle_tasks()

    asyncio.run(main())
    assert world.count("/jwks") == 2


@pytest.mark.parametrize("cancelled", [1, 2])
def test_a_cancelled_request_that_began_the_fetch_strands_nobody(world: World, key: SigningKey, cancelled: int) -> None:
    world.publish(key)
    gate = world.hold(ALPHA + DISCOVERY)

    async def main() -> list[int]:
        verifier = world.async_verifier()
        tasks = [asyncio.create_task(async_status_of(verifier, world.token(key, jti=str(i)))) for i in range(20)]
        for task in tasks[:cancelled]:  # each owns the fetch in its turn
            await asyncio.sleep(0.01)
            task.cancel()
        await asyncio.sleep(0.01)
        gate.open()
        async with asyncio.timeout(2):
            return await asyncio.gather(*tasks[cancelled:])

    assert asyncio.run(main()) == [200] * (20 - cancelled)


def test_a_cancelled_request_that_forced_the_fetch_costs_no_good_token_an_answer(
    world: World, key: SigningKey, other_key: SigningKey
) -> None:
    """A rotated key: the fetch belongs to nobody, so that a stranger who hangs up cannot keep others out."""
    world.publish(key)

    async def main() -> list[int]:
        verifier = world.async_verifier()
        assert await async_status_of(verifier, world.token(key)) == 200
        world.publish(key, other_key)
        gate = world.hold(f"{ALPHA}/jwks")
        tasks = [asyncio.create_task(async_status_of(verifier, world.token(other_key, jti=str(i)))) for i in range(5)]
        await asyncio.sleep(0.01)
        tasks[0].cancel()
        await asyncio.sleep(0.01)
        gate.open()
        async with asyncio.timeout(2):
            return await asyncio.gather(*tasks[1:])

    assert asyncio.run(main()) == [200] * 4
    assert world.count("/jwks") == 2


def test_a_forced_fetch_that_ended_with_its_event_loop_is_made_again(
    world: World, key: SigningKey, other_key: SigningKey
) -> None:
    world.publish(key)
    verifier = world.async_verifier()
    assert asyncio.run(async_status_of(verifier, world.token(key))) == 200
    world.publish(key, other_key)
    gate = world.hold(f"{ALPHA}/jwks")

    async def hang_up() -> None:
        task = asyncio.create_task(async_status_of(verifier, world.token(other_key, jti="gone")))
        await asyncio.sleep(0.01)
        task.cancel()

    async def wait_for_it() -> int:
        return await async_status_of(verifier, world.token(other_key, jti="waits"))

    async def main() -> int:
        await asyncio.to_thread(asyncio.run, hang_up())
        gate.open()
        return await wait_for_it()

    assert asyncio.run(main()) == 200
    assert world.count("/jwks") == 3


def test_who_waits_for_a_forced_fetch_that_is_given_up_makes_it_anew(
    world: World, key: SigningKey, other_key: SigningKey
) -> None:
    world.publish(key)
    verifier = world.async_verifier()
    assert asyncio.run(async_status_of(verifier, world.token(key))) == 200
    world.publish(key, other_key)
    gate, waits = world.hold(f"{ALPHA}/jwks"), threading.Event()

    async def hang_up() -> None:
        task = asyncio.create_task(async_status_of(verifier, world.token(other_key, jti="gone")))
        await asyncio.to_thread(waits.wait, 5)
        task.cancel()

    async def main() -> int:
        gone = asyncio.create_task(asyncio.to_thread(asyncio.run, hang_up()))
        await asyncio.to_thread(gate.arrived.wait, 5)
        waiting = asyncio.create_task(async_status_of(verifier, world.token(other_key, jti="waits")))
        await asyncio.sleep(0.01)
        waits.set()
        await gone
        gate.open()
        return await waiting

    assert asyncio.run(main()) == 200
    assert world.count("/jwks") == 3


def test_a_cancelled_request_that_waited_takes_nobody_with_it(world: World, key: SigningKey) -> None:
    world.publish(key)
    gate = world.hold(ALPHA + DISCOVERY)

    async def main() -> list[int]:
        verifier = world.async_verifier()
        tasks = [asyncio.create_task(async_status_of(verifier, world.token(key, jti=str(i)))) for i in range(20)]
        await asyncio.sleep(0.01)
        for task in tasks[1:10]:
            task.cancel()
        await asyncio.sleep(0.01)
        gate.open()
        return await asyncio.gather(tasks[0], *tasks[10:])

    assert asyncio.run(main()) == [200] * 11
    assert world.count("/jwks") == 1


def test_event_loops_one_after_the_other_share_one_verifier(world: World, key: SigningKey) -> None:
    world.publish(key)
    verifier = world.async_verifier()
    for number in range(20):
        assert asyncio.run(async_status_of(verifier, world.token(key, jti=str(number)))) == 200
    assert world.count("/jwks") == 1


def test_event_loops_side_by_side_share_one_verifier(world: World, key: SigningKey) -> None:
    world.publish(key)
    verifier = world.async_verifier()
    gate = world.hold(ALPHA + DISCOVERY)
    threading.Timer(0.05, gate.open).start()

    async def several(number: int) -> int:
        tokens = [world.token(key, jti=f"{number}.{each}") for each in range(5)]
        statuses = await asyncio.gather(*(async_status_of(verifier, token) for token in tokens))
        return max(statuses)

    assert _all_at_once(lambda number: asyncio.run(several(number)), 16) == [200] * 16
    assert world.calls == [ALPHA + DISCOVERY, f"{ALPHA}/jwks"]


def test_an_event_loop_that_ends_while_it_waits_for_another_s_fetch_does_no_harm(
    world: World, key: SigningKey, caplog: pytest.LogCaptureFixture
) -> None:
    world.publish(key)
    verifier = world.async_verifier()
    gate = world.hold(ALPHA + DISCOVERY)
    owner = threading.Thread(target=lambda: asyncio.run(async_status_of(verifier, world.token(key))))
    owner.start()
    assert gate.arrived.wait(5)

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await verifier.authenticate(request(world.token(key, jti="impatient")))

    asyncio.run(give_up())  # its loop is closed when the fetch lands
    gate.open()
    owner.join(5)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert asyncio.run(async_status_of(verifier, world.token(key))) == 200


def test_keys_age_also_where_every_request_has_an_event_loop_of_its_own(
    world: World, key: SigningKey, other_key: SigningKey
) -> None:
    """Async views under WSGI: the loop ends with the request, and so does a task in it."""
    world.publish(key)
    verifier = world.async_verifier()
    known = world.token(key)
    assert asyncio.run(async_status_of(verifier, known)) == 200
    world.publish(other_key)
    url = f"{ALPHA}/jwks"
    world.answers[url] = replace(world.answers[url], delay=0.005)
    statuses = []
    for _ in range(4):
        world.clock.advance(900)
        statuses.append(asyncio.run(async_status_of(verifier, known)))
    assert statuses[-1] == 401


def test_threads_and_realms_at_once_stay_consistent(world: World) -> None:
    realms = [f"realm-{number}" for number in range(8)]
    keys = {realm: SigningKey.generate("EdDSA") for realm in realms}
    for realm, key in keys.items():
        world.publish(key, realm=realm)
    verifier = world.verifier(realms=realms)

    def work(number: int) -> int:
        realm = realms[number % len(realms)]
        wrong = realms[(number + 1) % len(realms)]
        assert status_of(verifier, world.token(keys[realm], wrong, jti=str(number))) == 401
        return status_of(verifier, world.token(keys[realm], realm, jti=str(number)))

    assert _all_at_once(work, 64) == [200] * 64
    for realm in realms:
        assert world.count(f"{issuer_of(realm)}/jwks") <= 2  # the first, and the one that a wrong key forced


def test_rotation_under_load_never_lets_a_removed_key_in_again(
    world: World, key: SigningKey, other_key: SigningKey
) -> None:
    world.publish(key)
    verifier = world.verifier()
    old = world.token(key)
    assert status_of(verifier, old) == 200
    world.publish(other_key)
    assert status_of(verifier, world.token(other_key)) == 200  # forces the fetch
    assert _all_at_once(lambda _: status_of(verifier, old), 32) == [401] * 32


def test_a_store_of_keys_survives_many_threads_that_force_and_refresh(world: World, key: SigningKey) -> None:
    world.publish(key)
    verifier = world.verifier(jwks_cooldown=0, jwks_max_age=0)

    def work(number: int) -> int:
        assert status_of(verifier, world.forged(f"random-{number}")) in (401, 503)
        return status_of(verifier, world.token(key, jti=str(number)))

    assert _all_at_once(work, 50) == [200] * 50
    settle()


FORK = """
import asyncio, os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads: that is the point
from strongdm_auth import AsyncVerifier, Request, Verifier
from strongdm_auth.testing import Issuer

def ask(verifier, token):
    request = Request("GET", "https://api.example.com/", {"Authorization": f"Bearer {token}"})
    answer = verifier.authenticate(request)
    return asyncio.run(closing(verifier, answer)) if isinstance(verifier, AsyncVerifier) else answer

async def closing(verifier, answer):
    try:
        return await answer
    finally:
        await verifier.aclose()

with Issuer(realms=("alpha",), algorithms=("EdDSA",)).serve() as issuer:
    kind = {"sync": Verifier, "async": AsyncVerifier}[sys.argv[1]]
    verifier = kind(issuer=issuer.url, realms=["alpha"], audience="x")
    old = issuer.token("old", realm="alpha", audience="x")
    assert ask(verifier, old).subject == "old"
    issuer.rotate("alpha", keep_old=True)
    new = issuer.token("new", realm="alpha", audience="x")
    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                assert ask(verifier, old).subject == "old"
                assert ask(verifier, new).subject == "new"  # needs a connection of the child's own
                code = 0
            finally:
                os._exit(code)
        children.append(pid)
    assert ask(verifier, new).subject == "new"
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
    if kind is Verifier:
        verifier.close()
print("all in")
"""


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_process_that_forks_after_its_first_request_verifies_in_every_child(kind: str) -> None:
    done = subprocess.run([sys.executable, "-c", FORK, kind], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (0, "all in\n"), done.stderr


def test_verifiers_of_both_kinds_keep_their_states_apart(world: World, key: SigningKey) -> None:
    world.publish(key)
    first, second = world.verifier(), world.async_verifier()
    assert isinstance(first, Verifier)
    assert isinstance(second, AsyncVerifier)
    assert status_of(first, world.token(key)) == 200
    assert asyncio.run(async_status_of(second, world.token(key))) == 200
    assert world.count("/jwks") == 2
