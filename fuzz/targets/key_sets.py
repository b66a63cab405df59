"""A key set that an issuer, or somebody in its place, made up: who is let in has a signature of a public key that is in it.

joserfc reads the same document: what is a key here is one there, with the same thumbprint.
"""

import json
from typing import Any

from fuzz.edits import apply, edits, words
from fuzz.oracle import Asked, admits, public_key
from fuzz.targets.discovery import outcome
from fuzz.world import ALPHA, ANSWERS, AUDIENCE, DISCOVERY, ISSUER, NOW, SIGNERS, Store
from strongdm_auth import AccessToken, Settings
from strongdm_auth.flow import ResourceServer
from strongdm_auth.jose import Malformed, UnusableKey, import_public_key, parse_object
from strongdm_auth.keys import MOST_KEYS, UnusableKeySet, read_key_set
from strongdm_auth.needs import Fetch, Reply

_SETTINGS = Settings(issuer=ISSUER, realms="alpha", audience=AUDIENCE, replay_store=Store())
_CLAIMS = {"iss": ALPHA, "sub": "agent", "aud": AUDIENCE, "iat": NOW, "exp": NOW + 60}
_TOKENS = {name: [key.sign({"kid": kid}, _CLAIMS) for kid in (key.kid, None)] for name, key in SIGNERS.items()}
_HONEST = ("ed", "es", "rs", "enc")
HEADS = words(r"""
    ed kty | ed kid | ed use | ed alg | ed key_ops | ed x | ed y | ed n | ed e | ed crv | ed d | ed k | es kty
    es kid | es use | es alg | es key_ops | es x | es y | es n | es e | es crv | es d | es k | rs kty | rs kid
    rs use | rs alg | rs key_ops | rs x | rs y | rs n | rs e | rs crv | rs d | rs k | enc kty | enc kid | enc use
    enc alg | enc key_ops | enc x | enc y | enc n | enc e | enc crv | enc d | enc k | token | drop | add | repeat
    body | tail
""")
VALUES = (
    *words(r"""
    ed | es | rs | enc | beta | stranger | null | 7 | [] | {} | "" | true | ["verify"] | ["sign"] | sig | EdDSA
    Ed25519 | ES256 | ES384 | RS256 | PS256 | HS256 | none | EC | OKP | RSA | oct | P-256 | P-384 | Ed448 | AQAB
    Aw | AQ | AA | AAAA | jwt-svid | {"kty": "oct", "k": "AA", "kid": "ed"} | X25519 | {"keys": []} | {"keys": {}}
    , "keys": [] | 100 | 97 | "\ud800" | secp256k1 | P-521 | x5c
"""),
    "A" * 43,
    "w" * 342,
    "B" * 43,
    "[" * 40,
)


def check(data: bytes) -> None:
    """See the module's text."""
    keys = {name: SIGNERS[name].public_jwk() for name in _HONEST}
    more: list[Any] = []
    body = tail = ""
    name = "ed"
    for edit in edits(data):
        match edit.head:
            case "ed" | "es" | "rs" | "enc" if edit.head in keys:
                apply(keys[edit.head], edit)
            case "drop":
                keys.pop(edit.rest, None)
            case "add":
                more.append(edit.value)
            case "repeat" if isinstance(edit.value, int):
                more += more[:1] * min(edit.value, 2 * MOST_KEYS)
            case "body":
                body = edit.rest
            case "tail":
                tail += edit.rest
            case "token" if edit.rest in _TOKENS:
                name = edit.rest
    octets = (body or json.dumps({"keys": [*more, *keys.values()]})[:-1] + tail + "}").encode(
        "utf-8", "surrogateescape"
    )
    members = check_keys(octets)
    server = ResourceServer(_SETTINGS)

    def answer(fetch: Fetch) -> Reply:
        return Reply(200, ANSWERS[fetch.url] if fetch.url.endswith(DISCOVERY) else octets, NOW)

    for token in _TOKENS[name]:
        if isinstance(outcome(server, token, answer), AccessToken):
            asked = Asked([f"Bearer {token}"], [], "GET", "https://api.example.com/")
            assert admits(asked, _SETTINGS, {ALPHA: members}, NOW), "no key in the set made this signature"
        elif not data:
            raise AssertionError("an honest set, and an honest token refused")


def check_keys(octets: bytes) -> list[Any]:
    """The members of the set; each that is a key here is the same key to joserfc."""
    try:
        document = parse_object(octets)
        found = read_key_set(document)
    except (Malformed, UnusableKeySet):
        return []
    members: list[Any] = json.loads(octets)["keys"]
    assert 0 < len(found) <= len(members) <= MOST_KEYS
    for member in members[:8]:
        try:
            key = import_public_key(member)
        except UnusableKey:
            continue
        theirs = public_key(member)
        assert not theirs.is_private
        assert key.thumbprint == theirs.thumbprint()
        assert member.get("use", "sig") == "sig"
        assert key.kid is None or key.kid == member["kid"]
        if member["kty"] == "RSA":
            assert theirs.raw_value.key_size >= 2048
    return members
