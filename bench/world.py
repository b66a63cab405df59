"""What a run is about: an issuer with one key an algorithm, on a loopback socket, and the tokens and requests it makes.

The issuer answers discovery and key set requests only: the first request of each verifier fetches, the measured ones do not.
"""

import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .minting import Client, Key, encode_json

ALGORITHMS = ("ES256", "RS256", "EdDSA")
AUDIENCE = "https://api.example.com"
#: Behind https in real life; what counts is that proofs and requests name the same.
HOST = "127.0.0.1:8000"
URL = f"http://{HOST}/data"
LIFETIME = 3_600


class World:
    """One issuer and what it signs. `issuer` is where it is reached while `serve()` lasts."""

    def __init__(self) -> None:
        self.keys = {alg: Key(alg) for alg in ALGORITHMS}
        self.issuer = "http://127.0.0.1:1"
        self._headers = {
            alg: encode_json({"alg": alg, "typ": "at+jwt", "kid": f"key-{alg.lower()}"}) for alg in ALGORITHMS
        }

    def jwks(self) -> dict[str, object]:
        """The issuer's key set."""
        return {
            "keys": [
                {**key.jwk, "kid": f"key-{alg.lower()}", "use": "sig", "alg": alg} for alg, key in self.keys.items()
            ]
        }

    def token(
        self,
        alg: str = "ES256",
        client: Client | None = None,
        *,
        issuer: str | None = None,
        kid: str | None = None,
        at: float | None = None,
    ) -> str:
        """A token that was never seen before; bound to the client's key, if one is given."""
        now = int(time.time() if at is None else at)
        claims: dict[str, object] = {
            "iss": issuer or self.issuer,
            "sub": "agent-" + secrets.token_hex(8),
            "aud": AUDIENCE,
            "client_id": "agent",
            "scope": "openid email read",
            "iat": now,
            "exp": now + LIFETIME,
            "jti": secrets.token_urlsafe(16),
            "token_type": "access_token",
        }
        if client is not None:
            claims["cnf"] = {"jkt": client.key.thumbprint}
        header = self._headers[alg] if kid is None else encode_json({"alg": alg, "typ": "at+jwt", "kid": kid})
        return self.keys[alg].jws(header, claims)

    @contextmanager
    def serve(self) -> Iterator["World"]:
        """Be reachable for as long as the block lasts."""
        world = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(
                    world.jwks()
                    if "jwks" in self.path
                    else {"issuer": world.issuer, "jwks_uri": f"{world.issuer}/jwks"}
                ).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def bearer(token: str) -> dict[str, str]:
    """The headers of a request with a bearer token, and what else an HTTP client sends."""
    return {"host": HOST, "accept": "*/*", "user-agent": "bench", "authorization": f"Bearer {token}"}


def bound(token: str, proof: str) -> dict[str, str]:
    """The headers of a request with a bound token and its proof."""
    return {
        "host": HOST,
        "accept": "*/*",
        "user-agent": "bench",
        "authorization": f"DPoP {token}",
        "dpop": proof,
    }
