"""Which URLs may be fetched, and when two are the same one (RFC 3986 6.2.2, 6.2.3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongdm_auth.urls import fetch_problem, is_loopback, normalise

CANONICAL = "https://api.example.com/a/b"
#: Written differently, and the same.
SAME = [
    "https://api.example.com/a/b",
    "HTTPS://API.Example.COM/a/b",
    "https://api.example.com:443/a/b",
    "https://api.example.com:/a/b",
    "https://api.example.com/a/b?query=1",
    "https://api.example.com/a/b#fragment",
    "https://api.example.com/a/b?x#y?z",
    "https://api.example.com/a/./b",
    "https://api.example.com/a/c/../b",
    "https://api.example.com/../a/b",
    "https://api.example.com/%61/b",
    "https://api.example.com/%61/%62",
    "https://api.example.com/x/%2e%2e/a/b",
    "https://api.example.com/a/%2E/b",
]
#: Different, however alike they look.
OTHERS = [
    "http://api.example.com/a/b",
    "https://api.example.com:444/a/b",
    "https://api.example.com:80/a/b",
    "https://api.example.com/a/b/",
    "https://api.example.com/A/b",
    "https://api.example.com/a%2Fb",
    "https://api.example.com/a//b",
    "https://api.example.com//a/b",
    "https://api.example.com/a/b%20",
    "https://api.example.com/a/b;v=1",
    "https://api.example.com./a/b",
    "https://example.com/a/b",
    "https://api.example.com.evil.com/a/b",
]
#: Not URLs of a request at all.
NONE_AT_ALL = [
    "",
    "/a/b",
    "api.example.com/a/b",
    "//api.example.com/a/b",
    "ftp://api.example.com/a/b",
    "https:/api.example.com/a/b",
    "https:api.example.com",
    "https://",
    "https:///a/b",
    "https://:443/a/b",
    "https://user@api.example.com/a/b",
    "https://user:pass@api.example.com/a/b",
    "https://api.example.com:port/a/b",
    "https://api.example.com:4 43/a/b",
    "https://api.example.com\\a\\b",
    "https://api.example.com/a/%",
    "https://api.example.com/a/%4",
    "https://api.example.com/a/%zz",
    "https://[::1/a",
    "https://::1/a",
    " https://api.example.com/a/b",
    "https://api .example.com/",
    "javascript://api.example.com/%0aalert(1)",
]


@pytest.mark.parametrize("url", SAME)
def test_spellings_of_one_url_are_the_same(url: str) -> None:
    assert normalise(url) == CANONICAL


@pytest.mark.parametrize("url", OTHERS)
def test_other_urls_are_not(url: str) -> None:
    assert normalise(url) not in (CANONICAL, None)


@pytest.mark.parametrize("url", NONE_AT_ALL)
def test_what_is_no_http_url_has_no_canonical_form(url: str) -> None:
    assert normalise(url) is None


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("http://h", "http://h/"),
        ("http://h?q", "http://h/"),
        ("http://h:80", "http://h/"),
        ("http://h:8080", "http://h:8080/"),
        ("https://h/..", "https://h/"),
        ("https://h/a/..", "https://h/"),
        ("https://h/a/.", "https://h/a/"),
        ("https://h/a/b/../../../c", "https://h/c"),
        ("https://h/a/...", "https://h/a/..."),
        ("https://h/.well-known/x", "https://h/.well-known/x"),
        ("https://h/%2f", "https://h/%2F"),
        ("https://h/%7euser", "https://h/~user"),
        ("https://h/%252F", "https://h/%252F"),
        ("https://h/%e4%b8%ad", "https://h/%E4%B8%AD"),
        ("https://[::1]:8443/a", "https://[::1]:8443/a"),
        ("https://[2001:DB8::1]/", "https://[2001:db8::1]/"),
    ],
)
def test_the_canonical_form(url: str, canonical: str) -> None:
    assert normalise(url) == canonical


_PIECES = st.sampled_from(
    [
        "a",
        "/",
        "//",
        ".",
        "..",
        "/..",
        "%2e",
        "%2F",
        "%41",
        "%",
        "?",
        "#",
        ":",
        "@",
        "[",
        "]",
        "\\",
        " ",
        "\n",
        "\u00e4",
    ]
)
_ALMOST_URLS = st.builds(
    lambda scheme, host, rest: f"{scheme}://{host}{''.join(rest)}",
    st.sampled_from(["http", "https", "HTTPS", "ftp"]),
    st.sampled_from(["h", "H:80", "h:443", "h:", "[::1]", "[::1]:8443", "u@h", "", "\u212a"]),
    st.lists(_PIECES, max_size=12),
)


@given(st.one_of(st.text(), _ALMOST_URLS))
def test_normalising_never_raises_and_is_idempotent(url: str) -> None:
    canonical = normalise(url)
    if canonical is not None:
        assert normalise(canonical) == canonical
        assert "?" not in canonical
        assert "#" not in canonical
        assert not any(segment in (".", "..") for segment in canonical.split("/")[3:])


@given(_ALMOST_URLS, st.text(alphabet="abc/?=&.", max_size=10))
def test_query_and_fragment_make_no_difference(url: str, rest: str) -> None:
    if "?" not in url and "#" not in url:
        assert normalise(url) == normalise(f"{url}?{rest}") == normalise(f"{url}#{rest}")


@given(st.one_of(st.text(), _ALMOST_URLS), st.booleans())
def test_asking_whether_a_url_may_be_fetched_never_raises(url: str, allow_http: bool) -> None:
    problem = fetch_problem(url, allow_http=allow_http)
    if problem is None:
        assert url.isascii()
        assert url.lower().startswith(("http://", "https://"))
        assert fetch_problem(url, allow_http=True) is None


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "127.0.0.1", "127.255.255.254", "::1"])
def test_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "localhost.",
        "localhost.evil.com",
        "127.0.0.1.evil.com",
        "127.1",
        "128.0.0.1",
        "0.0.0.0",
        "::",
        "::2",
        "::ffff:127.0.0.1",
        "10.0.0.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.1 ",
        "\uff11\uff12\uff17.0.0.1",
    ],
)
def test_nothing_else_is_loopback(host: str | None) -> None:
    assert not is_loopback(host)
