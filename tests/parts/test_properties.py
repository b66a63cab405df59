"""Whatever is sent, and whatever an issuer answers: somebody is let in, or refused with 400, 401, 403 or 503. No 500."""

import asyncio
import json
from base64 import urlsafe_b64encode
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from strongdm_auth import AccessToken, Delegation, Request, Requirement, StrongDMAuthError, Verifier
from strongdm_auth.testing import Clock, DPoPKey, SigningKey
from tests.conftest import AUDIENCE, NOW, URL

from .test_properties_of_requirements import REQUIREMENTS
from .world import ALPHA, DISCOVERY, ISSUER, Answer, World, as_json

KEY = SigningKey.generate("EdDSA", kid="k")
AGENT_KEY = DPoPKey.generate("EdDSA")
STATUSES = {400, 401, 403, 503}
many = hypothesis.settings(max_examples=200, suppress_health_check=list(HealthCheck))
some = hypothesis.settings(max_examples=60, suppress_health_check=list(HealthCheck))

#: JSON as an attacker would write it: huge and tiny numbers, half surrogates, what looks like something else.
ODD = st.sampled_from(
    [
        10**400,
        -(10**400),
        1e308,
        1e-308,
        2**63,
        0,
        -1,
        True,
        False,
        "",
        "\ud800",
        "\x00",
        "\r\nX: y",
        '"',
        "\\",
        "a" * 5_000,
    ]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
CLAIMS = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "scope",
    "client_id",
    "azp",
    "cnf",
    "act",
    "typ",
    "token_type",
]
CLAIMS += ["token_use", "events", "nonce", "acr", "auth_time", "realm"]
_SOME_CLAIMS = st.dictionaries(st.sampled_from(CLAIMS) | st.text(max_size=5), JSON, max_size=4)
_SOME_HEADER = st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "zip"]), JSON, max_size=3)
_BOUND = st.fixed_dictionaries({}, optional={"cnf": st.just({"jkt": AGENT_KEY.thumbprint}) | JSON})
_HEADER_TEXT = st.text(max_size=60) | st.binary(max_size=60).map(lambda octets: octets.decode("latin-1"))

_ROUTES = st.sampled_from([Requirement(), Requirement(scopes="read"), Requirement(acr="high", max_age=60, dpop=True)])


@pytest.fixture(scope="module")
def verifiers() -> list[Verifier]:
    """One of each kind of deployment, with keys."""
    clock = Clock(at=NOW)
    world = World(clock)
    world.publish(KEY)
    world.answers[f"{ISSUER}/introspect"] = as_json({"active": True, "sub": "agent", "aud": AUDIENCE})
    credentials = {"client_id": "api", "client_secret": "s3cret"}
    return [
        world.verifier(),
        world.verifier(dpop="required", dpop_nonce="required", dpop_nonce_secret="n", resource=AUDIENCE),
        world.verifier(token_profile="rfc9068", public_url="https://public.example/v1"),
        world.verifier(realms="*", introspection="fallback", **credentials),
    ]


def judge(verifier: Verifier, request: Request, requirement: Requirement) -> AccessToken | StrongDMAuthError | None:
    """What came of a request; fails unless it is one of the answers that there are."""
    refusal: StrongDMAuthError | None = None
    try:
        token = verifier.authorize(request, requirement)
    except StrongDMAuthError as error:
        refusal = error
    if refusal is not None:
        denial = verifier.denial(refusal, requirement)
        assert denial.status in STATUSES
        for name, value in denial.headers:
            assert name.isascii()
            assert value.isascii()
            assert value.isprintable()
        body = json.loads(denial.body)
        assert set(body) == {"error", "error_description"}
        assert repr(refusal)
        return refusal
    if token is None:
        assert requirement.optional
        return None
    assert isinstance(token, AccessToken)
    assert isinstance(dict(token.claims), dict)
    assert repr(token)
    assert hash(token) == hash(token)
    assert all(isinstance(scope, str) for scope in token.scopes)
    assert token.subject is None or isinstance(token.subject, str)
    assert token.client_id is None or isinstance(token.client_id, str)
    return token


def honest_claims(**more: object) -> dict[str, object]:
    claims = {"iss": ALPHA, "sub": "agent", "aud": AUDIENCE, "iat": NOW, "exp": NOW + 600, "jti": "j", "client_id": "c"}
    return {**claims, "scope": "read", **more}


@many
@given(
    values=st.lists(_HEADER_TEXT | _HEADER_TEXT.map("Bearer ".__add__) | _HEADER_TEXT.map("DPoP ".__add__), max_size=2)
)
def test_any_authorization_header(verifiers: list[Verifier], values: list[str]) -> None:
    for verifier in verifiers:
        outcome = judge(verifier, Request("GET", URL, [("Authorization", value) for value in values]), Requirement())
        # Nobody gets in by chance, but where the issuer is asked about opaque tokens and calls each one active.
        assert isinstance(outcome, StrongDMAuthError) or verifier.settings.introspection == "fallback"


@many
@given(proofs=st.lists(_HEADER_TEXT, max_size=2), method=st.text(max_size=8), url=st.text(max_size=40) | st.just(URL))
def test_any_proof_method_and_url(verifiers: list[Verifier], proofs: list[str], method: str, url: str) -> None:
    token = KEY.sign({"typ": "at+jwt"}, honest_claims(cnf={"jkt": AGENT_KEY.thumbprint}))
    headers = [("Authorization", f"DPoP {token}"), *(("DPoP", proof) for proof in proofs)]
    for verifier in verifiers:
        assert isinstance(judge(verifier, Request(method, url, headers), Requirement()), StrongDMAuthError)


@many
@given(header=_SOME_HEADER, claims=_SOME_CLAIMS, bound=_BOUND, requirement=_ROUTES)
def test_any_header_and_claims_signed_with_the_right_key(
    verifiers: list[Verifier],
    header: dict[str, Any],
    claims: dict[str, Any],
    bound: dict[str, Any],
    requirement: Requirement,
) -> None:
    token = KEY.sign({"typ": "at+jwt", **header}, honest_claims(**{**claims, **bound}))
    proof = AGENT_KEY.proof("GET", URL, token, now=NOW)
    for verifier in verifiers:
        judge(verifier, Request("GET", URL, {"Authorization": f"Bearer {token}"}), requirement)
        judge(verifier, Request("GET", URL, {"Authorization": f"DPoP {token}", "DPoP": proof}), requirement)


@many
@given(
    header=st.dictionaries(st.sampled_from(["typ", "alg", "jwk", "crit", "kid"]), JSON, max_size=2),
    jwk=st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "d", "use"]), JSON, max_size=2),
    claims=st.dictionaries(st.sampled_from(["jti", "htm", "htu", "iat", "ath", "nonce", "exp"]), JSON, max_size=3),
)
def test_any_proof_that_is_json(
    verifiers: list[Verifier], header: dict[str, Any], jwk: dict[str, Any], claims: dict[str, Any]
) -> None:
    token = KEY.sign({"typ": "at+jwt"}, honest_claims(cnf={"jkt": AGENT_KEY.thumbprint}))
    if jwk:
        header = {"jwk": {**AGENT_KEY.public_jwk, **jwk}, **header}
    proof = AGENT_KEY.proof("GET", URL, token, now=NOW, header=header, claims=claims)
    for verifier in verifiers:
        judge(verifier, Request("GET", URL, {"Authorization": f"DPoP {token}", "DPoP": proof}), Requirement(dpop=True))


@many
@given(
    segments=st.lists(
        st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()), min_size=1, max_size=4
    )
)
def test_any_segments_of_a_token_and_of_a_proof(verifiers: list[Verifier], segments: list[bytes]) -> None:
    compact = ".".join(urlsafe_b64encode(segment).rstrip(b"=").decode() for segment in segments)
    bound = KEY.sign({"typ": "at+jwt"}, honest_claims(cnf={"jkt": AGENT_KEY.thumbprint}))
    for verifier in verifiers:
        judge(verifier, Request("GET", URL, {"Authorization": f"Bearer {compact}"}), Requirement())
        judge(verifier, Request("GET", URL, {"Authorization": f"DPoP {bound}", "DPoP": compact}), Requirement())


@pytest.mark.parametrize("depth", [100, 300, 600, 900, 990, 2_000])
@pytest.mark.parametrize("shape", ["list", "object", "act"])
def test_claims_nested_ever_so_deeply(verifiers: list[Verifier], depth: int, shape: str) -> None:
    opening, closing = {"list": ("[", "]"), "object": ('{"a":', "}"), "act": ('{"sub":"a","act":', "}")}[shape]
    nested = opening * depth + "1" + closing * depth
    name = "act" if shape == "act" else "x"
    text = json.dumps(honest_claims())[:-1] + f', "{name}": {nested}}}'
    signed = _signed(text.encode())
    for verifier in verifiers:
        for requirement in (Requirement(), Requirement(acr="high"), Requirement(delegation=Delegation())):
            judge(verifier, Request("GET", URL, {"Authorization": f"Bearer {signed}"}), requirement)


def _signed(payload: bytes) -> str:
    """A token with exactly this payload."""
    header = urlsafe_b64encode(b'{"alg":"EdDSA","kid":"k","typ":"at+jwt"}').rstrip(b"=").decode()
    signing_input = f"{header}.{urlsafe_b64encode(payload).rstrip(b'=').decode()}"
    from joserfc.jws import JWSRegistry

    signature = JWSRegistry.algorithms["Ed25519"].sign(signing_input.encode(), KEY.private_key)
    return f"{signing_input}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@some
@given(claims=st.fixed_dictionaries({"auth_time": JSON, "acr": JSON}), requirement=REQUIREMENTS)
def test_any_authentication_time_and_context(
    verifiers: list[Verifier], claims: dict[str, Any], requirement: Requirement
) -> None:
    token = KEY.sign({"typ": "at+jwt"}, honest_claims(**claims))
    judge(verifiers[0], Request("GET", URL, {"Authorization": f"Bearer {token}"}), requirement)


def test_an_authentication_time_of_400_digits(verifiers: list[Verifier]) -> None:
    for auth_time in (10**400, -(10**400)):
        token = KEY.sign({"typ": "at+jwt"}, honest_claims(auth_time=auth_time))
        outcome = judge(
            verifiers[0], Request("GET", URL, {"Authorization": f"Bearer {token}"}), Requirement(max_age=60)
        )
        assert isinstance(outcome, StrongDMAuthError)


# What an issuer answers

_DOCUMENTS = JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40)
_JWK = st.dictionaries(
    st.sampled_from(["kty", "crv", "x", "y", "n", "e", "d", "use", "alg", "kid", "key_ops"]), JSON, max_size=4
)


@some
@given(
    discovery=_DOCUMENTS | JSON.map(lambda uri: json.dumps({"issuer": ALPHA, "jwks_uri": uri}).encode()),
    jwks=_DOCUMENTS | st.lists(_JWK | JSON, max_size=3).map(lambda keys: json.dumps({"keys": keys}).encode()),
    status=st.sampled_from([200, 200, 200, 201, 304, 404, 500]),
)
def test_any_discovery_document_and_any_key_set(discovery: bytes, jwks: bytes, status: int) -> None:
    world = World(Clock(at=NOW))
    world.answers[ALPHA + DISCOVERY] = Answer(discovery, status)
    world.answers[f"{ALPHA}/jwks"] = Answer(jwks, status)
    token = KEY.sign({"typ": "at+jwt"}, honest_claims())
    outcome = judge(world.verifier(), Request("GET", URL, {"Authorization": f"Bearer {token}"}), Requirement())
    assert isinstance(outcome, StrongDMAuthError)


@some
@given(
    answer=_DOCUMENTS | _SOME_CLAIMS.map(lambda claims: json.dumps({"active": True, **claims}).encode()),
    requirement=_ROUTES,
    kind=st.sampled_from(["opaque", "jwt"]),
)
def test_any_introspection_answer(answer: bytes, requirement: Requirement, kind: str) -> None:
    world = World(Clock(at=NOW))
    world.publish(KEY)
    world.answers[f"{ISSUER}/introspect"] = Answer(answer)
    verifier = world.verifier(realms="*", introspection="always", client_id="api", client_secret="s3cret")
    token = "opaque" if kind == "opaque" else KEY.sign({"typ": "at+jwt"}, honest_claims())
    for _ in range(2):  # the second time it is remembered
        judge(verifier, Request("GET", URL, {"Authorization": f"Bearer {token}"}), requirement)


@pytest.mark.parametrize("depth", [300, 900, 960, 975, 985, 5_000])
@pytest.mark.parametrize("kind", ["opaque", "jwt"])
def test_an_introspection_answer_nested_ever_so_deeply(depth: int, kind: str) -> None:
    world = World(Clock(at=NOW))
    world.publish(KEY)
    nested = "[" * depth + "]" * depth
    world.answers[f"{ISSUER}/introspect"] = Answer(
        f'{{"active": true, "sub": "agent", "aud": "{AUDIENCE}", "x": {nested}}}'.encode()
    )
    verifier = world.verifier(realms="*", introspection="always", client_id="api", client_secret="s3cret")
    token = "opaque" if kind == "opaque" else KEY.sign({"typ": "at+jwt"}, honest_claims())
    judge(verifier, Request("GET", URL, {"Authorization": f"Bearer {token}"}), Requirement())


def test_both_verifiers_give_the_same_answers() -> None:
    world = World(Clock(at=NOW))
    world.publish(KEY)
    world.publish(KEY, realm="beta")
    verifier, async_verifier = world.verifier(), world.async_verifier()

    @some
    @given(header=_SOME_HEADER, claims=_SOME_CLAIMS, requirement=_ROUTES)
    def compare(header: dict[str, Any], claims: dict[str, Any], requirement: Requirement) -> None:
        token = KEY.sign({"typ": "at+jwt", **header}, honest_claims(**claims))
        request = Request("GET", URL, {"Authorization": f"Bearer {token}"})
        first = judge(verifier, request, requirement)
        second: object
        try:
            second = asyncio.run(async_verifier.authorize(request, requirement))
        except StrongDMAuthError as error:
            second = async_verifier.denial(error, requirement)
        assert second == (verifier.denial(first, requirement) if isinstance(first, StrongDMAuthError) else first)

    compare()
