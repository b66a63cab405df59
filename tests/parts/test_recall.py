"""The warm way through the verifier (`ResourceServer.recall`) is a shortcut and nothing else: it changes no answer."""

from collections import deque
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from strongdm_auth import Refused, Request, Requirement, Verifier, jose
from strongdm_auth.testing import Clock, DPoPKey, Issuer
from tests.conftest import AUDIENCE, NOW, URL, request

Make = Callable[..., Verifier]


def outcome(verifier: Verifier, asked: Request, requirement: Requirement | None = None) -> Any:
    try:
        return verifier.authenticate(asked) if requirement is None else verifier.authorize(asked, requirement)
    except Refused as refusal:
        return type(refusal), refusal.reason, refusal.scheme, verifier.denial(refusal)


def recalled(verifier: Verifier, asked: Request) -> bool:
    """Whether the warm way has an answer now."""
    return verifier._server.recall(asked, NOW)[0] is not None


@pytest.fixture
def token(issuer: Issuer) -> str:
    return issuer.token("cli_agent", scopes=["read"], realm="alpha", audience=AUDIENCE)


def test_a_token_is_recalled_from_its_second_request_on(make_verifier: Make, token: str) -> None:
    verifier = make_verifier()
    assert not recalled(verifier, request(token))
    first = verifier.authenticate(request(token))
    assert recalled(verifier, request(token))
    assert verifier.authenticate(request(token)) is first


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "Bearer {}"), ("Authorization", "Bearer {}")],
        [("Authorization", "Bearer {} ")],
        [("Authorization", " Bearer {}")],
        [("Authorization", "Bearer  {}")],
        [("Authorization", "bearer {}")],
        [("Authorization", "DPoP {}")],
        [("Authorization", "Bearer {}x")],
        [("Authorization", "Bearer {},Bearer {}")],
        [("Authorization", "Bearer {}"), ("DPoP", "x")],
        [("Authorization", "Basic {}")],
        [],
    ],
)
@pytest.mark.parametrize("query", ["", "?a=1", "?access_token=x", "?access%5Ftoken=x"])
@pytest.mark.parametrize("settings", [{}, {"dpop": "required"}])
def test_warm_and_cold_give_the_same_answer(
    headers: list[tuple[str, str]], query: str, settings: dict[str, Any], make_verifier: Make, token: str
) -> None:
    asked = Request("GET", URL + query, [(name, value.replace("{}", token)) for name, value in headers])
    warm, cold = make_verifier(**settings), make_verifier(**settings)
    for scheme in ("Bearer", "DPoP"):
        outcome(warm, request(token, scheme=scheme))
    assert outcome(warm, asked) == outcome(cold, asked)
    assert outcome(warm, asked) == outcome(cold, asked)


def test_a_recalled_bound_token_needs_a_fresh_proof_each_time(issuer: Issuer, make_verifier: Make) -> None:
    verifier, key, thief = make_verifier(), DPoPKey.generate(), DPoPKey.generate()
    token = issuer.token("cli_agent", realm="alpha", audience=AUDIENCE, key=key)

    def proof(prover: DPoPKey = key, url: str = URL) -> str:
        return prover.proof("GET", url, token, now=NOW)

    used = proof()
    assert outcome(verifier, request(token, used)).subject == "cli_agent"
    assert outcome(verifier, request(token, proof())).subject == "cli_agent"
    assert outcome(verifier, request(token, used))[1:3] == ("dpop.replayed", "DPoP")
    assert outcome(verifier, request(token, proof(url=URL + "/else")))[1:3] == ("dpop.htu_mismatch", "DPoP")
    assert outcome(verifier, request(token, proof(thief)))[1:3] == ("token.key_mismatch", "DPoP")
    assert outcome(verifier, request(token, scheme="DPoP"))[1:3] == ("dpop.missing", "DPoP")
    assert outcome(verifier, request(token))[1:3] == ("token.bound", "Bearer")


def test_a_recalled_token_expires(clock: Clock, make_verifier: Make, token: str) -> None:
    verifier = make_verifier(jwks_max_age=86_400)
    verifier.authenticate(request(token))
    clock.advance(3600 + 29)
    assert verifier.authenticate(request(token)).subject == "cli_agent"
    clock.advance(1)
    assert outcome(verifier, request(token))[1:3] == ("token.expired", "Bearer")


def test_a_recalled_token_is_refused_when_its_key_is_withdrawn(
    issuer: Issuer, clock: Clock, make_verifier: Make, token: str
) -> None:
    verifier = make_verifier()
    verifier.authenticate(request(token))
    issuer.rotate("alpha")
    other = issuer.token("cli_other", realm="alpha", audience=AUDIENCE)
    assert verifier.authenticate(request(other)).subject == "cli_other"  # its unknown key has the set fetched
    assert outcome(verifier, request(token))[1] == "token.key_unknown"


def test_a_recalled_token_does_not_outlive_what_the_issuer_may_be_away_for(
    issuer: Issuer, clock: Clock, make_verifier: Make
) -> None:
    token = issuer.token("cli_agent", realm="alpha", audience=AUDIENCE, lifetime=86_400)
    verifier = make_verifier()
    verifier.authenticate(request(token))
    issuer.fail(503)
    clock.advance(900 + 3600)
    assert outcome(verifier, request(token))[1] == "keys.unavailable"


def test_requirements_are_held_against_a_recalled_token(make_verifier: Make, token: str) -> None:
    verifier = make_verifier()
    verifier.authenticate(request(token))
    assert outcome(verifier, request(token), Requirement(scopes="read")).subject == "cli_agent"
    assert outcome(verifier, request(token), Requirement(scopes="admin"))[1:3] == ("scope.insufficient", "Bearer")
    assert outcome(verifier, request(token), Requirement(dpop=True))[1] == "token.unbound"


@pytest.mark.parametrize("requirement", [None, Requirement(introspect=True)])
def test_introspection_is_asked_for_a_recalled_token_too(
    requirement: Requirement | None, issuer: Issuer, make_verifier: Make, token: str
) -> None:
    client = issuer.client("api", realm="alpha")
    verifier = make_verifier(
        introspection="always" if requirement is None else "off",
        introspection_ttl=0,
        client_id=client.client_id,
        client_secret=client.client_secret,
    )
    assert outcome(verifier, request(token), requirement).introspected
    issuer.revoke(token)
    assert outcome(verifier, request(token), requirement)[1] == "token.inactive"


def test_two_verifiers_share_no_verdict(issuer: Issuer, clock: Clock, make_verifier: Make, token: str) -> None:
    make_verifier().authenticate(request(token))
    other = Verifier(
        client=httpx.Client(transport=issuer.transport()),
        clock=clock,
        issuer=issuer.url,
        realms=["alpha"],
        audience="https://else.example",
    )
    assert outcome(other, request(token))[1] == "token.audience"


# A token that was never seen, once its issuer's keys are there


def unseen(issuer: Issuer, name: str) -> str:
    """A token nobody has seen, with something wrong with it; an Authorization value where the name says so."""
    if name in BAD:
        return issuer.token("cli_agent", **({"realm": "alpha", "audience": AUDIENCE} | BAD[name]))
    good = issuer.token("cli_agent", realm="alpha", audience=AUDIENCE)
    header, payload, signature = good.split(".")
    spoilt: dict[str, str] = {
        "good": good,
        "of another realm": issuer.token("cli_agent", realm="beta", audience=AUDIENCE),
        "signed by another realm": f"{header}.{payload}.{issuer.token('x', realm='beta').split('.')[2]}",
        "with a key that nobody knows": f"eyJhbGciOiJFUzI1NiIsImtpZCI6Im5vYm9keSJ9.{payload}.{signature}",
        "unsigned": f"eyJhbGciOiJub25lIn0.{payload}.{signature}",
        "cut": f"{header}.{payload}",
        "lengthened": f"{good}.{signature}",
        "padded": f"{good}==",
        "with stray characters": f"{header}.{payload}!.{signature}",
        "without JSON": f"{header}.{header[:-2]}.{signature}",
        "with two spaces": f" {good}",
        "with a space behind": f"{good} ",
        "opaque": "mF_9.B5f-4.1JqM",
        "empty": "",
    }
    return spoilt[name]


UNSEEN = [
    "good",
    "of another realm",
    "signed by another realm",
    "with a key that nobody knows",
    "unsigned",
    "cut",
    "lengthened",
    "padded",
    "with stray characters",
    "without JSON",
    "with two spaces",
    "with a space behind",
    "opaque",
    "empty",
]


@pytest.mark.parametrize("scheme", ["Bearer", "DPoP", "bearer", "Basic"])
@pytest.mark.parametrize("name", [*UNSEEN, "expired", "for another API", "bound in an unknown way"])
def test_a_token_at_first_sight_is_judged_as_the_story_does(
    name: str, scheme: str, issuer: Issuer, make_verifier: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, story = make_verifier(), make_verifier()
    for verifier in (short, story):
        outcome(verifier, request(issuer.token("cli_agent", realm="alpha", audience=AUDIENCE)))
        outcome(verifier, request(unseen(issuer, "with a key that nobody knows")))  # now the cooldown holds
    monkeypatch.setattr(story._server, "recall", lambda *_: (None, None))
    asked = request(unseen(issuer, name), scheme=scheme)
    for _ in range(2):
        assert outcome(short, asked) == outcome(story, asked)


def test_what_needs_nothing_of_the_world_needs_no_story(issuer: Issuer, make_verifier: Make) -> None:
    verifier, fetched = make_verifier(), len(issuer.requests)
    for name in ("good", "with a key that nobody knows"):
        outcome(verifier, request(unseen(issuer, name)))
    assert len(issuer.requests) > fetched
    assert recalled(verifier, request(unseen(issuer, "good")))
    with pytest.raises(Refused, match="unknown key"):
        recalled(verifier, request(unseen(issuer, "with a key that nobody knows")))


def test_an_unknown_key_has_the_set_fetched_before_it_is_refused(issuer: Issuer, make_verifier: Make) -> None:
    verifier = make_verifier()
    outcome(verifier, request(unseen(issuer, "good")))
    assert not recalled(verifier, request(unseen(issuer, "with a key that nobody knows")))
    issuer.rotate("alpha")
    assert outcome(verifier, request(unseen(issuer, "good"))).subject == "cli_agent"


def test_a_token_that_is_too_long_for_its_scheme_is_not_looked_at(issuer: Issuer, make_verifier: Make) -> None:
    key = DPoPKey.generate()
    token = issuer.token("cli_agent", realm="alpha", audience=AUDIENCE, key=key)
    verifier = make_verifier(max_token_bytes=len(token) - 1)
    outcome(verifier, request(issuer.token("x", realm="alpha", audience=AUDIENCE)))
    proof = key.proof("GET", URL, token, now=NOW)
    assert outcome(verifier, request(token, proof))[1:3] == ("token.too_long", "DPoP")


def test_keys_that_are_too_old_are_fetched_before_a_token_is_judged_by_them(
    issuer: Issuer, clock: Clock, make_verifier: Make
) -> None:
    verifier = make_verifier()
    outcome(verifier, request(unseen(issuer, "good")))
    clock.advance(900 + 3600)
    assert verifier._server.recall(request(unseen(issuer, "good")), clock())[0] is None
    issuer.fail(503)
    assert outcome(verifier, request(unseen(issuer, "good")))[1] == "keys.unavailable"


def test_another_issuers_token_is_refused_as_such_at_first_sight(issuer: Issuer, make_verifier: Make) -> None:
    verifier = make_verifier()
    outcome(verifier, request(unseen(issuer, "good")))
    assert outcome(verifier, request(unseen(issuer, "of another realm")))[1] == "token.issuer"


def test_a_revoked_token_is_refused_at_first_sight(issuer: Issuer, make_verifier: Make) -> None:
    verifier = make_verifier()
    outcome(verifier, request(unseen(issuer, "good")))
    token = issuer.token("cli_other", realm="alpha", audience=AUDIENCE)
    verifier.revoke(token)
    assert outcome(verifier, request(token))[1] == "token.revoked"


# What else is remembered: token headers, and keys in the library's form


BAD: dict[str, dict[str, Any]] = {
    "expired": {"claims": {"exp": NOW - 60}},
    "from tomorrow": {"claims": {"nbf": NOW + 86_400}},
    "for another API": {"audience": "https://else.example"},
    "no access token": {"claims": {"token_type": "id_token"}},
    "without subject": {"claims": {"sub": None}},
    "bound in an unknown way": {"claims": {"cnf": {"x5t#S256": "A" * 43}}},
}


@pytest.mark.parametrize("name", BAD)
def test_a_known_header_spares_a_token_none_of_the_checks(
    name: str, issuer: Issuer, make_verifier: Make, token: str
) -> None:
    warm, cold = make_verifier(), make_verifier()
    warm.authenticate(request(token))
    bad = issuer.token("cli_agent", **({"realm": "alpha", "audience": AUDIENCE} | BAD[name]))
    assert bad.split(".")[0] == token.split(".")[0] in warm._server._headers_known._entries
    assert outcome(warm, request(bad)) == outcome(cold, request(bad))
    assert outcome(warm, request(bad))[0] is not None


@pytest.mark.parametrize("part", ["payload", "signature"])
def test_a_known_header_vouches_for_no_signature(part: str, issuer: Issuer, make_verifier: Make, token: str) -> None:
    warm = make_verifier()
    warm.authenticate(request(token))
    other = issuer.token("cli_other", realm="beta", audience=AUDIENCE)
    header, payload, signature = token.split(".")
    forged = [header, other.split(".")[1], signature] if part == "payload" else [header, payload, other.split(".")[2]]
    assert outcome(warm, request(".".join(forged)))[0] is not None
    assert isinstance(outcome(warm, request(".".join(forged))), tuple)


def test_a_header_is_remembered_only_once_a_signature_under_it_held(issuer: Issuer, make_verifier: Make) -> None:
    verifier, good = make_verifier(), issuer.token("cli_agent", realm="alpha", audience=AUDIENCE)
    header, payload, _ = good.split(".")
    for bad in (f"{header}.{payload}.{'A' * 86}", issuer.token("x", realm="alpha", audience="https://else.example")):
        assert isinstance(outcome(verifier, request(bad)), tuple)
        assert not len(verifier._server._headers_known)
    verifier.authenticate(request(good))
    assert len(verifier._server._headers_known) == 1


def test_keys_that_were_put_aside_verify_when_they_come_back(
    issuer: Issuer, make_verifier: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jose, "LOADED_KEYS", 2)
    monkeypatch.setattr(jose, "_loaded", deque())
    verifier, thief = make_verifier(), DPoPKey.generate()
    agents = [DPoPKey.generate(alg) for alg in ("ES256", "ES384", "RS256", "PS256", "EdDSA", "ES256")]
    tokens = [issuer.token("cli_agent", realm="alpha", audience=AUDIENCE, key=key) for key in agents]
    for _ in range(3):
        for key, token in zip(agents, tokens, strict=True):
            assert outcome(verifier, request(token, key.proof("GET", URL, token, now=NOW))).subject == "cli_agent"
            bad = outcome(verifier, request(token, thief.proof("GET", URL, token, now=NOW)))
            assert bad[1:3] == ("token.key_mismatch", "DPoP")
            assert len(jose._loaded) <= 2
