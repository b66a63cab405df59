"""One world for the tests with several processes: an issuer on a socket, an agent with a bound token and one without."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from strongdm_auth.testing import DPoPKey, Issuer
from strongdm_auth.testing.keys import Agent

from .servers import WORKERS, Server, serving

AUDIENCE = "https://api.example.com"
#: For the store's URL: a machine that is short of breath for a second is no outage here. Tests of timeouts are elsewhere.
PATIENT = "?socket_timeout=15&timeout=15"


class World:
    """Starts servers that let in realm alpha; all are stopped when `open_world` ends."""

    def __init__(self, issuer: Issuer, folder: Path, running: ExitStack) -> None:
        self._issuer, self._folder, self._running = issuer, folder, running
        key = DPoPKey.generate()
        made: dict[str, Any] = {"realm": "alpha", "audience": AUDIENCE}
        self.bound = Agent(issuer.token("cli_agent", key=key, **made), key)
        self.bearer = Agent(issuer.token("cli_agent", **made))
        self._servers: list[Server] = []

    def start(self, kind: str, workers: int = WORKERS, **settings: Any) -> Server:
        """A server that is not ready yet: several start faster together."""
        log = self._folder / f"{kind}-{len(self._servers)}.log"
        settings = {"issuer": self._issuer.url, "realms": "alpha", "audience": AUDIENCE, **settings}
        self._servers.append(self._running.enter_context(serving(kind, log, settings, workers)))
        return self._servers[-1]

    def serve(self, kind: str, workers: int = WORKERS, **settings: Any) -> Server:
        """A server all workers of which have answered."""
        server = self.start(kind, workers, **settings)
        server.wait_until_ready()
        return server

    def tell_all_to_stop(self) -> None:
        """They stop together, and are then waited for one by one."""
        for server in self._servers:
            server.terminate()


@contextmanager
def open_world(folder: Path) -> Iterator[World]:
    """Logs of the servers go to `folder`."""
    with Issuer(realms=("alpha",)).serve() as issuer, ExitStack() as running:
        world = World(issuer, folder, running)
        try:
            yield world
        finally:
            world.tell_all_to_stop()
