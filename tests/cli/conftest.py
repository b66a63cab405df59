"""The command as a person calls it: arguments and standard input in; exit status, output and errors out."""

import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from strongdm_auth.cli import main
from strongdm_auth.testing import Issuer, Notice

API = "https://api.example.com"
URL = f"{API}/things"


@dataclass(frozen=True)
class Outcome:
    """What one command came to."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def all(self) -> str:
        return self.out + self.err


class Shell:
    """Runs commands in process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *argv: str, stdin: str | bytes = "") -> Outcome:
        octets = stdin.encode("utf-8", "surrogateescape") if isinstance(stdin, str) else stdin
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(octets)))
        self._capsys.readouterr()
        try:
            status = main(list(argv))
        except SystemExit as stopped:  # argparse: a wrong call, or --help
            status = int(str(stopped.code or 0))
        told = self._capsys.readouterr()
        return Outcome(status, told.out, told.err)


@pytest.fixture(scope="session")
def tls() -> Any:
    return httpx.create_ssl_context()


@pytest.fixture(autouse=True)
def _one_set_of_certificates(tls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """To read the system's certificates takes longer than most commands, and each of them would do it."""
    for place in ("httpx", "httpx._transports.default"):
        monkeypatch.setattr(f"{place}.create_ssl_context", lambda *_args, **_kwargs: tls)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with nothing in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="session")
def notices() -> list[Notice]:
    """What would have been mailed."""
    return []


@pytest.fixture(scope="session")
def shared_issuer(notices: list[Notice]) -> Iterator[Issuer]:
    """On a real socket, with real time; one for all."""
    with Issuer(
        realms=("default", "alpha"), algorithms=("ES256",), scopes="openid email read admin", notify=notices.append
    ).serve() as issuer:
        yield issuer


@pytest.fixture
def issuer(shared_issuer: Issuer) -> Iterator[Issuer]:
    yield shared_issuer
    shared_issuer.heal()
