"""What a route gets of each claim (RFC 9068 2.2), and what is an access token though it looks like something else."""

from typing import Any

import pytest

from strongdm_auth import AccessToken, InvalidToken, Verifier
from strongdm_auth.settings import SecurityWarning
from strongdm_auth.testing import Issuer
from strongdm_auth.tokens import MOST_ACTORS, Actor
from tests.conftest import AUDIENCE, NOW, request

from .support import MakeVerifier, honest_claims, mint, opaque_token, script_introspection

ALPHA = "https://id.strongdm.test/realms/alpha"


def read(issuer: Issuer, verifier: Verifier, media_type: str = "at+jwt", /, **claims: Any) -> AccessToken:
    """The token that a route gets, of honest claims with these laid over; None leaves one out."""
    members = {name: value for name, value in honest_claims(**claims).items() if value is not None}
    return verifier.authenticate(request(issuer.signing_key("alpha", "ES256").sign({"typ": media_type}, members)))


def test_every_claim_is_where_a_route_looks_for_it(issuer: Issuer, verifier: Verifier) -> None:
    token = read(issuer, verifier, scope="read write", client_id="cli_app", aud=[AUDIENCE, "https://other.example.com"])
    assert (token.subject, token.issuer, token.realm, token.client_id) == ("cli_agent", ALPHA, "alpha", "cli_app")
    assert token.scopes == {"read", "write"}
    assert token.audience == (AUDIENCE, "https://other.example.com")
    assert (token.issued_at, token.expires_at, token.token_id) == (int(NOW), int(NOW) + 3600, "a-token")
    assert (token.key_thumbprint, token.actor, token.delegation, token.introspected) == (None, None, (), False)
    assert token.claims["scope"] == token["scope"] == "read write"


@pytest.mark.parametrize(
    ("client_id", "azp", "expected"),
    [("a", "b", "a"), ("a", None, "a"), (None, "b", "b"), ("", "b", "b"), (None, None, None)],
)
def test_the_client_is_client_id_or_else_azp(
    issuer: Issuer, verifier: Verifier, client_id: str | None, azp: str | None, expected: str | None
) -> None:
    assert read(issuer, verifier, client_id=client_id, azp=azp).client_id == expected


def test_what_is_not_there_is_none(issuer: Issuer, verifier: Verifier) -> None:
    token = read(issuer, verifier, jti=None, scope=None)
    assert (token.token_id, token.scopes) == (None, frozenset())


def chain(*subjects: str) -> dict[str, Any]:
    """An `act` claim, outermost first."""
    act: dict[str, Any] = {}
    for subject in reversed(subjects):
        act = {"sub": subject, "iss": ALPHA} | ({"act": act} if act else {})
    return act


def test_the_outermost_actor_is_the_one_now_acting(issuer: Issuer, verifier: Verifier) -> None:
    """RFC 8693 4.1."""
    token = read(issuer, verifier, act=chain("now", "before", "first"))
    assert [actor.subject for actor in token.delegation] == ["now", "before", "first"]
    assert {actor.issuer for actor in token.delegation} == {ALPHA}
    assert token.actor is token.delegation[0]
    assert token.actor.actor is token.delegation[1]
    assert token.delegation[-1].actor is None


@pytest.mark.parametrize(
    ("act", "seen"),
    [
        ({}, [Actor(None)]),
        ("agent", [Actor(None)]),
        ({"sub": 7, "iss": 7}, [Actor(None)]),
        ({"sub": ""}, [Actor(None)]),
        ({"sub": "a", "act": "b"}, [Actor("a", None, Actor(None)), Actor(None)]),
    ],
)
def test_an_actor_that_cannot_be_told_is_an_actor_all_the_same(
    issuer: Issuer, verifier: Verifier, act: Any, seen: list[Actor]
) -> None:
    """RFC 8693 4.1: who would take it for nobody would let a delegated token in where none is."""
    assert list(read(issuer, verifier, act=act).delegation) == seen


def test_a_chain_is_followed_for_sixteen_actors_and_then_cut_off(issuer: Issuer, verifier: Verifier) -> None:
    assert MOST_ACTORS == 16
    names = [f"agent {number}" for number in range(17)]
    assert [actor.subject for actor in read(issuer, verifier, act=chain(*names[:16])).delegation] == names[:16]
    assert [actor.subject for actor in read(issuer, verifier, act=chain(*names)).delegation] == [*names[:16], None]


@pytest.mark.parametrize("aud", ["https://other.example.com", ["a", "b"], None])
def test_without_an_audience_of_ours_a_token_for_anybody_is_let_in(
    issuer: Issuer, make_verifier: MakeVerifier, aud: Any
) -> None:
    """The contract: unset, it is not checked; the start-up says so."""
    with pytest.warns(SecurityWarning, match="audience is not set"):
        verifier = make_verifier(audience=None)
    assert read(issuer, verifier, aud=aud).subject == "cli_agent"


def test_without_an_audience_of_ours_an_answer_for_anybody_is_taken(issuer: Issuer, asking: MakeVerifier) -> None:
    with pytest.warns(SecurityWarning, match="audience is not set"):
        verifier = asking("fallback", audience=None)
    script_introspection(issuer, aud=...)
    assert verifier.authenticate(request(opaque_token(issuer))).audience == ()


SAYS_WHAT_IT_IS: list[tuple[str, dict[str, Any]]] = [
    ("at+jwt", {"nonce": "n", "at_hash": "h"}),
    ("at+jwt", {"sub": "spiffe://strongdm.test/agent/x"}),
    ("at+jwt", {"azp": AUDIENCE, "aud": AUDIENCE}),
    ("JWT", {"nonce": "n", "token_type": "access_token"}),
    ("JWT", {"nonce": "n", "typ": "Bearer"}),
    ("JWT", {"nonce": "n", "typ": "DPoP"}),
    ("JWT", {"nonce": "n", "token_use": "access"}),
    ("JWT", {"azp": "cli_agent", "aud": AUDIENCE}),
    ("JWT", {"azp": AUDIENCE, "aud": [AUDIENCE, "https://other.example.com"]}),
]


@pytest.mark.parametrize(("typ", "claims"), SAYS_WHAT_IT_IS, ids=str)
def test_what_says_that_it_is_an_access_token_is_one(
    issuer: Issuer, verifier: Verifier, typ: str, claims: dict[str, Any]
) -> None:
    """RFC 8725 3.12: the looks of an ID token or an SVID count only where nothing says more."""
    assert read(issuer, verifier, typ, **claims).claims.items() >= claims.items()


@pytest.mark.parametrize("claim", ["nonce", "at_hash", "c_hash", "s_hash"])
def test_each_claim_of_an_id_token_alone_gives_it_away(issuer: Issuer, verifier: Verifier, claim: str) -> None:
    """OIDC Core 2, 3.3.2.11, RFC 8725 3.12."""
    with pytest.raises(InvalidToken) as caught:
        read(issuer, verifier, "JWT", **{claim: "x"})
    assert caught.value.reason == "token.type"


def test_one_request_cannot_alter_what_the_next_one_reads(issuer: Issuer, verifier: Verifier) -> None:
    token = mint(issuer, claims={"groups": ["a"]})
    with pytest.raises(TypeError):
        verifier.authenticate(request(token)).claims["groups"].append("admin")
    assert list(verifier.authenticate(request(token)).claims["groups"]) == ["a"]
