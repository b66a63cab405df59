"""`dpop_nonce=required` behind real servers of two kinds: what their workers share is a secret, and nothing else."""

import time
from collections.abc import Iterator

import pytest

from strongdm_auth.dpop import NONCE_LIFETIME, NONCE_RENEWAL, Nonces
from tests.contract import Answer

from .servers import Server
from .world import World, open_world

OLD, NEW = "the secret of last year and long enough", "the secret of this year and long enough"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("servers")) as world:
        yield world


@pytest.fixture(scope="module")
def servers(world: World) -> dict[str, Server]:
    """Those with `old` in their names know the old secret, those with `new` the new one; the first of a name signs."""
    started = {
        "gunicorn old": world.start("gunicorn", 2, dpop_nonce="required", dpop_nonce_secret=OLD),
        "uvicorn old": world.start("uvicorn", 2, dpop_nonce="required", dpop_nonce_secret=OLD),
        "gunicorn new,old": world.start("gunicorn", 2, dpop_nonce="required", dpop_nonce_secret=f"{NEW},{OLD}"),
        "uvicorn new": world.start("uvicorn", 1, dpop_nonce="required", dpop_nonce_secret=NEW),
        "gunicorn apart": world.start("gunicorn", 2, dpop_nonce="required"),
    }
    for server in started.values():
        server.wait_until_ready()
    return started


def ask(world: World, server: Server, nonce: str | None = None) -> Answer:
    """One request with a fresh proof, on a connection of its own."""
    return server.ask(world.bound.headers("GET", f"{server.base}/protected", nonce))


def challenged(answer: Answer) -> str:
    """The nonce of an answer that asks for one, which is all that it must be."""
    assert answer.status == 401
    assert answer.challenges["DPoP"]["error"] == "use_dpop_nonce"
    assert b'"use_dpop_nonce"' in answer.body
    assert answer.header("Cache-Control") == "no-store"
    nonce = answer.header("DPoP-Nonce")
    assert nonce
    return nonce


def nonce_of(world: World, server: Server) -> str:
    return challenged(ask(world, server))


@pytest.mark.parametrize(
    ("signs", "knows"),
    [
        ("gunicorn old", "uvicorn old"),
        ("uvicorn old", "gunicorn old"),
        ("gunicorn old", "gunicorn new,old"),
        ("uvicorn old", "gunicorn new,old"),
        ("gunicorn new,old", "uvicorn new"),
        ("uvicorn new", "gunicorn new,old"),
    ],
)
def test_every_worker_takes_a_nonce_of_a_secret_that_it_knows(
    signs: str, knows: str, world: World, servers: dict[str, Server]
) -> None:
    nonce, server = nonce_of(world, servers[signs]), servers[knows]
    connections = server.connect(2 * server.workers)
    for connection in connections:
        headers = world.bound.headers("GET", f"{server.base}/protected", nonce)
        assert connection.ask(server.request(headers)).status == 200
        connection.close()
    assert len({connection.process for connection in connections}) == server.workers


@pytest.mark.parametrize(
    ("signs", "asked"),
    [
        ("gunicorn new,old", "gunicorn old"),
        ("gunicorn new,old", "uvicorn old"),
        ("uvicorn new", "gunicorn old"),
        ("uvicorn old", "uvicorn new"),
        ("gunicorn apart", "uvicorn old"),
    ],
)
def test_a_foreign_nonce_is_answered_with_one_of_ones_own(
    signs: str, asked: str, world: World, servers: dict[str, Server]
) -> None:
    foreign = nonce_of(world, servers[signs])
    own = challenged(ask(world, servers[asked], foreign))
    assert own != foreign
    assert ask(world, servers[asked], own).status == 200


def test_workers_that_share_no_secret_refuse_each_others(world: World, servers: dict[str, Server]) -> None:
    """What the start-up warning is about."""
    server = servers["gunicorn apart"]
    connections = server.connect(2)

    def ask_each(nonces: list[str | None]) -> list[Answer]:
        headers = [world.bound.headers("GET", f"{server.base}/protected", nonce) for nonce in nonces]
        return [each.ask(server.request(sent)) for each, sent in zip(connections, headers, strict=True)]

    own: list[str | None] = [challenged(answer) for answer in ask_each([None, None])]
    fresh: list[str | None] = [challenged(answer) for answer in ask_each(own[::-1])]
    assert [answer.status for answer in ask_each(own) + ask_each(fresh)] == [200] * 4
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("name", ["gunicorn old", "uvicorn old", "gunicorn new,old"])
def test_an_answer_renews_a_nonce_that_is_half_way(name: str, world: World, servers: dict[str, Server]) -> None:
    server, signer = servers[name], Nonces((OLD.encode(),))
    young = ask(world, server, signer.issue(time.time() - NONCE_RENEWAL + 60))
    assert (young.status, young.header("DPoP-Nonce")) == (200, None)

    half_way = ask(world, server, signer.issue(time.time() - NONCE_RENEWAL - 1))
    renewed = half_way.header("DPoP-Nonce")
    assert half_way.status == 200
    assert half_way.header("Cache-Control") == "no-store"
    assert renewed is not None
    first = NEW if "new" in name else OLD
    assert Nonces((first.encode(),)).age(renewed, time.time()) is not None, "the first secret signs"
    assert ask(world, server, renewed).status == 200

    assert challenged(ask(world, server, signer.issue(time.time() - NONCE_LIFETIME - 2)))


def test_a_client_that_keeps_the_last_nonce_it_saw_is_refused_once(world: World, servers: dict[str, Server]) -> None:
    """Whichever server and worker it meets, of those that share a secret, rotated or not."""
    behind_one_name = [servers[name] for name in ("gunicorn old", "uvicorn old", "gunicorn new,old")]
    nonce: str | None = None
    refused = []
    for turn in range(30):
        answer = ask(world, behind_one_name[turn % 2 if turn < 15 else 2], nonce)
        nonce = answer.header("DPoP-Nonce") or nonce
        if answer.status != 200:
            refused.append(turn)
    assert refused == [0]
