"""When the issuer is asked again: StrongDM ID's own rules, and an end to the waiting."""

import asyncio
import socket
from typing import Any

import httpx
import pytest

from strongdm_auth.client import ClientCredentials, Network, Registration, TokenRequestFailed
from strongdm_auth.client.network import Reply
from strongdm_auth.client.retries import backoff, retry_after
from tests.client.conftest import NOW, Time, as_json, network_of
from tests.client.test_sources import ISSUER, TokenEndpoint, source_at


def busy(seconds: object) -> httpx.Response:
    return as_json(429, {"error": "rate_limited"}, **{"Retry-After": str(seconds)})


def test_429_waits_as_long_as_it_is_told(time: Time) -> None:
    assert source_at(TokenEndpoint(busy(7)), time).token().value == "token-1"
    assert time.waits == [7.0]


def test_429_that_names_a_date_waits_until_then(time: Time) -> None:
    # NOW is 2027-01-15 08:00:00 GMT.
    source_at(TokenEndpoint(busy("Fri, 15 Jan 2027 08:00:12 GMT")), time).token()
    assert time.waits == [12.0]


def test_429_that_asks_for_more_than_there_is_patience_is_told_at_once(time: Time) -> None:
    with pytest.raises(TokenRequestFailed) as failure:
        source_at(TokenEndpoint(busy(3600)), time).token()
    assert (failure.value.error, failure.value.status, failure.value.retry_after) == ("rate_limited", 429, 3600.0)
    assert time.waits == []


@pytest.mark.parametrize("seconds", ["", "0", "soon", "-5", "1e9", "Mon, 01 Jan 1990 00:00:00 GMT", "٣"])
def test_a_429_without_a_sensible_time_backs_off(seconds: str, time: Time) -> None:
    endpoint = TokenEndpoint(*[lambda: httpx.Response(429, headers={"Retry-After": seconds.encode()})] * 2)  # type: ignore[dict-item]
    source_at(endpoint, time).token()
    assert time.waits == [1.0, 2.0]


def test_an_issuer_that_keeps_saying_one_second_is_asked_less_and_less(time: Time) -> None:
    source_at(TokenEndpoint(*[lambda: busy(1)] * 3), time).token()
    assert time.waits == [1.0, 2.0, 4.0]


def test_5xx_backs_off_exponentially_and_not_for_ever(time: Time) -> None:
    endpoint = TokenEndpoint(*[httpx.Response(500)] * 99)
    with pytest.raises(TokenRequestFailed) as failure:
        source_at(endpoint, time).token()
    assert time.waits == [1.0, 2.0, 4.0, 8.0]
    assert (len(endpoint.got), failure.value.status) == (5, 500)


def test_the_pauses_reach_from_1_to_30_seconds() -> None:
    assert [backoff(tries, 0.0) for tries in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert [backoff(tries, 1.0) for tries in (1, 2, 5, 6, 1000)] == [1.25, 2.5, 20, 30, 30]


def test_a_connection_that_fails_is_tried_three_times_more(time: Time) -> None:
    endpoint = TokenEndpoint(*[httpx.ConnectError("refused")] * 3)
    assert source_at(endpoint, time).token().value == "token-1"
    endpoint = TokenEndpoint(*[httpx.ReadTimeout("slow")] * 4)
    with pytest.raises(TokenRequestFailed, match="ReadTimeout"):
        source_at(endpoint, time, network={"patience": 1000.0}).token()
    assert len(endpoint.got) == 4


def test_other_refusals_are_not_repeated(time: Time) -> None:
    for status in (400, 401, 403, 404, 409, 410):
        endpoint = TokenEndpoint(httpx.Response(status))
        with pytest.raises(TokenRequestFailed):
            source_at(endpoint, time).token()
        assert len(endpoint.got) == 1
    assert time.waits == []


def test_each_try_has_a_proof_of_its_own(time: Time) -> None:
    from strongdm_auth.client import DPoPKey
    from tests.client.conftest import claims_of

    endpoint = TokenEndpoint(httpx.Response(502), httpx.ReadError("cut"))
    endpoint.answers.append(lambda: endpoint.token(token_type="DPoP"))
    source_at(endpoint, time, key=DPoPKey.generate()).token()
    proofs = [claims_of(request.headers["DPoP"]) for request in endpoint.got]
    assert len({proof["jti"] for proof in proofs}) == 3
    assert [proof["iat"] - proofs[0]["iat"] for proof in proofs] == [0, 1, 3]


def test_event_loops_wait_by_their_own_rules(time: Time) -> None:
    source = source_at(TokenEndpoint(busy(3), httpx.Response(503)), time)
    assert asyncio.run(source.atoken()).value == "token-1"
    assert time.waits == [3.0, 2.0]


def mails(*answers: Any, time: Time) -> tuple[Registration, list[httpx.Request]]:
    got: list[httpx.Request] = []
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        got.append(request)
        answer = left.pop(0) if left else as_json(200, {"enrollment_id": "e"})
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Registration(ISSUER, network=network_of(httpx.MockTransport(answer), time)), got


@pytest.mark.parametrize(
    "fault", [httpx.ReadTimeout("x"), httpx.ReadError("x"), httpx.Response(500), httpx.Response(502)]
)
def test_what_may_have_sent_a_mail_is_not_sent_again(fault: Any, time: Time) -> None:
    registration, got = mails(fault, time=time)
    with pytest.raises(TokenRequestFailed):
        registration.request("a@b.example", "agent")
    assert len(got) == 1


@pytest.mark.parametrize("fault", [httpx.ConnectError("x"), httpx.ConnectTimeout("x"), httpx.Response(503), busy(2)])
def test_what_surely_sent_none_is(fault: Any, time: Time) -> None:
    registration, got = mails(fault, time=time)
    assert registration.request("a@b.example", "agent").enrollment_id == "e"
    assert len(got) == 2


def test_a_date_is_read_by_the_clock_given() -> None:
    reply = Reply(429, {"retry-after": "Fri, 15 Jan 2027 08:00:12 GMT"}, b"")
    assert retry_after(reply, NOW) == 12.0
    assert retry_after(reply, NOW + 60) == 0.0
    assert retry_after(Reply(200, {}, b""), NOW) is None


def test_nobody_there_is_told_over_real_sockets() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    network = Network(patience=0.0, timeout=2.0)
    source = ClientCredentials(url, "c", "secret", network=network)
    with pytest.raises(TokenRequestFailed, match="ConnectError"):
        source.token()
    with pytest.raises(TokenRequestFailed, match="ConnectError"):
        asyncio.run(source.atoken())
