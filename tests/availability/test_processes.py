"""A process that forks after its first request, or in the middle of one, as servers that preload their app do."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from strongdm_auth import Verifier
from strongdm_auth.introspection import MOST_QUESTIONS

from .callers import KINDS
from .faulty_issuer import wait_until
from .recording_issuer import RecordingIssuer, recording

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

ROOT = Path(__file__).parents[2]
WORKERS = 3
TIMEOUT, STALL = 2.0, 1.0
#: After 2 * TIMEOUT + 1 a flight counts as lost, see keys.py: who takes less has not waited for one that nobody will end.
AT_ONCE = 2 * TIMEOUT
#: What is due may be late on a busy machine, and is then tried again at once. No more is asked of the parent, in whose time
#: others start; what counts is the children.
RETRYING = {"http_timeout": TIMEOUT, "jwks_cooldown": 0}

Tell = Callable[..., Any]


@pytest.fixture
def recorder() -> Iterator[RecordingIssuer]:
    with recording() as recorder:
        yield recorder


def _environment(**more: str) -> dict[str, str]:
    """Of a process that finds this package of tests, too."""
    path = [place for place in (os.environ.get("PYTHONPATH"), str(ROOT)) if place]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), **more}


@contextmanager
def process(kind: str, settings: dict[str, Any]) -> Iterator[Tell]:
    """A process that forks when it is told to; see `forking`."""
    command = [sys.executable, "-m", "tests.availability.forking", kind, json.dumps(settings)]
    child = subprocess.Popen(
        command, cwd=ROOT, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    stdin, stdout = child.stdin, child.stdout

    def tell(**order: Any) -> Any:
        stdin.write(json.dumps(order) + "\n")
        stdin.flush()
        assert select.select([stdout], [], [], 60)[0], "the process hangs"
        return json.loads(stdout.readline())

    try:
        yield tell
    finally:
        stdin.close()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        stdout.close()


Scenario = Callable[[RecordingIssuer, str], None]


def happen(*scenarios: Scenario) -> None:
    """All of them at the same time, with either kind of verifier, each with an issuer of its own: most of it is waiting."""

    def happens(scenario: Scenario, kind: str) -> None:
        with recording() as recorder:
            scenario(recorder, kind)

    with ThreadPoolExecutor(len(scenarios) * len(KINDS)) as pool:
        for done in [pool.submit(happens, scenario, kind) for scenario in scenarios for kind in KINDS]:
            done.result()


def _are_apart(recorder: RecordingIssuer, *askers: Iterable[str]) -> bool:
    """Whether each process asked about its tokens over connections of its own."""
    ports = [recorder.ports(*tokens) for tokens in askers]
    return all(ports) and len(set().union(*ports)) == sum(map(len, ports))


def _let_in(tell: Tell, token: str) -> None:
    wait_until(lambda: tell(ask=[token]) == [200])


def _children_work(recorder: RecordingIssuer, kind: str) -> None:
    """Those of a parent that rests on a connection it keeps, and those of one that waits for answers."""
    issuer = recorder.issuer
    with process(kind, recorder.settings()) as tell:
        early = [recorder.token() for _ in range(2)]
        assert tell(ask=early) == [200, 200]
        assert len(recorder.ports(*early)) == 1  # it is kept, and children must leave it alone
        late = [recorder.token() for _ in range(20)]
        issuer.rotate("alpha", keep_old=True)  # each child needs keys that it has not inherited
        issuer.forget_requests()
        revoked = recorder.token()
        issuer.revoke(revoked)
        children = [[recorder.token() for _ in range(20)] for _ in range(2 * WORKERS)]
        found = tell(fork=[[*tokens, revoked] for tokens in children[:WORKERS]], patience=0)
        issuer.stall(STALL, path="/introspect", times=len(late))
        asked = issuer.count("/introspect")
        for token in late:
            tell(begin=token)
        wait_until(lambda: issuer.count("/introspect") == asked + len(late))
        found += tell(fork=[[*tokens, revoked] for tokens in children[WORKERS:]], patience=0)
        assert [[status for status, _ in each] for each in found] == [[200] * 20 + [401]] * 2 * WORKERS
        assert tell(end=True) == [200] * len(late)
        assert tell(ask=early) == [200, 200]
    assert _are_apart(recorder, [*early, *late], *children)
    assert issuer.count("/jwks") == 2 * WORKERS


def _fork_in_the_first_fetch(recorder: RecordingIssuer, kind: str) -> None:
    """In the child nobody is left to end the fetch: it begins its own."""
    with process(kind, recorder.settings(introspection="off", **RETRYING)) as tell:
        recorder.issuer.stall(STALL, path="/jwks", times=1)
        tell(begin=recorder.token())
        wait_until(lambda: recorder.issuer.count("/jwks") == 1)
        found = tell(fork=[[recorder.token(), recorder.token()]] * 2, patience=10)
        assert set(tell(end=True)) <= {200, 503}
    for asked in found:
        assert [status for status, _ in asked] == [200, 200]
        assert all(seconds < AT_ONCE for _, seconds in asked)


def _fork_in_a_refresh(recorder: RecordingIssuer, kind: str) -> None:
    """The keys it knows serve, and a new key gets in at once."""
    issuer, known = recorder.issuer, recorder.token()
    with process(kind, recorder.settings(introspection="off", jwks_max_age=0, **RETRYING)) as tell:
        _let_in(tell, known)
        issuer.stall(STALL, path="/jwks", times=1)
        issuer.forget_requests()
        tell(begin=known)
        wait_until(lambda: issuer.count("/jwks") == 1)
        tokens = [known, *(recorder.token() for _ in range(3))]
        issuer.rotate("alpha", keep_old=True)
        (found,) = tell(fork=[[*tokens, recorder.token()]], patience=10)
        assert tell(end=True) == [200]
    assert [status for status, _ in found] == [200] * 5
    assert all(seconds < AT_ONCE for _, seconds in found)


def _fork_in_a_question(recorder: RecordingIssuer, kind: str) -> None:
    """As many as may be under way in the parent; none of them is the child's, which asks about each itself."""
    issuer = recorder.issuer
    with process(kind, recorder.settings(introspection_ttl=60, **RETRYING)) as tell:
        _let_in(tell, recorder.token())
        issuer.forget_requests()
        issuer.stall(STALL, path="/introspect", times=MOST_QUESTIONS)
        waiting = [recorder.token() for _ in range(MOST_QUESTIONS)]
        for token in waiting:
            tell(begin=token)
        wait_until(lambda: issuer.count("/introspect") >= MOST_QUESTIONS - 5)
        children = [[recorder.token() for _ in range(5)] for _ in range(2)]
        found = tell(fork=[[*tokens, waiting[0]] for tokens in children], patience=10)
        assert set(tell(end=True)) <= {200, 503}
    for asked in found:
        assert [status for status, _ in asked] == [200] * 6
        assert all(seconds < AT_ONCE for _, seconds in asked)
    assert _are_apart(recorder, waiting[1:], *children)


def test_a_fork_while_a_thread_holds_a_lock_leaves_the_child_able_to_work() -> None:
    """Each lock of ours, as it is in the child: held by a thread that is not there."""
    verifier = Verifier(issuer="https://id.example.com/realms/alpha", audience="x")
    server = verifier._server
    keys = server.issuers.find("https://id.example.com/realms/alpha")
    assert keys is not None
    assert server.replay is not None
    held = [keys, server.issuers, server.introspection, server.revocations, verifier._http]
    locks = [part._lock for part in held] + [shard.lock for shard in server.replay._shards]
    for lock in locks:
        lock.acquire()
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        free = [part._lock for part in held] + [shard.lock for shard in server.replay._shards]
        os._exit(0 if all(lock.acquire(blocking=False) for lock in free) else 1)
    for lock in locks:
        lock.release()
    assert os.waitpid(child, 0)[1] == 0


def test_children_of_a_process_that_was_in_use_verify_fetch_and_introspect() -> None:
    happen(_children_work)


def test_a_fork_in_the_middle_of_something_strands_no_child() -> None:
    happen(_fork_in_the_first_fetch, _fork_in_a_refresh, _fork_in_a_question)


# gunicorn


@contextmanager
def gunicorn(recorder: RecordingIssuer, first: str) -> Iterator[str]:
    """The preloaded app behind its workers: the URL of its one route."""
    settings = {f"STRONGDM_{name.upper()}": str(value) for name, value in recorder.settings().items()}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = ["gunicorn", "tests.availability.preloaded:app", "--preload", "--workers", str(WORKERS)]
        options = ["--threads", "4", "--bind", f"fd://{listener.fileno()}", "--log-level", "warning"]
        server = subprocess.Popen(
            [sys.executable, "-m", *command, *options],
            cwd=ROOT,
            env=_environment(**settings, FIRST_TOKEN=first),
            pass_fds=[listener.fileno()],
        )
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/who"
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _get(url: str, token: str) -> tuple[int, dict[str, Any]]:
    question = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(question, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


def test_workers_of_an_app_that_was_in_use_before_the_fork_all_let_agents_in(recorder: RecordingIssuer) -> None:
    issuer, first = recorder.issuer, recorder.token("first")
    with gunicorn(recorder, first) as url:
        wait_until(lambda: bool(recorder.ports(first)), 30)
        parents_port = recorder.ports(first)
        issuer.rotate("alpha", keep_old=True)  # each worker needs keys that it has not inherited
        askers: dict[int, set[str]] = {}
        subjects = iter(range(10_000))
        lock = threading.Lock()

        def knock(_: int) -> None:
            subject = f"agent-{next(subjects)}"
            token = recorder.token(subject)
            status, answer = _get(url, token)
            assert (status, answer.get("subject")) == (200, subject)  # not another's answer
            with lock:
                askers.setdefault(answer["process"], set()).add(token)

        end = time.monotonic() + 30
        with ThreadPoolExecutor(12) as pool:
            while len(askers) < WORKERS or min(map(len, askers.values())) < 5:
                assert time.monotonic() < end, f"only {len(askers)} workers answer"
                list(pool.map(knock, range(36)))
        revoked = recorder.token("revoked")
        issuer.revoke(revoked)
        assert {_get(url, revoked)[0] for _ in range(9)} == {401}
        assert _get(url, first)[0] == 200
    assert parents_port.isdisjoint(recorder.ports(*set().union(*askers.values())))
    assert _are_apart(recorder, *askers.values())
