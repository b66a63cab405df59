"""POST /introspect and POST /revoke."""

import pytest

from strongdm_auth.testing import Clock, DPoPKey, Issuer, authority


def introspect(caller, token, client=None, path="/introspect"):
    return caller.post_form(path, client or caller.issuer.client(), token=token)


def test_an_active_token_is_answered_with_its_claims(caller, issuer):
    key = DPoPKey.generate()
    token = issuer.token("alice", scopes="a b", realm="acme", audience="api", key=key)
    answer = introspect(caller, token)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.json
    assert told["active"] is True
    assert (told["token_type"], told["cnf"]) == ("DPoP", {"jkt": key.thumbprint})
    assert (told["sub"], told["client_id"], told["scope"], told["aud"]) == ("alice", "alice", "a b", "api")
    assert told["iss"] == issuer.issuer_url("acme")
    assert told["exp"] - told["iat"] == 3600
    assert introspect(caller, issuer.token("alice")).json["token_type"] == "Bearer"


def test_an_opaque_token_is_known_to_introspection_only(caller, issuer):
    token = issuer.opaque_token("alice", scopes="a", lifetime=60, claims={"jti": None})
    assert token.count(".") == 0
    told = introspect(caller, token).json
    assert (told["active"], told["sub"], told["scope"]) == (True, "alice", "a")
    assert "jti" not in told
    issuer.clock.advance(60)
    assert introspect(caller, token).json == {"active": False}


def test_what_is_not_in_force_is_inactive_and_nothing_more(caller, issuer, clock):
    revoked, rotated = issuer.token(), issuer.token(realm="acme")
    issuer.revoke(revoked)
    issuer.rotate("acme")
    good = issuer.token()
    for token in (
        "nonsense",
        "a.b.c",
        "é.é.é",
        revoked,
        rotated,
        issuer.token(lifetime=0),
        issuer.token(claims={"nbf": clock() + 1}),
        issuer.token(claims={"exp": None}),
        issuer.token(claims={"exp": "never"}),
        issuer.token(claims={"iss": "https://evil.test"}),
        issuer.token(claims={"iss": issuer.issuer_url("acme")}),
        issuer.token(header={"kid": "other"}),
        issuer.token(header={"alg": "none"}),
        good[:-6] + "AAAAAA",
        issuer.jwt_svid("alice", audience="api"),
        Issuer(algorithms=("ES256",), clock=clock).token(),
    ):
        assert introspect(caller, token).json == {"active": False}
    assert introspect(caller, good).json["active"] is True
    assert introspect(caller, issuer.token(header={"kid": None})).json["active"] is True


def test_keys_kept_over_a_rotation_still_verify(caller, issuer):
    token = issuer.token()
    issuer.rotate(keep_old=True)
    assert introspect(caller, token).json["active"] is True


@pytest.mark.parametrize("path", ["/introspect", "/revoke"])
def test_a_client_must_authenticate(caller, issuer, path):
    answer = caller.post_form(path, None, token=issuer.token())
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    assert "WWW-Authenticate" in answer.headers
    assert caller.post_form(path, issuer.client()).json["error"] == "invalid_request"


def test_below_a_realm_only_its_tokens_and_clients_are_known(caller, issuer):
    token, client = issuer.token(realm="acme"), issuer.client(realm="acme")
    assert introspect(caller, token, client, "/realms/acme/introspect").json["active"] is True
    assert introspect(caller, token, issuer.client(), "/realms/acme/introspect").status == 401
    assert introspect(caller, issuer.token(), client, "/realms/acme/introspect").json == {"active": False}


def test_a_client_revokes_its_own_token(caller, issuer):
    client = issuer.client()
    token = caller.post_form("/token", client, grant_type="client_credentials").json["access_token"]
    refused = caller.post_form("/revoke", issuer.client(), token=token)
    assert (refused.status, refused.json["error"]) == (400, "invalid_grant")
    assert introspect(caller, token).json["active"] is True
    assert caller.post_form("/revoke", client, token=token, token_type_hint="access_token").status == 200
    assert introspect(caller, token).json == {"active": False}
    assert caller.post_form("/revoke", client, token=token).status == 200
    assert caller.post_form("/revoke", client, token="unknown").status == 200


def test_an_opaque_token_can_be_revoked(caller, issuer):
    token = issuer.opaque_token()
    issuer.revoke(token)
    assert introspect(caller, token).json == {"active": False}


def test_revocations_do_not_pile_up(caller, issuer, monkeypatch):
    monkeypatch.setattr(authority, "_MAX_REVOKED", 2)
    tokens = [issuer.token() for _ in range(3)]
    for token in tokens:
        issuer.revoke(token)
    assert [introspect(caller, token).json["active"] for token in tokens] == [True, False, False]


def test_expiry_follows_the_issuers_clock(caller, issuer):
    assert isinstance(issuer.clock, Clock)
    token = issuer.token()
    issuer.clock.advance(3599)
    assert introspect(caller, token).json["active"] is True
    issuer.clock.advance(1)
    assert introspect(caller, token).json == {"active": False}
