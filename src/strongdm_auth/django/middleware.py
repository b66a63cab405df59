"""The middleware: guards paths and views by the settings, renders refusals, and puts on answers what they must carry.

PROTECTED_ROUTES is asked with `request.path_info`, before anything further in is run. REQUIRE is asked when the view is
known, so that `@public` can opt out. Without both, the middleware protects nothing: decorators do. It is native in both
modes: in an event loop it awaits, in a thread it does not.
"""

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpResponse

from strongdm_auth.errors import Refused, StrongDMAuthError
from strongdm_auth.requirement import ANY_TOKEN, Requirement

from . import conf
from .authentication import aauthorize, authorize, slot_of
from .decorators import PUBLIC
from .request import DjangoRequest, is_preflight
from .responses import areceived, denied, finish, received, receives, rendered


class StrongDMAuthMiddleware:
    """For `MIDDLEWARE`. Settings are read when the server starts.

    Raises:
        ConfigurationError: a setting is wrong.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
            self.process_view = self._aprocess_view  # type: ignore[method-assign,assignment]
        conf.current()

    def __call__(self, request: Any) -> Any:
        if self._is_async:
            return self._acall(request)
        _strip(request)
        if receives(request):
            return received(request)
        response, requirement = _document(request), _by_path(request)
        if response is None and requirement is not None:
            response = self._guard(request, requirement)
        return finish(request, self.get_response(request) if response is None else response)

    async def _acall(self, request: Any) -> Any:
        _strip(request)
        if receives(request):
            return await areceived(request)
        response, requirement = _document(request), _by_path(request)
        if response is None and requirement is not None:
            response = await self._aguard(request, requirement)
        return finish(request, await self.get_response(request) if response is None else response)

    def process_view(self, request: Any, view: Any, _args: Any, _kwargs: Any) -> HttpResponse | None:
        """Ask what every view needs, now that it is known which view it is."""
        requirement = _by_view(request, view)
        if slot_of(request).preflight:
            return HttpResponse(status=204)
        return None if requirement is None else self._guard(request, requirement)

    async def _aprocess_view(self, request: Any, view: Any, _args: Any, _kwargs: Any) -> HttpResponse | None:
        requirement = _by_view(request, view)
        if slot_of(request).preflight:
            return HttpResponse(status=204)
        return None if requirement is None else await self._aguard(request, requirement)

    def process_exception(self, request: Any, error: Exception) -> HttpResponse | None:
        """Answer for a view that refused: by `authorize(...)`, or by `raise StrongDMAuthError("No such account", 403)`."""
        if not isinstance(error, StrongDMAuthError):
            return None
        asked = slot_of(request).asked if isinstance(error, Refused) else None
        return denied(error, asked or ANY_TOKEN)

    def _guard(self, request: Any, requirement: Requirement) -> HttpResponse | None:
        try:
            authorize(request, requirement)
        except StrongDMAuthError as refusal:
            return denied(refusal, requirement)
        _spare_csrf(request, requirement)
        return None

    async def _aguard(self, request: Any, requirement: Requirement) -> HttpResponse | None:
        try:
            await aauthorize(request, requirement)
        except StrongDMAuthError as refusal:
            return denied(refusal, requirement)
        _spare_csrf(request, requirement)
        return None


def _strip(request: Any) -> None:
    certificates = conf.current().verifier.certificates
    if certificates.header is not None:
        certificates.strip(request.META, DjangoRequest(request))
        request.__dict__.pop("headers", None)  # Django makes it of META once, perhaps for a middleware before this one


def _document(request: Any) -> HttpResponse | None:
    document = conf.current().metadata
    if document is None or request.path_info != document.path or request.method not in ("GET", "HEAD"):
        return None
    return rendered(document)


def _by_path(request: Any) -> Requirement | None:
    return _unless_preflight(request, conf.current().routes.find(request.path_info))


def _by_view(request: Any, view: Any) -> Requirement | None:
    if getattr(view, PUBLIC, False):
        return None
    return _unless_preflight(request, conf.current().everywhere.find(request.path_info))


def _unless_preflight(request: Any, requirement: Requirement | None) -> Requirement | None:
    """A preflight passes to the middleware further in, which may answer it, but never to a view: most ignore the method."""
    slot = slot_of(request)
    if requirement is None or requirement.optional or not is_preflight(request):
        return requirement
    slot.preflight = True
    return None


def _spare_csrf(request: Any, requirement: Requirement) -> None:
    """What a mandatory token lets in was not sent by a browser on its own; Django's middleware marks it in the same way."""
    if not requirement.optional:
        request.csrf_processing_done = True
