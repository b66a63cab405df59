"""The command `strongdm-auth forward-auth`: what it refuses to do, and that it serves."""

import argparse
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from strongdm_auth.forward_auth import command
from strongdm_auth.testing import Issuer
from tests.contract import BASE, World
from tests.contract_cases import bearer
from tests.doors.forward_auth_proxies import forward_auth


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Issuer(realms=("alpha", "beta", "gamma")).serve() as issuer:
        yield World(issuer)


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRONGDM_REALMS", "alpha")
    monkeypatch.setenv("STRONGDM_AUDIENCE", BASE)


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "api.example.com", "localhost.example.com"])
def test_it_listens_beyond_loopback_only_where_that_was_said(
    host: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bound: list[object] = []

    def refuse(address: object, **_: object) -> socket.socket:
        bound.append(address)
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "create_server", refuse)
    assert run("nginx", "--public-url", BASE, "--host", host) == 2
    assert "--unsafe-host" in capsys.readouterr().err
    assert bound == []
    assert run("nginx", "--public-url", BASE, "--host", host, "--unsafe-host") == 1
    assert bound == [(host, 9400)]
    assert "Permission denied" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nginx",), "public_url"),
        (("nginx", "--public-url", "ftp://x"), "public_url"),
        (("traefik", "--path-prefix", "/ask"), "path_prefix"),
        (("traefik", "--protect", "admin=admin"), "protected_routes"),
        (("traefik", "--protect", '/admin=a"b'), "scopes"),
        (("traefik", "--exempt", "health"), "exempt"),
    ],
)
def test_a_wrong_call_is_told_in_a_line(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("strongdm-auth: ")
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("arguments", [(), ("caddy",), ("nginx", "--port", "70000"), ("nginx", "--port", "x")])
def test_an_unknown_proxy_or_port_is_told_by_the_parser(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        run(*arguments)


def test_without_a_server_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert run("traefik") == 1
    assert "pip install 'strongdm-auth[demo]'" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert run("traefik", "--port", str(other.getsockname()[1])) == 1
    assert "cannot listen on 127.0.0.1" in capsys.readouterr().err


def test_every_path_needs_a_token_unless_it_is_exempt(world: World, tmp_path: Path) -> None:

    options = ("traefik", "--protect", "/admin=admin,root", "--exempt", "/health")
    threads = threading.active_count()
    with forward_auth(world, tmp_path / "log", *options) as port, httpx.Client() as client:

        def status(uri: str, *headers: tuple[str, str]) -> int:
            told = {"Method": "GET", "Proto": "https", "Host": "api.example.com", "Uri": uri}
            sent = [*((f"X-Forwarded-{name}", value) for name, value in told.items()), *headers]
            return client.get(f"http://127.0.0.1:{port}/", headers=sent).status_code

        assert (status("/health"), status("/"), status("/x"), status("/admin")) == (200, 401, 401, 401)
        assert status("/x", *bearer()(world)) == 200
        assert status("/admin", *bearer(scopes=["admin"])(world)) == 403
        assert status("/admin/x", *bearer(scopes=["admin", "root"])(world)) == 200
        assert status("/x", ("X-Forwarded-Uri", "/health")) == 400, "repeated"
        assert status("/x", ("X_Forwarded_Uri", "/health")) == 401, "another name"
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        answer = client.get(
            f"http://127.0.0.1:{port}/", headers={**upgrade, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        )
        assert answer.status_code == 400, "it knows no websockets"
    assert (tmp_path / "log").read_text().count("Traceback") == 0
    assert threading.active_count() == threads
