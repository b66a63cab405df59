"""Questions to the issuer about tokens: how many at once, for how long one is waited for, and that half a name asks none."""

from collections.abc import Callable
from typing import Any

import pytest

from strongdm_auth import Requirement, Settings, TemporarilyUnavailable, Verifier
from strongdm_auth.claims import ClaimRules
from strongdm_auth.introspection import MOST_QUESTIONS, Introspection
from strongdm_auth.issuers import Issuers
from strongdm_auth.keys import MOST_WAITING
from strongdm_auth.testing import Issuer
from tests.conftest import AUDIENCE, NOW, request

TIMEOUT = 5
#: Discovery, then the question, and a second for all else.
LOST_AFTER = 2 * TIMEOUT + 1


@pytest.fixture
def introspection() -> Introspection:
    settings = Settings(
        realms="a", audience="x", introspection="always", client_id="c", client_secret="s", http_timeout=TIMEOUT
    )
    return Introspection(settings, ClaimRules(settings), Issuers(settings))


def test_so_many_are_asked_at_once_and_each_that_ends_makes_room_for_one(introspection: Introspection) -> None:
    digests = [bytes([number]) for number in range(MOST_QUESTIONS)]
    held = [introspection.begin(digest, NOW) for digest in digests]
    assert None not in held
    for digest, question in zip(digests[:3], held[:3], strict=True):
        assert introspection.begin(b"another", NOW) is None
        assert question is not None
        introspection.end(digest, question)
        assert introspection.begin(b"another", NOW) is not None
        assert introspection.begin(b"one more", NOW) is None


def test_who_waits_is_told_when_the_question_is_over(introspection: Introspection) -> None:
    question = introspection.begin(b"t", NOW)
    assert question is not None
    assert introspection.join(b"t", NOW) is question
    assert not question.landed.done()
    introspection.end(b"t", question)
    assert question.landed.done()
    assert introspection.join(b"t", NOW) is None


@pytest.mark.parametrize("later", [-LOST_AFTER, LOST_AFTER])
def test_a_question_that_was_lost_is_waited_for_until_it_must_be_over(
    introspection: Introspection, later: float
) -> None:
    """In a fork, whoever began it is not there to end it; nor may a clock that was set back make it last."""
    question = introspection.begin(b"t", NOW)
    assert introspection.join(b"t", NOW + later * 0.999) is question
    assert introspection.join(b"t", NOW + later) is None


def test_a_question_that_came_late_does_not_end_the_one_that_took_its_place(introspection: Introspection) -> None:
    lost, newer = introspection.begin(b"t", NOW), introspection.begin(b"t", NOW + LOST_AFTER)
    assert lost is not None
    introspection.end(b"t", lost)
    assert introspection.join(b"t", NOW + LOST_AFTER) is newer


def test_so_many_wait_and_no_more_whatever_token_they_wait_for(introspection: Introspection) -> None:
    for digest in (b"t", b"u"):
        assert introspection.begin(digest, NOW)
        for _ in range(MOST_WAITING // 2):
            assert introspection.join(digest, NOW)
    assert introspection.join(b"t", NOW) is None
    assert introspection.join(b"u", NOW) is None


@pytest.mark.parametrize("half", [{"client_id": "c"}, {"client_secret": "s"}])
def test_an_api_that_has_half_of_its_credentials_asks_nobody(
    issuer: Issuer, make_verifier: Callable[..., Verifier], half: dict[str, Any]
) -> None:
    """RFC 7662 2.1: the question would show the token to the issuer, and nothing could come of it."""
    verifier = make_verifier(**half)
    token = issuer.token("cli_agent", realm="alpha", audience=AUDIENCE)
    assert verifier.authenticate(request(token))
    issuer.forget_requests()
    with pytest.raises(TemporarilyUnavailable) as caught:
        verifier.authorize(request(token), Requirement(introspect=True))
    assert caught.value.reason == "introspection.unavailable"
    assert issuer.requests == []
