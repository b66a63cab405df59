"""Every door: a token with its certificate in the header, and a header of a stranger's, which no app must ever see."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from strongdm_auth.testing import Issuer
from tests.certificates.authority import Agent
from tests.certificates.doors import DOORS, HEADER, Ask, bare, seen, through_asgi
from tests.conftest import AUDIENCE
from tests.contract import World
from tests.doors.asgi_calls import RUNNER, call, scope_of
from tests.doors.forward_auth_gates import Gate
from tests.rfc.support import mint

PROXY, STRANGER = "10.0.0.5", "203.0.113.9"
BY_HEADER = {"client_certificate": f"header:{HEADER}", "trusted_proxies": "10.0.0.0/8"}
Door = Callable[[dict[str, Any]], AbstractContextManager[Ask]]


@pytest.fixture(scope="module", params=DOORS.values(), ids=DOORS.keys())
def ask(request: pytest.FixtureRequest, real_issuer: Issuer) -> Iterator[Ask]:
    door: Door = request.param
    with door({"issuer": real_issuer.url, "realms": ["alpha"], "audience": AUDIENCE} | BY_HEADER) as asking:
        yield asking


def test_a_bound_token_gets_in_by_the_proxy_s_word_alone(
    ask: Ask, real_issuer: Issuer, agent: Agent, other: Agent
) -> None:
    bearer = ("Authorization", f"Bearer {mint(real_issuer, certificate=agent.certificate)}")
    for _ in range(2):
        assert seen(ask("/", [bearer, (HEADER, agent.base64)], PROXY)) == [agent.base64]
        assert ask("/", [bearer, (HEADER, other.base64)], PROXY).status == 401
        assert ask("/", [bearer, (HEADER, agent.base64)], STRANGER).status == 401
        assert ask("/", [bearer, (HEADER, agent.base64), ("X-Forwarded-For", PROXY)], PROXY).status == 401
        denied = ask("/", [bearer], PROXY)
        assert (denied.status, denied.challenges["Bearer"]["error"]) == (401, "invalid_token")


@pytest.mark.parametrize("spelled", [HEADER, HEADER.lower(), HEADER.upper()])
def test_a_stranger_s_header_does_not_reach_the_app(ask: Ask, real_issuer: Issuer, agent: Agent, spelled: str) -> None:
    bearer, header = ("Authorization", f"Bearer {mint(real_issuer)}"), (spelled, agent.base64)
    for path, headers in (("/open", []), ("/", [bearer])):
        for peer in (STRANGER, "", "fd00::1"):
            assert seen(ask(path, [*headers, header], peer)) == [], (path, peer)
        assert seen(ask(path, [*headers, header, ("X-Forwarded-For", PROXY)], PROXY)) == [], path
        assert seen(ask(path, [*headers, header], PROXY)) == [agent.base64], path
        assert seen(ask(path, [*headers, header, ("X-Forwarded-For", STRANGER)], PROXY)) == [agent.base64], path


def test_flask_strips_it_where_no_route_is_found(real_issuer: Issuer, agent: Agent) -> None:
    settings = {"issuer": real_issuer.url, "realms": ["alpha"], "audience": AUDIENCE} | BY_HEADER
    with DOORS["flask"](settings) as ask:
        assert seen(ask("/nowhere", [(HEADER, agent.base64)], STRANGER)) == []
        assert seen(ask("/nowhere", [(HEADER, agent.base64)], PROXY)) == [agent.base64]


@pytest.mark.parametrize("door", ["asgi", "wsgi", "flask"])
def test_a_header_that_the_settings_do_not_name_is_the_app_s_own(real_issuer: Issuer, agent: Agent, door: str) -> None:
    settings = {"issuer": real_issuer.url, "realms": ["alpha"], "audience": AUDIENCE}
    with DOORS[door](settings) as ask:
        assert seen(ask("/open", [(HEADER, agent.base64)], STRANGER)) == [agent.base64]


# A websocket's handshake


def test_a_websocket_s_handshake_is_no_different(real_issuer: Issuer, agent: Agent, other: Agent) -> None:
    from strongdm_auth.asgi import StrongDMAuthMiddleware

    headers_seen: list[list[str]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers_seen.append([value.decode() for name, value in scope["headers"] if name == b"x-client-cert"])
        await send({"type": "websocket.accept"})

    issuer = {"issuer": real_issuer.url, "realms": ["alpha"], "audience": AUDIENCE}
    door = StrongDMAuthMiddleware(app, exempt=["/open"], **issuer, **BY_HEADER)  # type: ignore[arg-type]
    bearer = ("Authorization", f"Bearer {mint(real_issuer, certificate=agent.certificate)}")

    def connect(path: str, certificate: str, peer: str) -> str:
        pairs = [bearer, (HEADER, certificate)]
        scope = scope_of("GET", path, headers=pairs, kind="websocket", client=(peer, 40_000))
        return str(call(door, scope)[0]["type"])

    assert connect("/", agent.base64, PROXY) == "websocket.accept"
    assert connect("/", other.base64, PROXY) == connect("/", agent.base64, STRANGER) == "websocket.close"
    assert connect("/open", agent.base64, STRANGER) == "websocket.accept"
    assert headers_seen == [[agent.base64], []]
    RUNNER.run(door.verifier.aclose())


# The server's own word, by ASGI's TLS extension


def test_the_tls_extension_of_asgi(real_issuer: Issuer, agent: Agent, other: Agent) -> None:
    from strongdm_auth.asgi import StrongDMAuthMiddleware

    door = StrongDMAuthMiddleware(bare, issuer=real_issuer.url, realms=["alpha"], audience=AUDIENCE)
    scope = scope_of(
        "GET", "/", headers=[("Authorization", f"Bearer {mint(real_issuer, certificate=agent.certificate)}")]
    )

    def status(extensions: object) -> int:
        return int(call(door, scope | {"extensions": extensions})[0]["status"])

    assert status({"tls": {"client_cert_chain": [agent.pem], "client_cert_error": None}}) == 200
    assert status({"tls": {"client_cert_chain": (agent.pem, other.pem)}}) == 200
    for tls in (
        {"client_cert_chain": [other.pem, agent.pem]},
        {"client_cert_chain": [agent.pem], "client_cert_error": "certificate has expired"},
        {"client_cert_chain": []},
        {"client_cert_chain": None},
        {"client_cert_chain": [None]},
        {"client_cert_chain": [agent.certificate]},
        {"client_cert_chain": [agent.pem + other.pem]},
        {"client_cert_chain": ["x"]},
        {},
        None,
    ):
        assert status({"tls": tls}) == 401, tls
    assert status({}) == status(None) == 401
    assert through_asgi(door)("/", [(HEADER, agent.base64)], PROXY).status == 401
    RUNNER.run(door.verifier.aclose())


# The server's own word, by WSGI


def test_what_wsgi_servers_tell(real_issuer: Issuer, agent: Agent, other: Agent) -> None:
    from werkzeug.test import Client

    from strongdm_auth.wsgi import StrongDMAuthMiddleware

    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return []

    door = StrongDMAuthMiddleware(app, issuer=real_issuer.url, realms=["alpha"], audience=AUDIENCE)
    headers = {"Authorization": f"Bearer {mint(real_issuer, certificate=agent.certificate)}"}

    def status(**environ: Any) -> int:
        return Client(door).get("/", headers=headers, environ_overrides=environ).status_code

    assert status(SSL_CLIENT_CERT=agent.pem) == 200
    assert status(SSL_CLIENT_CERT=agent.pem, SSL_CLIENT_VERIFY="SUCCESS") == 200
    assert status(SSL_CLIENT_CERT=agent.pem, SSL_CLIENT_VERIFY="GENEROUS") == 200, (
        "its key was proven, and that is enough"
    )
    assert status(SSL_CLIENT_CERT=agent.pem, SSL_CLIENT_VERIFY="NONE") == 401
    assert status(SSL_CLIENT_CERT=agent.pem, SSL_CLIENT_VERIFY="FAILED:certificate has expired") == 401
    for text in (other.pem, agent.pem + other.pem, "", "x", None):
        assert status(SSL_CLIENT_CERT=text) == 401, text
    assert status(HTTP_SSL_CLIENT_CERT=agent.pem) == 401, "a client's own header"
    assert status(**{"gunicorn.socket": object()}) == status() == 401


# forward-auth: the proxy that asks is the one that ended TLS


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_forward_auth_reads_the_asking_proxy_s_header(
    real_issuer: Issuer, agent: Agent, other: Agent, kind: str
) -> None:
    world = World(real_issuer)
    bearer = ("Authorization", f"Bearer {mint(real_issuer, certificate=agent.certificate)}")

    def gate(**settings: Any) -> Gate:
        made = Gate("nginx", kind, world, **settings)
        if kind == "wsgi":
            app: Any = made.app
            made.app = lambda environ, start: app(environ | {"REMOTE_ADDR": "127.0.0.1"}, start)  # type: ignore[assignment]
        return made

    def statuses(proxies: str) -> list[int]:
        asked = gate(client_certificate=f"header:{HEADER}", trusted_proxies=proxies)
        return [
            asked.send("GET", "/", "", [bearer, *more]).status
            for more in ([(HEADER, agent.base64)], [(HEADER, other.base64)], [], [(HEADER, agent.base64)] * 2)
        ]

    assert statuses("127.0.0.1") == [200, 401, 401, 401]
    assert statuses("10.0.0.0/8") == [401] * 4
    assert gate().send("GET", "/", "", [bearer, (HEADER, agent.base64)]).status == 401
