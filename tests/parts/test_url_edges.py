"""URLs to the letter: nothing but a slash is cut off at their ends, and no letter of theirs is taken for a bad one."""

import string
from typing import Any

import pytest

from strongdm_auth import Request, Settings
from strongdm_auth.metadata import Metadata, metadata_url
from strongdm_auth.request import EnvironRequest, ScopeRequest
from strongdm_auth.urls import fetch_problem, normalise
from tests.conftest import AUDIENCE

#: RFC 3986 2: all that may stand in a URL as it is, but for what begins a fragment or ends an authority.
LETTERS = string.ascii_letters + string.digits + "-._~:/?[]!$&'()*+,;=%"


@pytest.mark.parametrize("letter", LETTERS)
def test_every_character_that_a_url_may_have_is_fine(letter: str) -> None:
    assert fetch_problem(f"https://id.example.com/x{letter}y") is None


@pytest.mark.parametrize("letter", ' \t\n\r\0\x1f\x7f\\"<>^`{|}é\u2028')
def test_every_other_one_is_not(letter: str) -> None:
    assert fetch_problem(f"https://id.example.com/x{letter}y") == "is not a URL: it has characters that no URL has"


@pytest.mark.parametrize("url", ["https://", "https:///jwks", "https://:443/jwks", "https://?x"])
def test_a_url_without_a_host_is_not_fetched(url: str) -> None:
    assert fetch_problem(url) == "must be an absolute https:// URL"


@pytest.mark.parametrize("url", ["https://a@id.example.com/", "https://@id.example.com", "http://a:b@localhost/jwks"])
def test_a_url_with_user_information_is_not_fetched(url: str) -> None:
    """RFC 3986 7.6: it makes one host look like another."""
    assert fetch_problem(url) == "must not have user information before the host"


@pytest.mark.parametrize("url", ["https://id.example.com/#x", "https://id.example.com#", "https://id.example.com/?x#y"])
def test_a_url_with_a_fragment_is_not_fetched(url: str) -> None:
    assert fetch_problem(url) == "must not have a fragment"


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        *(("/a/b/..", "/a/"), ("/a/b/.", "/a/b/"), ("/a/b/../", "/a/"), ("/a/..b", "/a/..b"), ("/a/b..", "/a/b..")),
        *(("/a/b/%2e%2E", "/a/"), ("/a/.b/c", "/a/.b/c"), ("/a//..", "/a/"), ("/a/b/../..", "/")),
    ],
)
def test_dot_segments_at_the_end_leave_the_folder(path: str, canonical: str) -> None:
    """RFC 3986 5.2.4: `/a/b/..` is the folder `/a/`, and not the file `/a`."""
    assert normalise(f"https://h{path}") == f"https://h{canonical}"


@pytest.mark.parametrize(
    ("resource", "below"),
    [
        *(("", ""), ("/", ""), ("/X", "/X"), ("/X/", "/X"), ("/INDEX", "/INDEX"), ("/aXX//", "/aXX")),
        ("/x/y", "/x/y"),
    ],
)
def test_the_metadata_is_below_the_whole_path_of_the_resource(resource: str, below: str) -> None:
    """RFC 9728 3.1."""
    url = f"https://api.example.com{resource}"
    settings = Settings(issuer="https://id.example.com", realms="*", audience=AUDIENCE, resource=url)
    assert metadata_url(url) == f"https://api.example.com/.well-known/oauth-protected-resource{below}"
    metadata = Metadata.of(settings)
    assert metadata is not None
    assert metadata.path == f"/.well-known/oauth-protected-resource{below}"


def _environ(host: str, path: str = "/things") -> dict[str, Any]:
    return {"REQUEST_METHOD": "GET", "wsgi.url_scheme": "https", "HTTP_HOST": host, "PATH_INFO": path}


def _scope(host: str, path: str = "/things") -> dict[str, Any]:
    headers = [(b"host", host.encode("latin-1"))]
    return {"type": "http", "method": "GET", "scheme": "https", "path": path, "headers": headers}


def _requests(host: str) -> list[Request]:
    return [
        EnvironRequest(_environ(host)),
        ScopeRequest(_scope(host)),
        Request("GET", f"https://{host}/things", {}),
    ]


@pytest.mark.parametrize(
    ("public_url", "uri"),
    [
        ("https://api.example.com", "https://api.example.com/things"),
        ("https://api.example.com/", "https://api.example.com/things"),
        ("https://api.example.com/X", "https://api.example.com/X/things"),
        ("https://api.example.com/INDEX/", "https://api.example.com/INDEX/things"),
    ],
)
def test_a_public_url_is_what_stands_before_the_path(public_url: str, uri: str) -> None:
    assert {request.uri(public_url) for request in _requests("inside:8000")} == {uri}


@pytest.mark.parametrize("host", ["api.example.com", "api.example.com:8443", "[::1]:8000", "127.0.0.1"])
def test_a_host_is_part_of_the_uri(host: str) -> None:
    assert {request.uri() for request in _requests(host)} == {f"https://{host}/things"}


@pytest.mark.parametrize(
    "host", ["h/x?", "h?", "h#", "a@h", "a b", "h\\x", "h:80:90", "h:x", "[::1", "::1", "a,b", "h/", " ", "h\n"]
)
def test_a_host_that_is_none_makes_a_uri_that_nothing_equals(host: str) -> None:
    """RFC 9449 4.3 (9): with `Host: api.example.com/x?`, a proof for /x would be good for every path."""
    for request in _requests(host)[:2]:
        assert request.uri() == ""
        assert request.uri("https://api.example.com") == "https://api.example.com/things"


@pytest.mark.parametrize("url", ["/things", "", "api.example.com/things", "https:///things", "https://a@h/things"])
def test_a_url_that_is_none_makes_no_uri(url: str) -> None:
    assert Request("GET", url, {}).uri() == ""
