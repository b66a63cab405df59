"""The local issuer behind a real socket: HTTP/1.1 with keep-alive, one daemon thread per connection,
standard library only. Stopping ends stalls early, closes every connection and waits for the threads;
nothing is left behind. It is built for loopback, not for strangers."""

from __future__ import annotations

import socket
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Protocol

from strongdm_auth.testing.messages import HeaderSource, Reply

_MAX_BODY_BYTES = 64 * 1024  # several times the largest honest request
_IDLE_SECONDS = 60.0
_POLL_SECONDS = 0.02  # how long stopping waits for the accept loop to look up
_JOIN_SECONDS = 5.0


class Exchange(Protocol):
    """What turns a request into a reply."""

    def __call__(self, method: str, target: str, headers: HeaderSource, body: bytes, /) -> Reply: ...


class IssuerServer(socketserver.ThreadingMixIn, HTTPServer):
    """A threading HTTP server that knows its connections and can end them."""

    daemon_threads = True
    block_on_close = False  # `stop` waits itself, and not for ever
    request_queue_size = 128

    def __init__(self, host: str, port: int, exchange: Exchange) -> None:
        self.exchange = exchange
        self.stopping = threading.Event()
        self._connections: list[tuple[socket.socket, threading.Thread]] = []  # only the accept loop adds
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    @property
    def origin(self) -> str:
        host, port = self.server_address[0], self.server_address[1]
        name = host if isinstance(host, str) else bytes(host).decode()
        return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"

    def server_bind(self) -> None:
        # Not HTTPServer's own: it looks the host's name up, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        assert isinstance(request, socket.socket)  # a stream server's requests are sockets
        thread = threading.Thread(
            target=self.process_request_thread,
            args=(request, client_address),
            name="local-issuer",
            daemon=True,
        )
        thread.start()
        alive = [(connection, worker) for connection, worker in self._connections if worker.is_alive()]
        self._connections = [*alive, (request, thread)]

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        if isinstance(sys.exception(), ConnectionError):
            return  # the client hung up, which is its right
        super().handle_error(request, client_address)

    def stop(self) -> None:
        """Answer what is under way, close everything, and return when all of it is over."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        for connection, _ in self._connections:
            _end(connection, socket.SHUT_RD)  # an idle connection sees its end, a reply can still leave
        for connection, thread in self._connections:
            thread.join(_JOIN_SECONDS)
            if thread.is_alive():
                _end(connection, socket.SHUT_RDWR)
                thread.join(_JOIN_SECONDS)


@contextmanager
def running(server: IssuerServer) -> Iterator[None]:
    """Serve from a daemon thread for as long as the block lasts."""
    thread = threading.Thread(
        target=server.serve_forever, args=(_POLL_SECONDS,), name="local-issuer-accept", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        server.stop()
        thread.join(_JOIN_SECONDS)


def _end(connection: socket.socket, how: int) -> None:
    with suppress(OSError):  # already closed
        connection.shutdown(how)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "local-issuer"
    sys_version = ""
    timeout = _IDLE_SECONDS
    wbufsize = -1  # head and body leave together ...
    disable_nagle_algorithm = True  # ... and at once

    def _answer(self) -> None:
        server = self._issuer_server
        body = self._read_body()
        if body is None:
            return
        reply = server.exchange(self.command, self.path, self.headers.items(), body)
        if reply.delay > 0:
            server.stopping.wait(reply.delay)
        self._write(reply)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815

    @property
    def _issuer_server(self) -> IssuerServer:
        assert isinstance(self.server, IssuerServer)
        return self.server

    def _read_body(self) -> bytes | None:
        """The body, or None after a request whose end cannot be known was turned away."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers:
            self._turn_away(411)
            return None
        if not (length.isascii() and length.isdigit()):
            self._turn_away(400)
            return None
        if int(length) > _MAX_BODY_BYTES:
            self._turn_away(413)
            return None
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return None
        return body

    def _turn_away(self, status: int) -> None:
        self._write(Reply(status, (("Connection", "close"),)))

    def _write(self, reply: Reply) -> None:
        self.send_response(reply.status)
        names = {name.lower() for name, _ in reply.headers}
        for name, value in reply.headers:
            self.send_header(name, value)
        if "content-length" not in names:
            self.send_header("Content-Length", str(len(reply.body)))
        elif dict(reply.headers).get("Content-Length") != str(len(reply.body)):
            self.close_connection = True  # a scripted length that lies: the connection is not in step any more
        if self._issuer_server.stopping.is_set() and "connection" not in names:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the issuer records its requests itself."""
