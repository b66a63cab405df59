"""The Authorization value to the letter (RFC 6750 2.1): what is cut off round a token, and what is part of it."""

import pytest

from strongdm_auth import Request
from strongdm_auth.credentials import is_b64token, read_credentials
from strongdm_auth.errors import InvalidRequest
from tests.conftest import URL


def _token(value: str) -> str:
    return read_credentials(Request("GET", URL, {"Authorization": value}), 16_384).token


@pytest.mark.parametrize("token", ["X", "XaX", "XXX", "aXX", "XXa", "Bearer", "B", "-._~+/", "a==", "a="])
@pytest.mark.parametrize("value", ["Bearer {}", "Bearer   {}", "bearer {} \t", "  Bearer {}", "\tDPoP {}"])
def test_a_token_keeps_all_its_characters(value: str, token: str) -> None:
    assert _token(value.format(token)) == token


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        *(("a", True), ("a=", True), ("a====", True), ("Aa0-._~+/=", True), ("x" * 10_000, True)),
        *(("", False), ("=", False), ("==", False), ("=a", False), ("a=b", False), ("a=b=", False), ("a =", False)),
        *(("a\\=", False), ("a,", False), ("é=", False), ("a\n", False), ("a\n=", False), ("a:b", False)),
        *(("a,=", False), ("a==,", False), ("\ud800", False)),
    ],
)
def test_what_a_b64token_is(text: str, is_one: bool) -> None:
    """RFC 6750 2.1: 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=" """
    assert is_b64token(text) is is_one
    if not is_one and text.isascii():
        with pytest.raises(InvalidRequest):
            _token(f"Bearer {text}")
