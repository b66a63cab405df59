"""The application's own word (`authorize`), after all of ours: it may refuse, and let in nobody whom we refused.

Only True lets in. False, nothing, an awaitable that nobody can wait for: 403. A hook that fails is a fault of the
deployment's, and 503: nobody gets in on an exception.
"""

import logging
from collections.abc import Awaitable, Callable
from inspect import isawaitable, iscoroutinefunction
from typing import Any, TypeAlias

from .errors import (
    REFUSALS,
    AccessDenied,
    ConfigurationError,
    Refused,
    StrongDMAuthError,
    TemporarilyUnavailable,
)
from .request import Request
from .requirement import Requirement
from .tokens import AccessToken, scheme_of

#: `authorize(token, request, requirement)`. It may also raise, such as `StrongDMAuthError("Not after hours", 403)`.
Authorize: TypeAlias = Callable[[AccessToken, Request, Requirement], bool | Awaitable[bool]]

#: The statuses that refuse; what else an exception says (200, 302, 499) lets nobody in and breaks no server.
_REFUSING = frozenset({400, 401, 402, 403, 404, 405, 406, 409, 410, 412, 413, 415, 422, 423, 428, 429, 451})

_log = logging.getLogger("strongdm_auth")


def for_threads(hook: Authorize | None) -> Authorize | None:
    """The same hook, for callers that cannot await. Raises ConfigurationError for one that has to be awaited."""
    if iscoroutinefunction(hook) or iscoroutinefunction(getattr(hook, "__call__", None)):  # noqa: B004
        raise ConfigurationError(
            "authorize is a coroutine function, which threads cannot wait for; give a plain function, "
            "or use a door for event loops (ASGI, FastAPI)"
        )
    return hook


def ask(hook: Authorize, token: AccessToken, request: Request, requirement: Requirement) -> None:
    """Ask the application, from a thread. Raises Refused."""
    try:
        answer = hook(token, request, requirement)
    except Exception as fault:
        raise _refusal(fault, token) from fault
    if isawaitable(answer):
        getattr(answer, "close", bool)()
        _log.error("authorize gave an awaitable to a thread, which cannot wait for it")
    _settle(answer, token)


async def ask_in_loop(hook: Authorize, token: AccessToken, request: Request, requirement: Requirement) -> None:
    """The same from an event loop; the hook may be a coroutine function."""
    try:
        answer = hook(token, request, requirement)
        if isawaitable(answer):
            answer = await answer
    except Exception as fault:
        raise _refusal(fault, token) from fault
    _settle(answer, token)


def _settle(answer: Any, token: AccessToken) -> None:
    if answer is not True:
        raise _about(token, AccessDenied("policy.refused"))


def _refusal(fault: Exception, token: AccessToken) -> Refused:
    """What an exception of the hook's comes to, as one of our own classes: doors know no others."""
    if isinstance(fault, Refused) and type(fault) in REFUSALS:
        return _about(token, fault)
    if isinstance(fault, StrongDMAuthError) and fault.status_code < 500:
        denied = AccessDenied("policy.refused")
        denied.message = fault.message
        if fault.status_code in _REFUSING:
            denied.status_code, denied.error = fault.status_code, fault.error
        return _about(token, denied)
    _log.error("authorize failed: %s", type(fault).__name__, exc_info=fault)
    return _about(token, TemporarilyUnavailable("policy.unavailable"))


def _about(token: AccessToken, refusal: Refused) -> Refused:
    refusal.scheme, refusal.token = scheme_of(token), token
    return refusal
