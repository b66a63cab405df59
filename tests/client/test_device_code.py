"""The device grant (RFC 8628), against an issuer that is a script: no test waits for a person."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from strongdm_auth.client import DeviceAuthorization, DeviceCode, DPoPKey, TokenRequestFailed
from tests.client.conftest import NOW, Time, as_json, claims_of, network_of

ISSUER = "https://id.example.com"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
HONEST = {
    "device_code": "device-secret",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://id.example.com/device",
    "verification_uri_complete": "https://id.example.com/device?user_code=WDJB-MJHT",
    "expires_in": 600,
    "interval": 5,
}


class Device:
    """The issuer: what it answers to questions for the token, in order."""

    def __init__(self, time: Time, *answers: Any, **authorization: Any) -> None:
        self.time, self.answers = time, list(answers)
        self.authorization = {name: value for name, value in {**HONEST, **authorization}.items() if value is not None}
        self.asked: list[tuple[float, dict[str, list[str]], httpx.Headers]] = []
        self.authorized: list[dict[str, list[str]]] = []
        self.prompts: list[DeviceAuthorization] = []
        self.count = 0

    def respond(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("openid-configuration"):
            endpoints = {"token_endpoint": f"{ISSUER}/t", "device_authorization_endpoint": f"{ISSUER}/d"}
            return as_json(200, {"issuer": ISSUER, **endpoints})
        form = parse_qs(request.content.decode())
        if request.url.path == "/d":
            self.authorized.append(form)
            return as_json(200, self.authorization)
        self.asked.append((self.time.clock() - NOW, form, request.headers))
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, str):
            return as_json(400, {"error": answer})
        self.count += 1
        token = {"access_token": f"token-{self.count}", "token_type": "Bearer", "expires_in": 3600}
        return as_json(200, token | answer)

    def source(self, **changes: Any) -> DeviceCode:
        network = network_of(httpx.MockTransport(self.respond), self.time)
        arguments: dict[str, Any] = {"scopes": "read", "prompt": self.prompts.append} | changes
        return DeviceCode(ISSUER, "cli_1", network=network, **arguments)


@pytest.fixture
def device(time: Time) -> Callable[..., Device]:
    return lambda *answers, **authorization: Device(time, *answers, **authorization)


def test_the_person_is_shown_a_code_and_the_agent_waits(device: Callable[..., Device], time: Time) -> None:
    world = device("authorization_pending", "authorization_pending")
    token = world.source().token()
    assert (token.value, token.scopes) == ("token-1", {"read"})
    shown = world.prompts[0]
    assert (shown.user_code, shown.verification_uri) == ("WDJB-MJHT", "https://id.example.com/device")
    assert shown.verification_uri_complete == HONEST["verification_uri_complete"]
    assert "device-secret" not in repr(shown)
    assert time.waits == [5.0, 5.0, 5.0]
    assert world.authorized == [{"scope": ["read"], "client_id": ["cli_1"]}]
    assert world.asked[0][1] == {"grant_type": [GRANT], "device_code": ["device-secret"], "client_id": ["cli_1"]}


def test_it_works_in_an_event_loop(device: Callable[..., Device]) -> None:
    assert asyncio.run(device("authorization_pending").source().atoken()).value == "token-1"


def test_slow_down_adds_five_seconds_for_good(device: Callable[..., Device], time: Time) -> None:
    device("slow_down", "authorization_pending", "slow_down").source().token()
    assert time.waits == [5.0, 10.0, 10.0, 15.0]


@pytest.mark.parametrize(("interval", "expected"), [(None, 5.0), (1, 1.0), (0, 1.0), (-3, 1.0), (20, 20.0)])
def test_the_interval_is_the_issuer_s_but_never_none(
    interval: int | None, expected: float, device: Callable[..., Device], time: Time
) -> None:
    device(interval=interval).source().token()
    assert time.waits == [expected]


def test_a_code_that_nobody_confirms_expires(device: Callable[..., Device], time: Time) -> None:
    world = device(*["authorization_pending"] * 500, expires_in=60)
    with pytest.raises(TokenRequestFailed) as failure:
        world.source().token()
    assert failure.value.error == "expired_token"
    assert sum(time.waits) <= 60


@pytest.mark.parametrize("error", ["expired_token", "access_denied", "invalid_client"])
def test_the_issuer_s_no_is_the_end(error: str, device: Callable[..., Device]) -> None:
    world = device("authorization_pending", error)
    with pytest.raises(TokenRequestFailed, match=error):
        world.source().token()
    assert len(world.asked) == 2


def test_a_connection_that_fails_meanwhile_makes_it_ask_less_often(device: Callable[..., Device], time: Time) -> None:
    world = device(*[httpx.ConnectError("away")] * 4, "authorization_pending")
    assert world.source().token().value == "token-1"
    assert time.waits == [5.0, 1.0, 2.0, 4.0, 10.0, 10.0]


def test_the_token_is_bound_when_there_is_a_key(device: Callable[..., Device]) -> None:
    world = device("authorization_pending", {"token_type": "DPoP"})
    key = DPoPKey.generate()
    assert world.source(key=key).token().token_type == "DPoP"
    proofs = [claims_of(headers["DPoP"]) for _, _, headers in world.asked]
    assert [proof["htu"] for proof in proofs] == [f"{ISSUER}/t"] * 2
    assert proofs[0]["jti"] != proofs[1]["jti"]


def test_a_refresh_token_spares_the_person(device: Callable[..., Device], time: Time) -> None:
    world = device({"refresh_token": "refresh-1"}, {}, {"refresh_token": "refresh-2"}, {})
    source = world.source()
    for _ in range(4):
        source.token()
        time.clock.advance(3600)
    assert len(world.prompts) == 1
    assert [form.get("refresh_token") for _, form, _ in world.asked] == [
        None,
        ["refresh-1"],
        ["refresh-1"],
        ["refresh-2"],
    ]
    assert "refresh-2" not in repr(source.token())


def test_a_refresh_token_that_does_not_count_any_more_asks_the_person_again(
    device: Callable[..., Device], time: Time
) -> None:
    world = device({"refresh_token": "refresh-1"}, "invalid_grant")
    source = world.source()
    source.token()
    time.clock.advance(3600)
    assert source.token().value == "token-2"
    assert len(world.prompts) == 2


def test_nobody_is_asked_while_the_token_still_counts(device: Callable[..., Device], time: Time) -> None:
    for first in ({}, {"refresh_token": "refresh-1"}):
        world = device(first, *["invalid_grant"] * 9)
        source = world.source()
        source.token()
        time.clock.advance(3600 - 20)
        assert source.token().value == "token-1"
        assert len(world.prompts) == 1
    time.clock.advance(20)


@pytest.mark.parametrize(
    "changes",
    [
        {"device_code": None},
        {"device_code": "two\nlines"},
        {"user_code": None},
        {"user_code": "\x1b[31mRED"},
        {"user_code": "x" * 65},
        {"user_code": ""},
        {"verification_uri": None},
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "http://id.example.com/device"},
        {"expires_in": None},
        {"expires_in": "soon"},
        {"interval": "often"},
    ],
)
def test_nothing_is_shown_that_should_not_be(changes: dict[str, Any], device: Callable[..., Device]) -> None:
    world = device(**changes)
    with pytest.raises(TokenRequestFailed, match="invalid_answer"):
        world.source().token()
    assert world.prompts == []


def test_a_complete_link_that_is_none_is_left_out(device: Callable[..., Device]) -> None:
    world = device(verification_uri_complete="javascript:alert(1)")
    world.source().token()
    assert world.prompts[0].verification_uri_complete is None


def test_an_issuer_that_refuses_to_give_a_code_is_told(device: Callable[..., Device], time: Time) -> None:
    world = device()
    honest = world.respond

    def respond(request: httpx.Request) -> httpx.Response:
        return as_json(400, {"error": "unauthorized_client"}) if request.url.path == "/d" else honest(request)

    world.respond = respond  # type: ignore[method-assign]
    with pytest.raises(TokenRequestFailed, match="unauthorized_client"):
        world.source().token()
    assert world.prompts == []


def test_an_issuer_without_the_grant_is_told(time: Time) -> None:
    network = network_of(httpx.MockTransport(lambda request: httpx.Response(404)), time)
    source = DeviceCode(ISSUER, "cli_1", prompt=print, network=network)
    with pytest.raises(TokenRequestFailed, match="device_authorization_endpoint"):
        source.token()
