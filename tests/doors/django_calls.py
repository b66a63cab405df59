"""Sends requests to Django as servers do: WSGI with repeated fields joined, ASGI with each by itself."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings
from werkzeug.test import Client

from strongdm_auth.django import conf
from tests.contract import BASE, Answer, Headers
from tests.doors.asgi_calls import RUNNER, scope_of
from tests.doors.flask_door import as_a_server_joins


def urls(*patterns: Any) -> ModuleType:
    """A ROOT_URLCONF of these routes."""
    module = ModuleType("routes")
    module.urlpatterns = list(patterns)  # type: ignore[attr-defined]
    return module


def ask_wsgi(
    method: str,
    path: str,
    query: str = "",
    headers: Headers = (),
    base: str = BASE,
    **environ: Any,  # type: ignore[assignment]
) -> Answer:
    """One request to a project whose middleware has just been loaded from the settings."""
    client = Client(WSGIHandler(), use_cookies=False)
    response = client.open(
        path,
        base_url=base,
        query_string=query,
        method=method,
        headers=as_a_server_joins(list(headers)),
        environ_overrides=environ,
    )
    return Answer.of(response.status_code, list(response.headers), response.data)


def ask_asgi(method: str, path: str, /, query: str = "", headers: Headers = (), **more: Any) -> Answer:  # type: ignore[assignment]
    """The same through the ASGI handler, whose server waits for the answer before it hangs up."""
    sent: list[dict[str, Any]] = []
    waiting = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(dict(message))

    scope = scope_of(method, path, query, list(headers)) | more
    if any(name == "Host" for name, _ in headers):
        del scope["headers"][0]

    async def run() -> None:
        await ASGIHandler()(scope, receive, send)

    RUNNER.run(run())
    start, *rest = sent
    pairs = [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]]
    return Answer.of(start["status"], pairs, b"".join(message.get("body", b"") for message in rest))


class Project:
    """A project with its own settings, which keeps what it has learned between requests, as a process would."""

    def __init__(self, routes: ModuleType, configured: dict[str, Any], **settings: Any) -> None:
        self._settings = {"ROOT_URLCONF": routes, "STRONGDM_AUTH": configured, **settings}
        self._deployment: conf.Deployment | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        with override_settings(**self._settings):
            conf._deployment = self._deployment
            yield
            self._deployment = conf._deployment

    def close(self) -> None:
        if self._deployment is not None:
            RUNNER.run(self._deployment.async_verifier.aclose())
            self._deployment.verifier.close()


def at(raw: str) -> dict[str, Any]:
    """For `ask_wsgi`: a path exactly as a client sends it, which servers decode and also keep as it was."""
    return {"PATH_INFO": unquote_to_bytes(raw).decode("latin-1"), "RAW_URI": raw}


def scope_at(raw: str) -> dict[str, Any]:
    """For `ask_asgi`: the same."""
    return {"path": unquote(raw), "raw_path": raw.encode()}
