"""`explain`: the verifier's own word, check by check; what the client would get; what to change."""

import time
from pathlib import Path

import pytest

from strongdm_auth.testing import DPoPKey, Issuer, unsigned_token

from .conftest import URL, Outcome, Shell


def failed(outcome: Outcome) -> str:
    """The check that failed, of an explanation as JSON."""
    checks = outcome.json["checks"]
    found = [check["check"] for check in checks if check["result"] in ("fail", "cannot tell")]
    assert len(found) == 1
    return str(found[0])


def evidence(outcome: Outcome) -> str:
    return next(check["evidence"] for check in outcome.json["checks"] if check["check"] == failed(outcome))


@pytest.fixture
def alpha(issuer: Issuer) -> list[str]:
    return ["--issuer", issuer.issuer_url("alpha"), "--audience", "https://api.example.com"]


def token(issuer: Issuer, **made: object) -> str:
    return issuer.token("agent", **{"realm": "alpha", "audience": "https://api.example.com", "scopes": "read", **made})  # type: ignore[arg-type]


def bound(issuer: Issuer, tmp_path: Path, url: str = URL, **claims: object) -> list[str]:
    """The options for a bound token and its proof, as they were sent."""
    key = DPoPKey.generate()
    compact = token(issuer, key=key)
    file = tmp_path / "headers"
    proof = key.proof("GET", url, compact, claims=claims)
    file.write_text(
        f"> GET /things HTTP/1.1\n> Host: api.example.com\n> Authorization: DPoP {compact}\n> DPoP: {proof}\n"
    )
    return ["--headers-file", str(file)]


def test_a_request_that_is_let_in(issuer: Issuer, alpha: list[str], shell: Shell) -> None:
    outcome = shell("explain", "GET", URL, *alpha, "--scope", "read", stdin=token(issuer, actor={"sub": "bot"}))
    assert outcome.status == 0
    assert outcome.err == ""
    assert "The request is let in." in outcome.out
    assert "bot" in outcome.out
    assert "fail" not in outcome.out


def test_a_refusal_ends_with_the_answer_and_with_what_to_do(issuer: Issuer, alpha: list[str], shell: Shell) -> None:
    outcome = shell("explain", "GET", URL, *alpha, stdin=token(issuer, lifetime=-7200))
    assert outcome.status == 1
    assert "exp" in outcome.out
    assert "2 hours ago" in outcome.out
    assert "401 invalid_token  (reason token.expired)" in outcome.out
    assert 'WWW-Authenticate:               Bearer error="invalid_token"' in outcome.out
    assert "Get a new token." in outcome.out


def test_the_checks_stand_in_the_order_of_the_story(issuer: Issuer, alpha: list[str], shell: Shell) -> None:
    out = shell("explain", "GET", URL, *alpha, stdin=token(issuer, lifetime=-7200)).out
    lines = [
        line for line in out.splitlines() if "  pass  " in f"  {line}  " or "not reached" in line or " fail " in line
    ]
    results = [line[3:].strip().split("  ")[0] for line in lines]
    assert results == sorted(results, key=["pass", "fail", "not reached"].index)


CASES: dict[str, tuple[dict[str, object], list[str], str, str]] = {
    "another realm": ({"realm": "default"}, [], "issuer", "let in: "),
    "another audience": (
        {"audience": "https://b.example"},
        [],
        "aud",
        "aud https://b.example; this API: https://api.example.com",
    ),
    "no audience": ({"audience": None}, [], "aud", "aud absent"),
    "from the future": ({"claims": {"nbf": 2_000_000_000_0}}, [], "nbf, iat", "nbf"),
    "another algorithm": ({}, ["--algorithms", "RS256"], "alg", "ES256; accepted: RS256"),
    "an unknown key": ({"header": {"kid": "gone"}}, [], "kid", "kid gone"),
    "another kind of header": ({"header": {"typ": "dpop+jwt"}}, [], "typ", "typ dpop+jwt"),
    "an ID token": ({"claims": {"token_type": "id_token"}}, [], "kind", ""),
    "a missing claim": ({"claims": {"sub": None}}, [], "claims", "missing: sub"),
    "a strict profile": ({"claims": {"jti": None}}, ["--token-profile", "rfc9068"], "claims", "missing: jti"),
    "a TLS binding": ({"claims": {"cnf": {"x5t#S256": "x"}}}, [], "cnf", "x5t#S256"),
    "unbound where bound is needed": ({}, ["--dpop", "required"], "binding", "not bound; scheme Bearer; dpop=required"),
    "unbound where the route needs it": ({}, ["--require-dpop"], "route: dpop", ""),
    "a scope": (
        {},
        ["--scope", "read", "--scope", "admin"],
        "route: scope",
        "needed: admin read; held: read; missing: admin",
    ),
    "any scope": ({}, ["--any-scope", "a", "--any-scope", "b"], "route: scope", "needed: a b; held: read"),
    "acr": ({}, ["--acr", "gold"], "route: acr", "acr absent; needed: gold"),
    "max_age": ({}, ["--max-age", "60"], "route: max_age", "auth_time absent"),
    "too long": ({}, ["--max-token-bytes", "256"], "length", "of 256 characters"),
    "another scheme": ({}, ["--scheme", "DPoP"], "binding", "not bound; scheme DPoP"),
}


@pytest.mark.parametrize("name", CASES)
def test_why_a_token_is_refused(name: str, issuer: Issuer, alpha: list[str], shell: Shell) -> None:
    made, options, check, told = CASES[name]
    outcome = shell("explain", "GET", URL, *alpha, *options, "--json", stdin=token(issuer, **made))
    assert outcome.status == 1
    assert failed(outcome) == check
    assert told in evidence(outcome)
    assert outcome.json["admitted"] is False
    assert outcome.json["answer"]["status"] in (401, 403)


def test_a_bound_token_sent_as_bearer(issuer: Issuer, alpha: list[str], shell: Shell) -> None:
    outcome = shell("explain", "GET", URL, *alpha, "--json", stdin=token(issuer, key=DPoPKey.generate()))
    assert failed(outcome) == "binding"
    assert "bound; scheme Bearer" in evidence(outcome)


@pytest.mark.parametrize(
    ("claims", "check", "told"),
    [
        ({}, "", ""),
        ({"htm": "POST"}, "htm", "htm POST; this request: GET"),
        ({"htu": "https://api.example.com/other"}, "htu", f"htu https://api.example.com/other; this request: {URL}"),
        ({"iat": 1_000_000_000}, "proof age", "iat 2001-09-09 01:46:40 UTC"),
        ({"ath": "x"}, "ath", "ath x; of this token: "),
        ({"jti": None}, "proof claims", ""),
    ],
)
def test_why_a_proof_is_refused(
    claims: dict[str, object], check: str, told: str, issuer: Issuer, alpha: list[str], shell: Shell, tmp_path: Path
) -> None:
    outcome = shell("explain", "GET", URL, *alpha, *bound(issuer, tmp_path, **claims), "--json")
    if not check:
        assert outcome.status == 0
        return
    assert failed(outcome) == check
    assert told in evidence(outcome)


def test_explaining_twice_does_not_use_the_proof_up(
    issuer: Issuer, alpha: list[str], shell: Shell, tmp_path: Path
) -> None:
    request = bound(issuer, tmp_path)
    for _ in range(2):
        assert shell("explain", "GET", URL, *alpha, *request).status == 0


def test_the_api_s_own_store_is_left_alone_unless_it_was_asked_for(
    issuer: Issuer, alpha: list[str], shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRONGDM_REPLAY_STORE", "redis://127.0.0.1:1/0")
    request = bound(issuer, tmp_path)
    outcome = shell("explain", "GET", URL, *alpha, *request)
    assert outcome.status == 0
    assert "by an empty store of this command's own" in outcome.out
    asked = shell("explain", "GET", URL, *alpha, *request, "--use-replay-store", "--json")
    assert asked.status == 2
    assert asked.json["reason"] == "replay.unavailable"
    assert failed(asked) == "first use"


def test_a_proof_beside_the_token(issuer: Issuer, alpha: list[str], shell: Shell, tmp_path: Path) -> None:
    key = DPoPKey.generate()
    compact = token(issuer, key=key)
    (tmp_path / "proof").write_text(key.proof("GET", URL, compact))
    outcome = shell("explain", "GET", URL, *alpha, "--proof-file", str(tmp_path / "proof"), stdin=compact)
    assert outcome.status == 0
    assert key.thumbprint in outcome.out


def test_headers_without_credentials(alpha: list[str], shell: Shell) -> None:
    outcome = shell("explain", "GET", URL, *alpha, "--headers-file", "-", "--json", stdin="Accept: */*\n")
    assert outcome.status == 1
    assert (failed(outcome), evidence(outcome)) == ("credentials", "no Authorization header")


def test_two_authorization_headers(alpha: list[str], shell: Shell) -> None:
    headers = "Authorization: Bearer a\nauthorization: Bearer b\n"
    outcome = shell("explain", "GET", URL, *alpha, "--headers-file", "-", "--json", stdin=headers)
    assert outcome.json["answer"]["status"] == 400
    assert evidence(outcome) == "2 Authorization headers"


def test_an_opaque_token_that_the_issuer_knows(issuer: Issuer, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    client = issuer.client("api", realm="alpha")
    monkeypatch.setenv("STRONGDM_CLIENT_ID", client.client_id)
    monkeypatch.setenv("STRONGDM_CLIENT_SECRET", client.client_secret)
    settings = ["--issuer", issuer.issuer_url("alpha"), "--introspection", "fallback", "--json"]
    assert shell("explain", "GET", URL, *settings, stdin=issuer.opaque_token("agent", realm="alpha")).status == 0
    unknown = shell("explain", "GET", URL, *settings, stdin="nobodys")
    assert failed(unknown) == "introspection"
    assert {one["purpose"] for one in unknown.json["exchanges"]} == {"discovery", "introspection"}
    expired = shell(
        "explain", "GET", URL, *settings, stdin=issuer.opaque_token("a", realm="alpha", audience="x", claims={"exp": 1})
    )
    assert failed(expired) == "introspection"


def test_a_jwt_that_was_revoked(
    issuer: Issuer, alpha: list[str], shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = issuer.client("api", realm="alpha")
    monkeypatch.setenv("STRONGDM_CLIENT_ID", client.client_id)
    monkeypatch.setenv("STRONGDM_CLIENT_SECRET", client.client_secret)
    compact = token(issuer)
    for more in (["--introspection", "always"], ["--introspect"]):
        assert shell("explain", "GET", URL, *alpha, *more, stdin=compact).status == 0
    issuer.revoke(compact)
    for more in (["--introspection", "always"], ["--introspect"]):
        assert failed(shell("explain", "GET", URL, *alpha, *more, "--json", stdin=compact)) == "introspection"


def test_an_issuer_that_is_away_is_no_answer(issuer: Issuer, shell: Shell) -> None:
    compact = unsigned_token(
        {"alg": "ES256", "kid": "1"}, {"iss": "http://127.0.0.1:1", "sub": "a", "iat": 1, "exp": 2e9}, b"signature"
    )
    outcome = shell("explain", "GET", URL, "--issuer", "http://127.0.0.1:1", "--json", stdin=compact)
    assert outcome.status == 2
    assert failed(outcome) == "keys"
    assert "keys of http://127.0.0.1:1 cannot be had" in evidence(outcome)
    assert outcome.json["answer"]["status"] == 503
    assert outcome.err == ""


def test_a_moment_that_is_past(issuer: Issuer, alpha: list[str], shell: Shell) -> None:
    compact = token(issuer)
    assert shell("explain", "GET", URL, *alpha, "--at", str(time.time() + 7200), stdin=compact).status == 1
    old = token(issuer, claims={"iat": 1_700_000_000, "exp": 1_700_003_600})
    assert shell("explain", "GET", URL, *alpha, stdin=old).status == 1
    assert shell("explain", "GET", URL, *alpha, "--at", "2023-11-14T22:20:00Z", stdin=old).status == 0


def test_a_nonce_is_only_known_with_the_api_s_secret(
    issuer: Issuer, alpha: list[str], shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = shell("explain", "GET", URL, *alpha, "--dpop-nonce", "required", *bound(issuer, tmp_path, nonce="x"))
    assert outcome.status == 1
    assert "STRONGDM_DPOP_NONCE_SECRET" in outcome.out
    assert "DPoP-Nonce:" in outcome.out


def test_settings_come_from_the_environment_too(issuer: Issuer, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRONGDM_ISSUER", issuer.url)
    monkeypatch.setenv("STRONGDM_REALMS", "alpha")
    assert shell("explain", "GET", URL, stdin=token(issuer)).status == 0
    assert shell("explain", "GET", URL, "--realms", "default", stdin=token(issuer)).status == 1


def test_an_audience_that_is_not_checked_is_said(issuer: Issuer, shell: Shell) -> None:
    out = shell("explain", "GET", URL, "--issuer", issuer.issuer_url("alpha"), stdin=token(issuer)).out
    assert "audience is not set" in out
    assert "policy" not in out
    assert (
        "the application's own policy"
        in shell("explain", "GET", URL, "--issuer", issuer.issuer_url("alpha"), "--all", stdin=token(issuer)).out
    )


def test_neither_token_nor_proof_is_shown(issuer: Issuer, alpha: list[str], shell: Shell, tmp_path: Path) -> None:
    request = bound(issuer, tmp_path, htm="POST")
    compact, proof = (line.split()[-1] for line in Path(request[1]).read_text().splitlines()[2:])
    for more in ([], ["--json"], ["--all"]):
        told = shell("explain", "GET", URL, *alpha, *request, *more).all
        for secret in (compact, proof, compact.split(".")[2], proof.split(".")[2]):
            assert secret not in told


def test_escape_sequences_do_not_reach_the_terminal(issuer: Issuer, alpha: list[str], shell: Shell) -> None:
    evil = "\x1b]52;c;aGk=\x07\x9b2J\u202e"
    compact = token(issuer, header={"kid": evil}, claims={"sub": evil, "scope": evil, "acr": evil})
    good = token(issuer, claims={"sub": evil, "scope": evil, "client_id": evil, "act": {"sub": evil}})
    for made in (compact, good):
        for more in ([], ["--json"], ["--acr", "gold"], ["--scope", "a"]):
            told = shell("explain", "GET", URL, *alpha, *more, stdin=made).all
            assert all(character.isprintable() or character == "\n" for character in told)


@pytest.mark.parametrize(
    "argv",
    [
        ["explain", "GET", "/things"],
        ["explain", "GET", URL, "--leeway", "soon"],
        ["explain", "GET", URL, "--scope", 'a"b'],
        ["explain", "GET", URL, "--headers-file", "-"],
        ["explain", "GET"],
    ],
)
def test_a_wrong_call_is_status_2(argv: list[str], shell: Shell) -> None:
    assert shell(*argv, stdin="no header\n").status == 2
