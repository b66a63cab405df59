"""`call`: what it sends and to whom, what it shows, and what it does not."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from strongdm_auth import Request, Requirement, Verifier
from strongdm_auth.errors import Refused
from strongdm_auth.testing import Client, Issuer
from tests.parts.sockets import Server, message, served

from .conftest import Shell


@dataclass(frozen=True)
class Got:
    """A request as it came over the wire."""

    method: str
    path: str
    headers: httpx.Headers
    body: bytes


Answer = Callable[[Got, str], bytes]


@dataclass
class Api:
    """An API on a socket: what it got, and how it answers."""

    url: str = ""
    got: list[Got] = field(default_factory=list)
    answer: Answer = field(default=lambda got, url: message(b"{}"))


@pytest.fixture
def api() -> Iterator[Api]:
    with _api() as api:
        yield api


@contextmanager
def _api() -> Iterator[Api]:
    api = Api()

    def talk(connection: socket.socket, server: Server) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                return
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = httpx.Headers([(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)])
        while len(body) < int(headers.get("Content-Length", 0)):
            body += connection.recv(65536)
        got = Got(*first.split(" ")[:2], headers, body)
        api.got.append(got)
        connection.sendall(api.answer(got, server.url))

    with served(talk) as server:
        api.url = server.url
        yield api


def protected_by(verifier: Verifier, requirement: Requirement | None = None) -> Answer:
    """Answers as an API does that has this verifier."""
    needs = Requirement() if requirement is None else requirement

    def answer(got: Got, url: str) -> bytes:
        try:
            admission = verifier.admit(Request(got.method, url + got.path, got.headers.multi_items()), needs)
        except Refused as refusal:
            denial = verifier.denial(refusal, needs)
            return message(denial.body, f"{denial.status} No", *(f"{name}: {value}" for name, value in denial.headers))
        assert admission is not None
        return message(
            json.dumps({"hello": admission.token.subject}).encode(), "200 OK", "Content-Type: application/json"
        )

    return answer


@pytest.fixture
def client(issuer: Issuer, home: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    client = issuer.client("agent", scopes="openid read admin", realm="alpha")
    monkeypatch.setenv("STRONGDM_CLIENT_ID", client.client_id)
    monkeypatch.setenv("STRONGDM_CLIENT_SECRET", client.client_secret)
    monkeypatch.setenv("STRONGDM_ISSUER", issuer.issuer_url("alpha"))
    return client


@pytest.fixture
def verifier(issuer: Issuer) -> Iterator[Verifier]:
    verifier = Verifier(issuer=issuer.url, realms=["alpha"], audience="https://a.example", dpop="required")
    yield verifier
    verifier.close()


def test_it_gets_in_and_shows_what_went_over_the_wire(
    api: Api, client: Client, verifier: Verifier, shell: Shell
) -> None:
    api.answer = protected_by(verifier)
    outcome = shell("call", "GET", f"{api.url}/things?a=1", "--audience", "https://a.example")
    assert outcome.status == 0
    assert json.loads(outcome.out) == {"hello": client.client_id}
    shown = outcome.err.splitlines()
    assert shown[0].startswith("* token: DPoP, scopes admin openid read, for 1 hour, bound to ")
    assert shown[1] == f"> GET {api.url}/things?a=1"
    assert shown[2].startswith("> Authorization: DPoP eyJ")
    assert shown[3].startswith("> DPoP: eyJ")
    assert "< 200 OK" in shown


def test_no_token_proof_or_secret_is_shown(api: Api, client: Client, verifier: Verifier, shell: Shell) -> None:
    api.answer = protected_by(verifier)
    for more in ([], ["--json"], ["--bearer"]):
        outcome = shell("call", "GET", api.url, "--audience", "https://a.example", *more)
        sent = api.got[-1].headers
        secrets = [client.client_secret, sent["Authorization"].split(" ")[1], sent.get("DPoP", "-" * 50)]
        for secret in [*secrets, *(one.rpartition(".")[2] for one in secrets)]:
            assert secret not in outcome.all


def test_a_nonce_is_brought_and_both_tries_are_shown(issuer: Issuer, api: Api, client: Client, shell: Shell) -> None:
    verifier = Verifier(issuer=issuer.url, realms=["alpha"], audience="https://a.example", dpop_nonce="required")
    api.answer = protected_by(verifier)
    outcome = shell("call", "GET", api.url, "--audience", "https://a.example", "--json")
    verifier.close()
    assert outcome.status == 0
    assert [one["response"]["status"] for one in outcome.json["exchanges"]] == [401, 200]
    told = shell("call", "GET", api.url, "--audience", "https://a.example").err
    assert "* use_dpop_nonce: The DPoP proof needs a nonce" in told
    assert "< DPoP-Nonce: " in told


def test_a_refusal_is_1_and_says_why(api: Api, client: Client, verifier: Verifier, shell: Shell) -> None:
    api.answer = protected_by(verifier, Requirement("launch"))
    outcome = shell("call", "GET", api.url, "--audience", "https://a.example")
    assert outcome.status == 1
    assert "* insufficient_scope: The access token lacks a scope" in outcome.err
    assert "strongdm-auth explain" in outcome.err


def test_more_scope_is_asked_for_where_that_was_allowed(
    api: Api, client: Client, verifier: Verifier, shell: Shell
) -> None:
    api.answer = protected_by(verifier, Requirement("admin"))
    options = ["--audience", "https://a.example", "--scope", "read"]
    assert shell("call", "GET", api.url, *options).status == 1
    widened = shell("call", "GET", api.url, *options, "--may-ask-for", "admin", "--json")
    assert widened.status == 0
    assert [token["scopes"] for token in widened.json["tokens"]] == [["read"], ["admin", "read"]]


def test_a_redirect_is_shown_and_not_followed(api: Api, client: Client, shell: Shell) -> None:
    with _api() as elsewhere:
        api.answer = lambda got, url: message(b"", "307 Moved", f"Location: {elsewhere.url}/collect")
        outcome = shell("call", "GET", api.url, "--bearer")
        assert elsewhere.got == []
    assert len(api.got) == 1
    assert "not followed" in outcome.err
    assert f"< Location: {elsewhere.url}/collect" in outcome.err


@pytest.mark.parametrize(
    "url", ["http://api.example.com/", "ftp://127.0.0.1/", "api.example.com", "http:///x", "http://127.0.0.1:x/"]
)
def test_credentials_go_over_https_or_stay_here(url: str, issuer: Issuer, client: Client, shell: Shell) -> None:
    issuer.forget_requests()
    outcome = shell("call", "GET", url)
    assert (outcome.status, outcome.out) == (2, "")
    assert issuer.requests == []  # not even a token was asked for


def test_a_body_and_headers(api: Api, client: Client, shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "headers").write_text("X-Api-Token: hunter2\nX-Other: hunter3\n")
    outcome = shell(
        "call",
        "POST",
        api.url,
        "--bearer",
        "--data",
        '{"a": 1}',
        "-H",
        "X-Trace: 7",
        "--headers-file",
        str(tmp_path / "headers"),
    )
    got = api.got[0]
    assert (got.method, got.body, got.headers["Content-Type"]) == ("POST", b'{"a": 1}', "application/json")
    assert (got.headers["X-Trace"], got.headers["X-Api-Token"], got.headers["X-Other"]) == ("7", "hunter2", "hunter3")
    assert "> X-Trace: 7" in outcome.err
    assert "X-Other: ..." in outcome.err
    assert "hunter" not in outcome.all
    shell("call", "PUT", api.url, "--bearer", "--data-file", "-", "-H", "Content-Type: text/plain", stdin=b"\x00\xff")
    assert (api.got[1].body, api.got[1].headers["Content-Type"]) == (b"\x00\xff", "text/plain")


def test_a_token_that_somebody_else_got(issuer: Issuer, api: Api, home: Path, shell: Shell, tmp_path: Path) -> None:
    bare = issuer.token("agent", realm="alpha")
    assert shell("call", "GET", api.url, "--token-file", "-", stdin=f"Bearer {bare}").status == 0
    assert api.got[0].headers["Authorization"] == f"Bearer {bare}"
    key_file = str(tmp_path / "key")
    thumbprint = shell("dpop", "keygen", key_file, "--json").json["thumbprint"]
    bound = issuer.token("agent", realm="alpha", claims={"cnf": {"jkt": thumbprint}})
    assert shell("call", "GET", api.url, "--token-file", "-", "--key-file", key_file, stdin=bound).status == 0
    assert api.got[1].headers["Authorization"] == f"DPoP {bound}"
    proof = shell("inspect", "--json", stdin=api.got[1].headers["DPoP"]).json
    assert (proof["key_thumbprint"], proof["claims"]["htu"]) == (thumbprint, f"{api.url}/")


def test_escape_sequences_in_an_answer_do_not_reach_the_terminal(api: Api, client: Client, shell: Shell) -> None:
    evil = "\x1b]52;c;aGk=\x07\u009b2J\u202e"
    header = 'WWW-Authenticate: Bearer error="\x1b[2J", error_description="\x9b31m"'
    api.answer = lambda got, url: message(
        f"{evil}\nsecond\tline\r\n".encode(), "401 \x1b[2J", header, "X-Evil: \x1b[31mred"
    )
    for more in ([], ["--json"], ["--quiet"]):
        outcome = shell("call", "GET", api.url, "--bearer", *more)
        assert all(character.isprintable() or character == "\n" for character in outcome.all)
    assert "second  line" in shell("call", "GET", api.url, "--bearer").out


def test_a_body_of_bytes_goes_to_a_file_and_not_to_the_terminal(
    api: Api, client: Client, shell: Shell, tmp_path: Path
) -> None:
    body = bytes(range(256))
    api.answer = lambda got, url: message(body, "200 OK", "Content-Type: image/\x1b[2Jpng")
    outcome = shell("call", "GET", api.url, "--bearer")
    assert outcome.out.startswith("256 bytes of image/")
    assert "\x1b" not in outcome.out
    file = tmp_path / "image"
    assert shell("call", "GET", api.url, "--bearer", "--output", str(file)).out == ""
    assert file.read_bytes() == body


def test_json_stays_json_through_a_pipe(api: Api, client: Client, shell: Shell) -> None:
    document = {"text": "tab\tnbsp\u00a0sep\u2028\u200d\U000e0041 \u00e9", "list": [1, 2]}
    api.answer = lambda got, url: message(json.dumps(document, ensure_ascii=False, indent=2).encode())
    assert json.loads(shell("call", "GET", api.url, "--bearer", "--quiet").out) == document
    assert shell("call", "GET", api.url, "--bearer", "--json").json["body"] == document


def test_cookies_are_shortened(api: Api, client: Client, shell: Shell) -> None:
    api.answer = lambda got, url: message(b"", "200 OK", "Set-Cookie: session=hunter2")
    assert "hunter2" not in shell("call", "GET", api.url, "--bearer").all


def test_nobody_there_is_2(client: Client, shell: Shell) -> None:
    outcome = shell("call", "GET", "http://127.0.0.1:1/", "--bearer")
    assert outcome.status == 2
    assert "Connection refused" in outcome.err


def test_an_answer_that_does_not_come_is_2(api: Api, client: Client, shell: Shell) -> None:
    api.answer = lambda got, url: b""
    assert shell("call", "GET", api.url, "--bearer").status == 2


def test_a_header_s_value_is_not_repeated_in_an_error(api: Api, client: Client, shell: Shell) -> None:
    outcome = shell("call", "GET", api.url, "--bearer", "--headers-file", "-", stdin="X-Key: hunter2\x00")
    assert outcome.status == 2
    assert "hunter2" not in outcome.all


@pytest.mark.parametrize(
    "argv",
    [
        ["-H", "no colon"],
        ["--headers-file", "-"],
        ["--data", "x", "--data-file", "y"],
        ["--data-file", "/no/such/file"],
        ["--output", "/no/such/folder/file", "--bearer"],
        ["--token-file", "-", "--key-file", "/no/such/file"],
    ],
)
def test_a_wrong_call_is_status_2(argv: list[str], api: Api, client: Client, shell: Shell) -> None:
    assert shell("call", "GET", api.url, *argv, stdin="Authorization: x").status == 2


def test_the_key_ends_with_the_command_where_credentials_come_from_the_environment(
    api: Api, client: Client, shell: Shell, home: Path
) -> None:
    thumbprints: list[Any] = []
    for _ in range(2):
        shell("call", "GET", api.url)
        thumbprints.append(shell("inspect", "--json", stdin=api.got[-1].headers["DPoP"]).json["key_thumbprint"])
    assert thumbprints[0] != thumbprints[1]
    assert [path for path in home.rglob("*") if path.is_file()] == []
