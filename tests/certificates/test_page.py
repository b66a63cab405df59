"""docs/certificates.md: its programs run, its client is let in by a real server, and its tables say what is so."""

import re
import shlex
import ssl
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from strongdm_auth import Settings
from strongdm_auth.errors import DESCRIPTIONS
from strongdm_auth.testing import Issuer
from tests.certificates.authority import Agent, Authority
from tests.certificates.servers import asgi_app, in_thread, listens, process, settings_of
from tests.docs.pages import page
from tests.parts.sockets import closed_port
from tests.rfc.support import mint

PAGE = page("certificates")


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "snippets"}
    for snippet in PAGE.program:
        exec(compile(snippet, str(PAGE.path), "exec"), names)
    return names


def test_its_client_is_let_in(names: dict[str, Any], authority: Authority, agent: Agent, real_issuer: Issuer) -> None:
    certificate, key = agent.written(authority.folder, "page")
    token = mint(real_issuer, certificate=agent.certificate)
    app = asgi_app(**settings_of(real_issuer))
    with (
        in_thread(authority, app, http="strongdm_auth.uvicorn:HTTPProtocol") as served,
        names["client"](token, str(authority.path), str(certificate), str(key)) as client,
        httpx.Client(verify=ssl.create_default_context(cafile=authority.path)) as thief,
    ):
        url = f"https://127.0.0.1:{served.port}/"
        assert client.get(url).json()["certificate"] == agent.thumbprint
        assert thief.get(url, headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_its_settings_are_those_that_are(names: dict[str, Any]) -> None:
    settings = names["settings"]
    assert settings.client_certificate == "header:X-Client-Cert"
    rows = {row[0].strip("`"): row for row in PAGE.rows() if row[0].strip("`") in Settings.__annotations__}
    assert rows.keys() == {"client_certificate", "trusted_proxies"}
    assert rows["client_certificate"][1] == f"`{Settings(realms='*', audience='a').client_certificate}`"


def test_its_reasons_are_those_that_are() -> None:
    assert [row[0].strip("`") for row in PAGE.rows() if row[0].startswith("`token.")] == [
        "token.certificate_missing",
        "token.certificate_mismatch",
        "token.confirmation",
    ]
    assert {reason for reason in DESCRIPTIONS if reason.startswith("token.certificate")} <= set(
        re.findall(r"`(token\.[a-z_]+)`", PAGE.prose)
    )


def test_its_command_for_uvicorn(authority: Authority, agent: Agent, real_issuer: Issuer, tmp_path: Path) -> None:
    (command,) = PAGE.commands("uvicorn")
    port = closed_port()
    files = {
        "server.pem": authority.server_certificate,
        "server.key": authority.server_key,
        "agents-ca.pem": authority.path,
    }
    app = "tests.certificates.servers:asgi_app"
    words = [str(files.get(word, word)) for word in shlex.split(shlex.join(command))]
    words[0] = app
    environment = {f"STRONGDM_{name.upper()}": value for name, value in settings_of(real_issuer).items()}
    arguments = [sys.executable, "-m", "uvicorn", *words, "--factory", "--port", str(port)]
    with process(arguments, environment, tmp_path / "log", lambda: listens(port)):
        token = mint(real_issuer, certificate=agent.certificate)
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(verify=authority.client_context(agent), headers=headers) as client:
            assert client.get(f"https://127.0.0.1:{port}/").json()["certificate"] == agent.thumbprint


def test_its_command_for_gunicorn_is_the_one_that_is_tested() -> None:
    (command,) = PAGE.commands("gunicorn")
    assert command[1::2] == ["--certfile", "--keyfile", "--ca-certs", "--cert-reqs"]
    assert command[-1] == str(int(ssl.CERT_OPTIONAL))
