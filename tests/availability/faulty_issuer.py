"""An issuer on a real socket that breaks and heals while it runs, at the place and in the way that a test says.

What it does when it is broken is a `Talk`, as in `tests.parts.sockets`; two faults are not a matter of talking: nobody
listening, and a certificate that does not count.
"""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs

from strongdm_auth.testing import SigningKey
from tests.parts.sockets import Server, Talk, always, hang, message, read_request, reset

DISCOVERY = "/.well-known/openid-configuration"
KEYS = "/jwks"
INTROSPECTION = "/introspect"
#: Where a redirect leads: to the same thing, honestly told.
MOVED = "/moved"


class _Heard:
    """A connection whose request has been read, for a `Talk` that wants to read it itself."""

    def __init__(self, connection: Any, head: bytes) -> None:
        self._connection, self._head = connection, head

    def recv(self, size: int) -> bytes:
        """What was read, once; then what comes."""
        head, self._head = self._head, b""
        return head or bytes(self._connection.recv(size))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class FaultyIssuer(Server):
    """Honest about the realm alpha and one key, but where it is broken."""

    def __init__(self, key: SigningKey, context: ssl.SSLContext | None = None) -> None:
        super().__init__(self._answer, context)
        self._honest_context = context
        self._port: int = self._listener.getsockname()[1]
        self._key = key
        self._broken: dict[str, Talk] = {}
        #: Connections so far, those without a request among them.
        self.connections = 0
        #: Tokens that were asked about, and those that it calls inactive.
        self.asked_about: list[str] = []
        self.revoked: set[str] = set()

    def break_down(self, talk: Talk, at: str) -> None:
        """From now on, do this with requests for paths that end in `at`."""
        self._broken[at] = talk

    def present(self, context: ssl.SSLContext) -> None:
        """Show this certificate from now on."""
        self._context = context

    def stop_listening(self) -> None:
        """Refuse connections, and keep the port from others."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the acceptor up
        self._listener.close()
        self._listener = self._on_port(listening=False)

    def heal(self) -> None:
        """Be honest again, from the next connection on."""
        self._broken.clear()
        self._context = self._honest_context
        if not self._is_listening():
            self._listener.close()
            self._listener = self._on_port(listening=True)
            threading.Thread(target=self._accept, daemon=True).start()

    def honest(self, path: str) -> bytes:
        """What an issuer without a fault says to a GET."""
        path = path.removeprefix(MOVED)
        if path.endswith(KEYS):
            return json.dumps({"keys": [self._key.public_jwk()]}).encode()
        issuer = self.url + path.removesuffix(DISCOVERY)
        document = {
            "issuer": issuer,
            "jwks_uri": f"{issuer}{KEYS}",
            "introspection_endpoint": f"{self.url}{INTROSPECTION}",
        }
        return json.dumps(document).encode()

    def _serve(self, connection: socket.socket) -> None:
        self.connections += 1
        super()._serve(connection)

    def _answer(self, connection: Any, server: Server) -> None:
        head, body = _read_whole(connection)
        if not head:
            return
        path = head.split(b" ", 2)[1].decode("latin-1")
        for at, talk in self._broken.items():
            if path.endswith(at) and not path.startswith(MOVED):
                talk(_Heard(connection, head), server)
                return
        read_request(_Heard(connection, head), server)  # type: ignore[arg-type]
        connection.sendall(message(self._inactive_or_not(body) if path.endswith(INTROSPECTION) else self.honest(path)))

    def _inactive_or_not(self, body: bytes) -> bytes:
        token = parse_qs(body.decode("ascii"))["token"][0]
        self.asked_about.append(token)
        return json.dumps(
            {"active": token not in self.revoked, "sub": "agent", "iss": f"{self.url}/realms/alpha"}
        ).encode()

    def _is_listening(self) -> bool:
        return bool(self._listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))

    def _on_port(self, *, listening: bool) -> socket.socket:
        found = socket.socket()
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(("127.0.0.1", self._port))
        if listening:
            found.listen()
            found.settimeout(0.1)
        return found


def _read_whole(connection: Any) -> tuple[bytes, bytes]:
    """One request's head and body: a body that stays unread becomes a reset when the connection is closed."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(4096)
        if not piece:
            return b"", b""
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
    while len(body) < length and (piece := connection.recv(4096)):
        body += piece
    return head + b"\r\n\r\n", body


# What goes wrong. Each is made from what the honest answer would be, so that only the fault stands between it and a 200.

Fault = Callable[[FaultyIssuer], Talk]


def _about(tell: Callable[[FaultyIssuer, str], bytes]) -> Fault:
    """A fault that sends these bytes, made from the path that was asked for."""

    def fault(issuer: FaultyIssuer) -> Talk:
        def talk(connection: Any, server: Server) -> None:
            connection.sendall(tell(issuer, read_request(connection, server)))

        return talk

    return fault


def _drip(issuer: FaultyIssuer) -> Talk:
    """The honest answer, a byte every few milliseconds: no single read ever times out, and at the end all of it is there."""

    def talk(connection: Any, server: Server) -> None:
        octets = message(issuer.honest(read_request(connection, server)))
        pause = 1.5 / len(octets)
        for octet in octets:
            connection.sendall(bytes([octet]))
            if server.over.wait(pause):
                return

    return talk


FAULTS: dict[str, Fault] = {
    "reset": lambda _: reset,
    "hang": lambda _: hang,
    "drip": _drip,
    "500": _about(lambda issuer, path: message(issuer.honest(path), "500 Internal Server Error")),
    "404": _about(lambda issuer, path: message(issuer.honest(path), "404 Not Found")),
    "html": lambda _: always(message(b"<html>Sign in</html>", "200 OK", "Content-Type: text/html")),
    "truncated": _about(lambda issuer, path: message(issuer.honest(path)[:-1], length=len(issuer.honest(path)))),
    "huge": _about(lambda issuer, path: message(issuer.honest(path) + b" " * 3_000_000)),
    "redirect": _about(lambda issuer, path: message(b"", "302 Found", f"Location: {issuer.url}{MOVED}{path}")),
    "wrong issuer": _about(lambda issuer, path: message(issuer.honest(path.replace("alpha", "beta")))),
    "no keys": lambda _: always(message(b'{"keys": []}')),
    "inactive, it says, with a 500": lambda _: always(message(b'{"active": false}', "500 Internal Server Error")),
    "active, it says, with a 500": lambda _: always(message(b'{"active": true}', "500 Internal Server Error")),
}


def wait_until(done: Callable[[], bool], seconds: float = 10.0) -> None:
    """Other threads have something to do: give them the time."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not come to that in time"
        time.sleep(0.005)
