"""The RFC 9728 document as a view, for projects that route it themselves. The middleware serves it without this."""

from typing import Any

from django.http import Http404, HttpResponse, HttpResponseNotAllowed

from . import conf
from .decorators import public
from .responses import received, rendered


@public
def metadata(request: Any) -> HttpResponse:
    """The document at its own path; 404 where no RESOURCE is set, and for another resource's document."""
    document = conf.current().metadata
    if document is None or document.path not in (request.path, request.path_info):
        raise Http404
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    return rendered(document)


@public
def security_events(request: Any) -> HttpResponse:
    """Where Security Event Tokens are received (RFC 8935), for projects without our middleware: route it where you like."""
    return received(request)


setattr(security_events, "csrf_exempt", True)  # noqa: B010  # no browser sends these, and no cookie counts here
setattr(security_events, "login_required", False)  # noqa: B010
setattr(metadata, "login_required", False)  # noqa: B010  # for Django's LoginRequiredMiddleware
