"""A world for agents: a local issuer in process, time that passes when somebody waits, an API that says what it got."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

import strongdm_auth.client.httpx2 as for_httpx2
from strongdm_auth.client import BearerAuth, ClientCredentials, DPoPAuth, Network
from strongdm_auth.jose import decode_segment, parse_object
from strongdm_auth.testing import Client, Clock, Issuer, Notice

NOW = 1_800_000_000.0
API = "https://api.example.com"


class Time:
    """Waiting moves the clock, and is written down."""

    def __init__(self) -> None:
        self.clock = Clock(at=NOW)
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.advance(seconds)

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def notices() -> list[Notice]:
    return []


@pytest.fixture
def issuer(time: Time, notices: list[Notice]) -> Issuer:
    return Issuer(
        realms=("default", "alpha"), algorithms=("ES256",), clock=time.clock, notify=notices.append, scopes="read write"
    )


@pytest.fixture
def network(issuer: Issuer, time: Time) -> Network:
    return network_of(issuer.transport(), time)


def network_of(transport: Any, time: Time, **changes: Any) -> Network:
    """A network whose exchanges go to this transport, and whose dice always fall low."""
    settings: dict[str, Any] = {
        "transport": transport,
        "clock": time.clock,
        "sleep": time.sleep,
        "async_sleep": time.async_sleep,
        "chance": lambda: 0.0,
    }
    return Network(**settings | changes)


@pytest.fixture
def client(issuer: Issuer) -> Client:
    return issuer.client("agent", scopes="read write openid", realm="alpha")


@pytest.fixture
def source(issuer: Issuer, client: Client, network: Network) -> ClientCredentials:
    return ClientCredentials(issuer.issuer_url("alpha"), *client.auth, scopes="read", network=network)


def parts(compact: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a JWS, unchecked."""
    header, claims, _ = compact.split(".")
    return parse_object(decode_segment(header)), parse_object(decode_segment(claims))


def claims_of(compact: str) -> dict[str, Any]:
    return parts(compact)[1]


@dataclass(frozen=True)
class Got:
    """A request as it went over the wire."""

    method: str
    url: str
    headers: httpx.Headers
    body: bytes

    @property
    def token(self) -> str | None:
        value = self.headers.get("Authorization")
        return None if value is None else value.partition(" ")[2]

    @property
    def proof(self) -> str | None:
        return self.headers.get("DPoP")

    @property
    def credentials(self) -> tuple[str | None, str | None]:
        return self.headers.get("Authorization"), self.proof


Answer = tuple[int, dict[str, str]]


@dataclass
class Api:
    """Answers what the test says, in order, and 200 after that; writes down what came."""

    answers: list[Answer | Callable[[Got], Answer]] = field(default_factory=list)
    got: list[Got] = field(default_factory=list)

    def respond(self, method: str, url: str, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> Answer:
        got = Got(method, url, httpx.Headers(list(headers)), body)
        self.got.append(got)
        answer = self.answers.pop(0) if self.answers else (200, {})
        return answer(got) if callable(answer) else answer

    def transport(self, library: Any) -> Any:
        """As a transport of httpx or httpx2, sync and async. It reads what goes out: `headers.raw` and the stream."""

        def handle(request: Any) -> Any:
            status, headers = self.respond(request.method, str(request.url), request.headers.raw, request.content)
            octets = {name: value.encode("latin-1") for name, value in headers.items()}
            return library.Response(status, headers=octets, json={"status": status})

        return library.MockTransport(handle)


@pytest.fixture
def api() -> Api:
    return Api()


@dataclass(frozen=True)
class Library:
    """One of the HTTP libraries, sync or async: what is called, and how."""

    module: ModuleType
    auths: Any
    asynchronous: bool

    def DPoPAuth(self, *args: Any, **kwargs: Any) -> Any:
        return self.auths.DPoPAuth(*args, **kwargs)

    def BearerAuth(self, *args: Any, **kwargs: Any) -> Any:
        return self.auths.BearerAuth(*args, **kwargs)

    def send(self, api: Api, auth: Any, method: str = "GET", url: str = f"{API}/things", **how: Any) -> Any:
        """The response to one request, from a client of its own."""
        made_with = {name: how.pop(name) for name in ("follow_redirects", "max_redirects") if name in how}
        transport = api.transport(self.module)
        if not self.asynchronous:
            with self.module.Client(transport=transport, auth=auth, **made_with) as client:
                return client.request(method, url, **how)

        async def call() -> Any:
            async with self.module.AsyncClient(transport=transport, auth=auth, **made_with) as client:
                return await client.request(method, url, **how)

        return asyncio.run(call())


class _ForHTTPX:
    DPoPAuth, BearerAuth = DPoPAuth, BearerAuth


@pytest.fixture(params=["httpx", "httpx async", "httpx2", "httpx2 async"])
def library(request: pytest.FixtureRequest) -> Library:
    name, _, kind = request.param.partition(" ")
    return Library(httpx if name == "httpx" else httpx2, _ForHTTPX if name == "httpx" else for_httpx2, kind == "async")


def challenge(error: str, scheme: str = "DPoP", **more: str) -> dict[str, str]:
    """A refusal's header, as the verifier writes it: both schemes in one value, the error at one of them."""
    parameters = ", ".join(f'{name}="{value}"' for name, value in {"error": error, **more}.items())
    if scheme == "DPoP":
        return {"WWW-Authenticate": f'Bearer realm="api", DPoP {parameters}, algs="ES256 EdDSA"'}
    return {"WWW-Authenticate": f'Bearer {parameters}, DPoP algs="ES256 EdDSA"'}


def protected(got: Got) -> Answer:
    """As the verifier answers: the token needs a proof for this very request."""
    proof = {} if got.proof is None else claims_of(got.proof)
    if got.token is None or (proof.get("htm"), proof.get("htu")) != (got.method, got.url.partition("?")[0]):
        return 401, challenge("invalid_dpop_proof")
    return 200, {}


def as_json(status: int, value: object, **headers: str) -> httpx.Response:
    return httpx.Response(status, headers=headers, content=json.dumps(value).encode())


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, api: Api) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api = api


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        raw = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        url = f"http://127.0.0.1:{self.server.server_port}{self.path}"
        status, headers = self.server.api.respond(self.command, url, raw, body)
        self.send_response(status)
        for name, value in {"Content-Length": "2", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST = do_PUT = _answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        return


@contextmanager
def serving(api: Api) -> Iterator[str]:
    """The API on loopback, on a free port."""
    server = _Server(api)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
