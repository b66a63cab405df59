"""RFC 8935: how a SET is pushed, and what the transmitter is answered. What a SET must be is in `test_rfc8417`."""

import asyncio
import json
import logging

import pytest

from strongdm_auth import Refused
from strongdm_auth.security_events import MOST_SET_BYTES
from strongdm_auth.testing import SigningKey, unsigned_token
from tests.conftest import NOW, request

from .api import API, MakeAPI, err


def test_2_2_an_accepted_set_is_answered_with_202_and_no_body(api: API) -> None:
    answer = api.tell("alice")
    assert (answer.status, answer.body) == (202, b"")
    assert ("Cache-Control", "no-store") in answer.headers


@pytest.mark.parametrize(
    "media_type",
    [
        "application/secevent+jwt",
        "Application/SecEvent+JWT",
        "application/secevent+jwt; charset=utf-8",
        "application/secevent+jwt;x=y",
        " application/secevent+jwt ;",
    ],
)
def test_2_1_the_media_type_may_have_parameters_and_any_case(api: API, media_type: str) -> None:
    token = api.token("alice")
    assert api.receive(api.event("alice"), media_type).status == 202
    assert api.ended(token)


@pytest.mark.parametrize(
    "media_type", ["", "application/jwt", "application/json", "application/secevent+jwts", "text/secevent+jwt", ";"]
)
def test_2_1_another_media_type_is_no_set(api: API, media_type: str) -> None:
    token = api.token("alice")
    assert err(api.receive(api.event("alice"), media_type)) == "invalid_request"
    assert not api.ended(token)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"a",
        b"a.b",
        b"a.b.c",
        b"..",
        b"\xff\xfe.b.c",
        "é.b.c".encode(),
        b"e30.e30.e30",
        b"{}",
        b"[]",
        b"a.b.c.d",
    ],
)
def test_2_3_a_body_that_is_no_set_is_an_invalid_request(api: API, body: bytes) -> None:
    assert err(api.receive(body)) == "invalid_request"


def test_2_1_white_space_around_a_set_is_not_held_against_it(api: API) -> None:
    assert api.receive(f"\r\n{api.event('alice')}\n").status == 202


def test_2_3_a_set_that_is_too_long_is_an_invalid_request(api: API) -> None:
    compact = api.event("alice")
    assert err(api.receive(compact + " " * (MOST_SET_BYTES + 1 - len(compact)))) == "invalid_request"
    assert not api.ended(api.token("alice"))
    assert api.receive(compact + " " * (MOST_SET_BYTES - len(compact))).status == 202


def test_2_4_a_signature_that_does_not_hold_is_an_invalid_key(make_api: MakeAPI) -> None:
    api = make_api(jwks_cooldown=0)
    token, compact = api.token("alice"), api.event("alice")
    claims = {"iss": api.issuer.issuer_url("alpha")}
    stranger = SigningKey.generate("EdDSA")
    kid = api.issuer.signing_key("alpha").kid
    begun, _, signature = compact.rpartition(".")
    turned = signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBB")
    for forged in (
        f"{begun}.{turned}",
        stranger.sign({"typ": "secevent+jwt"}, claims),
        stranger.sign({"typ": "secevent+jwt", "kid": kid}, claims),
        unsigned_token({"typ": "secevent+jwt", "alg": "none"}, claims, b"x"),
        unsigned_token({"typ": "secevent+jwt", "alg": "HS256"}, claims, b"x"),
        unsigned_token({"typ": "secevent+jwt"}, claims, b"x"),
        api.event("alice", realm="beta", claims=claims),
    ):
        assert err(api.receive(forged)) == "invalid_key"
    assert not api.ended(token)


def test_2_4_an_algorithm_that_the_settings_do_not_name_is_an_invalid_key(make_api: MakeAPI) -> None:
    api = make_api(algorithms="ES256")
    assert err(api.tell("alice", alg="EdDSA")) == "invalid_key"
    assert api.tell("alice", alg="ES256").status == 202


@pytest.mark.parametrize("iss", [None, "", "https://elsewhere.example.com", 7, ["https://id.strongdm.test"], {}])
def test_2_4_an_issuer_that_is_not_ours_is_an_invalid_issuer(api: API, iss: object) -> None:
    assert err(api.tell("alice", claims={"iss": iss})) == "invalid_issuer"
    assert api.issuer.requests == [], "nothing is fetched for it"


@pytest.mark.parametrize(
    "audience", [None, "https://other.example.com", ["https://a.example.com", "https://b.example.com"], []]
)
def test_2_4_a_set_for_another_is_an_invalid_audience(api: API, audience: object) -> None:
    token = api.token("alice")
    assert err(api.tell("alice", claims={"aud": audience})) == "invalid_audience"
    assert not api.ended(token)


def test_2_4_an_issuer_that_speaks_for_another_is_denied(api: API) -> None:
    token = api.token("alice")
    for iss in (api.issuer.issuer_url("beta"), api.issuer.url, "https://elsewhere.example.com"):
        assert err(api.tell({"format": "iss_sub", "iss": iss, "sub": "alice"})) == "access_denied"
    assert not api.ended(token)


def test_2_3_an_error_is_json_in_a_named_language_and_repeats_nothing(api: API) -> None:
    answer = api.tell({"format": "did", "url": "did:web:<script>"}, claims={"jti": "<script>"})
    headers = dict(answer.headers)
    assert headers["Content-Type"] == "application/json"
    assert headers["Content-Language"] == "en"
    assert headers["Cache-Control"] == "no-store"
    assert b"<script>" not in answer.body
    assert json.loads(answer.body)["err"] == "invalid_request"


def test_2_4_while_the_keys_are_away_the_transmitter_is_told_to_come_again_and_nothing_is_lost(api: API) -> None:
    token, compact = api.token("alice"), api.event("alice")
    api.issuer.fail(503)
    answer = api.receive(compact)
    assert answer.status == 503
    assert int(dict(answer.headers)["Retry-After"]) >= 1
    api.issuer.heal()
    api.clock.advance(int(dict(answer.headers)["Retry-After"]) + 1)
    assert api.receive(compact).status == 202
    assert api.ended(token)


def test_2_4_a_set_signed_with_a_new_key_has_the_keys_fetched(api: API) -> None:
    token = api.token("alice")
    assert not api.ended(token)
    api.issuer.rotate("alpha", keep_old=True)
    assert api.tell("alice").status == 202
    assert api.ended(token)


def test_forged_sets_fetch_keys_once_a_cooldown(api: API) -> None:
    assert api.reason(api.token("alice")) is None
    api.issuer.forget_requests()
    iss = api.issuer.issuer_url("alpha")
    for number in range(20):
        forged = unsigned_token({"typ": "secevent+jwt", "alg": "EdDSA", "kid": f"k{number}"}, {"iss": iss}, b"x" * 64)
        assert api.receive(forged).status in (400, 503)
    assert len(api.issuer.requests) <= 2


def test_what_is_refused_is_logged_once_and_without_what_was_sent(api: API, caplog: pytest.LogCaptureFixture) -> None:
    compact = api.event("alice\nforged line", claims={"aud": "https://other.example.com"})
    with caplog.at_level(logging.DEBUG, logger="strongdm_auth"):
        assert err(api.receive(compact)) == "invalid_audience"
    told = [record for record in caplog.records if record.name == "strongdm_auth.events"]
    assert [record.levelname for record in told] == ["WARNING"]
    assert not any(part in caplog.text for part in ("forged", "other.example.com", *compact.split(".")))


def test_a_set_that_is_sent_again_is_acknowledged_again_without_its_issuer(api: API) -> None:
    compact = api.event("alice")
    assert api.receive(compact).status == 202
    api.issuer.fail(503)
    api.clock.advance(100_000)
    assert api.receive(compact).status == 202


def test_a_set_that_was_refused_is_judged_anew(api: API) -> None:
    token, compact = api.token("alice"), api.event("alice", claims={"iat": NOW + 60})
    assert err(api.receive(compact)) == "invalid_request"
    api.clock.advance(60)
    assert api.receive(compact).status == 202
    assert api.ended(token)


def test_an_event_loop_answers_the_same_and_knows_the_same(api: API) -> None:
    in_loops, token, other = api.verifier.for_event_loops(), api.token("alice"), api.token("bob")

    async def scenario() -> None:
        answer = await in_loops.receive("application/secevent+jwt", api.event("alice").encode())
        assert (answer.status, answer.body) == (202, b"")
        with pytest.raises(Refused, match="revoked"):
            await in_loops.authenticate(request(token))
        await in_loops.authenticate(request(other))
        assert (await in_loops.receive("application/jwt", b"")).status == 400
        await in_loops.aclose()

    # The issuer's keys come to the threads' verifier first: the transport in this process is that one's.
    assert api.reason(other) is None
    asyncio.run(scenario())
    assert api.ended(token)
