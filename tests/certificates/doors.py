"""One app behind every door that an app stands behind, which answers with the certificate header that it sees."""

import tests.doors.django_settings  # noqa: F401  # isort: skip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import flask
from fastapi import Depends, FastAPI, Request
from werkzeug.test import Client

from strongdm_auth import AccessToken
from strongdm_auth.asgi import StrongDMAuthMiddleware as ASGIMiddleware
from strongdm_auth.fastapi import StrongDMAuth as FastAPIAuth
from strongdm_auth.flask import StrongDMAuth as FlaskAuth
from strongdm_auth.mcp import StrongDMTokenVerifier
from strongdm_auth.wsgi import StrongDMAuthMiddleware as WSGIMiddleware
from tests.contract import Answer, Headers
from tests.doors.asgi_calls import RUNNER, ask
from tests.doors.django_calls import Project, ask_asgi, ask_wsgi, urls

HEADER = "X-Client-Cert"
OURS = "strongdm_auth.django.StrongDMAuthMiddleware"
#: `/open` needs nothing, every other path a token.
Ask = Callable[[str, Headers, str], Answer]


def seen(answer: Answer) -> list[str]:
    """The header as the app saw it."""
    assert answer.status == 200, answer
    found: list[str] = json.loads(answer.body)
    return found


@contextmanager
def wsgi(settings: dict[str, Any]) -> Iterator[Ask]:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [json.dumps([environ[name] for name in environ if name == "HTTP_X_CLIENT_CERT"]).encode()]

    yield through_wsgi(WSGIMiddleware(app, exempt=["/open"], **settings))


@contextmanager
def flask_door(settings: dict[str, Any]) -> Iterator[Ask]:
    app = flask.Flask("seen")
    auth = FlaskAuth(app, **settings)

    def view() -> list[str]:
        return flask.request.headers.getlist(HEADER)

    app.add_url_rule("/open", "open", view)
    app.add_url_rule("/", "index", auth.require_auth(view))
    app.register_error_handler(404, lambda _: (view(), 200))
    yield through_wsgi(app)


def through_wsgi(app: Any) -> Ask:
    def asking(path: str, headers: Headers, peer: str) -> Answer:
        response = Client(app).open(path, headers=headers, environ_overrides={"REMOTE_ADDR": peer})
        return Answer.of(response.status_code, list(response.headers), response.data)

    return asking


async def bare(scope: Any, receive: Any, send: Any) -> None:
    body = json.dumps([value.decode() for name, value in scope["headers"] if name == b"x-client-cert"]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def through_asgi(app: Any) -> Ask:
    return lambda path, headers, peer: ask(app, "GET", path, headers=headers, client=(peer, 40_000) if peer else None)


@contextmanager
def asgi(settings: dict[str, Any]) -> Iterator[Ask]:
    app = ASGIMiddleware(bare, exempt=["/open"], **settings)
    yield through_asgi(app)
    RUNNER.run(app.verifier.aclose())


@contextmanager
def mcp(settings: dict[str, Any]) -> Iterator[Ask]:
    auth = StrongDMTokenVerifier(**settings)
    app = auth.sender_constrained(bare, exempt=["/open"])
    yield through_asgi(app)
    RUNNER.run(app.verifier.aclose())


@contextmanager
def fastapi(settings: dict[str, Any]) -> Iterator[Ask]:
    auth, app = FastAPIAuth(**settings), FastAPI()

    @app.get("/open")
    async def open_(request: Request) -> list[str]:
        return request.headers.getlist(HEADER)

    @app.get("/")
    async def index(request: Request, _: Annotated[AccessToken, Depends(auth)]) -> list[str]:
        return request.headers.getlist(HEADER)

    auth.install(app)
    yield through_asgi(app)
    RUNNER.run(auth.verifier.aclose())


@contextmanager
def django(settings: dict[str, Any], sent: Callable[..., Answer]) -> Iterator[Ask]:
    from django.http import JsonResponse
    from django.urls import path as at

    def view(request: Any) -> Any:
        found = [request.META[name] for name in request.META if name == "HTTP_X_CLIENT_CERT"]
        assert found == [request.headers[name] for name in request.headers if name == HEADER]
        return JsonResponse(found, safe=False)

    async def async_view(request: Any) -> Any:
        return view(request)

    chosen = view if sent is ask_wsgi else async_view
    configured = {name.upper(): value for name, value in settings.items()}
    configured |= {"PROTECTED_ROUTES": {"/": {}}, "EXEMPT": ["/open"]}
    project = Project(urls(at("", chosen), at("open", chosen)), configured, MIDDLEWARE=[OURS])

    def asking(path: str, headers: Headers, peer: str) -> Answer:
        if sent is ask_wsgi:
            return ask_wsgi("GET", path, headers=headers, REMOTE_ADDR=peer)
        return ask_asgi("GET", path, headers=headers, client=(peer, 40_000) if peer else None)

    with project.running():
        yield asking
    project.close()


@contextmanager
def django_wsgi(settings: dict[str, Any]) -> Iterator[Ask]:
    with django(settings, ask_wsgi) as asking:
        yield asking


@contextmanager
def django_asgi(settings: dict[str, Any]) -> Iterator[Ask]:
    with django(settings, ask_asgi) as asking:
        yield asking


DOORS = {
    "wsgi": wsgi,
    "flask": flask_door,
    "asgi": asgi,
    "mcp": mcp,
    "fastapi": fastapi,
    "django-wsgi": django_wsgi,
    "django-asgi": django_asgi,
}
