"""`DPoPAuth` and `BearerAuth` in requests, against servers on loopback: two ports are two origins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from strongdm_auth.client import DPoPKey, InsecureURL, TokenRequestFailed
from strongdm_auth.client.story import FRESH
from tests.client.conftest import Api, Time, challenge, claims_of, protected, serving

requests = pytest.importorskip("requests")

from strongdm_auth.client.requests import BearerAuth, DPoPAuth  # noqa: E402


@pytest.fixture
def served(api: Api) -> Iterator[str]:
    with serving(api) as url:
        yield url


@pytest.fixture
def session() -> Iterator[Any]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def test_each_request_is_signed(served: str, api: Api, session: Any, source: Any) -> None:
    key = DPoPKey.generate()
    session.auth = DPoPAuth(source, key)
    api.answers = [protected, protected]
    assert session.post(f"{served}/a", data=b"x", params={"q": "1"}).status_code == 200
    assert session.get(f"{served}/a").status_code == 200
    first, second = api.got
    assert first.url == f"{served}/a?q=1"
    assert first.headers["Authorization"] == f"DPoP {first.token}"
    assert claims_of(first.token)["cnf"] == {"jkt": key.thumbprint}
    assert claims_of(first.proof)["jti"] != claims_of(second.proof)["jti"]


def test_a_bearer_token_goes_alone(served: str, api: Api, session: Any, source: Any) -> None:
    session.get(served, auth=BearerAuth(source), headers={"DPoP": "left over"})
    session.get(served, auth=BearerAuth("a-token"))
    assert [got.proof for got in api.got] == [None, None]
    assert api.got[1].headers["Authorization"] == "Bearer a-token"


def test_nonce_token_and_scope_are_seen_to(served: str, api: Api, session: Any, source: Any, time: Time) -> None:
    session.auth = DPoPAuth(source, may_ask_for="write")
    session.get(served)
    time.clock.advance(FRESH)
    api.answers = [
        (401, {**challenge("use_dpop_nonce"), "DPoP-Nonce": "n", "Set-Cookie": "seen=1"}),
        (401, challenge("invalid_token")),
        (403, challenge("insufficient_scope", scope="write")),
        (200, {}),
        (200, {}),
    ]
    response = session.post(f"{served}/x", data=b"body")
    assert response.status_code == 200
    assert [past.status_code for past in response.history] == [401, 401, 403]
    assert [got.body for got in api.got[1:]] == [b"body"] * 4
    assert [claims_of(got.proof).get("nonce") for got in api.got] == [None, None, "n", "n", "n"]
    assert api.got[2].headers["Cookie"] == "seen=1"
    assert len({got.token for got in api.got}) == 3
    assert set(claims_of(api.got[4].token)["scope"].split()) == {"read", "write"}
    session.get(served)
    assert len({claims_of(got.proof)["jti"] for got in api.got}) == len(api.got) == 6


def test_a_refusal_that_stays_is_the_answer(served: str, api: Api, session: Any, source: Any) -> None:
    api.answers = [(401, {**challenge("use_dpop_nonce"), "DPoP-Nonce": f"n{count}"}) for count in range(9)]
    assert session.get(served, auth=DPoPAuth(source)).status_code == 401
    assert len(api.got) == 2


def test_a_streamed_body_is_sent_once(served: str, api: Api, session: Any, source: Any) -> None:
    import io

    api.answers = [(401, {**challenge("use_dpop_nonce"), "DPoP-Nonce": "n"})]
    assert session.post(served, data=io.BytesIO(b"once"), auth=DPoPAuth(source)).status_code == 401
    assert [got.body for got in api.got] == [b"once"]


def test_another_origin_gets_neither_token_nor_proof(served: str, api: Api, session: Any, source: Any) -> None:
    other = Api([(401, {**challenge("use_dpop_nonce"), "DPoP-Nonce": "evil"})] * 4)
    with serving(other) as elsewhere:
        for auth in (DPoPAuth(source), BearerAuth(source)):
            # requests drops Authorization where the host's name changes.
            there = elsewhere.replace("127.0.0.1", "localhost")
            api.answers = [(307, {"Location": f"{there}/x"})]
            assert session.post(served, data=b"x", auth=auth).status_code == 401
    assert [got.credentials for got in other.got] == [(None, None)] * 2


def test_a_proof_goes_to_no_other_port_either(served: str, api: Api, session: Any, source: Any) -> None:
    other = Api([(401, {**challenge("use_dpop_nonce"), "DPoP-Nonce": "evil"})] * 4)
    with serving(other) as elsewhere:
        api.answers = [(307, {"Location": f"{elsewhere}/x"})]
        assert session.post(served, data=b"x", auth=DPoPAuth(source)).status_code == 401
    assert [got.credentials for got in other.got] == [(None, None)]


@pytest.mark.parametrize(("status", "method"), [(302, "GET"), (307, "POST")])
def test_a_redirect_within_the_origin_is_signed_anew(
    status: int, method: str, served: str, api: Api, session: Any, source: Any
) -> None:
    api.answers = [(status, {"Location": "/other?x=1"}), protected, protected]
    response = session.post(f"{served}/a", data=b"x", auth=DPoPAuth(source))
    assert response.status_code == 200
    assert [got.url.removeprefix(served) for got in api.got] == ["/a", "/other?x=1", "/other?x=1"]
    assert api.got[1].proof is None
    claims = claims_of(api.got[2].proof)
    assert (claims["htm"], claims["htu"]) == (method, f"{served}/other")
    assert response.request.url == f"{served}/other?x=1"


def test_a_chain_of_redirects_ends_signed_and_leaving_it_takes_nothing_along(
    served: str, api: Api, session: Any, source: Any
) -> None:
    other = Api()
    with ExitStack() as stack:
        elsewhere = stack.enter_context(serving(other))
        api.answers = [
            (302, {"Location": "/two"}),
            protected,
            (302, {"Location": "/three"}),
            protected,
            (302, {"Location": elsewhere}),
        ]
        session.get(f"{served}/one", auth=DPoPAuth(source))
    assert [got.url.removeprefix(served) for got in api.got] == ["/one", "/two", "/two", "/three", "/three"]
    assert [got.proof is None for got in api.got] == [False, True, False, True, False]
    assert [got.credentials for got in other.got] == [(None, None)]


def test_a_redirect_that_is_not_followed_is_the_answer(served: str, api: Api, session: Any, source: Any) -> None:
    api.answers = [(302, {"Location": "/two"})]
    response = session.get(served, auth=DPoPAuth(source), allow_redirects=False)
    assert response.status_code == 302
    assert "DPoP" not in response.next.headers


def test_plain_http_off_loopback_is_refused(session: Any, source: Any) -> None:
    for auth in (DPoPAuth(source), BearerAuth(source)):
        with pytest.raises(InsecureURL):
            session.get("http://api.example.com/", auth=auth)


def test_what_the_issuer_says_reaches_the_caller(served: str, api: Api, session: Any, source: Any, issuer: Any) -> None:
    issuer.fail(400, path="/token", body=b'{"error": "invalid_scope"}')
    with pytest.raises(TokenRequestFailed, match="invalid_scope"):
        session.get(served, auth=DPoPAuth(source))
    assert api.got == []


def test_a_prepared_request_that_is_sent_twice_is_answered_as_it_is(
    served: str, api: Api, session: Any, source: Any
) -> None:
    prepared = session.prepare_request(requests.Request("GET", served, auth=DPoPAuth(source)))
    assert session.send(prepared).status_code == 200
    api.answers = [(401, challenge("invalid_dpop_proof"))]
    assert session.send(prepared).status_code == 401
    assert "Authorization" not in repr(DPoPAuth(source))


def test_schemes_and_sources_have_to_fit(source: Any) -> None:
    with pytest.raises(ValueError, match="DPoPAuth"):
        BearerAuth(source.bound_to(DPoPKey.generate()))
