"""Servers that misbehave on purpose, on real sockets: what they do with a connection is a function."""

import datetime
import ipaddress
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Talk = Callable[[socket.socket, "Server"], None]


class Server:
    """Accepts connections on loopback, and lets `talk` do what it wants with each, in a thread."""

    def __init__(self, talk: Talk, context: ssl.SSLContext | None = None) -> None:
        self._talk = talk
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self._threads: list[threading.Thread] = []
        #: Set when the test is over: whoever drips or hangs stops.
        self.over = threading.Event()
        #: The request lines that came.
        self.requests: list[str] = []
        scheme = "http" if context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        while not self.over.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return  # shut down
            connection.settimeout(5)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:  # the client hangs up when it has had enough
            if self._context is None:
                self._talk(connection, self)
            else:
                with self._context.wrap_socket(connection, server_side=True) as secured:
                    self._talk(secured, self)

    @contextmanager
    def running(self) -> Iterator["Server"]:
        acceptor = threading.Thread(target=self._accept, daemon=True)
        acceptor.start()
        try:
            yield self
        finally:
            self.over.set()
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes the acceptor up
            acceptor.join(5)
            self._listener.close()
            for thread in self._threads:
                thread.join(5)


def served(talk: Talk, context: ssl.SSLContext | None = None) -> "contextmanager[Server]":  # type: ignore[valid-type]
    return Server(talk, context).running()


def read_request(connection: socket.socket, server: Server) -> str:
    """The request's target; "" when there is none."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = connection.recv(4096)
        if not piece:
            return ""
        head += piece
    line = head.split(b"\r\n", 1)[0].decode("latin-1")
    server.requests.append(line)
    return line.split(" ")[1]


def message(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Length: {len(body) if length is None else length}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def always(answer: bytes) -> Talk:
    """Answers every request with these bytes."""

    def talk(connection: socket.socket, server: Server) -> None:
        if read_request(connection, server):
            connection.sendall(answer)

    return talk


def reset(connection: socket.socket, server: Server) -> None:
    """Cuts the connection as a crashed peer does."""
    read_request(connection, server)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hang(connection: socket.socket, server: Server) -> None:
    """Takes the request and never says a word."""
    read_request(connection, server)
    server.over.wait(5)


def drip(before: bytes, drop: bytes, after: bytes = b"") -> Talk:
    """Sends one drop every few milliseconds: no single read ever times out."""

    def talk(connection: socket.socket, server: Server) -> None:
        read_request(connection, server)
        connection.sendall(before)
        end = time.monotonic() + 4
        while not server.over.is_set() and time.monotonic() < end:
            connection.sendall(drop)
            server.over.wait(0.02)
        connection.sendall(after)

    return talk


def issuer_that(jwks: dict[str, object], misbehaves: Talk, at: str) -> Talk:
    """An issuer that is honest but for the paths that end in `at`."""

    def talk(connection: socket.socket, server: Server) -> None:
        head = connection.recv(4096, socket.MSG_PEEK)
        path = head.split(b" ", 2)[1].decode("latin-1") if head.count(b" ") > 1 else ""
        if path.endswith(at):
            misbehaves(connection, server)
            return
        read_request(connection, server)
        if path.endswith("/jwks"):
            connection.sendall(message(json.dumps(jwks).encode()))
        else:
            issuer = server.url + path.removesuffix("/.well-known/openid-configuration")
            connection.sendall(message(json.dumps({"issuer": issuer, "jwks_uri": f"{issuer}/jwks"}).encode()))

    return talk


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def self_signed(folder: Path) -> ssl.SSLContext:
    """TLS with a certificate that nobody vouches for."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    both = folder / "server.pem"
    both.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context
