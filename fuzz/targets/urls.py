"""When two URLs are one, and which may be fetched.

`normalise` is held against RFC 3986's own steps, and against itself; what `fetch_problem` lets through must go to the host
that was judged, in the eyes of the client that will fetch it, too.
"""

from ipaddress import ip_address, ip_network

import httpx

from fuzz.edits import edits, words
from fuzz.oracle import normal_form
from strongdm_auth.issuers import WrongDiscovery, read_discovery
from strongdm_auth.urls import fetch_problem, normalise

HEADS = words(r"""
    url | other
""")
VALUES = (
    *words(r"""
    https://api.example.com/a/b | HTTPS://API.Example.COM:443/a/./b | https://api.example.com | http://a:80
    http://a: | https://a/%61 | https://a/%2e%2e/b | https://a/b/../../c | https://a//b/.. | https://a/%2F
    https://a/% | https://a?b | https://a#b | https://[::1]:443/ | http://[::1] | http://127.0.0.1:8000
    http://localhost | http://localhost.evil | https://user@a/ | https://a:b@c/ | https://a\@b | "https://a/\u212a"
    "https://\u212a/" | https://a:443:443 | ftp://a | :// | // | /.. | /. | %2E | % | @ | : | # | ? | \ | [ | ] | ;
    "\n" | "\u00e9" | "\u0131" | 127.1 | http://0x7f.1/ | http://[::ffff:127.0.0.1]/ | http://127.0.0.1.
    http://2130706433/ | http://127.000.000.001
"""),
    " ",
)


def check(data: bytes) -> None:
    """See the module's text."""
    urls = [edit.text for edit in edits(data) if edit.head in ("url", "other")][:3]
    for url in urls:
        check_normal_form(url)
        for allow_http in (False, True):
            check_fetch(url, allow_http)
    for first in urls:
        for second in urls:
            ours, theirs = normalise(first), normalise(second)
            if ours is not None and theirs is not None:
                assert (ours == theirs) == (normal_form(first) == normal_form(second)), (first, second)


def check_normal_form(url: str) -> None:
    """What is normal stays so, and says the same as the RFC's own steps."""
    normal = normalise(url)
    if normal is None:
        return
    assert normalise(normal) == normal
    assert not set("?#").intersection(normal)
    expected = normal_form(url)
    assert expected is not None, url
    scheme, host, port, path = expected
    port = "" if (scheme, port) in (("http", "80"), ("https", "443")) else f":{port}"
    assert normal == f"{scheme}://{host}{port}{path}", (url, normal)


def check_fetch(url: str, allow_http: bool) -> None:
    """A URL that may be fetched is one for the client too, and leads where it was judged to lead."""
    problem = fetch_problem(url, allow_http=allow_http)
    document = {"issuer": "https://id.example.com", "jwks_uri": url}
    try:
        found = read_discovery(document, "https://id.example.com", "jwks_uri", allow_http=allow_http)
    except WrongDiscovery:
        found = None
    if problem is not None:
        assert found is None
        assert url not in problem or len(url) < 12
        return
    # Open finding: `HTTP://` in capitals passes. Then: url.lower().startswith("https://").
    assert found is None or not url.startswith("http://"), "plain http for keys of an https issuer"
    try:
        client = httpx.URL(url)
    except httpx.InvalidURL:
        return  # then nothing is fetched
    assert client.scheme in ("http", "https")
    assert client.scheme == "https" or allow_http or _is_this_machine(client.host), (url, client.host)
    assert not client.userinfo
    assert not client.fragment
    assert client.host.lower() == httpx.URL(f"https://{_host(url)}/").host.lower(), (url, client.host)


def _is_this_machine(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    return address == ip_address("::1") or address in ip_network("127.0.0.0/8")


def _host(url: str) -> str:
    """What stands between `//` and the next `/`, `?` or the end, less the port."""
    authority = url.partition("://")[2].partition("/")[0].partition("?")[0]
    end = authority.find("]") + 1 if authority.startswith("[") else authority.find(":")
    return authority if end < 0 else authority[:end]
