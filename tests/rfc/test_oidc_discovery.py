"""Which URLs are asked, and what they may answer (OIDC Discovery 4, RFC 8725 3.10); checklist 66, 87, 88.

When keys are asked for again is in test_oidc_discovery_keys.py.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from strongdm_auth import ConfigurationError, InvalidToken, Settings, Verifier
from strongdm_auth.errors import TemporarilyUnavailable
from strongdm_auth.issuers import UNPROVEN_FETCHES
from strongdm_auth.testing import Clock, DPoPKey, Issuer, SigningKey
from tests.conftest import AUDIENCE, request

from .support import MakeVerifier, denied, header_of, honest_claims, mint, realm_token, refused, watched_verifier

DISCOVERY = "/.well-known/openid-configuration"
Break = Callable[[Issuer], None]


def publish(issuer: Issuer, /, **members: Any) -> None:
    """Realm alpha's discovery document, with these members laid over; `...` removes one."""
    document = {name: value for name, value in (issuer.metadata("alpha") | members).items() if value is not ...}
    issuer.answer(DISCOVERY, body=json.dumps(document).encode())


def publish_keys(issuer: Issuer, *keys: Any) -> None:
    issuer.answer("/jwks", body=json.dumps({"keys": keys}).encode())


def test_keys_come_from_the_place_that_discovery_names(issuer: Issuer, clock: Clock) -> None:
    """OIDC Discovery 3, 4; checklist 87: another host, as long as it is https."""
    key = SigningKey.generate("ES256")
    elsewhere = {"https://keys.example.net/certs": json.dumps({"keys": [key.public_jwk()]}).encode()}
    publish(issuer, jwks_uri="https://keys.example.net/certs")
    verifier, seen = watched_verifier(issuer, clock, elsewhere)
    assert verifier.authenticate(request(key.sign({}, honest_claims()))).subject == "cli_agent"
    assert seen.urls == [issuer.issuer_url("alpha") + DISCOVERY, "https://keys.example.net/certs"]


@pytest.mark.parametrize("status", [404, 410])
def test_without_a_document_keys_are_looked_for_below_the_issuer(issuer: Issuer, clock: Clock, status: int) -> None:
    """The contract's section 1; checklist 87."""
    issuer.fail(status, path=DISCOVERY)
    verifier, seen = watched_verifier(issuer, clock)
    assert verifier.authenticate(request(mint(issuer)))
    assert seen.urls[-1] == issuer.issuer_url("alpha") + "/jwks"


BROKEN: dict[str, Break] = {
    "document of another issuer": lambda issuer: publish(issuer, issuer="https://evil.test"),
    "document of another realm": lambda issuer: publish(issuer, issuer=issuer.issuer_url("beta")),
    "issuer with a slash": lambda issuer: publish(issuer, issuer=issuer.issuer_url("alpha") + "/"),
    "document without issuer": lambda issuer: publish(issuer, issuer=...),
    "issuer is no string": lambda issuer: publish(issuer, issuer=["x"]),
    "keys over http": lambda issuer: publish(issuer, jwks_uri="http://keys.example.net/certs"),
    "keys over http on loopback": lambda issuer: publish(issuer, jwks_uri="http://127.0.0.1/certs"),
    "keys from a file": lambda issuer: publish(issuer, jwks_uri="file:///etc/passwd"),
    "keys from user@host": lambda issuer: publish(issuer, jwks_uri="https://a@keys.example.net/certs"),
    "keys from nowhere": lambda issuer: publish(issuer, jwks_uri=""),
    "keys at a number": lambda issuer: publish(issuer, jwks_uri=7),
    "keys at a list": lambda issuer: publish(issuer, jwks_uri=["https://keys.example.net/certs"]),
    "redirect of the document": lambda issuer: issuer.answer(DISCOVERY, 302, {"Location": "https://evil.test/"}),
    "document is HTML": lambda issuer: issuer.answer(DISCOVERY, body=b"<html>"),
    "document is too large": lambda issuer: issuer.answer(DISCOVERY, body=b" " * (512 * 1024 + 1)),
    "document fails": lambda issuer: issuer.fail(500, path=DISCOVERY),
    "document stalls": lambda issuer: issuer.stall(60, path=DISCOVERY),
    "redirect of the keys": lambda issuer: issuer.answer("/jwks", 302, {"Location": "https://evil.test/keys"}),
    "permanent redirect": lambda issuer: issuer.answer("/jwks", 308, {"Location": "https://evil.test/keys"}),
    "keys fail": lambda issuer: issuer.fail(500, path="/jwks"),
    "keys are gone": lambda issuer: issuer.fail(404, path="/jwks"),
    "keys stall": lambda issuer: issuer.stall(60, path="/jwks"),
    "keys are HTML": lambda issuer: issuer.answer("/jwks", body=b"<html>"),
    "keys are cut short": lambda issuer: issuer.answer("/jwks", body=b'{"keys": ['),
    "keys are a list": lambda issuer: issuer.answer("/jwks", body=b"[]"),
    "keys stand twice": lambda issuer: issuer.answer("/jwks", body=b'{"keys": [], "keys": []}'),
    "keys are an object": lambda issuer: issuer.answer("/jwks", body=b'{"keys": {}}'),
    "no keys": lambda issuer: publish_keys(issuer),
    "keys too deep": lambda issuer: issuer.answer("/jwks", body=b'{"keys": ' + b"[" * 100_000),
    "keys too large": lambda issuer: issuer.answer(
        "/jwks", body=json.dumps(issuer.jwks("alpha")).encode() + b" " * 524_288
    ),
    "too many keys": lambda issuer: publish_keys(issuer, *[issuer.signing_key("alpha", "ES256").public_jwk()] * 101),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_issuer_whose_keys_cannot_be_had_safely_is_an_outage(issuer: Issuer, clock: Clock, name: str) -> None:
    """OIDC Discovery 4.3 (issuer mix-up), RFC 8725 3.10; checklist 87: nothing is followed, and nobody is let in."""
    token = mint(issuer, alg="ES256")
    BROKEN[name](issuer)
    evil = json.dumps(issuer.jwks("alpha")).encode()  # what is not to be asked would even have had the right keys
    places = ("http://keys.example.net/certs", "http://127.0.0.1/certs", "https://evil.test/", "https://evil.test/keys")
    elsewhere = dict.fromkeys(places, evil)
    verifier, seen = watched_verifier(issuer, clock, elsewhere)
    error, denial = denied(verifier, request(token))
    assert (type(error), error.status_code, error.reason) == (TemporarilyUnavailable, 503, "keys.unavailable")
    assert int(header_of(denial.headers, "Retry-After") or 0) >= 1
    base = issuer.issuer_url("alpha")
    assert set(seen.urls) <= {base + DISCOVERY, base + "/jwks"}


def test_exactly_a_hundred_keys_are_fine(issuer: Issuer, verifier: Verifier) -> None:
    """The contract's http_timeout row; checklist 87."""
    token, good = mint(issuer, alg="ES256"), issuer.signing_key("alpha", "ES256").public_jwk()
    publish_keys(issuer, *[DPoPKey.generate("EdDSA").public_jwk | {"kid": str(number)} for number in range(99)], good)
    assert verifier.authenticate(request(token))


UNFIT: dict[str, Callable[[SigningKey], Any]] = {
    "for encryption": lambda key: key.public_jwk() | {"use": "enc"},
    "for JWT-SVIDs": lambda key: key.public_jwk() | {"use": "jwt-svid"},
    "not for verifying": lambda key: key.public_jwk() | {"key_ops": ["encrypt", "sign"]},
    "no operations": lambda key: key.public_jwk() | {"key_ops": []},
    "operations are a string": lambda key: key.public_jwk() | {"key_ops": "verify"},
    "for key agreement": lambda key: key.public_jwk() | {"alg": "ECDH-ES"},
    "for another algorithm": lambda key: key.public_jwk() | {"alg": "RS256"},
    "private": lambda key: key.private_key.as_dict(private=True) | {"kid": key.kid},
    "unknown type": lambda key: key.public_jwk() | {"kty": "AKP"},
    "off the curve": lambda key: key.public_jwk() | {"y": key.public_jwk()["x"]},
    "no curve": lambda key: key.public_jwk() | {"crv": None},
    "symmetric": lambda key: {"kty": "oct", "k": "c2VjcmV0", "kid": key.kid, "alg": "HS256"},
    "no object": lambda key: "key",
    "null": lambda key: None,
    "list": lambda key: [key.public_jwk()],
    "kid is a number": lambda key: key.public_jwk() | {"kid": 5},
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_key_that_must_not_verify_is_skipped_and_the_others_serve(
    issuer: Issuer, verifier: Verifier, name: str
) -> None:
    """RFC 7517 4, 5, OIDC Discovery 3; checklist 87: its tokens are refused though their signatures hold."""
    unfit, good = SigningKey.generate("ES256"), issuer.signing_key("alpha", "ES256")
    publish_keys(issuer, UNFIT[name](unfit), good.public_jwk(), UNFIT[name](unfit))
    assert verifier.authenticate(request(good.sign({}, honest_claims())))
    error = refused(verifier, request(unfit.sign({}, honest_claims())))
    assert (type(error), error.status_code, error.reason) == (InvalidToken, 401, "token.key_unknown")


@pytest.mark.parametrize("left_out", ["alg", "use", "kid"])
def test_a_key_set_may_leave_out_what_is_optional(issuer: Issuer, verifier: Verifier, left_out: str) -> None:
    """RFC 7517 4; checklist 87."""
    key = SigningKey.generate("ES256")
    publish_keys(issuer, {name: value for name, value in key.public_jwk().items() if name != left_out})
    header = {"kid": None} if left_out == "kid" else {}
    assert verifier.authenticate(request(key.sign(header, honest_claims())))


BASE = "https://id.strongdm.test"
STEERING = [
    BASE + "?",
    BASE + "/realms/alpha?x=1",
    BASE + "/realms/alpha#x",
    BASE + "/realms/?",
    BASE + "/realms/",
    BASE + "/realms",
    BASE + "/",
    BASE + "//realms/alpha",
    BASE + "/realms//alpha",
    BASE + "/realms/alpha/",
    BASE + "/realms/alpha//",
    BASE + "/realms/alpha/realms/beta",
    BASE + "/realms/../alpha",
    BASE + "/realms/..",
    BASE + "/realms/.",
    BASE + "/realms/a..b",
    BASE + "/realms/.hidden",
    BASE + "/realms/alpha/../../evil",
    BASE + "/realms/alpha\\..\\x",
    BASE + "/realms/alpha%2f..",
    BASE + "/realms/%61lpha",
    BASE + "/realms/alpha%00",
    BASE + "/realms/alpha\x00",
    BASE + "/realms/alpha\n",
    BASE + "/realms/al pha",
    BASE + "/realms/alpha@evil.test",
    BASE + "/realms/alpha:80",
    BASE + "/realms/älpha",
    BASE + "/realms/" + "a" * 129,
    BASE + "@evil.test/realms/alpha",
    BASE + ".evil.test/realms/alpha",
    BASE + ":444/realms/alpha",
    BASE + "\\@evil.test/realms/alpha",
    BASE.upper() + "/realms/alpha",
    BASE.replace("https", "http") + "/realms/alpha",
    BASE.replace("id", "ID") + "/realms/alpha",
    BASE + "/Realms/alpha",
    "https://evil.test/realms/alpha",
    "//id.strongdm.test/realms/alpha",
    "file:///realms/alpha",
    "http://169.254.169.254/realms/alpha",
    " " + BASE + "/realms/alpha",
    "realms/alpha",
    "",
]


@pytest.mark.parametrize("iss", STEERING, ids=lambda iss: iss[:60])
@pytest.mark.parametrize("realms", ["*", ["alpha"]], ids=["any realm", "alpha"])
def test_an_iss_that_is_not_ours_causes_no_fetch(
    issuer: Issuer, clock: Clock, iss: str, realms: str | list[str]
) -> None:
    """RFC 8725 3.10, RFC 9068 4; checklist 40, 88."""
    verifier, seen = watched_verifier(issuer, clock, realms=realms)
    error = refused(verifier, request(realm_token(issuer, honest_claims(iss=iss))))
    assert (error.status_code, error.reason, seen.urls) == (401, "token.issuer", [])


@pytest.mark.parametrize("iss", [None, 1, True, [], ["https://id.strongdm.test"], {}, {"a": 1}], ids=repr)
def test_an_iss_that_is_no_string_causes_no_fetch(issuer: Issuer, clock: Clock, iss: Any) -> None:
    """RFC 7519 4.1.1; checklist 88."""
    verifier, seen = watched_verifier(issuer, clock, realms="*")
    error = refused(verifier, request(realm_token(issuer, honest_claims(iss=iss))))
    assert (error.status_code, seen.urls) == (401, [])


@pytest.mark.parametrize("spoil", [{"typ": "dpop+jwt"}, {"alg": "none"}, {"alg": "HS256"}, {"crit": ["x"]}, {"kid": 5}])
def test_a_header_that_cannot_be_an_access_tokens_causes_no_fetch(
    issuer: Issuer, clock: Clock, spoil: dict[str, Any]
) -> None:
    """RFC 8725 3.1, 3.11; checklist 88."""
    verifier, seen = watched_verifier(issuer, clock)
    assert refused(verifier, request(realm_token(issuer, honest_claims(), **spoil))).status_code == 401
    assert seen.urls == []


def test_a_realm_that_is_not_let_in_causes_no_fetch(issuer: Issuer, clock: Clock) -> None:
    """RFC 8725 3.8; checklist 66, 88."""
    verifier, seen = watched_verifier(issuer, clock)
    for realm in ("beta", None):
        assert refused(verifier, request(mint(issuer, realm=realm))).reason == "token.issuer"
    assert seen.urls == []


def test_invented_realms_cause_a_handful_of_fetches_and_shut_nobody_out(
    issuer: Issuer, clock: Clock, make_verifier: MakeVerifier
) -> None:
    """RFC 8725 3.10; checklist 85, 88: where any realm is let in, strangers can invent thousands."""
    verifier, seen = watched_verifier(issuer, clock, realms="*")
    assert verifier.authenticate(request(mint(issuer)))
    before = len(seen.urls)
    for number in range(200):
        claims = honest_claims(iss=f"{issuer.url}/realms/invented-{number}")
        assert refused(verifier, request(realm_token(issuer, claims))).status_code in (401, 503)
    assert len(seen.urls) - before <= 2 * UNPROVEN_FETCHES
    assert verifier.authenticate(request(mint(issuer)))
    clock.advance(30)
    assert verifier.authenticate(request(mint(issuer, realm="beta"))).realm == "beta"


@pytest.mark.parametrize(
    "issuer_setting",
    [
        "http://id.example.com",
        "ftp://x",
        "id.example.com",
        "https://",
        "https://a@b",
        "https://a/#x",
        "https://a/?x",
        "https://a/../b",
    ],
)
def test_an_issuer_that_is_no_plain_https_url_is_a_configuration_error(issuer_setting: str) -> None:
    """OIDC Discovery 3, 7.2; checklist 87, 88."""
    with pytest.raises(ConfigurationError, match="issuer"):
        Settings(issuer=issuer_setting, audience=AUDIENCE, realms="alpha")
