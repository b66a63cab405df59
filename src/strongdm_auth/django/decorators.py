"""What a view needs, said on the view: functions and `as_view()` results, sync and async, with or without the middleware.

    @require_scope("admin")
    def admin(request): ...

    path("admin", require_scope("admin")(Admin.as_view()))

On classes use `RequireAuthMixin`, or `@method_decorator(require_scope("admin"), name="dispatch")`. A view that needs a
token needs no CSRF cookie (nothing is sent unasked by a browser) and no login page: both are marked on the view.
"""

from collections.abc import Callable
from functools import partial, wraps
from inspect import isawaitable
from typing import Any, TypeVar, Unpack, cast, overload

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest

from strongdm_auth.errors import ConfigurationError, StrongDMAuthError
from strongdm_auth.requirement import ANY_TOKEN, Requirement, RequirementKeywords
from strongdm_auth.tokens import AccessToken

from .authentication import aauthorize, authorize
from .responses import denied, finish

_View = TypeVar("_View", bound=Callable[..., Any])

#: The attribute by which a view says that REQUIRE does not mean it.
PUBLIC = "strongdm_auth_public"


@overload
def require_auth() -> Callable[[_View], _View]: ...
@overload
def require_auth(view: _View) -> _View: ...
def require_auth(view: Any = None) -> Any:
    """Any valid token. As `@require_auth` or `@require_auth()`."""
    return _guard if view is None else _guard(view)


def require_scope(*scopes: str, require_all: bool = False) -> Callable[[_View], _View]:
    """At least one of `scopes`; with `require_all`, every one."""
    if not scopes or not all(isinstance(scope, str) for scope in scopes):
        raise ConfigurationError("require_scope needs the names of scopes: @require_scope('admin')")
    return require(scopes=scopes) if require_all else require(any_scope=scopes)


def require_all_scopes(*scopes: str) -> Callable[[_View], _View]:
    """Every one of `scopes`."""
    return require_scope(*scopes, require_all=True)


def require(
    requirement: Requirement | None = None, /, **parts: Unpack[RequirementKeywords]
) -> Callable[[_View], _View]:
    """A whole requirement: `@require(scopes={"read"}, dpop=True)`, or a `Requirement` made elsewhere."""
    if requirement is not None and not isinstance(requirement, Requirement):
        raise ConfigurationError("give a Requirement(...), or its parts as keywords such as scopes={'read'}")
    wanted = requirement or ANY_TOKEN
    if parts:
        wanted = wanted & Requirement(**parts) if requirement is not None else Requirement(**parts)
    return partial(_guard, requirement=wanted)


def public(view: _View) -> _View:
    """A view that `REQUIRE` leaves open. What PROTECTED_ROUTES or a decorator asks is still asked."""
    setattr(view, PUBLIC, True)
    return view


def _guard(view: _View, requirement: Requirement = ANY_TOKEN) -> _View:
    guarded: Any = _async_guarded(view, requirement) if _is_async(view) else _guarded(view, requirement)
    if not requirement.optional:
        guarded.csrf_exempt, guarded.login_required = True, False
    return cast(_View, guarded)


def _guarded(view: Callable[..., Any], requirement: Requirement) -> Callable[..., Any]:
    @wraps(view)
    def guarded(request: Any, *args: Any, **kwargs: Any) -> Any:
        http = _django_request(request)
        try:
            token = authorize(http, requirement)
        except StrongDMAuthError as refusal:
            response = denied(refusal, requirement)
        else:
            _hand_over(request, token)
            response = view(request, *args, **kwargs)
        return finish(http, response)

    return guarded


def _async_guarded(view: Callable[..., Any], requirement: Requirement) -> Callable[..., Any]:
    @wraps(view)
    async def guarded(request: Any, *args: Any, **kwargs: Any) -> Any:
        http = _django_request(request)
        try:
            token = await aauthorize(http, requirement)
        except StrongDMAuthError as refusal:
            response = denied(refusal, requirement)
        else:
            _hand_over(request, token)
            response = view(request, *args, **kwargs)
            response = await response if isawaitable(response) else response
        return finish(http, response)

    return guarded


def _is_async(view: Any) -> bool:
    """Also for a bound `dispatch` that `method_decorator` hands over: sync by itself, it gives a coroutine."""
    bound = view.func if isinstance(view, partial) else view
    if getattr(bound, "__name__", "") == "dispatch":
        return bool(getattr(getattr(bound, "__self__", None), "view_is_async", False))
    return iscoroutinefunction(view)


def _hand_over(request: Any, token: AccessToken | None) -> None:
    """A DRF request around Django's has an `auth` of its own."""
    if token is not None:
        request.auth = token


def _django_request(request: Any) -> Any:
    """The `HttpRequest`, which DRF wraps in one of its own."""
    http = getattr(request, "_request", request)
    if not isinstance(http, HttpRequest):
        raise ConfigurationError(
            "this decorator is for view functions; for a class use RequireAuthMixin, or "
            "@method_decorator(require_auth, name='dispatch')"
        )
    return http
