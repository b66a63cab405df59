"""Client credentials: what is asked of the issuer, and what its answers are worth."""

import copy
from base64 import b64decode
from typing import Any

import httpx
import pytest

from strongdm_auth.client import ClientCredentials, DPoPKey, InsecureURL, Network, TokenRequestFailed
from strongdm_auth.testing import Client, Issuer
from tests.client.conftest import Time, as_json, claims_of, network_of, parts
from tests.client.token_endpoint import ISSUER, TokenEndpoint, source_at

# What is asked


def test_the_issuer_gives_a_token_with_the_scopes_and_for_the_api_that_were_asked_for(
    issuer: Issuer, client: Client, network: Network
) -> None:
    source = ClientCredentials(
        issuer.issuer_url("alpha"),
        *client.auth,
        scopes=["read", "openid"],
        audience=["https://a", "https://b"],
        resource="https://c",
        network=network,
    )
    token = source.token()
    claims = claims_of(token.value)
    assert (claims["iss"], claims["sub"], claims["aud"]) == (
        issuer.issuer_url("alpha"),
        client.client_id,
        ["https://a", "https://b", "https://c"],
    )
    assert token.scopes == {"read", "openid"} == set(claims["scope"].split())
    assert (token.token_type, token.expires_at) == ("Bearer", claims["exp"])


def test_the_base_issuer_finds_the_realm_by_the_client(issuer: Issuer, client: Client, network: Network) -> None:
    token = ClientCredentials(issuer.url, *client.auth, network=network).token()
    assert claims_of(token.value)["iss"] == issuer.issuer_url("alpha")
    assert token.scopes == {"read", "write", "openid"}


def test_a_key_binds_the_token(issuer: Issuer, source: ClientCredentials) -> None:
    key = DPoPKey.generate("EdDSA")
    token = source.bound_to(key).token()
    assert token.token_type == "DPoP"
    assert claims_of(token.value)["cnf"] == {"jkt": key.thumbprint}
    assert source.token().token_type == "Bearer"


def test_basic_is_the_default_and_form_encoded_before(time: Time) -> None:
    endpoint = TokenEndpoint()
    source_at(endpoint, time).token()
    source_at(endpoint, time, client_auth="client_secret_post").token()
    public = ClientCredentials(ISSUER, "cli_1", None, network=network_of(endpoint.transport, time))
    public.token()
    basic, post, _ = endpoint.got
    scheme, _, encoded = basic.headers["Authorization"].partition(" ")
    assert (scheme, b64decode(encoded)) == ("Basic", b"cli_1:sec%3Aret%2F1")
    assert "client_secret" not in endpoint.forms[0]
    assert "Authorization" not in post.headers
    assert (endpoint.forms[1]["client_id"], endpoint.forms[1]["client_secret"]) == (["cli_1"], ["sec:ret/1"])
    assert endpoint.forms[2]["client_id"] == ["cli_1"]
    assert "client_secret" not in endpoint.forms[2]
    with pytest.raises(ValueError, match="client_secret_basic"):
        source_at(endpoint, time, client_auth="private_key_jwt")


def test_without_a_discovery_document_the_place_is_strongdm_s_own(time: Time) -> None:
    endpoint = TokenEndpoint()
    source_at(endpoint, time).token()
    assert str(endpoint.got[0].url) == f"{ISSUER}/token"
    assert endpoint.others == [f"{ISSUER}/.well-known/openid-configuration"]


def discovery(**members: object) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("openid-configuration"):
            return as_json(200, {"issuer": ISSUER, **members})
        assert request.headers["Authorization"].startswith("Basic ")
        return as_json(200, {"access_token": str(request.url), "token_type": "bearer"})

    return httpx.MockTransport(answer)


def test_the_token_endpoint_is_where_discovery_says(time: Time) -> None:
    transport = discovery(token_endpoint="https://tokens.example.net/t?x=1")
    source = ClientCredentials(ISSUER, "c", "secret", network=network_of(transport, time))
    assert source.token().value == "https://tokens.example.net/t?x=1"
    without = ClientCredentials(ISSUER, "c", "secret", network=network_of(discovery(), time))
    assert without.token().value == f"{ISSUER}/token"


@pytest.mark.parametrize(
    "members",
    [
        {"issuer": "https://id.example.com/"},
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"token_endpoint": "http://id.example.com/token"},
        {"token_endpoint": "http://127.0.0.1/token"},
        {"token_endpoint": 5},
        {"token_endpoint": "https://user@id.example.com/token"},
    ],
)
def test_the_secret_goes_nowhere_if_discovery_is_not_this_issuer_s(members: dict[str, object], time: Time) -> None:
    source = ClientCredentials(ISSUER, "c", "secret", network=network_of(discovery(**members), time))
    with pytest.raises(TokenRequestFailed, match="discovery"):
        source.token()


@pytest.mark.parametrize("answer", [httpx.Response(200, content=b"<html>"), httpx.Response(403), httpx.Response(302)])
def test_a_discovery_document_that_cannot_be_had_is_no_reason_to_guess(answer: httpx.Response, time: Time) -> None:
    asked: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return answer

    source = ClientCredentials(ISSUER, "c", "secret", network=network_of(httpx.MockTransport(respond), time))
    with pytest.raises(TokenRequestFailed, match="discovery"):
        source.token()
    assert asked == ["/.well-known/openid-configuration"]


def test_an_issuer_on_this_machine_cannot_send_the_secret_over_plain_http_elsewhere(time: Time) -> None:
    here = "http://127.0.0.1:8000"
    transport = discovery(issuer=here, token_endpoint="http://id.example.com/token")
    with pytest.raises(TokenRequestFailed, match="discovery"):
        ClientCredentials(here, "c", "secret", network=network_of(transport, time)).token()


@pytest.mark.parametrize("issuer", ["http://id.example.com", "ftp://x", "id.example.com", "https://id.example.com?x=1"])
def test_an_issuer_that_may_not_get_a_secret_is_refused_at_once(issuer: str) -> None:
    with pytest.raises(InsecureURL, match="issuer"):
        ClientCredentials(issuer, "c", "secret")


def test_a_token_request_follows_no_redirect(time: Time) -> None:
    endpoint = TokenEndpoint(httpx.Response(307, headers={"Location": "https://evil.example/token"}))
    with pytest.raises(TokenRequestFailed) as failure:
        source_at(endpoint, time).token()
    assert failure.value.status == 307
    assert len(endpoint.got) == 1


def test_a_nonce_that_the_issuer_asks_for_is_brought_once_and_kept(time: Time) -> None:
    asking = as_json(400, {"error": "use_dpop_nonce"}, **{"DPoP-Nonce": "n1"})
    endpoint = TokenEndpoint()
    endpoint.answers = [asking, lambda: endpoint.token(token_type="DPoP")]
    source = source_at(endpoint, time, key=DPoPKey.generate())
    token = source.token()
    endpoint.answers = [lambda: endpoint.token(token_type="DPoP")]
    source.token(instead_of=token)
    proofs = [parts(request.headers["DPoP"])[1] for request in endpoint.got]
    assert [proof.get("nonce") for proof in proofs] == [None, "n1", "n1"]
    assert len({proof["jti"] for proof in proofs}) == 3
    assert {proof["htu"] for proof in proofs} == {f"{ISSUER}/token"}
    assert all("ath" not in proof for proof in proofs)
    endpoint.answers = [copy.copy(asking) for _ in range(5)]
    with pytest.raises(TokenRequestFailed, match="use_dpop_nonce"):
        source.token(instead_of=source.token())
    assert len(endpoint.got) == 5


def test_a_discovery_document_is_read_again_after_an_hour_and_the_last_one_serves_while_it_cannot_be(
    time: Time,
) -> None:
    asked: list[str] = []
    documents = [as_json(200, {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/{place}"}) for place in "ab"]

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if request.url.path.endswith("openid-configuration"):
            return documents.pop(0) if documents else httpx.Response(500)
        return as_json(200, {"access_token": "t", "token_type": "Bearer"})

    source = ClientCredentials(ISSUER, "c", "s", network=network_of(httpx.MockTransport(answer), time))
    token = source.token()
    for seconds in (1800, 1800, 3600):
        time.clock.advance(seconds)
        source.token(instead_of=token)
    assert [path for path in asked if len(path) == 2] == ["/a", "/a", "/b", "/b"]


def test_a_nonce_beside_an_answer_that_does_not_ask_for_one_is_no_reason_to_try_again(time: Time) -> None:
    for body in (b"<html>", b'{"error": "invalid_client"}'):
        endpoint = TokenEndpoint(httpx.Response(400, headers={"DPoP-Nonce": "n"}, content=body))
        with pytest.raises(TokenRequestFailed):
            source_at(endpoint, time, key=DPoPKey.generate()).token()
        assert len(endpoint.got) == 1


def test_an_answer_that_comes_too_slowly_is_none(time: Time) -> None:
    with pytest.raises(TokenRequestFailed, match="slowly"):
        source_at(TokenEndpoint(), time, network={"timeout": 1e-9}).token()


# What is answered


@pytest.mark.parametrize(
    "answer",
    [
        {"access_token": None},
        {"access_token": ""},
        {"access_token": "two words"},
        {"access_token": "line\r\nInjected: header"},
        {"access_token": "ümlaut"},
        {"access_token": 5},
        {"token_type": None},
        {"token_type": "mac"},
        {"token_type": "DPoP"},
    ],
)
def test_an_answer_that_cannot_be_used_is_told(answer: dict[str, Any], time: Time) -> None:
    endpoint = TokenEndpoint()
    endpoint.answers = [lambda: endpoint.token(**answer)]
    with pytest.raises(TokenRequestFailed) as failure:
        source_at(endpoint, time).token()
    assert (failure.value.error, failure.value.status) == ("invalid_answer", 200)


def test_a_token_that_came_unbound_though_a_proof_was_sent_is_not_made_do_with(time: Time) -> None:
    with pytest.raises(TokenRequestFailed, match="DPoP"):
        source_at(TokenEndpoint(), time, key=DPoPKey.generate()).token()


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"access_token": NaN}', b'{"a":1,"a":2}'])
def test_what_is_no_json_object_is_told(body: bytes, time: Time) -> None:
    with pytest.raises(TokenRequestFailed, match="JSON"):
        source_at(TokenEndpoint(httpx.Response(200, content=body)), time).token()


def test_an_answer_without_end_is_cut_off(time: Time) -> None:
    def pieces() -> Any:
        for _ in range(12):
            yield b"x" * 65_536
        raise AssertionError("it reads on")

    endpoint = TokenEndpoint(*[lambda: httpx.Response(200, content=pieces())] * 9)
    with pytest.raises(TokenRequestFailed, match="larger"):
        source_at(endpoint, time).token()


def test_a_refusal_carries_what_the_issuer_said(time: Time) -> None:
    said = as_json(400, {"error": "invalid_scope", "error_description": "no\nsuch\x1b[31m scope" + "x" * 1000})
    with pytest.raises(TokenRequestFailed) as failure:
        source_at(TokenEndpoint(said), time).token()
    assert (failure.value.error, failure.value.status) == ("invalid_scope", 400)
    assert failure.value.description.startswith("no such [31m scope")
    assert len(failure.value.description) == 300
    assert str(failure.value).startswith("invalid_scope: no such")


@pytest.mark.parametrize("echo", ["sec:ret/1", "sec%3Aret%2F1", "x" * 286 + "sec:ret/1"])
def test_no_error_repeats_the_secret_even_if_the_issuer_does(echo: str, time: Time) -> None:
    said = as_json(401, {"error": f"bad {echo}", "error_description": f"cli_1:{echo} is wrong"})
    with pytest.raises(TokenRequestFailed) as failure:
        source_at(TokenEndpoint(said), time).token()
    shown = str(failure.value) + repr(failure.value) + repr(failure.value.__dict__)
    assert "sec:ret" not in shown
    assert "sec%3Aret" not in shown
    assert "sec:" not in shown
    assert failure.value.__cause__ is None


def test_an_outage_shows_no_secret_and_no_request(time: Time) -> None:
    endpoint = TokenEndpoint(*[httpx.ConnectError("sec:ret/1")] * 9)
    source = source_at(endpoint, time)
    with pytest.raises(TokenRequestFailed) as failure:
        source.token()
    assert (failure.value.error, failure.value.status) == ("unreachable", None)
    chain: BaseException | None = failure.value
    while chain is not None:
        assert "sec:ret" not in str(chain)
        chain = None if chain.__suppress_context__ else chain.__context__
    assert "sec:ret" not in repr(source)
    assert "sec:ret" not in repr(source._side)
