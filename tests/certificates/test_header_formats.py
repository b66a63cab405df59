"""The ways in which proxies write a certificate into a header, each against its fingerprint by another library."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongdm_auth.certificates import LONGEST_HEADER, Unreadable, read_header
from tests.certificates.authority import Agent, Authority

THEIRS = "ab" * 32  # the SHA-256 of a certificate that somebody would like to have


def envoy(agent: Agent, rest: str = 'Subject="CN=agent,O=example";URI=spiffe://example.org/agent;DNS=agent') -> str:
    return f"By=spiffe://example.org/api;Hash={agent.fingerprint.hex()};{rest}"


WRITTEN: dict[str, Callable[[Agent], str]] = {
    "nginx's $ssl_client_escaped_cert": lambda agent: quote(agent.pem, safe=""),
    "nginx's older $ssl_client_cert, with tabs": lambda agent: agent.pem.strip().replace("\n", "\n\t"),
    "Apache: spaces for line ends": lambda agent: agent.pem.replace("\n", " "),
    "AWS: escaped, but for +=/": lambda agent: quote(agent.pem, safe="+=/"),
    "RFC 9440": lambda agent: f":{agent.base64}:",
    "HAProxy, Caddy, Traefik: base64 of the DER": lambda agent: agent.base64,
    "Traefik before 2.9: the same, escaped": lambda agent: quote(agent.base64, safe=""),
    "Envoy": envoy,
    "Envoy, with the certificate": lambda agent: envoy(agent, f'Cert="{quote(agent.pem, safe="")}";Subject="";URI='),
    "Envoy, hash first": lambda agent: f'Hash={agent.fingerprint.hex().upper()};Subject="CN=a"',
    "in a PEM of CRLF lines": lambda agent: agent.pem.replace("\n", "\r\n"),
    "with blanks around": lambda agent: f" \t{agent.base64} ",
}


@pytest.mark.parametrize("write", WRITTEN.values(), ids=WRITTEN.keys())
def test_every_way_gives_the_same_thumbprint(authority: Authority, write: Callable[[Agent], str]) -> None:
    for agent in (authority.agent, authority.other, authority.workload):
        assert read_header(write(agent)) == agent.thumbprint


# X-Forwarded-Client-Cert: a client has chosen what stands in Subject, URI and DNS


@pytest.mark.parametrize(
    "chosen",
    [
        f'Subject="CN=x;Hash={THEIRS}"',
        f'Subject="CN=x,Hash={THEIRS};O=y"',
        f'Subject="CN=\\";Hash={THEIRS};x=\\""',
        f'Subject="CN=\\\\";URI="a;Hash={THEIRS}"',
        f'Subject="";DNS="Hash={THEIRS}"',
        f'Subject="CN=x";URI=spiffe://x/Hash={THEIRS}',
        f'Subject="CN=x\n;Hash={THEIRS}"'.replace("\n", ""),
        f'hash={THEIRS};Subject="CN=x"',
    ],
)
def test_a_hash_within_another_value_is_none(agent: Agent, chosen: str) -> None:
    assert read_header(envoy(agent, chosen)) == agent.thumbprint
    with pytest.raises(Unreadable):
        read_header(f"By=spiffe://example.org/api;{chosen}")


@pytest.mark.parametrize(
    "value",
    [
        f"Hash={THEIRS};Hash={THEIRS}",
        f'Hash={THEIRS};Subject="";URI=spiffe://x;Hash={THEIRS}',
        f"Hash={THEIRS},Hash={THEIRS}",
        f'By=a;Hash={THEIRS};Subject="CN=a",By=b;Hash={THEIRS};Subject="CN=b"',
        f"Hash={THEIRS},",
        f",Hash={THEIRS}",
        f"Hash={THEIRS};URI=a,Hash={THEIRS}",
        f'Hash="{THEIRS}"',
        f"Hash={THEIRS[:-1]}",
        f"Hash={THEIRS}0",
        f"Hash={THEIRS[:-1]}g",
        f"Hash= {THEIRS}",
        f"hash={THEIRS}",
        f"By=a;hash={THEIRS}",
        f'Subject="CN=a;Hash={THEIRS}',
        f'Subject="CN=a"Hash={THEIRS}',
        f'Subject="CN=a";;Hash={THEIRS}',
        f"By=a;=b;Hash={THEIRS}",
        f"By=a; Hash={THEIRS}",
        "By=a;Subject=b",
        "Hash=",
        "Hash",
    ],
)
def test_several_elements_or_hashes_or_none_are_unreadable(value: str) -> None:
    with pytest.raises(Unreadable):
        read_header(value)


# What is none


def test_what_holds_no_one_certificate_is_unreadable(agent: Agent, other: Agent) -> None:
    pem, der = agent.pem, agent.base64
    for value in (
        "",
        "-",
        "(null)",  # Apache's word for none
        "%28null%29",
        ":",
        "::",
        ": :",
        f":{der}",
        f"{der}:",
        f":{der}:;a=1",
        f":{der}:, :{other.base64}:",
        f"{der},{other.base64}",
        f"{der},",
        f",{der}",
        f"{der} {other.base64}",
        der[:-1] if len(der) % 4 == 0 else der + "A",
        der.replace("M", "*", 1),
        "TUlJQg==",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN CERTIFICATE----------END CERTIFICATE-----",
        pem + other.pem,
        quote(pem + other.pem, safe=""),
        f"x{pem}",
        f"{pem}x",
        f"{pem},{pem}",
        pem.replace("CERTIFICATE", "PRIVATE KEY"),
        pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE"),
        pem.replace("M", "*", 1),
        agent.private_key.decode(),
        der + "é",
        f"{THEIRS[:4]}é",
        f'Hash={THEIRS};Subject="é"',
        der + "\0",
        "%",
        "%zz",
        "%ff%fe",
    ):
        with pytest.raises(Unreadable):
            read_header(value)


def test_a_long_certificate_is_read_and_a_longer_header_is_not(authority: Authority) -> None:
    names = [f"a-name-that-is-long-{number}.agents.example.org" for number in range(100)]
    issued = authority._ca.issue_cert(*names)
    agent = Agent(issued.cert_chain_pems[0].bytes().decode(), b"")
    written = quote(agent.pem, safe="")
    assert 6_000 < len(written) < LONGEST_HEADER
    assert read_header(written) == agent.thumbprint
    fits = authority.agent.pem + "\n" * (LONGEST_HEADER - len(authority.agent.pem) - 1) + "\n"
    assert len(fits) == LONGEST_HEADER
    assert read_header(fits) == authority.agent.thumbprint
    with pytest.raises(Unreadable):
        read_header(fits + "\n")


_PARTS = st.sampled_from(
    [
        *(
            "Hash=",
            "By=",
            "Subject=",
            THEIRS,
            '"',
            "\\",
            ";",
            ",",
            ":",
            "%",
            "%2B",
            "=",
            "MII",
            " ",
            "\n",
            "\x85",
            "é",
            "\0",
        ),
        *("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----", "A" * 43),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.binary().map(lambda octets: octets.decode("latin-1")), st.lists(_PARTS).map("".join)))
def test_nothing_else_is_raised(value: str) -> None:
    try:
        found = read_header(value)
    except Unreadable:
        return
    assert len(found) == 43


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_header_that_was_changed_gives_no_certificate_of_others(data: st.DataObject) -> None:
    """Of XFCC with anything in what a client can choose, the hash that counts is the proxy's, or none does."""
    chosen = data.draw(st.lists(_PARTS).map("".join))
    mine = "cd" * 32
    for header in (
        f"Hash={mine};URI={chosen}",
        f'Hash={mine};Subject="{chosen}"',
        f"By=x;Hash={mine};DNS={chosen};DNS=a",
    ):
        try:
            found = read_header(header)
        except Unreadable:
            continue
        assert found == urlsafe_b64encode(bytes.fromhex(mine)).rstrip(b"=").decode()
