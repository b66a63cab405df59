"""Every door tells of every decision: who, what, how it ended and why; and never a token."""

import json
import logging
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from typing import Any

import pytest

from strongdm_auth import Decision
from strongdm_auth.testing import Issuer
from strongdm_auth.testing.keys import access_token_hash
from tests import hooks
from tests.contract import World
from tests.contract_cases import bearer, bound

from .test_contract import DOORS

#: Doors where this request was routed before it is judged; a middleware comes first.
ROUTED = {"flask", "flask-async", "fastapi", "fastapi-installed", "django", "drf"}
CHAIN = {"sub": "cli_a", "act": {"sub": "cli_b"}}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Issuer(realms=("alpha", "beta", "gamma")).serve() as issuer:
        yield World(issuer)


def send(door: str, world: World, headers: Any, path: str = "/read", **settings: Any) -> None:
    app = DOORS[door](world.settings(**settings))
    try:
        app.send("GET", path, "secret=1", headers)
    finally:
        app.close()


def told(door: str, world: World, headers: Any, path: str = "/read", **settings: Any) -> Decision:
    """The last decision on one request: some doors authenticate first, and then hold the route's requirement."""
    hooks.EVENTS.clear()
    send(door, world, headers, path, on_event="tests.hooks:record", **settings)
    return hooks.decisions()[-1]


def claims_of(headers: Any) -> dict[str, Any]:
    payload: str = headers[0][1].split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


@pytest.mark.parametrize("door", DOORS)
def test_who_is_let_in_is_told_with_the_whole_chain(door: str, world: World) -> None:
    headers = bound(path="/read", subject="ann@example.com", actor=CHAIN)(world)
    event = told(door, world, headers)
    assert (event.outcome, event.reason, event.status, event.error) == ("admitted", "ok", 200, None)
    assert (event.subject, event.actors) == ("ann@example.com", ("cli_a", "cli_b"))
    assert (event.issuer, event.realm) == (world.issuer.issuer_url("alpha"), "alpha")
    assert (event.scheme, event.key_thumbprint) == ("DPoP", world.key.thumbprint)
    assert (event.method, event.path) == ("GET", "/read")
    assert event.scopes == ("read",)
    assert event.token_id_hash == access_token_hash(claims_of(headers)["jti"])


@pytest.mark.parametrize("door", DOORS)
def test_what_is_refused_is_told_with_its_reason(door: str, world: World) -> None:
    event = told(door, world, bearer(scopes=[], actor=CHAIN)(world))
    assert (event.outcome, event.reason, event.status) == ("refused", "scope.insufficient", 403)
    assert (event.subject, event.actors, event.scopes_needed) == ("cli_agent", ("cli_a", "cli_b"), ("read",))
    assert event.error == "insufficient_scope"


@pytest.mark.parametrize("door", DOORS)
def test_a_token_that_was_not_verified_names_nobody(door: str, world: World) -> None:
    (name, value), *_ = bearer()(world)
    event = told(door, world, [(name, f"{value[:-6]}AAAAAA")])
    assert (event.outcome, event.reason, event.scheme) == ("refused", "token.signature", "Bearer")
    assert (event.subject, event.issuer, event.client_id, event.actors, event.scopes) == (None, None, None, (), ())


@pytest.mark.parametrize("door", DOORS)
def test_a_verified_token_with_a_bad_proof_is_told_as_whose_it_is(door: str, world: World) -> None:
    event = told(door, world, bound(path="/elsewhere")(world))
    assert (event.outcome, event.reason, event.scheme) == ("refused", "dpop.htu_mismatch", "DPoP")
    assert event.subject == "cli_agent"


@pytest.mark.parametrize("door", DOORS)
def test_nobody_and_outages_are_told_apart(door: str, world: World) -> None:
    assert told(door, world, [], "/optional").outcome == "anonymous"
    assert told(door, world, []).reason == "credentials.missing"
    with_policy = told(door, world, bearer()(world), authorize="tests.hooks:break_down")
    assert (with_policy.outcome, with_policy.reason, with_policy.status) == ("unavailable", "policy.unavailable", 503)
    assert with_policy.subject == "cli_agent"


@pytest.mark.parametrize("door", DOORS)
def test_the_route_is_told_where_the_framework_tells(door: str, world: World) -> None:
    route = told(door, world, bearer()(world)).route
    assert (route or "").strip("/") == ("read" if door in ROUTED else "")


@pytest.mark.parametrize("door", DOORS)
def test_the_trail_is_a_line_of_json_without_a_token(door: str, world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "strongdm_auth.audit")
    headers = bound(path="/read", subject="eve\n{}", actor={"sub": "cli\x00a"})(world)
    send(door, world, headers)
    lines = [record.getMessage() for record in caplog.records if record.name == "strongdm_auth.audit"]
    assert lines
    for line in lines:
        assert line.isascii()
        assert line.isprintable()
        assert json.loads(line)["subject"] == "eve\n{}"
        assert not any(part in line for _, value in headers for part in value.split(".") if len(part) > 20)
        assert "secret=1" not in line
