"""A page, an issuer and an API, each on an origin of its own, by one command: `python serve.py`. PORT is the page's (8080).

Everything runs on loopback and ends with Ctrl-C. The issuer is the local imitation: trust it nowhere else.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from strongdm_auth.testing import Issuer

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from demo import free_port, running  # noqa: E402

#: What the page's server has: nothing else of this folder, and nothing that a request could name.
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/dpop.js": ("dpop.js", "text/javascript; charset=utf-8"),
    "/stranger.html": ("stranger.html", "text/html; charset=utf-8"),
    "/stranger.js": ("stranger.js", "text/javascript; charset=utf-8"),
}
AUDIENCE = "https://api.example.com"


class Page(ThreadingHTTPServer):
    """The page's origin: static files, and `config.json` for what is only known once all three are there."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.origin = f"http://127.0.0.1:{self.server_port}"
        #: The same files under another name: to a browser that is another origin.
        self.stranger = f"http://localhost:{self.server_port}"
        self.config: dict[str, object] = {}

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # browsers hang up as they like
            super().handle_error(request, client_address)

    @contextmanager
    def serving(self) -> Iterator["Page"]:
        thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="page", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()
            thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5
    server: Page

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        name, kind = FILES.get(path, (None, "text/plain"))
        status, body = 200, b""
        if name is not None:
            body = (HERE / name).read_bytes()
        elif path == "/config.json":
            kind, body = "application/json", json.dumps(self.server.config).encode()
        else:
            status, body = 404, b"not here\n"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        # DPoP keeps a key from being stolen, and does not keep a stranger's script from using it: that is for the CSP.
        self.send_header("Content-Security-Policy", self._policy())
        self.end_headers()
        self.wfile.write(body)

    def _policy(self) -> str:
        config = self.server.config
        reached = " ".join(f"{config[name]}/" for name in ("issuer", "api") if name in config)
        return (
            f"default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' {reached}; "
            f"frame-src {self.server.stranger}; frame-ancestors {self.server.origin}; base-uri 'none'; form-action 'none'"
        )

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def three_origins(port: int = 0, **settings: str) -> Iterator[Page]:
    """All of it, for as long as the block lasts; `settings` are the API's."""
    with Page(port).serving() as page, Issuer(realms=("acme",)).serve() as issuer:
        client = issuer.client("page", scopes="read write", realm="acme")
        trusted = {"issuer": issuer.url, "realms": "acme", "audience": AUDIENCE, "dpop": "required"}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("STRONGDM_")}
        for name, value in (trusted | {"dpop_nonce": "required"} | settings).items():
            environment[f"STRONGDM_{name.upper()}"] = value
        environment["CORS_ORIGINS"] = page.origin
        api = f"http://127.0.0.1:{(api_port := free_port())}"
        command = [sys.executable, "-m", "uvicorn", "api:app", "--host", "127.0.0.1", "--port", str(api_port)]
        with running([*command, "--log-level", "warning"], api, "/health", HERE, environment):
            page.config = {
                "issuer": issuer.issuer_url("acme"),
                "api": api,
                "audience": AUDIENCE,
                "client": {"id": client.client_id, "secret": client.client_secret},
                "stranger": page.stranger,
            }
            yield page


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with three_origins(int(os.environ.get("PORT", "8080"))) as page:
            print(f"Open {page.origin} in a browser. The API is {page.config['api']}, Ctrl-C ends it all.", flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        print("Ended.")


if __name__ == "__main__":
    main()
