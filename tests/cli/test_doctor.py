"""`doctor`: what it finds, and that it finds it."""

import json
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import pytest

from strongdm_auth.cli import store_findings
from strongdm_auth.testing import Issuer, SigningKey
from tests.parts.sockets import Server, message, read_request, served

from .conftest import Outcome, Shell

AUDIENCE = ["--audience", "https://api.example.com"]


def levels(outcome: Outcome, topic: str) -> list[str]:
    return [one["level"] for one in outcome.json["findings"] if one["topic"] == topic]


def text(outcome: Outcome, topic: str) -> str:
    return "; ".join(one["text"] for one in outcome.json["findings"] if one["topic"] == topic)


def test_an_api_in_good_order(issuer: Issuer, shell: Shell) -> None:
    outcome = shell("doctor", "--issuer", issuer.url, "--realms", "alpha,default", *AUDIENCE)
    assert outcome.status == 0
    assert outcome.err == ""
    assert "no problems, no warnings" in outcome.out
    assert "1 usable key: 1 for ES256" in outcome.out
    assert "realm alpha" in outcome.out
    assert "realm default" in outcome.out
    assert "clocks" not in outcome.out
    assert "this machine's clock and the issuer's agree" in outcome.out


def test_each_setting_is_shown_with_where_it_came_from(
    issuer: Issuer, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRONGDM_ISSUER", "https://overruled.example")
    monkeypatch.setenv("STRONGDM_LEEWAY", "10")
    monkeypatch.setenv("STRONGDM_JWKS_CACHE_TTL", "60")
    outcome = shell("doctor", "--issuer", issuer.issuer_url("alpha"), *AUDIENCE, "--json")
    settings = {row["name"]: (row["value"], row["from"]) for row in outcome.json["settings"]}
    assert settings["issuer"] == (issuer.issuer_url("alpha"), "--issuer")
    assert settings["leeway"] == ("10 s", "$STRONGDM_LEEWAY")
    assert settings["jwks_max_age"] == ("60 s", "$STRONGDM_JWKS_CACHE_TTL")
    assert settings["dpop"] == ("allowed", "default")


def test_no_secret_is_shown(issuer: Issuer, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "CLIENT_ID": "cli_api",
        "CLIENT_SECRET": "hunter2-client",
        "DPOP_NONCE_SECRET": "hunter2-nonce",
        "REPLAY_STORE": "redis://me:hunter2-store@127.0.0.1:1/0?password=hunter2-query",
    }.items():
        monkeypatch.setenv(f"STRONGDM_{name}", value)
    settings = [
        "--issuer",
        issuer.issuer_url("alpha"),
        *AUDIENCE,
        "--dpop-nonce",
        "required",
        "--introspection",
        "always",
    ]
    for more in ([], ["--json"]):
        outcome = shell("doctor", *settings, *more)
        assert outcome.status == 1
        assert "hunter2" not in outcome.all
        assert "set (not shown)" in outcome.out
        assert "127.0.0.1:1/0" in outcome.out


def test_doubts_about_the_settings_are_warnings(issuer: Issuer, shell: Shell) -> None:
    outcome = shell("doctor", "--issuer", issuer.url, "--json")
    assert outcome.status == 0
    assert levels(outcome, "settings") == ["warning", "warning"]
    assert "realms is not set" in text(outcome, "settings")
    assert "audience is not set" in text(outcome, "settings")


@pytest.mark.parametrize(
    ("name", "value"),
    [("STRONGDM_DPOP", "sometimes"), ("STRONGDM_AUDIENSE", "x"), ("STRONGDM_INTROSPECTION", "always")],
)
def test_settings_that_the_app_would_refuse_are_a_problem(
    name: str, value: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    outcome = shell("doctor", "--json")
    assert outcome.status == 1
    assert levels(outcome, "settings") == ["problem"]
    assert "1 problem" in shell("doctor").out


def test_a_realm_that_the_issuer_does_not_have(issuer: Issuer, shell: Shell) -> None:
    outcome = shell("doctor", "--issuer", issuer.url, "--realms", "alpha,nowhere", *AUDIENCE, "--json")
    assert outcome.status == 1
    assert levels(outcome, "realm alpha") == ["ok", "ok"]
    assert levels(outcome, "realm nowhere") == ["warning", "problem"]


def test_an_issuer_that_is_away(shell: Shell) -> None:
    outcome = shell("doctor", "--issuer", "http://127.0.0.1:1", "--realms", "a", *AUDIENCE, "--json")
    assert outcome.status == 1
    assert levels(outcome, "realm a") == ["problem"]
    assert levels(outcome, "clock") == ["warning"]


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/.well-known/openid-configuration", b'{"issuer": "https://else.example"}', "its issuer is another one"),
        ("/.well-known/openid-configuration", b"<html>", "not JSON"),
        ("/jwks", b'{"keys": []}', "no usable key"),
        ("/jwks", b'{"keys": 5}', "no list of keys"),
    ],
)
def test_documents_that_cannot_be_used(path: str, body: bytes, told: str, issuer: Issuer, shell: Shell) -> None:
    issuer.answer(path, body=body)
    outcome = shell("doctor", "--issuer", issuer.issuer_url("alpha"), *AUDIENCE, "--json")
    assert outcome.status == 1
    assert told in text(outcome, "realm alpha")


def test_keys_that_are_not_used_are_named_with_why(issuer: Issuer, shell: Shell) -> None:
    good, leaked = SigningKey.generate("ES256", kid="good"), SigningKey.generate("ES256", kid="leaked")
    keys: list[Any] = [
        good.public_jwk(),
        {**leaked.public_jwk(), "d": "hunter2"},
        {"kty": "oct", "kid": "shared\x1b[2J", "k": "hunter2"},
        {**good.public_jwk(), "kid": "enc", "use": "enc"},
        "nonsense",
    ]
    issuer.answer("/jwks", body=json.dumps({"keys": keys}).encode())
    for more in ([], ["--json"]):
        outcome = shell("doctor", "--issuer", issuer.issuer_url("alpha"), *AUDIENCE, *more)
        assert outcome.status == 1
        assert "1 usable key" in outcome.out
        assert "key 'leaked' is not used: a private key" in outcome.out
        assert "key 'enc' is not used: not a signature key" in outcome.out
        assert "key None is not used: not a JSON object" in outcome.out
        assert "hunter2" not in outcome.all
        assert "\x1b" not in outcome.all


def test_keys_of_another_algorithm_are_a_problem(issuer: Issuer, shell: Shell) -> None:
    outcome = shell("doctor", "--issuer", issuer.issuer_url("alpha"), *AUDIENCE, "--algorithms", "RS256", "--json")
    assert outcome.status == 1
    assert "none of its keys goes with the setting algorithms" in text(outcome, "realm alpha")


@pytest.fixture
def skewed() -> Iterator[Any]:
    """An issuer whose clock is wrong by so many seconds."""
    key = SigningKey.generate("ES256").public_jwk()
    seconds = [0.0]

    def talk(connection: Any, server: Server) -> None:
        path = read_request(connection, server)
        body = {"keys": [key]} if path.endswith("jwks") else {"issuer": server.url, "jwks_uri": f"{server.url}/jwks"}
        date = formatdate(time.time() + seconds[0], usegmt=True)
        connection.sendall(message(json.dumps(body).encode(), "200 OK", f"Date: {date}"))

    with served(talk) as server:
        yield server, seconds


@pytest.mark.parametrize(
    ("seconds", "level", "told"),
    [
        (0, "ok", "agree"),
        (2, "ok", "agree"),
        (15, "warning", "seconds behind the issuer's; leeway is 30 s"),
        (300, "problem", "behind the issuer's"),
        (-300, "problem", "ahead of the issuer's"),
    ],
)
def test_clocks_that_differ(seconds: float, level: str, told: str, skewed: Any, shell: Shell) -> None:
    server, skew = skewed
    skew[0] = seconds
    outcome = shell("doctor", "--issuer", server.url, "--realms", "*", *AUDIENCE, "--json")
    assert levels(outcome, "clock") == [level]
    assert told in text(outcome, "clock")
    assert outcome.status == int(level == "problem")


def test_introspection_is_tried_out(issuer: Issuer, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    client = issuer.client("api", realm="alpha")
    settings = ["--issuer", issuer.issuer_url("alpha"), *AUDIENCE, "--introspection", "always", "--json"]
    monkeypatch.setenv("STRONGDM_CLIENT_ID", client.client_id)
    monkeypatch.setenv("STRONGDM_CLIENT_SECRET", client.client_secret)
    assert levels(shell("doctor", *settings), "introspection") == ["ok"]
    monkeypatch.setenv("STRONGDM_CLIENT_SECRET", "another")
    outcome = shell("doctor", *settings)
    assert outcome.status == 1
    assert "status 401" in text(outcome, "introspection")
    issuer.answer("/introspect", body=b'{"active": true, "sub": "root"}')
    assert levels(shell("doctor", *settings), "introspection") == ["problem"]


class Store:
    """A replay store that says what the test wants."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked, self.closed = list(answers), [], False

    def first_use(self, key: bytes, owner: str, until: float, now: float) -> Any:
        self.asked.append(key)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("answers", "level", "told"),
    [
        ((True, False), "ok", "remembers"),
        ((True, True), "problem", "said True, then True"),
        ((False, False), "problem", "said False, then False"),
        ((True, None), "problem", "said True, then None"),
        ((ConnectionError("redis://:hunter2@host"),), "problem", "ConnectionError"),
    ],
)
def test_the_replay_store_is_asked_twice_about_a_key_that_nobody_uses(
    answers: tuple[Any, ...], level: str, told: str, issuer: Issuer, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(*answers)
    monkeypatch.setattr("strongdm_auth.stores.open_store", lambda settings: store)
    monkeypatch.setenv("STRONGDM_REPLAY_STORE", "redis://:hunter2@127.0.0.1:1/0")
    outcome = shell("doctor", "--issuer", issuer.issuer_url("alpha"), *AUDIENCE, "--json")
    assert levels(outcome, "replay store") == [level]
    assert told in text(outcome, "replay store")
    assert len(set(store.asked)) == 1
    assert store.closed
    assert "hunter2" not in outcome.all
    assert outcome.err == ""


def test_a_store_that_cannot_work_here_is_a_problem(issuer: Issuer, shell: Shell) -> None:
    settings = ["--issuer", issuer.issuer_url("alpha"), *AUDIENCE]
    outcome = shell("doctor", *settings, "--replay-store", "redis://127.0.0.1:1/0?no_such_option=1", "--json")
    assert outcome.status == 1
    assert levels(outcome, "replay store") == ["problem"]


def test_memory_is_not_for_several_workers(issuer: Issuer, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    outcome = shell("doctor", "--issuer", issuer.issuer_url("alpha"), *AUDIENCE, "--json")
    assert levels(outcome, "settings") == ["warning"]
    assert levels(outcome, "replay store") == []


def test_what_dpop_is_set_to(issuer: Issuer, shell: Shell) -> None:
    settings = ["--issuer", issuer.issuer_url("alpha"), *AUDIENCE, "--dpop", "required", "--dpop-nonce", "required"]
    outcome = shell("doctor", *settings, "--dpop-proof-max-age", "3600", "--public-url", "https://a.example", "--json")
    assert "every token must be bound" in text(outcome, "dpop")
    assert "https://a.example" in text(outcome, "dpop")
    assert levels(outcome, "dpop").count("warning") == 1


def test_the_throw_away_key_is_forgotten_soon() -> None:
    assert store_findings._KEPT <= 10
