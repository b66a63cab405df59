"""An honest issuer on a socket that keeps connections, and records by which of them each question about a token came.

Two processes that share a connection read each other's answers; here the connection's port tells that they did.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from strongdm_auth.testing import Issuer
from tests.conftest import AUDIENCE


class RecordingIssuer:
    """The issuer, with a client for introspection, and what was asked about."""

    def __init__(self, url: str) -> None:
        self.issuer = Issuer(url, realms=("alpha",), algorithms=("EdDSA",))
        self.client = self.issuer.client("api", realm="alpha")
        #: (the asker's port, the token), in the order in which they came.
        self.questions: list[tuple[int, str]] = []

    def settings(self, **changes: Any) -> dict[str, Any]:
        """A verifier's, for which every request asks; keywords change them."""
        settings = {
            "issuer": self.issuer.issuer_url("alpha"),
            "audience": AUDIENCE,
            "introspection": "always",
            "introspection_ttl": 0,
            "client_id": self.client.client_id,
            "client_secret": self.client.client_secret,
        }
        return settings | changes

    def token(self, subject: str = "agent") -> str:
        return self.issuer.token(subject, realm="alpha", audience=AUDIENCE)

    def ports(self, *tokens: str) -> set[int]:
        """The ports from which these tokens were asked about."""
        return {port for port, token in self.questions if token in tokens}


@contextmanager
def recording() -> Iterator[RecordingIssuer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1
        timeout = 20

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if self.path.endswith("/introspect"):
                recorder.questions.append((self.client_address[1], parse_qs(body.decode("ascii"))["token"][0]))
            status, headers, answer = recorder.issuer.respond(self.command, self.path, list(self.headers.items()), body)
            self.send_response(status)
            for name, value in headers:
                if name.lower() != "content-length":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False  # a connection that is kept would keep us
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            """The client hung up, which is its right."""

    server = Server(("127.0.0.1", 0), Handler)
    recorder = RecordingIssuer(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
