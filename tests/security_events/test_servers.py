"""Real servers with two workers each that share a Valkey: bodies as transmitters send them, and who hears of a SET when."""

import json
import socket
from collections.abc import Iterator

import pytest

from strongdm_auth.security_events import MOST_SET_BYTES
from strongdm_auth.testing import Issuer
from tests.stores.conftest import Valkey
from tests.stores.servers import Server
from tests.stores.world import PATIENT, World, open_world

from .api import MEDIA_TYPE
from .watch import EVENTS, Watch, ending_by_push, event, push, token

WORKERS = 2


@pytest.fixture(scope="module")
def shared() -> Iterator[Valkey]:
    valkey = Valkey()
    yield valkey
    valkey.kill()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("servers")) as world:
        yield world


@pytest.fixture(scope="module")
def servers(world: World, shared: Valkey) -> dict[str, Server]:
    """Flask behind gunicorn, FastAPI behind uvicorn."""
    settings = {"replay_store": shared.url + PATIENT, "security_events": EVENTS}
    started = {kind: world.start(kind, WORKERS, **settings) for kind in ("gunicorn", "uvicorn")}
    for server in started.values():
        server.wait_until_ready()
    return started


@pytest.fixture(params=["gunicorn", "uvicorn"])
def server(request: pytest.FixtureRequest, servers: dict[str, Server]) -> Server:
    return servers[request.param]


@pytest.fixture
def issuer(world: World) -> Issuer:
    return world._issuer


def problem(answer: tuple[int, bytes]) -> tuple[int, str]:
    return answer[0], json.loads(answer[1])["err"]


def test_bodies_with_a_length_and_in_chunks(server: Server, issuer: Issuer) -> None:
    compact = event(issuer, "nobody")
    longest = compact + b" " * (MOST_SET_BYTES - len(compact))
    assert push(server, compact) == (202, b"")
    assert push(server, longest) == (202, b"")
    assert push(server, iter([compact[:100], compact[100:]])) == (202, b"")
    assert push(server, iter([longest[at : at + 5_000] for at in range(0, len(longest), 5_000)])) == (202, b"")
    assert problem(push(server, longest + b" ")) == (400, "invalid_request")
    assert problem(push(server, iter([longest, b" "]))) == (400, "invalid_request")
    assert problem(push(server, b"x" * MOST_SET_BYTES)) == (400, "invalid_request")
    assert problem(push(server, b"")) == (400, "invalid_request")


def test_a_body_without_a_length_is_none_and_keeps_nobody_waiting(server: Server, issuer: Issuer) -> None:
    """HTTP/1.1 has no such body (RFC 9112 6.3): what follows would be the next request."""
    with socket.create_connection(("127.0.0.1", server._port), 10) as connection:
        head = f"POST {EVENTS} HTTP/1.1\r\nHost: a\r\nContent-Type: {MEDIA_TYPE}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode() + event(issuer, "nobody"))
        answer = b""
        try:
            while piece := connection.recv(65_536):
                answer += piece
        except ConnectionResetError:  # what was sent beyond the request was not read
            pass
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_another_method_is_told_which(server: Server) -> None:
    answer = server.ask({}, EVENTS)
    assert answer.status == 405
    assert "POST" in (answer.header("Allow") or "")


def test_all_workers_refuse_within_two_seconds_of_the_202(server: Server, issuer: Issuer) -> None:
    """`python -m bench.revocation` measures it: a third of a second."""
    subject = f"agent of {server.base}"
    compact, other = token(issuer, subject), token(issuer, "somebody else")
    with Watch(server, rate=80).running() as watch:
        took = watch.took(compact, ending_by_push(server, event(issuer, subject)), deadline=2)
    assert took < 2
    assert server.ask({"Authorization": f"Bearer {other}"}).status == 200
