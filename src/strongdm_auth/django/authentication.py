"""Authenticate once per request, and keep it: middleware, decorators, mixin and DRF share one slot on the request.

    token = authorize(request, Requirement(scopes="admin"))         # or: await aauthorize(request, ...)

A proof is good for one use, so a second authentication of a request would refuse it; every further requirement is held
against the token that is kept.
"""

from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.apps import apps

from strongdm_auth.flow import Admission
from strongdm_auth.requirement import ANY_TOKEN, Requirement
from strongdm_auth.tokens import AccessToken

from . import conf
from .request import DjangoRequest

_SLOT = "_strongdm_auth"


class Slot:
    """What authentication gave for one request."""

    __slots__ = ("admission", "asked", "preflight")

    def __init__(self) -> None:
        self.admission: Admission | None = None
        #: What was last asked of the token; None when nothing was.
        self.asked: Requirement | None = None
        #: A CORS preflight that was let by on its path, and must reach no view.
        self.preflight = False


def slot_of(request: Any) -> Slot:
    """The request's slot; the first to ask makes it, and `request.auth` with it."""
    slot: Slot | None = getattr(request, _SLOT, None)
    if slot is None:
        slot = Slot()
        setattr(request, _SLOT, slot)
        if not hasattr(request, "auth"):
            request.auth = None
    return slot


def authorize(request: Any, requirement: Requirement = ANY_TOKEN) -> AccessToken | None:
    """Authenticate the request, once however often this is called, and hold `requirement` against the token.

    Gives the token and sets `request.auth` (and `request.user`, where USER says who that is); None for an anonymous
    request to an optional route.

    Raises:
        StrongDMAuthError: not let in. Where the middleware is installed, uncaught, it becomes the right answer.
    """
    slot, deployment = _asking(request, requirement), conf.current()
    admission = deployment.verifier.admit(DjangoRequest(request), requirement, slot.admission)
    if admission is None:
        return None
    resolve = deployment.resolve_user
    if resolve is not None and slot.admission is None:
        resolve = async_to_sync(resolve) if iscoroutinefunction(resolve) else resolve
        _set_user(request, resolve(admission.token))
    return _keep(request, slot, admission)


async def aauthorize(request: Any, requirement: Requirement = ANY_TOKEN) -> AccessToken | None:
    """As `authorize`, for event loops."""
    if not hasattr(request, "scope"):
        # Under WSGI the loop is this request's own and ends with it: a refresh of keys would be cut off each time.
        token: AccessToken | None = await sync_to_async(authorize)(request, requirement)
        return token
    slot, deployment = _asking(request, requirement), conf.current()
    admission = await deployment.async_verifier.admit(DjangoRequest(request), requirement, slot.admission)
    if admission is None:
        return None
    resolve = deployment.resolve_user
    if resolve is not None and slot.admission is None:
        resolve = resolve if iscoroutinefunction(resolve) else sync_to_async(resolve)
        _set_user(request, await resolve(admission.token))
    return _keep(request, slot, admission)


def _asking(request: Any, requirement: Requirement) -> Slot:
    slot = slot_of(request)
    slot.asked = requirement
    return slot


def _keep(request: Any, slot: Slot, admission: Admission) -> AccessToken:
    slot.admission, request.auth = admission, admission.token
    return admission.token


def _set_user(request: Any, user: Any) -> None:
    if user is None and apps.is_installed("django.contrib.auth"):
        # Whoever a session cookie names must not stand beside a token that is no user's.
        from django.contrib.auth.models import AnonymousUser

        user = AnonymousUser()

    async def auser() -> Any:
        return user

    request.user, request.auser = user, auser


def revoke(token: str) -> None:
    """Refuse this access token from now on; see `Verifier.revoke`."""
    conf.current().verifier.revoke(token)


async def arevoke(token: str) -> None:
    """The same, in an event loop."""
    await conf.current().async_verifier.revoke(token)
