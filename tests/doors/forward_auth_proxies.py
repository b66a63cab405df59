"""Real proxies on loopback, configured by the very recipes of docs/forward-auth.md, before an API that believes headers."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.contract import AUDIENCE, Answer, Headers, World
from tests.parts.sockets import closed_port

ROOT = Path(__file__).parents[2]
_COMMAND = """
import argparse, sys
from strongdm_auth.forward_auth import command
parser = argparse.ArgumentParser()
command.add_arguments(parser)
sys.exit(command.run(parser.parse_args()))
"""


def recipe(language: str, changes: Mapping[str, str]) -> str:
    """The page's recipe in this language, with addresses and paths changed; each of them must be there."""
    page = (ROOT / "docs" / "forward-auth.md").read_text(encoding="utf-8")
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def program(*names: str) -> str:
    """The first of these programs that is beside Python's or on the PATH; without any, the test is skipped."""
    beside = Path(sys.executable).parent
    for name in names:
        found = shutil.which(name, path=beside) or shutil.which(name)
        if found:
            return found
    pytest.skip(f"needs a real {names[-1]}, which is not installed here")


class Upstream(ThreadingHTTPServer):
    """The API: it answers what reached it, whatever the method, and keeps it."""

    daemon_threads = True

    def __init__(self) -> None:
        self.reached: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Echo)

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers: dict[str, list[str]] = {}
        for name, value in self.headers.items():
            headers.setdefault(name.lower(), []).append(value)
        told = {"method": self.command, "target": self.path, "headers": headers, "body": body.decode()}
        self.server.reached.append(told)
        content = json.dumps(told).encode()
        status = int(headers.get("x-answer", ["200"])[0])
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_OPTIONS = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nothing: what matters is kept."""


@contextmanager
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(5)


def _stop(process: "subprocess.Popen[Any]") -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


@contextmanager
def forward_auth(world: World, log: Path, *arguments: str, **settings: str) -> Iterator[int]:
    """The command, as a process of its own; yields its port."""
    settings = {"issuer": world.issuer.url, "realms": "alpha,beta", "audience": AUDIENCE, **settings}
    environment = os.environ | {f"STRONGDM_{name.upper()}": value for name, value in settings.items()}
    command = [sys.executable, "-c", _COMMAND, *arguments, "--port", "0"]
    with log.open("wb") as errors:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=errors)
    assert process.stdout is not None
    try:
        line = process.stdout.readline().decode()
        assert line, log.read_text()
        yield int(re.findall(r":(\d+)\. ", line)[0])
    finally:
        _stop(process)
        process.stdout.close()


@contextmanager
def proxy(command: list[str], port: int, folder: Path) -> Iterator["Proxy"]:
    """A proxy, from the moment it listens."""
    log = folder / "proxy.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 30
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            time.sleep(0.02)
        yield Proxy(port, log)
    finally:
        _stop(process)


class Proxy:
    """One that listens. `ask` sends what no client library would, byte for byte."""

    def __init__(self, port: int, log: Path) -> None:
        self.port, self.log = port, log

    def wait_until(self, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not ready():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def ask(self, method: str, target: str, headers: Headers = (), body: bytes = b"") -> Answer:  # type: ignore[assignment]
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection._validate_path = lambda url: None  # type: ignore[attr-defined]
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            if not any(name.lower() == "host" for name, _ in headers):
                connection.putheader("Host", "api.example.com")
            for name, value in headers:
                connection.putheader(name, value)
            if body:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            response = connection.getresponse()
            return Answer.of(response.status, response.getheaders(), response.read())
        finally:
            connection.close()


def free_port() -> int:
    return closed_port()
