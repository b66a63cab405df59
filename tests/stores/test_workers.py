"""One proof, several worker processes, real servers: whoever asks first gets in, and nobody else."""

import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from .apps import PROCESS
from .conftest import Valkey
from .servers import ROOT, Server, within
from .world import PATIENT, World, open_world

_log = logging.getLogger("tests.workers")  # pytest --log-cli-level=INFO shows what was counted
CLIENTS = 50


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as world:
        yield world


def race(world: World, server: Server, rounds: int) -> list[Counter[str]]:
    """For each round, how often each worker let in the one proof that all clients sent; to others it must be a replay."""
    connections, outcome = server.connect(CLIENTS), []

    def fresh() -> bytes:
        return server.request(world.bound.headers("GET", f"{server.base}/protected"))

    # A store that has just been started may be believed only a moment later.
    within(
        20, lambda: {each.ask(fresh()).status for each in connections[: server.workers]} == {200}, "a first use each"
    )
    for _ in range(rounds):
        octets = fresh()
        # All but the last byte; then, to everyone, the last; only then is an answer read.
        for part in (octets[:-1], octets[-1:]):
            for connection in connections:
                connection.send(part)
        answers = [connection.read() for connection in connections]
        refused = [answer for answer in answers if answer.status != 200]
        assert {(answer.status, b'"invalid_dpop_proof"' in answer.body) for answer in refused} == {(401, True)}
        outcome.append(Counter(answer.header(PROCESS) or "" for answer in answers if answer.status == 200))
    for connection in connections:
        connection.close()
    return outcome


def assert_once(outcome: list[Counter[str]]) -> None:
    admissions, first = [each.total() for each in outcome], sum(outcome, Counter())
    _log.info(
        "%d rounds, %d requests: let in twice %d, refused as replayed %d; let in by each worker %s",
        len(outcome),
        len(outcome) * CLIENTS,
        sum(count > 1 for count in admissions),
        len(outcome) * CLIENTS - sum(admissions),
        sorted(first.values()),
    )
    assert admissions == [1] * len(outcome)
    assert len(first) > 1, "no race: the same worker was always the first"


@pytest.mark.parametrize(("kind", "rounds"), [("gunicorn", 200), ("uvicorn", 200), ("gunicorn-preload", 20)])
def test_one_proof_by_50_clients_at_once_is_let_in_once(kind: str, rounds: int, valkey: Valkey, world: World) -> None:
    assert_once(race(world, world.serve(kind, replay_store=valkey.url + PATIENT), rounds))


@pytest.mark.parametrize("cache", ["RedisCache", "DatabaseCache"])
def test_a_django_cache_that_processes_share_lets_it_in_once(
    cache: str, valkey: Valkey, world: World, tmp_path: Path
) -> None:
    place = valkey.url if cache == "RedisCache" else str(tmp_path / "cache.sqlite3")
    if cache == "DatabaseCache":
        create = "from tests.stores import apps; apps.create_cache_table()"
        subprocess.run([sys.executable, "-c", create], cwd=ROOT, env={**os.environ, "CACHE": place}, check=True)
    server = world.serve("django", replay_store="django-cache://default", cache=place)
    assert_once(race(world, server, 50))


def test_with_the_memory_of_each_process_it_is_let_in_once_by_each(world: World) -> None:
    """What these tests would see if a store did not hold: so they can see it."""
    server = world.serve("gunicorn", replay_store="memory://")
    assert [sorted(each.values()) for each in race(world, server, 5)] == [[1] * server.workers] * 5
