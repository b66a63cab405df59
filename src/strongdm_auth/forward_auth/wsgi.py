"""The WSGI app that a proxy asks (PEP 3333).

WSGI joins repeated headers, and takes `X_Original_URI` for `X-Original-URI`: serve it by a server that drops names with
underscores, as gunicorn does. A value that could be two joined ones is refused; the ASGI app is never in that doubt.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Unpack

from strongdm_auth.errors import StrongDMAuthError
from strongdm_auth.request import EnvironRequest
from strongdm_auth.requirement import ANY_TOKEN, Requirement
from strongdm_auth.settings import SettingsKeywords
from strongdm_auth.verifier import Verifier
from strongdm_auth.wsgi import received

from .conventions import Asked, ConventionName
from .gate import Answer, Gate

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


class ForwardAuth:
    """Answers a proxy's question whether a request may pass; the arguments are those of the ASGI app.

    Raises:
        ConfigurationError: an argument, a setting or a route is wrong; at construction.
    """

    def __init__(
        self,
        convention: ConventionName,
        *,
        protected_routes: Mapping[str, Requirement | Mapping[str, object]] | None = None,
        require: Requirement | None = None,
        exempt: Iterable[str] = (),
        origin_headers: tuple[str, str] | None = None,
        path_prefix: str = "",
        unsafe_pass_preflights: bool = False,
        **settings: Unpack[SettingsKeywords],
    ) -> None:
        self.verifier = Verifier(**settings)
        self._gate = Gate(
            convention,
            self.verifier.settings,
            protected_routes=protected_routes,
            require=require,
            exempt=exempt,
            origin_headers=origin_headers,
            path_prefix=path_prefix,
            unsafe_pass_preflights=unsafe_pass_preflights,
        )

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        request = EnvironRequest(environ)
        if self._gate.own_paths and request.route_path == self.verifier.settings.security_events:
            denial = received(self.verifier, environ)
            answer = Answer(denial.status, denial.headers, denial.body)
        else:
            answer = self._answer(_asked(environ))
        status = f"{answer.status} {HTTPStatus(answer.status).phrase}"
        start_response(status, [*answer.headers, ("Content-Length", str(len(answer.body)))])
        return [answer.body]

    def _answer(self, asked: Asked) -> Answer:
        document = self._gate.document(asked)
        if document is not None:
            return document
        requirement: Requirement | None = None
        try:
            request = self._gate.original(asked)
            requirement = self._gate.requirement(asked, request)
            admission = None if requirement is None else self.verifier.admit(request, requirement)
            return self._gate.admitted(admission)
        except StrongDMAuthError as refusal:
            return self._gate.refused(self.verifier.denial(refusal, requirement or ANY_TOKEN))


def _asked(environ: "WSGIEnvironment") -> Asked:
    """The target is the server's own record of it: a path that was decoded already cannot be judged in all its readings."""
    headers = [(name[5:].replace("_", "-").lower(), value) for name, value in environ.items() if name[:5] == "HTTP_"]
    target: str = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    return Asked(environ["REQUEST_METHOD"], target, headers, joined=True, peer=EnvironRequest(environ).peer)
