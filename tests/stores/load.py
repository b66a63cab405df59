"""Agents that knock at a server with several workers all the time: with fresh proofs, used ones, and Bearer tokens."""

import json
import random
import threading
import time
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from strongdm_auth.testing.keys import Agent

from .apps import PROCESS
from .servers import Server

#: How far back those who replay look: proofs of a second or two.
RECENT = 300


class Knock(NamedTuple):
    """One request and what came of it."""

    kind: str
    #: The proof; a Bearer token for those who have none.
    credential: str
    sent_at: float
    answered_at: float
    status: int
    retry_after: str | None
    process: str


def issued_at(proof: str) -> int:
    """The `iat` of a proof."""
    payload = proof.split(".")[1]
    moment: int = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["iat"]
    return moment


class Load:
    """Threads that knock until `running` ends. All that happened is in `knocks`."""

    def __init__(self, server: Server, bound: Agent, bearer: Agent) -> None:
        self.knocks: list[Knock] = []
        self._server, self._bound, self._bearer = server, bound, bearer
        self._sent: list[str] = []
        self._over = threading.Event()
        self._faults: list[BaseException] = []

    @contextmanager
    def running(self, fresh: int = 2, replaying: int = 3, bearers: int = 1) -> Iterator["Load"]:
        kinds = ["fresh"] * fresh + ["replay"] * replaying + ["bearer"] * bearers
        threads = [threading.Thread(target=self._knock_on, args=(kind,)) for kind in kinds]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in threads:
                thread.join(60)
        assert not self._faults, self._faults
        assert not any(thread.is_alive() for thread in threads)

    def fresh_proof(self) -> str:
        return self._bound.headers("GET", f"{self._server.base}/protected")["DPoP"]

    def bound_request(self, proof: str) -> bytes:
        return self._server.request({"Authorization": f"DPoP {self._bound.token}", "DPoP": proof})

    def since(self, moment: float, kind: str = "") -> list[Knock]:
        """Requests that were sent after this moment and are answered."""
        found = []
        for knock in reversed(self.knocks):
            if knock.answered_at < moment - 1:  # threads may be late to say what they were answered
                break
            if knock.sent_at >= moment and kind in ("", knock.kind):
                found.append(knock)
        return found[::-1]

    def admissions(self) -> Counter[str]:
        """For each proof, how often it was let in."""
        return Counter(knock.credential for knock in self.knocks if knock.kind != "bearer" and knock.status == 200)

    def _knock_on(self, kind: str) -> None:
        try:
            take: Mapping[str, Callable[[], str]] = {
                "fresh": self.fresh_proof,
                "replay": lambda: random.choice(self._sent[-RECENT:] or [self.fresh_proof()]),
                "bearer": lambda: self._bearer.token,
            }
            connections = self._server.connect(self._server.workers)
            turn = 0
            while not self._over.is_set():
                credential, connection = take[kind](), connections[turn % len(connections)]
                octets = self.bound_request(credential)
                if kind == "bearer":
                    octets = self._server.request({"Authorization": f"Bearer {credential}"})
                elif kind == "fresh":
                    self._sent.append(credential)
                sent_at = time.monotonic()
                answer = connection.ask(octets)
                knock = Knock(
                    kind,
                    credential,
                    sent_at,
                    time.monotonic(),
                    answer.status,
                    answer.header("Retry-After"),
                    answer.header(PROCESS) or "",
                )
                self.knocks.append(knock)
                turn += 1
            for connection in connections:
                connection.close()
        except BaseException as fault:
            self._faults.append(fault)
            raise
