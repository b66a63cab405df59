"""`unsafe_show_reasons`, and what the log says of a refusal: for developers, opt-in, and without secrets."""

import logging
from collections.abc import Callable

import pytest

from strongdm_auth import Refused, SecurityWarning, Settings, StrongDMAuthError, Verifier
from strongdm_auth.testing import Issuer
from tests.conftest import request

REASON = "StrongDM-Auth-Reason"


def _refusal(verifier: Verifier, token: str | None) -> Refused:
    with pytest.raises(Refused) as caught:
        verifier.authenticate(request(token))
    return caught.value


def test_no_answer_says_why_by_default(make_verifier: Callable[..., Verifier]) -> None:
    verifier = make_verifier()
    assert REASON not in dict(verifier.denial(_refusal(verifier, None)).headers)


def test_the_reason_stands_in_a_header_where_that_was_asked_for(make_verifier: Callable[..., Verifier]) -> None:
    with pytest.warns(SecurityWarning, match="unsafe_show_reasons is on"):
        verifier = make_verifier(unsafe_show_reasons=True)
    assert dict(verifier.denial(_refusal(verifier, None)).headers)[REASON] == "credentials.missing"
    assert dict(verifier.denial(_refusal(verifier, "opaque")).headers)[REASON] == "token.opaque"
    assert dict(verifier.denial(StrongDMAuthError("Not after hours", 403)).headers)[REASON] == "application"


def test_a_reason_of_an_applications_own_breaks_no_header(make_verifier: Callable[..., Verifier]) -> None:
    error = StrongDMAuthError("No", 403)
    error.reason = "x\r\nSet-Cookie: a=b"
    with pytest.warns(SecurityWarning):
        verifier = make_verifier(unsafe_show_reasons=True)
    assert dict(verifier.denial(error).headers)[REASON] == "xSet-Cookie: a=b"


def test_it_is_a_switch_of_the_environment_too() -> None:
    with pytest.warns(SecurityWarning):
        assert Settings.load({}, environ={"STRONGDM_UNSAFE_SHOW_REASONS": "true"}).unsafe_show_reasons


def test_the_log_tells_why_once_and_no_secret(
    make_verifier: Callable[..., Verifier], issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    verifier = make_verifier()
    token = issuer.token("alice", realm="alpha", audience="https://elsewhere.example")
    with caplog.at_level(logging.DEBUG, logger="strongdm_auth"):
        refusal = _refusal(verifier, token)
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("refused:")]
    assert len(told) == 1
    assert refusal.reason in told[0]
    assert "GET" in told[0]
    assert refusal.message in told[0]
    assert token.split(".")[2] not in caplog.text
