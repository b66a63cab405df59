"""Where an issuer's keys are looked for, and which answers count (OIDC Discovery 4, RFC 7517 5)."""

import gzip
import json
from typing import Any

import httpx
import pytest

from strongdm_auth.testing import SigningKey

from .world import ALPHA, DISCOVERY, Answer, World, as_json, issuer_of, status_of

HTML = Answer(b"<!doctype html><title>It works</title>", headers={"Content-Type": "text/html"})
#: What an issuer may send that is no key set.
NO_KEY_SETS = {
    "html": HTML,
    "empty": Answer(b""),
    "truncated": Answer(b'{"keys": [{"kty": "OKP", "crv": "Ed255'),
    "a list": as_json([]),
    "no keys member": as_json({}),
    "keys is an object": as_json({"keys": {}}),
    "keys is a string": as_json({"keys": "none"}),
    "zero keys": as_json({"keys": []}),
    "not UTF-8": Answer(b'{"keys": ["\xff\xfe"]}'),
    "keys twice": Answer(b'{"keys": [], "keys": []}'),
    "nested too deeply": Answer(b'{"keys": ' + b"[" * 200_000),
    "600 KB": Answer(b'{"keys": []' + b" " * 600_000 + b"}"),
    "500": Answer(status=500),
    "503": Answer(status=503),
    "429": Answer(status=429),
    "401": Answer(status=401),
    "204": Answer(status=204),
    "redirect": Answer(status=302, headers={"Location": "https://elsewhere.example/jwks"}),
    "permanent redirect": Answer(status=308, headers={"Location": f"{ALPHA}/jwks"}),
    "refused": Answer(fault=httpx.ConnectError("refused")),
    "timeout": Answer(fault=httpx.ReadTimeout("too slow")),
    "broken": Answer(fault=httpx.RemoteProtocolError("peer closed connection")),
    "a fault nobody thought of": Answer(fault=RuntimeError("surprise")),
}


def test_nothing_is_fetched_before_the_first_token(world: World, key: SigningKey) -> None:
    world.publish(key)
    world.verifier()
    assert world.calls == []


def test_the_first_token_fetches_discovery_and_then_the_keys(world: World, key: SigningKey) -> None:
    world.publish(key)
    assert status_of(world.verifier(), world.token(key)) == 200
    assert world.calls == [ALPHA + DISCOVERY, f"{ALPHA}/jwks"]


@pytest.mark.parametrize("status", [404, 410])
def test_without_a_discovery_document_the_keys_are_below_the_issuer(world: World, key: SigningKey, status: int) -> None:
    world.publish(key)
    world.answers[ALPHA + DISCOVERY] = Answer(status=status)
    assert status_of(world.verifier(), world.token(key)) == 200
    assert world.calls == [ALPHA + DISCOVERY, f"{ALPHA}/jwks"]


def test_the_base_issuer_has_keys_of_its_own(world: World, key: SigningKey) -> None:
    world.publish(key, realm=None)
    assert status_of(world.verifier(realms="*"), world.token(key, None)) == 200
    assert world.calls == [issuer_of(None) + DISCOVERY, f"{issuer_of(None)}/jwks"]


@pytest.mark.parametrize(
    "jwks_uri", ["https://keys.example.net:8443/certs?v=2", f"{ALPHA}/protocol/openid-connect/certs"]
)
def test_the_keys_may_lie_elsewhere_on_https(world: World, key: SigningKey, jwks_uri: str) -> None:
    world.publish(key, jwks_uri=jwks_uri)
    assert status_of(world.verifier(), world.token(key)) == 200
    assert world.calls == [ALPHA + DISCOVERY, jwks_uri]


@pytest.mark.parametrize(
    "named", [issuer_of(None), issuer_of("beta"), f"{ALPHA}/", ALPHA.upper(), "", None, 7, [ALPHA], {"a": ALPHA}]
)
def test_a_discovery_document_of_another_issuer_is_no_use(world: World, key: SigningKey, named: object) -> None:
    world.publish(key)
    world.answers[ALPHA + DISCOVERY] = as_json({"issuer": named, "jwks_uri": f"{ALPHA}/jwks"})
    assert status_of(world.verifier(), world.token(key)) == 503
    assert world.count("/jwks") == 0


@pytest.mark.parametrize(
    "jwks_uri",
    [
        "http://id.example.com/jwks",
        "http://127.0.0.1/jwks",
        "http://localhost:8000/jwks",
        "file:///etc/passwd",
        "ftp://id.example.com/jwks",
        "//id.example.com/jwks",
        "/jwks",
        "",
        "https://",
        "https://user:secret@id.example.com/jwks",
        "https://id.example.com/jwks#keys",
        "https://id.example.com\\@evil.example/jwks",
        "https://id.example.com/\r\nHost: evil.example",
        "https://[::1/jwks",
        "https://id.example.com:99999/jwks",
        7,
        ["https://id.example.com/jwks"],
    ],
)
@pytest.mark.parametrize("unsafe", [False, True])
@pytest.mark.filterwarnings("ignore::strongdm_auth.SecurityWarning")
def test_a_jwks_uri_that_must_not_be_asked_is_not_asked(
    world: World, key: SigningKey, jwks_uri: object, unsafe: bool
) -> None:
    world.publish(key)
    world.answers[ALPHA + DISCOVERY] = as_json({"issuer": ALPHA, "jwks_uri": jwks_uri})
    verifier = world.verifier(unsafe_allow_http=unsafe)
    assert status_of(verifier, world.token(key)) == 503
    assert world.calls == [ALPHA + DISCOVERY]


@pytest.mark.parametrize("member", [{}, {"jwks_uri": None}])
def test_a_discovery_document_that_names_no_keys_leaves_them_below_the_issuer(
    world: World, key: SigningKey, member: dict[str, object]
) -> None:
    world.publish(key)
    world.answers[ALPHA + DISCOVERY] = as_json({"issuer": ALPHA, **member})
    assert status_of(world.verifier(), world.token(key)) == 200


@pytest.mark.parametrize("where", [ALPHA + DISCOVERY, f"{ALPHA}/jwks"])
@pytest.mark.parametrize("answer", NO_KEY_SETS.values(), ids=NO_KEY_SETS.keys())
def test_an_answer_that_is_no_answer_is_503_and_heals(
    world: World, key: SigningKey, where: str, answer: Answer
) -> None:
    world.publish(key)
    good = world.answers[where]
    world.answers[where] = answer
    verifier, token = world.verifier(), world.token(key)
    assert status_of(verifier, token) == 503
    assert not any("elsewhere" in url for url in world.calls)
    world.answers[where] = good
    world.clock.advance(31)
    assert status_of(verifier, token) == 200


def test_101_keys_are_refused_and_100_are_fine(world: World, key: SigningKey) -> None:
    strangers = [{"kty": "oct", "k": "AA", "kid": f"k{number}"} for number in range(99)]
    world.publish_jwks([*strangers, key.public_jwk()])
    assert status_of(world.verifier(), world.token(key)) == 200
    world.publish_jwks([*strangers, key.public_jwk(), {}])
    assert status_of(world.verifier(), world.token(key)) == 503


def test_an_answer_just_below_the_limit_is_read(world: World, key: SigningKey) -> None:
    world.publish(key)
    body = json.dumps({"keys": [key.public_jwk()]}).encode()
    world.answers[f"{ALPHA}/jwks"] = Answer(body + b" " * (512 * 1024 - len(body)))
    assert status_of(world.verifier(), world.token(key)) == 200
    world.answers[f"{ALPHA}/jwks"] = Answer(body + b" " * (512 * 1024 - len(body) + 1))
    assert status_of(world.verifier(), world.token(key)) == 503


def test_a_compressed_answer_is_read_though_none_was_asked_for(world: World, key: SigningKey) -> None:
    world.publish(key)
    body = gzip.compress(json.dumps({"keys": [key.public_jwk()]}).encode())
    world.answers[f"{ALPHA}/jwks"] = Answer(body, headers={"Content-Encoding": "gzip"})
    assert status_of(world.verifier(), world.token(key)) == 200


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(b" " * 50_000_000), "gzip"),
        (gzip.compress(b'{"keys": []}')[:-12], "gzip"),
        (b'{"keys": []}', "gzip"),
        (b'{"keys": []}', "br"),
        (b'{"keys": []}', "gzip, gzip"),
    ],
    ids=["bomb", "cut short", "not compressed", "unknown", "twice"],
)
def test_a_compressed_answer_is_bounded_and_must_be_whole(
    world: World, key: SigningKey, body: bytes, encoding: str
) -> None:
    world.publish(key)
    world.answers[f"{ALPHA}/jwks"] = Answer(body, headers={"Content-Encoding": encoding})
    assert status_of(world.verifier(), world.token(key)) == 503


def _weak(key: SigningKey) -> list[object]:
    rsa_1024 = {"kty": "RSA", "n": "w" * 171, "e": "AQAB", "kid": "weak"}
    good = key.public_jwk()
    named = {"kid": "other"}
    return [
        {**good, **named, "use": "enc"},
        {**good, **named, "use": "jwt-svid"},
        {**good, **named, "key_ops": ["sign"]},
        {**good, **named, "key_ops": "verify"},
        {**good, **named, "d": "AA"},
        {**good, **named, "alg": "HS256"},
        {**good, **named, "alg": "ECDH-ES"},
        {**good, **named, "crv": "X25519"},
        {**good, **named, "crv": "P-999"},
        {**good, **named, "x": good["x"] + "="},  # type: ignore[operator]
        {**good, **named, "x": 7},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "other", "alg": "HS256"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "other"},
        {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43, "kid": "other"},
        rsa_1024,
        {"kty": ["OKP"]},
        {},
        "a string",
        None,
        7,
        [],
        [good],
    ]


def test_unusable_keys_are_skipped_and_the_good_one_beside_them_works(world: World, key: SigningKey) -> None:
    world.publish_jwks([*_weak(key), key.public_jwk()])
    assert status_of(world.verifier(), world.token(key)) == 200


@pytest.mark.parametrize("number", range(22))
def test_a_set_of_nothing_but_an_unusable_key_is_503(world: World, key: SigningKey, number: int) -> None:
    unusable: Any = _weak(key)[number]
    world.publish_jwks([unusable])
    assert status_of(world.verifier(), world.token(key, header={"kid": "other"})) == 503


def test_an_encryption_key_verifies_nothing_though_its_kid_is_named(
    world: World, key: SigningKey, other_key: SigningKey
) -> None:
    world.publish_jwks([{**other_key.public_jwk(), "use": "enc"}, key.public_jwk()])
    assert status_of(world.verifier(), world.token(other_key)) == 401


@pytest.mark.parametrize("drop", [("alg",), ("use",), ("alg", "use")])
def test_keys_without_alg_or_use_work(world: World, key: SigningKey, drop: tuple[str, ...]) -> None:
    world.publish_jwks([{name: value for name, value in key.public_jwk().items() if name not in drop}])
    assert status_of(world.verifier(), world.token(key)) == 200


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "RS256"])
def test_a_token_without_kid_is_verified_with_the_keys_that_fit(world: World, alg: str) -> None:
    keys = [SigningKey.generate(name) for name in ("ES256", "EdDSA", "RS256")]
    signer = next(key for key in keys if key.alg == alg)
    world.publish(*keys)
    verifier = world.verifier()
    assert status_of(verifier, world.token(signer, header={"kid": None})) == 200
    assert status_of(verifier, world.token(SigningKey.generate(alg), header={"kid": None})) == 401


def test_a_key_without_kid_verifies_tokens_without_kid(world: World, key: SigningKey) -> None:
    world.publish_jwks([{name: value for name, value in key.public_jwk().items() if name != "kid"}])
    assert status_of(world.verifier(), world.token(key, header={"kid": None})) == 200


def test_two_keys_may_share_a_kid(world: World, key: SigningKey, other_key: SigningKey) -> None:
    world.publish_jwks([{**each.public_jwk(), "kid": "same"} for each in (key, other_key)])
    verifier = world.verifier()
    for signer in (key, other_key):
        assert status_of(verifier, world.token(signer, header={"kid": "same"})) == 200
    assert status_of(verifier, world.token(SigningKey.generate("EdDSA"), header={"kid": "same"})) == 401


def test_the_same_key_listed_twice_is_one_key(world: World, key: SigningKey) -> None:
    world.publish(key, key)
    assert status_of(world.verifier(), world.token(key)) == 200


def test_a_kid_that_is_a_path_or_a_url_is_a_name_and_nothing_else(world: World, key: SigningKey) -> None:
    world.publish(key)
    verifier = world.verifier()
    for kid in ("../../etc/passwd", "https://evil.example/jwks", "' OR 1=1 --", "\u0000", "x" * 4_000):
        assert status_of(verifier, world.token(key, header={"kid": kid})) == 401
    assert {url for url in world.calls if not url.startswith(ALPHA)} == set()


def test_keys_in_a_token_s_own_header_mean_nothing(world: World, key: SigningKey, other_key: SigningKey) -> None:
    world.publish(key)
    world.answers["https://evil.example/jwks"] = as_json({"keys": [other_key.public_jwk()]})
    header = {"kid": key.kid, "jwk": other_key.public_jwk(), "jku": "https://evil.example/jwks"}
    assert status_of(world.verifier(), world.token(other_key, header=header)) == 401
    assert not any("evil" in url for url in world.calls)


def test_the_keys_of_one_realm_never_verify_tokens_of_another(
    world: World, key: SigningKey, other_key: SigningKey
) -> None:
    world.publish(key, realm="alpha")
    world.publish(other_key, realm="beta")
    verifier = world.verifier(realms=["alpha", "beta"])
    for first, second in (("alpha", "beta"), ("beta", "alpha")):
        signer = key if first == "alpha" else other_key
        assert status_of(verifier, world.token(signer, first)) == 200
        assert status_of(verifier, world.token(signer, second)) == 401
        assert status_of(verifier, world.token(signer, second, header={"kid": None})) == 401


def test_an_issuer_that_is_not_let_in_is_never_asked(world: World, key: SigningKey) -> None:
    world.publish(key, realm="beta")
    verifier = world.verifier()
    issuers = (issuer_of("beta"), issuer_of(None), f"{ALPHA}/", ALPHA.upper(), "https://evil.example", "", 7, None, [])
    for issuer in issuers:
        assert status_of(verifier, world.token(key, iss=issuer)) == 401
    assert world.calls == []
