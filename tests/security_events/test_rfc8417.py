"""RFC 8417: what a Security Event Token is, and is not; which events end what was issued, and which do not."""

import json
from typing import Any

import pytest

from strongdm_auth.security_events import ENDING
from strongdm_auth.testing import Issuer
from tests.conftest import AUDIENCE, NOW

from .api import API, CAEP, RISC, MakeAPI, err

SESSION_REVOKED = CAEP + "session-revoked"
VERIFICATION = "https://schemas.openid.net/secevent/ssf/event-type/verification"


@pytest.mark.parametrize("typ", ["secevent+jwt", "SECEVENT+JWT", "application/secevent+jwt"])
def test_2_3_it_says_what_it_is(api: API, typ: str) -> None:
    assert api.tell("alice", header={"typ": typ}).status == 202


@pytest.mark.parametrize("typ", [None, "", "JWT", "at+jwt", "logout+jwt", "dpop+jwt", "secevent", 7, ["secevent+jwt"]])
def test_2_3_what_does_not_say_so_is_none(api: API, typ: object) -> None:
    """Or a token that the issuer signed for anything else could be sent as an event."""
    token = api.token("alice")
    assert err(api.tell("alice", header={"typ": typ})) == "invalid_request"
    assert not api.ended(token)


@pytest.mark.parametrize("header", [{"crit": ["exp"], "exp": 1}, {"crit": []}, {"b64": False}, {"kid": 7}, {"kid": []}])
def test_a_header_with_what_we_do_not_know_is_malformed(api: API, header: dict[str, object]) -> None:
    assert err(api.tell("alice", header=header)) == "invalid_request"


def of_the_same_issuer(issuer: Issuer) -> dict[str, str]:
    """What else the issuer signs with the same key."""
    event = {"http://schemas.openid.net/event/backchannel-logout": {}}
    logout = {"sub": "alice", "events": event, "nonce": None, "exp": None, "jti": "logout"}
    made: dict[str, Any] = {"realm": "alpha", "audience": AUDIENCE}
    return {
        "access token": issuer.token("alice", **made),
        "access token of RFC 9068": issuer.token("alice", **made, header={"typ": "at+jwt"}),
        "ID token": issuer.token("alice", **made, claims={"nonce": "n", "at_hash": "x"}),
        "logout token": issuer.token("alice", **made, header={"typ": "logout+jwt"}, claims=logout),
        "logout token that does not say so": issuer.token("alice", **made, claims=logout),
        "JWT-SVID": issuer.jwt_svid("alice", **made),
        "opaque token": issuer.opaque_token("alice", **made),
    }


@pytest.mark.parametrize("kind", of_the_same_issuer(Issuer(realms=("alpha",), algorithms=["EdDSA"])))
def test_2_3_no_other_token_of_the_issuer_is_a_set(api: API, kind: str) -> None:
    token = api.token("alice")
    assert err(api.receive(of_the_same_issuer(api.issuer)[kind])) == "invalid_request"
    assert not api.ended(token)


@pytest.mark.parametrize("typ", ["secevent+jwt", "JWT", "at+jwt", None])
def test_2_3_a_set_is_no_access_token(api: API, typ: str | None) -> None:
    """Not even one that is all an access token is, and has events besides."""
    compact = api.event(
        "alice", header={"typ": typ}, claims={"sub": "alice", "exp": NOW + 600, "token_type": "access_token"}
    )
    assert api.reason(compact) == "token.type"


@pytest.mark.parametrize(
    "claims",
    [
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"iat": None},
        {"iat": "now"},
        {"iat": True},
        {"iat": []},
        {"events": None},
        {"events": {}},
        {"events": []},
        {"events": "session-revoked"},
        {"events": {SESSION_REVOKED: None}},
        {"events": {SESSION_REVOKED: "alice"}},
        {"events": {SESSION_REVOKED: {}, VERIFICATION: []}},
        {"aud": 7},
        {"aud": [AUDIENCE, 7]},
        {"aud": {"aud": AUDIENCE}},
        {"exp": "never"},
        {"exp": NOW - 3_600},
        {"iat": NOW + 3_600},
    ],
    ids=json.dumps,
)
def test_2_2_its_claims_are_there_and_what_they_must_be(api: API, claims: dict[str, object]) -> None:
    token = api.token("alice")
    assert err(api.tell("alice", claims=claims)) == "invalid_request"
    assert not api.ended(token)


def test_2_2_clocks_may_differ_by_the_leeway(api: API) -> None:
    assert api.tell("alice", claims={"iat": NOW + 30}).status == 202
    assert err(api.tell("alice", claims={"iat": NOW + 31})) == "invalid_request"
    assert api.tell("alice", claims={"exp": NOW - 29}).status == 202
    assert err(api.tell("alice", claims={"exp": NOW - 30})) == "invalid_request"


def test_2_2_its_audience_may_be_one_of_several(make_api: MakeAPI) -> None:
    api = make_api(audience=[AUDIENCE, "https://second.example.com"])
    assert api.tell("alice", audience="https://second.example.com").status == 202
    assert api.tell("alice", audience=["https://elsewhere.example.com", AUDIENCE]).status == 202


@pytest.mark.filterwarnings("ignore:strongdm-auth. audience is not set")
def test_2_2_an_api_without_an_audience_takes_any(make_api: MakeAPI) -> None:
    api = make_api(audience=None)
    token = api.token("alice")
    assert api.tell("alice", audience="https://elsewhere.example.com").status == 202
    assert api.ended(token)


@pytest.mark.parametrize("event", sorted(ENDING))
def test_events_that_end_what_was_issued(api: API, event: str) -> None:
    token, other = api.token("alice"), api.token("bob")
    assert api.reason(token) is api.reason(other) is None
    assert api.tell("alice", event).status == 202
    assert api.ended(token)
    assert not api.ended(other)


def test_the_events_that_end_are_these() -> None:
    caep = {CAEP + name for name in ("session-revoked", "credential-change", "token-claims-change")}
    risc = {RISC + name for name in ("account-disabled", "account-purged", "sessions-revoked", "credential-compromise")}
    assert caep | risc | {RISC + "account-credential-change-required"} == ENDING


@pytest.mark.parametrize(
    "event",
    [
        VERIFICATION,
        "https://schemas.openid.net/secevent/ssf/event-type/stream-updated",
        CAEP + "session-established",
        CAEP + "session-presented",
        CAEP + "assurance-level-change",
        CAEP + "device-compliance-change",
        CAEP + "Session-Revoked",
        RISC + "account-enabled",
        RISC + "identifier-changed",
        "urn:example:anything",
        "session-revoked/",
    ],
)
def test_2_2_events_that_mean_nothing_here_are_taken_and_do_nothing(api: API, event: str) -> None:
    """Also about what no token can be matched with, such as SSF's verification of a stream."""
    token = api.token("alice")
    claims = {"events": {event: {"state": "VGhpcyBpcyBh"}}}
    assert api.tell("alice", claims=claims).status == 202
    assert api.tell({"format": "did", "url": "did:web:a"}, claims=claims).status == 202
    assert api.tell("alice", claims=claims | {"sub_id": None}).status == 202
    assert not api.ended(token)


def test_2_2_one_set_may_tell_of_several_events(api: API) -> None:
    alice, bob, carol = api.token("alice"), api.token("bob"), api.token("carol")
    iss = api.issuer.issuer_url("alpha")
    events = {
        VERIFICATION: {},
        SESSION_REVOKED: {"subject": {"format": "iss_sub", "iss": iss, "sub": "bob"}},
        RISC + "account-disabled": {},
    }
    assert api.tell("alice", claims={"events": events}).status == 202
    assert [api.ended(token) for token in (alice, bob, carol)] == [True, True, False]


def test_2_2_one_event_that_cannot_be_done_is_not_acknowledged_and_none_is_done(api: API) -> None:
    token = api.token("alice")
    events = {
        SESSION_REVOKED: {},
        RISC + "account-disabled": {"subject": {"format": "phone_number", "phone_number": "+1"}},
    }
    assert err(api.tell("alice", claims={"events": events})) == "invalid_request"
    assert not api.ended(token)


def test_2_2_the_subject_may_be_the_claim_sub(api: API) -> None:
    token, other = api.token("alice"), api.token("bob")
    assert api.tell(claims={"sub_id": None, "sub": "alice"}).status == 202
    assert api.ended(token)
    assert not api.ended(other)


@pytest.mark.parametrize("claims", [{"sub_id": None}, {"sub_id": None, "sub": 7}, {"sub_id": None, "sub": ["alice"]}])
def test_2_2_an_event_that_ends_something_says_whose(api: API, claims: dict[str, object]) -> None:
    assert err(api.tell(claims=claims)) == "invalid_request"
