"""Who is connected: a header with a certificate counts from a proxy that the deployment names, and from nobody else."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from strongdm_auth import Refused, Request, Settings, Verifier
from strongdm_auth.certificates import Certificates
from strongdm_auth.flask import StrongDMAuth, current_token
from strongdm_auth.request import EnvironRequest, ScopeRequest
from strongdm_auth.testing import Issuer
from tests.certificates.authority import Agent
from tests.conftest import AUDIENCE, URL
from tests.doors.asgi_calls import scope_of
from tests.rfc.support import mint

HEADER = "X-Client-Cert"
Pairs = Iterable[tuple[str, str]]


def certificates(*proxies: str) -> Certificates:
    return Certificates(
        Settings(
            issuer="https://id.example.com",
            realms="*",
            audience="a",
            client_certificate=f"header:{HEADER}",
            trusted_proxies=proxies,
        )
    )


def told(rules: Certificates, agent: Agent, peer: str | None, more: Pairs = ()) -> bool:
    """Whether the header's word is taken from this peer."""
    request = Request("GET", URL, [(HEADER, agent.base64), *more], peer=peer)
    found = rules.thumbprint(request)
    assert found in (None, agent.thumbprint)
    assert rules.is_strangers(request) is (found is None)
    return found is not None


@pytest.mark.parametrize(
    ("proxies", "peers"),
    [
        ("10.0.0.0/8", ["10.0.0.0", "10.1.2.3", "10.255.255.255", "::ffff:10.1.2.3", "::FFFF:0a01:0203"]),
        ("192.0.2.7", ["192.0.2.7", "::ffff:192.0.2.7"]),
        ("fd00::/8", ["fd00::1", "FD00:0:0:0:0:0:0:1", "fdff::"]),
        ("::1", ["::1", "0:0:0:0:0:0:0:1"]),
        ("fe80::/10", ["fe80::1", "fe80::1%eth0"]),
        ("unix", [""]),
        ("10.0.0.0/8,unix,fd00::/8", ["10.0.0.1", "", "fd00::1"]),
    ],
)
def test_a_proxy_that_is_named_is_trusted(agent: Agent, proxies: str, peers: list[str]) -> None:
    rules = certificates(*proxies.split(","))
    assert [told(rules, agent, peer) for peer in peers] == [True] * len(peers)


@pytest.mark.parametrize(
    ("proxies", "peers"),
    [
        (
            "10.0.0.0/8",
            ["11.0.0.0", "9.255.255.255", "192.0.2.1", "127.0.0.1", "::ffff:11.0.0.0", "::10.0.0.1", "::1", ""],
        ),
        ("192.0.2.7", ["192.0.2.8", "192.0.2.70", "::ffff:192.0.2.8", "2002:c000:207::"]),
        ("fd00::/8", ["fe00::1", "fc00::1", "::1", "10.0.0.1"]),
        (
            "10.0.0.0/8,fd00::/8",
            [None, "", " ", "testclient", "unix", "10.0.0.1:80", "10.0.0.1 ", "10.0.0", "010.0.0.1"],
        ),
        (
            "10.0.0.0/8,fd00::/8",
            ["[fd00::1]", "[fd00::1]:80", "167772161", "0xa000001", "10.0.0.1,10.0.0.2", "10.0.0.1\n"],
        ),
        ("unix", [None, "127.0.0.1", "::1", "unix", "localhost"]),
    ],
)
def test_nobody_else_is(agent: Agent, proxies: str, peers: list[str | None]) -> None:
    rules = certificates(*proxies.split(","))
    assert [told(rules, agent, peer) for peer in peers] == [False] * len(peers)


@pytest.mark.parametrize(
    ("peer", "more"),
    [
        ("10.0.0.5", [("X-Forwarded-For", "10.0.0.5")]),
        ("10.0.0.5", [("X-Forwarded-For", "10.0.0.5:1234")]),
        ("10.0.0.5", [("X-Forwarded-For", "203.0.113.9, 10.0.0.5")]),
        ("10.0.0.5", [("X-Forwarded-For", "203.0.113.9,10.0.0.5:80,192.0.2.1")]),
        ("10.0.0.5", [("X-Forwarded-For", "\t 10.0.0.5\u00a0")]),
        ("10.0.0.5", [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-For", "10.0.0.5")]),
        ("10.0.0.5", [("x-FORWARDED-for", "[10.0.0.5]:80")]),
        ("10.0.0.5", [("Forwarded", "for=10.0.0.5")]),
        ("10.0.0.5", [("Forwarded", 'for=203.0.113.9;proto=https, for="10.0.0.5:80";by=x')]),
        ("10.0.0.5", [("X-Real-IP", "10.0.0.5")]),
        ("fd00::5", [("X-Forwarded-For", "fd00::5")]),
        ("fd00::5", [("X-Forwarded-For", "[fd00::5]:1234")]),
        ("fd00::5", [("Forwarded", 'For="[fd00::5]:1234"')]),
        ("::ffff:10.0.0.5", [("X-Forwarded-For", "[::ffff:10.0.0.5]:1234")]),
    ],
)
def test_an_address_that_a_header_names_proves_nothing(agent: Agent, peer: str, more: list[tuple[str, str]]) -> None:
    rules = certificates("10.0.0.0/8", "fd00::/8")
    assert told(rules, agent, peer)
    assert not told(rules, agent, peer, more)


def test_what_an_honest_proxy_says_of_its_client_does_no_harm(agent: Agent) -> None:
    rules = certificates("10.0.0.0/8", "fd00::/8")
    for more in (
        [("X-Forwarded-For", "203.0.113.9")],
        [("X-Forwarded-For", "203.0.113.9, 10.0.0.50"), ("X-Real-IP", "203.0.113.9")],
        [("X-Forwarded-For", "110.0.0.5")],
        [("Forwarded", 'for="[2001:db8::1]:80";by=203.0.113.43')],
    ):
        assert told(rules, agent, "10.0.0.5", more), more


def test_two_headers_are_one_too_many(agent: Agent, other: Agent) -> None:
    rules = certificates("10.0.0.0/8")
    for first, second in ((other, agent), (agent, other), (agent, agent)):
        pairs = [(HEADER, first.base64), (HEADER.lower(), second.base64)]
        assert rules.thumbprint(Request("GET", URL, pairs, peer="10.0.0.5")) is None
    assert rules.thumbprint(Request("GET", URL, [(HEADER, ""), (HEADER, agent.base64)], peer="10.0.0.5")) is None
    assert rules.thumbprint(Request("GET", URL, [(HEADER, "")], peer="10.0.0.5")) is None


def test_what_cannot_be_read_is_no_certificate(
    agent: Agent, make_verifier: Callable[..., Verifier], issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    verifier = make_verifier(client_certificate=f"header:{HEADER}", trusted_proxies="10.0.0.0/8")
    token = mint(issuer, certificate=agent.certificate)
    for value in (
        "(null)",
        agent.pem * 2,
        f"Hash={agent.fingerprint.hex()},Hash={agent.fingerprint.hex()}",
        "x" * 20_000,
    ):
        headers = [("Authorization", f"Bearer {token}"), (HEADER, value)]
        with pytest.raises(Refused) as caught, caplog.at_level(logging.WARNING, "strongdm_auth"):
            verifier.authenticate(Request("GET", URL, headers, peer="10.0.0.5"))
        assert caught.value.reason == "token.certificate_missing"
    assert len(caplog.records) == 4
    assert "no client certificate can be read from the header x-client-cert" in caplog.text
    assert agent.base64[:40] not in caplog.text


def test_whoever_is_ignored_is_told_of_in_the_log(agent: Agent, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "strongdm_auth"):
        for peer in ("203.0.113.9", "", None):
            told(certificates("10.0.0.0/8"), agent, peer)
    text = caplog.text
    assert "from '203.0.113.9'," in text
    assert "from a Unix socket," in text
    assert "from an address that is not known," in text
    assert "without its proxy support" in text


# What the servers' own records of a request say


def scope(client: object, **more: Any) -> ScopeRequest:
    return ScopeRequest(scope_of("GET", "/") | {"client": client} | more)


def test_the_peer_of_a_scope() -> None:
    assert scope(("10.0.0.5", 40_000)).peer == "10.0.0.5"
    assert scope(["fd00::5", 40_000]).peer == "fd00::5"
    assert scope(("10.0.0.5", 0)).peer is None, "an address from a header"
    assert scope(("10.0.0.5", None)).peer is None
    assert scope(None, server=("/run/app.sock", None)).peer == ""


def test_headers_of_a_scope_are_found_however_they_are_spelled(agent: Agent) -> None:
    """ASGI has names in lower case, and servers of old had them as they were sent."""
    rules = certificates("10.0.0.0/8")
    spelled = ScopeRequest(
        scope_of("GET", "/") | {"client": ("10.0.0.5", 1), "headers": [(b"X-Client-Cert", agent.base64.encode())]}
    )
    assert rules.thumbprint(spelled) == agent.thumbprint
    assert scope(None, headers=[(b"x_client_cert", b"x")]).values("x-client-cert") == ()


def environ(agent: Agent, **more: Any) -> dict[str, Any]:
    return {"REQUEST_METHOD": "GET", "REMOTE_ADDR": "10.0.0.5", "HTTP_X_CLIENT_CERT": agent.base64, **more}


def test_the_peer_of_an_environ(agent: Agent, other: Agent) -> None:
    rules = certificates("10.0.0.0/8")
    assert rules.thumbprint(EnvironRequest(environ(agent))) == agent.thumbprint
    assert rules.thumbprint(EnvironRequest(environ(agent, REMOTE_ADDR="203.0.113.9"))) is None
    assert rules.thumbprint(EnvironRequest(environ(agent, REMOTE_ADDR=""))) is None
    assert certificates("unix").thumbprint(EnvironRequest(environ(agent, REMOTE_ADDR=""))) == agent.thumbprint
    unknown = environ(agent)
    del unknown["REMOTE_ADDR"]
    assert certificates("unix", "0.0.0.0/1", "128.0.0.0/1").thumbprint(EnvironRequest(unknown)) is None
    assert rules.thumbprint(EnvironRequest(environ(agent, HTTP_X_FORWARDED_FOR="10.0.0.5"))) is None


def test_two_headers_that_a_server_joined_are_unreadable(agent: Agent, other: Agent) -> None:
    """`X_Client_Cert` is `X-Client-Cert` to some servers: the client's word is then beside the proxy's."""
    rules = certificates("10.0.0.0/8")
    for written in ("{}", ":{}:", "Hash={}"):
        first, second = (
            written.format(each.fingerprint.hex() if "Hash" in written else each.base64) for each in (agent, other)
        )
        assert rules.thumbprint(EnvironRequest(environ(agent, HTTP_X_CLIENT_CERT=first))) == agent.thumbprint
        for joined in (f"{first},{second}", f"{first}, {second}", f",{first}", f"{first},"):
            assert rules.thumbprint(EnvironRequest(environ(agent, HTTP_X_CLIENT_CERT=joined))) is None, joined


# Servers and middlewares that put an address from a header in the peer's place


def test_the_word_of_werkzeug_s_proxy_fix_is_looked_through(real_issuer: Issuer, agent: Agent) -> None:
    app = Flask("fixed")
    auth = StrongDMAuth(
        app,
        issuer=real_issuer.url,
        realms="alpha",
        audience=AUDIENCE,
        client_certificate=f"header:{HEADER}",
        trusted_proxies="10.0.0.0/8",
    )
    app.add_url_rule("/", "index", auth.require_auth(lambda: current_token.certificate_thumbprint or ""))
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1)  # type: ignore[method-assign]
    client = app.test_client()
    headers = {"Authorization": f"Bearer {mint(real_issuer, certificate=agent.certificate)}", HEADER: agent.base64}

    def status(peer: str, client_address: str) -> int:
        more = {"X-Forwarded-For": client_address}
        return client.get("/", headers=headers | more, environ_overrides={"REMOTE_ADDR": peer}).status_code

    assert status("10.0.0.5", "203.0.113.9") == 200, "the proxy, on behalf of a client"
    assert status("203.0.113.9", "10.0.0.5") == 401, "a client that names the proxy"
    assert status("203.0.113.9", "203.0.113.9, 10.0.0.6") == 401
