"""Introspection, revocation, userinfo, JWT-SVIDs and the trust bundle, against the local issuer."""

import asyncio
from typing import Any

import httpx
import pytest

from strongdm_auth.client import ClientCredentials, DPoPKey, Network, Service, TokenRequestFailed
from strongdm_auth.jose import decode_segment, import_public_key, split
from strongdm_auth.testing import Client, Issuer
from tests.client.conftest import Time, as_json, claims_of, network_of

ISSUER = "https://id.example.com"


@pytest.fixture(params=["bearer", "bound"])
def service(request: pytest.FixtureRequest, issuer: Issuer, client: Client, network: Network) -> Service:
    url = issuer.issuer_url("alpha")
    source = ClientCredentials(url, *client.auth, network=network)
    if request.param == "bound":
        source = source.bound_to(DPoPKey.generate())
    return Service(url, *client.auth, source=source, network=network)


def test_introspect_and_revoke(service: Service, source: ClientCredentials, client: Client) -> None:
    token = source.token()
    told = service.introspect(token)
    assert (told["active"], told["client_id"], told["scope"]) == (True, client.client_id, "read")
    service.revoke(token.value)
    assert service.introspect(token.value) == {"active": False}
    service.revoke("never was one")


def test_userinfo_and_svid(service: Service, client: Client, issuer: Issuer, time: Time) -> None:
    assert service.userinfo() == {"sub": client.client_id, "name": client.name}
    svid = service.jwt_svid("my-service")
    claims = claims_of(svid.svid)
    assert svid.spiffe_id == claims["sub"] == f"spiffe://{issuer.trust_domain}/workload/{client.client_id}"
    assert (claims["aud"], svid.expires_at) == (["my-service"], claims["exp"])
    assert svid.svid not in repr(svid)
    keys = [{**key, "use": "sig"} for key in service.trust_bundle()["keys"]]
    parts = split(svid.svid)
    assert import_public_key(keys[0]).verify("ES256", parts.signing_input, decode_segment(parts.signature))


def test_all_of_it_in_an_event_loop(service: Service, source: ClientCredentials) -> None:
    async def call() -> None:
        token = await source.atoken()
        assert (await service.aintrospect(token))["active"] is True
        await service.arevoke(token)
        assert (await service.aintrospect(token))["active"] is False
        assert (await service.auserinfo())["sub"]
        assert claims_of((await service.ajwt_svid(["a", "b"])).svid)["aud"] == ["a", "b"]
        assert (await service.atrust_bundle())["keys"]

    asyncio.run(call())


def test_refusals_are_told(issuer: Issuer, client: Client, network: Network, source: ClientCredentials) -> None:
    url = issuer.issuer_url("alpha")
    with pytest.raises(TokenRequestFailed, match="invalid_client"):
        Service(url, client.client_id, "wrong", network=network).introspect("x")
    with pytest.raises(TokenRequestFailed) as failure:
        Service(url, source=source, network=network).userinfo()  # without the scope openid
    assert (failure.value.error, failure.value.status) == ("insufficient_scope", 403)
    with pytest.raises(ValueError, match="source"):
        Service(url, network=network).jwt_svid("x")
    assert client.client_secret not in repr(Service(url, *client.auth, network=network))


def test_a_token_that_is_asked_about_is_not_repeated_in_an_error(time: Time) -> None:
    network = network_of(httpx.MockTransport(lambda request: as_json(400, {"error": "bad a-token"})), time)
    transport_without_discovery = network_of(
        httpx.MockTransport(
            lambda request: (
                httpx.Response(404)
                if "openid" in request.url.path
                else as_json(400, {"error": "bad", "error_description": "a-token and the-secret"})
            )
        ),
        time,
    )
    with pytest.raises(TokenRequestFailed, match=r"bad: \.\.\. and \.\.\."):
        Service(ISSUER, "c", "the-secret", network=transport_without_discovery).introspect("a-token")
    with pytest.raises(TokenRequestFailed, match="discovery"):
        Service(ISSUER, "c", "the-secret", network=network).introspect("a-token")


@pytest.mark.parametrize("answer", [{}, {"active": "true"}, {"active": 1}])
def test_an_answer_that_does_not_say_is_not_taken_for_yes(answer: dict[str, Any], time: Time) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404) if "openid" in request.url.path else as_json(200, answer)

    service = Service(ISSUER, "c", "s", network=network_of(httpx.MockTransport(respond), time))
    with pytest.raises(TokenRequestFailed, match="active"):
        service.introspect("x")


@pytest.mark.parametrize("answer", [{}, {"svid": "a.b.c"}, {"svid": "a.b.c", "spiffe_id": "https://x"}, {"svid": 5}])
def test_an_answer_without_a_svid_is_told(answer: dict[str, Any], issuer: Issuer, service: Service) -> None:
    import json

    issuer.answer("/svid/jwt", body=json.dumps(answer).encode())
    with pytest.raises(TokenRequestFailed, match="JWT-SVID"):
        service.jwt_svid("x")


def test_a_nonce_that_the_issuer_asks_for_is_brought(time: Time) -> None:
    proofs: list[dict[str, Any]] = []

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            return as_json(200, {"access_token": "t", "token_type": "DPoP"})
        if request.url.path != "/svid/jwt":
            return httpx.Response(404)
        proofs.append(claims_of(request.headers["DPoP"]))
        if proofs[-1].get("nonce") != "n":
            return as_json(401, {"error": "use_dpop_nonce"}, **{"DPoP-Nonce": "n"})
        return as_json(200, {"svid": "a.b.c", "spiffe_id": "spiffe://x/y"})

    network = network_of(httpx.MockTransport(respond), time)
    source = ClientCredentials(ISSUER, "c", "s", key=DPoPKey.generate(), network=network)
    assert Service(ISSUER, source=source, network=network).jwt_svid("x").spiffe_id == "spiffe://x/y"
    assert [proof.get("nonce") for proof in proofs] == [None, "n"]
    assert all(proof["ath"] for proof in proofs)


# The trust bundle


def bundles(time: Time, *answers: Any) -> tuple[Service, list[str]]:
    left, asked = list(answers), []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        answer = left.pop(0)
        return answer if isinstance(answer, httpx.Response) else as_json(200, answer)

    return Service(ISSUER, network=network_of(httpx.MockTransport(respond), time)), asked


@pytest.mark.parametrize(
    ("hint", "age"), [(None, 300), (60, 60), (0, 10), (-5, 10), (10**9, 3600), ("soon", 300), (True, 300)]
)
def test_the_trust_bundle_is_kept_as_long_as_it_says(hint: Any, age: float, time: Time) -> None:
    first = {"keys": [], **({} if hint is None else {"spiffe_refresh_hint": hint})}
    service, asked = bundles(time, first, {"keys": [1]})
    assert service.trust_bundle() is service.trust_bundle()
    time.clock.advance(age - 1)
    assert service.trust_bundle() == first
    assert asked == ["/.well-known/spiffe-trust-bundle"]
    time.clock.advance(1)
    assert service.trust_bundle() == {"keys": [1]}


def test_the_last_bundle_serves_while_the_issuer_is_away_but_not_for_ever(time: Time) -> None:
    service, asked = bundles(time, {"keys": []}, *[httpx.Response(503)] * 9)
    service.trust_bundle()
    time.clock.advance(1000)
    assert service.trust_bundle() == {"keys": []}
    assert time.waits == []
    assert len(asked) == 2
    time.clock.advance(3600)
    with pytest.raises(TokenRequestFailed):
        service.trust_bundle()


@pytest.mark.parametrize("answer", [{}, {"keys": "none"}])
def test_what_is_no_bundle_is_told(answer: dict[str, Any], time: Time) -> None:
    service, _ = bundles(time, answer)
    with pytest.raises(TokenRequestFailed, match="keys"):
        service.trust_bundle()
