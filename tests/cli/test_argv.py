"""No secret is taken from the command line, wherever it stands, and none is repeated."""

import pytest

from strongdm_auth.cli.argv import refuse_secrets
from strongdm_auth.testing import DPoPKey, unsigned_token

from .conftest import URL, Shell

TOKEN = unsigned_token({"alg": "ES256", "typ": "at+jwt"}, {"sub": "agent"}, b"signature")
SECRET = "sec_Zm9vYmFyYmF6cXV4cXV1eA"
PRIVATE = '{"kty":"EC","crv":"P-256","d":"Zm9vYmFyYmF6cXV4cXV1eA"}'

CALLS: dict[str, tuple[list[str], str]] = {
    "a token as an argument": (["inspect", TOKEN], TOKEN),
    "a proof as an argument": (["dpop", "verify", "GET", URL, DPoPKey.generate().proof("GET", URL)], "eyJ"),
    "--token": (["explain", "GET", URL, "--token", "opaque-hunter2"], "hunter2"),
    "--token=": (["explain", "GET", URL, "--token=opaque-hunter2"], "hunter2"),
    "--access-token": (["call", "GET", URL, "--access-token", "opaque-hunter2"], "hunter2"),
    "--token-file with the token itself": (["inspect", "--token-file", TOKEN], TOKEN),
    "--token-env with the token itself": (["inspect", f"--token-env={TOKEN}"], TOKEN),
    "--client-secret": (["token", "--client-secret", "hunter2"], "hunter2"),
    "--client-secret=": (["doctor", "--client-secret=hunter2"], "hunter2"),
    "--client_secret": (["token", "--client_secret", "hunter2"], "hunter2"),
    "--Client-Secret": (["token", "--Client-Secret=hunter2"], "hunter2"),
    "--password": (["token", "--password", "hunter2"], "hunter2"),
    "--dpop-nonce-secret": (["doctor", "--dpop-nonce-secret", "hunter2"], "hunter2"),
    "a client secret where something else goes": (["token", "--client", SECRET], SECRET),
    "a poll token": (["confirm", "pt_Zm9vYmFyYmF6cXV4cXV1eA"], "Zm9v"),
    "--code": (["confirm", "--code", "ABCD-EFGH"], "ABCD"),
    "a code": (["confirm", "ABCD-EFGH"], "ABCD"),
    "a header": (["call", "GET", URL, "-H", "Authorization: Basic aHVudGVyMg=="], "aHVu"),
    "a cookie": (["call", "GET", URL, "--header=Cookie: session=hunter2"], "hunter2"),
    "a DPoP header": (["call", "GET", URL, "-H", "DPoP: x"], "DPoP: x"),
    "a token in the URL": (["call", "GET", f"{URL}?access_token=hunter2"], "hunter2"),
    "a password in a URL": (["call", "GET", "https://me:hunter2@api.example.com/"], "hunter2"),
    "a password in the store's URL": (["doctor", "--replay-store", "redis://:hunter2@localhost/0"], "hunter2"),
    "a private key": (["call", "POST", URL, "--data", PRIVATE], "Zm9v"),
    "a key": (["dpop", "proof", "GET", URL, "--key", PRIVATE], "Zm9v"),
    "a PEM": (["call", "POST", URL, "--data", "-----BEGIN EC PRIVATE KEY-----\nhunter2"], "hunter2"),
    "an unknown command": (["verify", TOKEN], TOKEN),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_secret_on_the_command_line_is_refused_with_a_word_why_and_not_repeated(name: str, shell: Shell) -> None:
    argv, secret = CALLS[name]
    outcome = shell(*argv)
    assert outcome.status == 2
    assert outcome.out == ""
    assert "command line" in outcome.err
    assert secret not in outcome.err
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize(
    "option",
    [
        "--secret",
        "--proof",
        "--key",
        "--verification-code",
        "--enrollment-token",
        "--poll-token",
        "--client-secret",
        "--code",
    ],
)
def test_an_option_that_would_take_a_secret_is_refused_by_its_name(option: str, shell: Shell) -> None:
    outcome = shell("token", option, "hunter2")
    assert outcome.status == 2
    assert f"there is no {option}: secrets do not go on the command line" in outcome.err
    assert "hunter2" not in outcome.err


@pytest.mark.parametrize(
    "argv",
    [
        [
            "call",
            "GET",
            "https://api.example.com/sec_reports/pt_2024?a=b@c",
            "-H",
            "X-Request: sec_1",
            "--data",
            '{"d": "x"}',
        ],
        ["explain", "GET", f"{URL}?token_type=x", "--token-file", "./sec_production_token.txt"],
        ["doctor", "--replay-store", "redis://localhost:6379/0", "--audience", "https://a.example,urn:b"],
        ["register", "--email", "ann@example.com", "--name", "sec bot"],
        ["token", "--client", "cli_my_agent_0123456789abcdef"],
    ],
)
def test_what_only_resembles_a_secret_is_taken(argv: list[str]) -> None:
    refuse_secrets(argv)


@pytest.mark.parametrize(
    "argv",
    [
        ["token", "--pass", "hunter2"],
        ["token", "-p=hunter2"],
        ["doctor", "hunter2"],
        ["inspect", "-s", "hunter2\x1b[2J"],
    ],
)
def test_what_is_not_understood_is_not_repeated(argv: list[str], shell: Shell) -> None:
    outcome = shell(*argv)
    assert outcome.status == 2
    assert "usage: strongdm-auth" in outcome.err
    assert "hunter2" not in outcome.err
    assert "\x1b" not in outcome.err


def test_an_option_is_not_taken_for_another_one(shell: Shell) -> None:
    assert shell("inspect", "--json", stdin=TOKEN).status == 0
    assert shell("inspect", "--js", stdin=TOKEN).status == 2


@pytest.mark.parametrize("name", ["client-secret", "dpop-nonce-secret", "authorize", "on-event"])
def test_a_setting_that_is_secret_or_code_has_no_flag(name: str, shell: Shell) -> None:
    assert shell("doctor", f"--{name}", "x").status == 2
