"""DPoP (RFC 9449) to the byte and to the second: what is just within a limit, and what is just past it."""

from itertools import product
from typing import Any

import pytest

from strongdm_auth import Request, Settings, Verifier, dpop
from strongdm_auth.dpop import MOST_PROOF_BYTES, NONCE_RENEWAL, ProofRules
from strongdm_auth.request import EnvironRequest
from strongdm_auth.testing import Clock, Issuer
from tests.conftest import URL

from .support import Caller, MakeVerifier, header_of, refused


def proof_of(caller: Caller, length: int) -> str:
    """A good proof of exactly this many characters: base64url has no text for every length, so both parts are stuffed."""
    missing = length - len(caller.proof(header={"x": ""}, claims={"x": ""}))
    for in_header, in_claims in product(range(4), range(missing * 3 // 4 - 8, missing * 3 // 4 + 2)):
        proof = caller.proof(header={"x": "x" * in_header}, claims={"x": "x" * in_claims})
        if len(proof) == length:
            return proof
    raise AssertionError(f"no proof has {length} characters")


def test_a_proof_of_exactly_the_longest_size_is_read(caller: Caller, verifier: Verifier) -> None:
    """The contract: proofs over 8,192 are refused, and no shorter ones."""
    assert MOST_PROOF_BYTES == 8_192
    assert verifier.authenticate(caller.request(proof_of(caller, 8_192)))
    assert refused(verifier, caller.request(proof_of(caller, 8_193))).reason == "dpop.too_long"


def environ(host: str, token: str, proof: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "wsgi.url_scheme": "https",
        "HTTP_HOST": host,
        "SERVER_NAME": "x",
        "SERVER_PORT": "1",
        "PATH_INFO": "/things",
        "QUERY_STRING": "",
        "HTTP_AUTHORIZATION": f"DPoP {token}",
        "HTTP_DPOP": proof,
    }


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("host", ["api.example.com/x?", "user@api.example.com", "[::1", "a b"])
def test_an_empty_htu_equals_no_uri_though_the_host_header_leaves_none(
    caller: Caller, verifier: Verifier, host: str, warm: bool
) -> None:
    """RFC 9449 4.3 (9): a Host that is none makes the request's URI empty; a proof for nowhere would be good everywhere."""
    if warm:
        assert verifier.authenticate(caller.request())
    sent: Request = EnvironRequest(environ(host, caller.token, caller.proof(url="")))
    assert sent.uri() == ""
    assert refused(verifier, sent).reason == "dpop.htu_mismatch"


@pytest.mark.parametrize(("age", "renewed"), [(NONCE_RENEWAL - 1, False), (NONCE_RENEWAL, True)])
def test_a_nonce_is_renewed_from_half_of_its_life_on(
    issuer: Issuer, caller: Caller, clock: Clock, make_verifier: MakeVerifier, age: int, renewed: bool
) -> None:
    """RFC 9449 8.2: to the second, and for a token that is known as for one that is new."""
    strict = make_verifier(dpop_nonce="required", dpop_nonce_secret="a secret of the workers, and long enough")
    nonce = header_of(strict.denial(refused(strict, caller.request())).headers, "DPoP-Nonce")
    clock.advance(age)
    unseen = Caller(issuer, clock, caller.key)
    for sender in (caller, unseen, unseen):
        admission = strict.admit(sender.request(nonce=nonce))
        assert admission is not None
        assert (header_of(admission.headers, "DPoP-Nonce") is not None) is renewed
        assert header_of(admission.headers, "Cache-Control") == ("no-store" if renewed else None)


def test_where_no_token_is_presented_ath_means_nothing_and_no_key_is_kept(caller: Caller) -> None:
    """RFC 9449 5: at a token endpoint. Whoever has no token bound to a key could fill the memory with new ones."""
    rules = ProofRules(Settings(realms="x", audience="y"))
    proof = rules.check((caller.proof(),), method="GET", uri=URL, now=caller.clock())
    assert proof.thumbprint == caller.key.thumbprint
    assert len(rules._known) == 0


def test_a_clients_key_is_imported_once(caller: Caller, verifier: Verifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """To import a key costs as much as to check a signature; a client sends the same one each time."""
    imports: list[object] = []
    honest = dpop.import_public_key
    monkeypatch.setattr(dpop, "import_public_key", lambda jwk: imports.append(jwk) or honest(jwk))
    for _ in range(3):
        assert verifier.authenticate(caller.request())
    assert len(imports) == 1
