"""The Valkey is killed and started again under load: nobody gets in twice, and nothing of ours must be restarted."""

import logging
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Valkey
from .load import Knock, Load, issued_at
from .servers import Server, within
from .world import PATIENT, World, open_world

_log = logging.getLogger("tests.workers")  # pytest --log-cli-level=INFO shows what was counted
KILLS = 3
#: Seconds until fresh proofs pass again in every worker: their `iat` has whole seconds, as has the server's age.
RECOVERY = 20
#: Proofs of each outage that are sent to every worker before it, during it, and after it.
REPLAYED = 15
#: Who calls at a time: the load's threads and the test itself.
CALLERS = 7


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as world:
        yield world


class Outages:
    """Kills and restarts a server under load; what must hold meanwhile is asserted here."""

    def __init__(self, load: Load, server: Server, valkey: Valkey) -> None:
        self._load, self._server, self._valkey = load, server, valkey
        self._used: list[str] = []
        self._well_since = 0.0
        self.away_answers = self.late_answers = 0
        self.recovered_after: list[float] = []

    def another(self) -> None:
        load = self._load
        self._used += self.well()[-REPLAYED:]
        self._replay_everywhere(self._used[-REPLAYED:], {401})

        self._valkey.kill()
        away_at = time.monotonic()
        self._replay_everywhere(self._used[-REPLAYED:], {503})
        within(30, lambda: self._answered_while_away(away_at), "requests of every kind while it is away")
        away = [knock for knock in load.since(away_at) if knock.kind != "bearer"]
        assert {knock.status for knock in away} == {503}
        assert all(int(knock.retry_after or 0) >= 1 for knock in away)
        self.away_answers += len(away)

        self._valkey.start()
        back_at = time.monotonic()
        within(RECOVERY, lambda: self._passed_everywhere(back_at), "fresh proofs pass in every worker")
        self.recovered_after.append(time.monotonic() - back_at)
        self._well_since = time.time()
        # Not known any more, and too old to be believed; 401 where they have expired by now.
        self._replay_everywhere(self._used, {401, 503})

    def well(self) -> list[str]:
        """Proofs that were let in now that the server is there, and has been known to every worker before they were made."""
        began = time.monotonic()
        within(30, lambda: self._passed_everywhere(began, each_worker=15), "proofs are used in every worker")
        made = [knock for knock in self._load.since(began, "fresh") if issued_at(knock.credential) >= self._well_since]
        statuses = Counter(knock.status for knock in made)
        # 401: one's own proof, replayed by another. 503: a connection that died in the outage may cost its first user that.
        self.late_answers += statuses[503]
        assert set(statuses) <= {200, 401, 503}
        return [knock.credential for knock in made if knock.status == 200]

    def _passed_everywhere(self, since: float, each_worker: int = 1) -> bool:
        knocks = self._load.since(since, "fresh")
        if each_worker > 1:
            knocks = [knock for knock in knocks if issued_at(knock.credential) >= self._well_since]
        passed = Counter(knock.process for knock in knocks if knock.status == 200)
        return len(passed) == self._server.workers and min(passed.values()) >= each_worker

    def _answered_while_away(self, since: float) -> bool:
        seen = Counter(knock.kind for knock in self._load.since(since))
        return min(seen[kind] for kind in ("fresh", "replay", "bearer")) >= 30

    def _replay_everywhere(self, proofs: list[str], statuses: set[int]) -> None:
        """Used proofs to every worker, by connections that have sent none of them."""
        connections = self._server.connect(self._server.workers)
        for proof in proofs:
            for connection in connections:
                connection.send(self._load.bound_request(proof))
            assert {connection.read().status for connection in connections} <= statuses
        for connection in connections:
            connection.close()


@pytest.mark.parametrize("kind", ["gunicorn", "uvicorn"])
def test_a_store_that_is_killed_and_comes_back_lets_nobody_in_twice(kind: str, valkey: Valkey, world: World) -> None:
    server = world.serve(kind, replay_store=valkey.url + PATIENT)
    load = Load(server, world.bound, world.bearer)
    with load.running():
        outages = Outages(load, server, valkey)
        for _ in range(KILLS):
            outages.another()
        outages.well()
    report(kind, load.knocks, load.admissions(), outages)
    assert [proof for proof, count in load.admissions().items() if count > 1] == []
    assert {knock.status for knock in load.knocks if knock.kind == "bearer"} == {200}, "Bearer requests need no store"
    assert {knock.status for knock in load.knocks} == {200, 401, 503}
    assert outages.late_answers <= KILLS * server.workers * CALLERS, "it is back, and stays"


def report(kind: str, knocks: list[Knock], admissions: Counter[str], outages: Outages) -> None:
    by_kind = Counter(f"{knock.kind} {knock.status}" for knock in knocks)
    _log.info(
        "%s: %d requests in %.1f s, %d proofs let in, twice: %d; recovered after %s s; 503 while away: %d, late: %d; %s",
        kind,
        len(knocks),
        knocks[-1].answered_at - knocks[0].sent_at,
        len(admissions),
        sum(count > 1 for count in admissions.values()),
        ", ".join(f"{seconds:.2f}" for seconds in outages.recovered_after),
        outages.away_answers,
        outages.late_answers,
        dict(sorted(by_kind.items())),
    )
