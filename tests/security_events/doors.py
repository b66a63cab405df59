"""Every door with an endpoint for SETs and a protected route, and one way to call them all.

Those that cannot take the path from the setting alone (Django's view) are routed as their users would.
"""

import tests.doors.django_settings  # noqa: F401  # isort: skip
import asyncio
from collections.abc import Callable
from io import BytesIO
from typing import Annotated, Any, Protocol

from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, JsonResponse
from django.urls import path
from fastapi import Depends, FastAPI
from flask import Flask
from rest_framework.response import Response
from rest_framework.views import APIView
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from werkzeug.test import Client

from strongdm_auth import AccessToken
from strongdm_auth.asgi import StrongDMAuthMiddleware as ASGIMiddleware
from strongdm_auth.django import require_auth
from strongdm_auth.django.views import security_events
from strongdm_auth.drf import StrongDMAuthentication
from strongdm_auth.fastapi import StrongDMAuth as FastAPIAuth
from strongdm_auth.flask import StrongDMAuth as FlaskAuth
from strongdm_auth.mcp import StrongDMTokenVerifier
from strongdm_auth.wsgi import StrongDMAuthMiddleware as WSGIMiddleware
from tests.contract import BASE, Answer, Headers
from tests.doors.asgi_calls import RUNNER, scope_of
from tests.doors.django_calls import Project, ask_wsgi, urls

EVENTS, ROUTE = "/security-events", "/protected"
#: A request's body in the parts that it comes in.
Parts = list[bytes]


class Door(Protocol):
    #: Whether bodies without a length reach it; Django reads none from WSGI servers.
    chunked: bool

    def send(self, method: str, at: str, headers: Headers, parts: Parts) -> Answer: ...

    def close(self) -> None: ...


class WSGIDoor:
    """A WSGI app, called as a server does that sees to the end of chunked bodies (gunicorn, waitress)."""

    chunked = True

    def __init__(self, app: Any, close: Callable[[], None]) -> None:
        self._client, self.close = Client(app, use_cookies=False), close

    def send(self, method: str, at: str, headers: Headers, parts: Parts) -> Answer:
        return _wsgi(self._client, method, at, headers, parts)


def _wsgi(client: Client, method: str, at: str, headers: Headers, parts: Parts) -> Answer:
    pairs = dict(headers)
    in_chunks = {"wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    media_type = pairs.pop("Content-Type", "")
    response = client.open(
        at,
        base_url=BASE,
        method=method,
        headers=pairs,
        data=b"".join(parts) if len(parts) < 2 else None,
        input_stream=_stream(parts) if len(parts) > 1 else None,
        content_type=media_type,
        environ_overrides=in_chunks if len(parts) > 1 else None,
    )
    return Answer.of(response.status_code, list(response.headers), response.data)


def _stream(parts: Parts) -> Any:
    return BytesIO(b"".join(parts))


class ASGIDoor:
    """An ASGI app, called by a server that waits for the answer before it hangs up."""

    chunked = True

    def __init__(self, app: Any, aclose: Callable[[], Any]) -> None:
        self._app, self._aclose = app, aclose

    def send(self, method: str, at: str, headers: Headers, parts: Parts) -> Answer:
        return _asgi(self._app, method, at, headers, parts)

    def close(self) -> None:
        RUNNER.run(self._aclose())


def _asgi(app: Any, method: str, at: str, headers: Headers, parts: Parts) -> Answer:
    sent: list[dict[str, Any]] = []
    waiting = [{"type": "http.request", "body": part, "more_body": True} for part in parts or [b""]]
    waiting[-1]["more_body"] = False

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(dict(message))

    async def run() -> None:
        if len(parts) == 1:
            headers.append(("Content-Length", str(len(parts[0]))))
        await app(scope_of(method, at, "", headers), receive, send)

    RUNNER.run(run())
    start, *rest = sent
    pairs = [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]]
    return Answer.of(start["status"], pairs, b"".join(message.get("body", b"") for message in rest))


class DjangoDoor:
    """A project with middleware of its own or none, by WSGI or by ASGI."""

    def __init__(self, routes: list[Any], settings: dict[str, Any], *, asynchronous: bool, **project: Any) -> None:
        self.chunked = self._asynchronous = asynchronous
        configured = {name.upper(): value for name, value in settings.items()}
        self._project = Project(urls(*routes), configured, **project)

    def send(self, method: str, at: str, headers: Headers, parts: Parts) -> Answer:
        with self._project.running():
            if self._asynchronous:
                return _asgi(ASGIHandler(), method, at, headers, parts)
            environ = {"wsgi.input": _stream(parts), "CONTENT_LENGTH": str(len(b"".join(parts)))}
            media_type = dict(headers).get("Content-Type", "")
            rest = [(name, value) for name, value in headers if name != "Content-Type"]
            return ask_wsgi(method, at, headers=rest, CONTENT_TYPE=media_type, **environ)

    def close(self) -> None:
        self._project.close()


def flask(settings: dict[str, Any], *, guarded: bool) -> WSGIDoor:
    """With a decorator on its view, or the whole app behind `protect`."""
    app = Flask("events")
    auth = FlaskAuth(app, **settings)
    view = auth.require_auth(lambda: {"reached": True}) if not guarded else lambda: {"reached": True}
    app.add_url_rule(ROUTE, "view", view)
    if guarded:
        auth.protect(app)
    with app.app_context():
        verifier = auth.verifier
    return WSGIDoor(app, verifier.close)


def wsgi(settings: dict[str, Any]) -> WSGIDoor:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"reached"]

    door = WSGIMiddleware(app, **settings)
    return WSGIDoor(door, door.verifier.close)


async def bare(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"reached"})


def asgi(settings: dict[str, Any]) -> ASGIDoor:
    door = ASGIMiddleware(bare, **settings)
    return ASGIDoor(door, door.verifier.aclose)


def starlette(settings: dict[str, Any]) -> ASGIDoor:
    async def endpoint(request: Any) -> PlainTextResponse:
        return PlainTextResponse("reached")

    door = ASGIMiddleware(Starlette(routes=[Route(ROUTE, endpoint)]), **settings)
    return ASGIDoor(door, door.verifier.aclose)


def starlette_mounted(settings: dict[str, Any]) -> ASGIDoor:
    """Below a mount of another app: the path is as the app behind the door has it."""
    door = ASGIMiddleware(bare, **settings)
    outer = Starlette(routes=[Mount("/below", door)])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await outer({**scope, "path": "/below" + scope["path"]}, receive, send)

    return ASGIDoor(app, door.verifier.aclose)


def fastapi(settings: dict[str, Any]) -> ASGIDoor:
    """The whole app needs a token; `install` serves the endpoint."""
    auth = FastAPIAuth(**settings)
    app = FastAPI(dependencies=[Depends(auth)])
    auth.install(app)

    @app.get(ROUTE)
    def endpoint(token: Annotated[AccessToken, Depends(auth)]) -> dict[str, bool]:
        return {"reached": True}

    return ASGIDoor(app, auth.verifier.aclose)


def view(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"reached": True})


async def async_view(request: HttpRequest) -> JsonResponse:
    return view(request)


def django(settings: dict[str, Any], *, asynchronous: bool) -> DjangoDoor:
    """By the middleware, every view needing a token."""
    routes = [path(ROUTE[1:], async_view if asynchronous else view)]
    return DjangoDoor(routes, {**settings, "REQUIRE": True}, asynchronous=asynchronous)


def django_view(settings: dict[str, Any], *, asynchronous: bool) -> DjangoDoor:
    """By our view, in a project without our middleware, but with Django's against forged forms."""
    routes = [path(EVENTS[1:], security_events), path(ROUTE[1:], require_auth(view))]
    csrf = ["django.middleware.csrf.CsrfViewMiddleware"]
    return DjangoDoor(routes, settings, asynchronous=asynchronous, MIDDLEWARE=csrf)


class Protected(APIView):
    authentication_classes = [StrongDMAuthentication]  # noqa: RUF012

    def get(self, request: Any) -> Response:
        return Response({"reached": bool(request.auth)}, status=200 if request.auth else 401)


def drf(settings: dict[str, Any]) -> DjangoDoor:
    routes = [path(EVENTS[1:], security_events), path(ROUTE[1:], Protected.as_view())]
    return DjangoDoor(routes, settings, asynchronous=False, MIDDLEWARE=[])


def mcp(settings: dict[str, Any]) -> ASGIDoor:
    auth = StrongDMTokenVerifier(**settings)
    door = auth.sender_constrained(bare)
    return ASGIDoor(door, door.verifier.aclose)


DOORS: dict[str, Callable[[dict[str, Any]], Door]] = {
    "flask": lambda settings: flask(settings, guarded=False),
    "flask, all of it behind protect": lambda settings: flask(settings, guarded=True),
    "wsgi": wsgi,
    "asgi": asgi,
    "starlette": starlette,
    "starlette, below a mount": starlette_mounted,
    "fastapi": fastapi,
    "django": lambda settings: django(settings, asynchronous=False),
    "django, async": lambda settings: django(settings, asynchronous=True),
    "django's view": lambda settings: django_view(settings, asynchronous=False),
    "django's view, async": lambda settings: django_view(settings, asynchronous=True),
    "drf": drf,
    "mcp": mcp,
}
