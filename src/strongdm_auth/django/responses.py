"""From the verifier's answers to Django's: denials, the metadata document, and what an answer must carry on top."""

from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from strongdm_auth.challenge import Denial
from strongdm_auth.errors import StrongDMAuthError
from strongdm_auth.flow import VARY
from strongdm_auth.metadata import Metadata
from strongdm_auth.receiving import WRONG_METHOD
from strongdm_auth.requirement import ANY_TOKEN, Requirement
from strongdm_auth.security_events import MOST_SET_BYTES

from . import conf
from .authentication import slot_of


def rendered(answer: Denial | Metadata) -> HttpResponse:
    """The answer, byte for byte."""
    return HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))


def denied(error: StrongDMAuthError, requirement: Requirement = ANY_TOKEN) -> HttpResponse:
    """The answer to a refusal, for a route that asked `requirement`. A fault of the deployment's is raised again."""
    return rendered(conf.current().verifier.denial(error, requirement))


def receives(request: Any) -> bool:
    """Whether this is where Security Event Tokens are received (RFC 8935)."""
    path = conf.current().settings.security_events
    return path is not None and bool(request.path_info == path)


def received(request: Any) -> HttpResponse:
    """The answer to one."""
    answer = WRONG_METHOD if request.method != "POST" else conf.current().verifier.receive(*_event(request))
    return rendered(answer)


async def areceived(request: Any) -> HttpResponse:
    """The same, in an event loop."""
    answer = WRONG_METHOD if request.method != "POST" else await conf.current().async_verifier.receive(*_event(request))
    return rendered(answer)


def _event(request: Any) -> tuple[str, bytes]:
    return request.META.get("CONTENT_TYPE", ""), request.read(MOST_SET_BYTES + 1)


def finish(request: Any, response: Any) -> Any:
    """Put on an answer what its route's authentication asks for; doing it again changes nothing."""
    slot = slot_of(request)
    if slot.asked is None or not isinstance(response, HttpResponseBase):
        return response
    headers = response.headers
    for name, value in (VARY,) if slot.admission is None else slot.admission.headers:
        there = headers.get(name)
        if there is None or name == "Cache-Control":
            headers[name] = value
        elif name == "Vary" and there != value:
            patch_vary_headers(response, value.split(", "))
    if slot.admission is not None:
        # Django's cache middleware would answer a replayed proof, or a token that has expired since, from the cache.
        request._cache_update_cache = False
    return response
