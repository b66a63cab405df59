"""The pytest plugin costs those nothing who do not use it, and its fixtures begin and end with a test."""

import os
import subprocess
import sys
from pathlib import Path

from strongdm_auth.testing import TrustedIssuer

PLUGIN = "strongdm_auth.pytest_plugin"
#: What no run of tests may load for the plugin's sake.
HEAVY = {
    "cachetools",
    "cryptography",
    "django",
    "fastapi",
    "flask",
    "httpx",
    "httpx2",
    "joserfc",
    "mcp",
    "pydantic",
    "rest_framework",
    "starlette",
    "werkzeug",
}

TELLING = """
import sys

def pytest_unconfigure():
    with open("loaded.txt", "w") as file:
        print(*sys.modules, file=file)
"""
USING = """
import os
import pytest
from strongdm_auth import Request, Verifier
from strongdm_auth.errors import MissingCredentials

URL = "https://api.example.com/"
verifier = Verifier()
issuers = []

def test_of_realm_and_audience_in_the_environment(strongdm_issuer, strongdm_agent, strongdm_clock):
    issuers.append(strongdm_issuer)
    token = verifier.authenticate(Request("GET", URL, strongdm_agent.headers("GET", URL)))
    assert (token.subject, token.realm, token.audience) == ("agent", "acme", ("https://api.example.com",))
    alice = strongdm_agent("alice", scopes="read write", dpop=True, actor={"sub": "cli_x"})
    token = verifier.authenticate(Request("GET", URL, alice.headers("GET", URL)))
    assert (token.subject, token.bound, token.scopes) == ("alice", True, {"read", "write"})
    assert token.actor.subject == "cli_x"
    assert strongdm_clock is strongdm_issuer.clock
    assert strongdm_agent.token not in repr(strongdm_agent)
    strongdm_issuer.fail()

def test_each_has_an_issuer_of_its_own(strongdm_agent, strongdm_issuer):
    assert strongdm_issuer not in issuers
    assert verifier.authenticate(Request("GET", URL, strongdm_agent.headers("GET", URL)))

@pytest.fixture
def impersonated(strongdm_unsafe_authenticated_as):
    return strongdm_unsafe_authenticated_as("bob", scopes="read")

def test_of_a_fixture_that_uses_a_fixture(impersonated):
    assert verifier.authenticate(Request("GET", URL, {})) is impersonated

def test_it_is_over():
    with pytest.raises(MissingCredentials):
        verifier.authenticate(Request("GET", URL, {}))

def test_the_served_issuer_is_in_the_environment(strongdm_served_issuer):
    assert os.environ["STRONGDM_ISSUER"] == strongdm_served_issuer.url
    assert strongdm_served_issuer.url.startswith("http://127.0.0.1:")
    agent = strongdm_served_issuer.agent("carol")
    assert Verifier().authenticate(Request("GET", URL, agent.headers("GET", URL))).subject == "carol"

def test_and_no_longer():
    assert "STRONGDM_ISSUER" not in os.environ
"""
MEASURE = f"""
import sys, time
import pytest

def once():
    for name in [name for name in sys.modules if name.partition(".")[0] == "strongdm_auth"]:
        del sys.modules[name]
    began = time.perf_counter()
    import {PLUGIN}
    return time.perf_counter() - began

print(min(once() for _ in range(10)))
"""


def python(folder: Path, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_run_that_uses_no_fixture_loads_nothing(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(TELLING)
    (tmp_path / "test_empty.py").write_text("def test_nothing():\n    pass\n")
    asked = ("-m", "pytest", "--collect-only", "-W", "error", "-p", PLUGIN, "-p", "no:cacheprovider")
    assert "1 test collected" in python(tmp_path, *asked)
    loaded = (tmp_path / "loaded.txt").read_text().split()
    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()
    ours = {name for name in loaded if name.startswith("strongdm_auth")}
    assert ours == {"strongdm_auth", "strongdm_auth._version", "strongdm_auth.lazily", PLUGIN}


def test_to_import_it_takes_less_than_five_milliseconds(tmp_path: Path) -> None:
    assert float(python(tmp_path, "-c", MEASURE)) < 0.005


def test_the_fixtures(tmp_path: Path) -> None:
    (tmp_path / "test_using.py").write_text(USING)
    settings = {"STRONGDM_REALMS": "acme", "STRONGDM_AUDIENCE": "https://api.example.com"}
    asked = ("-m", "pytest", "-q", "-W", "error", "-p", PLUGIN, "-p", "no:cacheprovider")
    assert "6 passed" in python(tmp_path, *asked, **settings)


def test_every_public_name_is_there() -> None:
    from strongdm_auth import testing

    assert set(testing.__all__) == set(testing._HOMES) <= set(dir(testing))
    assert testing.TrustedIssuer is TrustedIssuer
    assert not hasattr(testing, "Agents")
