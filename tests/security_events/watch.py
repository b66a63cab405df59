"""How long it takes until every worker of a server refuses a token: agents that knock all the time, and a clock.

The connections are bare sockets, as many to each worker; a thread knocks on each in turn, so that all of them together make a
steady load. Only the token that is about to end is watched; what is answered 200 after that moment is what it took.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection

from strongdm_auth.testing import Issuer
from tests.stores.servers import Connection, Server, within
from tests.stores.world import AUDIENCE

from .api import MEDIA_TYPE

EVENTS = "/security-events"


def token(issuer: Issuer, subject: str) -> str:
    """One that was issued some seconds ago."""
    return issuer.token(subject, realm="alpha", audience=AUDIENCE, claims={"iat": int(time.time()) - 20})


def event(issuer: Issuer, subject: str) -> bytes:
    return issuer.security_event(subject=subject, realm="alpha", audience=AUDIENCE).encode()


def push(server: Server, body: object, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """POST a SET on a connection of its own: status and body of the answer. An iterable goes in chunks."""
    connection = HTTPConnection("127.0.0.1", server._port, timeout=30)
    try:
        connection.request("POST", EVENTS, body=body, headers={"Content-Type": MEDIA_TYPE} | (headers or {}))  # type: ignore[arg-type]
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


class Watch:
    """Threads that knock with one token. `took(end)` ends it, and gives the seconds from then to the last 200."""

    def __init__(self, server: Server, rate: float, threads: int = 4) -> None:
        self._server, self._pause = server, threads / rate
        self._threads = threads
        #: When a 200 came, and from which worker; and the workers that have refused since.
        self._let_in: list[tuple[float, str]] = []
        self._refused: set[str] = set()
        self._requests = 0
        self._octets = b""
        self._over = threading.Event()
        self._faults: list[BaseException] = []

    @contextmanager
    def running(self) -> Iterator["Watch"]:
        connections = self._server.connect(self._threads * self._server.workers)
        per = self._server.workers
        shares = [connections[number * per : (number + 1) * per] for number in range(self._threads)]
        threads = [threading.Thread(target=self._knock_on, args=(share, n)) for n, share in enumerate(shares)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in threads:
                thread.join(60)
            for connection in connections:
                connection.close()
        assert not self._faults, self._faults

    @property
    def requests(self) -> int:
        return self._requests

    def took(self, compact: str, end: Callable[[], None], *, deadline: float, settled: float = 0.5) -> float:
        """Seconds from the return of `end` to the last 200 of any worker; 0 where there was none."""
        self._octets, self._let_in, self._refused = self._request(compact), [], set()
        workers = self._server.workers
        within(20, lambda: len({process for _, process in self._let_in}) == workers, "a 200 from every worker")
        end()
        since = time.monotonic()
        # Refused by all: not one worker's word; and a while longer, lest one let it in again.
        within(deadline, lambda: len(self._refused) == workers, "a refusal from every worker")
        time.sleep(settled)
        last = max((at for at, _ in self._let_in), default=0.0)
        return max(0.0, last - since)

    def _request(self, compact: str) -> bytes:
        return self._server.request({"Authorization": f"Bearer {compact}"})

    def _knock_on(self, connections: list[Connection], number: int) -> None:
        try:
            turn = number  # not all threads at the same worker
            self._over.wait(self._pause * number / self._threads)
            due = time.monotonic()
            while not self._over.is_set():
                due += self._pause
                if octets := self._octets:
                    connection = connections[turn % len(connections)]
                    answer = connection.ask(octets)
                    at, process = time.monotonic(), connection.process
                    self._requests += 1
                    turn += 1
                    if octets is self._octets:  # of this round
                        assert answer.status in (200, 401), answer
                        if answer.status == 200:
                            self._let_in.append((at, process))
                        else:
                            self._refused.add(process)
                self._over.wait(max(0.0, due - time.monotonic()))
        except BaseException as fault:
            self._faults.append(fault)
            raise


def ending_by_push(server: Server, compact: bytes) -> Callable[[], None]:
    """What pushes this SET, and returns with the 202."""

    def end() -> None:
        assert push(server, compact) == (202, b"")

    return end
