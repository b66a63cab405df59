"""A request as the verifier sees it. A door fills a `Request` and decides nothing."""

import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes

_ORIGIN = re.compile(r"(?:[^:/?#]*://[^/?#]*)?")
_HTTP_ORIGIN = re.compile(r"https?://(?:\[[0-9A-Fa-f:.]+\]|[^\s/?#@\\\[\]:,]+)(?::[0-9]*)?", re.IGNORECASE)
_PATH = re.compile(r"(?:[^:/?#]*://[^/?#]*)?([^?#]*)")
_URI = re.compile(rf"(?:{_HTTP_ORIGIN.pattern})(?![^/?#])(/[^?#]*)?", re.IGNORECASE)
_ABSOLUTE_FORM = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_PEM = re.compile(r"\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*")
#: Everything that RFC 3986 lets stand in a path as it is; the rest is escaped when a server has decoded the path.
_PATH_SAFE = "/:@!$&'()*+,;=-._~"


def certificate_of_pem(text: str) -> bytes | None:
    """The DER in the PEM of one certificate (RFC 7468), in which some servers put spaces for line ends; None for other text."""
    match = _PEM.fullmatch(text)
    if match is None:
        return None
    try:
        return b64decode(re.sub(r"\s+", "", match[1]), validate=True)
    except ValueError:
        return None


def _without_query(url: str) -> str:
    return url.partition("#")[0].partition("?")[0]


class Request:
    """Method, absolute URL and headers of one request; `headers` is a mapping or pairs of str.

    `certificate` is the client's TLS certificate (DER), where TLS ended here and it showed one; `peer` the address of who is
    connected, such as a proxy, and empty for a Unix socket.
    """

    __slots__ = ("_certificate", "_headers", "_peer", "_url", "authorization", "dpop", "method")

    method: str
    #: Every Authorization field value, in order; and every DPoP one.
    authorization: tuple[str, ...]
    dpop: tuple[str, ...]

    def __init__(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | Iterable[tuple[str, str]],
        *,
        certificate: bytes | None = None,
        peer: str | None = None,
    ) -> None:
        pairs: Any = headers.items() if isinstance(headers, Mapping) else headers
        if iter(pairs) is pairs:
            pairs = list(pairs)
        authorization: list[str] = []
        dpop: list[str] = []
        for name, value in pairs:
            lowered = name.lower()
            if lowered == "authorization":
                authorization.append(value)
            elif lowered == "dpop":
                dpop.append(value)
        self.method = method
        self._url = url
        self._headers, self._certificate, self._peer = pairs, certificate, peer
        self.authorization = tuple(authorization)
        self.dpop = tuple(dpop)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method}>"  # neither headers nor a query: both may hold a token

    @property
    def certificate(self) -> bytes | None:
        """The client's certificate (DER), in the server's own word; None where it showed none, or the server does not tell."""
        return self._certificate

    @property
    def peer(self) -> str | None:
        """The address of who is connected; empty for a Unix socket, None where it is not known for sure."""
        return self._peer

    def values(self, name: str) -> tuple[str, ...]:
        """All values of a header; its name in lower case."""
        return tuple(value for other, value in self._headers if other.lower() == name)

    @property
    def origin(self) -> str:
        """Scheme and authority, as the framework says they are."""
        match = _ORIGIN.match(self._url)
        return match[0] if match else ""

    @property
    def path(self) -> str:
        """The path as it was sent, still escaped."""
        match = _PATH.match(self._url)
        return (match[1] if match else "") or "/"

    @property
    def query(self) -> str:
        """The query as it was sent, without the question mark."""
        return self._url.partition("#")[0].partition("?")[2]

    @property
    def route(self) -> str | None:
        """The pattern of the route that answers, such as `/notes/<id>`, where the framework tells."""
        return None

    @property
    def mount(self) -> str:
        """The decoded prefix that the app takes off a path, and does without where a path lacks it: one view has two paths."""
        return ""

    def uri(self, public_url: str | None = None) -> str:
        """The URI without query and fragment, as the client sees it: what `htu` must equal (RFC 9449 4.3).

        Empty, which nothing equals, when a Host header made the origin something else than an origin: with
        `Host: api.example.com/x?` a proof for /x would otherwise be good for every path.
        """
        if public_url is not None:
            return public_url.rstrip("/") + self.path
        match = _URI.match(self._url)
        if match is None:
            return ""
        return match[0] if match[1] else match[0] + "/"


class ServedRequest(Request):
    """A request as a server tells it, in parts; `origin`, `path` and `query` are worked out when asked for."""

    __slots__ = ()

    def uri(self, public_url: str | None = None) -> str:
        if public_url is not None:
            return public_url.rstrip("/") + self.path
        origin = self.origin
        return origin + self.path if _HTTP_ORIGIN.fullmatch(origin) else ""


class EnvironRequest(ServedRequest):
    """A request from a WSGI environ (PEP 3333)."""

    __slots__ = ("_environ",)

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._environ = environ
        self.method = environ["REQUEST_METHOD"]
        authorization = environ.get("HTTP_AUTHORIZATION")
        dpop = environ.get("HTTP_DPOP")
        self.authorization = () if authorization is None else (authorization,)
        self.dpop = () if dpop is None else (dpop,)

    @property
    def certificate(self) -> bytes | None:
        environ = self._environ
        text = environ.get("SSL_CLIENT_CERT")  # mod_ssl's name for it, which other servers took over
        if isinstance(text, str) and text and environ.get("SSL_CLIENT_VERIFY", "SUCCESS") in ("SUCCESS", "GENEROUS"):
            return certificate_of_pem(text)
        tell = getattr(environ.get("gunicorn.socket"), "getpeercert", None)
        certificate: bytes | None = None if tell is None else tell(binary_form=True)
        return certificate or None

    @property
    def peer(self) -> str | None:
        environ = self._environ
        before = environ.get("werkzeug.proxy_fix.orig", environ)  # what was there before a header's word replaced it
        peer: str | None = before.get("REMOTE_ADDR")
        return peer

    def values(self, name: str) -> tuple[str, ...]:
        """All values of a header, which WSGI has joined into one."""
        value: str | None = self._environ.get("HTTP_" + name.upper().replace("-", "_"))
        return () if value is None else (value,)

    @property
    def is_preflight(self) -> bool:
        """A CORS preflight (Fetch standard), or what looks like one: it carries no credentials, by design."""
        environ = self._environ
        return self.method == "OPTIONS" and "HTTP_ORIGIN" in environ and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ

    @property
    def origin(self) -> str:
        environ = self._environ
        scheme: str = environ["wsgi.url_scheme"]
        host: str | None = environ.get("HTTP_HOST")
        if not host:
            name: str = environ["SERVER_NAME"]
            host = f"[{name}]:{environ['SERVER_PORT']}" if ":" in name else f"{name}:{environ['SERVER_PORT']}"
        return f"{scheme}://{host}"

    @property
    def path(self) -> str:
        """WSGI hands the path over decoded; the server's own record of it, where there is one, keeps `%2F` apart from `/`."""
        environ = self._environ
        mount: bytes = environ.get("SCRIPT_NAME", "").encode("latin-1", "replace")
        below: bytes = environ.get("PATH_INFO", "").encode("latin-1", "replace")
        sent: str = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
        if not sent.startswith("/"):  # absolute form (RFC 9112 3.2.2)
            sent = _ABSOLUTE_FORM.sub("", sent)
        sent = _without_query(sent)
        decoded = unquote_to_bytes(sent)
        if sent and decoded == mount + below:
            return sent
        if sent and decoded == below:  # a prefix that a proxy cut off and ProxyFix put back
            return quote(mount, safe=_PATH_SAFE) + sent
        return quote(mount + below, safe=_PATH_SAFE) or "/"

    @property
    def route_path(self) -> str:
        """The decoded path below the mount, which an app's own routes speak of; PEP 3333 keeps UTF-8 in latin-1."""
        path: str = self._environ.get("PATH_INFO", "") or "/"
        return path.encode("latin-1", "replace").decode("utf-8", "replace")

    @property
    def query(self) -> str:
        query: str = self._environ.get("QUERY_STRING", "")
        return query


def below(path: str, mount: str) -> str:
    """A path without its mount's prefix; as it is, when it does not lie below the mount (as Starlette reads it)."""
    return path[len(mount) :] or "/" if path == mount or path.startswith(mount + "/") else path


class ScopeRequest(ServedRequest):
    """A request, or a websocket's handshake, from an ASGI scope."""

    __slots__ = ("_scope",)

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self._scope = scope
        self.method = scope.get("method", "GET")  # a websocket's handshake is a GET (RFC 6455 4.1)
        authorization: tuple[str, ...] = ()
        dpop: tuple[str, ...] = ()
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization += (value.decode("latin-1"),)
            elif name == b"dpop":
                dpop += (value.decode("latin-1"),)
        self.authorization = authorization
        self.dpop = dpop

    @property
    def certificate(self) -> bytes | None:
        """The first of the chain that ASGI's TLS extension tells of, unless the server says that something is wrong with it."""
        extension = (self._scope.get("extensions") or {}).get("tls") or {}
        chain = extension.get("client_cert_chain")
        text = next(iter(chain), None) if chain and not extension.get("client_cert_error") else None
        return certificate_of_pem(text) if isinstance(text, str) else None

    @property
    def peer(self) -> str | None:
        client = self._scope.get("client")
        if not client:
            # A TCP connection that its client reset has no peer, either, to some servers; but the server's own end has a port.
            server = self._scope.get("server")
            return None if server and isinstance(server[1], int) else ""
        host, port = client
        # Who is connected has a port; a server that took the address from a header has none to show.
        peer: str | None = host if port else None
        return peer

    def values(self, name: str) -> tuple[str, ...]:
        wanted = name.encode("ascii")
        return tuple(value.decode("latin-1") for other, value in self._scope["headers"] if other.lower() == wanted)

    @property
    def origin(self) -> str:
        scope = self._scope
        # The handshake is an HTTP request, and its URI an http one (RFC 6455 4.1): that is what `htu` names.
        scheme = {"ws": "http", "wss": "https"}.get(scope.get("scheme", "http"), scope.get("scheme", "http"))
        for name, value in scope["headers"]:
            if name == b"host":
                return f"{scheme}://{value.decode('latin-1')}"
        host, port = scope.get("server") or ("localhost", None)
        return f"{scheme}://{host}" + (f":{port}" if port else "")

    @property
    def path(self) -> str:
        """As it was sent, where the server tells and says the same as the decoded path; the mount's prefix is part of it."""
        decoded: str = self._scope["path"]
        sent: bytes = self._scope.get("raw_path") or b""
        sent = sent.partition(b"?")[0]
        if sent and unquote_to_bytes(sent) == decoded.encode("utf-8", "surrogateescape"):
            return sent.decode("latin-1")
        return quote(decoded, safe=_PATH_SAFE, errors="surrogateescape") or "/"

    @property
    def query(self) -> str:
        query: bytes = self._scope.get("query_string", b"")
        return query.decode("latin-1")

    @property
    def route(self) -> str | None:
        path: object = getattr(self._scope.get("route"), "path", None)  # Starlette's and FastAPI's own record
        return path if isinstance(path, str) else None

    @property
    def mount(self) -> str:
        mount: str = self._scope.get("root_path") or ""
        return mount

    @property
    def decoded_path(self) -> str:
        """The whole path, decoded, mount and all."""
        path: str = self._scope["path"]
        return path

    @property
    def route_path(self) -> str:
        """The decoded path below the mount (`root_path`), which an app's own routes speak of."""
        return below(self.decoded_path, self._scope.get("root_path", ""))

    @property
    def is_preflight(self) -> bool:
        """A CORS preflight (Fetch standard), or what looks like one: it carries no credentials, by design."""
        if self.method != "OPTIONS":
            return False
        names = {name for name, _ in self._scope["headers"]}
        return b"origin" in names and b"access-control-request-method" in names
