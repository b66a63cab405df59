"""The JOSE attack catalogue: what is known to have been tried on verifiers of JWS, each through both ways in that a stranger
has, an access token and a DPoP proof. The index says where each attack is held; a test holds that what it names exists.

The algorithm
    `alg: none`, in every spelling
        test_jose_attacks_algorithms::test_no_spelling_of_none_is_an_algorithm
        test_rfc8725::test_no_token_passes_without_an_asymmetric_signature
        test_rfc8725::test_an_unsigned_token_is_refused
        test_rfc9449_proof::test_an_algorithm_that_is_not_on_the_list_is_refused
        test_rfc8725::test_no_symmetric_or_unknown_algorithm_can_be_configured
    HS256 with the public key as secret: PEM, DER, JWK, key set, numbers, nothing
        test_jose_attacks_algorithms::test_no_form_of_a_public_key_is_an_hmac_secret
        test_rfc8725::test_a_public_key_is_no_hmac_secret
    a shared secret (`kty: oct`) in a proof
        test_jose_attacks_algorithms::test_a_shared_secret_in_a_proof_is_no_key
    one algorithm's signature under another's name; a key that names its algorithm
        test_jose_attacks_algorithms::test_a_signature_made_under_one_algorithm_holds_under_no_other
        test_rfc8725::test_a_key_that_names_its_algorithm_verifies_under_no_other
        test_wycheproof::test_a_good_signature_holds_under_its_own_algorithm_only
    a known algorithm that the API did not ask for: ES256K, Ed448, ES512
        test_jose_attacks_signatures::test_an_algorithm_that_was_not_asked_for_is_refused_though_it_is_known
        test_rfc8725::test_an_algorithm_that_is_not_on_the_list_is_refused_though_its_signature_holds
        test_rfc9449_proof::test_an_algorithm_that_the_api_left_out_is_refused_though_the_signature_holds
    `alg` as a list, a number, twice, or escaped (`\\u0061lg`)
        test_rfc8725::test_an_alg_that_is_no_string_is_refused
        test_jose_attacks_algorithms::test_a_header_member_that_stands_twice_is_refused
        test_jose_attacks_algorithms::test_a_member_is_known_by_its_name_however_it_is_spelt

Where the key comes from
    `jwk`, `jku`, `x5u`, `x5c`, `x5t` in a token's header, a URL in its claims
        test_rfc8725::test_a_key_that_the_token_brings_along_is_ignored_and_nothing_is_fetched
        test_rfc8725::test_a_url_in_a_claim_is_not_fetched
    the same in a proof, beside its `jwk` and in it
        test_jose_attacks_headers::test_what_a_proof_points_at_is_not_fetched
    `kid`: paths, SQL, addresses, very long, NUL, empty, a list
        test_rfc8725::test_a_kid_is_opaque
        test_rfc8725::test_a_kid_that_is_no_string_is_refused
        test_jose_attacks_kinds::test_a_kid_in_a_key_set_that_is_no_string_is_no_kid
        test_jose_attacks_headers::test_a_kid_in_a_proof_chooses_no_key
        test_jose_attacks_headers::test_a_kid_of_an_issuers_key_lends_no_key_to_a_proof
    the same `kid` in two realms, another realm's key
        test_rfc8725::test_two_keys_may_share_a_kid_in_different_realms
        test_rfc8725::test_the_key_of_one_realm_signs_nothing_for_another
        test_jose_attacks_kinds::test_a_token_of_one_realm_dressed_as_anothers_is_refused
    a hundred keys to try
        test_rfc8725::test_a_token_without_kid_is_tried_with_a_few_fitting_keys_only
    a key for encryption, a private key, a key for something else
        test_jose_attacks_kinds::test_a_key_for_encryption_verifies_nothing
        test_jose_attacks_kinds::test_a_proof_key_says_for_itself_what_it_is_used_for
        test_wycheproof_jws::test_a_key_that_is_not_for_this_verifies_no_token
        test_oidc_discovery::test_a_key_that_must_not_verify_is_skipped_and_the_others_serve
        test_rfc7518::test_a_proof_whose_jwk_has_a_private_member_is_refused
        test_rfc7518::test_a_proof_that_gives_its_whole_private_key_away_is_refused
        test_wycheproof_keys::test_a_private_key_is_never_a_key_to_verify_with
        test_wycheproof_keys::test_a_key_for_key_agreement_verifies_nothing
    a key of two types at once, a number with zeros in front
        test_jose_attacks_signatures::test_a_key_with_the_members_of_two_types_is_of_the_type_it_names
        test_jose_attacks_rsa::test_a_number_has_one_spelling_in_a_key_and_another_is_another_key

Header members
    `crit`: unknown, empty, no list, of registered members; `b64`
        test_jose_attacks_headers::test_no_critical_extension_is_understood
        test_rfc7515::test_critical_extensions_are_refused_because_none_is_understood
        test_jose_attacks_headers::test_an_unencoded_payload_is_refused
    `zip`, compressed payloads
        test_jose_attacks_headers::test_nothing_is_inflated
    members that nobody knows
        test_rfc7515::test_header_members_that_are_not_critical_are_ignored

ECDSA
    psychic signatures (r = s = 0), r or s out of range, on each curve
        test_jose_attacks_signatures::test_no_signature_is_good_for_every_text
        test_wycheproof::test_every_signature_is_judged_as_wycheproof_judges_it
    DER for raw, raw for another curve, cut, lengthened, swapped, negated
        test_jose_attacks_signatures::test_a_signature_is_its_two_numbers_and_nothing_else
        test_rfc7518::test_an_access_token_whose_ecdsa_signature_is_spelt_otherwise_is_refused
        test_rfc7518::test_a_proof_whose_ecdsa_signature_is_spelt_otherwise_is_refused
        test_wycheproof::test_no_signature_of_another_kind_is_taken
    high s: good, and no replay
        test_jose_attacks_signatures::test_the_twin_of_a_signature_is_good_and_gains_nothing
    ES256 with a P-384 key, and every other mixture
        test_jose_attacks_signatures::test_a_curve_goes_with_one_algorithm
    a key that names an algorithm of another kind
        test_jose_attacks_signatures::test_a_key_that_names_an_algorithm_of_another_kind_verifies_nothing
    points off the curve, on the twist, at infinity, on another curve
        test_wycheproof_keys::test_a_point_is_a_key_exactly_where_it_is_on_its_curve
        test_wycheproof_keys::test_a_point_of_another_curve_is_no_key_of_this_one
        test_wycheproof_keys::test_a_proof_with_a_point_off_its_curve_is_refused
        test_rfc7518::test_a_key_that_is_not_fit_is_not_imported

EdDSA
    S + L, R spelt otherwise, all zero, identity
        test_jose_attacks_signatures::test_an_ed25519_signature_has_one_spelling
    keys of small order, keys that are no point
        test_jose_attacks_signatures::test_a_key_of_small_order_is_no_key
        test_jose_attacks_signatures::test_an_ed448_key_of_small_order_is_no_key
    numbers of a key with zeros in front
        test_jose_attacks_rsa::test_a_number_with_zeros_in_front_is_no_key
        test_jose_attacks_signatures::test_an_ed25519_key_that_is_no_point_verifies_nothing
    Ed25519, Ed448 and EdDSA
        test_jose_attacks_signatures::test_the_two_edwards_curves_are_not_confused

RSA
    1024 bits
        test_rfc7518::test_a_proof_with_a_real_but_short_rsa_key_is_refused
        test_rfc7518::test_an_access_token_signed_with_a_short_rsa_key_of_the_issuer_is_refused
        test_wycheproof::test_what_wycheproof_signs_with_rsa_is_taken_where_key_and_hash_are_fit
    e = 1, even e, e beyond measure; e = 3 is good, and its cube roots are not
        test_jose_attacks_rsa::test_an_exponent_that_hides_nothing_or_costs_too_much_makes_no_key
        test_jose_attacks_rsa::test_the_longest_exponent_that_is_taken_has_33_bits
        test_jose_attacks_rsa::test_a_cube_root_is_no_signature
    a modulus of 16,384 bits
        test_jose_attacks_rsa::test_a_huge_modulus_costs_nothing
    PKCS #1 v1.5: garbage, BER lengths, NULL missing, other hashes, other lengths
        test_jose_attacks_rsa::test_a_padding_is_compared_as_a_whole
        test_jose_attacks_rsa::test_an_rsa_signature_has_the_length_of_the_modulus
        test_jose_attacks_rsa::test_an_rsa_key_signs_for_itself_only
    PSS with another salt, hash or MGF
        test_jose_attacks_rsa::test_pss_has_the_parameters_of_its_algorithm
        test_wycheproof::test_of_all_pss_parameters_only_those_of_rfc_7518_are_taken

The wrapping
    empty or missing signature, changed, cut, moved or extra parts
        test_wycheproof_jws::test_what_was_done_to_a_jws_is_found
        test_rfc7515::test_anything_but_three_segments_is_malformed
        test_rfc8725::test_a_signature_of_another_token_does_not_count
    JWE, sign/encrypt confusion
        test_jose_attacks_headers::test_an_encrypted_jwt_is_no_signed_one
    JSON serialisation
        test_rfc7515::test_json_serialisations_are_no_tokens
        test_rfc9449_proof::test_a_proof_in_json_serialisation_is_refused
        test_jose_attacks_headers::test_a_token_in_json_serialisation_is_no_opaque_token_either
    nested JWT, detached payload
        test_jose_attacks_headers::test_a_jwt_in_a_jwt_is_not_unwrapped
        test_jose_attacks_headers::test_a_detached_payload_is_refused
    padding, the other alphabet, stray characters, stray bits
        test_jose_attacks_headers::test_a_segment_has_one_spelling
        test_rfc7515::test_base64url_with_strays_is_malformed
        test_rfc7515::test_a_signature_with_stray_bits_is_not_the_same_token_again

JSON
    duplicate members, NaN, byte order mark, depth, digits without end
        test_rfc7515::test_a_token_with_such_a_part_is_refused_though_its_signature_holds
        test_rfc9449_proof::test_a_proof_with_a_part_that_is_no_plain_json_object_is_refused
        test_jose_attacks_headers::test_what_nests_too_deeply_is_refused
    UTF-16, UTF-32, EBCDIC
        test_jose_attacks_headers::test_json_in_another_encoding_than_utf_8_is_refused
    1e400, NaN, Infinity, strings, booleans, negative numbers as times
        test_jose_attacks_headers::test_what_is_no_finite_json_number_is_no_time
        test_rfc9068::test_a_time_may_be_any_json_number_and_no_infinite_one
        test_rfc9449_proof::test_an_iat_that_is_no_time_of_ours_is_refused
    white space, which means nothing
        test_wycheproof_jws::test_white_space_within_json_means_nothing

One kind for another
    ID token, logout token, SET, authorization response, JWT-SVID, refresh token ...
        test_jose_attacks_kinds::test_what_the_issuer_signs_for_other_ends_is_no_access_token
        test_rfc8725_kinds::test_another_kind_of_jwt_signed_by_the_same_key_is_refused
        test_rfc8725_kinds::test_any_other_typ_is_no_access_token_in_either_profile
    client assertion
        test_jose_attacks_kinds::test_what_a_client_signs_to_authenticate_itself_is_no_access_token
    another JWT of the client's as proof, a proof for another end
        test_jose_attacks_kinds::test_what_a_clients_key_signs_for_other_ends_is_no_proof
        test_jose_attacks_kinds::test_a_proof_made_for_a_token_endpoint_opens_no_api
    proof as token, token as proof
        test_rfc8725_kinds::test_a_proof_sent_as_access_token_is_refused
        test_rfc9449_proof::test_an_access_token_or_an_id_token_is_no_proof
        test_jose_attacks_kinds::test_one_jws_is_never_both_token_and_proof
    SD-JWT, PASETO
        test_jose_attacks_kinds::test_a_token_with_disclosures_behind_it_is_refused
        test_jose_attacks_kinds::test_a_paseto_is_no_jwt
    the vectors themselves: Wycheproof's keys, as they are given
        test_wycheproof::test_a_key_given_as_jwk_is_the_same_key
"""

import importlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, Key, OKPKey
from joserfc.jws import JWSRegistry

from strongdm_auth import Request, Verifier
from strongdm_auth.testing import DPoPKey, Issuer
from strongdm_auth.testing.jws import public_members
from tests.conftest import NOW, URL, request

from .support import MakeVerifier, ath, b64, honest_claims, mint, refused

#: The two ways in; they are also what the reasons of refusals begin with.
WAYS = ["token", "dpop"]
REQUIRED = {"EC": ("crv", "x", "y"), "RSA": ("e", "n"), "OKP": ("crv", "x"), "oct": ("k",)}


def new_key(alg: str) -> Key:
    """A private key, also for algorithms that the local issuer does not offer."""
    if alg == "ES256K":
        return ECKey.generate_key("secp256k1")
    return OKPKey.generate_key("Ed448") if alg == "Ed448" else DPoPKey.generate(alg).private_key


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """RFC 7638 3, also of keys that no verifier should import."""
    members = {name: jwk[name] for name in ("kty", *REQUIRED[jwk["kty"]])}
    return ath(json.dumps(members, separators=(",", ":"), sort_keys=True))


def signed(text: str, key: Key, alg: str) -> str:
    """The text with a good signature."""
    return f"{text}.{b64(JWSRegistry.algorithms[alg].sign(text.encode(), key))}"


class Way:
    """A way in: a token signed with a key of the issuer's, or a proof with the key that a good token is bound to.

    `jwk` is that key. The attacker of these tests holds its private half where that makes the attack stronger: then the
    check that a test is about is all that stands between the forgery and the API.
    """

    def __init__(
        self,
        name: str,
        issuer: Issuer,
        make_verifier: MakeVerifier,
        jwk: Mapping[str, Any],
        alg: str = "ES256",
        **settings: Any,
    ) -> None:
        self.name, self.alg = name, alg
        if name == "token":
            keys = [{**jwk, "kid": "k"}, {**new_key("ES384").as_dict(private=False), "kid": "spare"}]
            issuer.answer("/jwks", body=json.dumps({"keys": keys}).encode())
            self.header: dict[str, Any] = {"alg": alg, "typ": "at+jwt", "kid": "k"}
            self.claims = honest_claims()
        else:
            self._token = mint(issuer, claims={"cnf": {"jkt": thumbprint(jwk)}})
            self.header = {"alg": alg, "typ": "dpop+jwt", "jwk": dict(jwk)}
            self.claims = {"jti": "j", "htm": "GET", "htu": URL, "iat": int(NOW), "ath": ath(self._token)}
        field = "algorithms" if name == "token" else "dpop_algorithms"
        self.verifier: Verifier = make_verifier(**({field: [alg]} | settings))

    def text(
        self, header: Mapping[str, Any] | bytes | None = None, claims: Mapping[str, Any] | bytes | None = None
    ) -> str:
        """What is signed. A mapping is laid over the honest one; octets stand as they are."""
        octets = [
            given if isinstance(given, bytes) else json.dumps(honest | dict(given or {})).encode()
            for given, honest in ((header, self.header), (claims, self.claims))
        ]
        return f"{b64(octets[0])}.{b64(octets[1])}"

    def request(self, jws: str) -> Request:
        return request(jws) if self.name == "token" else request(self._token, jws)

    def passes(self, jws: str) -> bool:
        return self.verifier.authenticate(self.request(jws)).subject == "cli_agent"

    def reason(self, jws: str) -> str:
        """Why this is refused, the same for both ways where the reason is the same; always a 401, or a 400 where not
        even the header can be read."""
        error = refused(self.verifier, self.request(jws))
        assert error.status_code == (400 if error.reason == "credentials.malformed" else 401)
        return error.reason.removeprefix(f"{self.name}.")


def way_with_key(
    name: str, issuer: Issuer, make_verifier: MakeVerifier, alg: str = "ES256", **settings: Any
) -> tuple[Way, Key]:
    """A way, and the private half of its key; what is signed with it and says nothing wrong passes."""
    key = new_key(alg)
    return Way(name, issuer, make_verifier, public_members(key), alg, **settings), key


INDEX = re.findall(r"^        (\w+)::(test_\w+)$", __doc__ or "", re.MULTILINE)


def test_every_test_that_the_index_names_is_there(subtests: pytest.Subtests) -> None:
    """An attack whose test was renamed or dropped is an attack that nobody holds."""
    for module, name in INDEX:
        with subtests.test(f"{module}::{name}"):
            assert callable(getattr(importlib.import_module(f"tests.rfc.{module}"), name, None))


def test_the_index_names_every_test_against_these_attacks() -> None:
    """Each once, and no line of it is lost to a slip of the pen."""
    here = Path(__file__).parent
    files = {*here.glob("test_jose_attacks_*.py"), *here.glob("test_wycheproof*.py")}
    written = {(file.stem, name) for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)}
    assert len(written) > 50
    assert written <= set(INDEX)
    assert len(INDEX) == len(set(INDEX)) == (__doc__ or "").count("::")
