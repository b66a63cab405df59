"""The RFC 9728 document: from the middleware by itself, and as a view."""

import tests.doors.django_settings  # noqa: F401  # isort: skip
import json
from typing import Any

from django.urls import include, path

from tests.contract import World
from tests.doors.django_calls import ask_asgi, ask_wsgi
from tests.doors.django_projects import (  # noqa: F401
    AUTHENTICATION,
    LOGIN_REQUIRED,
    OURS,
    SESSIONS,
    Ask,
    Serve,
    a_project,
    a_world,
    both_servers,
    view,
)

RESOURCE = "https://api.example.com/v1"
AT = "/.well-known/oauth-protected-resource/v1"


@both_servers
def test_the_middleware_serves_the_document_to_anyone(ask: Ask, serve: Serve, world: World) -> None:
    serve({"x": view}, {"RESOURCE": RESOURCE, "PROTECTED_ROUTES": {"/": {}}, "REQUIRE": True})
    answer = ask("GET", AT)
    assert (answer.status, answer.header("Content-Type")) == (200, "application/json")
    assert answer.header("Access-Control-Allow-Origin") == "*"
    document = json.loads(answer.body)
    assert document["resource"] == RESOURCE
    assert document["authorization_servers"] == [world.issuer.issuer_url(name) for name in ("alpha", "beta")]
    assert ask("POST", AT).status == 401
    assert ask("GET", AT + "/x").status == 401
    assert ask("GET", "/x").challenges["Bearer"]["resource_metadata"] == f"https://api.example.com{AT}"


def test_without_a_resource_there_is_no_document(serve: Serve) -> None:
    serve({"x": view})
    assert ask_wsgi("GET", AT).status == 404


@both_servers
def test_a_project_may_route_it_itself(ask: Ask, serve: Serve, monkeypatch: Any) -> None:
    from django.test import override_settings

    from tests.doors.django_calls import urls

    routes = urls(path("", include("strongdm_auth.django.urls")))
    serve({}, {"RESOURCE": RESOURCE})
    with override_settings(ROOT_URLCONF=routes, MIDDLEWARE=[SESSIONS, AUTHENTICATION, LOGIN_REQUIRED]):
        answer = ask("GET", AT)
        assert (answer.status, json.loads(answer.body)["resource"]) == (200, RESOURCE)
        assert ask("HEAD", AT).status == 200
        assert ask("POST", AT).status == 405
        assert ask("GET", "/.well-known/oauth-protected-resource").status == 404
        assert ask("GET", "/.well-known/oauth-protected-resource/v2").status == 404
    with override_settings(ROOT_URLCONF=routes, MIDDLEWARE=[OURS], STRONGDM_AUTH={"REALMS": "a", "AUDIENCE": "b"}):
        assert ask("GET", AT).status == 404


def test_the_document_of_a_mounted_project_is_found_below_the_mount(serve: Serve) -> None:
    serve({"x": view}, {"RESOURCE": "https://api.example.com"})
    at = "/.well-known/oauth-protected-resource"
    assert ask_wsgi("GET", at, SCRIPT_NAME="/mount").status == 200
    assert ask_asgi("GET", f"/mount{at}", root_path="/mount").status == 200
