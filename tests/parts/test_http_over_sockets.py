"""The issuer over real sockets, at its worst: every call ends in time, nobody gets in, nobody gets a 500."""

import asyncio
import gc
import gzip
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from strongdm_auth import AsyncVerifier, Verifier
from strongdm_auth.testing import Issuer, SigningKey
from tests.conftest import AUDIENCE

from .sockets import (
    Server,
    Talk,
    always,
    closed_port,
    drip,
    hang,
    issuer_that,
    message,
    read_request,
    reset,
    self_signed,
    served,
)
from .world import async_status_of, settle, status_of

TIMEOUT = 0.2
#: What a call may take beyond its timeout, on a busy machine.
SLACK = 0.5
HUGE = b'{"keys": []' + b" " * 3_000_000 + b"}"
BOMB = gzip.compress(b" " * 100_000_000)
CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

Ask = Callable[..., tuple[list[int], float]]

MISBEHAVIOURS: dict[str, Talk] = {
    "reset": reset,
    "closes at once": lambda connection, server: None,
    "closes after the request": lambda connection, server: _read_only(connection, server),
    "hang before headers": hang,
    "drip of headers": drip(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
    "drip of one header": drip(b"HTTP/1.1 200 OK\r\nX-A: ", b"b"),
    "drip of body": drip(message(b"", length=100_000), b" "),
    "drip of chunks": drip(CHUNKED.encode(), b"1\r\n \r\n"),
    "hang in the body": lambda connection, server: _half_a_body(connection, server),
    "500": always(message(b"", "500 Internal Server Error")),
    "429": always(message(b"", "429 Too Many Requests", "Retry-After: 3600")),
    "html": always(message(b"<html></html>", "200 OK", "Content-Type: text/html")),
    "truncated": always(message(b'{"issuer": "htt', length=500)),
    "truncated json": always(message(b'{"issuer": "htt')),
    "huge": always(message(HUGE)),
    "huge, chunked": always(CHUNKED.encode() + b"%x\r\n" % len(HUGE) + HUGE + b"\r\n0\r\n\r\n"),
    "endless": drip(CHUNKED.encode(), b"10000\r\n" + b" " * 65_536 + b"\r\n"),
    "huge headers": always(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 1_000_000 + b"\r\n\r\n"),
    "bomb": always(message(BOMB, "200 OK", "Content-Encoding: gzip")),
    "not http": always(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "a status of letters": always(b"HTTP/1.1 abc OK\r\n\r\n"),
    "informational for ever": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "empty": always(message(b"")),
    "204": always(b"HTTP/1.1 204 No Content\r\n\r\n"),
}


def _read_only(connection: Any, server: Server) -> None:
    read_request(connection, server)


def _half_a_body(connection: Any, server: Server) -> None:
    read_request(connection, server)
    connection.sendall(message(b'{"keys"', length=100))
    server.over.wait(5)


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Sends tokens to a fresh verifier: what came of each, and how long the slowest took."""

    def settings_of(url: str, settings: dict[str, Any]) -> dict[str, Any]:
        return {"issuer": url, "realms": ["alpha"], "audience": AUDIENCE, "http_timeout": TIMEOUT} | settings

    def in_thread(url: str, *tokens: str, **settings: Any) -> tuple[list[int], float]:
        verifier = Verifier(**settings_of(url, settings))
        statuses, slowest = [], 0.0
        for token in tokens:
            begun = time.monotonic()
            statuses.append(status_of(verifier, token))
            slowest = max(slowest, time.monotonic() - begun)
        verifier.close()
        return statuses, slowest

    async def in_loop(url: str, *tokens: str, **settings: Any) -> tuple[list[int], float]:
        verifier = AsyncVerifier(**settings_of(url, settings))
        statuses, slowest = [], 0.0
        for token in tokens:
            begun = time.monotonic()
            statuses.append(await async_status_of(verifier, token))
            slowest = max(slowest, time.monotonic() - begun)
        await verifier.aclose()
        await asyncio.sleep(0.01)  # asyncio closes a connection whose TLS handshake was cut off a turn later
        return statuses, slowest

    if request.param == "sync":
        return in_thread
    return lambda url, *tokens, **settings: asyncio.run(in_loop(url, *tokens, **settings))


@pytest.fixture(autouse=True)
def _no_thread_is_left(request: pytest.FixtureRequest) -> Any:
    yield
    settle()
    if request.node.get_closest_marker("filterwarnings"):
        gc.collect()  # what this test must not be blamed for, the next one must not either


@pytest.fixture(autouse=True, scope="module")
def _no_socket_is_left() -> Any:
    yield
    gc.collect()  # a socket that nobody closed is a warning, and warnings are errors


def _token(key: SigningKey, issuer: str, **claims: object) -> str:
    now = int(time.time())
    honest = {"iss": f"{issuer}/realms/alpha", "sub": "agent", "aud": AUDIENCE, "iat": now, "exp": now + 600}
    return key.sign({}, {**honest, **claims})


def _jwks(key: SigningKey) -> dict[str, object]:
    return {"keys": [key.public_jwk()]}


def test_an_honest_issuer_is_asked_twice_and_believed(ask: Ask, key: SigningKey) -> None:
    with served(issuer_that(_jwks(key), hang, at="/nowhere")) as server:
        assert ask(server.url, _token(key, server.url), _token(key, server.url, jti="2"))[0] == [200, 200]
        assert [line.split(" ")[1] for line in server.requests] == [
            "/realms/alpha/.well-known/openid-configuration",
            "/realms/alpha/jwks",
        ]


@pytest.mark.parametrize("misbehaves", MISBEHAVIOURS.values(), ids=MISBEHAVIOURS.keys())
@pytest.mark.parametrize("at", ["/openid-configuration", "/jwks"])
def test_an_issuer_that_misbehaves_is_503_in_time(ask: Ask, key: SigningKey, misbehaves: Talk, at: str) -> None:
    with served(issuer_that(_jwks(key), misbehaves, at)) as server:
        statuses, slowest = ask(server.url, _token(key, server.url), _token(key, server.url, jti="2"))
    assert statuses == [503, 503]
    assert slowest < TIMEOUT + SLACK


def test_an_issuer_that_is_not_there_is_503(ask: Ask, key: SigningKey) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    statuses, slowest = ask(url, _token(key, url))
    assert statuses == [503]
    assert slowest < TIMEOUT + SLACK


def test_an_issuer_that_has_nothing_is_503(ask: Ask, key: SigningKey) -> None:
    with served(always(message(b"", "404 Not Found"))) as server:
        assert ask(server.url, _token(key, server.url))[0] == [503]
        assert len(server.requests) == 2


def test_a_name_that_cannot_be_found_is_503(ask: Ask, key: SigningKey) -> None:
    url = "https://id.strongdm.invalid"
    statuses, slowest = ask(url, _token(key, url))
    assert statuses == [503]
    assert slowest < TIMEOUT + SLACK


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize("at", ["/openid-configuration", "/jwks"])
def test_redirects_are_not_followed(ask: Ask, key: SigningKey, status: str, at: str) -> None:
    with served(always(message(json.dumps(_jwks(key)).encode()))) as target:
        redirect = always(message(b"", status, f"Location: {target.url}/jwks"))
        with served(issuer_that(_jwks(key), redirect, at)) as server:
            assert ask(server.url, _token(key, server.url))[0] == [503]
        assert target.requests == []


def test_a_certificate_that_nobody_vouches_for_is_503(ask: Ask, key: SigningKey, tmp_path: Path) -> None:
    with served(issuer_that(_jwks(key), hang, at="/nowhere"), self_signed(tmp_path)) as server:
        statuses, slowest = ask(server.url, _token(key, server.url))
        assert server.requests == []
    assert statuses == [503]
    assert slowest < TIMEOUT + SLACK


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_tls_handshake_that_hangs_is_503_in_time(ask: Ask, key: SigningKey, caplog: pytest.LogCaptureFixture) -> None:
    def mute(connection: Any, server: Server) -> None:
        server.over.wait(5)

    with served(mute) as server:
        url = server.url.replace("http:", "https:")
        statuses, slowest = ask(url, _token(key, url))
    assert statuses == [503]
    assert slowest < TIMEOUT + SLACK
    # httpcore leaves the socket of a handshake that was cancelled to the garbage collector; let it go while that is fine.
    caplog.clear()
    gc.collect()


def test_nothing_of_the_request_goes_to_the_issuer(ask: Ask, key: SigningKey) -> None:
    heads: list[bytes] = []

    def listen(connection: Any, server: Server) -> None:
        heads.append(connection.recv(65_536))
        connection.sendall(message(b"", "500 No"))

    with served(listen) as server:
        token = _token(key, server.url)
        ask(server.url, token)
    assert len(heads) == 1
    assert token.encode() not in heads[0]
    assert b"authorization" not in heads[0].lower()
    assert b"cookie" not in heads[0].lower()


def test_one_realm_that_hangs_does_not_cut_off_the_others(key: SigningKey) -> None:
    """Alpha's keys hang; beta's come slowly, but in time, and are on their way when alpha's time is up."""
    alpha_is_asked = threading.Event()

    def slow(connection: Any, server: Server) -> None:
        read_request(connection, server)
        server.over.wait(0.12)
        connection.sendall(message(json.dumps(_jwks(key)).encode()))

    def talk(connection: Any, server: Server) -> None:
        head = connection.recv(4096, 2)  # MSG_PEEK
        if b"/alpha/jwks" in head:
            alpha_is_asked.set()
        issuer_that(_jwks(key), hang if b"/alpha/jwks" in head else slow, "/jwks")(connection, server)

    with served(talk) as server:
        verifier = Verifier(issuer=server.url, realms=["alpha", "beta"], audience=AUDIENCE, http_timeout=TIMEOUT)
        alpha = threading.Thread(target=status_of, args=(verifier, _token(key, server.url)))
        alpha.start()
        assert alpha_is_asked.wait(5)
        time.sleep(0.1)
        assert status_of(verifier, _token(key, server.url, iss=f"{server.url}/realms/beta")) == 200
        alpha.join(5)
        verifier.close()


def test_a_connection_that_the_issuer_has_closed_is_opened_again(key: SigningKey, other_key: SigningKey) -> None:
    keys = [key]

    def talk(connection: Any, server: Server) -> None:
        jwks = {"keys": [each.public_jwk() for each in keys]}
        issuer_that(jwks, hang, at="/nowhere")(connection, server)

    with served(talk) as server:  # closes after each answer, whatever the client would like
        verifier = Verifier(issuer=server.url, realms=["alpha"], audience=AUDIENCE)
        assert status_of(verifier, _token(key, server.url)) == 200
        keys.append(other_key)
        assert status_of(verifier, _token(other_key, server.url)) == 200
        verifier.close()


def test_a_closed_verifier_opens_a_new_connection(served_issuer: Issuer) -> None:
    verifier = Verifier(issuer=served_issuer.url, realms=["alpha"], audience=AUDIENCE, jwks_cooldown=0)
    for _ in range(2):
        served_issuer.rotate("alpha")
        token = served_issuer.token(realm="alpha", audience=AUDIENCE, alg="EdDSA")
        assert status_of(verifier, token) == 200
        verifier.close()
        verifier.close()


def test_event_loops_that_end_without_a_word_leave_no_warning(served_issuer: Issuer) -> None:
    """Warnings are errors here, those about sockets that nobody closed among them."""
    verifier = AsyncVerifier(issuer=served_issuer.url, realms=["alpha"], audience=AUDIENCE, jwks_cooldown=0)
    for _ in range(3):
        served_issuer.rotate("alpha")
        token = served_issuer.token(realm="alpha", audience=AUDIENCE, alg="EdDSA")
        assert asyncio.run(async_status_of(verifier, token)) == 200
        gc.collect()
