"""`TrustedIssuer`: apps that know nothing of tests check real signatures of a local issuer, without a socket."""

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.contract import AUDIENCE, BASE
from tests.doors.test_contract import DOORS

from strongdm_auth import AsyncVerifier, Request, Requirement, Verifier
from strongdm_auth.client import ClientCredentials, DPoPAuth, FixedToken, Network
from strongdm_auth.errors import InvalidDPoPProof, InvalidToken, TemporarilyUnavailable, UseDPoPNonce
from strongdm_auth.testing import Clock, DPoPKey, Issuer, TrustedIssuer, unsafe_authenticated_as

URL = f"{BASE}/protected"
SETTINGS: dict[str, Any] = {"issuer": "https://id.strongdm.ai", "realms": ["acme"], "audience": AUDIENCE}


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> Any:
        raise AssertionError("somebody wants a connection")

    monkeypatch.setattr(socket, "getaddrinfo", refused)
    monkeypatch.setattr(socket.socket, "connect", refused)


@pytest.fixture
def issuer() -> Iterator[TrustedIssuer]:
    with TrustedIssuer(**SETTINGS) as issuer:
        yield issuer


@pytest.fixture(scope="module")
def apps() -> Iterator[dict[str, Any]]:
    """As apps of modules are: made once, before any issuer was there."""
    apps = {name: build(SETTINGS) for name, build in DOORS.items()}
    yield apps
    for app in apps.values():
        app.close()


def call(url: str = URL, method: str = "GET", **made: Any) -> Any:
    """A request of an agent."""
    agent = made.pop("agent")
    return Request(method, url, agent.headers(method, url))


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("again", [False, True], ids=["first", "again"])
def test_an_app_made_long_ago_trusts_each_test_s_issuer(
    door: str, again: bool, apps: dict[str, Any], issuer: TrustedIssuer
) -> None:
    app = apps[door]

    def send(path: str = "/protected", **made: Any) -> Any:
        agent = issuer.agent("ann", **made)
        return app.send("GET", path, "", list(agent.headers("GET", BASE + path).items()))

    answer = send(scopes="read", dpop=True)
    assert answer.status == 200
    told = json.loads(answer.body)
    assert (told["subject"], told["issuer"]) == ("ann", "https://id.strongdm.ai/realms/acme")
    assert send("/read", scopes="read").status == 200
    assert send("/read", scopes="write").status == 403
    for refused in ({"audience": "x"}, {"realm": None}, {"lifetime": -60}):
        assert send(**refused).status == 401
    others = Issuer("https://id.strongdm.ai", realms=["acme"], algorithms=["ES256"])
    forged = others.agent("eve", realm="acme", audience=AUDIENCE)
    assert app.send("GET", "/protected", "", list(forged.headers("GET", URL).items())).status == 401
    assert issuer.count("/jwks") == 2, "the keys, and once more for the forged token"


def test_without_a_realm_or_an_audience_of_their_own_tokens_are_the_api_s(issuer: TrustedIssuer) -> None:
    verifier = Verifier(**SETTINGS)
    assert verifier.authenticate(call(agent=issuer.agent())).realm == "acme"
    assert issuer.issuer_url() == "https://id.strongdm.ai/realms/acme"
    assert issuer.client().realm == "acme"
    assert issuer.jwks() == issuer.jwks("acme") != issuer.jwks(None)
    assert issuer.metadata()["issuer"] == issuer.issuer_url()
    assert issuer.signing_key() is issuer.signing_key("acme")
    with pytest.raises(InvalidToken):
        verifier.authenticate(call(agent=issuer.agent(realm=None)))


@pytest.mark.parametrize(
    ("given", "environment", "url", "realm", "audience"),
    [
        ({}, {}, "https://id.strongdm.ai", None, None),
        ({"realms": "*"}, {}, "https://id.strongdm.ai", None, None),
        ({"realms": ["b", "a"]}, {}, "https://id.strongdm.ai", "b", None),
        ({"issuer": "https://id.example/realms/x"}, {}, "https://id.example", "x", None),
        ({"audience": ["p", "q"]}, {}, "https://id.strongdm.ai", None, ("p", "q")),
        (
            {},
            {"ISSUER": "http://localhost:9", "REALMS": "b,a", "AUDIENCE": "z"},
            "http://localhost:9",
            "a",
            "z",
        ),
    ],
)
def test_what_is_not_given_comes_from_the_environment(
    given: Any, environment: Any, url: str, realm: Any, audience: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"STRONGDM_{name}", value)
    issuer = TrustedIssuer(**given)
    assert (issuer.url, issuer.home_realm, issuer.home_audience) == (url, realm, audience)
    assert (realm or "default") in issuer.realms


def test_an_api_of_another_issuer_is_not_let_out_onto_the_network(issuer: TrustedIssuer) -> None:
    verifier = Verifier(**{**SETTINGS, "issuer": "https://id.example.com"})
    with pytest.raises(RuntimeError, match=r"trusts the issuer https://id\.example\.com.*stands in for https://id"):
        verifier.admit(call(agent=issuer.agent()))
    with TrustedIssuer(**{**SETTINGS, "issuer": "https://id.example.com"}) as other:
        assert verifier.authenticate(call(agent=other.agent())).issuer == "https://id.example.com/realms/acme"
        assert Verifier(**SETTINGS).authenticate(call(agent=issuer.agent())).issuer == issuer.issuer_url()


def test_outside_of_the_block_the_api_is_its_own_again() -> None:
    verifier = Verifier(**SETTINGS)
    with TrustedIssuer(**SETTINGS) as issuer:
        agent = issuer.agent()
        verifier.authenticate(call(agent=agent))
        with pytest.raises(RuntimeError, match="already"), issuer:
            pass
    with pytest.raises(TemporarilyUnavailable):  # it asks the real issuer, to which there is no connection
        verifier.authenticate(call(agent=agent))


def test_what_the_api_learnt_is_forgotten_when_the_block_ends() -> None:
    verifier, issuer = Verifier(**SETTINGS), TrustedIssuer(**SETTINGS)
    request = call(agent=issuer.agent(dpop=True))
    for _ in range(2):
        with issuer:
            assert verifier.authenticate(request)
            with pytest.raises(InvalidDPoPProof):
                verifier.authenticate(request)


def test_the_clock_is_the_verifier_s_too(issuer: TrustedIssuer) -> None:
    verifier, agent = Verifier(**SETTINGS), issuer.agent(dpop=True)
    early = call(agent=agent)
    issuer.clock.advance(120)
    with pytest.raises(InvalidDPoPProof):
        verifier.authenticate(early)
    assert verifier.authenticate(call(agent=agent))
    issuer.clock.advance(3600)
    with pytest.raises(InvalidToken) as caught:
        verifier.authenticate(call(agent=agent))
    assert caught.value.reason == "token.expired"


def test_a_clock_of_one_s_own() -> None:
    clock = Clock(at=1_000_000_000)
    with TrustedIssuer(**SETTINGS, clock=clock) as issuer:
        assert Verifier(**SETTINGS).authenticate(call(agent=issuer.agent())).issued_at == 1_000_000_000


def test_nonces_are_told_by_the_same_clock(issuer: TrustedIssuer) -> None:
    issuer.clock.advance(10**6)
    verifier, agent = Verifier(**SETTINGS, dpop_nonce="required"), issuer.agent(dpop=True)
    with pytest.raises(UseDPoPNonce) as caught:
        verifier.authenticate(call(agent=agent))
    nonce = dict(verifier.denial(caught.value).headers)["DPoP-Nonce"]
    assert verifier.authenticate(Request("GET", URL, agent.headers("GET", URL, nonce)))


def test_keys_that_rotate(issuer: TrustedIssuer) -> None:
    verifier, before = Verifier(**SETTINGS), issuer.agent()
    verifier.authenticate(call(agent=before))
    issuer.rotate()
    assert verifier.authenticate(call(agent=issuer.agent()))
    with pytest.raises(InvalidToken):
        verifier.authenticate(call(agent=before))


def test_an_issuer_that_fails_and_one_that_hangs(issuer: TrustedIssuer) -> None:
    for misbehave in (lambda: issuer.fail(503), lambda: issuer.stall(60)):
        misbehave()
        with pytest.raises(TemporarilyUnavailable):
            Verifier(**SETTINGS).authenticate(call(agent=issuer.agent()))
        issuer.heal()
    assert Verifier(**SETTINGS).authenticate(call(agent=issuer.agent()))


def test_revocation_is_learnt_with_the_api_s_own_credentials(issuer: TrustedIssuer) -> None:
    verifier = Verifier(**SETTINGS, introspection="always", introspection_ttl=0, client_id="api", client_secret="s")
    agent = issuer.agent()
    assert verifier.authenticate(call(agent=agent)).introspected
    issuer.revoke(agent.token)
    with pytest.raises(InvalidToken):
        verifier.authenticate(call(agent=agent))
    opaque = Request("GET", URL, {"Authorization": f"Bearer {issuer.opaque_token('ann')}"})
    assert verifier.authenticate(opaque).subject == "ann"


def test_credentials_that_are_one_realm_s() -> None:
    settings = {**SETTINGS, "issuer": "https://id.strongdm.ai/realms/acme", "realms": None}
    with TrustedIssuer(**settings) as issuer:
        verifier = Verifier(**settings, introspection="always", client_id="api", client_secret="s")
        assert verifier.authenticate(call(agent=issuer.agent())).introspected


def test_an_api_whose_issuer_is_one_realm_s(issuer: TrustedIssuer) -> None:
    verifier = Verifier(issuer="https://id.strongdm.ai/realms/acme", audience=AUDIENCE)
    assert verifier.authenticate(call(agent=issuer.agent())).realm == "acme"


def test_what_the_api_revokes_itself(issuer: TrustedIssuer) -> None:
    verifier, agent = Verifier(**SETTINGS), issuer.agent()
    verifier.revoke(agent.token)
    with pytest.raises(InvalidToken) as caught:
        verifier.authenticate(call(agent=agent))
    assert caught.value.reason == "token.revoked"


def test_a_proof_counts_once_in_threads_and_loops_that_share_their_settings(issuer: TrustedIssuer) -> None:
    verifier = Verifier(**SETTINGS)
    loops, request = verifier.for_event_loops(), call(agent=issuer.agent(dpop=True))
    assert asyncio.run(loops.authorize(request, Requirement(dpop=True)))
    with pytest.raises(InvalidDPoPProof):
        verifier.authenticate(request)


def test_an_async_verifier(issuer: TrustedIssuer) -> None:
    verifier = AsyncVerifier(**SETTINGS)

    async def ask() -> Any:
        await verifier.revoke("x.y.z")
        return await verifier.authenticate(call(agent=issuer.agent("ann")))

    assert asyncio.run(ask()).subject == "ann"
    assert asyncio.run(ask()).subject == "ann"  # in another loop


def test_an_agent_of_the_client_library_from_end_to_end(issuer: TrustedIssuer, apps: dict[str, Any]) -> None:
    network = Network(transport=issuer.transport(), async_transport=issuer.transport(), clock=issuer.clock)
    client = issuer.client("agent", scopes="read")
    source = ClientCredentials(issuer.issuer_url(), *client.auth, scopes="read", audience=AUDIENCE, network=network)
    app = apps["starlette"]._app

    async def ask(auth: httpx.Auth) -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE, auth=auth) as http:
            return (await http.get("/read?page=2")).status_code

    assert asyncio.run(ask(DPoPAuth(source))) == 200
    agent = issuer.agent(scopes="read", key=DPoPKey.generate())
    assert asyncio.run(ask(DPoPAuth(FixedToken(agent.token, agent.key)))) == 200


def test_a_workload_with_its_svid() -> None:
    with TrustedIssuer(**SETTINGS) as issuer:
        verifier = Verifier(**SETTINGS, trust_domains=[issuer.trust_domain])
        request = Request("GET", URL, {"Authorization": f"Bearer {issuer.jwt_svid('cli_worker')}"})
        workers = Requirement(spiffe_ids=f"spiffe://{issuer.trust_domain}/workload/*")
        token = verifier.authorize(request, workers)
        assert token is not None
        assert token.subject == f"spiffe://{issuer.trust_domain}/workload/cli_worker"
        with pytest.raises(InvalidToken):
            verifier.authenticate(request)
        with unsafe_authenticated_as("cli_worker"), pytest.raises(InvalidToken):  # which is no SVID
            verifier.authorize(request, workers)
