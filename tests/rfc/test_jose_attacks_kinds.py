"""JOSE attacks by taking one kind of JWT for another (RFC 8725 2.8, 3.11, 3.12): what the issuer signs for other ends sent
as an access token, and what a client's key signs for other ends sent as a proof. More in test_rfc8725_kinds.py; the index
is in test_jose_attacks.py."""

import json
from typing import Any

import pytest
from joserfc.jwk import Key

from strongdm_auth.testing import DPoPKey, Issuer, SigningKey
from strongdm_auth.testing.jws import public_members
from tests.conftest import AUDIENCE, NOW, URL, request

from .support import Caller, MakeVerifier, honest_claims, mint, realm_token, refused, sign_raw
from .test_jose_attacks import Way, new_key, signed, way_with_key

ALPHA = "https://id.strongdm.test/realms/alpha"
CLIENT = "cli_agent"
SOON = int(NOW) + 300

#: What an issuer signs besides access tokens: header typ, claims, and why it is refused.
SIGNED_BY_THE_ISSUER: dict[str, tuple[str | None, dict[str, Any], str]] = {
    "ID token": (None, {"iss": ALPHA, "sub": "u", "aud": CLIENT, "iat": int(NOW), "exp": SOON}, "audience"),
    "ID token of a client that is the API": (
        None,
        {"iss": ALPHA, "sub": "u", "aud": AUDIENCE, "azp": AUDIENCE, "iat": int(NOW), "exp": SOON, "nonce": "n"},
        "type",
    ),
    "logout token": (
        "logout+jwt",
        {"iss": ALPHA, "sub": "u", "aud": AUDIENCE, "iat": int(NOW), "exp": SOON, "jti": "j", "events": {}},
        "type",
    ),
    "security event": (
        "secevent+jwt",
        {"iss": ALPHA, "aud": AUDIENCE, "iat": int(NOW), "jti": "j", "events": {"urn:x": {}}},
        "type",
    ),
    "security event that does not say so": (
        None,
        {"iss": ALPHA, "sub": "u", "aud": AUDIENCE, "iat": int(NOW), "exp": SOON, "events": {"urn:x": {}}},
        "type",
    ),
    "authorization response": (None, {"iss": ALPHA, "aud": AUDIENCE, "exp": SOON, "code": "c", "state": "s"}, "claims"),
    "authorization response with a subject": (
        None,
        {"iss": ALPHA, "sub": "u", "aud": CLIENT, "iat": int(NOW), "exp": SOON, "code": "c"},
        "audience",
    ),
    "userinfo": (None, {"iss": ALPHA, "aud": AUDIENCE, "sub": "u", "email": "u@example.com"}, "claims"),
    "introspection response": (
        "token-introspection+jwt",
        {"iss": ALPHA, "aud": AUDIENCE, "iat": int(NOW), "token_introspection": honest_claims(active=True)},
        "type",
    ),
    "introspection response that does not say so": (
        None,
        {"iss": ALPHA, "aud": AUDIENCE, "iat": int(NOW), "token_introspection": honest_claims(active=True)},
        "claims",
    ),
    "software statement": (None, {"iss": ALPHA, "software_id": "s", "client_name": "x", "iat": int(NOW)}, "claims"),
    "metadata": (None, {"iss": ALPHA, "issuer": ALPHA, "jwks_uri": f"{ALPHA}/jwks", "iat": int(NOW)}, "claims"),
    "JWT-SVID": (
        None,
        {"iss": ALPHA, "sub": "spiffe://x/agent", "aud": AUDIENCE, "iat": int(NOW), "exp": SOON},
        "type",
    ),
    "refresh token": (
        None,
        {"iss": ALPHA, "sub": "u", "aud": AUDIENCE, "iat": int(NOW), "exp": SOON, "typ": "Refresh"},
        "type",
    ),
    **{
        typ: (typ, honest_claims(), "type")
        for typ in (
            *(
                "entity-statement+jwt",
                "oauth-id-jag+jwt",
                "statuslist+jwt",
                "dc+sd-jwt",
                "vc+sd-jwt",
                "vc+jwt",
                "vp+jwt",
            ),
            *("wit+jwt", "oauth-client-attestation+jwt", "token-status-list+jwt", "resource-metadata+jwt", "kb+jwt"),
            *("mdoc", "rt+jwt", "id_token+jwt", "at+cwt", "at+jwt+x", "x-at+jwt", "jwt+at", "application/jwt/at+jwt"),
        )
    },
}


@pytest.mark.parametrize("profile", ["strongdm", "rfc9068"])
@pytest.mark.parametrize("kind", SIGNED_BY_THE_ISSUER)
def test_what_the_issuer_signs_for_other_ends_is_no_access_token(
    issuer: Issuer, make_verifier: MakeVerifier, kind: str, profile: str
) -> None:
    """RFC 8725 3.11, 3.12: same issuer, same key, a signature that holds. The strict profile goes by `typ` alone."""
    typ, claims, reason = SIGNED_BY_THE_ISSUER[kind]
    token = issuer.signing_key("alpha", "ES256").sign({} if typ is None else {"typ": typ}, claims)
    expected = "type" if profile == "rfc9068" else reason
    assert refused(make_verifier(token_profile=profile), request(token)).reason == f"token.{expected}"


@pytest.mark.parametrize("typ", [None, "JWT", "at+jwt", "client-authentication+jwt"])
@pytest.mark.parametrize("audience", [ALPHA, f"{ALPHA}/token", AUDIENCE, [ALPHA, AUDIENCE]], ids=str)
def test_what_a_client_signs_to_authenticate_itself_is_no_access_token(
    issuer: Issuer, make_verifier: MakeVerifier, audience: Any, typ: str | None
) -> None:
    """RFC 7523 3, RFC 8725 3.8: a client is no issuer, whatever its key signs, also under the issuer's name or kid."""
    client = SigningKey.generate("ES256", kid=issuer.signing_key("alpha", "ES256").kid)
    claims = {"iss": CLIENT, "sub": CLIENT, "aud": audience, "jti": "j", "iat": int(NOW), "exp": SOON}
    header = {} if typ is None else {"typ": typ}
    verifier = make_verifier()
    expected = "type" if typ == "client-authentication+jwt" else "issuer"
    assert refused(verifier, request(client.sign(header, claims))).reason == f"token.{expected}"
    expected = "type" if typ == "client-authentication+jwt" else "signature"
    forged = client.sign(header, claims | {"iss": ALPHA, "aud": AUDIENCE})
    assert refused(verifier, request(forged)).reason == f"token.{expected}"


#: What a client's key signs besides proofs; several carry the key in the header, as a proof does.
SIGNED_BY_THE_CLIENT = [
    *("kb+jwt", "openid4vci-proof+jwt", "oauth-client-attestation-pop+jwt", "client-authentication+jwt", "wpt+jwt"),
    *("oauth-authz-req+jwt", "JWT", "jwt", "at+jwt", "secevent+jwt", "wit+jwt", "http-message-signature+jwt", "pop"),
    *("DPOP+JWT", "dpop+JWT", "application/dpop+jwt", "dpop+jwt;v=1", "dpop+jwt ", "\x00dpop+jwt", "dpop", "dpop+jws"),
]


@pytest.mark.parametrize("typ", SIGNED_BY_THE_CLIENT)
def test_what_a_clients_key_signs_for_other_ends_is_no_proof(
    issuer: Issuer, make_verifier: MakeVerifier, typ: str
) -> None:
    """RFC 9449 4.3 (4), 11.5: all claims of a proof, the right key, and another name. The name is compared exactly."""
    way, key = way_with_key("dpop", issuer, make_verifier)
    assert way.reason(signed(way.text({"typ": typ}), key, way.alg)) == "typ"
    assert way.passes(signed(way.text(), key, way.alg))


def test_a_proof_made_for_a_token_endpoint_opens_no_api(caller: Caller, make_verifier: MakeVerifier) -> None:
    """RFC 9449 4.3 (9), (12): it has no `ath` and another `htu`; with the API's own, `ath` is still missing."""
    verifier = make_verifier()
    at_the_issuer = caller.key.proof("POST", f"{ALPHA}/token", now=NOW)
    assert refused(verifier, caller.request(at_the_issuer, method="POST")).reason == "dpop.htu_mismatch"
    here = caller.key.proof("GET", URL, now=NOW)
    assert refused(verifier, caller.request(here)).reason == "dpop.claims"


@pytest.mark.parametrize("dressed", ["token as proof", "proof as token", "both at once"])
def test_one_jws_is_never_both_token_and_proof(issuer: Issuer, make_verifier: MakeVerifier, dressed: str) -> None:
    """RFC 8725 3.12: even where one key signs both, and all claims of both are there, `typ` can say one thing only."""
    key = issuer.signing_key("alpha", "ES256")
    public = DPoPKey("ES256", key.private_key)
    verifier = make_verifier()
    proof_claims = {"jti": "j", "htm": "GET", "htu": URL, "iat": int(NOW)}
    claims = honest_claims(cnf={"jkt": public.thumbprint}) | proof_claims
    header = {"alg": "ES256", "kid": key.kid, "jwk": public.public_jwk}
    as_token = sign_raw(key.private_key, "ES256", header | {"typ": "at+jwt"}, claims)
    as_proof = sign_raw(key.private_key, "ES256", header | {"typ": "dpop+jwt"}, claims)
    if dressed == "token as proof":
        assert refused(verifier, request(as_token, as_token)).reason == "dpop.typ"
    elif dressed == "proof as token":
        assert refused(verifier, request(as_proof, as_proof)).reason == "token.type"
    else:
        untyped = sign_raw(key.private_key, "ES256", header, claims)
        assert refused(verifier, request(untyped, untyped)).reason == "dpop.typ"
        assert refused(verifier, request(untyped, as_proof)).reason == "dpop.claims"  # no JWS holds its own hash


@pytest.mark.parametrize(
    "use", [{"use": "enc"}, {"key_ops": ["encrypt"]}, {"alg": "RSA-OAEP"}, {"alg": "RSA-OAEP-256"}]
)
def test_a_key_for_encryption_verifies_nothing(
    issuer: Issuer, make_verifier: MakeVerifier, use: dict[str, Any]
) -> None:
    """RFC 7517 4.2 to 4.4, RFC 8725 3.5: the issuer's decryption oracle, if it had one, would sign tokens."""
    key = DPoPKey.generate("RS256").private_key
    way = Way("token", issuer, make_verifier, {**key.as_dict(private=False), **use}, "RS256")
    assert way.reason(signed(way.text(), key, "RS256")) == "key_unknown"


@pytest.mark.parametrize("kid", [[], ["k"], {}, {"k": 1}, 5, True, None], ids=repr)
def test_a_kid_in_a_key_set_that_is_no_string_is_no_kid(issuer: Issuer, make_verifier: MakeVerifier, kid: Any) -> None:
    """RFC 7517 4.5: such a key serves tokens without `kid`, and the other keys theirs; nothing falls over."""
    key, other = new_key("ES256"), new_key("ES256")
    keys = [{**public_members(key), "kid": kid}, {**public_members(other), "kid": "other"}]
    issuer.answer("/jwks", body=json.dumps({"keys": keys}).encode())
    verifier = make_verifier()
    header = {"alg": "ES256", "typ": "at+jwt"}
    assert verifier.authenticate(request(sign_raw(key, "ES256", header, honest_claims()))).subject == CLIENT
    named = sign_raw(other, "ES256", header | {"kid": "other"}, honest_claims())
    assert verifier.authenticate(request(named)).subject == CLIENT
    for guess in ("k", "[]", "5", "True", "None", ""):
        forged = sign_raw(key, "ES256", header | {"kid": guess}, honest_claims())
        assert refused(verifier, request(forged)).reason == "token.key_unknown"


def test_a_proof_key_says_for_itself_what_it_is_used_for(issuer: Issuer, make_verifier: MakeVerifier) -> None:
    """RFC 9449 4.2: the proof shows its use. What its `jwk` says of others' use decides nothing, also no algorithm."""
    key: Key = DPoPKey.generate("RS256").private_key
    for number, said in enumerate(
        ({"use": "enc"}, {"key_ops": ["sign"]}, {"alg": "PS256"}, {"alg": "none"}, {"alg": 5})
    ):
        way = Way("dpop", issuer, make_verifier, {**key.as_dict(private=False), **said}, "RS256")
        assert way.passes(signed(way.text(claims={"jti": str(number)}), key, "RS256"))
        assert way.reason(signed(way.text({"alg": "PS256"}), key, "PS256")) == "algorithm"


def test_a_token_of_one_realm_dressed_as_anothers_is_refused(issuer: Issuer, make_verifier: MakeVerifier) -> None:
    """RFC 8725 3.8, 3.10: the header may name any realm's kid; the key is looked for below `iss` only."""
    verifier = make_verifier(realms=["alpha", "beta"])
    beta = issuer.signing_key("beta", "ES256")
    for header in ({"kid": issuer.signing_key("alpha", "ES256").kid}, {"kid": None}, {"iss": ALPHA}, {"realm": "beta"}):
        forged = beta.sign(header, honest_claims())
        assert refused(verifier, request(forged)).reason in ("token.signature", "token.key_unknown")
    # A claim that only looks like the issuer decides nothing.
    lying = beta.sign({}, honest_claims(iss=issuer.issuer_url("beta"), realm="alpha", issuer=ALPHA))
    assert verifier.authenticate(request(lying)).realm == "beta"
    assert verifier.authenticate(request(mint(issuer))).realm == "alpha"


@pytest.mark.parametrize("tail", ["~", "~WyJzYWx0Iiwic3ViIiwiYWRtaW4iXQ~", "~~"])
def test_a_token_with_disclosures_behind_it_is_refused(issuer: Issuer, make_verifier: MakeVerifier, tail: str) -> None:
    """SD-JWT (RFC 9901 4): what stands behind the tilde is not signed, and nothing here reads it."""
    token = realm_token(issuer, honest_claims())
    assert refused(make_verifier(), request(token + tail)).reason == "token.malformed"
    assert make_verifier().authenticate(request(token))


@pytest.mark.parametrize("version", ["v1.public", "v2.public", "v3.public", "v4.public", "v4.local"])
def test_a_paseto_is_no_jwt(issuer: Issuer, make_verifier: MakeVerifier, version: str) -> None:
    """Three or four parts between dots, and the first is no header."""
    payload = mint(issuer).split(".")[1]
    for tail in ("", ".Zm9vdGVy"):
        reason = "token.opaque" if tail else "token.malformed"
        assert refused(make_verifier(), request(f"{version}.{payload}{tail}")).reason == reason
