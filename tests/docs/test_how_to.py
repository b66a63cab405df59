"""The recipes of docs/how-to do what they say: proxy, workers, realms."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from strongdm_auth import AccessDenied, InvalidDPoPProof, InvalidToken, Request
from strongdm_auth.asgi import StrongDMAuthMiddleware
from strongdm_auth.testing import Agent, Issuer

from .pages import page

AUDIENCE = "https://api.example.com"
PUBLIC = "https://api.example.com/v1/notes"


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    with Issuer(realms=("my-org", "acme", "globex", "initech", "others")).serve() as issuer:
        monkeypatch.setenv("STRONGDM_ISSUER", issuer.url)
        yield issuer


@pytest.fixture
def program(issuer: Issuer) -> Callable[[str], list[dict[str, Any]]]:
    """The names that a page's program has after each of its snippets."""

    def run(name: str) -> list[dict[str, Any]]:
        names: dict[str, Any] = {"__name__": "snippets"}
        after = []
        for snippet in page(f"how-to/{name}").program:
            exec(compile(snippet, name, "exec"), names)
            after.append(dict(names))
        return after

    return run


def bound(issuer: Issuer, realm: str = "my-org", audience: str = AUDIENCE) -> Agent:
    return issuer.agent("ann", realm=realm, audience=audience, dpop=True)


def test_a_public_url_is_what_a_proof_must_name(issuer: Issuer, program: Callable[..., Any]) -> None:
    verifier, agent = program("proxy")[0]["verifier"], bound(issuer)
    inside = "http://10.0.0.7:8000/notes"
    assert verifier.authenticate(Request("GET", inside, agent.headers("GET", PUBLIC))).subject == "ann"
    with pytest.raises(InvalidDPoPProof) as refusal:
        verifier.authenticate(Request("GET", inside, agent.headers("GET", inside)))
    assert refusal.value.reason == "dpop.htu_mismatch"


def test_werkzeugs_proxy_fix_says_the_same(issuer: Issuer, program: Callable[..., Any]) -> None:
    client, agent = program("proxy")[-1]["app"].test_client(), bound(issuer)
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "api.example.com", "X-Forwarded-Prefix": "/v1"}
    assert client.get("/notes", headers=agent.headers("GET", PUBLIC) | forwarded).status_code == 200
    assert client.get("/notes", headers=agent.headers("GET", PUBLIC)).status_code == 401


async def ask(issuer: Issuer, path: str, root_path: str, public_url: str | None) -> int:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    door = StrongDMAuthMiddleware(app, realms="my-org", audience=AUDIENCE, public_url=public_url)
    told = bound(issuer).headers("GET", PUBLIC).items()
    headers = [(name.lower().encode(), value.encode()) for name, value in told] + [(b"host", b"api.example.com")]
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "https",
        "path": path,
        "root_path": root_path,
        "headers": headers,
    }
    statuses: list[int] = []

    async def send(message: Any) -> None:
        statuses.append(message.get("status", 0))

    await door({**scope, "query_string": b""}, None, send)  # type: ignore[arg-type]
    await door.verifier.aclose()
    return statuses[0]


@pytest.mark.parametrize(
    ("path", "root_path", "public_url"),
    [
        ("/notes", "", "https://api.example.com/v1"),
        ("/v1/notes", "", "https://api.example.com"),
        ("/v1/notes", "/v1", "https://api.example.com"),  # uvicorn --root-path /v1
        ("/v1/notes", "/v1", None),  # and --proxy-headers, which set scheme and host
        ("/notes", "/v1", "https://api.example.com/v1"),  # FastAPI(root_path="/v1")
    ],
)
def test_a_prefix_is_said_once(issuer: Issuer, path: str, root_path: str, public_url: str | None) -> None:
    assert asyncio.run(ask(issuer, path, root_path, public_url)) == 200


def test_a_store_of_ones_own_remembers(issuer: Issuer, program: Callable[..., Any]) -> None:
    verifier = program("workers")[0]["verifier"]
    request = Request("GET", PUBLIC, bound(issuer).headers("GET", PUBLIC))
    assert verifier.authenticate(request).subject == "ann"
    with pytest.raises(InvalidDPoPProof, match="used before"):
        verifier.authenticate(request)


def test_realms_are_those_that_are_named(issuer: Issuer, program: Callable[..., Any]) -> None:
    names = program("realms")[2]
    verifier, read_ticket = names["verifier"], names["read_ticket"]

    def headers(realm: str) -> dict[str, str]:
        return issuer.agent("ann", realm=realm, audience=AUDIENCE, scopes="tickets:read").headers("GET", PUBLIC)

    tokens = [verifier.authenticate(Request("GET", PUBLIC, headers(realm))) for realm in ("acme", "globex")]
    with pytest.raises(InvalidToken):
        verifier.authenticate(Request("GET", PUBLIC, headers("others")))
    assert read_ticket("GET", PUBLIC, headers("acme")).subject == "ann"
    with pytest.raises(AccessDenied):
        read_ticket("GET", PUBLIC, headers("globex"))
    table = [{"owner": names["owner"](token), "of": token.realm} for token in tokens]
    assert [row["of"] for row in names["rows_of"](tokens[1], table)] == ["globex"]


def test_two_audiences_in_one_app(issuer: Issuer, program: Callable[..., Any]) -> None:
    client = program("realms")[-1]["app"].test_client()
    partner, member = bound(issuer, "acme"), bound(issuer, "initech", "https://internal.example.com")
    outside, inside = "http://localhost/notes", "http://localhost/internal/metrics"
    assert client.get("/notes", headers=partner.headers("GET", outside)).json == {"for": "partners"}
    assert client.get("/internal/metrics", headers=member.headers("GET", inside)).json == {"for": "staff"}
    assert client.get("/internal/metrics", headers=partner.headers("GET", inside)).status_code == 401
    assert client.get("/notes", headers=member.headers("GET", outside)).status_code == 401
