"""Challenges word for word, and the characters that RFC 6750 3 lets stand in them."""

import json

import pytest

from strongdm_auth import Requirement, StrongDMAuthError, Verifier
from strongdm_auth.challenge import Challenges
from strongdm_auth.errors import DESCRIPTIONS
from tests.conftest import request

from .support import denied, header_of

ALGS = 'algs="ES256 ES384 RS256 PS256 EdDSA Ed25519"'


def _value(verifier: Verifier, token: str | None, requirement: Requirement | None = None) -> str | None:
    return header_of(denied(verifier, request(token), requirement or Requirement())[1].headers, "WWW-Authenticate")


def test_a_challenge_with_nothing_to_say_names_the_realm(verifier: Verifier) -> None:
    """RFC 6750 3: at least one parameter, and a client may show this one to somebody."""
    assert _value(verifier, None) == f'Bearer realm="api", DPoP {ALGS}'
    assert _value(verifier, None, Requirement("b a")) == f'Bearer scope="a b", DPoP scope="a b", {ALGS}'


def test_a_refused_token_is_told_why_in_the_words_of_the_body(verifier: Verifier) -> None:
    """RFC 6750 3: for the developer; the other scheme is offered without an error."""
    words = DESCRIPTIONS["token.opaque"]
    assert _value(verifier, "x") == (f'Bearer error="invalid_token", error_description="{words}", DPoP {ALGS}')
    denial = denied(verifier, request("x"))[1]
    assert json.loads(denial.body) == {"error": "invalid_token", "error_description": words}


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ('Not "yours"', "Not yours"),
        ("back\\slash", "backslash"),
        ("two\r\nX-Evil: lines", "twoX-Evil: lines"),
        ("Fläche ☃ 1", "Flche  1"),
        ("tab\tdel\x7fnul\0", "tabdelnul"),
        ("!#[]~ plain", "!#[]~ plain"),
    ],
)
def test_what_must_not_stand_in_a_description_is_left_out(message: str, shown: str) -> None:
    """RFC 6750 3: %x20-21 / %x23-5B / %x5D-7E. An app's own words get into the header, too; the body has them all."""
    denial = Challenges(dpop_required=False, dpop_algorithms=("ES256",)).denial(StrongDMAuthError(message, 403))
    value = header_of(denial.headers, "WWW-Authenticate")
    assert value == f'Bearer error="access_denied", error_description="{shown}"'
    assert json.loads(denial.body)["error_description"] == message


def test_the_words_of_this_library_need_nothing_left_out() -> None:
    challenges = Challenges(dpop_required=True, dpop_algorithms=("ES256",))
    for words in DESCRIPTIONS.values():
        value = header_of(challenges.denial(StrongDMAuthError(words)).headers, "WWW-Authenticate")
        assert f'error_description="{words}"' in (value or "")
