"""Discovery, key sets, routes, and what the issuer mints in process."""

import jwt
import pytest

from strongdm_auth.testing import Clock, DPoPKey, Issuer


@pytest.mark.parametrize(
    ("prefix", "issuer_url"),
    [("", "https://id.strongdm.test"), ("/realms/acme", "https://id.strongdm.test/realms/acme")],
)
def test_the_discovery_document_names_its_own_issuer_and_endpoints(caller, prefix, issuer_url):
    answer = caller.get(f"{prefix}/.well-known/openid-configuration")
    assert answer.status == 200
    document = answer.json
    assert document["issuer"] == issuer_url
    assert document["jwks_uri"] == f"{issuer_url}/jwks"
    assert document["token_endpoint"] == f"{issuer_url}/token"
    assert document["introspection_endpoint"] == f"{issuer_url}/introspect"
    assert "ES256" in document["dpop_signing_alg_values_supported"]
    assert "development only" in document["notice"]


def test_every_issuer_has_its_own_keys_one_per_algorithm(caller):
    paths = ["/jwks", "/realms/default/jwks", "/realms/acme/jwks"]
    sets = [caller.get(path).json["keys"] for path in paths]
    assert [[key["alg"] for key in keys] for keys in sets] == [["ES256", "EdDSA"]] * 3
    assert len({key["kid"] for keys in sets for key in keys}) == 6
    assert len({key["x"] for keys in sets for key in keys}) == 6


@pytest.mark.parametrize("target", ["/", "/nothing", "/realms/other/jwks", "/realms/acme", "/jwks/", "//jwks"])
def test_an_unknown_path_or_realm_is_not_found(caller, target):
    answer = caller.get(target)
    assert (answer.status, answer.json["error"]) == (404, "not_found")


def test_a_wrong_method_is_told_the_right_ones(caller):
    answer = caller.send("DELETE", "/userinfo")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, POST")
    assert caller.send("HEAD", "/jwks").status == 200


def test_the_query_does_not_belong_to_the_path(caller, issuer):
    assert caller.get("/jwks?x=1").status == 200
    assert caller.get("https://id.strongdm.test/jwks?x=1").status == 200
    assert issuer.requests == [("GET", "/jwks")] * 2


@pytest.mark.parametrize("alg", [None, "ES256", "EdDSA"])
@pytest.mark.parametrize("realm", [None, "acme"])
def test_a_minted_token_verifies_with_the_published_key_of_its_issuer(issuer, clock, realm, alg, header_of):
    clock.set(Clock()())
    token = issuer.token("alice", scopes=["read", "write"], realm=realm, audience="https://api.test", alg=alg)
    header = header_of(token)
    assert header["typ"] == "at+jwt"
    assert header["alg"] == alg or alg is None
    [jwk] = [key for key in issuer.jwks(realm)["keys"] if key["kid"] == header["kid"]]
    claims = jwt.decode(
        token,
        jwt.PyJWK(jwk),
        algorithms=[header["alg"]],
        audience="https://api.test",
        issuer=issuer.issuer_url(realm),
    )
    assert claims.pop("jti")
    assert claims == {
        "iss": issuer.issuer_url(realm),
        "sub": "alice",
        "client_id": "alice",
        "scope": "read write",
        "iat": int(clock()),
        "exp": int(clock()) + 3600,
        "token_type": "access_token",
        "aud": "https://api.test",
    }


def test_overrides_come_last_and_none_removes(issuer, header_of, claims_of):
    token = issuer.token(
        scopes="a b", lifetime=-1, header={"typ": None, "kid": "x"}, claims={"sub": None, "scp": ["a"]}
    )
    assert header_of(token) == {"alg": "ES256", "kid": "x"}
    claims = claims_of(token)
    assert "sub" not in claims
    assert (claims["scp"], claims["scope"], claims["client_id"]) == (["a"], "a b", "agent")
    assert claims["exp"] == claims["iat"] - 1


def test_a_token_may_be_bound_and_delegated(issuer, claims_of):
    key = DPoPKey.generate()
    claims = claims_of(issuer.token("user", key=key, actor={"sub": "bot", "act": {"sub": "first"}}))
    assert claims["cnf"] == {"jkt": key.thumbprint}
    assert claims["act"] == {"sub": "bot", "act": {"sub": "first"}}
    assert (claims["sub"], claims["client_id"]) == ("user", "bot")


def test_an_agent_carries_its_token_and_key(issuer, clock, claims_of):
    bound = issuer.agent("alice", scopes=["read"], realm="acme", dpop=True, audience=["a", "b"])
    assert bound.key is not None
    claims = claims_of(bound.token)
    assert (claims["aud"], claims["cnf"]) == (["a", "b"], {"jkt": bound.key.thumbprint})
    assert claims_of(bound.headers("GET", "https://api.test/")["DPoP"])["iat"] == int(clock())
    assert issuer.agent().key is None
    key = DPoPKey.generate()
    assert issuer.agent(key=key).key is key


def test_rotation_replaces_the_keys_of_one_issuer_only(issuer):
    def kids(realm):
        return {key["kid"] for key in issuer.jwks(realm)["keys"]}

    base, acme = kids(None), kids("acme")
    issuer.rotate("acme")
    assert kids(None) == base
    assert not kids("acme") & acme
    issuer.rotate(keep_old=True)
    assert kids(None) > base
    assert issuer.signing_key().kid not in base


def test_wrong_settings_are_refused_at_once():
    for wrong in (
        {"url": "https://id.test/path"},
        {"url": "ftp://id.test"},
        {"realms": ["a/b"]},
        {"algorithms": ["HS256"]},
        {"algorithms": []},
        {"scopes": ['a"b']},
    ):
        with pytest.raises(ValueError):
            Issuer(**wrong)
    with pytest.raises(ValueError, match="no realm 'other'"):
        Issuer().token(realm="other")
    with pytest.raises(ValueError, match="not PS256"):
        Issuer().token(alg="PS256")
