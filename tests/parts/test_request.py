"""A request as the verifier sees it: the URI that `htu` must equal, and the credentials in it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongdm_auth import InvalidRequest, InvalidToken, MissingCredentials, Refused, Request
from strongdm_auth.credentials import read_credentials
from strongdm_auth.request import EnvironRequest
from strongdm_auth.urls import normalise


def environ(path: str = "/things", **more: Any) -> dict[str, Any]:
    """What a WSGI server hands over for a GET of `path`, which is decoded already (PEP 3333)."""
    honest = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "server",
        "SERVER_PORT": "8000",
        "HTTP_HOST": "api.example.com",
        "wsgi.url_scheme": "https",
    }
    return {name: value for name, value in {**honest, **more}.items() if value is not None}


@pytest.mark.parametrize("record", ["RAW_URI", "REQUEST_URI"])
@pytest.mark.parametrize(
    ("sent", "decoded", "uri"),
    [
        ("/things", "/things", "/things"),
        ("/things?a=b", "/things", "/things"),
        ("/things?a=/x#y", "/things", "/things"),
        ("/a%2Fb", "/a/b", "/a%2Fb"),
        ("/a%2fb/%7Euser", "/a/b/~user", "/a%2fb/%7Euser"),
        ("/a/b", "/a/b", "/a/b"),
        ("/caf%C3%A9", "/caf\u00c3\u00a9", "/caf%C3%A9"),
        ("/%25", "/%", "/%25"),
        ("/a%3Fb", "/a?b", "/a%3Fb"),
        ("/", "/", "/"),
        ("//x", "//x", "//x"),
        ("https://api.example.com/things", "/things", "/things"),
        ("http://other.example/things?x", "/things", "/things"),
        ("https://api.example.com", "", "/"),
        ("HTTP://API.EXAMPLE.COM/a%2Fb", "/a/b", "/a%2Fb"),
    ],
)
def test_the_server_s_record_of_the_path_is_used_as_it_was_sent(record: str, sent: str, decoded: str, uri: str) -> None:
    assert EnvironRequest(environ(decoded, **{record: sent})).uri() == f"https://api.example.com{uri}"


@pytest.mark.parametrize(
    ("decoded", "uri"),
    [
        ("/things", "/things"),
        ("", "/"),
        ("/a b", "/a%20b"),
        ("/caf\u00c3\u00a9", "/caf%C3%A9"),
        ("/%", "/%25"),
        ("/a?b#c", "/a%3Fb%23c"),
        ("/a:b@c!$&'()*+,;=-._~", "/a:b@c!$&'()*+,;=-._~"),
        ('/"<>\\^`{|}', "/%22%3C%3E%5C%5E%60%7B%7C%7D"),
        ("/a/b", "/a/b"),
    ],
)
def test_without_a_record_the_decoded_path_is_escaped_again(decoded: str, uri: str) -> None:
    assert EnvironRequest(environ(decoded)).uri() == f"https://api.example.com{uri}"


def test_a_record_that_speaks_of_another_path_is_not_believed() -> None:
    """Middleware rewrote PATH_INFO, or a front end sent a header that a server took for its own."""
    assert EnvironRequest(environ("/things", RAW_URI="/admin")).path == "/things"
    assert EnvironRequest(environ("/things", REQUEST_URI="/things/../admin")).path == "/things"


def test_the_mount_is_part_of_the_path() -> None:
    assert EnvironRequest(environ("/things", SCRIPT_NAME="/app")).path == "/app/things"
    assert EnvironRequest(environ("/a/b", SCRIPT_NAME="/app", RAW_URI="/app/a%2Fb")).path == "/app/a%2Fb"


def test_a_prefix_that_a_proxy_cut_off_is_put_back() -> None:
    """ProxyFix sets SCRIPT_NAME from X-Forwarded-Prefix; the server saw the path without it."""
    assert EnvironRequest(environ("/a/b", SCRIPT_NAME="/pre fix", RAW_URI="/a%2Fb?x")).path == "/pre%20fix/a%2Fb"


def test_a_missing_host_is_the_server_s_own_name() -> None:
    assert EnvironRequest(environ(HTTP_HOST=None)).uri() == "https://server:8000/things"
    assert EnvironRequest(environ(HTTP_HOST="")).uri() == "https://server:8000/things"


def test_forwarded_headers_are_never_read() -> None:
    forged = {
        "HTTP_X_FORWARDED_HOST": "evil.example",
        "HTTP_X_FORWARDED_PROTO": "http",
        "HTTP_X_FORWARDED_PREFIX": "/evil",
        "HTTP_X_FORWARDED_PORT": "1",
        "HTTP_FORWARDED": "host=evil.example;proto=http",
        "HTTP_X_ORIGINAL_URL": "/evil",
    }
    assert EnvironRequest(environ(**forged)).uri() == "https://api.example.com/things"


@pytest.mark.parametrize("record", [{}, {"RAW_URI": "/a%2Fb?q"}])
@pytest.mark.parametrize("public_url", ["https://public.example/v1", "https://public.example/v1/"])
def test_a_public_url_takes_the_place_of_host_and_prefix(record: dict[str, str], public_url: str) -> None:
    path = "/a%2Fb" if record else "/a/b"
    assert EnvironRequest(environ("/a/b", **record)).uri(public_url) == f"https://public.example/v1{path}"
    assert Request("GET", f"http://10.0.0.1:8000{path}?q#f", {}).uri(public_url) == f"https://public.example/v1{path}"


@pytest.mark.parametrize(
    ("url", "uri", "query"),
    [
        ("https://h/a?b=c#d", "https://h/a", "b=c"),
        ("https://h", "https://h/", ""),
        ("https://h?b", "https://h/", "b"),
        ("https://h#?b", "https://h/", ""),
        ("https://h/a?b?c", "https://h/a", "b?c"),
        ("https://h/a%2Fb", "https://h/a%2Fb", ""),
        ("https://[::1]:8443/a", "https://[::1]:8443/a", ""),
    ],
)
def test_the_uri_is_the_url_without_query_and_fragment(url: str, uri: str, query: str) -> None:
    request = Request("GET", url, {})
    assert request.uri() == uri
    assert request.query == query


@given(url=st.text(), public_url=st.none() | st.just("https://public.example/v1"))
def test_any_url_can_be_asked_for_its_parts(url: str, public_url: str | None) -> None:
    request = Request("GET", url, {})
    assert isinstance(request.query, str)
    normalise(request.uri(public_url))


_PATHS = st.text(alphabet=st.characters(max_codepoint=255), max_size=30)


@given(path=_PATHS, mount=_PATHS, sent=st.none() | st.text(max_size=30), host=st.none() | st.text(max_size=10))
def test_any_environ_can_be_asked_for_its_uri(path: str, mount: str, sent: str | None, host: str | None) -> None:
    request = EnvironRequest(environ(path, SCRIPT_NAME=mount, RAW_URI=sent, HTTP_HOST=host))
    normalise(request.uri())
    assert isinstance(request.query, str)


@given(path=st.lists(st.sampled_from(["a", "%2F", "%25", "~", "%20", "\u00e9".encode().hex("%")])).map("/".join))
def test_the_path_survives_the_server(path: str) -> None:
    """What a client signs over is what the verifier compares with, whatever the server decoded in between."""
    from urllib.parse import unquote_to_bytes

    sent = "/" + path
    decoded = unquote_to_bytes(sent).decode("latin-1")
    assert EnvironRequest(environ(decoded, RAW_URI=sent + "?q")).path == sent


# Credentials


def credentials(*values: str, url: str = "https://h/", dpop: tuple[str, ...] = ()) -> tuple[str, str, tuple[str, ...]]:
    pairs = [("authorization", value) for value in values] + [("dpop", value) for value in dpop]
    return tuple(read_credentials(Request("GET", url, pairs), 1_000))  # type: ignore[return-value]


@pytest.mark.parametrize(
    "value", ["Bearer abc", "bearer abc", "BEARER abc", "Bearer   abc", " Bearer abc ", "\tBearer abc\t"]
)
def test_the_scheme_is_read_without_regard_to_case_and_space(value: str) -> None:
    assert credentials(value) == ("Bearer", "abc", ())


def test_a_proof_comes_along_and_its_absence_is_no_matter_here() -> None:
    assert credentials("dpop abc", dpop=("p",)) == ("DPoP", "abc", ("p",))
    assert credentials("DPoP abc", dpop=("p", "q")) == ("DPoP", "abc", ("p", "q"))


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": "Bearer abc"}, {"AUTHORIZATION": "Bearer abc"}, [("x", "y"), ("aUTHORIZATION", "Bearer abc")]],
)
def test_header_names_are_read_without_regard_to_case(headers: Any) -> None:
    assert read_credentials(Request("GET", "https://h/", headers), 100).token == "abc"


def _refusal(*values: str, url: str = "https://h/") -> type[Refused]:
    with pytest.raises(Refused) as caught:
        credentials(*values, url=url)
    return caught.type


@pytest.mark.parametrize(
    "value", ["", " ", "Basic dXNlcjpwYXNz", "Digest x", "Token abc", "abc", "MAC id=1", "Negotiate"]
)
def test_no_credentials_of_ours_are_missing_ones(value: str) -> None:
    assert _refusal(value) is MissingCredentials


def test_no_header_is_missing_credentials() -> None:
    assert _refusal() is MissingCredentials


@pytest.mark.parametrize(
    "value",
    [
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer a,b",
        "Bearer \u00e4",
        "Bearer a\x00",
        "Bearer =a",
        "Bearer a\tb",
        "DPoP",
        "DPoP a b",
        "Bearer abc, Bearer def",
        "Bearer abc,DPoP def",
        "Basic x, Bearer abc",
        'Bearer token="abc"',
        "Bearer\u00a0abc",
    ],
)
def test_unreadable_credentials_are_an_invalid_request(value: str) -> None:
    expected = MissingCredentials if value == "Bearer\u00a0abc" else InvalidRequest  # that is one word, and no scheme
    assert _refusal(value) is expected


def test_two_authorization_headers_are_an_invalid_request() -> None:
    assert _refusal("Bearer abc", "Bearer abc") is InvalidRequest
    assert _refusal("Basic x", "Bearer abc") is InvalidRequest


@pytest.mark.parametrize(
    "query", ["access_token=abc", "a=b&access_token=", "%61ccess_token=abc", "access%5Ftoken=x", "access_token"]
)
def test_a_token_in_the_query_as_well_is_an_invalid_request(query: str) -> None:
    assert _refusal("Bearer abc", url=f"https://h/?{query}") is InvalidRequest


@pytest.mark.parametrize("query", ["", "a=b", "my_access_token=abc", "accessToken=x", "q=access_token", "%"])
def test_other_queries_are_none_of_our_business(query: str) -> None:
    assert credentials("Bearer abc", url=f"https://h/?{query}")[1] == "abc"


def test_a_token_in_the_query_alone_is_not_read() -> None:
    assert _refusal(url="https://h/?access_token=abc") is MissingCredentials


def test_a_token_that_is_too_long_is_refused_unread() -> None:
    assert credentials("Bearer " + "a" * 1_000)[1] == "a" * 1_000
    assert _refusal("Bearer " + "a" * 1_001) is InvalidToken
    assert _refusal("Bearer " + "\u00e4" * 1_001) is InvalidToken


def test_repr_shows_neither_token_nor_query() -> None:
    request = Request("GET", "https://h/?access_token=t0ken", {"Authorization": "Bearer t0ken", "DPoP": "t0ken"})
    assert "t0ken" not in repr(request)
    assert "t0ken" not in repr(EnvironRequest(environ(HTTP_AUTHORIZATION="Bearer t0ken", QUERY_STRING="x=t0ken")))
    assert "t0ken" not in repr(read_credentials(Request("GET", "https://h/", {"Authorization": "Bearer t0ken"}), 100))
