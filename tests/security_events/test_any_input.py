"""There is no input that makes the endpoint fail: properties, with what an issuer might sign and what a stranger might send."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strongdm_auth.security_events import ENDING

from .api import API, MEDIA_TYPE

CODES = {"invalid_request", "invalid_key", "invalid_issuer", "invalid_audience", "access_denied"}
FORMATS = [
    "iss_sub",
    "opaque",
    "email",
    "uri",
    "jwt_id",
    "aliases",
    "complex",
    "account",
    "did",
    "phone_number",
    "iss-sub",
]
MEMBERS = [
    "format",
    "subject_type",
    "id",
    "iss",
    "sub",
    "email",
    "uri",
    "jti",
    "identifiers",
    "user",
    "session",
    "application",
]

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**10)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(FORMATS)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
subjects = st.recursive(
    st.dictionaries(st.sampled_from(MEMBERS), scalars, max_size=4) | scalars,
    lambda inner: st.dictionaries(st.sampled_from(MEMBERS), inner | st.lists(inner, max_size=3), max_size=4),
    max_leaves=8,
)
kinds = st.sampled_from(sorted(ENDING)) | st.text(max_size=5)
events = st.dictionaries(kinds, values | st.fixed_dictionaries({}, optional={"subject": subjects}), max_size=3)
claims = st.fixed_dictionaries(
    {"events": events | values},
    optional=dict.fromkeys(("jti", "iat", "aud", "sub", "exp", "nbf", "toe", "txn"), values) | {"sub_id": subjects},
)
each = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def assert_fit(api: API, body: bytes, media_type: str = MEDIA_TYPE) -> int:
    """An answer of RFC 8935 and no other."""
    answer = api.verifier.receive(media_type, body)
    if answer.status == 202:
        assert answer.body == b""
    else:
        assert answer.status == 400
        assert json.loads(answer.body)["err"] in CODES
    assert all(name.isascii() and value.isascii() for name, value in answer.headers)
    return answer.status


@each
@given(claims)
def test_whatever_an_issuer_signs(api: API, claims: dict[str, Any]) -> None:
    assert_fit(api, api.event("alice", claims=claims).encode())
    assert not api.ended(api.token("a subject that no event speaks of", claims={"iat": api.clock() + 30}))


@each
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("typ", "alg", "kid", "crit", "b64", "jwk", "x5u"), values)))
def test_whatever_stands_in_a_header_that_an_issuer_signs(api: API, header: dict[str, Any]) -> None:
    header.pop("alg", None)  # it signs with what it says
    assert_fit(api, api.event("alice", header=header).encode())


@each
@given(
    st.binary(max_size=80) | st.lists(st.binary(max_size=20), min_size=2, max_size=4).map(b".".join),
    st.text(max_size=40),
)
def test_whatever_a_stranger_sends(api: API, body: bytes, media_type: str) -> None:
    assert_fit(api, body, media_type)
    assert_fit(api, body)


@pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "1e308", "-1e308", "0", "-1", "-0.0", "1" * 400, "1.5", "9" * 4000]
)
def test_numbers_at_the_edge(api: API, number: str) -> None:
    """As written: not all of them are what Python would write."""
    for name in ("iat", "exp"):
        claims = json.dumps({"iss": api.issuer.issuer_url("alpha"), "jti": "j", "aud": "https://api.example.com"})
        members = {"iat": "1800000000", "sub": '"alice"', "events": json.dumps({sorted(ENDING)[0]: {}}), name: number}
        text = claims[:-1] + "".join(f', "{member}": {value}' for member, value in members.items()) + "}"
        assert_fit(api, api.signed(text, "secevent+jwt").encode())
