"""The clock, the keys and the agent of `strongdm_auth.testing`."""

import gc
import hashlib
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode

import jwt
import pytest

from strongdm_auth.testing import Agent, Clock, DPoPKey, Issuer, SigningKey, key_pool, unsigned_token
from strongdm_auth.testing.jws import SIGNING_ALGORITHMS


def decoded(token, jwk, alg, **options):
    """Checked with another library than the one that signed."""
    parts = token.split(".")
    if alg == "Ed25519":  # a name PyJWT does not know
        key = jwt.PyJWK({**jwk, "alg": "EdDSA"})
        signature = urlsafe_b64decode(parts[2] + "==")
        assert key.Algorithm.verify(f"{parts[0]}.{parts[1]}".encode(), key.key, signature)
        return jwt.decode(token, options={"verify_signature": False})
    return jwt.decode(token, jwt.PyJWK({**jwk, "alg": alg}), algorithms=[alg], **options)


def test_a_clock_follows_the_system_until_it_is_moved():
    clock = Clock()
    assert abs(clock() - time.time()) < 5
    clock.advance(3600)
    assert 3595 < clock() - time.time() < 3605


def test_a_set_clock_stands_still_and_only_advances_on_demand():
    clock = Clock(at=1)
    clock.advance(1)
    assert clock() == 2
    clock.set(1000.5)
    clock.advance(-0.5)
    assert clock() == clock() == 1000
    assert repr(clock) == "Clock(1000.000)"


@pytest.mark.parametrize("alg", SIGNING_ALGORITHMS)
def test_every_algorithm_signs_what_its_public_key_verifies(alg):
    key = SigningKey.generate(alg)
    token = key.sign({"typ": "at+jwt"}, {"sub": "alice"})
    jwk = key.public_jwk()
    assert (jwk["kid"], jwk["use"], jwk["alg"]) == (key.kid, "sig", alg)
    assert not {"d", "p", "q", "dp", "dq", "qi"} & jwk.keys()
    assert decoded(token, jwk, alg) == {"sub": "alice"}


def test_an_unknown_algorithm_is_named_in_the_error():
    with pytest.raises(ValueError, match="HS256"):
        SigningKey.generate("HS256")


def test_a_header_may_lie_about_the_algorithm_and_lose_its_kid(header_of):
    key = SigningKey.generate("ES256")
    assert header_of(key.sign({"alg": "none", "kid": None}, {})) == {"alg": "none"}


def test_the_thumbprint_takes_the_required_members_in_order():
    key = DPoPKey.generate("ES256")
    text = json.dumps({name: key.public_jwk[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    expected = urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    assert key.thumbprint == expected


@pytest.mark.parametrize("alg", ["ES256", "RS256", "PS256", "EdDSA", "Ed25519"])
def test_a_proof_is_signed_by_the_key_it_carries(alg, header_of):
    key = DPoPKey.generate(alg)
    proof = key.proof("POST", "https://api.test/a?b=c", "the-token", nonce="n", now=1_800_000_000.9, jti="j")
    header = header_of(proof)
    assert header == {"typ": "dpop+jwt", "alg": alg, "jwk": key.public_jwk}
    ath = urlsafe_b64encode(hashlib.sha256(b"the-token").digest()).rstrip(b"=").decode()
    assert decoded(proof, header["jwk"], alg, options={"verify_iat": False}) == {
        "jti": "j",
        "htm": "POST",
        "htu": "https://api.test/a?b=c",
        "iat": 1_800_000_000,
        "ath": ath,
        "nonce": "n",
    }


def test_overrides_replace_and_remove_members_of_a_proof(header_of, claims_of):
    key = DPoPKey.generate()
    proof = key.proof("GET", "https://api.test/", header={"typ": "JWT"}, claims={"jti": None, "iat": "soon"})
    assert header_of(proof)["typ"] == "JWT"
    assert claims_of(proof) == {"htm": "GET", "htu": "https://api.test/", "iat": "soon"}


def test_an_agent_sends_a_bearer_token_or_a_bound_one_with_a_fresh_proof(claims_of):
    assert Agent("t").headers("GET", "https://api.test/") == {"Authorization": "Bearer t"}
    agent = Agent("t", DPoPKey.generate(), Clock(at=100))
    first, second = (agent.headers("GET", "https://api.test/", nonce="n") for _ in range(2))
    assert first["Authorization"] == "DPoP t"
    assert claims_of(first["DPoP"])["iat"] == 100
    assert claims_of(first["DPoP"])["nonce"] == "n"
    assert claims_of(first["DPoP"])["jti"] != claims_of(second["DPoP"])["jti"]


def test_no_secret_shows_in_a_repr():
    key = SigningKey.generate("ES256")
    assert "private" not in repr(key)
    assert "the-token" not in repr(Agent("the-token", DPoPKey.generate()))


def test_an_unsigned_token_has_an_empty_signature(header_of, claims_of):
    token = unsigned_token({"alg": "none"}, {"sub": "x"})
    assert token.endswith(".")
    assert (header_of(token), claims_of(token)) == ({"alg": "none"}, {"sub": "x"})


def test_living_issuers_and_realms_never_share_a_key():
    issuers = [Issuer(realms=("a",), algorithms=("RS256",)) for _ in range(2)]
    moduli = {key["n"] for issuer in issuers for realm in (None, "a") for key in issuer.jwks(realm)["keys"]}
    assert len(moduli) == 4


def test_an_rsa_key_comes_back_only_after_its_owner_is_gone_and_others_rested(monkeypatch):
    monkeypatch.setattr(key_pool, "_RESTING", 1)
    gc.collect()
    key_pool._returned.clear()
    held = SigningKey.generate("RS256")
    gone = [SigningKey.generate("RS256") for _ in range(2)]
    moduli = [key.public_jwk()["n"] for key in gone]
    del gone
    gc.collect()
    again = SigningKey.generate("PS256")
    assert again.public_jwk()["n"] in moduli
    assert SigningKey.generate("RS256").public_jwk()["n"] not in {*moduli, held.public_jwk()["n"]}
