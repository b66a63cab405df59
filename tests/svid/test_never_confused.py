"""An SVID is not an access token, nor the reverse (checklist 83). Here the two even have the same key under the same `kid`, in
the bundle and in the issuer's key set, so that nothing but the kind tells them apart."""

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import pytest

from strongdm_auth import Delegation, Refused, Requirement, Verifier
from strongdm_auth.flow import Admission
from strongdm_auth.testing import DPoPKey, SigningKey
from tests.conftest import URL, request
from tests.parts.world import ALPHA, World

from .domains import ANY_OF_A, Domain, jwt_svid_key, told, told_in_loop

ANY = Requirement()
#: What routes for access tokens ask.
OF_TOKENS = {
    "any": ANY,
    "scopes": Requirement("read"),
    "any_scope": Requirement(any_scope="read write"),
    "optional": Requirement(optional=True),
    "dpop": Requirement(dpop=True),
    "introspect": Requirement(introspect=True),
    "realms": Requirement(realms="alpha"),
    "delegation": Requirement(delegation=Delegation(forbid=True)),
}
ASKING = {"client_id": "api", "client_secret": "secret"}
Told = Callable[..., str]


class Shared:
    """One key that is in both documents, and what it signs."""

    def __init__(self, world: World, a: Domain) -> None:
        self.world, self.a = world, a
        made = SigningKey.generate("ES256", kid="one-for-all")
        world.publish(made)
        a.key = SigningKey("ES256", made.kid, "jwt-svid", made.private_key)
        a.publish(a.key)

    def token(self, typ: str | None = "at+jwt", /, **claims: Any) -> str:
        return self.world.token(self.a.key, header={"typ": typ}, **claims)

    def svid(self, typ: str | None = "JWT", /, **claims: Any) -> str:
        return self.a.svid(header={"typ": typ}, iss=ALPHA, **claims)


@pytest.fixture
def shared(world: World, a: Domain) -> Shared:
    return Shared(world, a)


@pytest.fixture(params=["threads", "loops"])
def asked(request: pytest.FixtureRequest, world: World, a: Domain, b: Domain) -> Callable[..., Told]:
    """A way to ask one verifier with these settings, of either kind."""

    def made(**settings: Any) -> Told:
        known: dict[str, Any] = {"trust_domains": {a.name: a.url, b.name: b.url}}
        if request.param == "threads":
            verifier = world.verifier(**known | settings)
            return lambda token, needs: told(verifier, token, needs)
        looped = world.async_verifier(**known | settings)
        return lambda token, needs: asyncio.run(told_in_loop(looped, token, needs))

    return made


@pytest.mark.parametrize("needs", OF_TOKENS.values(), ids=list(OF_TOKENS))
@pytest.mark.parametrize("typ", [None, "JWT", "JOSE"])
def test_an_svid_is_no_access_token(
    typ: str | None, needs: Requirement, asked: Callable[..., Told], shared: Shared
) -> None:
    ask, svid = asked(**ASKING), shared.svid(typ)
    assert ask(svid, needs) == "token.type"
    assert ask(svid, ANY_OF_A) == "in"
    assert ask(svid, needs) == "token.type", "although it is remembered"
    assert not any("introspect" in url for url in shared.world.calls)


@pytest.mark.parametrize("profile", ["strongdm", "rfc9068"])
def test_in_no_profile(profile: str, asked: Callable[..., Told], shared: Shared) -> None:
    svid = shared.svid(client_id="cli_x", jti="1")
    assert asked(token_profile=profile)(svid, ANY) == "token.type"


@pytest.mark.parametrize(
    ("typ", "claims"),
    [
        ("at+jwt", {}),
        ("application/at+jwt", {}),
        ("at+jwt", {"sub": "spiffe://a.example/agents/billing", "scope": None}),
        ("JWT", {}),
        (None, {}),
        (None, {"scope": None}),
        (None, {"sub": "spiffe://a.example/agents/billing"}),
        (None, {"sub": "spiffe://a.example/agents/billing", "scope": None, "token_type": "access_token"}),
        (None, {"sub": "spiffe://a.example/agents/billing", "scope": None, "token_use": "access"}),
        (None, {"sub": "spiffe://a.example/agents/billing", "scope": None, "typ": "Bearer"}),
    ],
    ids=str,
)
def test_an_access_token_is_no_svid(
    typ: str | None, claims: dict[str, Any], asked: Callable[..., Told], shared: Shared
) -> None:
    ask, token = asked(), shared.token(typ, **claims)
    as_token = "in" if claims.get("sub") is None or typ or len(claims) > 2 else "token.type"
    assert ask(token, ANY_OF_A) == "svid.type"
    assert ask(token, ANY) == as_token
    assert ask(token, ANY_OF_A) == "svid.type", "although it is remembered"


@pytest.mark.parametrize("sub", ["SPIFFE://a.example/x", "Spiffe://a.example/x", "spiffe:a.example"])
def test_no_spelling_of_the_scheme_makes_an_access_token_of_an_svid(
    sub: str, asked: Callable[..., Told], shared: Shared
) -> None:
    """SPIFFE-ID 2: some libraries take a scheme in capitals for the same."""
    assert asked()(shared.token(None, sub=sub), ANY) == "token.type"


def test_a_key_of_the_bundle_signs_no_access_token(asked: Callable[..., Told], world: World, a: Domain) -> None:
    ask = asked()
    assert ask(a.svid(), ANY_OF_A) == "in"
    assert ask(world.token(a.key, header={"typ": "at+jwt"}), ANY) == "token.key_unknown"


def test_not_even_where_one_document_is_both(asked: Callable[..., Told], world: World, a: Domain) -> None:
    """`use` tells whose a key is, and one of the bundle is not taken for an issuer's by lying beside it."""
    of_issuer, of_bundle = SigningKey.generate("ES256"), jwt_svid_key()
    world.publish_jwks([of_issuer.public_jwk(), of_bundle.public_jwk()])
    ask = asked(trust_domains={a.name: f"{ALPHA}/jwks"})
    assert ask(world.token(of_issuer, header={"typ": "at+jwt"}), ANY) == "in"
    assert ask(world.token(of_bundle, header={"typ": "at+jwt"}), ANY) == "token.key_unknown"
    assert ask(a.svid(key=of_bundle), ANY_OF_A) == "in"
    assert ask(a.svid(key=of_issuer), ANY_OF_A) == "token.key_unknown"


def test_a_key_of_the_issuer_signs_no_svid(asked: Callable[..., Told], world: World, a: Domain) -> None:
    of_issuer = SigningKey.generate("ES256")
    world.publish(of_issuer)
    ask = asked()
    assert ask(world.token(of_issuer, header={"typ": "at+jwt"}), ANY) == "in"
    assert ask(a.svid(key=of_issuer, iss=ALPHA), ANY_OF_A) == "token.key_unknown"


def test_a_domain_is_no_issuer(asked: Callable[..., Told], world: World, a: Domain) -> None:
    ask = asked(realms="*")
    for iss in ("spiffe://a.example", a.url, a.name):
        assert ask(world.token(a.key, header={"typ": "at+jwt"}, iss=iss), ANY) == "token.issuer"


@pytest.mark.parametrize("needs", [ANY_OF_A, Requirement(spiffe_ids="spiffe://a.example/*", optional=True)])
def test_an_optional_route_is_no_way_around(needs: Requirement, asked: Callable[..., Told], shared: Shared) -> None:
    ask = asked()
    assert ask(shared.token(), needs) == "svid.type"
    assert ask(shared.svid(exp=1), needs) == "token.expired"
    assert ask(shared.svid(sub="spiffe://b.example/x"), needs) == "token.key_unknown"


def test_nobody_passes_an_optional_route_for_workloads_and_no_other(verifier: Verifier) -> None:
    assert verifier.authorize(request(), Requirement(spiffe_ids="spiffe://a.example/*", optional=True)) is None
    with pytest.raises(Refused) as refused:
        verifier.authorize(request(), ANY_OF_A)
    assert refused.value.reason == "credentials.missing"


def test_nothing_binds_an_svid(make: Callable[..., Verifier], shared: Shared) -> None:
    """Where all tokens have to be bound, none comes in; nor by the scheme of those that are."""
    key, svid = DPoPKey.generate(), shared.svid()
    for verifier in (make(), make(dpop="required")):
        proven = request(svid, key.proof("GET", URL, svid, now=shared.world.clock()))
        with pytest.raises(Refused) as refused:
            verifier.authorize(proven, ANY_OF_A)
        assert (refused.value.reason, refused.value.scheme) == ("token.unbound", "DPoP")
    assert told(make(dpop="required"), svid) == "token.unbound"
    assert told(make(), svid, Requirement(spiffe_ids="spiffe://a.example/*", dpop=True)) == "token.unbound"


def test_a_bound_token_with_its_proof_is_no_workload(make: Callable[..., Verifier], shared: Shared) -> None:
    key = DPoPKey.generate()
    token = shared.token(cnf={"jkt": key.thumbprint})
    verifier = make()

    def sent() -> Any:
        return request(token, key.proof("GET", URL, token, now=shared.world.clock()))

    assert verifier.authorize(sent(), ANY) is not None
    with pytest.raises(Refused) as refused:
        verifier.authorize(sent(), ANY_OF_A)
    assert refused.value.reason == "token.unbound"


@pytest.mark.parametrize("mode", ["fallback", "always"])
def test_the_issuer_is_never_asked_about_an_svid(
    mode: Literal["fallback", "always"], asked: Callable[..., Told], shared: Shared
) -> None:
    """It has no word for what it did not issue as a token; and what is no JWT is no SVID, whatever it would say."""
    ask = asked(introspection=mode, **ASKING)
    assert ask(shared.svid(), ANY_OF_A) == "in"
    assert ask("an-opaque-token", ANY_OF_A) == "svid.malformed"
    assert ask(shared.token(), ANY_OF_A) == "svid.type"
    assert ask(shared.svid(), ANY_OF_A & Requirement(introspect=True)) == "svid.not_admitted"
    assert set(shared.world.calls) == {shared.a.url}


@pytest.mark.parametrize("twice", [False, True])
def test_a_route_that_must_ask_the_issuer_lets_no_workload_in(
    twice: bool, asked: Callable[..., Told], shared: Shared
) -> None:
    ask, svid = asked(**ASKING), shared.svid()
    if twice:
        assert ask(svid, ANY_OF_A) == "in"
    needs = Requirement(introspect=True, spiffe_ids="spiffe://a.example/*")
    assert ask(svid, needs) == "svid.not_admitted"


# Both at once


def test_a_requirement_for_both_is_met_by_nobody(asked: Callable[..., Told], shared: Shared) -> None:
    ask = asked(**ASKING)
    for name, needs in OF_TOKENS.items():
        both = needs & ANY_OF_A
        assert both.spiffe_ids == ANY_OF_A.spiffe_ids
        assert not both.optional
        assert ask(shared.token(), both) == "svid.type", name
    reasons = {name: ask(shared.svid(), needs & ANY_OF_A) for name, needs in OF_TOKENS.items()}
    assert reasons == {
        "any": "in",
        "scopes": "scope.insufficient",
        "any_scope": "scope.insufficient",
        "optional": "in",
        "dpop": "token.unbound",
        "introspect": "svid.not_admitted",
        "realms": "realm.not_admitted",
        "delegation": "in",
    }


@pytest.mark.parametrize(
    ("first", "second", "answer"),
    [
        ("spiffe://a.example/*", "spiffe://a.example/agents/*", "in"),
        ("spiffe://a.example/*", "spiffe://a.example/people/*", "svid.not_admitted"),
        ("spiffe://b.example/*", "spiffe://a.example/*", "svid.not_admitted"),
        (["spiffe://b.example/*", "spiffe://a.example/agents/*"], "spiffe://a.example/*", "in"),
    ],
)
def test_two_sets_of_patterns_have_both_to_fit(
    first: Any, second: Any, answer: str, verifier: Verifier, a: Domain
) -> None:
    one, two = Requirement(spiffe_ids=first), Requirement(spiffe_ids=second)
    assert told(verifier, a.svid(), one & two) == told(verifier, a.svid(), two & one) == answer
    assert (one & one).spiffe_ids == one.spiffe_ids


def _again(verifier: Verifier, sent: str, first: Requirement, then: Requirement) -> str:
    """What the second gate of one request says, which is told what the first one found."""
    kept = verifier.admit(request(sent), first)
    assert isinstance(kept, Admission)
    try:
        verifier.admit(request(sent), then, kept)
    except Refused as refusal:
        return refusal.reason
    return "in"


def test_behind_a_gate_that_let_a_token_in_no_route_is_for_workloads(
    make: Callable[..., Verifier], shared: Shared
) -> None:
    verifier = make()
    for token in (shared.token(), shared.token(sub="spiffe://a.example/agents/billing")):
        assert _again(verifier, token, ANY, ANY_OF_A) == "svid.needed"
        assert _again(verifier, token, ANY, Requirement(spiffe_ids="spiffe://a.example/*", optional=True)) == (
            "svid.needed"
        )
    with pytest.raises(Refused, match="required, and not an access token"):
        verifier.admit(request(shared.token()), ANY_OF_A, verifier.admit(request(shared.token()), ANY))


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        (Requirement("read"), "scope.insufficient"),
        (Requirement(any_scope="read write"), "scope.insufficient"),
        (Requirement(dpop=True), "token.unbound"),
        (Requirement(introspect=True), "svid.not_admitted"),
        (Requirement(realms="alpha"), "realm.not_admitted"),
        (Requirement(delegation=Delegation()), "delegation.missing"),
        (Requirement(acr="gold"), "step_up.acr"),
        (Requirement(max_age=60), "step_up.max_age"),
        (Requirement(spiffe_ids="spiffe://a.example/people/*"), "svid.not_admitted"),
        (Requirement(spiffe_ids="spiffe://a.example/agents/*"), "in"),
    ],
)
def test_behind_a_gate_that_let_a_workload_in_it_has_no_rights_of_tokens(
    then: Requirement, reason: str, make: Callable[..., Verifier], shared: Shared
) -> None:
    verifier = make(**ASKING)
    assert _again(verifier, shared.svid(), ANY_OF_A, then) == reason
