"""Reading `WWW-Authenticate`, from honest servers and from others."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongdm_auth.client.challenges import read_challenges


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (['Bearer realm="api"'], [("bearer", {"realm": "api"})]),
        (['Bearer realm="a, DPoP error=\\"x\\""'], [("bearer", {"realm": 'a, DPoP error="x"'})]),
        (
            ['Bearer realm="api", DPoP error="use_dpop_nonce", algs="ES256 EdDSA"'],
            [("bearer", {"realm": "api"}), ("dpop", {"error": "use_dpop_nonce", "algs": "ES256 EdDSA"})],
        ),
        (["Bearer", "DPoP algs=ES256"], [("bearer", {}), ("dpop", {"algs": "ES256"})]),
        (["Negotiate, DPoP"], [("negotiate", {}), ("dpop", {})]),
        (
            ["Negotiate dGVzdA==, Bearer error=invalid_token"],
            [("negotiate", {}), ("bearer", {"error": "invalid_token"})],
        ),
        (['DPOP ERROR = "x" , , foo="bar"'], [("dpop", {"error": "x", "foo": "bar"})]),
        (['Bearer error="one", error="two"'], [("bearer", {"error": "one"})]),
        (['error="x"', "=,=,", '"', ", ,", "", "\x00\xff"], []),
        (['Bearer error="unterminated'], [("bearer", {})]),
        (["Bearer " + "x" * 10_000], []),
    ],
)
def test_challenges(values: list[str], expected: list[tuple[str, dict[str, str]]]) -> None:
    assert [(found.scheme, dict(found.parameters)) for found in read_challenges(values)] == expected


@given(st.lists(st.text(alphabet='Bearer DPoP=",\\ \t\x00éx', max_size=60), max_size=3))
def test_nothing_that_a_server_sends_makes_it_fail(values: list[str]) -> None:
    for found in read_challenges(values):
        assert found.scheme == found.scheme.lower()


@pytest.mark.parametrize(
    "value", ['Bearer a="' + "\\" * 8_000, "a=" * 4_000, " ," * 4_000, 'x="' * 2_700, "a " * 4_000]
)
def test_no_value_takes_long(value: str) -> None:
    started = time.perf_counter()
    read_challenges([value])
    assert time.perf_counter() - started < 0.5
