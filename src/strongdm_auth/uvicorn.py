"""What uvicorn keeps to itself: the TLS certificate of a client, told to apps as ASGI's TLS extension has it.

    uvicorn app:app --ssl-certfile ... --ssl-keyfile ... --ssl-ca-certs ... --ssl-cert-reqs 1 \\
        --http strongdm_auth.uvicorn:HTTPProtocol --ws strongdm_auth.uvicorn:WebSocketProtocol

Both are uvicorn's own choice of protocols and do nothing else than it.
"""

import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from .extras import lacking

try:
    from uvicorn.protocols.http.auto import AutoHTTPProtocol
except ModuleNotFoundError as missing:
    raise lacking(missing, "uvicorn", "demo") from missing
from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol

if TYPE_CHECKING:

    class _HTTP: ...

    class _WebSocket: ...
else:
    _HTTP = AutoHTTPProtocol
    _WebSocket = AutoWebSocketsProtocol or object  # no library for websockets is installed: uvicorn then refuses them

__all__ = ["HTTPProtocol", "WebSocketProtocol"]

_App = Callable[[Any, Any, Any], Awaitable[None]]


class _TellingOfTLS:
    """Once a connection is there, the app that it serves is told of its certificate with each request."""

    app: _App

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)  # type: ignore[misc]
        if (connection := transport.get_extra_info("ssl_object")) is not None:
            self.app = _telling(self.app, connection.getpeercert(binary_form=True))


class HTTPProtocol(_TellingOfTLS, _HTTP):
    """For `--http`."""


class WebSocketProtocol(_TellingOfTLS, _WebSocket):
    """For `--ws`."""


def _telling(app: _App, certificate: bytes | None) -> _App:
    """https://asgi.readthedocs.io/en/latest/specs/tls.html; what is None there is not told."""
    tls = {
        "server_cert": None,
        "client_cert_chain": [] if not certificate else [ssl.DER_cert_to_PEM_cert(certificate)],
        "client_cert_name": None,
        "client_cert_error": None,
        "tls_version": None,
        "cipher_suite": None,
    }

    async def told(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "extensions": {**(scope.get("extensions") or {}), "tls": tls}}, receive, send)

    return told
