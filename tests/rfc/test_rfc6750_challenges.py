"""The challenges of every kind of refusal, read by a strict parser (RFC 6750 3, RFC 9110 11.6.1); checklist 4-6."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from strongdm_auth import (
    AsyncVerifier,
    ConfigurationError,
    Delegation,
    Refused,
    Request,
    Requirement,
    StrongDMAuthError,
)
from strongdm_auth.errors import DESCRIPTIONS
from strongdm_auth.testing import Clock, DPoPKey, Issuer, SigningKey
from tests.conftest import URL, request

from .challenges import BadChallenge, parse_challenges
from .support import Caller, MakeVerifier, challenges_of, denied, header_of, mint, realm_token

INJECTED = 'INJECTED"\\\r\nX-Evil: yes é☃'


class World:
    """What a case may use to make its request."""

    def __init__(self, issuer: Issuer, clock: Clock, key: DPoPKey) -> None:
        self.issuer, self.clock, self.key = issuer, clock, key

    def bearer(self, **overrides: Any) -> Request:
        return request(mint(self.issuer, **overrides))

    def caller(self, **overrides: Any) -> Caller:
        return Caller(self.issuer, self.clock, self.key, **overrides)


# name -> (request, requirement, settings, status, error in the header, schemes offered, the one that the error is on)
Case = tuple[Callable[[World], Request], Requirement, dict[str, Any], int, str | None, list[str], str | None]
BOTH = ["Bearer", "DPoP"]
ANY = Requirement()
CASES: dict[str, Case] = {
    "nothing sent": (lambda w: request(), ANY, {}, 401, None, BOTH, None),
    "nothing sent, DPoP needed": (lambda w: request(), ANY, {"dpop": "required"}, 401, None, ["DPoP"], None),
    "nothing sent, DPoP needed here": (lambda w: request(), Requirement(dpop=True), {}, 401, None, ["DPoP"], None),
    "nothing sent, scope needed": (lambda w: request(), Requirement("a b"), {}, 401, None, BOTH, None),
    "another scheme": (lambda w: request("x", scheme="Basic"), ANY, {}, 401, None, BOTH, None),
    "unreadable Bearer": (lambda w: request("a b"), ANY, {}, 400, "invalid_request", ["Bearer"], "Bearer"),
    "unreadable DPoP": (
        lambda w: request("a b", scheme="DPoP"),
        ANY,
        {},
        400,
        "invalid_request",
        ["DPoP"],
        "DPoP",
    ),
    "two credentials": (
        lambda w: request("a, DPoP b"),
        ANY,
        {},
        400,
        "invalid_request",
        ["Bearer"],
        "Bearer",
    ),
    "bad token": (lambda w: request("x"), ANY, {}, 401, "invalid_token", BOTH, "Bearer"),
    "bad token as DPoP": (lambda w: request("x", scheme="DPoP"), ANY, {}, 401, "invalid_token", BOTH, "DPoP"),
    "bad token, metadata": (
        lambda w: request("x"),
        Requirement("a"),
        {"resource": "https://api.example.com"},
        401,
        "invalid_token",
        BOTH,
        "Bearer",
    ),
    "expired": (lambda w: w.bearer(lifetime=-60), ANY, {}, 401, "invalid_token", BOTH, "Bearer"),
    "unbound, DPoP needed": (
        lambda w: w.bearer(),
        ANY,
        {"dpop": "required"},
        401,
        "invalid_token",
        ["DPoP"],
        "DPoP",
    ),
    "unbound as DPoP": (
        lambda w: request(mint(w.issuer), scheme="DPoP"),
        ANY,
        {},
        401,
        "invalid_token",
        BOTH,
        "DPoP",
    ),
    "bound as Bearer": (lambda w: w.bearer(key=w.key), ANY, {}, 401, "invalid_token", BOTH, "Bearer"),
    "proof missing": (
        lambda w: request(w.caller().token, scheme="DPoP"),
        ANY,
        {},
        401,
        "invalid_dpop_proof",
        ["DPoP"],
        "DPoP",
    ),
    "proof for another method": (
        lambda w: w.caller().request(w.caller().proof("POST")),
        ANY,
        {},
        401,
        "invalid_dpop_proof",
        ["DPoP"],
        "DPoP",
    ),
    "nonce missing": (
        lambda w: w.caller().request(),
        ANY,
        {"dpop_nonce": "required"},
        401,
        "use_dpop_nonce",
        ["DPoP"],
        "DPoP",
    ),
    "scope missing": (
        lambda w: w.bearer(),
        Requirement("a b", any_scope=["c", "d"]),
        {},
        403,
        "insufficient_scope",
        ["Bearer"],
        "Bearer",
    ),
    "scope missing, bound": (
        lambda w: w.caller().request(),
        Requirement("a"),
        {},
        403,
        "insufficient_scope",
        ["DPoP"],
        "DPoP",
    ),
    "realm not let in": (
        lambda w: w.bearer(),
        Requirement(realms="beta"),
        {},
        403,
        "access_denied",
        ["Bearer"],
        "Bearer",
    ),
    "delegation needed": (
        lambda w: w.bearer(),
        Requirement(delegation=Delegation()),
        {},
        403,
        "access_denied",
        ["Bearer"],
        "Bearer",
    ),
    "step-up": (
        lambda w: w.bearer(),
        Requirement("a", acr=["gold", "silver"], max_age=0),
        {"resource": "https://api.example.com/v1"},
        401,
        "insufficient_user_authentication",
        ["Bearer"],
        "Bearer",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_refusal_has_a_challenge_that_a_strict_client_reads(
    issuer: Issuer, clock: Clock, dpop_key: DPoPKey, make_verifier: MakeVerifier, name: str
) -> None:
    """RFC 6750 3, RFC 9110 11.2, RFC 9449 7.1; checklist 4-6."""
    make, requirement, settings, status, code, schemes, used = CASES[name]
    verifier = make_verifier(**settings)
    error, denial = denied(verifier, make(World(issuer, clock, dpop_key)), requirement)
    assert (denial.status, error.status_code) == (status, status)
    challenges = challenges_of(denial)
    assert [challenge.scheme for challenge in challenges] == schemes
    assert {challenge.scheme: challenge.error for challenge in challenges if challenge.error} == (
        {used: code} if used else {}
    )
    for challenge in challenges:
        assert ("algs" in challenge.parameters) == (challenge.scheme == "DPoP")
        assert challenge.parameters.get("scope") == (" ".join(requirement.scope_names()) or None)
        assert ("resource_metadata" in challenge.parameters) == ("resource" in settings)


@pytest.mark.parametrize("name", CASES)
def test_every_refusal_has_a_json_body_and_is_not_stored(
    issuer: Issuer, clock: Clock, dpop_key: DPoPKey, make_verifier: MakeVerifier, name: str
) -> None:
    """RFC 6750 3.1, 5.2 and the contract's section 2; checklist 4, 8."""
    make, requirement, settings, _, code, _, _ = CASES[name]
    _, denial = denied(make_verifier(**settings), make(World(issuer, clock, dpop_key)), requirement)
    body = json.loads(denial.body)
    assert set(body) == {"error", "error_description"}
    assert body["error"] == (code or "unauthorized")
    assert body["error_description"] in DESCRIPTIONS.values()
    assert header_of(denial.headers, "Content-Type") == "application/json"
    assert header_of(denial.headers, "Cache-Control") == "no-store"
    assert header_of(denial.headers, "Vary") == "Authorization, DPoP"


@pytest.mark.parametrize("name", CASES)
def test_in_an_event_loop_every_refusal_is_the_same(
    issuer: Issuer, clock: Clock, dpop_key: DPoPKey, make_async_verifier: Callable[..., AsyncVerifier], name: str
) -> None:
    """RFC 6750 3; checklist 4, 8: the async verifier lets nobody in whom the other one refuses."""
    make, requirement, settings, status, code, schemes, _ = CASES[name]
    verifier, sent = make_async_verifier(**settings), make(World(issuer, clock, dpop_key))
    with pytest.raises(Refused) as caught:
        asyncio.run(verifier.authorize(sent, requirement))
    denial = verifier.denial(caught.value, requirement)
    assert (denial.status, caught.value.error) == (status, code or "unauthorized")
    assert [challenge.scheme for challenge in challenges_of(denial)] == schemes


def test_an_outage_has_no_challenge_but_says_when_to_come_back(issuer: Issuer, make_verifier: MakeVerifier) -> None:
    """RFC 9110 10.2.3, 15.6.4; checklist 4: nothing the client could do about its credentials would help."""
    issuer.fail(503)
    error, denial = denied(make_verifier(), request(mint(issuer)))
    assert (error.status_code, error.error) == (503, "temporarily_unavailable")
    assert header_of(denial.headers, "WWW-Authenticate") is None
    assert int(header_of(denial.headers, "Retry-After") or 0) >= 1


def echoes(w: World) -> dict[str, Request]:
    """Requests with INJECTED wherever a client or an issuer can put it."""
    caller = w.caller()
    stranger = SigningKey.generate("ES256")
    proof = caller.claims
    tokens = {
        f"token {name}": realm_token(w.issuer, honest | {name: INJECTED})
        for honest in ({"iss": w.issuer.issuer_url("alpha"), "sub": "x", "iat": 1, "exp": 2_000_000_000},)
        for name in ("iss", "sub", "aud", "scope", "exp", "client_id", "token_type", "cnf", "acr", INJECTED)
    }
    tokens |= {f"token header {name}": realm_token(w.issuer, {}, **{name: INJECTED}) for name in ("kid", "typ", "alg")}
    tokens["foreign key"] = stranger.sign({"kid": INJECTED}, {"iss": w.issuer.issuer_url("alpha")})
    requests = {name: request(token) for name, token in tokens.items()}
    requests |= {
        f"proof {name}": caller.request(caller.raw_proof(proof(**{name: INJECTED})))
        for name in ("jti", "htm", "htu", "iat", "ath", "nonce")
    }
    requests["proof header"] = caller.request(caller.raw_proof(proof(), typ=INJECTED))
    requests["Authorization"] = request(INJECTED)
    requests["scheme"] = request("x", scheme=INJECTED)
    requests["method"] = caller.request(caller.proof(), method="INJECTED")
    requests["URL"] = caller.request(caller.proof(), url=URL + "/INJECTED")
    requests["DPoP"] = caller.request(INJECTED)
    return requests


def test_nothing_that_was_sent_gets_into_a_header_or_a_body(
    issuer: Issuer, clock: Clock, dpop_key: DPoPKey, make_verifier: MakeVerifier
) -> None:
    """RFC 6750 3 (%x20-21 / %x23-5B / %x5D-7E only); checklist 5."""
    verifier = make_verifier(dpop_nonce="required")
    requirement = Requirement("needed", acr="gold")
    for name, sent in echoes(World(issuer, clock, dpop_key)).items():
        error, denial = denied(verifier, sent, requirement)
        answer = repr(denial.headers) + denial.body.decode("ascii")
        assert not any(part in answer for part in ("INJECTED", "X-Evil", "é", "\\u", "☃")), name
        assert all(value.isascii() and value.isprintable() for _, value in denial.headers), name
        assert "INJECTED" not in str(error), name
        challenges_of(denial)


def test_an_applications_own_words_are_cut_down_to_what_a_challenge_may_hold(make_verifier: MakeVerifier) -> None:
    """RFC 6750 3; checklist 5."""
    denial = make_verifier().denial(StrongDMAuthError(f"No: {INJECTED}", 401))
    assert challenges_of(denial)[0].parameters["error_description"].isascii()
    assert json.loads(denial.body)["error_description"] == f"No: {INJECTED}"


@pytest.mark.parametrize("scope", ['"', "a\\b", "é", "a\nb\x00", "\x7f"])
def test_a_scope_that_no_challenge_can_hold_is_a_configuration_error(scope: str) -> None:
    """RFC 6750 3, RFC 6749 3.3; checklist 6."""
    with pytest.raises(ConfigurationError, match=r"RFC 6749 3\.3"):
        Requirement([scope])


@pytest.mark.parametrize(
    "value",
    [
        "Bearer",
        "Bearer ",
        'Bearer realm="a",error="b"',
        'Bearer realm="a", realm="b"',
        'Bearer realm="a", DPoP',
        "Bearer realm=a",
        'Bearer realm="a\\"b"',
        'Bearer realm="a", Bearer error="b"',
        'Bearer scope="a  b"',
        'Bearer realm="a", ',
        'Bearer realm="é"',
    ],
)
def test_the_parser_of_these_tests_is_strict(value: str) -> None:
    """RFC 9110 11.2; checklist 4: a check that lets everything pass checks nothing."""
    with pytest.raises(BadChallenge):
        parse_challenges(value)
