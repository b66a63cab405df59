"""Client credentials: what is asked, how long a token is held, and one request for everybody."""

import asyncio
import copy
import os
import threading
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from strongdm_auth.client import ClientCredentials, DPoPKey, InsecureURL, Network, TokenRequestFailed
from strongdm_auth.client.network import Join
from strongdm_auth.client.sources import EARLY
from strongdm_auth.testing import Client, Issuer
from tests.client.conftest import Time, as_json, claims_of, network_of, parts

ISSUER = "https://id.example.com"


class TokenEndpoint:
    """An issuer without a discovery document whose token endpoint answers what the test says, then tokens."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.got: list[httpx.Request] = []
        self.others: list[str] = []
        self.count = 0

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    @property
    def forms(self) -> list[dict[str, list[str]]]:
        return [parse_qs(request.content.decode()) for request in self.got]

    def token(self, **members: Any) -> httpx.Response:
        self.count += 1
        honest = {"access_token": f"token-{self.count}", "token_type": "Bearer", "expires_in": 3600, "scope": "read"}
        answer = {name: value for name, value in {**honest, **members}.items() if value is not None}
        return as_json(200, answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/token"):
            self.others.append(str(request.url))
            return httpx.Response(404)
        self.got.append(request)
        answer = self.answers.pop(0) if self.answers else self.token()
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        return answer


def source_at(endpoint: TokenEndpoint, time: Time, **changes: Any) -> ClientCredentials:
    network = network_of(endpoint.transport, time, **changes.pop("network", {}))
    arguments: dict[str, Any] = {"scopes": None} | changes
    return ClientCredentials(ISSUER, "cli_1", "sec:ret/1", network=network, **arguments)


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


# How long a token is held


def test_a_token_is_held_until_shortly_before_it_expires(time: Time) -> None:
    endpoint = TokenEndpoint()
    source = source_at(endpoint, time)
    assert source.token() is source.token()
    time.clock.advance(3600 - EARLY - 1)
    assert source.token().value == "token-1"
    time.clock.advance(1)
    assert source.token().value == "token-2"
    assert len(endpoint.got) == 2


def test_many_agents_do_not_renew_at_the_same_moment(time: Time) -> None:
    for chance in (0.0, 0.5, 1.0):
        endpoint = TokenEndpoint()
        token = source_at(endpoint, time, network={"chance": lambda chance=chance: chance}).token()
        assert token.renew_at == token.expires_at - EARLY * (1 + chance)


@pytest.mark.parametrize("lifetime", [1, 10, 40])
def test_a_short_lived_token_serves_half_its_life(lifetime: int, time: Time) -> None:
    endpoint = TokenEndpoint()
    endpoint.answers = [lambda: endpoint.token(expires_in=lifetime)] * 2
    token = source_at(endpoint, time).token()
    assert token.renew_at == token.obtained_at + lifetime / 2


@pytest.mark.parametrize("expires_in", [None, "soon", -1, 0, True, [3600], 1e300])
def test_a_token_whose_end_is_not_told_counts_until_it_is_refused(expires_in: Any, time: Time) -> None:
    endpoint = TokenEndpoint()
    endpoint.answers = [lambda: endpoint.token(expires_in=expires_in)]
    source = source_at(endpoint, time)
    token = source.token()
    assert token.expires_at is None
    time.clock.advance(1e6)
    assert source.token() is token
    assert source.token(instead_of=token).value == "token-2"


def test_a_lifetime_written_as_a_string_is_understood(time: Time) -> None:
    endpoint = TokenEndpoint()
    endpoint.answers = [lambda: endpoint.token(expires_in="60")]
    token = source_at(endpoint, time).token()
    assert token.expires_at == token.obtained_at + 60


def test_while_a_token_counts_an_issuer_that_is_away_is_no_reason_to_fail_or_to_wait(time: Time) -> None:
    endpoint = TokenEndpoint()
    source = source_at(endpoint, time)
    source.token()
    time.clock.advance(3600 - EARLY)
    endpoint.answers = [httpx.ConnectError("away"), httpx.Response(503)]
    assert [source.token().value for _ in range(5)] == ["token-1"] * 5
    assert len(endpoint.got) == 2  # and it is not asked again for each request
    assert time.waits == []
    time.clock.advance(11)
    assert source.token().value == "token-1"
    time.clock.advance(11)
    assert source.token().value == "token-2"


def test_a_token_that_has_expired_is_not_handed_out_though_the_issuer_is_away(time: Time) -> None:
    endpoint = TokenEndpoint()
    source = source_at(endpoint, time)
    source.token()
    time.clock.advance(3600)
    endpoint.answers = [httpx.Response(500)] * 9
    with pytest.raises(TokenRequestFailed):
        source.token()


def test_a_token_that_was_refused_is_replaced_once_for_everybody(time: Time) -> None:
    endpoint = TokenEndpoint()
    source = source_at(endpoint, time)
    refused = source.token()
    assert {source.token(instead_of=refused).value for _ in range(3)} == {"token-2"}
    assert len(endpoint.got) == 2


def test_scopes_are_added_to_what_it_had_and_stay(time: Time) -> None:
    endpoint = TokenEndpoint()
    for scope in ("read", "read write", "read write"):
        endpoint.answers.append(lambda scope=scope: endpoint.token(scope=scope))
    source = source_at(endpoint, time)
    source.token()
    assert source.token(scopes={"write"}).scopes == {"read", "write"}
    assert source.token(scopes={"write"}) is source.token()
    time.clock.advance(3600)
    source.token()
    assert [form.get("scope") for form in endpoint.forms] == [None, ["read write"], ["read write"]]


def test_scopes_that_are_not_given_any_more_do_not_lock_the_agent_out(time: Time) -> None:
    endpoint = TokenEndpoint()
    source = source_at(endpoint, time, scopes="read")
    source.token(scopes={"write"})
    time.clock.advance(3600)
    endpoint.answers = [as_json(400, {"error": "invalid_scope"})]
    assert source.token().scopes == {"read"}
    assert [form["scope"] for form in endpoint.forms] == [["read write"], ["read write"], ["read"]]


def test_a_refused_scope_leaves_the_token_as_it_is(time: Time) -> None:
    endpoint = TokenEndpoint()
    source = source_at(endpoint, time)
    token = source.token()
    endpoint.answers = [as_json(400, {"error": "invalid_scope"})]
    with pytest.raises(TokenRequestFailed, match="invalid_scope"):
        source.token(scopes={"admin"})
    assert source.token() is token


@pytest.mark.parametrize("scopes", ["a\nb", ['a"b'], ["a b"], [""], "é"])
def test_what_is_no_scope_is_refused_at_once(scopes: Any) -> None:
    with pytest.raises(ValueError, match="scope"):
        ClientCredentials(ISSUER, "c", "s", scopes=scopes)


# One request for everybody


class Held:
    """A token endpoint that answers when it is told to."""

    def __init__(self) -> None:
        self.arrived, self.open = threading.Event(), threading.Event()
        self.count = 0

    def _token(self) -> httpx.Response:
        return as_json(200, {"access_token": f"token-{self.count}", "token_type": "Bearer", "expires_in": 3600})

    def transport(self) -> "_HeldTransport":
        return _HeldTransport(self)


class _HeldTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    def __init__(self, held: Held) -> None:
        self._held = held

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/token"):
            return httpx.Response(404)
        self._held.count += 1
        self._held.arrived.set()
        assert self._held.open.wait(10)
        return self._held._token()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/token"):
            return httpx.Response(404)
        self._held.count += 1
        self._held.arrived.set()
        while not self._held.open.is_set():
            await asyncio.sleep(0.001)
        return self._held._token()


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def slow(held: Held, time: Time) -> ClientCredentials:
    return ClientCredentials(ISSUER, "c", "secret", network=network_of(held.transport(), time))


def test_threads_share_one_request(held: Held, slow: ClientCredentials) -> None:
    with ThreadPoolExecutor(16) as pool:
        tokens = [pool.submit(slow.token) for _ in range(16)]
        assert held.arrived.wait(10)
        held.open.set()
        assert {token.result(10).value for token in tokens} == {"token-1"}
    assert held.count == 1


def test_tasks_share_one_request(held: Held, slow: ClientCredentials) -> None:
    async def call() -> set[str]:
        tasks = [asyncio.create_task(slow.atoken()) for _ in range(16)]
        while not held.arrived.is_set():
            await asyncio.sleep(0.001)
        held.open.set()
        return {token.value for token in await asyncio.gather(*tasks)}

    assert asyncio.run(call()) == {"token-1"}
    assert held.count == 1


@pytest.mark.parametrize("first", ["thread", "task"])
def test_threads_and_tasks_share_one_request(first: str, held: Held, slow: ClientCredentials) -> None:
    def in_loop() -> str:
        return asyncio.run(slow.atoken()).value

    def in_thread() -> str:
        return slow.token().value

    begins, joins = (in_thread, in_loop) if first == "thread" else (in_loop, in_thread)
    with ThreadPoolExecutor(4) as pool:
        leader = pool.submit(begins)
        assert held.arrived.wait(10)
        followers = [pool.submit(joins), pool.submit(in_loop), pool.submit(in_thread)]
        held.open.set()
        assert {done.result(10) for done in (leader, *followers)} == {"token-1"}
    assert held.count == 1


def test_a_failure_is_everybody_s_and_each_gets_an_error_of_its_own(
    time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived, opened, joined = threading.Event(), threading.Event(), threading.Semaphore(0)
    meet = Network._meet

    def meeting(network: Network, need: Any) -> Any:
        if isinstance(need, Join):
            joined.release()
        return meet(network, need)

    monkeypatch.setattr(Network, "_meet", meeting)

    def refuse() -> httpx.Response:
        arrived.set()
        assert opened.wait(10)
        return as_json(401, {"error": "invalid_client", "error_description": "no"})

    endpoint = TokenEndpoint(refuse)
    source = source_at(endpoint, time)
    with ThreadPoolExecutor(8) as pool:
        leader = pool.submit(source.token)
        assert arrived.wait(10)
        followers = [pool.submit(source.token) for _ in range(7)]
        assert all(joined.acquire(timeout=10) for _ in followers)
        opened.set()
        failures = [done.exception(10) for done in (leader, *followers)]
    assert len(endpoint.got) == 1
    assert {str(failure) for failure in failures} == {"invalid_client: no (status 401)"}
    assert len({id(failure) for failure in failures}) == 8


def test_a_request_whose_task_is_cancelled_gives_way(held: Held, slow: ClientCredentials) -> None:
    async def call() -> str:
        leader = asyncio.create_task(slow.atoken())
        while not held.arrived.is_set():
            await asyncio.sleep(0.001)
        follower = asyncio.create_task(slow.atoken())
        await asyncio.sleep(0.01)
        leader.cancel()
        held.open.set()
        return (await asyncio.wait_for(follower, 10)).value

    assert asyncio.run(call()) == "token-2"


def test_one_that_waits_may_be_cancelled_and_the_request_goes_on(held: Held, slow: ClientCredentials) -> None:
    async def call() -> str:
        leader = asyncio.create_task(slow.atoken())
        while not held.arrived.is_set():
            await asyncio.sleep(0.001)
        follower = asyncio.create_task(slow.atoken())
        await asyncio.sleep(0.01)
        follower.cancel()
        held.open.set()
        return (await asyncio.wait_for(leader, 10)).value

    assert asyncio.run(call()) == "token-1"


def test_a_blocking_call_inside_the_loop_that_asks_does_not_wait_for_itself(
    held: Held, slow: ClientCredentials
) -> None:
    async def call() -> set[str]:
        leader = asyncio.create_task(slow.atoken())
        while not held.arrived.is_set():
            await asyncio.sleep(0.001)
        held.open.set()
        blocking = slow.token()  # the loop stands still here, and the leader with it
        return {blocking.value, (await leader).value}

    assert asyncio.run(call()) == {"token-2"}
    assert held.count == 2


def test_while_one_renews_the_others_use_the_token_that_still_counts(
    held: Held, slow: ClientCredentials, time: Time
) -> None:
    held.open.set()
    first = slow.token()
    held.open.clear()
    held.arrived.clear()
    time.clock.advance(3600 - EARLY)
    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(slow.token)
        assert held.arrived.wait(10)
        assert slow.token() is first
        held.open.set()
        assert renewing.result(10).value == "token-2"


def test_a_request_that_never_ends_gives_way_in_the_end(
    held: Held, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClientCredentials, "_LONGEST", 0.02)
    source = ClientCredentials(ISSUER, "c", "s", network=network_of(held.transport(), time, patience=0.0))
    with ThreadPoolExecutor(2) as pool:
        lost = pool.submit(source.token)
        assert held.arrived.wait(10)
        held.arrived.clear()
        follower = pool.submit(source.token)
        assert held.arrived.wait(10)  # it asks, too
        held.open.set()
        assert follower.result(10).value == lost.result(10).value == "token-2"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_of_a_fork_waits_for_nobody(held: Held, slow: ClientCredentials) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(slow.token)
        assert held.arrived.wait(10)
        slow.after_fork()  # what `forks` calls in the child
        held.open.set()
        assert slow.token().value == "token-2"
