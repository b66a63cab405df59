"""API servers with several worker processes on loopback, and connections to each of them.

A connection is a bare socket that sends octets made beforehand: the clients must cost little beside the servers.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, TypeVar

from tests.contract import Answer

from .apps import PROCESS
from .conftest import free_port

WORKERS = 4
ROOT = Path(__file__).parents[2]
_GUNICORN = ["gunicorn", "--threads", "8", "--keep-alive", "30", "--graceful-timeout", "1"]
_UVICORN = ["uvicorn", "--factory", "--no-access-log", "--timeout-keep-alive", "30", "--timeout-graceful-shutdown", "2"]
#: Kind -> its command line; the number of workers comes by WEB_CONCURRENCY, as to the example apps.
KINDS = {
    "gunicorn": [*_GUNICORN, "tests.stores.apps:flask()"],
    "gunicorn-preload": [*_GUNICORN, "--preload", "tests.stores.apps:flask()"],
    "uvicorn": [*_UVICORN, "tests.stores.apps:fastapi"],
    "django": [*_GUNICORN, "tests.stores.apps:django()"],
}

_Result = TypeVar("_Result")


def within(seconds: float, attempt: Callable[[], _Result], what: str) -> _Result:
    """What `attempt` gives, once that is something."""
    deadline = time.monotonic() + seconds
    while not (found := attempt()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return found


class Connection:
    """A connection that is kept alive; `process` is the worker at its other end, known from its first answer on."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.process = ""

    def send(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def read(self) -> Answer:
        response = HTTPResponse(self._socket)
        response.begin()
        answer = Answer.of(response.status, response.getheaders(), response.read())
        self.process = answer.header(PROCESS) or ""
        return answer

    def ask(self, octets: bytes) -> Answer:
        self.send(octets)
        return self.read()

    def close(self) -> None:
        self._socket.close()


class Server:
    """One that runs: `base` is its URL."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, workers: int, log: Path) -> None:
        self._process, self._port, self._log = process, port, log
        self.base, self.workers = f"http://127.0.0.1:{port}", workers

    def request(self, headers: Mapping[str, str], path: str = "/protected") -> bytes:
        """A GET as it goes over the wire."""
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{self._port}"]
        return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode()

    def ask(self, headers: Mapping[str, str], path: str = "/protected") -> Answer:
        """One request on a connection of its own."""
        connection = Connection(self._port)
        try:
            return connection.ask(self.request(headers, path))
        finally:
            connection.close()

    def connect(self, count: int) -> list[Connection]:
        """Connections, as many to each worker, give or take one; in turn, so that neighbours are with different workers."""
        most = -(-count // self.workers)
        found: dict[str, list[Connection]] = {}

        def enough() -> bool:
            for connection in self._knock(count):
                mine = found.setdefault(connection.process, [])
                if len(mine) < most:
                    mine.append(connection)
                else:
                    connection.close()
            return len(found) == self.workers and sum(map(len, found.values())) >= count

        within(30, enough, "connections to every worker")
        in_turn = [each[turn] for turn in range(most) for each in found.values() if turn < len(each)]
        for connection in in_turn[count:]:
            connection.close()
        return in_turn[:count]

    def _knock(self, count: int) -> list[Connection]:
        """Connections opened at once: one after the other, nearly all would be taken by the same worker."""
        health, connections = self.request({}, "/health"), [Connection(self._port) for _ in range(count)]
        for connection in connections:
            connection.send(health)
        for connection in connections:
            connection.read()
        return connections

    def wait_until_ready(self) -> None:
        """Until every worker has answered."""

        def answered() -> bool:
            assert self._process.poll() is None, self._log.read_text()
            with suppress(OSError):
                Connection(self._port).close()
                return True
            return False

        within(60, answered, "a server that listens")
        for connection in self.connect(4 * self.workers):
            connection.close()

    def terminate(self) -> None:
        self._process.terminate()

    def stop(self) -> None:
        """By its own process id; and what is left of its group, which has nobody else in it."""
        self.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)


@contextmanager
def serving(kind: str, log: Path, settings: Mapping[str, Any], workers: int = WORKERS) -> Iterator[Server]:
    """An example app with these settings, from the moment it is started; see `Server.wait_until_ready`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STRONGDM_")}
    for name, value in settings.items():
        environment[name.upper() if name == "cache" else f"STRONGDM_{name.upper()}"] = str(value)
    environment["WEB_CONCURRENCY"] = str(workers)
    port = free_port()
    place = ["--host", "127.0.0.1", "--port", str(port)] if kind == "uvicorn" else ["--bind", f"127.0.0.1:{port}"]
    # A file takes all that is written; a pipe that nobody reads would stop the server.
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *KINDS[kind], *place],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(process, port, workers, log)
    try:
        yield server
    finally:
        server.stop()
