"""Behind a real Traefik and a real Envoy, by the recipes of docs/forward-auth.md as they stand there."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from strongdm_auth.dpop import NONCE_RENEWAL
from strongdm_auth.testing import Issuer
from tests.contract import BASE, World
from tests.contract_cases import bearer, bound
from tests.doors.forward_auth_proxies import Proxy, Upstream, forward_auth, free_port, program, proxy, recipe, upstream
from tests.doors.test_forward_auth_nginx import FORGED, SECRET, nonce, told


@contextmanager
def traefik(folder: Path, asked: int, api: Upstream) -> Iterator[Proxy]:
    executable, port = program("traefik"), free_port()
    changes = {"http://127.0.0.1:9400/": f"http://127.0.0.1:{asked}/", "127.0.0.1:8000": f"127.0.0.1:{api.port}"}
    (folder / "routes.yaml").write_text(recipe("yaml traefik", {**changes, "      tls: {}\n": ""}))
    options = ["providers.file.filename=routes.yaml", f"entrypoints.websecure.address=127.0.0.1:{port}"]
    options += ["global.checknewversion=false", "global.sendanonymoususage=false"]
    with proxy([executable, *(f"--{option}" for option in options)], port, folder) as running:
        running.wait_until(lambda: running.ask("GET", "/health").status != 404)
        yield running


@contextmanager
def envoy(folder: Path, asked: int, api: Upstream) -> Iterator[Proxy]:
    executable, port = program("envoy"), free_port()
    changes = {"0.0.0.0": "127.0.0.1", "8443": str(port), "port_value: 9400": f"port_value: {asked}"}
    (folder / "envoy.yaml").write_text(recipe("yaml envoy", {**changes, "port_value: 8000": f"port_value: {api.port}"}))
    command = [executable, "-c", "envoy.yaml", "--concurrency", "1", "--use-dynamic-base-id", "-l", "warning"]
    with proxy(command, port, folder) as running:
        yield running


@dataclass(frozen=True)
class Kind:
    serve: Callable[[Path, int, Upstream], AbstractContextManager[Proxy]]
    arguments: tuple[str, ...]


KINDS = {"traefik": Kind(traefik, ("traefik",)), "envoy": Kind(envoy, ("envoy", "--path-prefix", "/ask"))}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Issuer(realms=("alpha", "beta", "gamma")).serve() as issuer:
        yield World(issuer)


@pytest.fixture(scope="module")
def api() -> Iterator[Upstream]:
    with upstream() as server:
        yield server


@pytest.fixture(scope="module", params=KINDS)
def door(
    request: pytest.FixtureRequest, world: World, api: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    kind, folder = KINDS[request.param], tmp_path_factory.mktemp(request.param)
    program(request.param)
    options = (*kind.arguments, "--public-url", BASE, "--protect", "/admin=admin", "--exempt", "/health")
    with ExitStack() as running:
        nonces = {"dpop_nonce": "required", "dpop_nonce_secret": SECRET}
        port = running.enter_context(forward_auth(world, folder / "gate.log", *options, **nonces))
        yield running.enter_context(kind.serve(folder, port, api))


def test_what_was_let_in_reaches_the_api_with_who_it_is(door: Proxy, world: World) -> None:
    headers = [*bearer(actor={"sub": "cli_m\u00fcller"})(world), ("DPoP", "x"), *FORGED]
    seen = told(door.ask("POST", "/things?a=1", headers, b"order"))
    assert (seen["method"], seen["target"], seen["body"]) == ("POST", "/things?a=1", "order")
    assert seen["headers"]["x-auth-subject"] == ["cli_agent"]
    assert seen["headers"]["x-auth-scopes"] == ["read"]
    assert seen["headers"]["x-auth-actor"] == ["cli_m%C3%BCller"]
    assert "root" not in json.dumps(seen)
    assert {"authorization", "dpop", "x_auth_subject"}.isdisjoint(seen["headers"])


def test_what_a_client_says_of_itself_ends_at_the_proxy(door: Proxy) -> None:
    seen = told(door.ask("GET", "/health", FORGED))
    assert "root" not in json.dumps(seen)
    assert {value for name, values in seen["headers"].items() if "auth" in name for value in values} <= {""}


def test_what_a_client_says_of_the_request_counts_for_nothing(door: Proxy, api: Upstream, world: World) -> None:
    before = len(api.reached)
    names = ("X-Forwarded-Uri", "x-forwarded-uri", "X_Forwarded_Uri", "X-Original-URI", "X-Envoy-Original-Path")
    for name in names:
        assert door.ask("GET", "/things", [(name, "/health")]).status == 401, name
        assert door.ask("GET", "/admin", [(name, "/things"), *bearer()(world)]).status == 403, name
        assert door.ask("GET", "/admin", [(name, "/things"), (name, "/x"), *bearer()(world)]).status == 403, name
    assert door.ask("GET", "/things", [("Connection", "X-Forwarded-Uri, X-Forwarded-Method")]).status == 401
    lines = [("X-Forwarded-Method", "OPTIONS"), ("Origin", "https://x"), ("Access-Control-Request-Method", "GET")]
    assert door.ask("GET", "/things", lines).status == door.ask("OPTIONS", "/things", lines).status == 401
    tricks = ("/health/../things", "/health/%2e%2e/things", "/health/%252e%252e/things", "/health%2f..%2fthings")
    for target in (*tricks, "//things", "/health/..;/things"):
        assert door.ask("GET", target).status in (400, 401), target
    assert len(api.reached) == before


def test_a_proof_is_held_against_what_the_client_asked_for(door: Proxy, world: World) -> None:
    def proven(**made: Any) -> Any:
        return bound(nonce=lambda _: nonce(), **made)(world)

    target = "/a%20b/c?x=1"
    good = proven(path="/a%20b/c", method="POST")
    assert told(door.ask("POST", target, good))["target"] == target
    assert door.ask("POST", target, good).status == 401, "replayed"
    assert door.ask("PUT", target, proven(path="/a%20b/c", method="POST")).status == 401
    assert door.ask("GET", target, proven(path="/a%20b")).status == 401
    assert door.ask("GET", "/x", proven(url="http://api.example.com/x")).status == 401
    twice = door.ask("GET", "/x", proven(path="/x", times=2))
    assert (twice.status, json.loads(twice.body)["error"]) == (401, "invalid_dpop_proof")


def test_nonces(door: Proxy, world: World, request: pytest.FixtureRequest) -> None:
    """Traefik keeps a renewed nonce to itself: its clients learn the next one by a refusal."""
    asked = door.ask("GET", "/x", bound(path="/x")(world))
    assert (asked.status, json.loads(asked.body)["error"]) == (401, "use_dpop_nonce")
    assert asked.header("DPoP-Nonce")
    renewed = door.ask("GET", "/x", bound(path="/x", nonce=lambda _: nonce(NONCE_RENEWAL + 5))(world))
    assert renewed.status == 200
    assert (renewed.header("DPoP-Nonce") is None) == ("traefik" in request.node.name)


def test_every_refusal_arrives_as_it_was_made(door: Proxy, world: World) -> None:
    missing = door.ask("GET", "/things")
    assert missing.status == 401
    assert missing.header("WWW-Authenticate") == (
        'Bearer realm="api", DPoP algs="ES256 ES384 RS256 PS256 EdDSA Ed25519"'
    )
    assert missing.body == b'{"error": "unauthorized", "error_description": "Authentication is required"}\n'
    assert missing.header("Content-Type") == "application/json"
    assert missing.header("Cache-Control") == "no-store"
    unreadable = door.ask("GET", "/things", [("Authorization", "Bearer a b")])
    assert (unreadable.status, json.loads(unreadable.body)["error"]) == (400, "invalid_request")
    forbidden = door.ask("GET", "/admin", bearer()(world))
    assert (forbidden.status, forbidden.challenges["Bearer"]["scope"]) == (403, "admin")


def test_the_api_s_own_refusals_are_its_own(door: Proxy, world: World) -> None:
    for status in (400, 401, 403, 500, 503):
        answer = door.ask("GET", "/x", [("X-Answer", str(status)), *bearer()(world)])
        assert (answer.status, json.loads(answer.body)["method"]) == (status, "GET")


@pytest.mark.parametrize("name", KINDS)
def test_nobody_gets_in_while_the_issuer_or_forward_auth_is_away(
    name: str, world: World, api: Upstream, tmp_path: Path
) -> None:
    kind, issuer = KINDS[name], f"http://127.0.0.1:{free_port()}"
    program(name)
    before = len(api.reached)
    headers = bearer(claims={"iss": f"{issuer}/realms/alpha"})(world)
    options = (*kind.arguments, "--public-url", BASE)
    with ExitStack() as asked:
        port = asked.enter_context(forward_auth(world, tmp_path / "gate.log", *options, issuer=issuer))
        with kind.serve(tmp_path, port, api) as door:
            unavailable = door.ask("GET", "/x", headers)
            assert unavailable.status == 503
            if name == "traefik":
                assert unavailable.header("Retry-After")
                assert json.loads(unavailable.body)["error"] == "temporarily_unavailable"
            asked.close()
            assert door.ask("GET", "/x", headers).status == (500 if name == "traefik" else 503)
    assert len(api.reached) == before
