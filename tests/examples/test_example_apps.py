"""The example apps are one app: the same requests get the same status, body and headers from each, byte for byte."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import ModuleType

import httpx
import pytest

from strongdm_auth.testing import DPoPKey, Issuer

#: Folder -> the framework's name in the message at `/`.
APPS = {"flask_app": "Flask", "fastapi_app": "FastAPI", "django_app": "Django"}
AUDIENCE = "https://api.example.com"
COMPARED = ("WWW-Authenticate", "Content-Type", "Cache-Control", "Vary", "DPoP-Nonce", "Retry-After")

Headers = list[tuple[str, str]]
#: Given an app's base URL, the headers to send: proofs are fresh for each app.
Send = Callable[[str], Headers]


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer(realms=("acme", "globex", "late", "mallory")).serve() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def bases(demo: ModuleType, issuer: Issuer) -> Iterator[dict[str, str]]:
    """The base URL of each app, behind its own server, all with the same settings."""
    settings = {"issuer": issuer.url, "realms": "acme,globex,late", "audience": AUDIENCE}
    with ExitStack() as running:
        yield {folder: running.enter_context(demo.serving(folder, **settings)) for folder in APPS}


class Credentials:
    """What the requests below are sent with."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.key, self.other_key = DPoPKey.generate(), DPoPKey.generate("EdDSA")
        self.now = int(time.time())

    def token(self, **made: object) -> str:
        honest = {"subject": "cli_agent", "scopes": ["read", "list"], "realm": "acme", "audience": AUDIENCE}
        return self.issuer.token(**{**honest, **made})  # type: ignore[arg-type]

    def bearer(self, **made: object) -> Send:
        token = self.token(**made)  # one for all apps: they say when it was issued
        return lambda base: [("Authorization", f"Bearer {token}")]

    def bound(
        self, path: str, method: str = "GET", *, prover: DPoPKey | None = None, age: int = 0, **made: object
    ) -> Send:
        token = self.token(key=self.key, **made)

        def headers(base: str) -> Headers:
            proof = (prover or self.key).proof(method, base + path, token, now=self.now - age)
            return [("Authorization", f"DPoP {token}"), ("DPoP", proof)]

        return headers

    def kept(self, send: Send) -> Send:
        """The same headers for an app each time: a replay."""
        sent: dict[str, Headers] = {}
        return lambda base: sent.setdefault(base, send(base))


def raw(*pairs: tuple[str, str]) -> Send:
    return lambda base: list(pairs)


def requests(made: Credentials) -> list[tuple[str, str, Send, int]]:
    """Method, path, credentials, and the status that all must give."""
    act = {"sub": "cli_scheduler", "act": {"sub": "cli_é"}}
    replayed = made.kept(made.bound("/protected"))
    token = made.token()
    bound_token = made.token(key=made.key)
    return [
        ("GET", "/health", raw(), 200),
        ("GET", "/", made.bearer(), 200),
        ("GET", "/protected", made.bearer(), 200),
        ("GET", "/protected?q=1", made.bearer(claims={"scope": None}), 200),
        ("POST", "/protected", made.bearer(subject="älice@example.com"), 200),
        ("GET", "/protected", made.bound("/protected", realm="globex"), 200),
        ("POST", "/protected", made.bound("/protected", "POST"), 200),
        ("GET", "/agent-info", made.bearer(), 200),
        ("GET", "/agent-info", made.bound("/agent-info", actor=act, claims={"client_id": None}), 200),
        ("GET", "/admin", made.bearer(scopes=["admin"]), 200),
        ("GET", "/delegated", made.bearer(actor=act), 200),
        ("GET", "/protected", raw(), 401),
        ("POST", "/protected", raw(), 401),
        ("GET", "/admin", raw(), 401),
        ("GET", "/protected", raw(("Authorization", "Basic eDp5")), 401),
        ("GET", "/protected", raw(("Authorization", 'Bearer "x"')), 400),
        ("GET", "/protected", raw(("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")), 400),
        ("GET", f"/protected?access_token={token}", raw(("Authorization", f"Bearer {token}")), 400),
        ("GET", "/protected", raw(("Authorization", "Bearer x.y.z")), 401),
        ("GET", "/protected", made.bearer(claims={"exp": made.now - 60}), 401),
        ("GET", "/protected", made.bearer(audience="https://else.example"), 401),
        ("GET", "/protected", made.bearer(realm="mallory"), 401),
        ("GET", "/protected", raw(("Authorization", f"Bearer {bound_token}")), 401),
        ("GET", "/protected", raw(("Authorization", f"DPoP {bound_token}")), 401),
        ("GET", "/protected", made.bound("/protected", prover=made.other_key), 401),
        ("GET", "/protected", made.bound("/admin"), 401),
        ("POST", "/protected", made.bound("/protected", "GET"), 401),
        ("GET", "/protected", made.bound("/protected", age=3600), 401),
        ("GET", "/protected", replayed, 200),
        ("GET", "/protected", replayed, 401),
        ("GET", "/admin", made.bearer(), 403),
        ("GET", "/admin", made.bound("/admin"), 403),
        ("GET", "/delegated", made.bearer(), 403),
    ]


def test_the_example_apps_answer_alike(bases: dict[str, str], issuer: Issuer) -> None:
    differing: list[object] = []
    with httpx.Client() as client:
        for method, path, send, status in requests(Credentials(issuer)):
            answers = {}
            for folder, base in bases.items():
                response = client.request(method, base + path, headers=send(base))
                body = response.content.replace(f"A {APPS[folder]} API".encode(), b"An API")
                headers = {name: response.headers.get_list(name) for name in COMPARED}
                answers[folder] = (response.status_code, body, headers)
            first = answers["flask_app"]
            if first[0] != status or any(answer != first for answer in answers.values()):
                differing.append((method, path, status, answers))
    assert differing == []


def test_each_example_app_says_who_it_is(bases: dict[str, str]) -> None:
    for folder, base in bases.items():
        message = httpx.get(f"{base}/").json()["message"]
        assert message == f"A {APPS[folder]} API for agents"


def test_when_the_keys_cannot_be_had_each_example_app_says_when_to_come_back(
    bases: dict[str, str], issuer: Issuer
) -> None:
    late = Credentials(issuer).bearer(realm="late")
    issuer.fail(503)
    try:
        answers = [httpx.get(f"{base}/protected", headers=late(base)) for base in bases.values()]
    finally:
        issuer.heal()
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.content for answer in answers} == {answers[0].content}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers)
    assert not any("WWW-Authenticate" in answer.headers for answer in answers)


def test_the_fastapi_app_serves_with_several_workers_and_shows_its_routes(demo: ModuleType, issuer: Issuer) -> None:
    settings = {"issuer": issuer.url, "realms": "acme", "audience": AUDIENCE}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEB_CONCURRENCY", "2")
        with demo.serving("fastapi_app", **settings) as base:
            made = Credentials(issuer)
            assert httpx.get(f"{base}/admin", headers=made.bearer(scopes=["admin"])(base)).status_code == 200
            assert httpx.get(f"{base}/docs").status_code == 200
            document = httpx.get(f"{base}/openapi.json").json()
            assert document["paths"]["/admin"]["get"]["security"] == [{"StrongDM": ["admin"]}]
            assert "security" not in document["paths"]["/health"]["get"]


def test_the_fastapi_app_can_be_started_with_cedar_policies(demo: ModuleType, issuer: Issuer) -> None:
    made = Credentials(issuer)
    settings = {"issuer": issuer.url, "realms": "acme,globex", "audience": AUDIENCE, "CEDAR_POLICIES": "policies.cedar"}
    with demo.serving("fastapi_app", **settings) as base:

        def status(method: str, path: str, send: Send) -> int:
            return httpx.request(method, base + path, headers=send(base)).status_code

        admin = {"scopes": ["admin"]}
        assert status("GET", "/protected", made.bearer()) == 200
        assert status("GET", "/protected", made.bearer(realm="globex")) == 403
        assert status("POST", "/protected", made.bearer()) == 403
        assert status("POST", "/protected", made.bound("/protected", "POST")) == 200
        assert status("GET", "/admin", made.bearer(**admin)) == 200
        assert status("GET", "/admin", made.bearer(**admin, actor={"sub": "cli_scheduler"})) == 403


def test_each_app_says_where_clients_learn_how_to_get_in(demo: ModuleType, issuer: Issuer) -> None:
    """RFC 9728 3.1, 5.1: from a 401 to the document, and from there to the issuer."""
    resource = "https://api.example.com/v1"
    settings = {"issuer": issuer.url, "realms": "acme", "audience": AUDIENCE, "resource": resource}
    path = "/.well-known/oauth-protected-resource/v1"
    for folder in APPS:
        with demo.serving(folder, **settings) as base:
            refusal = httpx.get(base + "/protected")
            assert f'resource_metadata="https://api.example.com{path}"' in refusal.headers["WWW-Authenticate"], folder
            document = httpx.get(base + path, headers={"Host": "evil.example", "Origin": "https://elsewhere.example"})
            assert document.headers["Access-Control-Allow-Origin"] == "*"
            assert document.json()["resource"] == resource
            assert document.json()["authorization_servers"] == [issuer.issuer_url("acme")]
