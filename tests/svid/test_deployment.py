"""What stands around it: taking an SVID back, the audit trail, open connections, settings, and what is published of an API."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI

from strongdm_auth import (
    AccessToken,
    AsyncVerifier,
    ConfigurationError,
    Decision,
    InvalidToken,
    Refused,
    Requirement,
    SecurityWarning,
    Settings,
    TemporarilyUnavailable,
    Verifier,
)
from strongdm_auth.fastapi import StrongDMAuth
from strongdm_auth.metadata import Metadata
from strongdm_auth.testing import Clock, Issuer
from tests.conftest import AUDIENCE, request
from tests.parts.world import ISSUER, World

from .domains import ANY_OF_A, Domain, jwt_svid_key, told

# Taken back


@pytest.mark.parametrize("remembered", [True, False])
def test_an_svid_that_was_revoked_is_refused(remembered: bool, verifier: Verifier, a: Domain, clock: Clock) -> None:
    svid, other = a.svid(), a.svid(jti="2")
    if remembered:
        assert told(verifier, svid) == "in"
    verifier.revoke(svid)
    assert [told(verifier, svid), told(verifier, svid, scheme="bearer")] == ["token.revoked"] * 2
    assert told(verifier, other) == "in", "the workload gets another one"
    clock.advance(3600 + 29)
    assert told(verifier, svid) == "token.revoked", "until it ends by itself"


def test_in_event_loops_too(async_verifier: AsyncVerifier, a: Domain) -> None:
    async def run() -> None:
        svid = a.svid()
        assert await async_verifier.authorize(request(svid), ANY_OF_A) is not None
        await async_verifier.revoke(svid)
        with pytest.raises(InvalidToken) as refused:
            await async_verifier.authorize(request(svid), ANY_OF_A)
        assert refused.value.reason == "token.revoked"

    asyncio.run(run())


@pytest.mark.parametrize("how", ["revoked", "rotated", "expired"])
def test_an_open_connection_ends_with_its_svid(
    how: str, async_verifier: AsyncVerifier, a: Domain, clock: Clock
) -> None:
    async def run() -> None:
        sent = request(a.svid())
        token = await async_verifier.authorize(sent, ANY_OF_A)
        assert token is not None
        standing = async_verifier.standing(sent, token)
        assert async_verifier.look_at(standing) is False, "the issuer is not to be asked about it"
        if how == "revoked":
            await async_verifier.revoke(sent.authorization[0].partition(" ")[2])
        elif how == "expired":
            clock.advance(3600 + 30)
        else:
            new = jwt_svid_key()
            a.publish(new)
            assert await async_verifier.authorize(request(a.svid(key=new)), ANY_OF_A) is not None
        with pytest.raises(InvalidToken) as refused:
            async_verifier.look_at(standing)
        assert refused.value.reason == {"rotated": "token.key_unknown"}.get(how, f"token.{how}")

    asyncio.run(run())


# Audit


def test_the_audit_trail_names_the_workload(
    make: Callable[..., Verifier], a: Domain, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []
    verifier, svid = make(on_event=seen.append), a.svid(jti="1")
    with caplog.at_level(logging.INFO, "strongdm_auth.audit"):
        assert told(verifier, svid) == "in"
        others = Requirement(spiffe_ids="spiffe://a.example/people/*")
        assert told(verifier, svid, others) == "svid.not_admitted"
        assert told(verifier, a.svid(exp=1)) == "token.expired"
    admitted, refused, expired = (event for event in seen if isinstance(event, Decision))
    for decision in (admitted, refused):
        assert decision.subject == "spiffe://a.example/agents/billing"
        assert (decision.issuer, decision.realm, decision.client_id) == ("spiffe://a.example", None, None)
        assert (decision.scheme, decision.scopes, decision.actors) == ("Bearer", (), ())
    assert (admitted.outcome, admitted.reason) == ("admitted", "ok")
    assert (refused.outcome, refused.reason, refused.status) == ("refused", "svid.not_admitted", 403)
    assert (expired.subject, expired.issuer) == (None, None), "what was not believed names nobody"
    lines = [json.loads(each.getMessage()) for each in caplog.records if each.name == "strongdm_auth.audit"]
    assert [line.get("subject") for line in lines] == [admitted.subject, refused.subject, None]
    assert svid not in caplog.text


def test_whoever_watches_sees_the_bundle_fetched(make: Callable[..., Verifier], a: Domain) -> None:
    seen: list[Any] = []
    assert told(make(on_event=seen.append), a.svid()) == "in"
    (exchange,) = (event for event in seen if not isinstance(event, Decision))
    assert (exchange.purpose, exchange.method, exchange.url, exchange.status) == ("trust_bundle", "GET", a.url, 200)


def test_the_applications_own_word_is_asked_about_workloads(make: Callable[..., Verifier], a: Domain) -> None:
    asked: list[AccessToken] = []

    def allowed(token: AccessToken, _: object, needs: Requirement) -> bool:
        asked.append(token)
        return token.svid and needs == ANY_OF_A and (token.subject or "").endswith("/billing")

    verifier = make(authorize=allowed)
    assert told(verifier, a.svid()) == "in"
    assert told(verifier, a.svid(sub="spiffe://a.example/agents/other")) != "in"
    assert [each.subject for each in asked] == ["spiffe://a.example/agents/billing", "spiffe://a.example/agents/other"]


# What is published


def test_the_challenge_says_nothing_of_workloads(verifier: Verifier) -> None:
    with pytest.raises(Refused) as refused:
        verifier.authorize(request(), ANY_OF_A)
    denial = verifier.denial(refused.value, ANY_OF_A)
    assert denial.status == 401
    challenge = dict(denial.headers)["WWW-Authenticate"]
    assert challenge == 'Bearer realm="api"', "no DPoP: nothing binds an SVID"
    assert "spiffe" not in challenge + denial.body.decode(), "whom a route lets in is nobody's to know"


def test_resource_metadata_is_as_without_workloads() -> None:
    common: dict[str, Any] = {"realms": "acme", "audience": AUDIENCE, "resource": AUDIENCE}
    with_them, without = Settings(trust_domains="a.example", **common), Settings(trust_domains={}, **common)
    assert Metadata.of(with_them) == Metadata.of(without)


def test_an_openapi_document_names_no_workloads() -> None:
    auth = StrongDMAuth(realms="acme", audience=AUDIENCE)

    def document(needs: Requirement) -> dict[str, Any]:
        app = FastAPI()
        auth.install(app)

        @app.get("/jobs")
        def jobs(token: Annotated[AccessToken, Depends(auth.require(needs))]) -> None: ...

        return app.openapi()

    assert document(ANY_OF_A) == document(Requirement())
    assert document(ANY_OF_A & Requirement("read")) == document(Requirement("read"))


# Settings


@pytest.mark.parametrize(
    ("value", "bundles"),
    [
        (None, {"example.com": f"{ISSUER}/.well-known/spiffe-trust-bundle"}),
        ("a.example", {"a.example": f"{ISSUER}/.well-known/spiffe-trust-bundle"}),
        ("a.example=https://a.example/bundle", {"a.example": "https://a.example/bundle"}),
        (
            "a.example, b.example=https://b.example/bundle",
            {"a.example": f"{ISSUER}/.well-known/spiffe-trust-bundle", "b.example": "https://b.example/bundle"},
        ),
        ({"a.example": "https://a.example/bundle"}, {"a.example": "https://a.example/bundle"}),
        ({}, {}),
    ],
)
def test_which_domains_and_where_their_bundles_are(value: Any, bundles: dict[str, str]) -> None:
    for issuer in (ISSUER, f"{ISSUER}/realms/alpha"):
        realms = None if issuer.endswith("alpha") else "alpha"
        settings = Settings(issuer=issuer, realms=realms, audience=AUDIENCE, trust_domains=value)
        assert dict(settings.trust_domains) == bundles, "one bundle for all realms of an issuer"


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRONGDM_TRUST_DOMAINS", "a.example,b.example=https://b.example/bundle")
    settings = Settings(issuer=ISSUER, realms="alpha", audience=AUDIENCE)
    assert dict(settings.trust_domains)["b.example"] == "https://b.example/bundle"
    with pytest.raises(TypeError):
        settings.trust_domains["c.example"] = "https://c.example"  # type: ignore[index]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("A.example", "no trust domain such as example.org"),
        ("spiffe://a.example", "no trust domain such as example.org"),
        ("a.example:443", "no trust domain such as example.org"),
        ("x" * 256, "no trust domain such as example.org"),
        ({5: "https://a.example"}, "no trust domain such as example.org"),
        ({"a.example": "http://a.example/bundle"}, "use https://"),
        ({"a.example": "ftp://a.example/bundle"}, "trust_domains"),
        ({"a.example": "bundle"}, "trust_domains"),
        ("a.example=http://a.example/bundle", "use https://"),
    ],
)
def test_what_makes_no_sense_is_found_at_start_up(value: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Settings(issuer=ISSUER, realms="alpha", audience=AUDIENCE, trust_domains=value)


def test_the_setting_of_the_domain_is_told_from_the_issuer(
    issuer: Issuer, make_verifier: Callable[..., Verifier]
) -> None:
    needs = Requirement(spiffe_ids=f"spiffe://{issuer.trust_domain}/workload/*")
    assert told(make_verifier(), issuer.jwt_svid("cli_a", audience=AUDIENCE), needs) == "in"
    other = make_verifier(trust_domains={"other.test": f"{issuer.url}/.well-known/spiffe-trust-bundle"})
    assert told(other, issuer.jwt_svid("cli_a", audience=AUDIENCE), needs) == "svid.trust_domain"


def test_an_api_that_does_not_say_who_it_is_lets_no_workload_in(
    world: World, a: Domain, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.warns(SecurityWarning, match="audience"):
        verifier = world.verifier(audience=None, trust_domains={a.name: a.url})
    with caplog.at_level(logging.ERROR), pytest.raises(TemporarilyUnavailable):
        verifier.authorize(request(a.svid()), ANY_OF_A)
    assert "audience" in caplog.text
    assert told(verifier, a.svid()) == "svid.unconfigured"
    assert world.calls == []


def test_an_api_that_knows_no_trust_domain_lets_no_workload_in(
    world: World, a: Domain, caplog: pytest.LogCaptureFixture
) -> None:
    verifier = world.verifier(trust_domains={})
    with caplog.at_level(logging.ERROR):
        assert told(verifier, a.svid()) == "svid.unconfigured"
    assert "trust_domains" in caplog.text
    assert a.svid() not in caplog.text


def test_a_bundle_is_fetched_as_key_sets_are(world: World, a: Domain) -> None:
    """No redirect is followed: whoever answers for the domain is who was configured."""
    world.answers["https://elsewhere.example/bundle"] = world.answers[a.url]
    calls: list[str] = []

    def moved(sent: httpx.Request) -> httpx.Response:
        calls.append(str(sent.url))
        return httpx.Response(302, headers={"Location": "https://elsewhere.example/bundle"})

    client = httpx.Client(transport=httpx.MockTransport(moved), follow_redirects=True)
    settings: dict[str, Any] = {"issuer": ISSUER, "realms": "alpha", "audience": AUDIENCE}
    verifier = Verifier(client=client, clock=world.clock, trust_domains={a.name: a.url}, **settings)
    assert told(verifier, a.svid()) == "keys.unavailable"
    assert calls == [a.url]
