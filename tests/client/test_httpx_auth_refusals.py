"""What the httpx auth does about a refusal: a newer token, more scopes, and never a body twice."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from strongdm_auth.client import (
    ClientCredentials,
    DPoPAuth,
    Token,
    TokenRequestFailed,
)
from strongdm_auth.client.story import FRESH
from strongdm_auth.jose import encode_segment
from strongdm_auth.testing import Issuer
from tests.client.conftest import API, Api, Library, Time, challenge, claims_of


def ath(token: str) -> str:
    return encode_segment(hashlib.sha256(token.encode()).digest())


# Tokens that are refused


def test_a_token_that_was_refused_is_renewed_once_if_it_was_not_fresh(
    library: Library, api: Api, source: Any, time: Time
) -> None:
    auth = library.DPoPAuth(source)
    library.send(api, auth)
    time.clock.advance(FRESH)
    api.answers = [(401, challenge("invalid_token"))]
    assert library.send(api, auth, "PUT", content=b"x").status_code == 200
    assert api.got[1].token == api.got[0].token != api.got[2].token
    assert claims_of(api.got[2].proof)["ath"] == ath(api.got[2].token)
    assert api.got[2].body == b"x"


def test_an_api_that_refuses_every_token_does_not_make_the_issuer_mint_more(
    library: Library, api: Api, source: Any, issuer: Issuer
) -> None:
    api.answers = [(401, challenge("invalid_token", scheme="Bearer"))] * 9
    auth = library.BearerAuth(source)
    for _ in range(4):
        assert library.send(api, auth).status_code == 401
    assert len(api.got) == 4
    assert issuer.count("/token") == 1


def test_a_second_refusal_is_the_answer(library: Library, api: Api, source: Any, time: Time) -> None:
    auth = library.BearerAuth(source)
    source.token()
    time.clock.advance(FRESH)
    api.answers = [(401, challenge("invalid_token", scheme="Bearer"))] * 9
    assert library.send(api, auth).status_code == 401
    assert len(api.got) == 2


class Minting:
    """A source of somebody's own, that knows nothing of times and gives another token whenever it is asked."""

    key = None
    count = 0

    def token(self, *, instead_of: Token | None = None, scopes: frozenset[str] = frozenset()) -> Token:
        self.count += 1
        return Token(f"token-{self.count}")

    async def atoken(self, *, instead_of: Token | None = None, scopes: frozenset[str] = frozenset()) -> Token:
        return self.token()


def test_a_source_of_one_s_own_is_asked_for_one_more_token_and_no_more(library: Library, api: Api) -> None:
    api.answers = [(401, challenge("invalid_token", scheme="Bearer"))] * 9
    assert library.send(api, library.BearerAuth(Minting())).status_code == 401
    assert [got.token for got in api.got] == ["token-1", "token-2"]
    api.answers = [(403, challenge("insufficient_scope", scheme="Bearer", scope="write"))] * 9
    assert library.send(api, library.BearerAuth(Minting(), may_ask_for="write")).status_code == 403
    assert len(api.got) == 4


def test_a_fixed_token_that_is_refused_is_not_sent_twice(library: Library, api: Api) -> None:
    api.answers = [(401, challenge("invalid_token", scheme="Bearer"))]
    assert library.send(api, library.BearerAuth("a-token")).status_code == 401
    assert len(api.got) == 1


@pytest.mark.parametrize(
    "error", ["invalid_dpop_proof", "invalid_request", "insufficient_user_authentication", "nonsense"]
)
def test_what_no_new_token_would_help_with_is_the_answer(error: str, library: Library, api: Api, source: Any) -> None:
    api.answers = [(401, challenge(error))]
    assert library.send(api, library.DPoPAuth(source)).status_code == 401
    assert len(api.got) == 1


def test_an_error_of_the_other_scheme_means_nothing(library: Library, api: Api, source: Any, time: Time) -> None:
    auth = library.DPoPAuth(source)
    library.send(api, auth)
    time.clock.advance(FRESH)
    api.answers = [(401, challenge("invalid_token", scheme="Bearer"))]
    assert library.send(api, auth).status_code == 401
    assert len(api.got) == 2


def test_nonce_and_token_may_both_be_needed_for_one_request(
    library: Library, api: Api, source: Any, time: Time
) -> None:
    auth = library.DPoPAuth(source)
    library.send(api, auth)
    time.clock.advance(FRESH)
    api.answers = [
        (401, {**challenge("use_dpop_nonce"), "DPoP-Nonce": "n"}),
        (401, challenge("invalid_token")),
        (200, {}),
    ]
    assert library.send(api, auth).status_code == 200
    assert claims_of(api.got[3].proof)["nonce"] == "n"


def test_what_the_issuer_says_reaches_the_caller(library: Library, api: Api, issuer: Issuer, network: Any) -> None:
    source = ClientCredentials(issuer.issuer_url("alpha"), "nobody", "no-secret", network=network)
    with pytest.raises(TokenRequestFailed) as failure:
        library.send(api, library.DPoPAuth(source))
    assert (failure.value.error, failure.value.status) == ("invalid_client", 401)
    assert api.got == []


# Scopes (RFC 6750 3.1)


def test_a_missing_scope_is_asked_for_on_top_of_what_it_had(library: Library, api: Api, source: Any) -> None:
    api.answers = [(403, challenge("insufficient_scope", scope="read write"))]
    auth = library.DPoPAuth(source, may_ask_for="write")
    assert library.send(api, auth).status_code == 200
    library.send(api, auth)
    assert [set(claims_of(got.token)["scope"].split()) for got in api.got] == [{"read"}, *[{"read", "write"}] * 2]


def test_scopes_are_asked_for_only_where_that_is_allowed(
    library: Library, api: Api, source: Any, issuer: Issuer
) -> None:
    api.answers = [(403, challenge("insufficient_scope", scope="write openid"))] * 2
    assert library.send(api, library.DPoPAuth(source)).status_code == 403
    assert library.send(api, library.DPoPAuth(source, may_ask_for={"write"})).status_code == 403
    assert len(api.got) == 2
    assert issuer.count("/token") == 2


@pytest.mark.parametrize("asked", ["", "read", None])
def test_a_403_that_names_no_missing_scope_is_the_answer(
    asked: str | None, library: Library, api: Api, source: Any
) -> None:
    api.answers = [(403, challenge("insufficient_scope", **({} if asked is None else {"scope": asked})))]
    assert library.send(api, library.DPoPAuth(source, may_ask_for="write")).status_code == 403
    assert len(api.got) == 1


def test_scopes_are_asked_for_once_a_request(library: Library, api: Api, source: Any) -> None:
    api.answers = [(403, challenge("insufficient_scope", scope="write"))] * 9
    assert library.send(api, library.DPoPAuth(source, may_ask_for="write")).status_code == 403
    assert len(api.got) <= 2


def test_scopes_that_the_issuer_does_not_give_leave_the_403_and_the_token(
    library: Library, api: Api, source: Any, issuer: Issuer
) -> None:
    api.answers = [(403, challenge("insufficient_scope", scope="admin"))] * 2
    auth = library.DPoPAuth(source, may_ask_for="admin")
    assert library.send(api, auth).status_code == 403
    assert library.send(api, auth).status_code == 403  # and it does not ask again each time
    assert issuer.count("/token") == 2
    assert library.send(api, auth).status_code == 200
    assert claims_of(api.got[-1].token)["scope"] == "read"


# Bodies that can be sent once only


def test_a_streamed_body_is_sent_once_and_the_refusal_is_the_answer(api: Api, source: Any) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"one"
        yield b"two"

    def drained(request: httpx.Request) -> httpx.Response:
        body = b"".join(request.stream)  # type: ignore[arg-type]
        status, headers = api.respond(request.method, str(request.url), request.headers.raw, body)
        return httpx.Response(status, headers=headers)

    class Transport(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            return drained(request)

    api.answers = [(401, {**challenge("use_dpop_nonce"), "DPoP-Nonce": "n"})]
    with httpx.Client(transport=Transport(), auth=DPoPAuth(source)) as client:
        assert client.post(API, content=pieces()).status_code == 401
        # The nonce is known from now on.
        assert client.post(API, content=pieces()).status_code == 200
    assert [got.body for got in api.got] == [b"onetwo"] * 2
    assert claims_of(api.got[1].proof)["nonce"] == "n"


def test_a_streamed_body_is_sent_once_in_an_event_loop_too(api: Api, source: Any) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"

    class Transport(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            body = b"".join([piece async for piece in request.stream])  # type: ignore[union-attr]
            status, headers = api.respond(request.method, str(request.url), request.headers.raw, body)
            return httpx.Response(status, headers=headers)

    async def call() -> int:
        async with httpx.AsyncClient(transport=Transport(), auth=DPoPAuth(source)) as client:
            return (await client.post(API, content=pieces())).status_code

    api.answers = [(401, {**challenge("use_dpop_nonce"), "DPoP-Nonce": "n"})]
    assert asyncio.run(call()) == 401
    assert len(api.got) == 1
