"""`DPoPAuth` and `BearerAuth` in httpx and httpx2, sync and async: what is sent, and what is done about a refusal."""

import hashlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from strongdm_auth.client import (
    ClientCredentials,
    DPoPAuth,
    DPoPKey,
    FixedToken,
    InsecureURL,
)
from strongdm_auth.jose import encode_segment
from strongdm_auth.testing import Issuer
from tests.client.conftest import API, Api, Library, challenge, claims_of, parts


def ath(token: str) -> str:
    return encode_segment(hashlib.sha256(token.encode()).digest())


# What goes out


def test_each_request_has_the_token_and_a_fresh_proof_for_it(library: Library, api: Api, source: Any) -> None:
    key = DPoPKey.generate()
    auth = library.DPoPAuth(source, key)
    for _ in range(2):
        assert library.send(api, auth, "POST", f"{API}/things?q=1#x", content=b"body").status_code == 200
    first, second = api.got
    assert first.headers["Authorization"] == second.headers["Authorization"] == f"DPoP {first.token}"
    header, claims = parts(first.proof)
    assert (claims["htm"], claims["htu"], claims["ath"]) == ("POST", f"{API}/things", ath(first.token))
    assert header["jwk"] == key.public_jwk
    assert claims["jti"] != claims_of(second.proof)["jti"]
    assert claims_of(first.token)["cnf"] == {"jkt": key.thumbprint}
    assert first.body == b"body"


def test_a_bearer_token_goes_alone(library: Library, api: Api, source: Any) -> None:
    library.send(api, library.BearerAuth(source), headers={"DPoP": "left over"})
    library.send(api, library.BearerAuth("a-token"))
    assert api.got[0].headers["Authorization"] == f"Bearer {api.got[0].token}"
    assert "cnf" not in claims_of(api.got[0].token)
    assert api.got[0].proof is None
    assert api.got[1].headers["Authorization"] == "Bearer a-token"


def test_the_user_s_own_headers_and_query_stay_and_old_credentials_do_not(
    library: Library, api: Api, source: Any
) -> None:
    old = {"Authorization": "Basic old", "DPoP": "old", "X-Mine": "1"}
    library.send(api, library.DPoPAuth(source), url=f"{API}/a%2Fb?x=1", headers=old)
    got = api.got[0]
    assert got.url == f"{API}/a%2Fb?x=1"
    assert got.headers["X-Mine"] == "1"
    assert got.headers.get_list("DPoP") == [got.proof]
    assert got.headers.get_list("Authorization") == [f"DPoP {got.token}"]
    assert claims_of(got.proof)["htu"] == f"{API}/a%2Fb"


def test_hooks_and_whoever_else_looks_at_the_request_see_the_proof(api: Api, source: Any) -> None:
    seen: list[Any] = []
    transport = api.transport(httpx)
    with httpx.Client(
        transport=transport, auth=DPoPAuth(source), event_hooks={"request": [lambda request: seen.append(request)]}
    ) as client:
        response = client.get(API)
    headers = response.request.headers
    assert seen[0].headers["dpop"] == headers["DPoP"] == api.got[0].proof
    assert "dpop" in headers
    assert headers.get("missing") is None
    assert dict(headers)["dpop"] == api.got[0].proof
    assert ("dpop", api.got[0].proof) in headers.multi_items()
    assert headers.get_list("DPoP") == [api.got[0].proof]
    assert api.got[0].proof in list(headers.values())
    assert len(headers) == len(headers.raw) == len(list(headers.keys()))
    del headers["DPoP"]
    del headers["Authorization"]
    assert "DPoP" not in headers
    assert "Authorization" not in headers


@pytest.mark.parametrize(
    "copied", [httpx.Headers, lambda headers: httpx.Headers(dict(headers)), lambda headers: headers]
)
def test_instrumentation_that_puts_back_a_copy_of_the_headers_does_no_harm(
    copied: Callable[[httpx.Headers], httpx.Headers], api: Api, source: Any
) -> None:
    class Instrumented(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            headers = copied(request.headers)
            headers["traceparent"] = "00-1"
            request.headers = headers
            return api.transport(httpx).handle_request(request)

    api.answers = [(302, {"Location": "https://elsewhere.example"})]
    with httpx.Client(transport=Instrumented(), auth=DPoPAuth(source), follow_redirects=True) as client:
        client.get(API)
    assert api.got[0].headers["traceparent"] == "00-1"
    assert len(api.got[0].headers.get_list("DPoP")) == 1
    assert api.got[1].credentials == (None, None)


def test_one_auth_serves_several_clients(library: Library, api: Api, source: Any, issuer: Issuer) -> None:
    auth = library.DPoPAuth(source)
    for _ in range(3):
        library.send(api, auth)
    assert issuer.count("/token") == 1


# Keys and sources


def test_the_key_is_the_given_one_the_source_s_or_a_fresh_one(source: ClientCredentials, api: Api) -> None:
    key = DPoPKey.generate()
    for auth in (DPoPAuth(source, key), DPoPAuth(source.bound_to(key)), DPoPAuth(source.bound_to(key), key)):
        with httpx.Client(transport=api.transport(httpx), auth=auth) as client:
            client.get(API)
    assert {claims_of(got.token)["cnf"]["jkt"] for got in api.got} == {key.thumbprint}
    with httpx.Client(transport=api.transport(httpx), auth=DPoPAuth(source)) as client:
        client.get(API)
    assert claims_of(api.got[-1].token)["cnf"]["jkt"] != key.thumbprint
    assert source.key is None


def test_a_token_for_another_key_or_another_scheme_is_noticed_before_it_is_sent(library: Library, source: Any) -> None:
    bound = source.bound_to(DPoPKey.generate())
    with pytest.raises(ValueError, match="another key"):
        library.DPoPAuth(bound, DPoPKey.generate())
    with pytest.raises(ValueError, match="DPoPAuth"):
        library.BearerAuth(bound)
    with pytest.raises(ValueError, match="FixedToken"):
        library.DPoPAuth("a-token")
    with pytest.raises(ValueError, match="not bound"):
        library.DPoPAuth(FixedToken("a-token"))


def test_a_token_that_somebody_else_got_can_be_presented_with_its_key(library: Library, api: Api) -> None:
    key = DPoPKey.generate()
    library.send(api, library.DPoPAuth(FixedToken("a-token", key)))
    assert api.got[0].headers["Authorization"] == "DPoP a-token"
    assert parts(api.got[0].proof)[0]["jwk"] == key.public_jwk


def test_reprs_show_no_token(source: Any) -> None:
    assert "a-token" not in repr(FixedToken("a-token", DPoPKey.generate()))
    token = source.token()
    assert token.value not in repr(token)
    assert token.value not in repr(DPoPAuth(source))


# Where credentials may go


@pytest.mark.parametrize("url", ["http://api.example.com/", "http://127.0.0.1.example.com/", "http://10.0.0.1/"])
def test_plain_http_off_loopback_is_refused_before_a_token_is_fetched(
    url: str, library: Library, api: Api, source: Any, issuer: Issuer
) -> None:
    for auth in (library.DPoPAuth(source), library.BearerAuth(source)):
        with pytest.raises(InsecureURL, match="plain http"):
            library.send(api, auth, url=url)
    assert api.got == []
    assert issuer.requests == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/", "http://localhost/", "http://[::1]:1/", "https://x/"])
def test_http_on_this_machine_is_fine(url: str, library: Library, api: Api, source: Any) -> None:
    library.send(api, library.DPoPAuth(source), url=url)
    assert claims_of(api.got[0].proof)["htu"] == url


def test_origins_say_where_credentials_may_go_at_all(library: Library, api: Api, source: Any) -> None:
    for auth in (library.BearerAuth(source, origins=API), library.DPoPAuth(source, origins=[API, "https://x:444/"])):
        library.send(api, auth, url="https://API.example.com:443/other")
        for url in ("https://api.example.com.evil.example/", "https://api.example.com:444/", "http://127.0.0.1/"):
            with pytest.raises(InsecureURL, match="not for"):
                library.send(api, auth, url=url)
    assert len(api.got) == 2
    with pytest.raises(InsecureURL):
        library.BearerAuth(source, origins="http://api.example.com")


@pytest.mark.parametrize("url", ["ftp://x", "x", "/things", "https://", "https://[::1", "https://x:99999", ""])
def test_what_is_no_origin_is_refused_at_once(url: str, source: Any) -> None:
    with pytest.raises(InsecureURL):
        DPoPAuth(source, origins=[url])


# Nonces (RFC 9449 8 and 9)


def test_a_nonce_that_is_asked_for_is_brought_once(library: Library, api: Api, source: Any) -> None:
    api.answers = [(401, {**challenge("use_dpop_nonce"), "DPoP-Nonce": "n1"}), (200, {"DPoP-Nonce": "n2"})]
    auth = library.DPoPAuth(source)
    assert library.send(api, auth, "POST", content=b"x").status_code == 200
    assert library.send(api, auth).status_code == 200
    assert [claims_of(got.proof).get("nonce") for got in api.got] == [None, "n1", "n2"]
    assert [got.body for got in api.got] == [b"x", b"x", b""]
    assert len({claims_of(got.proof)["jti"] for got in api.got}) == 3


def test_a_server_that_keeps_asking_for_nonces_gets_one_retry(library: Library, api: Api, source: Any) -> None:
    api.answers = [(401, {**challenge("use_dpop_nonce"), "DPoP-Nonce": f"n{count}"}) for count in range(9)]
    assert library.send(api, library.DPoPAuth(source)).status_code == 401
    assert len(api.got) == 2


def test_asking_for_a_nonce_without_giving_one_is_no_reason_to_try_again(
    library: Library, api: Api, source: Any
) -> None:
    api.answers = [(401, challenge("use_dpop_nonce"))]
    assert library.send(api, library.DPoPAuth(source)).status_code == 401
    assert len(api.got) == 1


def test_a_nonce_stays_with_the_origin_that_gave_it(library: Library, api: Api, source: Any) -> None:
    api.answers = [(200, {"DPoP-Nonce": "of-one"}), (200, {}), (200, {"DPoP-Nonce": "of-two"}), (200, {}), (200, {})]
    auth = library.DPoPAuth(source)
    one, other_port, other_host = "https://one.example/", "https://one.example:8443/", "https://two.example/"
    for url in (one, other_port, other_host, "https://ONE.example:443/else", other_port):
        library.send(api, auth, url=url)
    assert [claims_of(got.proof).get("nonce") for got in api.got] == [None, None, None, "of-one", None]


@pytest.mark.parametrize("nonce", ["x" * 2_000, "", "\tx\x7f", "é"])
def test_a_nonce_that_no_proof_should_carry_is_left_alone(nonce: str, library: Library, api: Api, source: Any) -> None:
    api.answers = [(200, {"DPoP-Nonce": nonce})]
    auth = library.DPoPAuth(source)
    library.send(api, auth)
    library.send(api, auth)
    assert "nonce" not in claims_of(api.got[1].proof)
