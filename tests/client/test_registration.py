"""Registration against the local issuer: the whole way from an address to a token."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from strongdm_auth.client import Enrollment, InsecureURL, Network, Registration, TokenRequestFailed
from strongdm_auth.testing import Issuer, Notice
from tests.client.conftest import Time, as_json, claims_of, network_of

ISSUER = "https://id.example.com"


@pytest.fixture
def registration(issuer: Issuer, network: Network) -> Registration:
    return Registration(issuer.issuer_url("alpha"), network=network)


def test_request_status_confirm_and_a_token(
    issuer: Issuer, registration: Registration, network: Network, notices: list[Notice]
) -> None:
    enrollment = registration.request("me@example.com", "my-agent", description="tests", scopes="read write")
    assert enrollment.status == "pending"
    assert enrollment.realm == "alpha"
    assert enrollment.email_sent is False
    assert str(enrollment.approval_url).startswith(issuer.issuer_url("alpha"))
    assert registration.status(enrollment).status == "pending"
    credentials = registration.confirm(enrollment, notices[0].secret)
    after = registration.status(enrollment)
    assert (after.status, after.poll_token) == ("confirmed", enrollment.poll_token)
    assert registration.status(enrollment.enrollment_id).poll_token is None
    assert credentials.issuer == issuer.issuer_url("alpha")
    assert credentials.token_endpoint == f"{credentials.issuer}/token"
    assert set(credentials.scopes) == {"read", "write"}
    token = credentials.source(scopes="read", network=network).token()
    assert claims_of(token.value)["client_id"] == credentials.client_id


def test_enrolment_and_activation(registration: Registration, notices: list[Notice], network: Network) -> None:
    enrollment = registration.enroll("me@example.com", "my-agent", scopes=["read"])
    assert enrollment.poll_token is None
    credentials = registration.activate(notices[0].secret)
    assert credentials.source(network=network).token().scopes == {"read"}
    with pytest.raises(TokenRequestFailed) as failure:
        registration.activate(notices[0].secret)
    assert (failure.value.error, failure.value.status) == ("gone", 410)
    with pytest.raises(ValueError, match="poll token"):
        registration.confirm(enrollment, "ABCD-EFGH")


def test_all_of_it_in_an_event_loop(registration: Registration, notices: list[Notice]) -> None:
    async def call() -> tuple[str, str]:
        enrollment = await registration.arequest("me@example.com", "my-agent")
        assert (await registration.astatus(enrollment)).status == "pending"
        first = await registration.aconfirm(enrollment, notices[0].secret)
        await registration.aenroll("me@example.com", "my-agent")
        return first.client_id, (await registration.aactivate(notices[1].secret)).client_id

    assert len(set(asyncio.run(call()))) == 2


def test_the_root_finds_the_realm(issuer: Issuer, network: Network, notices: list[Notice]) -> None:
    registration = Registration(issuer.url, network=network)
    credentials = registration.confirm(registration.request("me@example.com", "my-agent"), notices[0].secret)
    assert credentials.issuer == issuer.issuer_url("default")


def test_a_wrong_code_is_told_and_not_repeated(registration: Registration) -> None:
    enrollment = registration.request("me@example.com", "my-agent")
    with pytest.raises(TokenRequestFailed) as failure:
        registration.confirm(enrollment, "WRON-GONE")
    assert (failure.value.error, failure.value.status) == ("access_denied", 403)


def test_an_enrollment_that_is_not_there_is_told(registration: Registration) -> None:
    with pytest.raises(TokenRequestFailed) as failure:
        registration.status("enroll_nonsense")
    assert (failure.value.error, failure.value.status) == ("not_found", 404)


def test_no_secret_is_in_a_repr(registration: Registration, notices: list[Notice]) -> None:
    enrollment = registration.request("me@example.com", "my-agent")
    assert str(enrollment.poll_token) not in repr(enrollment)
    credentials = registration.confirm(enrollment, notices[0].secret)
    assert credentials.client_secret not in repr(credentials)


def answering(*answers: Any, time: Time) -> tuple[Registration, list[httpx.Request]]:
    got: list[httpx.Request] = []
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        got.append(request)
        return as_json(*left.pop(0))

    return Registration(ISSUER, network=network_of(httpx.MockTransport(answer), time)), got


def test_what_is_sent_is_what_the_service_documents(time: Time) -> None:
    registration, got = answering((200, {"enrollment_id": "e/1", "poll_token": "pt_1"}), (200, {}), time=time)
    enrollment = registration.request("me@example.com", "my-agent", description="d", scopes="b a")
    assert json.loads(got[0].content) == {
        "email": "me@example.com",
        "client_name": "my-agent",
        "client_description": "d",
        "requested_scopes": ["a", "b"],
    }
    assert str(got[0].url) == f"{ISSUER}/register/request"
    registration.status(enrollment)
    assert got[1].url.raw_path == b"/register/status/e%2F1"


def test_a_status_url_that_an_answer_names_is_not_fetched(time: Time) -> None:
    registration, got = answering(
        (200, {"enrollment_id": "e", "status_url": "https://evil.example/x"}), (200, {"status": "pending"}), time=time
    )
    registration.status(registration.request("me@example.com", "a"))
    assert [request.url.host for request in got] == ["id.example.com"] * 2


def test_secrets_that_an_issuer_repeats_are_not_shown(time: Time) -> None:
    said = {"error": "access_denied", "error_description": "pt_secret ABCD-EFGH"}
    registration, _ = answering((403, said), (403, said), time=time)
    with pytest.raises(TokenRequestFailed, match=r"access_denied: \.\.\. \.\.\. \(status 403\)"):
        registration.confirm(Enrollment(enrollment_id="e", poll_token="pt_secret"), "ABCD-EFGH")
    with pytest.raises(TokenRequestFailed, match=r"\.\.\. ABCD"):
        registration.activate("pt_secret")


@pytest.mark.parametrize("answer", [{}, {"enrollment_id": ""}, {"enrollment_id": 5}])
def test_an_answer_without_an_enrollment_is_told(answer: dict[str, Any], time: Time) -> None:
    registration, _ = answering((200, answer), time=time)
    with pytest.raises(TokenRequestFailed, match="enrollment_id"):
        registration.request("me@example.com", "a")


@pytest.mark.parametrize("answer", [{}, {"client_id": "a"}, {"client_id": "a", "client_secret": 5}])
def test_an_answer_without_credentials_is_told(answer: dict[str, Any], time: Time) -> None:
    registration, _ = answering((200, answer), time=time)
    with pytest.raises(TokenRequestFailed, match="client_secret"):
        registration.activate("pt_secret")


def test_another_enrollment_s_status_is_not_taken_for_ours(time: Time) -> None:
    registration, _ = answering((200, {"enrollment_id": "other", "status": "confirmed"}), time=time)
    with pytest.raises(TokenRequestFailed, match="another"):
        registration.status("mine")


def test_plain_http_is_for_loopback() -> None:
    with pytest.raises(InsecureURL):
        Registration("http://id.example.com")
