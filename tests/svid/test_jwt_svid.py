"""SPIFFE JWT-SVID, section by section: what an SVID must be (sections 2 to 5, appendix A)."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable

import pytest

from strongdm_auth import Requirement, Verifier
from strongdm_auth.testing import Clock, SigningKey, unsigned_token
from tests.conftest import AUDIENCE, request
from tests.parts.world import World

from .domains import ANY_OF_A, Domain, jwt_svid_key, told

GOOD_ALGORITHMS = [f"{family}{bits}" for family in ("RS", "ES", "PS") for bits in (256, 384, 512)]
LONG = "spiffe://a.example/" + "x" * 2029


def test_what_a_route_gets(verifier: Verifier, a: Domain, clock: Clock) -> None:
    svid = a.svid(jti="1", iss="https://id.example.com", azp="cli_x", client_id="cli_x", team="billing")
    token = verifier.authorize(request(svid), ANY_OF_A)
    assert token is not None
    assert (token.subject, token.issuer, token.svid) == (
        "spiffe://a.example/agents/billing",
        "spiffe://a.example",
        True,
    )
    assert (token.audience, token.issued_at, token.token_id) == ((AUDIENCE,), clock(), "1")
    assert token.expires_at == clock() + 3600
    assert token.claims["team"] == token["team"] == "billing"
    nothing = (token.realm, token.client_id, token.actor, token.key_thumbprint, token.certificate_thumbprint)
    assert nothing == (None,) * 5
    assert not token.scopes
    assert not token.bound
    assert not token.introspected
    assert svid not in repr(token)


# 2.1 Algorithm


@pytest.mark.parametrize("alg", GOOD_ALGORITHMS)
def test_2_1_nine_algorithms_whatever_those_of_access_tokens_are(
    alg: str, make: Callable[..., Verifier], a: Domain
) -> None:
    key = jwt_svid_key(alg)
    a.publish(key)
    assert told(make(algorithms="EdDSA"), a.svid(key=key)) == "in"


@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
def test_2_1_no_edwards_curves_though_access_tokens_may_have_them(alg: str, verifier: Verifier, a: Domain) -> None:
    key = jwt_svid_key(alg)
    a.publish(key, a.key)
    assert told(verifier, a.svid(key=key)) == "svid.algorithm"


@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "HS256", "HS512", "ES256K", "ES256 ", "es256", "", 256, True, ["ES256"], {}, None]
)
def test_2_1_no_other_and_none_at_all(alg: object, verifier: Verifier, a: Domain) -> None:
    header = json.dumps({"alg": alg, "kid": a.key.kid})
    assert told(verifier, a.written(header=header)) == "svid.algorithm"
    assert a.fetches == 0, "the list is looked at first, before anything is processed"


def test_2_1_alg_is_there(verifier: Verifier, a: Domain) -> None:
    assert told(verifier, a.written(header=json.dumps({"kid": a.key.kid}))) == "svid.algorithm"


def test_2_1_nobody_signs(verifier: Verifier, a: Domain) -> None:
    unsigned = unsigned_token({"alg": "ES256", "kid": a.key.kid}, a.claims(), b"\x01" * 64)
    assert told(verifier, unsigned) == "token.signature"
    assert told(verifier, unsigned_token({"alg": "none"}, a.claims())) == "svid.malformed"


# 2 No other header, 2.2 Key ID, 2.3 Type


@pytest.mark.parametrize(
    "member",
    [
        {"crit": []},
        {"b64": True},
        {"b64": False, "crit": ["b64"]},
        {"jwk": {}},
        {"jku": "https://id.example.com/jwks"},
        {"x5c": ["MII"]},
        {"x5u": "https://id.example.com/pem"},
        {"x5t": "x"},
        {"x5t#S256": "x"},
        {"cty": "JWT"},
        {"zip": "DEF"},
        {"enc": "A256GCM"},
        {"url": "https://a.example"},
        {"nonce": "n"},
        {"Typ": "JWT"},
        {"anything": None},
    ],
    ids=str,
)
def test_2_no_header_is_allowed_that_the_specification_does_not_name(
    member: dict[str, object], verifier: Verifier, a: Domain
) -> None:
    header = json.dumps({"alg": "ES256", "kid": a.key.kid, "typ": "JWT", **member})
    assert told(verifier, a.written(header=header)) == "svid.malformed"


def test_2_2_kid_may_be_left_out(verifier: Verifier, a: Domain) -> None:
    a.publish(jwt_svid_key(), a.key)
    assert told(verifier, a.svid(header={"kid": None})) == "in"


def test_2_2_without_kid_a_few_keys_are_tried_and_not_a_hundred(verifier: Verifier, a: Domain) -> None:
    a.publish(a.key, *(jwt_svid_key() for _ in range(4)))
    assert told(verifier, a.svid()) == "in"
    assert told(verifier, a.svid(header={"kid": None})) == "token.key_unknown"


@pytest.mark.parametrize("kid", [1, True, ["x"], {"x": 1}])
def test_2_2_kid_is_a_string(kid: object, verifier: Verifier, a: Domain) -> None:
    assert told(verifier, a.written(header=json.dumps({"alg": "ES256", "kid": kid}))) == "svid.malformed"


def test_2_2_kid_chooses_the_key(verifier: Verifier, a: Domain) -> None:
    other = jwt_svid_key()
    a.publish(a.key, other)
    assert told(verifier, a.svid(header={"kid": other.kid})) == "token.signature"
    assert told(verifier, a.svid(header={"kid": "nobody's"})) == "token.key_unknown"


@pytest.mark.parametrize("typ", [None, "JWT", "JOSE"])
def test_2_3_typ_is_jwt_or_jose_or_absent(typ: str | None, verifier: Verifier, a: Domain) -> None:
    assert told(verifier, a.svid(header={"typ": typ})) == "in"


@pytest.mark.parametrize(
    "typ", ["jwt", "jose", "", " JWT", "at+jwt", "application/at+jwt", "application/jwt", "dpop+jwt", None, 1, ["JWT"]]
)
def test_2_3_typ_is_nothing_else(typ: object, verifier: Verifier, a: Domain) -> None:
    header = json.dumps({"alg": "ES256", "kid": a.key.kid, "typ": typ})
    assert told(verifier, a.written(header=header)) == "svid.type"


# 3.1 Subject (SPIFFE-ID 2)


@pytest.mark.parametrize(
    "sub",
    [
        "spiffe://a.example",
        "spiffe://a.example/x",
        "spiffe://a.example/A-Z/a.b_c/0",
        "spiffe://a.example/.../..a",
        LONG,
    ],
    ids=lambda sub: sub[:40],
)
def test_3_1_sub_is_a_spiffe_id(sub: str, make: Callable[..., Verifier], a: Domain) -> None:
    token = make().authorize(request(a.svid(sub=sub)), Requirement(spiffe_ids=sub))
    assert token is not None
    assert token.subject == sub


@pytest.mark.parametrize(
    "sub",
    [
        "",
        "agent",
        "a.example",
        "spiffe:",
        "spiffe://",
        "spiffe:///agents",
        "spiffe:/a.example/x",
        "spiffe//a.example/x",
        "https://a.example/x",
        "SPIFFE://a.example/x",
        "Spiffe://a.example/x",
        "spiffe://A.example/x",
        "spiffe://a.example:443/x",
        "spiffe://a.example:/x",
        "spiffe://me@a.example/x",
        "spiffe://a%2eexample/x",
        "spiffe://a.exämple/x",
        "spiffe://[::1]/x",
        "spiffe://a.example/",
        "spiffe://a.example//x",
        "spiffe://a.example/x/",
        "spiffe://a.example/./x",
        "spiffe://a.example/x/..",
        "spiffe://a.example/../x",
        "spiffe://a.example/x?y",
        "spiffe://a.example?x",
        "spiffe://a.example/x#y",
        "spiffe://a.example#",
        "spiffe://a.example/x y",
        " spiffe://a.example/x",
        "spiffe://a.example/x\n",
        "spiffe://a.example/x\0",
        "spiffe://a.example\n/x",
        "spiffe://a.example/x%41",
        "spiffe://a.example/x~",
        "spiffe://a.example/*",
        "spiffe://a.example\\x",
        "spiffe://a.example/é",
        "spiffe://a.example/\u0661",
        LONG + "x",
        "spiffe://" + "a" * 256 + "/x",
        None,
        1,
        True,
        ["spiffe://a.example/x"],
        {"sub": "spiffe://a.example/x"},
    ],
    ids=lambda sub: repr(sub)[:40],
)
def test_3_1_sub_is_nothing_else(sub: object, verifier: Verifier, a: Domain) -> None:
    assert told(verifier, a.written(payload=json.dumps(a.claims() | {"sub": sub}))) == "svid.type"
    assert a.fetches == 0


def test_3_1_sub_is_there(verifier: Verifier, a: Domain) -> None:
    assert told(verifier, a.svid(sub=None)) == "svid.type"


def test_3_1_the_trust_domain_of_sub_selects_the_bundle(verifier: Verifier, a: Domain, b: Domain) -> None:
    of_b = Requirement(spiffe_ids="spiffe://b.example/*")
    assert told(verifier, b.svid(), of_b) == "in"
    assert told(verifier, a.svid()) == "in"


@pytest.mark.parametrize("iss", ["spiffe://a.example", "spiffe://b.example", "https://id.example.com", None])
def test_3_1_a_key_of_one_domain_cannot_vouch_for_another(
    iss: str | None, verifier: Verifier, a: Domain, b: Domain
) -> None:
    assert told(verifier, a.svid(key=b.key, iss=iss)) == "token.key_unknown", "whatever `iss` says"
    assert b.fetches == 0
    same_name = jwt_svid_key(kid=a.key.kid)
    b.publish(same_name)
    assert told(verifier, a.svid(key=same_name, iss=iss)) == "token.signature"


@pytest.mark.parametrize("name", ["c.example", "example", "x.a.example", "a.example.c.example", "a.examples"])
def test_3_1_no_domain_that_is_not_known(name: str, verifier: Verifier, a: Domain, world: World) -> None:
    assert told(verifier, a.svid(sub=f"spiffe://{name}/x")) == "svid.trust_domain"
    assert world.calls == [], "a stranger's word fetches nothing"


# 3.2 Audience, 3.3 Expiration


@pytest.mark.parametrize("aud", [AUDIENCE, [AUDIENCE], ["other", AUDIENCE], [AUDIENCE, AUDIENCE]])
def test_3_2_aud_is_ours(aud: object, verifier: Verifier, a: Domain) -> None:
    assert told(verifier, a.svid(aud=aud)) == "in"


@pytest.mark.parametrize(
    ("aud", "reason"),
    [
        (None, "token.claims"),
        ([], "token.claims"),
        ("", "token.audience"),
        ([""], "token.audience"),
        ("other", "token.audience"),
        (["other", "another"], "token.audience"),
        (AUDIENCE + "/", "token.audience"),
        (AUDIENCE.upper(), "token.audience"),
        (1, "token.claims"),
        ({AUDIENCE: 1}, "token.claims"),
        ([AUDIENCE, 1], "token.claims"),
        ([[AUDIENCE]], "token.claims"),
    ],
    ids=str,
)
def test_3_2_aud_is_there_and_ours(aud: object, reason: str, verifier: Verifier, a: Domain) -> None:
    assert told(verifier, a.svid(aud=aud)) == reason


def test_3_2_aud_that_is_null_is_not_there(verifier: Verifier, a: Domain) -> None:
    assert told(verifier, a.written(payload=json.dumps(a.claims() | {"aud": None}))) == "token.claims"


@pytest.mark.parametrize("exp", [None, "1900000000", True, [1_900_000_000], {}])
def test_3_3_exp_is_there_and_a_number(exp: object, verifier: Verifier, a: Domain) -> None:
    assert told(verifier, a.svid(exp=exp)) == "token.claims"
    assert told(verifier, a.written(payload=json.dumps(a.claims() | {"exp": exp}))) == "token.claims"


def test_3_3_exp_has_not_passed(make: Callable[..., Verifier], a: Domain, clock: Clock) -> None:
    verifier, svid = make(leeway=10), a.svid(exp=int(clock()) + 60)
    assert told(verifier, svid) == "in"
    clock.advance(69)
    assert told(verifier, svid) == told(make(leeway=10), svid) == "in", "a small leeway is acceptable (appendix A)"
    clock.advance(1)
    assert told(verifier, svid) == told(make(leeway=10), svid) == "token.expired", "remembered, and seen anew"


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_4_it_is_of_now_and_not_of_later(name: str, make: Callable[..., Verifier], a: Domain, clock: Clock) -> None:
    svid, verifier = a.svid(**{name: int(clock()) + 40}), make(leeway=10)
    assert told(verifier, svid) == "token.not_yet_valid"
    clock.advance(30)
    assert told(verifier, svid) == "in"
    clock.advance(-10)
    assert told(verifier, svid) == "token.not_yet_valid", "as remembered, too"


@pytest.mark.parametrize("name", ["iat", "nbf", "iss", "jti"])
def test_4_claims_that_are_there_have_their_types(name: str, verifier: Verifier, a: Domain) -> None:
    assert told(verifier, a.svid(**{name: ["x"]})) == "token.claims"


@pytest.mark.parametrize("name", ["iat", "jti", "iss", "nbf"])
def test_4_claims_that_the_specification_does_not_ask_for_may_be_absent(
    name: str, verifier: Verifier, a: Domain
) -> None:
    assert told(verifier, a.svid(**{name: None})) == "in"


# 5.1 Serialization


@pytest.mark.parametrize(
    "change",
    [
        lambda svid: svid.rpartition(".")[0],
        lambda svid: svid.rpartition(".")[0] + ".",
        lambda svid: svid + ".",
        lambda svid: svid + ".x.y",
        lambda svid: svid + "=",
        lambda svid: "." + svid,
        lambda svid: svid[:-1] + "/",
        lambda svid: "x" + svid,
        lambda svid: "opaque-token",
        lambda svid: urlsafe_b64encode(
            json.dumps(dict(zip(("protected", "payload", "signature"), svid.split("."), strict=True))).encode()
        ).decode(),
    ],
)
def test_5_1_compact_and_nothing_else(change: Callable[[str], str], verifier: Verifier, a: Domain) -> None:
    assert told(verifier, change(a.svid())) == "svid.malformed"


@pytest.mark.parametrize(
    "texts",
    [
        {"header": '{"alg":"ES256","alg":"ES256"}'},
        {"header": '["alg"]'},
        {"header": "ES256"},
        {"payload": '{"sub":"spiffe://a.example/x","sub":"spiffe://a.example/y"}'},
        {"payload": '{"sub":"spiffe://a.example/x","exp":NaN}'},
        {"payload": "[]"},
        {"payload": '{"a":' * 40 + "1" + "}" * 40},
    ],
    ids=str,
)
def test_5_1_json_that_two_readers_could_take_for_two_things(
    texts: dict[str, str], verifier: Verifier, a: Domain
) -> None:
    assert told(verifier, a.written(**texts)) == "svid.malformed"


def test_5_1_a_changed_payload_is_not_what_was_signed(verifier: Verifier, a: Domain) -> None:
    header, _, signature = a.svid().split(".")
    other = a.svid(sub="spiffe://a.example/agents/root").split(".")[1]
    assert told(verifier, f"{header}.{other}.{signature}") == "token.signature"


def test_5_2_as_a_bearer_token_and_by_no_other_scheme(verifier: Verifier, a: Domain) -> None:
    assert told(verifier, a.svid(), scheme="bearer") == "in"
    assert told(verifier, a.svid(), scheme="DPoP") == "token.unbound"
    assert told(verifier, a.svid(), scheme="Svid") == "credentials.scheme"
    assert told(verifier, "x" * 20_000) == "token.too_long"


# What access tokens have


@pytest.mark.parametrize("name", ["token_type", "token_use", "typ", "scope", "events", "cnf", "act"])
@pytest.mark.parametrize("value", ["x", "", {}])
def test_what_says_that_it_is_something_else_is_no_svid(
    name: str, value: object, verifier: Verifier, a: Domain
) -> None:
    assert told(verifier, a.svid(**{name: value})) == "svid.type"


def test_a_signature_is_looked_at_before_claims_are(verifier: Verifier, a: Domain) -> None:
    """Else a stranger learns of claims what only who has a good SVID should."""
    stranger = SigningKey.generate("ES256", kid=a.key.kid)
    for claims in ({"exp": 1}, {"aud": "other"}, {"scope": "x"}, {"exp": None}):
        assert told(verifier, a.svid(key=stranger, **claims)) == "token.signature"
