"""Requests and the credentials in them to the character (RFC 6750 2.1, RFC 9449 4.3, RFC 3986): what is one, what is none."""

from typing import Any

import pytest

from strongdm_auth import Request
from strongdm_auth.credentials import names_a_token, read_credentials
from strongdm_auth.errors import InvalidRequest, InvalidToken, MissingCredentials, Refused
from strongdm_auth.request import EnvironRequest, ScopeRequest, below
from tests.conftest import URL


def reading(*values: str, query: str = "", most: int = 16_384) -> tuple[Any, ...]:
    """Scheme and token; or what is refused, why, and under which scheme."""
    request = Request("GET", f"{URL}{query}", [("Authorization", value) for value in values])
    try:
        credentials = read_credentials(request, most)
    except Refused as refusal:
        return type(refusal), refusal.reason, refusal.scheme
    return credentials.scheme, credentials.token


MALFORMED = (InvalidRequest, "credentials.malformed", "Bearer")


@pytest.mark.parametrize("token", ["a", "a=", "a==", "a" + "=" * 20, "-._~+/", "A-Z.a_z~0+9/", "x.y.z"])
def test_a_token_is_b64token(token: str) -> None:
    """RFC 6750 2.1: `=` stands at the end alone, as often as one likes."""
    assert reading(f"Bearer {token}") == ("Bearer", token)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "=",
        "==",
        "=a",
        "a=b",
        "a=b=",
        "a b",
        "a!",
        "a,b",
        'a"',
        "a\\",
        "é",
        "aé",
        "\ud800",
        "ａ",
        "a\x00",
        "a\tb",
        "a=!",
        "!=",
    ],
    ids=ascii,
)
def test_anything_else_cannot_be_read(token: str) -> None:
    assert reading(f"Bearer {token}") == MALFORMED


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("Bearer a", ("Bearer", "a")),
        ("bearer a", ("Bearer", "a")),
        ("DPOP a", ("DPoP", "a")),
        ("Bearer   a", ("Bearer", "a")),
        (" \tBearer a\t ", ("Bearer", "a")),
        ("Bearer\ta", (MissingCredentials, "credentials.scheme", None)),
        ("Bearer", MALFORMED),
        ("Bearer ", MALFORMED),
        ("Basic YTpi", (MissingCredentials, "credentials.scheme", None)),
        ("a", (MissingCredentials, "credentials.scheme", None)),
        ("", (MissingCredentials, "credentials.missing", None)),
        (" \t ", (MissingCredentials, "credentials.missing", None)),
        ("Bearer a, DPoP b", (InvalidRequest, "credentials.repeated", "Bearer")),
        ("DPoP a,bearer b", (InvalidRequest, "credentials.repeated", "DPoP")),
        ("DPoP a,\tbearer", (InvalidRequest, "credentials.repeated", "DPoP")),
        ("Basic YTpi, Bearer b", (InvalidRequest, "credentials.repeated", None)),
        ("Bearer a,bearerb", MALFORMED),
        ("Bearer a,Basic b", MALFORMED),
    ],
)
def test_a_value_is_read_as_one_scheme_and_one_token(value: str, read: tuple[Any, ...]) -> None:
    assert reading(value) == read


def test_no_value_is_no_credentials() -> None:
    assert reading() == (MissingCredentials, "credentials.missing", None)


@pytest.mark.parametrize(
    ("first", "scheme"),
    [("Bearer a", "Bearer"), ("DPOP a b", "DPoP"), ("Basic a", None), ("", None), ("bearer", "Bearer")],
)
def test_two_values_are_one_too_many_and_the_first_names_the_scheme(first: str, scheme: str | None) -> None:
    assert reading(first, "Bearer b") == (InvalidRequest, "credentials.repeated", scheme)


@pytest.mark.parametrize("scheme", ["Bearer", "DPoP"])
def test_a_token_may_be_as_long_as_the_setting_says_and_no_longer(scheme: str) -> None:
    assert reading(f"{scheme} {'a' * 256}", most=256) == (scheme, "a" * 256)
    assert reading(f"{scheme} {'a' * 257}", most=256) == (InvalidToken, "token.too_long", scheme)


@pytest.mark.parametrize("scheme", ["Bearer", "DPoP"])
def test_a_token_in_two_places_cannot_be_read(scheme: str) -> None:
    assert reading(f"{scheme} a", query="?access_token=a") == (InvalidRequest, "credentials.repeated", scheme)
    assert reading(f"{scheme} a", query="?access=a") == (scheme, "a")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("access_token=x", True),
        ("access_token", True),
        ("access_token=", True),
        ("a=1&access_token=x", True),
        ("%61ccess_token=x", True),
        ("%61%63%63%65%73%73%5f%74%6f%6b%65%6e=x", True),
        ("&".join(f"a{number}=1" for number in range(2_000)) + "&access_token=x", True),
        ("", False),
        ("access=1&token=2", False),
        ("x=access_token", False),
        ("access_token_type=x", False),
        ("Access_Token=x", False),
        ("a%20b=c", False),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_query_names_a_token_however_it_is_spelt(query: str, names: bool) -> None:
    assert names_a_token(query) is names


@pytest.mark.parametrize(
    ("path", "mount", "rest"),
    [
        ("/app/x", "/app", "/x"),
        ("/app/", "/app", "/"),
        ("/app", "/app", "/"),
        ("/app/app", "/app", "/app"),
        ("/apple", "/app", "/apple"),
        ("/x/app", "/app", "/x/app"),
        ("/x", "", "/x"),
        ("", "", "/"),
        ("/", "/app", "/"),
    ],
)
def test_a_mount_is_cut_off_at_a_slash(path: str, mount: str, rest: str) -> None:
    assert below(path, mount) == rest


def environ(**changes: str | None) -> EnvironRequest:
    given = {
        "REQUEST_METHOD": "GET",
        "wsgi.url_scheme": "https",
        "HTTP_HOST": "api.example.com",
        "SERVER_NAME": "server",
        "SERVER_PORT": "8443",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/things",
        "QUERY_STRING": "",
    } | changes
    return EnvironRequest({name: value for name, value in given.items() if value is not None})


def scope(headers: list[tuple[bytes, bytes]] | None = None, **changes: Any) -> ScopeRequest:
    given = {"type": "http", "method": "GET", "scheme": "https", "path": "/things", "query_string": b""} | changes
    return ScopeRequest(given | {"headers": headers or []})


def test_a_server_s_headers_are_each_a_value_or_none() -> None:
    bare, full = environ(), environ(HTTP_AUTHORIZATION="Bearer a", HTTP_DPOP="p")
    assert (bare.authorization, bare.dpop) == ((), ())
    assert (full.authorization, full.dpop) == (("Bearer a",), ("p",))
    empty = environ(HTTP_AUTHORIZATION="", HTTP_DPOP="")
    assert (empty.authorization, empty.dpop) == (("",), ("",))


def test_every_field_that_was_sent_is_kept_in_its_order() -> None:
    """RFC 9449 4.3 (1), RFC 6750 3.1: the last one must not stand for all."""
    headers = [
        (b"authorization", b"Bearer a"),
        (b"dpop", b"p"),
        (b"x", b"y"),
        (b"authorization", b"Bearer b"),
        (b"dpop", b"q"),
    ]
    asked = scope(headers)
    assert (asked.authorization, asked.dpop) == (("Bearer a", "Bearer b"), ("p", "q"))
    assert scope([(b"dpop", b"\xe9")]).dpop == ("\xe9",)
    pairs = [(name.decode().title(), value.decode()) for name, value in headers]
    asked = Request("GET", URL, pairs)
    assert (asked.authorization, asked.dpop) == (("Bearer a", "Bearer b"), ("p", "q"))
    assert Request("GET", URL, {"AUTHORIZATION": "Bearer a", "dPoP": "p"}).dpop == ("p",)


@pytest.mark.parametrize(
    ("request_", "uri"),
    [
        (Request("GET", "https://api.example.com", {}), "https://api.example.com/"),
        (Request("GET", "https://api.example.com?a=/b", {}), "https://api.example.com/"),
        (Request("GET", "https://api.example.com#/b", {}), "https://api.example.com/"),
        (Request("GET", "https://api.example.com:8443/a/b?c#d", {}), "https://api.example.com:8443/a/b"),
        (Request("GET", "http://[::1]:80/a", {}), "http://[::1]:80/a"),
        (Request("GET", "ftp://api.example.com/a", {}), ""),
        (Request("GET", "/a", {}), ""),
        (Request("GET", "", {}), ""),
        (Request("GET", "https://user@api.example.com/a", {}), ""),
        (environ(), "https://api.example.com/things"),
        (environ(HTTP_HOST=None), "https://server:8443/things"),
        (environ(HTTP_HOST="", SERVER_NAME="::1"), "https://[::1]:8443/things"),
        (environ(HTTP_HOST="api.example.com:8443"), "https://api.example.com:8443/things"),
        (environ(PATH_INFO=""), "https://api.example.com/"),
        (environ(SCRIPT_NAME="/app"), "https://api.example.com/app/things"),
        (environ(SCRIPT_NAME="/app", PATH_INFO=""), "https://api.example.com/app"),
        (environ(SCRIPT_NAME=None, PATH_INFO=None), "https://api.example.com/"),
        (environ(PATH_INFO="/a b"), "https://api.example.com/a%20b"),
        (environ(PATH_INFO="/a/b", RAW_URI="/a%2Fb?x"), "https://api.example.com/a%2Fb"),
        (environ(PATH_INFO="/a/b", REQUEST_URI="/a%2Fb#x"), "https://api.example.com/a%2Fb"),
        (environ(PATH_INFO="/a/b", RAW_URI="https://elsewhere/a%2Fb?x"), "https://api.example.com/a%2Fb"),
        (environ(PATH_INFO="/a", RAW_URI="/b"), "https://api.example.com/a"),
        (environ(SCRIPT_NAME="/app", PATH_INFO="/a/b", RAW_URI="/a%2Fb"), "https://api.example.com/app/a%2Fb"),
        (environ(SCRIPT_NAME="/app", PATH_INFO="/a/b", RAW_URI="/app/a%2Fb"), "https://api.example.com/app/a%2Fb"),
        (scope([(b"host", b"api.example.com")]), "https://api.example.com/things"),
        (scope([(b"host", b"api.example.com")], scheme="wss"), "https://api.example.com/things"),
        (scope([(b"host", b"api.example.com")], scheme="ws"), "http://api.example.com/things"),
        (scope(server=("api.example.com", 8443)), "https://api.example.com:8443/things"),
        (scope(server=("api.example.com", None)), "https://api.example.com/things"),
        (scope(server=None), "https://localhost/things"),
        (scope([(b"host", b"a.test")], path="/a b"), "https://a.test/a%20b"),
        (scope([(b"host", b"a.test")], path=""), "https://a.test/"),
        (scope([(b"host", b"a.test")], path="/a/b", raw_path=b"/a%2Fb?x"), "https://a.test/a%2Fb"),
        (scope([(b"host", b"a.test")], path="/a", raw_path=b"/b"), "https://a.test/a"),
        (scope([(b"host", b"a.test")], path="/\xe9", raw_path=b"/%C3%A9"), "https://a.test/%C3%A9"),
        (scope([(b"host", b"a.test")], path="/\xe9", raw_path=None), "https://a.test/%C3%A9"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_uri_is_what_the_client_saw(request_: Request, uri: str) -> None:
    assert request_.uri() == uri


@pytest.mark.parametrize("public_url", ["https://public.example.com/base", "https://public.example.com/base/"])
def test_a_public_url_stands_before_the_path_whatever_the_origin(public_url: str) -> None:
    for asked in (
        Request("GET", "https://evil.test/things?x", {}),
        environ(HTTP_HOST="evil/"),
        scope([(b"host", b"?")]),
    ):
        assert asked.uri(public_url) == "https://public.example.com/base/things"
    assert Request("GET", "https://evil.test", {}).uri(public_url) == "https://public.example.com/base/"


def test_a_websocket_is_a_get() -> None:
    """RFC 6455 4.1."""
    handshake = ScopeRequest({"type": "websocket", "scheme": "ws", "path": "/x", "headers": [(b"host", b"a.test")]})
    assert (handshake.method, handshake.uri(), handshake.query) == ("GET", "http://a.test/x", "")


def test_queries_are_what_stands_between_question_mark_and_hash() -> None:
    assert Request("GET", "https://a.test/x?y?z#q?w", {}).query == "y?z"
    assert Request("GET", "https://a.test/x#q?w", {}).query == ""
    assert (environ(QUERY_STRING="a=b").query, environ(QUERY_STRING=None).query) == ("a=b", "")
    assert scope(query_string=b"a=%20\xe9").query == "a=%20\xe9"


@pytest.mark.parametrize("missing", [None, "method", "origin", "asks"])
def test_a_preflight_is_an_options_with_both_of_its_headers(missing: str | None) -> None:
    """Fetch standard: it carries no credentials, by design; whatever else has none is let in nowhere."""
    method = "GET" if missing == "method" else "OPTIONS"
    names = {"origin": "https://a.test", "access-control-request-method": "GET"}
    for name in {"origin": ["origin"], "asks": ["access-control-request-method"]}.get(missing or "", []):
        del names[name]
    wsgi = environ(
        REQUEST_METHOD=method, **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in names.items()}
    )
    asgi = scope([(name.encode(), value.encode()) for name, value in names.items()], method=method)
    assert wsgi.is_preflight is asgi.is_preflight is (missing is None)


def test_routes_go_by_the_decoded_path_below_the_mount() -> None:
    assert environ(SCRIPT_NAME="/app", PATH_INFO="/a b").route_path == "/a b"
    assert environ(PATH_INFO="/caf\xc3\xa9").route_path == "/café"
    assert environ(PATH_INFO="/\xff").route_path == "/\ufffd"
    assert environ(PATH_INFO="").route_path == environ(PATH_INFO=None).route_path == "/"
    mounted = scope(path="/app/a b", root_path="/app")
    assert (mounted.route_path, mounted.decoded_path) == ("/a b", "/app/a b")
    assert scope(path="/app/a").route_path == "/app/a"
