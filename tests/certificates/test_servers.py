"""Mutual TLS for real: the server tells whose certificate a request came with, and nothing else does."""

import importlib
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from werkzeug.serving import make_server

import strongdm_auth.uvicorn
from strongdm_auth.testing import Issuer
from tests.certificates.authority import SPIFFE_ID, Agent, Authority
from tests.certificates.servers import HEADER, Served, asgi_app, flask_app, gunicorn, in_thread, settings_of
from tests.rfc.support import mint


def holds_for_every_request(served: Served, issuer: Issuer) -> None:
    """What every server with mutual TLS must give."""
    authority = served.authority
    agent, other = authority.agent, authority.other
    token = mint(issuer, certificate=agent.certificate)
    for _ in range(2):
        status, told = served.ask(agent, token)
        assert (status, told["certificate"]) == (200, agent.thumbprint)
        assert served.ask(other, token)[0] == served.ask(None, token)[0] == 401
    claimed = (HEADER, agent.base64)
    assert served.ask(other, token, claimed)[0] == served.ask(None, token, claimed)[0] == 401, "a client's own word"
    pem = ("SSL-Client-Cert", agent.base64)
    assert served.ask(other, token, pem, ("X-Forwarded-Client-Cert", f"Hash={agent.fingerprint.hex()}"))[0] == 401
    assert served.ask(other, mint(issuer))[0] == 200, "bound to nothing"
    workload = authority.workload
    assert served.ask(workload, mint(issuer, certificate=workload.certificate))[0] == 200, f"as {SPIFFE_ID}"
    assert served.ask(workload, token)[0] == 401


def holds_for_a_connection(served: Served, issuer: Issuer) -> None:
    """Connections that are kept open are each their own client's, also where they take turns."""
    authority = served.authority
    agent, other = authority.agent, authority.other
    mine, theirs = (mint(issuer, certificate=each.certificate) for each in (agent, other))
    first, second = served.connect(agent), served.connect(other)
    try:
        for _ in range(3):
            assert served.ask(agent, mine, over=first)[0] == 200
            assert served.ask(other, mine, over=second)[0] == 401
            assert served.ask(other, theirs, over=second)[0] == 200
            assert served.ask(agent, theirs, over=first)[0] == 401
    finally:
        first.close()
        second.close()


# gunicorn: nothing to do


def test_gunicorn_with_sync_workers(authority: Authority, real_issuer: Issuer, tmp_path: Path) -> None:
    with gunicorn(authority, settings_of(real_issuer), tmp_path / "log", "--worker-class", "sync") as served:
        holds_for_every_request(served, real_issuer)


def test_gunicorn_with_threads(authority: Authority, real_issuer: Issuer, tmp_path: Path) -> None:
    options = ("--worker-class", "gthread", "--threads", "4", "--keep-alive", "10")
    with gunicorn(authority, settings_of(real_issuer), tmp_path / "log", *options) as served:
        holds_for_every_request(served, real_issuer)
        holds_for_a_connection(served, real_issuer)


# werkzeug's own server, for development


def test_werkzeug_s_server(authority: Authority, real_issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    import ssl

    for name, value in settings_of(real_issuer).items():
        monkeypatch.setenv(f"STRONGDM_{name.upper()}", value)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.server_certificate, authority.server_key)
    context.load_verify_locations(authority.path)
    context.verify_mode = ssl.CERT_OPTIONAL
    server = make_server("127.0.0.1", 0, flask_app(), threaded=True, ssl_context=context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        holds_for_every_request(Served(authority, server.server_port), real_issuer)
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


# uvicorn, with the two options


class H11(strongdm_auth.uvicorn._TellingOfTLS, H11Protocol):  # type: ignore[misc]
    """What `HTTPProtocol` is where httptools is not installed."""


OURS: dict[str, Any] = {"ws": "strongdm_auth.uvicorn:WebSocketProtocol"}
BY_CHOICE = {"httptools": {"http": "strongdm_auth.uvicorn:HTTPProtocol", **OURS}, "h11": {"http": H11, **OURS}}


@pytest.fixture(scope="module", params=BY_CHOICE.values(), ids=BY_CHOICE.keys())
def uvicorn(authority: Authority, real_issuer: Issuer, request: pytest.FixtureRequest) -> Iterator[Served]:
    with in_thread(authority, asgi_app(**settings_of(real_issuer)), **request.param) as served:
        yield served


def test_uvicorn(uvicorn: Served, real_issuer: Issuer) -> None:
    holds_for_every_request(uvicorn, real_issuer)


def test_connections_to_uvicorn_that_are_kept_open(uvicorn: Served, real_issuer: Issuer) -> None:
    holds_for_a_connection(uvicorn, real_issuer)


UPGRADE = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
]


def told_over_websocket(served: Served, agent: Agent | None, token: str) -> Any:
    """What the app says in its one message (RFC 6455 5.2), or the status of the refusal."""
    connection = served.connect(agent)
    try:
        connection.request("GET", "/", headers=dict(UPGRADE) | {"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        if response.status != 101:
            return response.status
        kind, length = response.fp.read(2)
        assert kind == 0x81, "a whole message of text"
        if length == 126:
            length = int.from_bytes(response.fp.read(2))
        return json.loads(response.fp.read(length))
    finally:
        connection.close()


def test_websockets(uvicorn: Served, real_issuer: Issuer, agent: Agent, other: Agent) -> None:
    token = mint(real_issuer, certificate=agent.certificate)
    assert told_over_websocket(uvicorn, agent, token) == {"certificate": agent.thumbprint, "header": []}
    assert told_over_websocket(uvicorn, other, token) == 401
    assert told_over_websocket(uvicorn, None, token) == 401
    assert told_over_websocket(uvicorn, other, mint(real_issuer)) == {"certificate": None, "header": []}


def test_uvicorn_that_is_not_told_to_tell_lets_nobody_in(
    authority: Authority, real_issuer: Issuer, agent: Agent
) -> None:
    token = mint(real_issuer, certificate=agent.certificate)
    with in_thread(authority, asgi_app(**settings_of(real_issuer))) as served:
        assert served.ask(agent, token)[0] == 401
        assert told_over_websocket(served, agent, token) == 401
    with in_thread(authority, asgi_app(**settings_of(real_issuer)), http=OURS_HTTP) as served:
        assert served.ask(agent, token)[0] == 200
        assert told_over_websocket(served, agent, token) == 401, "--ws is needed, too"


OURS_HTTP = "strongdm_auth.uvicorn:HTTPProtocol"


def test_without_tls_there_is_nothing_to_tell(authority: Authority, real_issuer: Issuer, agent: Agent) -> None:
    app = asgi_app(**settings_of(real_issuer))
    with in_thread(authority, app, tls=False, http=OURS_HTTP) as served:
        assert served.ask(agent, mint(real_issuer, certificate=agent.certificate))[0] == 401
        assert served.ask(agent, mint(real_issuer))[0] == 200


def test_they_are_uvicorn_s_own_choice_of_protocols(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = strongdm_auth.uvicorn
    assert issubclass(ours.HTTPProtocol, HttpToolsProtocol)
    auto = ("uvicorn.protocols.http.auto", "uvicorn.protocols.websockets.auto", "strongdm_auth.uvicorn")
    hidden = ("httptools", "websockets", "wsproto")
    for name in auto:
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in hidden:
        monkeypatch.setitem(sys.modules, name, None)
    without = importlib.import_module("strongdm_auth.uvicorn")
    assert issubclass(without.HTTPProtocol, H11Protocol)
    assert without.WebSocketProtocol.__mro__[1:3] == (without._TellingOfTLS, object)
