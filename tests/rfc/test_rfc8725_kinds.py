"""Other kinds of JWT, signed with the issuer's own key, are no access tokens (RFC 8725 3.11, 3.12, RFC 9068 4).

Checklist 38, 39, 45, 69. The `strongdm` profile takes a header typ that is absent, `JWT` or `at+jwt`; `rfc9068` takes
`at+jwt` alone; both also as `application/...` and in any case.
"""

from typing import Any

import pytest

from strongdm_auth import InvalidToken, Verifier
from strongdm_auth.testing import Issuer
from tests.conftest import AUDIENCE, NOW, request

from .support import Caller, MakeVerifier, honest_claims, mint, realm_token, refused

ACCESS_TOKEN = ["at+jwt", "AT+JWT", "At+Jwt", "application/at+jwt", "APPLICATION/AT+JWT", "Application/At+JWT"]
UNTYPED = ["JWT", "jwt", "Jwt"]
OTHERS = [
    "dpop+jwt",
    "logout+jwt",
    "txntoken+jwt",
    "txn_token",
    "JOSE",
    "JOSE+JSON",
    "secevent+jwt",
    "token-introspection+jwt",
    "client-authentication+jwt",
    "oauth-authz-req+jwt",
    "application/dpop+jwt",
    "application/application/at+jwt",
    "at+jwt; charset=utf-8",
    " at+jwt",
    "at+jwt ",
    "at-jwt",
    "at jwt",
    "at+jwtx",
    "at+ＪＷＴ",
    "x",
]


@pytest.mark.parametrize("typ", [*ACCESS_TOKEN, *UNTYPED, None])
def test_the_strongdm_profile_takes_access_tokens_and_untyped_ones(
    issuer: Issuer, verifier: Verifier, typ: str | None
) -> None:
    """RFC 9068 4 and the contract's token_profile; checklist 39."""
    assert verifier.authenticate(request(mint(issuer, header={"typ": typ}))).subject == "cli_agent"


@pytest.mark.parametrize("typ", [*ACCESS_TOKEN, *UNTYPED, None])
def test_the_rfc9068_profile_takes_only_what_says_that_it_is_one(
    issuer: Issuer, make_verifier: MakeVerifier, typ: str | None
) -> None:
    """RFC 9068 4, RFC 8725 3.11; checklist 39, 69."""
    verifier, sent = make_verifier(token_profile="rfc9068"), request(mint(issuer, header={"typ": typ}))
    if typ in ACCESS_TOKEN:
        assert verifier.authenticate(sent).subject == "cli_agent"
    else:
        assert refused(verifier, sent).reason == "token.type"


@pytest.mark.parametrize("profile", ["strongdm", "rfc9068"])
@pytest.mark.parametrize("typ", [*OTHERS, ""])
def test_any_other_typ_is_no_access_token_in_either_profile(
    issuer: Issuer, make_verifier: MakeVerifier, typ: str, profile: str
) -> None:
    """RFC 8725 3.11, 3.12; checklist 39, 69."""
    error = refused(make_verifier(token_profile=profile), request(mint(issuer, header={"typ": typ})))
    assert (type(error), error.status_code, error.reason) == (InvalidToken, 401, "token.type")


@pytest.mark.parametrize("typ", [None, 1, True, [], ["at+jwt"], {}], ids=repr)
def test_a_typ_that_is_no_string_is_refused(issuer: Issuer, verifier: Verifier, typ: Any) -> None:
    """RFC 7515 4.1.9; checklist 39: a null is not an absent one."""
    error = refused(verifier, request(realm_token(issuer, honest_claims(), typ=typ)))
    assert (type(error), error.status_code) == (InvalidToken, 401)


KINDS: dict[str, tuple[str | None, dict[str, Any]]] = {
    # what it is -> header typ, claims on top of an honest access token's
    "ID token of OIDC Core": ("JWT", {"aud": AUDIENCE, "azp": AUDIENCE, "nonce": "n", "auth_time": int(NOW)}),
    "ID token with at_hash": (None, {"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"}),
    "ID token with c_hash": (None, {"c_hash": "77QmUPtjPfzWtF2AnpK9RQ"}),
    "ID token for the client itself": ("JWT", {"aud": AUDIENCE, "azp": AUDIENCE}),
    "logout token without typ": (
        None,
        {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}, "sid": "s"},
    ),
    "logout token dressed as an access token": (
        "at+jwt",
        {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
    ),
    "JWT-SVID": (None, {"sub": "spiffe://strongdm.test/agent/x"}),
    "JWT-SVID with typ JWT": ("JWT", {"sub": "spiffe://strongdm.test/agent/x"}),
    "transaction token": ("txntoken+jwt", {"txn": "t", "tctx": {}}),
    "refresh token by claim typ": ("JWT", {"typ": "Refresh"}),
    "ID token by claim typ": ("JWT", {"typ": "ID"}),
    "logout token by claim typ": ("JWT", {"typ": "Logout"}),
    "offline token by claim typ": ("JWT", {"typ": "Offline"}),
    "refresh token by token_type": ("at+jwt", {"token_type": "refresh_token"}),
    "SVID by token_type": ("at+jwt", {"token_type": "jwt_svid"}),
    "token_type is Bearer": ("at+jwt", {"token_type": "Bearer"}),
    "ID token by token_use": ("JWT", {"token_use": "id"}),
}


@pytest.mark.parametrize("name", KINDS)
def test_another_kind_of_jwt_signed_by_the_same_key_is_refused(issuer: Issuer, verifier: Verifier, name: str) -> None:
    """RFC 8725 3.12; checklist 38, 39, 69."""
    typ, claims = KINDS[name]
    header: dict[str, Any] = {} if typ is None else {"typ": typ}
    key = issuer.signing_key("alpha", "ES256")
    base = {name: value for name, value in honest_claims().items() if name != "client_id"}
    error = refused(verifier, request(key.sign(header, base | claims)))
    assert (type(error), error.status_code, error.reason) == (InvalidToken, 401, "token.type")
    assert verifier.authenticate(request(key.sign({} if typ == "txntoken+jwt" else header, base)))


def test_a_proof_sent_as_access_token_is_refused(
    issuer: Issuer, caller: Caller, verifier: Verifier, make_verifier: MakeVerifier
) -> None:
    """RFC 9449 11.5, RFC 8725 3.12; checklist 38."""
    assert refused(verifier, request(caller.proof())).reason == "token.type"
    # Even one that the issuer itself signed, with all that a token needs.
    key = issuer.signing_key("alpha", "ES256")
    proof = key.sign({"typ": "dpop+jwt", "jwk": key.public_jwk()}, honest_claims(htm="GET", htu="https://x"))
    assert refused(verifier, request(proof)).reason == "token.type"


def test_a_jwt_svid_of_the_issuer_is_refused(issuer: Issuer, verifier: Verifier) -> None:
    """RFC 8725 3.12; checklist 39, 69."""
    svid = issuer.jwt_svid("cli_agent", audience=AUDIENCE, realm="alpha")
    assert refused(verifier, request(svid)).status_code == 401


@pytest.mark.parametrize("claim", ["groups", "roles", "entitlements"])
def test_groups_roles_and_entitlements_are_data_only(issuer: Issuer, verifier: Verifier, claim: str) -> None:
    """RFC 9068 2.2.3.1; checklist 45: they grant no scope, and a route can read them."""
    token = verifier.authenticate(request(mint(issuer, claims={claim: ["admin"], "scp": ["admin"]})))
    assert token.scopes == frozenset({"read"})
    assert list(token.claims[claim]) == ["admin"]
