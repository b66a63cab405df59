"""DPoP proofs: the checks of RFC 9449 4.3, one by one; checklist 9-16, 20, 21, 38. htu is in test_rfc9449_htu.py.

Keys and signatures that are weak in themselves are in test_rfc7518.py.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from strongdm_auth import Request, Settings, Verifier
from strongdm_auth.dpop import ProofRules
from strongdm_auth.errors import InvalidDPoPProof
from strongdm_auth.testing import Clock, DPoPKey, Issuer, unsigned_token
from tests.conftest import NOW, URL, request

from .support import JSON_VALUES, Caller, MakeVerifier, ath, b64, json_with, mint, refused, sign_raw
from .test_rfc7515 import BAD_JSON

PROOFS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "vectors" / "proofs.json").read_text())


@pytest.mark.parametrize("vector", PROOFS, ids=lambda vector: vector["source"][:12])
def test_the_proof_in_the_rfc_passes_at_its_own_time(vector: dict[str, Any]) -> None:
    """RFC 9449 4.1, 4.2, 7.1; checklist 10-14, 21, 22."""
    rules = ProofRules(Settings(realms="x", audience="y"))
    if vector["access_token"]:
        assert ath(vector["access_token"]) == vector["ath"]
    asked: dict[str, Any] = {"method": vector["method"], "uri": vector["uri"], "ath": vector["ath"]}
    thumbprint = vector["jkt"] if vector["access_token"] else None
    proof = rules.check((vector["proof"],), now=vector["iat"], thumbprint=thumbprint, **asked)
    assert (proof.thumbprint, proof.jti) == (vector["jkt"], vector["jti"])
    for changes in ({"uri": vector["uri"] + "/x"}, {"method": "PUT"}, {"ath": "A" * 43}):
        with pytest.raises(InvalidDPoPProof):
            rules.check((vector["proof"],), now=vector["iat"], **(asked | changes))
    with pytest.raises(InvalidDPoPProof):
        rules.check((vector["proof"],), now=vector["iat"] + 61, **asked)


def expect(verifier: Verifier, sent: Request, reason: str) -> None:
    error = refused(verifier, sent)
    assert (type(error), error.status_code, error.error) == (InvalidDPoPProof, 401, "invalid_dpop_proof")
    assert error.reason == reason


def test_two_dpop_headers_are_refused(caller: Caller, verifier: Verifier) -> None:
    """RFC 9449 4.3 (1); checklist 9: whether they differ or not, and in any case of the name."""
    first, second = caller.proof(), caller.proof()
    credentials = ("Authorization", f"DPoP {caller.token}")
    for pair in ((first, second), (first, first)):
        headers = [credentials, ("DPoP", pair[0]), ("dpop", pair[1])]
        expect(verifier, Request("GET", URL, headers), "dpop.repeated")
    for joined in (f"{first},{second}", f"{first}, {second}", f"{first},", f",{first}"):
        expect(verifier, caller.request(joined), "dpop.repeated")
    assert verifier.authenticate(caller.request(first))


@pytest.mark.parametrize(
    "value",
    ["", " ", "x", "a.b", "a.b.c", "a.b.c.d", "..", "{}", "null", "é", "\udce9", "a.b.ç", "\x00", "\ufeff", "٣.٣.٣"],
)
def test_a_value_that_is_no_compact_jws_is_refused(caller: Caller, verifier: Verifier, value: str) -> None:
    """RFC 9449 4.3 (2); checklist 10."""
    expect(verifier, caller.request(value), "dpop.malformed")


@pytest.mark.parametrize(
    "spoil", ["{0}={1}{2}", "{0}.{1}=.{2}", "{0}.{1}.{2}=", "{0}.{1}", "{0}.{1}.{2}.{2}", '"{0}.{1}.{2}"']
)
def test_a_good_proof_in_another_wrapping_is_refused(caller: Caller, verifier: Verifier, spoil: str) -> None:
    """RFC 9449 4.3 (2), RFC 7515 7.1; checklist 10."""
    expect(verifier, caller.request(spoil.format(*caller.proof().split("."))), "dpop.malformed")


def test_a_proof_in_json_serialisation_is_refused(caller: Caller, verifier: Verifier) -> None:
    """RFC 9449 4.3 (2), RFC 7515 7.2; checklist 10."""
    protected, payload, signature = caller.proof().split(".")
    text = json.dumps({"protected": protected, "payload": payload, "signature": signature})
    assert refused(verifier, caller.request(text)).error == "invalid_dpop_proof"
    expect(verifier, caller.request(b64(text.encode())), "dpop.malformed")


@pytest.mark.parametrize("name", BAD_JSON)
@pytest.mark.parametrize("part", ["header", "claims"])
def test_a_proof_with_a_part_that_is_no_plain_json_object_is_refused(
    caller: Caller, verifier: Verifier, name: str, part: str
) -> None:
    """RFC 9449 4.3 (2), RFC 8725 3.7; checklist 10, 65."""
    key = caller.key
    if part == "claims":
        proof = caller.raw_proof(BAD_JSON[name])
    else:
        proof = sign_raw(key.private_key, key.alg, BAD_JSON[name], caller.claims())
    reason = "dpop.too_long" if len(proof) > 8_192 else "dpop.malformed"
    expect(verifier, caller.request(proof), reason)


@pytest.mark.parametrize("size", [8_193, 16_384, 1_048_576])
def test_a_proof_that_is_too_long_is_refused(caller: Caller, verifier: Verifier, size: int) -> None:
    """The contract's max_token_bytes (proofs over 8,192); checklist 10, 35."""
    expect(verifier, caller.request("a" * size), "dpop.too_long")
    expect(verifier, caller.request(caller.proof(claims={"pad": "x" * size})), "dpop.too_long")


@pytest.mark.parametrize("claim", ["jti", "htm", "htu", "iat", "ath"])
def test_a_proof_without_a_required_claim_is_refused(caller: Caller, verifier: Verifier, claim: str) -> None:
    """RFC 9449 4.2, 4.3 (3); checklist 11."""
    expect(verifier, caller.request(caller.proof(claims={claim: None})), "dpop.claims")


# What a claim of each JSON kind leads to; everything that is not named here is "dpop.claims".
OTHERWISE = {
    ("jti", "word"): None,
    ("htm", "word"): "dpop.htm_mismatch",
    ("htu", "word"): "dpop.htu_mismatch",
    ("iat", "one"): "dpop.expired",
    **{("ath", kind): "dpop.ath_mismatch" for kind in JSON_VALUES},
}


@pytest.mark.parametrize("kind", JSON_VALUES)
@pytest.mark.parametrize("claim", ["jti", "htm", "htu", "iat", "ath"])
def test_a_claim_of_the_wrong_json_type_is_refused(caller: Caller, verifier: Verifier, claim: str, kind: str) -> None:
    """RFC 9449 4.3 (3); checklist 11: a 401 for each, never an error outside the tree."""
    sent = caller.request(caller.raw_proof(json_with(caller.claims(), claim, JSON_VALUES[kind])))
    reason = OTHERWISE.get((claim, kind), "dpop.claims")
    if reason is None:
        assert verifier.authenticate(sent)
    else:
        expect(verifier, sent, reason)


@pytest.mark.parametrize("text", ['"1800000000"', "1e400", "-1e400", str(10**400), '"now"', "[1800000000]", "-0.0"])
def test_an_iat_that_is_no_time_of_ours_is_refused(caller: Caller, verifier: Verifier, text: str) -> None:
    """RFC 9449 4.3 (3), (11); checklist 11, 20."""
    sent = caller.request(caller.raw_proof(json_with(caller.claims(), "iat", text)))
    assert refused(verifier, sent).error == "invalid_dpop_proof"


def test_an_empty_jti_is_refused(caller: Caller, verifier: Verifier) -> None:
    """RFC 9449 4.2; checklist 11."""
    expect(verifier, caller.request(caller.proof(jti="")), "dpop.claims")


@pytest.mark.parametrize("claim", ["jti", "htm", "htu", "ath", "nonce", "other"])
def test_a_lone_surrogate_in_a_proof_gets_an_answer_and_no_crash(
    caller: Caller, verifier: Verifier, claim: str
) -> None:
    """RFC 8259 8.2; checklist 11."""
    sent = caller.request(caller.raw_proof(json_with(caller.claims(), claim, '"\\udfff"')))
    assert refused(verifier, sent).error == "invalid_dpop_proof"


@pytest.mark.parametrize(
    "typ",
    [
        "JWT",
        "at+jwt",
        "logout+jwt",
        "dpop",
        "jwt",
        "dpop+jwts",
        " dpop+jwt",
        "dpop jwt",
        "",
        None,
        1,
        True,
        [],
        {},
        ["dpop+jwt"],
    ],
    ids=repr,
)
def test_a_proof_of_another_typ_is_refused(caller: Caller, verifier: Verifier, typ: Any) -> None:
    """RFC 9449 4.3 (4); checklist 12."""
    expect(verifier, caller.request(caller.raw_proof(caller.claims(), typ=typ)), "dpop.typ")
    expect(verifier, caller.request(caller.proof(header={"typ": None})), "dpop.typ")


@pytest.mark.parametrize(
    "alg",
    ["none", "None", "NONE", "HS256", "HS512", "ES512", "PS384", "ES256K", "RS1", "es256", "", None, 1, [], {}],
    ids=repr,
)
def test_an_algorithm_that_is_not_on_the_list_is_refused(caller: Caller, verifier: Verifier, alg: Any) -> None:
    """RFC 9449 4.3 (5), 11.6; checklist 13."""
    expect(verifier, caller.request(caller.raw_proof(caller.claims(), alg=alg)), "dpop.algorithm")
    header = {"typ": "dpop+jwt", "alg": alg, "jwk": caller.key.public_jwk}
    expect(verifier, caller.request(unsigned_token(header, caller.claims(), b"x")), "dpop.algorithm")


def test_an_algorithm_that_the_api_left_out_is_refused_though_the_signature_holds(
    caller: Caller, make_verifier: MakeVerifier
) -> None:
    """RFC 9449 4.3 (5); checklist 13."""
    expect(make_verifier(dpop_algorithms="EdDSA,PS256"), caller.request(), "dpop.algorithm")


@pytest.mark.parametrize("alg", ["ES384", "RS256", "PS256", "EdDSA", "Ed25519"])
def test_an_algorithm_that_does_not_fit_the_key_is_refused(caller: Caller, verifier: Verifier, alg: str) -> None:
    """RFC 9449 4.3 (5), (6), RFC 8725 3.1; checklist 13: the key here is on P-256."""
    expect(verifier, caller.request(caller.raw_proof(caller.claims(), alg=alg)), "dpop.algorithm")


@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
def test_both_names_of_ed25519_are_taken_in_proofs(issuer: Issuer, verifier: Verifier, alg: str) -> None:
    """RFC 9864 2.2; checklist 13: JavaScript clients write Ed25519 only."""
    key = DPoPKey.generate("Ed25519")
    token = mint(issuer, key=key)
    proof = sign_raw(
        key.private_key,
        alg,
        {"typ": "dpop+jwt", "alg": alg, "jwk": key.public_jwk | {"alg": "Ed25519"}},
        {"jti": alg, "htm": "GET", "htu": URL, "iat": int(NOW), "ath": ath(token)},
    )
    assert verifier.authenticate(request(token, proof)).key_thumbprint == key.thumbprint


@pytest.mark.parametrize("jwk", [None, "x", 1, True, [], {}, [{}], ["jwk"], "https://evil.test/jwk"], ids=repr)
def test_a_jwk_that_is_no_key_is_refused(caller: Caller, verifier: Verifier, jwk: Any) -> None:
    """RFC 9449 4.2, 4.3 (6); checklist 14."""
    expect(verifier, caller.request(caller.raw_proof(caller.claims(), jwk=jwk)), "dpop.key")
    expect(verifier, caller.request(caller.proof(header={"jwk": None, "kid": "x", "jku": URL})), "dpop.key")


@pytest.mark.parametrize("part", [0, 1, 2])
def test_one_changed_bit_refuses_the_proof(caller: Caller, verifier: Verifier, part: int) -> None:
    """RFC 9449 4.3 (6); checklist 14: also for a key whose proofs were let in before."""
    assert verifier.authenticate(caller.request())
    segments = caller.proof(claims={"aaaa": "AAAAAAAAAAAAAAAA"}).split(".")
    at = len(segments[part]) // 2
    segments[part] = segments[part][:at] + ("B" if segments[part][at] == "A" else "A") + segments[part][at + 1 :]
    assert refused(verifier, caller.request(".".join(segments))).status_code == 401


def test_a_proof_signed_by_another_key_than_its_jwk_is_refused(caller: Caller, verifier: Verifier) -> None:
    """RFC 9449 4.3 (6); checklist 14: the stolen token's jkt matches the jwk, the signature does not."""
    thief = DPoPKey.generate("ES256")
    assert verifier.authenticate(caller.request())  # its header is known from now on
    proof = sign_raw(
        thief.private_key,
        "ES256",
        {"typ": "dpop+jwt", "alg": "ES256", "jwk": caller.key.public_jwk},
        caller.claims(),
    )
    expect(verifier, caller.request(proof), "dpop.signature")


@pytest.mark.parametrize("crit", [{"crit": ["exp"]}, {"crit": []}, {"crit": ["b64"], "b64": False}, {"b64": False}])
def test_a_critical_extension_in_a_proof_is_refused(caller: Caller, verifier: Verifier, crit: dict[str, Any]) -> None:
    """RFC 7515 4.1.11, RFC 7797 6; checklist 70."""
    expect(verifier, caller.request(caller.raw_proof(caller.claims(), **crit)), "dpop.malformed")


@pytest.mark.parametrize("method", ["HEAD", "POST", "get", "Get", "OPTIONS", "GET ", "", "PATCH"])
def test_a_proof_for_another_method_is_refused(caller: Caller, verifier: Verifier, method: str) -> None:
    """RFC 9449 4.3 (8), RFC 9110 9.1 (methods are case-sensitive); checklist 16."""
    expect(verifier, caller.request(caller.proof(method)), "dpop.htm_mismatch")
    expect(verifier, caller.request(caller.proof("GET"), method=method or "X"), "dpop.htm_mismatch")


@pytest.mark.parametrize(
    ("age", "reason"),
    [
        (0, None),
        (60, None),
        (60.001, "dpop.expired"),
        (3600, "dpop.expired"),
        (NOW, "dpop.expired"),
        (-30, None),
        (-30.001, "dpop.not_yet_valid"),
        (-3600, "dpop.not_yet_valid"),
    ],
)
def test_the_window_of_iat_is_sixty_seconds_back_and_thirty_ahead(
    caller: Caller, verifier: Verifier, age: float, reason: str | None
) -> None:
    """RFC 9449 4.3 (11), 11.1; checklist 20."""
    sent = caller.request(caller.raw_proof(caller.claims(iat=NOW - age)))
    if reason is None:
        assert verifier.authenticate(sent)
    else:
        expect(verifier, sent, reason)


def test_the_window_moves_with_the_settings(caller: Caller, clock: Clock, make_verifier: MakeVerifier) -> None:
    """RFC 9449 11.1; checklist 20."""
    verifier = make_verifier(dpop_proof_max_age=5, leeway=1)
    proof = caller.proof()
    clock.advance(5)
    assert verifier.authenticate(caller.request(proof))
    expect(verifier, caller.request(caller.proof(now=clock() + 2)), "dpop.not_yet_valid")
    late = caller.proof()
    clock.advance(6)
    expect(verifier, caller.request(late), "dpop.expired")


def test_the_proofs_own_exp_and_nbf_are_harmless(caller: Caller, verifier: Verifier) -> None:
    """RFC 9449 4.2 names neither; checklist 20: real clients send them, and unknown claims are ignored."""
    assert verifier.authenticate(caller.request(caller.proof(claims={"exp": 1, "nbf": 9e9, "aud": [], "x": {}})))


def test_a_proof_made_for_another_token_is_refused(issuer: Issuer, caller: Caller, verifier: Verifier) -> None:
    """RFC 9449 4.3 (12), 7.1; checklist 21: also one of the same agent and key."""
    other = mint(issuer, key=caller.key, scopes=["admin"])
    proof = caller.key.proof("GET", URL, other, now=NOW)
    expect(verifier, caller.request(proof), "dpop.ath_mismatch")
    for wrong in (ath(caller.token) + "=", ath(caller.token).swapcase(), ath(caller.token)[:-1], "", "x", caller.token):
        expect(verifier, caller.request(caller.proof(claims={"ath": wrong})), "dpop.ath_mismatch")


def test_an_access_token_or_an_id_token_is_no_proof(issuer: Issuer, caller: Caller, verifier: Verifier) -> None:
    """RFC 9449 11.5, RFC 8725 3.12; checklist 38."""
    expect(verifier, caller.request(caller.token), "dpop.typ")
    jwk = issuer.signing_key("alpha", "ES256").public_jwk()
    id_token = mint(issuer, header={"typ": "JWT", "jwk": jwk}, claims=caller.claims(nonce="n"), alg="ES256")
    expect(verifier, caller.request(id_token), "dpop.typ")
