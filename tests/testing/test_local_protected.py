"""Userinfo, JWT-SVIDs and the trust bundle."""

import jwt
import pytest

from strongdm_auth.testing import Clock, DPoPKey

SVID = "/svid/jwt"


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_userinfo_tells_who_the_token_speaks_for(caller, issuer):
    client = issuer.client("bot", scopes="openid email", email="owner@example.com")
    token = caller.post_form("/token", client, grant_type="client_credentials").json["access_token"]
    expected = {"sub": client.client_id, "name": "bot", "email": "owner@example.com"}
    assert caller.get("/userinfo", bearer(token)).json == expected
    assert caller.send("POST", "/realms/default/userinfo", bearer(token)).json == expected
    assert caller.get("/userinfo", bearer(issuer.token("alice", scopes="openid"))).json == {"sub": "alice"}


def test_userinfo_challenges_whoever_may_not_ask(caller, issuer):
    nothing = caller.get("/userinfo")
    assert nothing.status == 401
    assert nothing.headers["WWW-Authenticate"].startswith("Bearer realm=")
    for token in (
        "x",
        issuer.token(scopes="openid", lifetime=0),
        issuer.token(scopes="openid", key=DPoPKey.generate()),
    ):
        answer = caller.get("/userinfo", bearer(token))
        assert (answer.status, answer.json["error"]) == (401, "invalid_token")
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert caller.get("/realms/acme/userinfo", bearer(issuer.token(scopes="openid"))).status == 401
    scopeless = caller.get("/userinfo", bearer(issuer.token()))
    assert (scopeless.status, scopeless.json["error"]) == (403, "insufficient_scope")
    assert 'scope="openid"' in scopeless.headers["WWW-Authenticate"]


def test_a_bound_token_needs_its_own_keys_proof_for_this_request(caller, issuer):
    agent = issuer.agent(scopes="openid", dpop=True)
    url = issuer.url + "/userinfo"
    assert caller.get("/userinfo", agent.headers("GET", url)).status == 200

    def refused(headers):
        answer = caller.get("/userinfo", headers)
        assert answer.status == 401
        assert "DPoP" in answer.headers["WWW-Authenticate"] or "Bearer" in answer.headers["WWW-Authenticate"]
        return answer.json["error"]

    authorization = {"Authorization": f"DPoP {agent.token}"}
    assert refused(authorization) == "invalid_dpop_proof"
    assert refused(agent.headers("POST", url)) == "invalid_dpop_proof"
    other = DPoPKey.generate()
    now = issuer.clock()
    assert refused({**authorization, "DPoP": other.proof("GET", url, agent.token, now=now)}) == "invalid_token"
    assert refused({**authorization, "DPoP": other.proof("GET", url, now=now)}) == "invalid_dpop_proof"
    assert refused({"Authorization": f"DPoP {issuer.token(scopes='openid')}"}) == "invalid_token"


@pytest.mark.parametrize(("prefix", "realm"), [("", None), ("/realms/acme", "acme")])
def test_a_workload_gets_a_jwt_svid(caller, issuer, clock, header_of, prefix, realm):
    clock.set(Clock()())
    token = issuer.token("cli_abc", realm=realm)
    answer = caller.post_json(prefix + SVID, {"audience": ["my-service"]}, bearer(token))
    assert answer.status == 200
    svid = answer.json["svid"]
    [key] = caller.get(f"{prefix}/.well-known/spiffe-trust-bundle").json["keys"]
    assert (key["use"], key["kid"]) == ("jwt-svid", header_of(svid)["kid"])
    assert header_of(svid)["typ"] == "JWT"
    claims = jwt.decode(svid, jwt.PyJWK(key), algorithms=["ES256"], audience="my-service")
    assert claims == {
        "sub": "spiffe://strongdm.test/workload/cli_abc",
        "aud": ["my-service"],
        "iat": int(clock()),
        "exp": int(clock()) + 3600,
        "iss": issuer.issuer_url(realm),
    }
    assert answer.json["spiffe_id"] == claims["sub"]


def test_the_key_of_svids_signs_no_access_tokens(issuer):
    [svid_key] = issuer.trust_bundle()["keys"]
    for realm in (None, "default", "acme"):
        assert svid_key["kid"] not in {key["kid"] for key in issuer.jwks(realm)["keys"]}


def test_a_svid_needs_an_access_token_and_an_audience(caller, issuer):
    assert caller.post_json(SVID, {"audience": ["a"]}).status == 401
    assert caller.post_json(SVID, {"audience": ["a"]}, bearer(issuer.jwt_svid(audience="a"))).status == 401
    token = bearer(issuer.token("cli_abc"))
    assert caller.post_json(SVID, {"audience": "a"}, token).status == 200
    for audience in (None, [], [""], [1], {}):
        assert caller.post_json(SVID, {"audience": audience}, token).status == 400
    assert caller.post_json(SVID, {"audience": "a"}, bearer(issuer.token("a/b"))).status == 400
    with pytest.raises(ValueError):
        issuer.jwt_svid("a/b", audience="a")
