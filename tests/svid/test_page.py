"""The page on SVIDs does what it says: its program runs, and each of its apps lets the workload in and nobody else."""

import tests.doors.django_settings  # noqa: F401  # isort: skip
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.urls import path
from rest_framework.request import Request as APIRequest
from rest_framework.response import Response
from rest_framework.views import APIView
from werkzeug.test import Client

from strongdm_auth import ConfigurationError, Refused, Requirement
from strongdm_auth.drf import StrongDMAuthentication
from strongdm_auth.errors import DESCRIPTIONS
from strongdm_auth.testing import TrustedIssuer
from tests.docs.pages import page
from tests.doors import asgi_calls
from tests.doors.django_calls import Project, ask_wsgi, urls

AUDIENCE = "https://jobs.example.com"
WORKLOAD = "spiffe://strongdm.ai/workload/cli_billing"
PAGE = page("svid")


@pytest.fixture(scope="module")
def issuer() -> Iterator[TrustedIssuer]:
    before = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("STRONGDM_")}
    with TrustedIssuer(realms=["acme"], audience=AUDIENCE) as issuer:
        yield issuer
    os.environ.update(before)


@pytest.fixture(scope="module")
def names(issuer: TrustedIssuer) -> dict[str, Any]:
    """What the page's program leaves behind."""
    assert issuer.trust_domain == "strongdm.ai"
    found: dict[str, Any] = {"__name__": "svid"}
    for snippet in PAGE.program:
        exec(compile(snippet, "docs/svid.md", "exec"), found)
    return found


@pytest.fixture(params=["svid", "token", "svid of others", "nothing"])
def sent(request: pytest.FixtureRequest, issuer: TrustedIssuer) -> tuple[dict[str, str], int]:
    """Headers, and the status that they get."""
    made = {
        "svid": lambda: issuer.jwt_svid("cli_billing", audience=AUDIENCE),
        "token": lambda: issuer.token("cli_billing", audience=AUDIENCE),
        "svid of others": lambda: issuer.jwt_svid("x", audience=AUDIENCE, claims={"sub": "spiffe://strongdm.ai/x"}),
    }
    if request.param == "nothing":
        return {}, 401
    status = {"svid": 200, "token": 401, "svid of others": 403}[request.param]
    return {"Authorization": f"Bearer {made[request.param]()}"}, status


def _asgi(app: Any) -> Callable[[dict[str, str]], tuple[int, bytes]]:
    def ask(headers: dict[str, str]) -> tuple[int, bytes]:
        answer = asgi_calls.ask(app, "GET", "/jobs", headers=list(headers.items()))
        return answer.status, answer.body

    return ask


def _wsgi(app: Any) -> Callable[[dict[str, str]], tuple[int, bytes]]:
    def ask(headers: dict[str, str]) -> tuple[int, bytes]:
        answer = Client(app).get("/jobs", headers=headers, base_url="https://jobs.example.com")
        return answer.status_code, answer.data

    return ask


@pytest.mark.parametrize(("name", "asking"), [("app", _wsgi), ("api", _asgi), ("asgi_app", _asgi), ("wsgi_app", _wsgi)])
def test_each_app_is_for_workloads(
    name: str, asking: Callable[..., Any], names: dict[str, Any], sent: tuple[dict[str, str], int]
) -> None:
    headers, expected = sent
    status, body = asking(names[name])(headers)
    assert status == expected
    assert (WORKLOAD.encode() in body) == (status == 200)


def test_without_a_framework(names: dict[str, Any], sent: tuple[dict[str, str], int]) -> None:
    headers, expected = sent
    if expected == 200:
        assert names["who"]("GET", "https://jobs.example.com/jobs", headers) == WORKLOAD
        return
    with pytest.raises(Refused) as refused:
        names["who"]("GET", "https://jobs.example.com/jobs", headers)
    assert refused.value.status_code == expected


@pytest.mark.parametrize("table", [False, True])
def test_django(table: bool, sent: tuple[dict[str, str], int]) -> None:
    views: dict[str, Any] = {"__name__": "views"}
    exec(compile(PAGE.files["views.py"], "docs/svid.md", "exec"), views)
    needs = {"spiffe_ids": "spiffe://strongdm.ai/workload/*"}
    configured = {"REALMS": ["acme"], "AUDIENCE": AUDIENCE, "PROTECTED_ROUTES": {"/jobs": needs} if table else None}
    _ask_django(Project(urls(path("jobs", views["jobs"])), configured), sent)


def test_the_rest_framework_behind_the_middleware(
    sent: tuple[dict[str, str], int],
) -> None:
    class Jobs(APIView):
        authentication_classes = [StrongDMAuthentication]  # noqa: RUF012

        def get(self, request: APIRequest) -> Response:
            return Response({"for": request.auth.subject})

    needs = {"spiffe_ids": "spiffe://strongdm.ai/workload/*"}
    configured = {"REALMS": ["acme"], "AUDIENCE": AUDIENCE, "PROTECTED_ROUTES": {"/jobs": needs}}
    _ask_django(Project(urls(path("jobs", Jobs.as_view())), configured), sent)


def _ask_django(project: Project, sent: tuple[dict[str, str], int]) -> None:
    headers, expected = sent
    with project.running():
        answer = ask_wsgi("GET", "/jobs", headers=list(headers.items()))
    project.close()
    assert answer.status == expected
    assert (WORKLOAD.encode() in answer.body) == (expected == 200)


def test_the_pages_own_test_passes(names: dict[str, Any]) -> None:
    names["test_workloads_get_jobs"]()


def test_the_settings_it_shows_are_what_it_says(names: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    own = "https://id.strongdm.ai/.well-known/spiffe-trust-bundle"
    both = {"strongdm.ai": own, "example.org": "https://spire.example.org/bundle"}
    assert dict(names["verifier"].settings.trust_domains) == {"strongdm.ai": own}
    assert dict(names["both"].settings.trust_domains) == both
    for row in PAGE.rows("Trust domains"):
        if row[0].startswith("`STRONGDM_TRUST_DOMAINS="):
            monkeypatch.setenv("STRONGDM_TRUST_DOMAINS", row[0].strip("`").partition("=")[2])
    assert dict(type(names["verifier"].settings)(realms="acme", audience=AUDIENCE).trust_domains) == both


def test_its_tables_name_what_there_is() -> None:
    reasons = [row[0].split("`")[1] for row in PAGE.rows("SVIDs are not access tokens")]
    assert set(reasons) <= set(DESCRIPTIONS)
    for row in PAGE.rows("Patterns"):
        if row[0].startswith('`"'):
            Requirement(spiffe_ids=row[0].strip('`"'))
    with pytest.raises(ConfigurationError, match="end in"):
        Requirement(spiffe_ids="spiffe://example.org/*/billing")
