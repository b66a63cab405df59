"""The Flask door. It reads the request, keeps what came of it for the request, and renders refusals. It decides nothing.

    auth = StrongDMAuth(app, audience="https://api.example.com")

    @app.get("/admin")
    @auth.require_scope("admin")
    def admin(): return {"agent": current_token.subject}

Views may be sync or async; verification is sync in both, since Flask gives each async view an event loop of its own.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, ParamSpec, Protocol, TypeVar, Unpack, cast, overload

from .extras import lacking

try:
    import flask
except ModuleNotFoundError as missing:
    raise lacking(missing, "flask", "flask") from missing
from werkzeug.exceptions import BadRequest, Forbidden, HTTPException, ServiceUnavailable, Unauthorized
from werkzeug.local import LocalProxy

from . import errors
from .challenge import Denial
from .errors import ConfigurationError, StrongDMAuthError
from .flow import VARY, Admission
from .metadata import Metadata
from .request import EnvironRequest
from .requirement import ANY_TOKEN, Requirement, RequirementKeywords
from .security_events import MOST_SET_BYTES
from .settings import Settings, SettingsKeywords
from .tokens import AccessToken
from .verifier import Verifier

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_View = Callable[_Parameters, _Result]


class _Decorator(Protocol):
    """Gives a view back with its own signature."""

    def __call__(self, view: _View[_Parameters, _Result], /) -> _View[_Parameters, _Result]: ...


_EXTENSION = "strongdm_auth"
#: The environ key of a request's slot; no header can make it.
_SLOT = "strongdm_auth.slot"
_HTTP_EXCEPTIONS: dict[int, type[HTTPException]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    503: ServiceUnavailable,
}


def _both(refusal: type[errors.Refused]) -> type[errors.Refused]:
    """A refusal that is werkzeug's exception, too: a plain one becomes a 500 under Flask-RESTful and Flask-RESTX.

    `errorhandler(StrongDMAuthError)`, `errorhandler(InvalidToken)` and `errorhandler(401)` all catch it.
    """
    return type(refusal.__name__, (refusal, _HTTP_EXCEPTIONS[refusal.status_code]), {"__doc__": refusal.__doc__})


_BOTH: dict[type[errors.Refused], type[errors.Refused]] = {refusal: _both(refusal) for refusal in errors.REFUSALS}


class _FlaskRequest(EnvironRequest):
    """A request of a WSGI environ, of which Flask knows the route."""

    __slots__ = ()

    @property
    def route(self) -> str | None:
        rule = _request().url_rule
        return None if rule is None else rule.rule


class _Slot(dict[Verifier, Admission]):
    """What authentication gave for one request, by verifier: an app may have several, and may hand a request on."""

    __slots__ = ("latest",)

    latest: Admission | None


def _slot() -> _Slot | None:
    """The slot of the request that is being handled. It stands in the environ, which is the request's own.

    `g` is the app context's: a context that was pushed by hand outlives a request, and what is on it would let the next in.
    """
    return _request().environ.get(_SLOT) if flask.has_request_context() else None


def _current_token() -> AccessToken:
    slot = _slot()
    if slot is None or slot.latest is None:
        raise RuntimeError(
            "There is no access token here: current_token is set in views under @auth.require_auth() or its like"
        )
    return slot.latest.token


#: The access token of the request that is being handled, in views that asked for one.
current_token = cast(AccessToken, LocalProxy(_current_token))
# What the proxies stand for now: looking through a proxy once costs less than each use of it.
_request: Callable[[], flask.Request] = cast(Any, flask.request)._get_current_object
_app: Callable[[], flask.Flask] = cast(Any, flask.current_app)._get_current_object
_g: Callable[[], Any] = cast(Any, flask.g)._get_current_object


class StrongDMAuth:
    """Lets agents into a Flask app.

    `StrongDMAuth(app, **settings)`, or `StrongDMAuth(**settings)` and `init_app(app)` for each of several apps. Settings
    that are not given come from `app.config["STRONGDM_..."]`, then from the environment.

    Raises:
        ConfigurationError: a setting is wrong; at `init_app`, not at the first request.
    """

    def __init__(self, app: flask.Flask | None = None, **settings: Unpack[SettingsKeywords]) -> None:
        self._keywords = settings
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Read the settings for `app` and make its verifier. An app may have several `StrongDMAuth`, for several audiences."""
        settings = Settings.load(self._keywords, app.config)
        verifiers: dict[StrongDMAuth, Verifier] = app.extensions.setdefault(_EXTENSION, {})
        if not verifiers:
            app.after_request(_finish)
            app.teardown_request(_forget)
            app.register_error_handler(StrongDMAuthError, self._render)
        verifier = verifiers[self] = Verifier(settings)
        if verifier.certificates.header is not None:
            app.before_request(lambda: _strip(verifier))
        metadata = Metadata.of(settings)
        if metadata is not None and (endpoint := _METADATA_ENDPOINT + metadata.path) not in app.view_functions:
            app.add_url_rule(metadata.path, endpoint, lambda: _response(metadata))
        path = settings.security_events
        if path is not None and (endpoint := _EVENTS_ENDPOINT + path) not in app.view_functions:
            app.add_url_rule(path, endpoint, lambda: _response(_received(verifiers.values(), path)), methods=["POST"])

    def verify_request(self, requirement: Requirement = ANY_TOKEN) -> AccessToken:
        """Authenticate the current request, once however often it is called, and hold `requirement` against the token.

        Raises:
            StrongDMAuthError: not let in. Uncaught, it becomes the right answer.
        """
        admission = self._admit(requirement)
        if admission is None:
            raise self._refusal(errors.MissingCredentials("credentials.missing"), requirement)
        return admission.token

    def get_current_agent(self) -> dict[str, Any] | None:
        """The authenticated agent as a dict of subject, scopes, issuer, client_id and actor (the `act` claim); or None."""
        slot = _slot()
        admission = None if slot is None else slot.get(self.verifier)
        if admission is None:
            return None
        token = admission.token
        return {
            "subject": token.subject,
            "scopes": sorted(token.scopes),
            "issuer": token.issuer,
            "client_id": token.client_id,
            "actor": token.claims.get("act"),
        }

    @overload
    def require_auth(self) -> _Decorator: ...
    @overload
    def require_auth(self, view: _View[_Parameters, _Result]) -> _View[_Parameters, _Result]: ...
    def require_auth(self, view: Callable[..., Any] | None = None) -> Any:
        """Any valid token. As `@auth.require_auth()` or `@auth.require_auth`."""
        decorator = self._decorator(ANY_TOKEN)
        return decorator if view is None else decorator(view)

    def require_scope(self, *scopes: str, require_all: bool = False) -> _Decorator:
        """At least one of `scopes`; with `require_all`, every one."""
        if not scopes or not all(isinstance(scope, str) for scope in scopes):
            raise ConfigurationError("require_scope needs the names of scopes: @auth.require_scope('admin')")
        return self.require(scopes=scopes) if require_all else self.require(any_scope=scopes)

    def require_all_scopes(self, *scopes: str) -> _Decorator:
        """Every one of `scopes`."""
        return self.require_scope(*scopes, require_all=True)

    def require(self, requirement: Requirement | None = None, /, **parts: Unpack[RequirementKeywords]) -> _Decorator:
        """A whole requirement: `@auth.require(scopes={"read"}, dpop=True)`, or a `Requirement` made elsewhere."""
        return self._decorator(_requirement(requirement, parts))

    def protect(
        self,
        target: flask.Flask | flask.Blueprint,
        requirement: Requirement | None = None,
        /,
        **parts: Unpack[RequirementKeywords],
    ) -> None:
        """Put every view of a blueprint, or of a whole app, behind a requirement. A CORS preflight passes."""
        wanted = _requirement(requirement, parts)

        def guard() -> flask.Response | None:
            request = _request()
            if (request.endpoint or "").startswith((_METADATA_ENDPOINT, _EVENTS_ENDPOINT)):
                return None
            if EnvironRequest(request.environ).is_preflight:
                # Flask's own answer, before any view: one that lists OPTIONS would tell strangers what it tells agents.
                return _app().make_default_options_response()
            self._admit(wanted)
            return None

        target.before_request(guard)

    def _decorator(self, requirement: Requirement) -> _Decorator:
        def decorate(view: _View[_Parameters, _Result]) -> _View[_Parameters, _Result]:
            asynchronous = iscoroutinefunction(view)

            @wraps(view)
            def guarded(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
                self._admit(requirement)
                if asynchronous:
                    return cast(_Result, flask.current_app.ensure_sync(view)(*args, **kwargs))
                return view(*args, **kwargs)

            return guarded

        return decorate

    def _admit(self, requirement: Requirement) -> Admission | None:
        verifier, environ = self.verifier, _request().environ
        slot: _Slot | None = environ.get(_SLOT)
        if slot is None:
            slot = environ[_SLOT] = _Slot()
            slot.latest = None
        try:
            admission = verifier.admit(_FlaskRequest(environ), requirement, slot.get(verifier))
        except errors.Refused as refusal:
            raise self._refusal(refusal, requirement) from None
        if admission is not None:
            slot[verifier] = slot.latest = admission
            _g().token_claims = admission.token.claims
        return admission

    @property
    def verifier(self) -> Verifier:
        """The current app's verifier, such as for `auth.verifier.revoke(token)`."""
        app = _app()
        try:
            verifier: Verifier = app.extensions[_EXTENSION][self]
        except KeyError:
            raise ConfigurationError(
                f"this StrongDMAuth was not initialised for the app {app.name!r}; call auth.init_app(app)"
            ) from None
        return verifier

    def _refusal(self, refusal: errors.Refused, requirement: Requirement) -> errors.Refused:
        """The same refusal as an exception that carries its response, whoever handles it."""
        both = _BOTH[type(refusal)]
        carrying = both.__new__(both)
        carrying.__dict__.update(refusal.__dict__)
        carrying.args = refusal.args
        exception = cast(HTTPException, carrying)
        exception.description = refusal.message
        exception.response = _response(self.verifier.denial(refusal, requirement))
        return carrying

    def _render(self, error: StrongDMAuthError) -> Any:
        """For an error that an application raised itself: `raise StrongDMAuthError("No such account", 403)`."""
        if isinstance(error, HTTPException):
            return error.get_response()
        return _response(self.verifier.denial(error))


def _requirement(requirement: Requirement | None, parts: RequirementKeywords) -> Requirement:
    if requirement is None:
        return Requirement(**parts) if parts else ANY_TOKEN
    if not isinstance(requirement, Requirement):
        raise ConfigurationError("give a Requirement(...), or its parts as keywords such as scopes={'read'}")
    return requirement & Requirement(**parts) if parts else requirement


def _response(denial: Denial | Metadata) -> flask.Response:
    return flask.Response(denial.body, denial.status, list(denial.headers))


def _strip(verifier: Verifier) -> None:
    environ = _request().environ
    verifier.certificates.strip(environ, EnvironRequest(environ))


def _finish(response: flask.Response) -> flask.Response:
    """Put on an answer what its route's authentication asks for."""
    slot: _Slot | None = _request().environ.get(_SLOT)
    if slot is None:
        return response
    headers = response.headers
    there = [name.lower() for name, _ in headers]
    for name, value in (VARY,) if slot.latest is None else slot.latest.headers:
        if name.lower() not in there:
            headers.add(name, value)
        elif name == "Vary":
            response.vary.update(value.split(", "))
        elif name == "Cache-Control":
            response.cache_control.no_store = True
    return response


def _forget(_: BaseException | None) -> None:
    """Take the claims off `g`, which may outlive the request (see `_slot`)."""
    _g().pop("token_claims", None)


def _received(verifiers: Iterable[Verifier], path: str) -> Denial:
    """The answer to a Security Event Token (RFC 8935). Each `StrongDMAuth` of the app with this path hears of it: the one
    for whose audience it is takes it, and while one cannot, all of it is to come again."""
    request = _request()
    # The stream is at its end where the app has read the body already; it then keeps it.
    body = request.stream.read(MOST_SET_BYTES + 1) or request.get_data()
    told = [each for each in verifiers if each.settings.security_events == path]
    answers = {each.status: each for each in (verifier.receive(request.content_type or "", body) for verifier in told)}
    return answers.get(503) or answers.get(202) or answers[400]


_METADATA_ENDPOINT = "strongdm_auth_metadata:"
_EVENTS_ENDPOINT = "strongdm_auth_security_events:"
