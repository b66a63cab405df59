"""The pytest plugin: fixtures for APIs that let agents in, without a change to the app. See docs/testing.md.

    def test_admins_only(strongdm_agent):
        client = flask_client(app, strongdm_agent(scopes="admin"))
        assert client.get("/admin").status_code == 200

pytest loads it in every run of everybody who has the package installed, so it imports nothing until a fixture is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from strongdm_auth.testing import AgentMaker, Clock, TrustedIssuer
    from strongdm_auth.tokens import AccessToken


@pytest.fixture(scope="session")
def strongdm_issuer_options() -> Mapping[str, Any]:
    """The API's `issuer`, `realms` and `audience`, and other arguments of `TrustedIssuer`. Yours to override in conftest.py;
    what is not named comes from `STRONGDM_*` in the environment."""
    return {}


@pytest.fixture
def strongdm_issuer(strongdm_issuer_options: Mapping[str, Any]) -> Iterator[TrustedIssuer]:
    """A local issuer, new for each test, that the API takes for its own: in process, no socket."""
    from strongdm_auth.testing import TrustedIssuer

    with TrustedIssuer(**strongdm_issuer_options) as issuer:
        yield issuer


@pytest.fixture
def strongdm_agent(strongdm_issuer: TrustedIssuer) -> AgentMaker:
    """An agent without scopes; `strongdm_agent("alice", scopes="read", dpop=True)` is another."""
    from strongdm_auth.testing import AgentMaker

    return AgentMaker.of(strongdm_issuer)


@pytest.fixture
def strongdm_clock(strongdm_issuer: TrustedIssuer) -> Clock:
    """The clock that the issuer, its agents and the API's verifiers read: `strongdm_clock.advance(3600)`."""
    return strongdm_issuer.clock


@pytest.fixture
def strongdm_served_issuer(
    strongdm_issuer_options: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[TrustedIssuer]:
    """The issuer on a port of 127.0.0.1, for APIs in other processes. `STRONGDM_ISSUER`, `STRONGDM_REALMS` and
    `STRONGDM_AUDIENCE` say so in the environment, for what is started in the test."""
    from strongdm_auth.testing import TrustedIssuer

    issuer = TrustedIssuer(**strongdm_issuer_options)
    with issuer.serve():
        monkeypatch.setenv("STRONGDM_ISSUER", issuer.url)
        monkeypatch.setenv("STRONGDM_REALMS", ",".join(issuer.realms) if issuer.home_realm else "*")
        audience = issuer.home_audience
        if audience is not None:
            monkeypatch.setenv("STRONGDM_AUDIENCE", audience if isinstance(audience, str) else ",".join(audience))
        yield issuer


@pytest.fixture
def strongdm_unsafe_authenticated_as() -> Iterator[Callable[..., AccessToken]]:
    """From the call on, and until the test ends, requests are taken as made with this token: see
    `unsafe_authenticated_as`, whose arguments it has."""
    from contextlib import ExitStack

    from strongdm_auth.testing import unsafe_authenticated_as

    with ExitStack() as blocks:
        yield lambda *token, **parts: blocks.enter_context(unsafe_authenticated_as(*token, **parts))
