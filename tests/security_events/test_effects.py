"""What a SET does: what was issued up to then is refused at once, whatever it is; a new token is the way back."""

import json
import logging
from collections.abc import Callable

import pytest

from strongdm_auth import Decision, Refused, SecurityEvent, Verifier
from strongdm_auth.events import Event
from strongdm_auth.revocation import ENDED_FOR
from strongdm_auth.testing import DPoPKey
from tests.conftest import AUDIENCE, NOW, URL, request

from .api import API, CAEP, MakeAPI, err

SESSION = CAEP + "session-revoked"


def test_a_verdict_that_is_remembered_ends_without_the_world_being_asked(api: API) -> None:
    """`recall` is how a warm request is answered: by plain functions, without a story."""
    token, other = api.token("alice"), api.token("bob")
    server = api.verifier._server
    assert api.reason(token) is api.reason(other) is None
    assert server.recall(request(token), api.clock())[0] is not None
    assert api.tell("alice").status == 202
    for _ in range(2):
        with pytest.raises(Refused, match="revoked") as caught:
            server.recall(request(token), api.clock())
        assert caught.value.reason == "token.revoked"
        assert server.recall(request(other), api.clock())[0] is not None


def test_the_refusal_is_the_contract_s(api: API) -> None:
    token = api.token("alice")
    assert api.tell("alice").status == 202
    with pytest.raises(Refused) as caught:
        api.verifier.authenticate(request(token))
    denial = api.verifier.denial(caught.value)
    assert (denial.status, json.loads(denial.body)["error"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in dict(denial.headers)["WWW-Authenticate"]


def test_what_is_issued_later_counts_and_what_was_issued_in_that_second_does_not(api: API) -> None:
    at = int(NOW)
    assert api.tell("alice").status == 202
    issued = {seconds: api.token("alice", claims={"iat": at + seconds}) for seconds in (-3_000, -1, 0, 0.5, 1, 20)}
    ended = {seconds: api.ended(token) for seconds, token in issued.items()}
    assert ended == {-3_000: True, -1: True, 0: True, 0.5: False, 1: False, 20: False}


def test_it_counts_from_when_the_set_was_issued_and_not_from_when_it_came(api: API) -> None:
    compact, before = api.event("alice"), api.token("alice")
    api.clock.advance(300)
    between = api.token("alice")
    assert api.receive(compact).status == 202
    assert api.ended(before)
    assert not api.ended(between)


def test_it_is_refused_until_it_expires_by_itself(api: API) -> None:
    token = api.token("alice", lifetime=20 * 86_400)
    assert api.tell("alice").status == 202
    for _ in range(19):
        api.clock.advance(86_400)
        assert api.reason(token) == "token.revoked"
    api.clock.advance(86_400 + 31)
    assert api.reason(token) == "token.expired"


def test_many_later_ones_push_none_out_before_its_time(api: API) -> None:
    token = api.token("alice", lifetime=29 * 86_400)
    assert api.tell("alice").status == 202
    for day in range(1, 29):
        api.clock.advance(86_400)
        for batch in range(4):
            names = [{"format": "opaque", "id": f"{day}-{batch}-{number}"} for number in range(16)]
            assert api.tell({"format": "aliases", "identifiers": names}).status == 202
    assert len(api.verifier._server.revocations) > 1_500
    assert api.reason(token) == "token.revoked"


def test_a_bound_token_ends_under_its_own_scheme_and_under_the_other(api: API) -> None:
    key = DPoPKey.generate()
    token, other = api.token("alice", key=key), api.token("bob", key=key)
    assert api.reason(token, key) is None
    assert api.tell("alice").status == 202
    assert api.reason(token, key) == "token.revoked"
    assert api.reason(token) in ("token.revoked", "token.bound")
    assert api.reason(other, key) is None
    api.clock.advance(1)
    assert api.reason(api.token("alice", key=key), key) is None


def test_an_agent_s_event_ends_what_it_does_for_others(api: API) -> None:
    """And an event about the one for whom it acts ends it, too: not what the agent does for somebody else."""
    chain = {"sub": "cli_a", "act": {"sub": "cli_b"}}
    for_alice, for_bob = (
        api.token(subject, actor=chain, claims={"client_id": "cli_c"}) for subject in ("alice", "bob")
    )
    assert api.reason(for_alice) is api.reason(for_bob) is None
    assert api.tell("alice").status == 202
    assert [api.ended(for_alice), api.ended(for_bob)] == [True, False]
    assert api.tell("cli_b").status == 202
    assert api.ended(for_bob)


@pytest.mark.parametrize("subject", ["alice", "cli_a", "cli_b", "cli_c"])
def test_everybody_whom_a_token_names_can_end_it(api: API, subject: str) -> None:
    token = api.token("alice", actor={"sub": "cli_a", "act": {"sub": "cli_b"}}, claims={"client_id": "cli_c"})
    assert api.tell(subject).status == 202
    assert api.ended(token)


@pytest.fixture
def asking(make_api: MakeAPI, request: pytest.FixtureRequest) -> API:
    api = make_api()
    client = api.issuer.client("the API")
    credentials = {"client_id": client.client_id, "client_secret": client.client_secret}
    return make_api(introspection=request.param, **credentials)


def opaque(api: API, subject: str, **claims: object) -> str:
    return api.issuer.opaque_token(subject, realm="alpha", audience=AUDIENCE, claims=claims)


@pytest.mark.parametrize("asking", ["fallback", "always"], indirect=True)
def test_opaque_tokens_end_although_the_issuer_calls_them_active(asking: API) -> None:
    seen, unseen, other = (opaque(asking, subject) for subject in ("alice", "alice", "bob"))
    assert asking.reason(seen) is asking.reason(other) is None
    assert asking.tell("alice").status == 202
    assert [asking.ended(token) for token in (seen, unseen, other)] == [True, True, False]
    asking.clock.advance(1)
    assert not asking.ended(opaque(asking, "alice"))


@pytest.mark.parametrize("asking", ["fallback"], indirect=True)
def test_an_opaque_token_that_does_not_say_when_it_was_issued_ends(asking: API) -> None:
    assert asking.tell("alice").status == 202
    asking.clock.advance(1)
    assert asking.ended(opaque(asking, "alice", iat=None))
    assert not asking.ended(opaque(asking, "bob", iat=None))


@pytest.mark.parametrize("asking", ["always"], indirect=True)
def test_where_the_issuer_is_always_asked_its_events_count_as_well(asking: API) -> None:
    token = asking.token("alice")
    assert asking.reason(token) is None
    assert asking.tell("alice").status == 202
    assert asking.ended(token)


def test_a_set_that_is_replayed_ends_nothing_that_was_issued_since(
    api: API, make_verifier: Callable[..., Verifier]
) -> None:
    compact = api.event("alice")
    assert api.receive(compact).status == 202
    api.clock.advance(60)
    token = api.token("alice")
    assert api.receive(compact).status == 202
    again = api.event("alice", claims={"iat": int(NOW)})  # the same with another id
    assert api.receive(again).status == 202
    assert not api.ended(token)
    later = API(api.issuer, api.clock, make_verifier())  # a worker that did not hear the first
    assert later.receive(compact).status == 202
    assert not later.ended(token)


@pytest.mark.parametrize("order", [(0, 60), (60, 0)])
def test_the_order_of_two_sets_does_not_matter(api: API, order: tuple[int, int]) -> None:
    api.clock.advance(60)
    issued = {seconds: api.token("alice", claims={"iat": int(NOW) + seconds}) for seconds in (-10, 30, 60, 61)}
    for seconds in order:
        assert api.tell("alice", claims={"iat": int(NOW) + seconds}).status == 202
    assert {seconds: api.ended(token) for seconds, token in issued.items()} == {
        -10: True,
        30: True,
        60: True,
        61: False,
    }


def test_a_set_that_is_older_than_tokens_live_is_taken_and_remembered_for_nobody(api: API) -> None:
    assert api.tell("alice", claims={"iat": NOW - ENDED_FOR - 1}).status == 202
    assert len(api.verifier._server.revocations) == 0


def test_a_list_that_is_full_says_so_and_drops_nothing(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongdm_auth.revocation.MOST_REVOCATIONS", 3)
    tokens = {name: api.token(name) for name in ("a", "b", "c", "d")}
    answers = [api.tell(name) for name in tokens]
    assert [answer.status for answer in answers] == [202, 202, 202, 503]
    assert "Retry-After" in dict(answers[-1].headers)
    assert [api.ended(token) for token in tokens.values()] == [True, True, True, False]


def test_revoking_one_token_ends_none_of_its_subject_s_others(api: API) -> None:
    token, other = api.token("alice"), api.token("alice")
    api.verifier.revoke(token)
    assert [api.ended(token), api.ended(other)] == [True, False]


def test_a_connection_that_stays_open_is_told(api: API) -> None:
    """What the doors look at while a websocket or an event stream lives (`end_with_token`)."""
    in_loops, token, other = api.verifier.for_event_loops(), api.token("alice"), api.token("bob")
    open_ones = [in_loops.standing(request(each), api.verifier.authenticate(request(each))) for each in (token, other)]
    assert [in_loops.look_at(each) for each in open_ones] == [False, False]
    assert api.tell("alice").status == 202
    with pytest.raises(Refused, match="revoked"):
        in_loops.look_at(open_ones[0])
    assert in_loops.look_at(open_ones[1]) is False


def test_whoever_watches_is_told_once_and_of_what_was_accepted_only(
    make_api: MakeAPI, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Event] = []
    api = make_api(on_event=told.append)
    iss = api.issuer.issuer_url("alpha")
    compact = api.event({"format": "aliases", "identifiers": [{"format": "opaque", "id": name} for name in "ab"]})
    with caplog.at_level(logging.INFO, logger="strongdm_auth.audit"):
        assert [api.receive(compact).status for _ in range(3)] == [202, 202, 202]
        err(api.tell("alice", claims={"aud": "https://other.example.com"}))
        assert api.tell("alice", claims={"events": {"urn:example:\nanything": {}}}).status == 202
    events = [event for event in told if isinstance(event, SecurityEvent)]
    assert events == [
        SecurityEvent(time=NOW, at=NOW, issuer=iss, events=(SESSION,), subjects=2),
        SecurityEvent(time=NOW, at=NOW, issuer=iss, events=("urn:example:\nanything",), subjects=0),
    ]
    lines = [record.getMessage() for record in caplog.records if record.name == "strongdm_auth.audit"]
    assert lines == [event.as_json() for event in events]
    assert all("\n" not in line and json.loads(line)["event"] == "security_event" for line in lines)


def test_a_set_that_the_store_was_not_told_of_is_no_event_yet(
    make_api: MakeAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Event] = []
    api = make_api(on_event=told.append)
    monkeypatch.setattr("strongdm_auth.revocation.MOST_REVOCATIONS", 0)
    assert api.tell("alice").status == 503
    assert not [event for event in told if isinstance(event, SecurityEvent)]


def test_decisions_name_the_reason(make_api: MakeAPI) -> None:
    told: list[Event] = []
    api = make_api(on_event=told.append)
    assert api.tell("alice").status == 202
    assert api.ended(api.token("alice"))
    decision = [event for event in told if isinstance(event, Decision)][-1]
    assert (decision.outcome, decision.reason, decision.subject) == ("refused", "token.revoked", None)


def test_a_proof_of_a_token_that_has_ended_is_not_used_up(api: API) -> None:
    key = DPoPKey.generate()
    token = api.token("alice", key=key)
    proof = key.proof("GET", URL, token, now=api.clock())
    assert api.tell("alice").status == 202
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            api.verifier.authenticate(request(token, proof))
        assert caught.value.reason == "token.revoked"
