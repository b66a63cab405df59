"""A Django API that lets agents in by their tokens, in one file. Configured by the environment alone: STRONGDM_* and PORT.

Run it with `python app.py`: it serves on 127.0.0.1:$PORT behind gunicorn; WEB_CONCURRENCY sets the number of workers.
`asgi` is the same project for servers such as uvicorn.
"""

import json
import os
import secrets
import sys
from pathlib import Path

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.http import require_http_methods, require_safe

from strongdm_auth import Delegation
from strongdm_auth.django import require, require_auth, require_scope

settings.configure(
    ALLOWED_HOSTS=["*"],  # it is served on loopback only, and makes no link from the Host header
    INSTALLED_APPS=["strongdm_auth.django"],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "strongdm_auth.django.StrongDMAuthMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY=secrets.token_urlsafe(50),  # nothing is signed that must outlive the process
    STRONGDM_AUTH={},  # what is not said here comes from the environment
)


def answer(data):
    """JSON as Flask writes it, so that the example apps answer alike."""
    body = json.dumps(data, sort_keys=True, separators=(",", ":")) + "\n"
    return HttpResponse(body, content_type="application/json")


@require_safe
def index(request):
    return answer(
        {"message": "A Django API for agents", "endpoints": ["/protected", "/agent-info", "/admin", "/delegated"]}
    )


@require_safe
def health(request):
    return answer({"status": "healthy"})


@require_http_methods(["GET", "HEAD", "POST"])
@require_auth
def protected(request):
    token = request.auth
    return answer({"message": "You are authenticated!", "subject": token.subject, "scopes": sorted(token.scopes)})


@require_safe
@require_auth
def agent_info(request):
    token = request.auth
    return answer(
        {
            "subject": token.subject,
            "issuer": token.issuer,
            "realm": token.realm,
            "scopes": sorted(token.scopes),
            "client_id": token.client_id,
            "expires_at": token.expires_at,
            "issued_at": token.issued_at,
            "actor": token.claims.get("act"),
            "key_thumbprint": token.key_thumbprint,
        }
    )


@require_safe
@require_scope("admin")
def admin(request):
    return answer({"message": "Welcome, admin!", "agent": request.auth.subject})


@require_safe
@require(delegation=Delegation())
async def delegated(request):
    token = request.auth
    return answer({"subject": token.subject, "actors": [actor.subject for actor in token.delegation]})


urlpatterns = [
    path("", index),
    path("health", health),
    path("protected", protected),
    path("agent-info", agent_info),
    path("admin", admin),
    path("delegated", delegated),
]

if __name__ == "__main__":
    address = f"127.0.0.1:{os.environ.get('PORT', '8000')}"
    here = str(Path(__file__).parent)
    command = ["gunicorn", "app:app", "--chdir", here, "--bind", address, "--threads", "8"]
    os.execv(sys.executable, [sys.executable, "-m", *command])

app = get_wsgi_application()
asgi = get_asgi_application()
