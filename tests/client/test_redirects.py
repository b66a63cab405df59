"""Redirects that the library follows: credentials stay within the origin, and a proof with the request it was made for."""

from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from strongdm_auth.client.signed_request import signed_request_class
from strongdm_auth.client.story import MOST_REDIRECTS
from tests.client.conftest import API, Answer, Api, Got, Library, challenge, claims_of, protected

ELSEWHERE = "https://elsewhere.example"


def to(url: str, status: int = 302) -> Answer:
    return status, {"Location": url}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "elsewhere", [ELSEWHERE, "https://api.example.com:8443", "https://sub.api.example.com", "http://api.example.com"]
)
def test_another_origin_gets_neither_token_nor_proof(
    status: int, elsewhere: str, library: Library, api: Api, source: Any
) -> None:
    for auth in (library.DPoPAuth(source), library.BearerAuth(source)):
        api.got.clear()
        api.answers = [to(f"{elsewhere}/there", status), (401, {**challenge("use_dpop_nonce"), "DPoP-Nonce": "evil"})]
        response = library.send(api, auth, "POST", content=b"x", follow_redirects=True)
        assert response.status_code == 401
        assert [got.url for got in api.got] == [f"{API}/things", f"{elsewhere}/there"]
        assert api.got[1].credentials == (None, None)


def test_another_origin_s_nonce_is_not_taken_for_ours(library: Library, api: Api, source: Any) -> None:
    api.answers = [to(ELSEWHERE), (200, {"DPoP-Nonce": "evil"})]
    auth = library.DPoPAuth(source)
    library.send(api, auth, follow_redirects=True)
    library.send(api, auth)
    library.send(api, auth, url=ELSEWHERE)
    assert ["nonce" in claims_of(got.proof) for got in api.got if got.proof] == [False] * 3


def test_who_is_sent_away_and_back_gets_nothing_signed(library: Library, api: Api, source: Any) -> None:
    """The URL was chosen elsewhere: to call it in our name would let any redirector use our permissions."""
    api.answers = [to(ELSEWHERE, 307), to(f"{API}/admin/delete", 307), protected, protected]
    response = library.send(api, library.DPoPAuth(source), "POST", content=b"x", follow_redirects=True)
    assert response.status_code == 401
    assert [got.credentials for got in api.got[1:]] == [(None, None)] * 2


@pytest.mark.parametrize(("status", "method"), [(302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
def test_a_redirect_within_the_origin_is_signed_anew(
    status: int, method: str, library: Library, api: Api, source: Any
) -> None:
    api.answers = [to("/other?x=1", status), protected, protected]
    response = library.send(api, library.DPoPAuth(source), "POST", content=b"x", follow_redirects=True)
    assert response.status_code == 200
    unsigned, signed = api.got[1:]
    # The proof of the first request is not used for the second; it would be refused, and be seen twice.
    assert unsigned.proof is None
    assert (signed.method, signed.url) == (method, f"{API}/other?x=1")
    assert (claims_of(signed.proof)["htm"], claims_of(signed.proof)["htu"]) == (method, f"{API}/other")
    assert signed.body == (b"x" if method == "POST" else b"")


def test_what_the_library_takes_for_the_same_host_is_another_origin_all_the_same(
    library: Library, api: Api, source: Any
) -> None:
    """httpx keeps Authorization where http on port 80 becomes https on 443: then a proof would be all that is missing."""
    api.answers = [to("https://localhost/x"), (401, {**challenge("use_dpop_nonce"), "DPoP-Nonce": "n"})]
    response = library.send(api, library.DPoPAuth(source), url="http://localhost/", follow_redirects=True)
    assert response.status_code == 401
    assert [got.proof is None for got in api.got] == [False, True]


def test_a_bearer_token_follows_within_the_origin(library: Library, api: Api, source: Any) -> None:
    api.answers = [to("/other")]
    assert library.send(api, library.BearerAuth(source), follow_redirects=True).status_code == 200
    assert [got.token for got in api.got] == [source.token().value] * 2


def test_a_chain_within_the_origin_ends_signed(library: Library, api: Api, source: Any) -> None:
    def second(got: Got) -> Answer:
        return protected(got) if got.proof is None else to("/three")

    api.answers = [to("/two"), second, second, protected, protected]
    response = library.send(api, library.DPoPAuth(source), follow_redirects=True)
    assert response.status_code == 200
    assert [got.url.removeprefix(API) for got in api.got] == ["/things", "/two", "/two", "/three", "/three"]


def test_a_redirect_that_leaves_after_it_was_signed_anew_takes_nothing_along(
    library: Library, api: Api, source: Any
) -> None:
    api.answers = [to("/two"), protected, to(f"{ELSEWHERE}/"), (401, challenge("invalid_dpop_proof"))]
    library.send(api, library.DPoPAuth(source), follow_redirects=True)
    assert api.got[2].proof is not None
    assert api.got[3].credentials == (None, None)
    assert len(api.got) == 4


def test_a_loop_of_redirects_has_an_end(library: Library, api: Api, source: Any) -> None:
    def around(got: Got) -> Answer:
        return (401, challenge("invalid_dpop_proof")) if got.proof is None else to("/again")

    api.answers = [around] * 100
    with suppress(library.module.TooManyRedirects):
        library.send(api, library.DPoPAuth(source), follow_redirects=True, max_redirects=1000)
    assert len(api.got) <= 2 * MOST_REDIRECTS + 3


def test_a_redirect_that_is_not_followed_can_be_by_hand(library: Library, api: Api, source: Any) -> None:
    if library.asynchronous:
        pytest.skip("the same code")
    api.answers = [to("/other"), protected]
    with library.module.Client(transport=api.transport(library.module), auth=library.DPoPAuth(source)) as client:
        response = client.get(f"{API}/things")
        assert "DPoP" not in response.next_request.headers
        assert client.send(response.next_request).status_code == 200


def test_a_library_that_would_take_proofs_along_is_noticed_at_once() -> None:
    class Headers(httpx.Headers):
        def __init__(self, headers: Any = None, encoding: str | None = None) -> None:
            super().__init__(headers.raw if isinstance(headers, Headers) else headers, encoding)

    library = SimpleNamespace(
        __name__="httpx-of-tomorrow", Headers=Headers, Request=httpx.Request, RequestNotRead=httpx.RequestNotRead
    )
    with pytest.raises(RuntimeError, match="httpx-of-tomorrow"):
        signed_request_class(library)
