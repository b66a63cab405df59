"""The pages of docs/moving run, before and after, against one issuer; and the two differ as the tables say.

Pages: strongdm-example, auth0-api-python, authlib, pyjwt.
"""

import asyncio
import importlib.util
import sys
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from strongdm_auth.errors import DESCRIPTIONS
from strongdm_auth.testing import Agent, DPoPKey, Issuer

from .pages import page

AUDIENCE = "https://api.example.com"
URL = "http://localhost/notes"


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    with Issuer(realms=("my-org",)).serve() as issuer:
        monkeypatch.setenv("STRONGDM_ISSUER", issuer.url)
        yield issuer


def programs(name: str, issuer: Issuer) -> list[dict[str, Any]]:
    """What each snippet of a page leaves behind, run by itself."""
    left = []
    for snippet in page(f"moving/{name}").program:
        names: dict[str, Any] = {"__name__": "snippets"}
        exec(compile(snippet.replace("https://id.strongdm.ai", issuer.url), name, "exec"), names)
        left.append(names)
    return left


def status(names: dict[str, Any], headers: dict[str, str]) -> int:
    answer = names["app"].test_client().get("/notes", headers=headers)
    names["said"] = answer.get_json(silent=True)
    return int(answer.status_code)


def bearer(issuer: Issuer, **made: Any) -> dict[str, str]:
    honest = {"scopes": ["notes:read"], "realm": "my-org", "audience": AUDIENCE}
    return {"Authorization": f"Bearer {issuer.token('ann', **{**honest, **made})}"}


def differ(before: dict[str, Any], after: dict[str, Any], headers: dict[str, str], was: int, reason: str) -> None:
    """It got `was` before, and is refused now for `reason`; or let in, where that is empty."""
    assert status(before, headers) == was
    assert (status(after, headers) == 200) is (reason == "")
    if reason:
        assert after["said"]["error_description"] == DESCRIPTIONS[reason]


def test_authlib(issuer: Issuer) -> None:
    pytest.importorskip("authlib")
    before, after = programs("authlib", issuer)
    assert status(before, bearer(issuer)) == status(after, bearer(issuer)) == 200
    assert status(before, bearer(issuer, scopes=["x"])) == status(after, bearer(issuer, scopes=["x"])) == 403
    differ(before, after, bearer(issuer, key=DPoPKey.generate()), 200, "token.bound")
    differ(before, after, bearer(issuer, claims={"scope": 7}), 500, "token.claims")
    differ(before, after, bearer(issuer, header={"cat": "x"}), 401, "")
    differ(before, after, bearer(issuer, alg="EdDSA"), 401, "")
    issuer.rotate("my-org")
    differ(before, after, bearer(issuer), 401, "")


def test_pyjwt(issuer: Issuer) -> None:
    pytest.importorskip("jwt")
    before, after = programs("pyjwt", issuer)
    assert status(before, bearer(issuer)) == status(after, bearer(issuer)) == 200
    assert status(before, bearer(issuer, scopes=["x"])) == status(after, bearer(issuer, scopes=["x"])) == 403
    differ(before, after, bearer(issuer, key=DPoPKey.generate()), 200, "token.bound")
    differ(before, after, bearer(issuer, claims={"exp": None}), 200, "token.claims")
    differ(before, after, bearer(issuer, header={"typ": "dpop+jwt"}), 200, "token.type")
    differ(before, after, bearer(issuer, claims={"scope": ["notes:read"]}), 500, "token.claims")
    differ(before, after, bearer(issuer, claims={"scope": None}), 500, "scope.insufficient")
    differ(before, after, bearer(issuer, claims={"iat": int(time.time()) + 5}), 401, "")
    issuer.rotate("my-org")
    differ(before, after, bearer(issuer), 401, "")


def test_auth0_api_python(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed, what the page imports of it is stood in for: the page must be whole all the same."""
    if importlib.util.find_spec("auth0_api_python") is None:
        stand_in, its_errors = ModuleType("auth0_api_python"), ModuleType("auth0_api_python.errors")
        stand_in.ApiClient = stand_in.ApiClientOptions = lambda *_, **__: None  # type: ignore[attr-defined]
        its_errors.BaseAuthError = Exception  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "auth0_api_python", stand_in)
        monkeypatch.setitem(sys.modules, "auth0_api_python.errors", its_errors)
    _, after = programs("auth0-api-python", issuer)

    async def refused_and_let_in() -> None:
        reader = issuer.agent("ann", scopes=["read"], realm="my-org", audience=AUDIENCE, dpop=True)
        headers = reader.headers("GET", URL)
        assert await after["handle"]("GET", URL, headers) == (200, {"X-Subject": "ann"})
        again, told = await after["handle"]("GET", URL, headers)
        assert (again, told["WWW-Authenticate"].partition(" ")[0]) == (401, "DPoP")
        assert (await after["handle"]("GET", URL, bearer(issuer, scopes=["x"])))[0] == 403
        assert (await after["handle"]("GET", URL, {}))[0] == 401
        await after["verifier"].aclose()

    asyncio.run(refused_and_let_in())


def test_strongdm_example(issuer: Issuer) -> None:
    [names] = programs("strongdm-example", issuer)
    client = names["app"].test_client()

    def ask(path: str, agent: Agent) -> Any:
        return client.get(path, headers=agent.headers("GET", f"http://localhost{path}"))

    agent = issuer.agent("ann", scopes="share:list pctl:admin", realm="my-org", audience=AUDIENCE)
    told = ask("/protected", agent).json
    assert told["subject"] == "ann"
    assert told["agent"].keys() == {"subject", "scopes", "issuer", "client_id", "actor"}
    assert ask("/shares", agent).status_code == 200  # any of the two
    refused = ask("/super-admin", agent)
    assert refused.status_code == 403
    assert refused.json == {"error": DESCRIPTIONS["scope.insufficient"]}  # as the example answered
    assert "WWW-Authenticate" not in refused.headers  # and what the page says that it costs
    bound = issuer.agent("ann", realm="my-org", audience=AUDIENCE, dpop=True)
    stolen = client.get("/protected", headers={"Authorization": f"Bearer {bound.token}"})
    assert stolen.status_code == 401
    headers = bound.headers("GET", "http://localhost/protected")
    assert [client.get("/protected", headers=headers).status_code for _ in range(2)] == [200, 401]
