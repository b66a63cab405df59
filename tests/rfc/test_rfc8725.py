"""JWT best current practices (RFC 8725) for access tokens; checklist 42, 61, 62, 66-68 (69 is in test_rfc8725_kinds.py)."""

import hmac
import json
from typing import Any

import pytest
from joserfc.jwk import RSAKey

from strongdm_auth import ConfigurationError, InvalidToken, Settings, Verifier
from strongdm_auth.testing import Clock, DPoPKey, Issuer, SigningKey, unsigned_token
from tests.conftest import AUDIENCE, request

from .support import MakeVerifier, b64, honest_claims, mint, realm_token, refused, sign_raw, watched_verifier


def pem(key: SigningKey) -> bytes:
    assert isinstance(key.private_key, RSAKey)
    return bytes(key.private_key.as_pem(private=False))


@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "nOnE", "HS256", "HS512", "", "RSA1_5", "dir", "rs256", "ES256 "]
)
@pytest.mark.parametrize("kind", ["empty", "stolen"])
def test_no_token_passes_without_an_asymmetric_signature(
    issuer: Issuer, verifier: Verifier, alg: str, kind: str
) -> None:
    """RFC 8725 3.1, 3.2, RFC 9068 4; checklist 42, 62."""
    honest = mint(issuer, alg="ES256").split(".")
    header = b64(json.dumps({"alg": alg, "kid": issuer.signing_key("alpha", "ES256").kid}).encode())
    token = f"{header}.{honest[1]}.{honest[2] if kind == 'stolen' else 'AA'}"
    error = refused(verifier, request(token))
    assert (type(error), error.status_code, error.reason) == (InvalidToken, 401, "token.algorithm")


@pytest.mark.parametrize("alg", ["none", "None", "NONE"])
def test_an_unsigned_token_is_refused(issuer: Issuer, verifier: Verifier, alg: str) -> None:
    """RFC 8725 3.2; checklist 62: with an empty third segment it is not even a JWS to us."""
    error = refused(verifier, request(unsigned_token({"alg": alg, "typ": "at+jwt"}, honest_claims())))
    assert (type(error), error.status_code) == (InvalidToken, 401)


@pytest.mark.parametrize("alg", [None, 1, True, [], ["RS256"], {}, 1.5], ids=repr)
def test_an_alg_that_is_no_string_is_refused(issuer: Issuer, verifier: Verifier, alg: Any) -> None:
    """RFC 7515 4.1.1; checklist 61."""
    assert refused(verifier, request(realm_token(issuer, honest_claims(), alg=alg))).reason == "token.algorithm"


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("form", ["pem", "jwk", "modulus"])
def test_a_public_key_is_no_hmac_secret(issuer: Issuer, verifier: Verifier, alg: str, form: str) -> None:
    """RFC 8725 2.1, 3.1; checklist 61."""
    key = issuer.signing_key("alpha", "RS256")
    secrets = {
        "pem": pem(key),
        "jwk": json.dumps(key.public_jwk()).encode(),
        "modulus": str(key.public_jwk()["n"]).encode(),
    }
    header = json.dumps({"alg": alg, "kid": key.kid, "typ": "at+jwt"}).encode()
    text = f"{b64(header)}.{b64(json.dumps(honest_claims()).encode())}"
    token = f"{text}.{b64(hmac.digest(secrets[form], text.encode(), 'sha' + alg[2:]))}"
    assert refused(verifier, request(token)).reason == "token.algorithm"


@pytest.mark.parametrize("name", ["none", "None", "HS256", "hs512", "HS1", "RS256,none", "XS256", "RSA-OAEP"])
@pytest.mark.parametrize("field", ["algorithms", "dpop_algorithms"])
def test_no_symmetric_or_unknown_algorithm_can_be_configured(name: str, field: str) -> None:
    """RFC 8725 3.1, 3.2; checklist 61, 62."""
    with pytest.raises(ConfigurationError, match=field):
        Settings(realms="x", audience="a", **{field: name})


def test_an_algorithm_that_is_not_on_the_list_is_refused_though_its_signature_holds(
    issuer: Issuer, make_verifier: MakeVerifier
) -> None:
    """RFC 8725 3.1; checklist 42, 61: the API says which algorithms, never the token."""
    token = mint(issuer, alg="ES256")
    assert refused(make_verifier(algorithms="RS256"), request(token)).reason == "token.algorithm"
    assert make_verifier(algorithms="ES256").authenticate(request(token))


@pytest.mark.parametrize("alg", ["PS256", "RS512"])
def test_a_key_that_names_its_algorithm_verifies_under_no_other(
    issuer: Issuer, make_verifier: MakeVerifier, alg: str
) -> None:
    """RFC 8725 3.1; checklist 61: the issuer's RSA key says RS256, and all three are allowed here."""
    key = issuer.signing_key("alpha", "RS256")
    token = sign_raw(key.private_key, alg, {"alg": alg, "kid": key.kid}, honest_claims())
    verifier = make_verifier(algorithms=["RS256", "RS512", "PS256"])
    assert refused(verifier, request(token)).reason == "token.key_unknown"
    jwk = {name: value for name, value in key.public_jwk().items() if name != "alg"}
    issuer.answer("/jwks", body=json.dumps({"keys": [jwk]}).encode())
    assert make_verifier(algorithms=["RS256", "RS512", "PS256"]).authenticate(request(token))


@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
def test_both_names_of_ed25519_are_taken(issuer: Issuer, verifier: Verifier, alg: str) -> None:
    """RFC 8037 3.1, RFC 9864 2.2; checklist 42: key sets and tokens need not use the same one."""
    key = issuer.signing_key("alpha", "EdDSA")
    token = sign_raw(key.private_key, alg, {"alg": alg, "kid": key.kid}, honest_claims())
    assert verifier.authenticate(request(token)).subject == "cli_agent"


@pytest.mark.parametrize("alg", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("part", [0, 1, 2])
def test_one_changed_bit_anywhere_refuses_the_whole_token(
    issuer: Issuer, verifier: Verifier, alg: str, part: int
) -> None:
    """RFC 8725 3.3; checklist 62."""
    segments = mint(issuer, alg=alg).split(".")
    middle = len(segments[part]) // 2
    flipped = "B" if segments[part][middle] == "A" else "A"
    segments[part] = segments[part][:middle] + flipped + segments[part][middle + 1 :]
    assert refused(verifier, request(".".join(segments))).status_code == 401


def test_a_signature_of_another_token_does_not_count(issuer: Issuer, verifier: Verifier) -> None:
    """RFC 8725 3.3; checklist 62: also not after its own token was let in and is remembered."""
    weak, strong = mint(issuer, alg="ES256"), mint(issuer, alg="ES256", scopes=["admin"])
    assert verifier.authenticate(request(weak))
    assert verifier.authenticate(request(strong))
    mixed = f"{strong.rpartition('.')[0]}.{weak.rpartition('.')[2]}"
    assert refused(verifier, request(mixed)).reason == "token.signature"


def test_the_key_of_one_realm_signs_nothing_for_another(issuer: Issuer, make_verifier: MakeVerifier) -> None:
    """RFC 8725 3.8; checklist 66: also when both realms are let in and both key sets are here."""
    verifier = make_verifier(realms=["alpha", "beta"])
    assert verifier.authenticate(request(mint(issuer))).realm == "alpha"
    assert verifier.authenticate(request(mint(issuer, realm="beta"))).realm == "beta"
    beta = issuer.signing_key("beta", "ES256")
    forged = beta.sign({"typ": "at+jwt"}, honest_claims())
    assert refused(verifier, request(forged)).reason == "token.key_unknown"
    named = beta.sign({"typ": "at+jwt", "kid": issuer.signing_key("alpha", "ES256").kid}, honest_claims())
    assert refused(verifier, request(named)).reason == "token.signature"
    nameless = beta.sign({"typ": "at+jwt", "kid": None}, honest_claims())
    assert refused(verifier, request(nameless)).reason == "token.signature"


def test_the_base_issuers_key_signs_nothing_for_a_realm(issuer: Issuer, make_verifier: MakeVerifier) -> None:
    """RFC 8725 3.8; checklist 66."""
    verifier = make_verifier(realms="*")
    assert verifier.authenticate(request(mint(issuer, realm=None))).realm is None
    forged = issuer.signing_key(None, "ES256").sign({"typ": "at+jwt", "kid": None}, honest_claims())
    assert refused(verifier, request(forged)).reason == "token.signature"


def test_two_keys_may_share_a_kid_in_different_realms(issuer: Issuer, clock: Clock) -> None:
    """RFC 8725 3.8, 3.10; checklist 66: a kid means something below its issuer only."""
    keys = {realm: SigningKey.generate("ES256", kid="same") for realm in ("alpha", "beta")}
    sets = {
        f"{issuer.issuer_url(realm)}/jwks": json.dumps({"keys": [key.public_jwk()]}).encode()
        for realm, key in keys.items()
    }
    verifier, _ = watched_verifier(issuer, clock, sets, realms=["alpha", "beta"])
    for realm, key in keys.items():
        assert verifier.authenticate(request(key.sign({}, honest_claims(iss=issuer.issuer_url(realm))))).realm == realm
    crossed = keys["beta"].sign({}, honest_claims())
    assert refused(verifier, request(crossed)).reason == "token.signature"


def test_a_token_for_another_api_of_the_same_issuer_is_refused(issuer: Issuer, verifier: Verifier) -> None:
    """RFC 8725 3.9; checklist 67."""
    assert refused(verifier, request(mint(issuer, audience="https://other.example.com"))).reason == "token.audience"


KIDS = [
    "../../etc/passwd",
    "' OR 1=1 --",
    "a\r\nforged log line",
    "http://evil.test/k",
    "\x00",
    "é☃",
    "k" * 8_000,
    "",
    "%s",
]


@pytest.mark.parametrize("kid", KIDS, ids=lambda kid: kid[:12])
def test_a_kid_is_opaque(issuer: Issuer, clock: Clock, kid: str, caplog: pytest.LogCaptureFixture) -> None:
    """RFC 8725 3.10; checklist 68: it is compared and nothing else, and gets into no log."""
    caplog.set_level("DEBUG")
    verifier, seen = watched_verifier(issuer, clock)
    error = refused(verifier, request(realm_token(issuer, honest_claims(), kid=kid)))
    assert (error.status_code, error.reason) == (401, "token.key_unknown")
    base = issuer.issuer_url("alpha")
    assert set(seen.urls) <= {f"{base}/jwks", f"{base}/.well-known/openid-configuration"}
    assert len(kid) < 3 or kid not in caplog.text


@pytest.mark.parametrize("kid", [1, True, [], {}, ["a"], 1.5], ids=repr)
def test_a_kid_that_is_no_string_is_refused(issuer: Issuer, verifier: Verifier, kid: Any) -> None:
    """RFC 7515 4.1.4; checklist 68."""
    error = refused(verifier, request(realm_token(issuer, honest_claims(), kid=kid)))
    assert (type(error), error.reason) == (InvalidToken, "token.malformed")


EVIL = "https://evil.test/keys"
LURES: dict[str, Any] = {
    "jku": EVIL,
    "x5u": EVIL,
    "x5c": ["MIIB"],
    "x5t": "AAAA",
    "x5t#S256": "AAAA",
    "url": EVIL,
    "jwks_uri": EVIL,
}


@pytest.mark.parametrize("named", [True, False], ids=["honest kid", "no kid"])
@pytest.mark.parametrize("member", ["jwk", *LURES])
def test_a_key_that_the_token_brings_along_is_ignored_and_nothing_is_fetched(
    issuer: Issuer, clock: Clock, member: str, named: bool
) -> None:
    """RFC 8725 3.10; checklist 68."""
    stranger = SigningKey.generate("ES256")
    evil_set = json.dumps({"keys": [stranger.public_jwk()]}).encode()
    verifier, seen = watched_verifier(issuer, clock, {EVIL: evil_set})
    value = stranger.public_jwk() if member == "jwk" else LURES[member]
    header = {"typ": "at+jwt", member: value, "kid": issuer.signing_key("alpha", "ES256").kid if named else None}
    error = refused(verifier, request(stranger.sign(header, honest_claims())))
    assert (error.status_code, error.reason) == (401, "token.signature")
    assert all(url.startswith(issuer.issuer_url("alpha")) for url in seen.urls)
    honest = realm_token(issuer, honest_claims(), **{member: value})
    assert verifier.authenticate(request(honest)).subject == "cli_agent"


@pytest.mark.parametrize("claim", ["iss", "jku", "jwks_uri", "x5u", "aud"])
def test_a_url_in_a_claim_is_not_fetched(issuer: Issuer, clock: Clock, claim: str) -> None:
    """RFC 8725 3.10; checklist 68."""
    verifier, seen = watched_verifier(issuer, clock)
    token = realm_token(issuer, honest_claims(**{claim: EVIL}))
    if claim in ("iss", "aud"):
        assert refused(verifier, request(token)).status_code == 401
    else:
        assert verifier.authenticate(request(token))
    assert all(url.startswith(issuer.issuer_url("alpha")) for url in seen.urls)


def test_a_token_without_kid_is_tried_with_a_few_fitting_keys_only(issuer: Issuer, make_verifier: MakeVerifier) -> None:
    """RFC 8725 3.1, RFC 7515 4.1.4; checklist 61: trying a hundred keys would be work at a stranger's wish."""
    keys = [DPoPKey.generate("ES256").public_jwk for _ in range(99)]
    good = issuer.signing_key("alpha", "ES256")
    token = good.sign({"kid": None, "typ": "at+jwt"}, honest_claims())
    assert make_verifier().authenticate(request(token))
    issuer.answer("/jwks", body=json.dumps({"keys": [*keys, good.public_jwk()]}).encode())
    assert refused(make_verifier(), request(token)).reason == "token.key_unknown"
    assert make_verifier().authenticate(request(good.sign({}, honest_claims(aud=[AUDIENCE]))))
