"""JWK thumbprints (RFC 7638, RFC 8037 A.3, RFC 9449 6.1); checklist 22."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from strongdm_auth import Verifier
from strongdm_auth.jose import import_public_key
from strongdm_auth.testing import DPoPKey, Issuer
from tests.conftest import URL, request

from .support import Caller, b64, mint

THUMBPRINTS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "vectors" / "thumbprints.json").read_text())
EXTRA = {"kid": "k", "alg": None, "use": "sig", "key_ops": ["verify"], "x5c": ["AAAA"], "iat": 1, "name": "é"}
REQUIRED = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}


@pytest.mark.parametrize("vector", THUMBPRINTS, ids=lambda vector: vector["source"])
def test_the_thumbprint_in_the_rfc_is_what_we_compute(vector: dict[str, Any]) -> None:
    """RFC 7638 3.1; checklist 22."""
    assert import_public_key(vector["jwk"]).thumbprint == vector["thumbprint"]


@pytest.mark.parametrize("vector", THUMBPRINTS, ids=lambda vector: vector["source"])
def test_only_the_required_members_count_in_any_order(vector: dict[str, Any]) -> None:
    """RFC 7638 3.1, 3.2; checklist 22."""
    members = list({**vector["jwk"], **EXTRA}.items())
    assert import_public_key(dict(reversed(members))).thumbprint == vector["thumbprint"]


@pytest.mark.parametrize("alg", ["RS256", "ES256", "ES384", "ES512", "EdDSA"])
def test_the_thumbprint_is_the_hash_of_the_canonical_json(alg: str) -> None:
    """RFC 7638 3: computed here again from the text of the RFC; checklist 22."""
    jwk = DPoPKey.generate(alg).public_jwk
    members = {name: jwk[name] for name in REQUIRED[str(jwk["kty"])]}
    canonical = json.dumps(members, separators=(",", ":"), sort_keys=True).encode()
    assert import_public_key(jwk).thumbprint == b64(hashlib.sha256(canonical).digest())


@pytest.mark.parametrize("extra", [{"alg": "ES256"}, {"kid": "x"}, {"use": "sig"}, {"use": "enc"}, EXTRA], ids=str)
def test_a_proof_may_carry_extra_members_in_its_jwk(caller: Caller, verifier: Verifier, extra: dict[str, Any]) -> None:
    """RFC 7638 3.2.1, RFC 9449 4.2; checklist 22."""
    proof = caller.raw_proof(caller.claims(), jwk=caller.key.public_jwk | extra)
    assert verifier.authenticate(caller.request(proof)).key_thumbprint == caller.key.thumbprint


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"])
def test_a_proof_of_every_default_algorithm_matches_the_tokens_thumbprint(
    issuer: Issuer, verifier: Verifier, alg: str
) -> None:
    """RFC 9449 4.3 (12), 6.1; checklist 13, 22."""
    key = DPoPKey.generate(alg)
    token = mint(issuer, key=key)
    proof = key.proof("GET", URL, token, now=issuer.clock())
    assert verifier.authenticate(request(token, proof)).key_thumbprint == key.thumbprint
