"""`StrongDMTokenVerifier` on its own: what it makes of a token, what it needs to be told, what it tells the SDK."""

import asyncio
import json
import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import fastmcp.exceptions
import httpx
import pytest
from mcp.server.auth.provider import TokenVerifier, principal_components
from mcp.server.mcpserver.exceptions import ToolError

from strongdm_auth import (
    AccessDenied,
    AsyncVerifier,
    ConfigurationError,
    InsufficientScope,
    Requirement,
    SecurityWarning,
    TemporarilyUnavailable,
)
from strongdm_auth.mcp import StrongDMTokenVerifier, VerifiedAccessToken, current_token
from strongdm_auth.mcp.tools import tool_error
from strongdm_auth.testing import DPoPKey, Issuer, unsigned_token

RESOURCE = "https://tools.example.com/mcp"
ALICE = "alice@example.com"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """Reached in process; the clock is the real one, since the SDK looks at that."""
    issuer = Issuer(realms=("acme", "globex"))
    yield issuer
    issuer.heal()


Make = Callable[..., StrongDMTokenVerifier]


@pytest.fixture
def make(issuer: Issuer) -> Make:
    def make(**settings: Any) -> StrongDMTokenVerifier:
        settings = {"issuer": issuer.url, "realms": ["acme"], "audience": RESOURCE, "resource": RESOURCE} | settings
        return StrongDMTokenVerifier(AsyncVerifier(client=httpx.AsyncClient(transport=issuer.transport()), **settings))

    return make


@pytest.fixture
def auth(make: Make) -> StrongDMTokenVerifier:
    return make()


def token(issuer: Issuer, **made: Any) -> str:
    honest = {"subject": ALICE, "realm": "acme", "audience": RESOURCE, "scopes": ["notes:write", "notes:read"]}
    return issuer.token(**{**honest, **made})


def verify(auth: StrongDMTokenVerifier, token: str) -> VerifiedAccessToken | None:
    return asyncio.run(auth.verify_token(token))


def found(auth: StrongDMTokenVerifier, token: str) -> VerifiedAccessToken:
    verified = verify(auth, token)
    assert verified is not None
    return verified


# What it makes of a good token


def test_a_good_token_is_told_in_the_sdks_words(issuer: Issuer, auth: StrongDMTokenVerifier) -> None:
    verifier: TokenVerifier = auth
    compact = token(issuer, claims={"client_id": "cli_agent", "tags": ["a", {"b": 1}]}, lifetime=600)
    told = asyncio.run(verifier.verify_token(compact))
    assert isinstance(told, VerifiedAccessToken)
    assert (told.token, told.client_id, told.subject) == (compact, "cli_agent", ALICE)
    assert told.scopes == ["notes:read", "notes:write"]
    assert told.resource == RESOURCE
    assert type(told.expires_at) is int
    assert 590 <= told.expires_at - time.time() <= 600
    assert told.claims is not None
    assert (told.claims["iss"], told.claims["tags"]) == (issuer.issuer_url("acme"), ["a", {"b": 1}])
    copied = told.model_validate_json(told.model_dump_json())
    assert copied.claims == told.claims
    assert told.verified_by(auth.verifier) is not None
    assert copied.verified_by(auth.verifier) is None  # anybody can write one


def test_neither_the_token_nor_its_claims_show_in_a_repr(issuer: Issuer, auth: StrongDMTokenVerifier) -> None:
    compact = token(issuer, claims={"email": "secret@example.com"})
    shown = repr(found(auth, compact)) + str(found(auth, compact))
    assert compact not in shown
    assert "secret@example.com" not in shown


@pytest.mark.parametrize(
    ("claims", "actor", "owner"),
    [
        ({"client_id": "cli_a", "azp": "cli_b"}, {"sub": "cli_c"}, "cli_a"),
        ({"client_id": None, "azp": "cli_b"}, {"sub": "cli_c"}, "cli_b"),
        ({"client_id": None}, {"sub": "cli_c"}, "cli_c"),
        ({"client_id": None}, {"act": {"sub": "cli_d"}}, ALICE),
        ({"client_id": None}, None, ALICE),
    ],
)
def test_the_owner_of_a_session_is_the_client_else_the_agent_that_acts_else_the_subject(
    issuer: Issuer, auth: StrongDMTokenVerifier, claims: dict[str, Any], actor: Any, owner: str
) -> None:
    assert found(auth, token(issuer, claims=claims, actor=actor)).client_id == owner


def test_two_agents_that_act_for_one_user_are_two_owners(issuer: Issuer, auth: StrongDMTokenVerifier) -> None:
    """The SDK lets whoever has the same client, issuer and subject into a session."""
    owners = {
        principal_components(found(auth, token(issuer, claims={"client_id": None}, actor={"sub": agent})))
        for agent in ("cli_a", "cli_b")
    }
    assert len(owners) == 2


def test_tokens_without_any_name_do_not_share_an_owner(issuer: Issuer, make: Make) -> None:
    client = issuer.client("resource-server", realm="acme")
    auth = make(introspection="fallback", client_id=client.client_id, client_secret=client.client_secret)
    nameless = {"sub": None, "client_id": None}
    opaque = [issuer.opaque_token(realm="acme", audience=RESOURCE, claims=nameless) for _ in range(2)]
    owners = {principal_components(found(auth, each)) for each in opaque}
    assert len(owners) == 2
    assert all(owner for owner, _, _ in owners)


def test_the_same_realm_name_at_another_issuer_is_another_owner(issuer: Issuer, make: Make) -> None:
    auth = make(realms=["acme", "globex"])
    owners = {principal_components(found(auth, token(issuer, realm=realm))) for realm in ("acme", "globex")}
    assert len(owners) == 2


@pytest.mark.parametrize(
    ("audience", "resource", "told"),
    [
        (["https://else.example", RESOURCE, "urn:tools"], RESOURCE, RESOURCE),
        (["https://else.example", "urn:tools"], RESOURCE, "urn:tools"),
        (["urn:tools", RESOURCE], None, "urn:tools"),
    ],
)
def test_the_resource_is_the_one_of_our_names_that_the_token_is_for(
    issuer: Issuer, make: Make, audience: list[str], resource: str | None, told: str
) -> None:
    auth = make(audience=["urn:tools", RESOURCE], resource=resource)
    assert found(auth, token(issuer, audience=audience)).resource == told


def test_within_the_leeway_the_sdk_is_told_when_that_ends(issuer: Issuer, auth: StrongDMTokenVerifier) -> None:
    """It compares `expires_at` with its own clock and would answer 401 to what the leeway lets in."""
    told = found(auth, token(issuer, lifetime=-10))
    assert told.expires_at is not None
    assert 15 <= told.expires_at - time.time() <= 21


@pytest.mark.parametrize("exp", [None, 10**400])
def test_a_token_without_an_end_or_with_a_distant_one_is_told_as_it_is(issuer: Issuer, make: Make, exp: Any) -> None:
    client = issuer.client("resource-server", realm="acme")
    auth = make(introspection="fallback", client_id=client.client_id, client_secret=client.client_secret)
    opaque = issuer.opaque_token("cli_agent", realm="acme", audience=RESOURCE)
    body = {"active": True, "iss": issuer.issuer_url("acme"), "sub": "cli_agent", "aud": RESOURCE, "exp": exp}
    issuer.answer("/introspect", headers=[("Content-Type", "application/json")], body=json.dumps(body).encode())
    try:
        verified = verify(auth, opaque)
    finally:
        issuer.heal()
    assert verified is not None
    assert verified.expires_at == exp


# What it refuses


def _bound_as_bearer(issuer: Issuer) -> str:
    return token(issuer, key=DPoPKey.generate())


@pytest.mark.parametrize(
    "bad",
    [
        lambda issuer: "",
        lambda issuer: "abc",
        lambda issuer: "a.b.c",
        lambda issuer: token(issuer) + "x",
        lambda issuer: f"{token(issuer)} {token(issuer)}",
        lambda issuer: f"{token(issuer)}, DPoP {token(issuer)}",
        lambda issuer: "a" * 16_385,
        lambda issuer: "é",
        lambda issuer: token(issuer, lifetime=-31),
        lambda issuer: token(issuer, audience="https://else.example"),
        lambda issuer: token(issuer, audience=None),
        lambda issuer: token(issuer, realm="globex"),
        lambda issuer: token(issuer, realm="globex", claims={"iss": issuer.issuer_url("acme")}),
        lambda issuer: token(issuer, claims={"token_type": "id"}),
        lambda issuer: token(issuer, claims={"cnf": {"x5t#S256": "a" * 43}}),
        lambda issuer: unsigned_token({"alg": "none"}, {"sub": "x", "aud": RESOURCE}, b""),
        _bound_as_bearer,
    ],
)
def test_a_bad_credential_is_none(issuer: Issuer, auth: StrongDMTokenVerifier, bad: Callable[[Issuer], str]) -> None:
    assert verify(auth, bad(issuer)) is None


def test_a_bound_token_is_none_without_the_wrapper(issuer: Issuer, auth: StrongDMTokenVerifier) -> None:
    """The SDK takes the Bearer scheme alone and hands over no request: there is nothing to hold against the key."""
    key = DPoPKey.generate()
    assert verify(auth, token(issuer, key=key)) is None
    assert verify(auth, token(issuer)) is not None


def test_an_unbound_token_is_none_where_only_bound_ones_are_taken(issuer: Issuer, make: Make) -> None:
    assert verify(make(dpop="required"), token(issuer)) is None


def test_the_applications_own_word_counts(issuer: Issuer, make: Make) -> None:
    auth = make(authorize=lambda token, request, requirement: token.subject != ALICE)
    assert verify(auth, token(issuer)) is None
    assert verify(auth, token(issuer, subject="bob@example.com")) is not None


def test_an_outage_is_no_bad_credential(issuer: Issuer, auth: StrongDMTokenVerifier) -> None:
    issuer.fail(503)
    try:
        with pytest.raises(TemporarilyUnavailable):
            verify(auth, token(issuer))
    finally:
        issuer.heal()


def test_a_token_is_verified_once(issuer: Issuer, auth: StrongDMTokenVerifier) -> None:
    compact = token(issuer)
    verify(auth, compact)
    issuer.forget_requests()
    assert found(auth, compact).subject == ALICE
    assert issuer.requests == []


def test_there_is_no_current_token_outside_of_a_request() -> None:
    assert current_token() is None


# What it needs to be told


@pytest.fixture
def given(issuer: Issuer) -> dict[str, Any]:
    return {"issuer": issuer.url, "realms": ["acme"]}


def test_without_audience_and_resource_there_is_no_verifier(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="audience or resource must be set"):
        StrongDMTokenVerifier(**given)
    with pytest.warns(SecurityWarning), pytest.raises(ConfigurationError, match="audience must be set"):
        StrongDMTokenVerifier(AsyncVerifier(**given))


def test_the_resource_is_the_audience_unless_one_is_named(given: dict[str, Any]) -> None:
    settings = StrongDMTokenVerifier(**given, resource=RESOURCE).verifier.settings
    assert (settings.audience, settings.resource) == ((RESOURCE,), RESOURCE)
    settings = StrongDMTokenVerifier(**given, resource=RESOURCE, audience=["urn:tools"]).verifier.settings
    assert (settings.audience, settings.resource) == (("urn:tools",), RESOURCE)


def test_an_audience_that_is_a_url_is_the_resource_too(given: dict[str, Any]) -> None:
    settings = StrongDMTokenVerifier(**given, audience=RESOURCE).verifier.settings
    assert (settings.audience, settings.resource) == ((RESOURCE,), RESOURCE)


@pytest.mark.parametrize(
    "audience", ["urn:tools", "tools", "http://tools.internal/mcp", [RESOURCE, "https://b.example"]]
)
def test_an_audience_that_says_nothing_of_a_resource_is_no_resource(
    given: dict[str, Any], audience: str | list[str]
) -> None:
    auth = StrongDMTokenVerifier(**given, audience=audience)
    assert auth.verifier.settings.resource is None
    with pytest.raises(ConfigurationError, match="resource must be set"):
        auth.auth_settings()


def test_the_environment_counts(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRONGDM_RESOURCE", RESOURCE)
    assert StrongDMTokenVerifier(**given).verifier.settings.audience == (RESOURCE,)
    monkeypatch.setenv("STRONGDM_AUDIENCE", "urn:tools")
    assert StrongDMTokenVerifier(**given).verifier.settings.audience == ("urn:tools",)


def test_warnings_come_once_and_point_at_the_line_that_made_the_verifier(given: dict[str, Any]) -> None:
    del given["realms"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        StrongDMTokenVerifier(**given, resource=RESOURCE)
    assert [warning.filename for warning in caught] == [__file__]
    assert "realms" in str(caught[0].message)


def test_a_verifier_and_settings_are_not_taken_together(make: Make) -> None:
    with pytest.raises(ConfigurationError, match="not both"):
        StrongDMTokenVerifier(make().verifier, audience="urn:tools")


# What it tells the SDK


def test_the_sdks_settings_are_made_of_ours(issuer: Issuer, auth: StrongDMTokenVerifier) -> None:
    settings = auth.auth_settings()  # and there is no deprecation warning: those are errors here
    assert str(settings.issuer_url) == issuer.issuer_url("acme")
    assert str(settings.resource_server_url) == RESOURCE
    assert settings.required_scopes is None
    assert settings.validate_token_resource is False  # it would refuse tokens for our other audiences


@pytest.mark.parametrize(
    ("realms", "expected"), [("*", "https://id.example.com"), (["b", "a"], "https://id.example.com/realms/a")]
)
def test_an_issuer_stays_as_it_is_written(realms: Any, expected: str) -> None:
    """Clients compare it character by character: a slash more, and the issuer's own metadata is refused."""
    auth = StrongDMTokenVerifier(issuer="https://id.example.com", realms=realms, resource="https://tools.example.com")
    settings = auth.auth_settings()
    assert str(settings.issuer_url) == expected
    assert str(settings.resource_server_url) == "https://tools.example.com"


def test_required_scopes_add_up(auth: StrongDMTokenVerifier) -> None:
    assert auth.auth_settings(required_scopes=["tools:call"]).required_scopes == ["tools:call"]
    assert auth.auth_settings(required_scopes="b a").required_scopes == ["a", "b", "tools:call"]
    assert auth.auth_settings().required_scopes == ["a", "b", "tools:call"]


def test_a_requirement_and_parts_are_both_asked_for(auth: StrongDMTokenVerifier) -> None:
    asked: list[Requirement] = []

    async def check(requirement: Requirement) -> None:
        asked.append(requirement)

    auth.check = check  # type: ignore[method-assign,assignment]

    @auth.require(Requirement("a"), scopes="b", dpop=True)
    def tool() -> str:
        return "done"

    assert asyncio.run(tool()) == "done"
    assert asked == [Requirement("a b", dpop=True)]


def test_a_refusal_is_the_error_of_whichever_sdk_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = InsufficientScope("scope.insufficient")
    error = tool_error(refusal, Requirement("b a"))
    assert isinstance(error, ToolError)
    assert isinstance(error, fastmcp.exceptions.ToolError)
    assert error.log_level == logging.INFO  # it is no fault of the server's
    monkeypatch.delitem(sys.modules, "fastmcp.exceptions")
    alone = tool_error(refusal, Requirement("b a"))
    assert type(alone) is ToolError
    assert str(alone) == str(error)
    assert str(error).endswith("(scopes needed: a b)")
    assert "scopes needed" not in str(tool_error(AccessDenied("realm.not_admitted"), Requirement("a")))


def test_a_requirement_is_checked_when_it_is_written(auth: StrongDMTokenVerifier) -> None:
    for wrong in (
        lambda: auth.require("notes:write"),  # type: ignore[arg-type]
        lambda: auth.require_scope(),
        lambda: auth.require_scope(Requirement()),  # type: ignore[arg-type]
        lambda: auth.require_all_scopes('"'),
        lambda: auth.auth_settings(required_scopes=['"']),
    ):
        with pytest.raises(ConfigurationError):
            wrong()
