"""Strangers that a server shows as a proxy of ours, or whose header was read before it was taken off."""

import socket
import struct
import threading
import time
from typing import Any

import pytest
from django.http import JsonResponse
from django.urls import path

from strongdm_auth.asgi import StrongDMAuthMiddleware
from strongdm_auth.request import ScopeRequest
from strongdm_auth.testing import Issuer
from tests.certificates.authority import Agent, Authority
from tests.certificates.doors import HEADER, OURS, seen
from tests.certificates.servers import asgi_app, in_thread, settings_of
from tests.certificates.test_peers import certificates, told
from tests.doors.asgi_calls import RUNNER, call, scope_of
from tests.doors.django_calls import Project, ask_wsgi, urls
from tests.rfc.support import mint


@pytest.mark.parametrize(
    "peer", ["::ffff:10.0.0.5%a=b", "fd00::5%x;y", "::ffff:10.0.0.5%a b", "fd00::5%a]b", 'fd00::5%"']
)
def test_a_zone_does_not_hide_that_a_header_named_the_address(agent: Agent, peer: str) -> None:
    assert not told(certificates("10.0.0.0/8", "fd00::/8"), agent, peer, [("X-Forwarded-For", f"[{peer}]:80")])


def test_nor_does_it_in_uvicorn(authority: Authority, real_issuer: Issuer, agent: Agent) -> None:
    token = mint(real_issuer, certificate=agent.certificate)
    app = asgi_app(**settings_of(real_issuer, by_header="10.0.0.0/8"))
    with in_thread(authority, app, tls=False, forwarded_allow_ips="*") as served:
        forged = ("X-Forwarded-For", "[::ffff:10.0.0.5%a=b]:1")
        assert served.ask(None, token, forged, (HEADER, agent.base64))[0] == 401


def test_a_tcp_client_that_nobody_knows_is_no_unix_socket() -> None:
    assert ScopeRequest(scope_of("GET", "/") | {"client": None}).peer is None
    for server in (None, ("/run/app.sock", None), ("/", "r")):  # as hypercorn, uvicorn, gunicorn tell of a Unix socket
        assert ScopeRequest(scope_of("GET", "/") | {"client": None, "server": server}).peer == ""


def test_a_connection_that_is_reset_at_once_is_none(authority: Authority, real_issuer: Issuer, agent: Agent) -> None:
    """uvicorn then knows no peer, and has the request all the same: one that writes something needs no answer."""
    reached: list[object] = []
    refused = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["client"])

    settings = settings_of(real_issuer, by_header="unix")
    door = StrongDMAuthMiddleware(app, on_event=lambda _: refused.set(), **settings)
    head = f"POST / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {mint(real_issuer, certificate=agent.certificate)}\r\n"
    with in_thread(authority, door, tls=False) as served:
        deadline = time.monotonic() + 20
        while not reached and not refused.wait(0.05):
            assert time.monotonic() < deadline
            with socket.create_connection(("127.0.0.1", served.port)) as client:
                client.sendall(f"{head}{HEADER}: {agent.base64}\r\nContent-Length: 0\r\n\r\n".encode())
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert reached == []


class ReadsHeaders:
    """A middleware before ours that looks at `request.headers`, as those for CORS do."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        request.headers.get("Origin")
        return self.get_response(request)


def test_django_s_headers_that_were_read_before_are_stripped(real_issuer: Issuer, agent: Agent) -> None:
    def view(request: Any) -> Any:
        return JsonResponse([request.headers[name] for name in request.headers if name == HEADER], safe=False)

    configured = {name.upper(): value for name, value in settings_of(real_issuer, by_header="10.0.0.0/8").items()}
    middleware = [f"{__name__}.ReadsHeaders", OURS]
    project = Project(urls(path("", view)), configured | {"PROTECTED_ROUTES": {"/x": {}}}, MIDDLEWARE=middleware)
    with project.running():
        asked = [(HEADER, agent.base64)]
        assert seen(ask_wsgi("GET", "/", headers=asked, REMOTE_ADDR="203.0.113.9")) == []
        assert seen(ask_wsgi("GET", "/", headers=asked, REMOTE_ADDR="10.0.0.5")) == [agent.base64]
    project.close()


def test_a_name_with_underscores_is_nobody_s(real_issuer: Issuer) -> None:
    """To a WSGI app further in, `X_Client_Cert` is `X-Client-Cert`."""
    names: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        names.extend(name for name, _ in scope["headers"] if name != b"host")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    door = StrongDMAuthMiddleware(app, exempt=["/open"], **settings_of(real_issuer, by_header="10.0.0.0/8"))
    for peer in ("203.0.113.9", "10.0.0.5"):
        call(door, scope_of("GET", "/open", headers=[("X_Client-Cert", "x"), ("x_client_cert", "x")], client=(peer, 1)))
    assert names == []
    RUNNER.run(door.verifier.aclose())
