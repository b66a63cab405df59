"""POST /token with the token exchange grant (RFC 8693)."""

import pytest

from strongdm_auth.testing import DPoPKey, Issuer

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


def exchange(caller, client, subject_token, extra=(), **form):
    parameters = {
        "grant_type": GRANT,
        "subject_token": subject_token,
        "subject_token_type": ACCESS_TOKEN,
        **form,
    }
    return caller.post_form("/token", client, extra, **parameters)


def test_the_agent_speaks_for_the_user_and_is_named_as_the_actor(caller, issuer, claims_of):
    client = issuer.client("calendar")
    user = issuer.token("user@example.com", scopes="calendar:read calendar:write", audience="api")
    answer = exchange(caller, client, user, scope="calendar:read")
    assert answer.status == 200
    assert answer.json["issued_token_type"] == ACCESS_TOKEN
    assert answer.json["token_type"] == "Bearer"
    assert answer.json["scope"] == "calendar:read"
    claims = claims_of(answer.json["access_token"])
    assert claims["iss"] == "https://id.strongdm.test/realms/default"
    assert (claims["sub"], claims["client_id"]) == ("user@example.com", client.client_id)
    assert claims["act"] == {"sub": client.client_id}
    assert claims["aud"] == "api"


def test_the_earlier_actor_nests_inside_the_later_one(caller, issuer, claims_of):
    first, second = issuer.client("first"), issuer.client("second")
    once = exchange(caller, first, issuer.token("user", scopes="a b")).json["access_token"]
    actor = issuer.token("worker", realm="default")
    twice = exchange(caller, second, once, actor_token=actor, actor_token_type=ACCESS_TOKEN)
    claims = claims_of(twice.json["access_token"])
    assert claims["sub"] == "user"
    assert claims["act"] == {
        "sub": "worker",
        "iss": "https://id.strongdm.test/realms/default",
        "act": {"sub": first.client_id},
    }
    assert claims["scope"] == "a b"


def test_scopes_never_widen_even_to_those_the_client_has(caller, issuer):
    client = issuer.client(scopes="read admin")
    answer = exchange(caller, client, issuer.token("user", scopes="read"), scope="read admin")
    assert (answer.status, answer.json["error"]) == (400, "invalid_scope")


def test_the_new_token_does_not_outlive_the_subjects(caller, issuer):
    answer = exchange(caller, issuer.client(), issuer.token("user", lifetime=90))
    assert answer.json["expires_in"] == 90


def test_a_proof_binds_the_exchanged_token_to_the_agents_key(caller, issuer, clock, claims_of):
    key, users_key = DPoPKey.generate(), DPoPKey.generate()
    proof = key.proof("POST", issuer.url + "/token", now=clock())
    answer = exchange(caller, issuer.client(), issuer.token("user", key=users_key), {"DPoP": proof}, audience="b")
    assert answer.json["token_type"] == "DPoP"
    claims = claims_of(answer.json["access_token"])
    assert (claims["cnf"], claims["aud"]) == ({"jkt": key.thumbprint}, "b")


def test_an_opaque_token_can_be_the_subject(caller, issuer, claims_of):
    answer = exchange(caller, issuer.client(), issuer.opaque_token("user", scopes="a"))
    assert claims_of(answer.json["access_token"])["sub"] == "user"


def test_may_act_names_the_only_one_who_may(caller, issuer):
    allowed, other = issuer.client(), issuer.client()
    subject = issuer.token("user", claims={"may_act": {"sub": allowed.client_id}})
    assert exchange(caller, allowed, subject).status == 200
    assert exchange(caller, other, subject).json["error"] == "invalid_request"


def test_a_chain_of_actors_has_an_end(caller, issuer):
    client, token = issuer.client(), issuer.token("user")
    for _ in range(16):
        token = exchange(caller, client, token).json["access_token"]
    assert exchange(caller, client, token).json["error"] == "invalid_request"


def test_a_token_that_does_not_count_is_not_built_upon(caller, issuer, clock):
    client = issuer.client()
    revoked = issuer.token("user")
    issuer.revoke(revoked)
    for token in (
        "x",
        revoked,
        issuer.token("user", lifetime=0),
        issuer.token("user", realm="acme"),
        issuer.token("user", claims={"sub": None}),
        Issuer(algorithms=("ES256",), clock=clock).token("user"),
        issuer.jwt_svid("user", audience="a"),
    ):
        answer = exchange(caller, client, token)
        assert (answer.status, answer.json["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject_token": ""},
        {"subject_token_type": ""},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"actor_token_type": ACCESS_TOKEN},
        {"actor_token": "x"},
        {"actor_token": "x", "actor_token_type": ACCESS_TOKEN},
    ],
)
def test_a_request_with_missing_or_odd_parts_is_invalid(caller, issuer, wrong):
    form = {"subject_token": issuer.token("user"), **wrong}
    answer = exchange(caller, issuer.client(), form.pop("subject_token"), **form)
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")
