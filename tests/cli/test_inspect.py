"""`inspect`: decoded, explained, never verified."""

import base64
import json
from pathlib import Path

import pytest

from strongdm_auth.testing import DPoPKey, Issuer, unsigned_token

from .conftest import URL, Shell

NOW = 1_800_000_000
AT = ["--at", str(NOW)]
BASE = {
    "iss": "https://id.example.com",
    "sub": "agent",
    "aud": "https://api.example.com",
    "iat": NOW - 60,
    "exp": NOW + 3540,
}
HEADER = {"alg": "ES256", "kid": "1", "typ": "at+jwt"}


def token(header: dict[str, object] | None = None, **claims: object) -> str:
    members = {name: value for name, value in {**BASE, "scope": "read", **claims}.items() if value is not None}
    return unsigned_token({**HEADER, **(header or {})}, members, b"signature")


def remarks(shell: Shell, text: str) -> str:
    return "\n".join(shell("inspect", "--json", *AT, stdin=text).json["odd"])


def test_it_says_that_nothing_was_verified(shell: Shell) -> None:
    outcome = shell("inspect", *AT, stdin=token())
    assert outcome.status == 0
    assert "Not verified" in outcome.out
    assert shell("inspect", "--json", *AT, stdin=token()).json["verified"] is False


def test_times_are_told_in_words(shell: Shell) -> None:
    out = shell("inspect", *AT, stdin=token(auth_time=NOW - 90_000)).out
    assert "2027-01-15 08:59:00 UTC, in 59 minutes" in out
    assert "2027-01-15 07:59:00 UTC, 1 minute ago" in out
    assert "1 day 1 hour ago" in out


@pytest.mark.parametrize(
    ("made", "remark"),
    [
        (token(exp=NOW - 7200), "exp: expired 2 hours ago"),
        (token(exp=NOW - 5), "within the usual leeway"),
        (token(aud=None), "aud: missing"),
        (token(iss=None), "iss: missing"),
        (token(exp=None), "exp: missing"),
        (token(exp="tomorrow"), "exp: not a number"),
        (token(iat=NOW + 300), "iat: from the future, in 5 minutes"),
        (token(nbf=NOW + 300), "nbf: from the future"),
        (token(exp=NOW + 90 * 86_400), "lives for 90 days"),
        (token(cnf={"jkt": "x" * 43}), "bound to a key"),
        (token(cnf={"x5t#S256": "x"}), "TLS certificate"),
        (token(cnf={"kid": "x"}), "bound in a way that is not known"),
        (token(), "bound to nothing"),
        (token(act={"sub": "bot"}), "act: bot acts for agent"),
        (token(act="bot"), "somebody who cannot be told acts for agent"),
        (token(scope=None), "scope: none"),
        (token(nonce="x"), "ID token"),
        (token({"alg": "none"}), "signed by nobody"),
        (token({"alg": "HS256"}), "HS256 is symmetric or unknown"),
        (token({"typ": "logout+jwt"}), "something else than an access token"),
        (token({"crit": ["x"]}), "crit"),
        (token({"jku": "https://evil.example/"}), "jku: a key in the header is never used"),
        (unsigned_token({"alg": "ES256"}, BASE), "kid: missing"),
        ("abc", "it is no JWT"),
        (token() + ".x", "4 parts and not 3"),
        (f"Bearer {token(cnf={'jkt': 'x' * 43})}", "it came as Bearer"),
        (f"Authorization: DPoP {token()}", "it came with the scheme DPoP"),
    ],
)
def test_what_is_odd_is_said(made: str, remark: str, shell: Shell) -> None:
    assert remark in remarks(shell, made)


@pytest.mark.parametrize(
    ("change", "remark"),
    [
        ({"header": {"typ": "JWT"}}, "typ: must be dpop+jwt"),
        ({"header": {"jwk": {"kty": "oct", "k": "hunter2"}}}, "PRIVATE KEY"),
        ({"header": {"jwk": None}}, "jwk: not a JSON object"),
        ({"claims": {"jti": None}}, "jti: missing"),
        ({"claims": {"iat": NOW - 600}}, "made 10 minutes ago"),
        ({"claims": {"htu": f"{URL}?a=1"}}, "neither query nor fragment"),
        ({}, "ath: missing; right for a token endpoint"),
        ({"header": {"alg": "none"}}, "signed by nobody"),
    ],
)
def test_what_is_odd_about_a_proof_is_said(change: dict[str, dict[str, object]], remark: str, shell: Shell) -> None:
    proof = DPoPKey.generate().proof("GET", URL, now=NOW, **change)
    assert remark in remarks(shell, proof)


def test_a_proof_s_key_is_named_by_its_thumbprint(shell: Shell) -> None:
    key = DPoPKey.generate()
    outcome = shell("inspect", *AT, stdin=f"DPoP: {key.proof('GET', URL, 'token', now=NOW)}")
    assert outcome.out.startswith("A DPoP proof")
    assert key.thumbprint in outcome.out
    assert "nothing odd" in outcome.out


def test_a_private_key_in_a_proof_is_not_shown_again(shell: Shell) -> None:
    jwk = {**DPoPKey.generate().public_jwk, "d": "hunter2"}
    proof = DPoPKey.generate().proof("GET", URL, header={"jwk": jwk})
    for more in ([], ["--json"]):
        outcome = shell("inspect", *more, stdin=proof)
        assert "hunter2" not in outcome.all
        assert "PRIVATE KEY" in outcome.out


def test_a_jwt_svid_is_told_from_an_access_token(issuer: Issuer, shell: Shell) -> None:
    outcome = shell("inspect", stdin=issuer.jwt_svid(audience="x"))
    assert outcome.out.startswith("A JWT-SVID")
    assert "no access token" in outcome.out


def test_an_encrypted_token_is_called_that(shell: Shell) -> None:
    header = base64.urlsafe_b64encode(json.dumps({"alg": "dir", "enc": "A256GCM"}).encode()).decode().rstrip("=")
    outcome = shell("inspect", stdin=f"{header}..a.b.c")
    assert outcome.status == 0
    assert "An encrypted token" in outcome.out


def test_escape_sequences_in_claims_do_not_reach_the_terminal(shell: Shell) -> None:
    evil = "\x1b]52;c;aGk=\x07\x9b2J\u202e"
    made = token({"kid": evil, "typ": evil}, sub=evil, act={"sub": evil}, **{evil: evil})
    for more in ([], ["--json"]):
        outcome = shell("inspect", *more, *AT, stdin=made)
        assert outcome.status == 0
        assert all(character.isprintable() or character == "\n" for character in outcome.all)


@pytest.mark.parametrize(
    "text",
    [
        "eyJhbGciOiJFUzI1NiJ9",
        "eyJhbGciOiJFUzI1NiJ9.###.x",
        "eyJhbGciOiJFUzI1NiJ9.e30=.x",
        "\u00e9" * 10,
        b"\xff\xfe\x00".decode("latin-1"),
        ".".join("ab"),
        unsigned_token(
            {"alg": 5, "typ": [], "crit": 1, "jwk": 3}, {"exp": 10**400, "iat": True, "cnf": 4, "sub": 7, "aud": 1}
        ),
        unsigned_token({"typ": "dpop+jwt"}, {"iat": 1e308, "htu": 4, "exp": -1e300}),
        base64.urlsafe_b64encode(b'{"alg":"ES256","a":' + b"[" * 100_000).decode() + ".e30.x",
    ],
)
def test_no_input_makes_it_stumble(text: str, shell: Shell) -> None:
    for more in ([], ["--json"]):
        assert shell("inspect", *more, stdin=text).status in (0, 1)


def test_it_reads_a_file_or_the_environment(tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text(token()[:50] + "\n" + token()[50:] + "\n")  # as a terminal wraps it
    monkeypatch.setenv("MY_TOKEN", token())
    told = [
        shell("inspect", "--json", *AT, *more).json
        for more in (["--token-file", str(file)], ["--token-env", "MY_TOKEN"])
    ]
    assert told[0] == told[1]
    assert told[0]["claims"]["sub"] == "agent"


def test_nothing_to_read_is_a_wrong_call(tmp_path: Path, shell: Shell) -> None:
    assert shell("inspect", stdin="  \n").status == 2
    assert shell("inspect", "--token-file", str(tmp_path / "none")).status == 2
    assert shell("inspect", "--token-env", "NO_SUCH_VARIABLE").status == 2
    assert shell("inspect", "--at", "soon", stdin=token()).status == 2
    assert shell("inspect", stdin="x" * 2_000_000).status == 2
