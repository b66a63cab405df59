"""htu against the request's URI (RFC 9449 4.3 (9), RFC 3986 6.2.2, 6.2.3); checklist 17, 18."""

import pytest

from strongdm_auth import Request, Verifier
from strongdm_auth.errors import InvalidDPoPProof
from tests.conftest import URL

from .support import Caller, MakeVerifier, refused

HOST = "https://api.example.com"
# htu, URI of the request
SAME = [
    (URL, URL),
    ("HTTPS://api.example.com/things", URL),
    ("https://API.Example.COM/things", URL),
    ("https://api.example.com:443/things", URL),
    ("https://api.example.com:/things", URL),
    (URL, "https://API.EXAMPLE.COM:443/things"),
    ("http://api.example.com:80/things", "http://api.example.com/things"),
    ("http://API.example.com/things", "http://api.example.com:80/things"),
    ("https://api.example.com:8443/things", "https://API.example.com:8443/things"),
    ("https://[::1]/things", "https://[::1]:443/things"),
    ("https://[FE80::1]/things", "https://[fe80::1]/things"),
    (HOST, f"{HOST}/"),
    (f"{HOST}/", HOST),
    (f"{HOST}?q", f"{HOST}/"),
    (f"{HOST}/%7Euser", f"{HOST}/~user"),
    (f"{HOST}/~user", f"{HOST}/%7euser"),
    (f"{HOST}/%41%2d%5F%2E", f"{HOST}/A-_."),
    (f"{HOST}/a%2fb", f"{HOST}/a%2Fb"),
    (f"{HOST}/%c3%a9", f"{HOST}/%C3%A9"),
    (f"{HOST}/a/../things", URL),
    (f"{HOST}/./things", URL),
    (f"{HOST}/../../things", URL),
    (f"{HOST}/a/%2e%2E/things", URL),
    (f"{HOST}/a/b/../..", f"{HOST}/"),
    (f"{HOST}/a/.", f"{HOST}/a/"),
    (f"{URL}?page=2", URL),
    (URL, f"{URL}?page=2"),
    (f"{URL}?a=1", f"{URL}?b=2"),
    (f"{URL}#part", URL),
    (f"{URL}?q#part", f"{URL}#other"),
    (f"{URL}#a/../../b", URL),
    (f"{URL}?u=https://evil.test/", URL),
    (f"{HOST}/a:b@c;d=e,f'g(h)*", f"{HOST}/a:b@c;d=e,f'g(h)*"),
    (f"{HOST}//things", f"{HOST}//things"),
]
DIFFERENT = [
    ("http://api.example.com/things", URL),
    (URL, "http://api.example.com/things"),
    ("https://api.example.com:8443/things", URL),
    ("https://api.example.com:80/things", URL),
    ("http://api.example.com:443/things", "http://api.example.com/things"),
    ("https://api.example.com:0443/things", URL),
    ("https://api.example.org/things", URL),
    ("https://example.com/things", URL),
    ("https://sub.api.example.com/things", URL),
    ("https://api.example.com.evil.test/things", URL),
    ("https://api.example.com./things", URL),
    ("https://evil.test/https://api.example.com/things", URL),
    ("https://evil.test#@api.example.com/things", URL),
    ("https://evil.test\\@api.example.com/things", URL),
    ("https://api.example.com@evil.test/things", URL),
    ("https://user@api.example.com/things", URL),
    ("https://user:pw@api.example.com/things", URL),
    (f"{URL}/", URL),
    (URL, f"{URL}/"),
    (f"{HOST}/Things", URL),
    (f"{HOST}/thing", URL),
    (f"{HOST}/thingss", URL),
    (f"{HOST}/things/1", URL),
    (f"{HOST}//things", URL),
    (f"{HOST}/things;v=1", URL),
    (f"{HOST}/a/b", f"{HOST}/a%2Fb"),
    (f"{HOST}/a%2Fb", f"{HOST}/a/b"),
    (f"{HOST}/a%252Fb", f"{HOST}/a%2Fb"),
    (f"{HOST}/a%2f..%2fthings", URL),
    (f"{HOST}/a/..%2fthings", URL),
    (f"{HOST}/things%3Fpage", URL),
    (f"{HOST}/things%00", URL),
    (f"{HOST}/things%20", URL),
    (f"{HOST}/things ", URL),
    (f"{HOST}/things%", URL),
    (f"{HOST}/things%zz", f"{HOST}/things%ZZ"),
    (f"{HOST}/a+b", f"{HOST}/a%20b"),
    (f"{HOST}/a%2Bb", f"{HOST}/a+b"),
    (f"{HOST}/é", f"{HOST}/%C3%A9"),
    (f"{HOST}/e\u0301", f"{HOST}/\u00e9"),
    ("https://ａpi.example.com/things", URL),
    (f" {URL}", URL),
    (f"{URL}\n", URL),
    (f"\ufeff{URL}", URL),
    ("/things", URL),
    ("things", URL),
    ("//api.example.com/things", URL),
    ("api.example.com/things", URL),
    ("https:/api.example.com/things", URL),
    ("https:///things", URL),
    ("ftp://api.example.com/things", URL),
    ("javascript:alert(1)", URL),
    ("", URL),
    ("*", URL),
    ("https://", URL),
    ("https://[::1/things", URL),
    ("https://api.example.com:x/things", URL),
    ("https://api.example.com:443:443/things", URL),
]


@pytest.mark.parametrize(("htu", "uri"), SAME)
def test_uris_that_rfc_3986_calls_the_same_match(caller: Caller, verifier: Verifier, htu: str, uri: str) -> None:
    """RFC 9449 4.3 (9), RFC 3986 6.2.2, 6.2.3; checklist 17, 18."""
    assert verifier.authenticate(caller.request(caller.proof("GET", htu), url=uri))


@pytest.mark.parametrize(("htu", "uri"), DIFFERENT)
def test_any_other_difference_refuses_the_proof(caller: Caller, verifier: Verifier, htu: str, uri: str) -> None:
    """RFC 9449 4.3 (9); checklist 17, 18."""
    error = refused(verifier, caller.request(caller.proof("GET", htu), url=uri))
    assert (type(error), error.status_code, error.reason) == (InvalidDPoPProof, 401, "dpop.htu_mismatch")


@pytest.mark.parametrize("public_url", ["https://public.example.com/base", "https://public.example.com/base/"])
def test_a_public_url_stands_for_scheme_host_and_prefix(
    caller: Caller, make_verifier: MakeVerifier, public_url: str
) -> None:
    """RFC 9449 4.3 (9) and the contract's public_url; checklist 17."""
    verifier, inner = make_verifier(public_url=public_url), "http://10.0.0.7:8000/things"
    assert verifier.authenticate(
        caller.request(caller.proof("GET", "https://public.example.com/base/things"), url=inner)
    )
    for htu in (inner, "https://public.example.com/things", "https://public.example.com/base"):
        assert refused(verifier, caller.request(caller.proof("GET", htu), url=inner)).reason == "dpop.htu_mismatch"


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Original-URL", "Host"])
def test_no_header_moves_the_uri(caller: Caller, verifier: Verifier, name: str) -> None:
    """RFC 9449 4.3 (9) and the contract's public_url; checklist 17: a thief may send any header."""
    values = {"X-Forwarded-Proto": "http", "Forwarded": "host=evil.test;proto=https", "X-Original-URL": "/evil"}
    htu = {"X-Forwarded-Proto": "http://api.example.com/things", "X-Original-URL": f"{HOST}/evil"}
    headers = {
        "Authorization": f"DPoP {caller.token}",
        "DPoP": caller.proof("GET", htu.get(name, "https://evil.test/things")),
        name: values.get(name, "evil.test"),
    }
    assert refused(verifier, Request("GET", URL, headers)).reason == "dpop.htu_mismatch"
    assert verifier.authenticate(Request("GET", URL, headers | {"DPoP": caller.proof()}))
