"""From the verifier's answers to Django's: denials, the metadata document, and what an answer must carry on top."""

from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from strongdm_auth.challenge import Denial
from strongdm_auth.errors import StrongDMAuthError
from strongdm_auth.flow import VARY
from strongdm_auth.metadata import Metadata
from strongdm_auth.requirement import ANY_TOKEN, Requirement

from . import conf
from .authentication import slot_of


def rendered(answer: Denial | Metadata) -> HttpResponse:
    """The answer, byte for byte."""
    return HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))


def denied(error: StrongDMAuthError, requirement: Requirement = ANY_TOKEN) -> HttpResponse:
    """The answer to a refusal, for a route that asked `requirement`. A fault of the deployment's is raised again."""
    return rendered(conf.current().verifier.denial(error, requirement))


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
