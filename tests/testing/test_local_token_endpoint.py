"""POST /token: client authentication, client credentials, DPoP binding."""

from urllib.parse import quote_plus

import pytest

from strongdm_auth.testing import DPoPKey, Issuer

FORM = "application/x-www-form-urlencoded"


def ask(caller, client, path="/token", extra=(), **form):
    return caller.post_form(path, client, extra, **{"grant_type": "client_credentials", **form})


def test_client_credentials_get_a_token_of_the_clients_realm_even_at_the_root(caller, issuer, claims_of, clock):
    client = issuer.client("My Agent", scopes=("openid", "read"), realm="acme")
    assert client.client_id.startswith("cli_my_agent_")
    assert client.client_secret.startswith("sec_")
    answer = ask(caller, client)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert {name: answer.json[name] for name in ("token_type", "expires_in", "scope")} == {
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "openid read",
    }
    claims = claims_of(answer.json["access_token"])
    assert claims["iss"] == "https://id.strongdm.test/realms/acme"
    assert claims["sub"] == claims["client_id"] == client.client_id
    assert claims["iat"] == int(clock())
    assert "aud" not in claims


def test_a_client_without_a_realm_is_of_the_default_realm_or_else_of_the_base_issuer(caller, issuer, claims_of):
    assert issuer.client().realm == "default"
    bare = type(caller)(Issuer(realms=(), algorithms=("ES256",)))
    client = bare.issuer.client()
    assert client.realm is None
    assert claims_of(ask(bare, client).json["access_token"])["iss"] == bare.issuer.url


def test_below_a_realm_only_its_own_clients_are_known(caller, issuer):
    client = issuer.client(realm="acme")
    assert ask(caller, client, "/realms/acme/token").status == 200
    assert ask(caller, client, "/realms/default/token").status == 401


def test_a_scope_narrows_and_never_widens(caller, issuer):
    client = issuer.client(scopes="openid read")
    assert ask(caller, client, scope="read").json["scope"] == "read"
    assert ask(caller, client, scope="").json["scope"] == "openid read"
    for scope in ("admin", "read admin", 'a"b'):
        answer = ask(caller, client, scope=scope)
        assert (answer.status, answer.json["error"]) == (400, "invalid_scope")


def test_audience_and_resource_become_the_audience(caller, issuer, claims_of):
    client = issuer.client()

    def audience(**form):
        return claims_of(ask(caller, client, **form).json["access_token"])["aud"]

    assert audience(audience="api") == "api"
    assert audience(resource="https://api.test/") == "https://api.test/"
    assert audience(audience=["a", "b"], resource=["https://c.test/", "https://d.test/"]) == [
        "a",
        "b",
        "https://c.test/",
        "https://d.test/",
    ]
    for wrong in ("api", "https://api.test/#part", "http://["):
        assert ask(caller, client, resource=wrong).json["error"] == "invalid_target"


def test_secrets_may_be_posted_or_form_encoded_in_basic(caller, issuer, basic_of):
    client = issuer.client()
    posted = ask(caller, None, client_id=client.client_id, client_secret=client.client_secret)
    assert posted.status == 200
    encoded = basic_of(quote_plus(client.client_id), quote_plus(client.client_secret).replace("_", "%5F"))
    assert ask(caller, None, extra={"Authorization": encoded}).status == 200
    assert ask(caller, client, client_id=client.client_id).status == 200


@pytest.mark.parametrize(
    "authorization",
    [None, "Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Basic /w==", "Bearer x", "Basic Og=="],
)
def test_bad_client_authentication_is_401_with_a_basic_challenge(caller, authorization):
    answer = ask(caller, None, extra={"Authorization": authorization} if authorization else ())
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_wrong_secret_and_another_clients_id_are_refused(caller, issuer, basic_of):
    client, other = issuer.client(), issuer.client()
    assert ask(caller, None, extra={"Authorization": basic_of(client.client_id, "sec_wrong")}).status == 401
    assert ask(caller, None, extra={"Authorization": basic_of(client.client_id, "s\xe9c")}).status == 401
    assert ask(caller, client, client_id=other.client_id).status == 401
    assert ask(caller, None, client_id=client.client_id, client_secret=other.client_secret).status == 401


def test_two_ways_of_authenticating_at_once_are_an_invalid_request(caller, issuer):
    client = issuer.client()
    answer = ask(caller, client, client_secret=client.client_secret)
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"grant_type=client_credentials&grant_type=client_credentials", FORM),
        (b"\xff\xfe", FORM),
        (b"a=%ff", FORM),
        (b"&".join(b"a%d=1" % number for number in range(100)), FORM),
        (b"grant_type=client_credentials", "text/plain"),
        (b"{}", "application/json"),
    ],
)
def test_a_malformed_form_is_an_invalid_request(caller, body, content_type):
    answer = caller.send("POST", "/token", {"Content-Type": content_type}, body)
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")


def test_two_authorization_headers_are_an_invalid_request(caller, issuer, basic_of):
    value = basic_of(*issuer.client().auth)
    headers = [("Content-Type", FORM), ("Authorization", value), ("authorization", value)]
    answer = caller.send("POST", "/token", headers, b"grant_type=client_credentials")
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")


def test_a_missing_and_an_unknown_grant_type_are_told_apart(caller, issuer):
    client = issuer.client()
    assert caller.post_form("/token", client).json["error"] == "invalid_request"
    assert ask(caller, client, grant_type="password").json["error"] == "unsupported_grant_type"


@pytest.mark.parametrize("alg", ["ES256", "ES384", "RS256", "PS256", "EdDSA", "Ed25519"])
@pytest.mark.parametrize("path", ["/token", "/realms/default/token"])
def test_a_proof_binds_the_token_to_its_key(caller, issuer, clock, claims_of, alg, path):
    key = DPoPKey.generate(alg)
    proof = key.proof("POST", issuer.url + path, now=clock())
    answer = ask(caller, issuer.client(), path, {"DPoP": proof})
    assert answer.json["token_type"] == "DPoP"
    assert claims_of(answer.json["access_token"])["cnf"] == {"jkt": key.thumbprint}


def test_a_proof_may_carry_a_query_other_case_and_extra_key_members(caller, issuer, clock):
    key = DPoPKey.generate()
    for proof in (
        key.proof("POST", issuer.url + "/token?x=1#y", now=clock()),
        key.proof("POST", "HTTPS://ID.strongdm.test:443/token", now=clock() - 60),
        key.proof(
            "POST",
            issuer.url + "/token",
            now=clock(),
            header={"jwk": {**key.public_jwk, "use": "sig", "kid": "1"}},
        ),
    ):
        assert ask(caller, issuer.client(), extra={"DPoP": proof}).status == 200


SHORT_RSA = {"kty": "RSA", "n": "AQAB" * 20, "e": "AQAB"}
BAD_PROOFS = {
    "another method": {"claims": {"htm": "GET"}},
    "another path": {"claims": {"htu": "https://id.strongdm.test/revoke"}},
    "another host": {"claims": {"htu": "https://evil.test/token"}},
    "another port": {"claims": {"htu": "https://id.strongdm.test:444/token"}},
    "an impossible port": {"claims": {"htu": "https://id.strongdm.test:port/token"}},
    "no htu": {"claims": {"htu": None}},
    "too old": {"now": 1_800_000_000 - 61},
    "from the future": {"now": 1_800_000_000 + 62},
    "iat is text": {"claims": {"iat": "1800000000"}},
    "iat is true": {"claims": {"iat": True}},
    "iat is not a number": {"claims": {"iat": float("nan")}},
    "iat is huge": {"claims": {"iat": 10**400}},
    "no jti": {"claims": {"jti": None}},
    "jti is a number": {"claims": {"jti": 7}},
    "another typ": {"header": {"typ": "JWT"}},
    "no typ": {"header": {"typ": None}},
    "alg none": {"header": {"alg": "none"}},
    "a symmetric alg": {"header": {"alg": "HS256"}},
    "another curve's alg": {"header": {"alg": "ES384"}},
    "another key type's alg": {"header": {"alg": "EdDSA"}},
    "no key": {"header": {"jwk": None}},
    "a symmetric key": {"header": {"jwk": {"kty": "oct", "k": "AAAA"}}},
    "another key": {"header": {"jwk": DPoPKey.generate().public_jwk}},
    "a private key": {"header": {"jwk": {**DPoPKey.generate().public_jwk, "d": "AAAA"}}},
    "half a key": {"header": {"jwk": {"kty": "EC", "crv": "P-256", "x": "AAAA"}}},
    "a point off the curve": {"header": {"jwk": {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}}},
    "an unknown curve": {"header": {"jwk": {"kty": "EC", "crv": "P-1", "x": "AAAA", "y": "AAAA"}}},
    "a key for encryption": {"header": {"alg": "EdDSA", "jwk": {"kty": "OKP", "crv": "X25519", "x": "A" * 43}}},
    "a short key": {"header": {"alg": "RS256", "jwk": SHORT_RSA}},
    "far too long": {"claims": {"jti": "j" * 9000}},
}


@pytest.mark.parametrize("flaw", BAD_PROOFS)
def test_a_bad_proof_gets_no_token(caller, issuer, clock, flaw):
    proof = DPoPKey.generate().proof("POST", issuer.url + "/token", **{"now": clock(), **BAD_PROOFS[flaw]})
    answer = ask(caller, issuer.client(), extra={"DPoP": proof})
    assert (answer.status, answer.json["error"]) == (400, "invalid_dpop_proof")


@pytest.mark.parametrize("proof", ["", "x", "a.b.c", "é.é.é", "e30.e30.", "W10.e30.e30", "e30=.e30.e30"])
def test_a_header_that_is_no_proof_gets_no_token(caller, issuer, proof):
    answer = ask(caller, issuer.client(), extra={"DPoP": proof})
    assert (answer.status, answer.json["error"]) == (400, "invalid_dpop_proof")


def test_two_proofs_are_one_too_many(caller, issuer, clock, basic_of):
    proof = DPoPKey.generate().proof("POST", issuer.url + "/token", now=clock())
    headers = [
        ("Content-Type", FORM),
        ("Authorization", basic_of(*issuer.client().auth)),
        ("DPoP", proof),
        ("dpop", proof),
    ]
    answer = caller.send("POST", "/token", headers, b"grant_type=client_credentials")
    assert answer.json["error"] == "invalid_dpop_proof"
