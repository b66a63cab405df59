"""Forward-auth by requests as nginx, Traefik and Envoy send them: who is believed about what, and the contract's answers.

The proxies themselves are in `test_forward_auth_nginx.py` and `test_forward_auth_others.py`.
"""

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

from strongdm_auth import ConfigurationError, Requirement
from strongdm_auth.forward_auth import ForwardAuth, wsgi
from strongdm_auth.testing import Issuer
from tests.contract import BASE, ROUTES, Case, World
from tests.contract_cases import CASES, bearer, bound
from tests.doors.asgi_calls import RUNNER, call, scope_of
from tests.doors.forward_auth_gates import CONVENTIONS, EVERY, IDENTITY, KINDS, PREFLIGHT, Gates, as_traefik, every


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Issuer(realms=("alpha", "beta", "gamma")).serve() as issuer:
        yield World(issuer)


@pytest.fixture(scope="module")
def make(world: World) -> Iterator[Gates]:
    made = Gates(world)
    yield made
    made.close()


@pytest.mark.parametrize(("convention", "kind"), KINDS, ids=str)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_contract(case: Case, convention: str, kind: str, make: Gates, world: World) -> None:
    fresh = case.name if case.before else ""  # a case that breaks the issuer needs a gate that has not met it yet
    gate = make(convention, kind, fresh=fresh, protected_routes=ROUTES, **case.settings)
    headers = case.send(world)
    for _ in range(case.sent_before):
        gate.send(case.method, case.path, case.query, headers)
    if case.before is not None:
        case.before(world, headers)
    try:
        answer = gate.send(case.method, case.path, case.query, headers)
    finally:
        world.issuer.heal()
    if answer.status == 200:
        assert answer.header("Cache-Control") == "no-store"
        said = {name.removeprefix("x-auth-"): unquote(answer.header(name) or "") for name in IDENTITY}
        for fact in ("subject", "realm", "actor"):
            assert said[fact] == (case.token.get(fact, said[fact]) or "")
        assert not case.token.get("anonymous") or set(said.values()) == {""}
        answer.body = b"{}"
        case = replace(case, token={})
    case.check(answer)


# Who is believed


@every
def test_a_proof_is_held_against_the_original_method_and_uri(
    convention: str, kind: str, make: Gates, world: World
) -> None:
    gate = make(convention, kind)
    sent = "/caf%C3%A9/%2Fx?a=1"
    path = sent.partition("?")[0]
    assert gate.ask(sent, bound(path=path, method="DELETE")(world), "DELETE").status == 200
    assert gate.ask(sent, bound(path=path)(world), "DELETE").status == 401
    assert gate.ask(sent, bound(path=path.replace("%2F", "/"))(world)).status == 401
    assert gate.ask(sent, bound(path="/", method="GET")(world)).status == 401
    assert gate.ask(sent, bound(url="http://api.example.com" + path)(world)).status == 401
    assert gate.ask(sent, bound(url="https://api.example.com:444" + path)(world)).status == 401


def test_with_a_public_url_no_header_says_scheme_or_host(make: Gates, world: World) -> None:
    evil = [("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "http")]
    for convention in ("traefik", "envoy"):
        gate = make(convention, public_url=BASE)
        method, target, headers = gate.proxied("GET", "/x", bound(path="/x")(world))
        others = [pair for pair in headers if pair[0] not in ("X-Forwarded-Host", "X-Forwarded-Proto")]
        assert gate.raw((method, target, [*others, *evil, *evil])).status == 200, "not even looked at"
        _, _, headers = gate.proxied("GET", "/x", bound(url="http://evil.example/x")(world))
        others = [pair for pair in headers if pair[0] not in ("X-Forwarded-Host", "X-Forwarded-Proto")]
        assert gate.raw((method, target, [*others, *evil, ("Host", "evil.example")])).status == 401


def test_nginx_says_scheme_and_host_in_the_headers_that_are_named(make: Gates, world: World) -> None:
    gate = make(public_url=None, origin_headers=("X-Original-Proto", "X-Original-Host"))
    told = [("X-Original-Proto", "https"), ("X-Original-Host", "api.example.com")]
    assert gate.ask("/x", [*told, *bound(path="/x")(world)]).status == 200
    assert gate.ask("/x", [*told[1:], *bound(path="/x")(world)]).status == 400
    assert gate.ask("/x", [("X-Forwarded-Proto", "https"), *told[1:], *bound(path="/x")(world)]).status == 400


@pytest.mark.parametrize("host", ["api.example.com/x?", "api.example.com/x#", "a@api.example.com", "a b", "a,b", "["])
def test_a_host_that_is_none_is_not_part_of_a_uri(host: str, make: Gates, world: World) -> None:
    """With `api.example.com/x?` in front of the path, a proof for /x would be good for every path."""
    gate = make("traefik")
    method, target, headers = as_traefik("GET", "/secret", bound(path="/x")(world))
    headers = [(name, host if name == "X-Forwarded-Host" else value) for name, value in headers]
    answer = gate.raw((method, target, headers))
    assert (answer.status, answer.header("X-Auth-Subject")) == (401, None)
    open_gate = make("traefik", protected_routes={"/secret": {}})
    assert open_gate.raw((method, target, headers)).status == 401, "nor of the path that routes are found by"


@every
def test_headers_of_the_other_conventions_count_for_nothing(
    convention: str, kind: str, make: Gates, world: World
) -> None:
    gate = make(convention, kind, protected_routes={"/secret": {"scopes": "admin"}})
    others = [
        pair
        for other, (proxied, _) in CONVENTIONS.items()
        if other != convention
        for pair in proxied("OPTIONS", "/open", [])[2]
        if pair[0] != "X-Forwarded-Proto"
    ]
    rest = [("X-Original-Url", "/open"), ("X-Rewrite-Url", "/open"), ("X-HTTP-Method-Override", "OPTIONS"), *PREFLIGHT]
    assert gate.ask("/secret", [*others, *rest, *bearer()(world)]).status == 403
    assert gate.ask("/secret", [*others, *rest]).status == 401
    assert gate.ask("/open", others).status == 200


def needed(convention: str) -> list[str]:
    return {
        "nginx": ["X-Original-Method", "X-Original-URI"],
        "traefik": [f"X-Forwarded-{name}" for name in ("Method", "Proto", "Host", "Uri")],
        "envoy": ["X-Forwarded-Proto"],
    }[convention]


@every
def test_a_missing_an_empty_and_a_repeated_header_are_refused(
    convention: str, kind: str, make: Gates, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """On an open path even, and for a good token: who the request is about cannot be told."""
    gate = make(convention, kind, protected_routes={"/secret": {}})
    method, target, headers = gate.proxied("GET", "/secret", bearer()(world))
    assert gate.raw((method, target, headers)).status == 200
    for name in needed(convention):
        value = dict(headers)[name]
        others = [pair for pair in headers if pair[0] != name]
        for values in ([], [""], [value, value], [value, "/open"], ["/open", value], ["GET", value]):
            sent = [*others, *((name, each) for each in values)]
            answer = gate.raw((method, target, sent))
            proto_of_two = kind == "wsgi" and name == "X-Forwarded-Host" and len(values) == 2
            assert answer.status == (200 if proto_of_two else 400), (name, values)
            if not proto_of_two:
                assert answer.header("X-Auth-Subject") is None
                assert b'"invalid_request"' in answer.body
                assert answer.header("WWW-Authenticate")
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    assert convention in caplog.text
    assert needed(convention)[0].lower() in caplog.text
    assert "/open" not in caplog.text, "no value of a header gets into the log"


@pytest.mark.parametrize("method", ["", "GET POST", "GET\u00e9", "G" * 33, "GET,GET", '"GET"'])
def test_what_is_no_method_is_refused(method: str, make: Gates, world: World) -> None:
    assert make().ask("/x", bearer()(world), method).status == 400


def test_a_websocket_s_scheme_is_the_http_one(make: Gates, world: World) -> None:
    gate = make("traefik")
    method, target, headers = as_traefik("GET", "/x", bound(path="/x")(world))
    sent = [(name, "wss" if name.endswith("Proto") else value) for name, value in headers]
    assert gate.raw((method, target, sent)).status == 200
    sent = [(name, "ftp" if name.endswith("Proto") else value) for name, value in headers]
    assert gate.raw((method, target, sent)).status == 400


def test_wsgi_refuses_what_may_be_two_headers_that_the_server_joined(make: Gates, world: World) -> None:
    """`X_Original_URI` is a client's to send, and the same to CGI as the proxy's own header."""
    gate = make("nginx", "wsgi", protected_routes={"/admin": {}, "/": {"optional": True}})
    for target in ("/public,/admin", "/admin,/public", "/admin,x", "/public?,/admin", "/public?x, /admin"):
        assert gate.ask(target).status == 400, target
    assert gate.ask("/public?ids=1,2,3").status == 200
    assert make("nginx", "asgi").ask("/a,/b", bearer()(world)).status == 200, "not joined there"


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_wsgi_believes_no_path_that_was_decoded_before(convention: str, make: Gates, world: World) -> None:
    gate = make(convention, "wsgi", path_prefix="")
    method, _, headers = gate.proxied("GET", "/x", bearer()(world))
    environ = EnvironBuilder("/open", method=method, headers=headers).get_environ()
    environ.pop("REQUEST_URI", None)
    environ.pop("RAW_URI", None)
    status = run_wsgi_app(gate.app, environ)[1]
    assert int(status[:3]) == (400 if convention == "envoy" else 200)


# The document


@pytest.mark.parametrize(("convention", "kind"), EVERY, ids=str)
def test_the_metadata_document_is_never_taken_for_a_verdict(convention: str, kind: str, make: Gates) -> None:
    path = "/.well-known/oauth-protected-resource"
    gate = make(convention, kind, resource=BASE)
    served = gate.raw(("GET", path, []))
    assert (served.status, served.header("Content-Type")) == (200, "application/json")
    assert gate.raw(("POST", path, [])).status == 400
    assert gate.ask(path).status == 401
    assert path in (gate.ask("/x").header("WWW-Authenticate") or "")


def test_where_the_path_is_the_client_s_own_no_document_is_served(make: Gates) -> None:
    gate = make("envoy", path_prefix="", resource=BASE)
    sent = ("GET", "/.well-known/oauth-protected-resource", [("X-Forwarded-Proto", "https")])
    assert gate.raw(sent).status == 401


# Construction, and the servers' own


def test_a_question_outside_envoy_s_prefix_is_refused(make: Gates, world: World) -> None:
    gate = make("envoy", path_prefix="/ask/")
    for target in ("/x", "/ask", "/asks/x", "/askx", "/abc/x", "/ASK/x"):
        assert gate.raw(("GET", target, [("X-Forwarded-Proto", "https"), *bearer()(world)])).status == 400, target
    assert gate.raw(("GET", "/ask/x", [("X-Forwarded-Proto", "https"), *bound(path="/x")(world)])).status == 200


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"convention": "caddy"}, "nginx, traefik, envoy"),
        ({"public_url": None}, "public_url"),
        ({"path_prefix": "/ask"}, "path_prefix"),
        ({"convention": "envoy", "path_prefix": "ask"}, "path_prefix"),
        ({"origin_headers": ("X-Proto",)}, "origin_headers"),
        ({"protected_routes": {"admin": {}}}, "protected_routes"),
        ({"require": {"scopes": "x"}}, "require"),
        ({"audienc": "x"}, "audience"),
    ],
    ids=str,
)
def test_a_mistake_is_told_at_construction(kind: str, wrong: dict[str, Any], said: str, world: World) -> None:
    arguments = {"convention": "nginx", "public_url": BASE, **wrong}
    make = ForwardAuth if kind == "asgi" else wsgi.ForwardAuth
    with pytest.raises(ConfigurationError, match=said):
        make(arguments.pop("convention"), **world.settings(**arguments))


def test_a_requirement_for_every_path(make: Gates, world: World) -> None:
    gate = make(require=Requirement("read"), protected_routes={"/admin": {"scopes": "admin"}}, exempt="/health")
    assert gate.ask("/health").status == 200
    assert gate.ask("/x", bearer()(world)).status == 200
    assert gate.ask("/x", bearer(scopes=["admin"])(world)).status == 403
    assert gate.ask("/admin", bearer(scopes=["admin", "read"])(world)).status == 200


def test_a_lifespan_is_answered_and_a_websocket_closed(make: Gates) -> None:
    app = make().app
    (closed,) = call(app, scope_of("GET", "/x", kind="websocket"))
    assert closed["type"] == "websocket.close"
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []

    async def receive() -> dict[str, str]:
        return next(messages)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["type"])

    async def run() -> None:
        await app({"type": "lifespan"}, receive, send)

    RUNNER.run(run())
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
