"""Paths that try to reach a protected view under another name, and the URL that a proof is held against."""

import tests.doors.django_settings  # noqa: F401  # isort: skip
from io import BytesIO
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory, RequestFactory, override_settings

from strongdm_auth.django.request import DjangoRequest
from tests.contract import World
from tests.doors.asgi_calls import scope_of
from tests.doors.django_calls import ask_asgi, ask_wsgi, at, scope_at
from tests.doors.django_projects import (  # noqa: F401
    Serve,
    a_project,
    a_world,
    async_view,
    bearer,
    bound,
    view,
)

#: Ways to spell /api/admin, and what lies below it, that some router might take for it.
TRICKS = [
    "/api/admin",
    "/api/admin/",
    "/api/admin//",
    "/api/admin/x",
    "//api/admin",
    "/api//admin",
    "/api/./admin",
    "/api/x/../admin",
    "/api/%2e/admin",
    "/api/x/%2e%2e/admin",
    "/api%2Fadmin",
    "/api%2fadmin",
    "/%2Fapi/admin",
    "/api/%61dmin",
    "/api/ADMIN",
    "/API/admin",
    "/api/admin;x=1",
    "/api;x/admin",
    "/api/admin;/",
    "/api/admin%3Bx",
    "/api\\admin",
    "/api%5Cadmin",
    "/api/admin%0A",
    "/api/admin/%0A",
    "/api/admin%0a",
    "/api/admin/./",
    "/api/admin/..;/admin",
]
#: Other paths, which the table says nothing of.
OPEN = ["/", "/api", "/api/", "/api/administrators", "/api/admin.json", "/api/adminx", "/x/api/admin"]

#: Routers of every taste: Django's own, regular expressions with `$`, in any case, and one that takes all.
ROUTERS = {
    "path": "api/admin",
    "slash": "api/admin/",
    "dollar": r"^api/admin/?$",
    "any-case": r"(?i)^api/admin/?$",
    "below": r"^/*api[/\\]+(?:\S+/)*admin\b(?!\.json)",
}


def secret(request: HttpRequest, **_: Any) -> HttpResponse:
    return HttpResponse("secret")


@pytest.mark.parametrize("prefix", ["", "/mount"])
@pytest.mark.parametrize("router", ROUTERS)
def test_no_spelling_reaches_a_protected_view(router: str, prefix: str, serve: Serve) -> None:
    route = (
        ROUTERS[router].replace("(?i)^", "^(?i:").replace("/?$", "/?)$") if router == "any-case" else ROUTERS[router]
    )
    serve({route: secret}, {"PROTECTED_ROUTES": {"/api/admin": {}}}, APPEND_SLASH=False)
    for trick in TRICKS:
        answers = [
            ask_wsgi("GET", "/", **{**at(trick), "SCRIPT_NAME": prefix, "RAW_URI": prefix + trick}),
            ask_asgi("GET", "/", root_path=prefix, **scope_at(prefix + trick)),
        ]
        for answer in answers:
            assert (answer.status, b"secret" in answer.body) == (401, False), trick


def test_a_forced_prefix_is_no_part_of_the_table(serve: Serve, world: World) -> None:
    serve({"api/admin": view}, {"PROTECTED_ROUTES": {"/api/admin": {}}}, FORCE_SCRIPT_NAME="/mount")
    assert ask_wsgi("GET", "/api/admin").status == 401
    assert ask_asgi("GET", "/mount/api/admin").status == 401
    assert ask_asgi("GET", "/api/admin").status == 401
    # A proxy has cut the prefix off: the client spoke to /mount/api/admin, and Django knows.
    assert ask_wsgi("GET", "/api/admin", headers=bound(world, "/mount/api/admin")).status == 200
    assert ask_wsgi("GET", "/api/admin", headers=bound(world, "/api/admin")).status == 401


@pytest.mark.parametrize("path", OPEN)
def test_other_paths_are_open(path: str, serve: Serve) -> None:
    serve({"^.*": secret}, {"PROTECTED_ROUTES": {"/api/admin": {}}})
    assert ask_wsgi("GET", "/", **at(path)).body == b"secret"
    assert ask_asgi("GET", "/", **scope_at(path)).body == b"secret"


@pytest.mark.parametrize("path", ["/health%0A", "//health", "/HEALTH", "/health;x", "/health/../x", "/x/..%2Fhealth"])
def test_only_a_plain_path_is_exempt(path: str, serve: Serve) -> None:
    serve({"^.*": secret}, {"PROTECTED_ROUTES": {"/": {}}, "EXEMPT": "/health"})
    assert ask_wsgi("GET", "/", **at("/health")).status == 200
    assert ask_wsgi("GET", "/", **at(path)).status == 401
    assert ask_asgi("GET", "/", **scope_at(path)).status == 401


@pytest.mark.parametrize(
    "path",
    ["/x", "/x/%2F", "/x/%C3%BC", "/x/a%20b", "/x/~a!$&'()*+,;=:@", "/x/%25", "//x", "/x/%e2%82%ac/", "/x/%3Fq"],
)
@pytest.mark.parametrize("prefix", ["", "/mount", "/m%C3%BC"])
def test_a_proof_is_held_against_the_path_as_it_was_sent(path: str, prefix: str, serve: Serve, world: World) -> None:
    serve({"^.*": view}, {"PROTECTED_ROUTES": {"/": {}}})
    sent = prefix + path
    environ = {**at(path), "SCRIPT_NAME": at(prefix)["PATH_INFO"], "RAW_URI": sent}
    assert ask_wsgi("GET", "/", headers=bound(world, sent), **environ).status == 200
    assert ask_wsgi("GET", "/", headers=bound(world, "/y"), **environ).status == 401
    assert ask_asgi("GET", "/", headers=bound(world, sent), root_path=prefix, **scope_at(sent)).status == 200
    if "%2F" not in path:  # without the server's own record, the path is escaped again
        environ["RAW_URI"] = ""
        assert ask_wsgi("GET", "/", headers=bound(world, sent), **environ).status == 200
        without = {**scope_at(sent), "raw_path": b""}
        assert ask_asgi("GET", "/", headers=bound(world, sent), **without).status == 200


def test_a_host_that_is_not_allowed_is_400_as_in_django(serve: Serve, world: World) -> None:
    serve({"x": view, "async": async_view}, {"PROTECTED_ROUTES": {"/": {}}})
    evil = "https://evil.example"
    for name in ("x", "async"):
        assert ask_wsgi("GET", f"/{name}", headers=bound(world, f"/{name}", evil), base=evil).status == 400
        pairs = [("Host", "evil.example"), *bound(world, f"/{name}", evil)]
        assert ask_asgi("GET", f"/{name}", headers=pairs).status == 400


def test_forwarded_headers_count_only_where_django_is_told_so(serve: Serve, world: World) -> None:
    forwarded = {"HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_FORWARDED_HOST": "api.example.com"}
    inside, outside = "http://testserver", "https://api.example.com"
    serve({"x": view}, {"PROTECTED_ROUTES": {"/": {}}})

    def status(base: str) -> int:
        return ask_wsgi("GET", "/x", headers=bound(world, "/x", base), base=inside, **forwarded).status

    assert (status(inside), status(outside)) == (200, 401)
    with override_settings(SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"), USE_X_FORWARDED_HOST=True):
        assert (status(inside), status(outside)) == (401, 200)


def test_a_public_url_stands_for_scheme_host_and_prefix(serve: Serve, world: World) -> None:
    serve({"x": view}, {"PROTECTED_ROUTES": {"/": {}}, "PUBLIC_URL": "https://public.example/v1"})
    headers = bound(world, "/v1/x", "https://public.example")
    assert ask_wsgi("GET", "/x", headers=headers, base="http://evil.example").status == 200


def test_a_request_reads_the_same_from_both_factories() -> None:
    for factory in (RequestFactory(), AsyncRequestFactory()):
        request = DjangoRequest(factory.post("/a/b?c=d", headers={"Authorization": "Bearer x", "DPoP": "y"}))
        assert (request.method, request.query) == ("POST", "c=d")
        assert (request.uri(), request.authorization, request.dpop) == (
            "http://testserver/a/b",
            ("Bearer x",),
            ("y",),
        )
        assert repr(request) == "<DjangoRequest POST>"


def test_the_token_is_read_from_the_header_alone(serve: Serve, world: World) -> None:
    serve({"x": view}, {"PROTECTED_ROUTES": {"/": {}}})
    token = world.token()
    assert ask_wsgi("GET", "/x", f"access_token={token}").status == 401
    assert ask_wsgi("GET", "/x", f"access_token={token}", headers=bearer(world)).status == 400


def test_repeated_fields_are_still_apart_under_asgi() -> None:
    pairs = [(b"authorization", b"Bearer a"), (b"dpop", b"x"), (b"authorization", b"Bearer b"), (b"dpop", b"y")]
    request = DjangoRequest(ASGIRequest(scope_of("GET", "/") | {"headers": pairs}, BytesIO()))
    assert (request.authorization, request.dpop) == (("Bearer a", "Bearer b"), ("x", "y"))
