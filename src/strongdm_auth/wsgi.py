"""The WSGI door: a middleware for any WSGI app (PEP 3333), no framework imported. It decides nothing.

    app = StrongDMAuthMiddleware(app, audience="https://api.example.com", exempt=["/health"])

Behind it, `environ["strongdm_auth.token"]` is the `AccessToken`; None on paths that need none.
"""

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Unpack

from .challenge import Denial
from .errors import Refused
from .flow import VARY
from .headers import merged
from .metadata import Metadata
from .receiving import WRONG_METHOD
from .request import EnvironRequest
from .requirement import Requirement
from .routes import RouteTable
from .security_events import MOST_SET_BYTES
from .settings import SettingsKeywords
from .verifier import Verifier

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["TOKEN", "StrongDMAuthMiddleware"]

#: Where the app finds the token.
TOKEN = "strongdm_auth.token"


class StrongDMAuthMiddleware:
    """Lets agents into a WSGI app; the arguments are those of the ASGI door.

    Raises:
        ConfigurationError: a setting or a route is wrong; at construction.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        *,
        protected_routes: Mapping[str, Requirement | Mapping[str, object]] | None = None,
        require: Requirement | None = None,
        exempt: Iterable[str] = (),
        **settings: Unpack[SettingsKeywords],
    ) -> None:
        self.app = app
        self._routes = RouteTable(protected_routes, require, exempt)
        self.verifier = Verifier(**settings)
        self._metadata = Metadata.of(self.verifier.settings)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        request = EnvironRequest(environ)
        self.verifier.certificates.strip(environ, request)
        path = request.route_path
        if self._metadata is not None and path == self._metadata.path and request.method in ("GET", "HEAD"):
            return _answer(self._metadata, start_response)
        if path == self.verifier.settings.security_events:
            return _answer(received(self.verifier, environ), start_response)
        environ[TOKEN] = None
        requirement = self._routes.find(path)
        if requirement is None:
            return self.app(environ, start_response)
        if request.is_preflight:
            return _without_body(self.app, environ, start_response)
        try:
            admission = self.verifier.admit(request, requirement)
        except Refused as refusal:
            return _answer(self.verifier.denial(refusal, requirement), start_response)
        if admission is not None:
            environ[TOKEN] = admission.token
        return self.app(environ, _adding((VARY,) if admission is None else admission.headers, start_response))


def received(verifier: Verifier, environ: "WSGIEnvironment") -> Denial:
    """The answer to a Security Event Token (RFC 8935)."""
    if environ["REQUEST_METHOD"] != "POST":
        return WRONG_METHOD
    length: str = (environ.get("CONTENT_LENGTH") or "0")[:18]  # of thousands of digits `int` makes an exception
    # A chunked body has no length; servers that see to its end say so. Elsewhere reading on would hang.
    known = MOST_SET_BYTES + 1 if environ.get("wsgi.input_terminated") else int(length) if length.isdecimal() else 0
    body: bytes = environ["wsgi.input"].read(min(known, MOST_SET_BYTES + 1))
    return verifier.receive(environ.get("CONTENT_TYPE", ""), body)


def _answer(denial: Denial | Metadata, start_response: "StartResponse") -> Iterable[bytes]:
    status = f"{denial.status} {HTTPStatus(denial.status).phrase}"
    start_response(status, [*denial.headers, ("Content-Length", str(len(denial.body)))])
    return [denial.body]


def _without_body(
    app: "WSGIApplication", environ: "WSGIEnvironment", start_response: "StartResponse"
) -> Iterable[bytes]:
    """A preflight to a protected path: the CORS headers go out, and nothing that an app says to any method."""

    def starting(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], object]:
        kept = [
            pair for pair in headers if pair[0].lower() not in ("content-length", "content-type", "content-encoding")
        ]
        start_response(status, [*kept, ("Content-Length", "0")], *([exc_info] if exc_info else []))
        return lambda _: None

    body = app(environ, starting)
    try:
        for _ in body:
            pass
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()
    return []


def _adding(added: tuple[tuple[str, str], ...], start_response: "StartResponse") -> "StartResponse":
    """`start_response`, with the headers of an admission put on the app's own."""

    def starting(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], object]:
        pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in merged(pairs, added)]
        return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

    return starting
