"""DPoP proofs through a whole verifier: honest ones for a bound token, edited and signed again by the agent, or by a thief.

Whoever is let in must be let in by the oracle too, and the other way round; and the same proof never lets anybody in twice,
whatever the store.
"""

from fuzz.edits import edits, words
from fuzz.knock import NONCES, Knock, request_of
from fuzz.oracle import admits
from fuzz.targets.tokens import check_needs, check_token
from fuzz.world import NOW, PUBLISHED, Store, outcome_of, verifier
from strongdm_auth import Refused, Verifier
from strongdm_auth.dpop import Nonces
from strongdm_auth.memo import Memo

_STORE = Store()
_VERIFIERS = {
    "plain": verifier(),
    "nonce": verifier(dpop="required", dpop_nonce="required", dpop_nonce_secret="a secret"),
    "public": verifier(public_url="https://public.example/v1", replay_store=_STORE),
    "few": verifier(dpop_algorithms="ES256", dpop_proof_max_age=1, leeway=0, replay_store=_STORE),
    "remembers": verifier(dpop="required"),
}
_GOOD_AGES, _BAD_AGES = (-30, -1, 0, 1, 150, 300), (-31, 301, 100_000)
NONCES.update((str(age), Nonces((b"a secret",)).issue(NOW - age)) for age in (*_GOOD_AGES, *_BAD_AGES))
_GOOD_NONCES = [NONCES[str(age)] for age in _GOOD_AGES]
HEADS = words(r"""
    proof jti | proof htm | proof htu | proof iat | proof ath | proof nonce | proof exp | proof-header typ
    proof-header alg | proof-header jwk | proof-header crit | proof-header kid | proof-header b64 | jwk kty
    jwk crv | jwk x | jwk y | jwk n | jwk e | jwk d | jwk k | jwk use | jwk key_ops | jwk alg | jwk kid | raw proof
    raw proof-header | cut proof | cut token | prove | again dpop | forge | method | url | scheme | claims cnf | claims exp
    verifier | needs dpop | sign
""")
VALUES = words(r"""
    null | true | 0 | 1800000000 | 1799999940 | 1799999939 | 1800000030 | 1800000031 | 1e400 | 1.5 | -1 | "" | []
    {} | "\ud800" | "\u0000" | a-proof | GET | get | POST | dpop+jwt | DPOP+JWT | jwt
    https://api.example.com/things | HTTPS://API.example.com:443/./things | https://api.example.com/%74hings
    https://api.example.com/things?x=1 | https://api.example.com/things/ | https://api.example.com/a/../things
    https://api.example.com/thing%2Fs | https://api.example.com//things | https://public.example/v1/things | /
    https://api.example.com | http://api.example.com/things | https://api.example.com\things | % | %2e%2e/ | ed | es
    rs | thief | ES256 | EdDSA | Ed25519 | RS256 | PS256 | HS256 | none | rs PS256 | ES384 | @nonce0 | @nonce150
    @nonce300 | @nonce301 | @nonce-30 | @nonce-31 | {"jkt": "@es"} | {"jkt": "@thief"} | {"jkt": "@ed"}
    {"jkt": "@rs"} | {"jkt": "@es", "x5t#S256": "a"} | EC | OKP | RSA | oct | P-256 | P-384 | plain | nonce | public
    few | remembers | DPoP | Bearer | AQAB | Aw | AAAA | ["verify"] | enc | sig | , "jti": "b" | , "alg": "none"
    0:1 A | 0:0 , | 0:9999 | 80:1 A | -9:1 A | ["exp"] | false
""")


def check(data: bytes) -> None:
    """See the module's text."""
    lines = list(edits(data))
    wants_nonce = any(edit == ("verifier", "nonce") for edit in lines)
    knock = Knock(bound=True, nonce=NONCES["0"] if wants_nonce else None)
    for edit in lines:
        knock.edit(edit)
    judge = _VERIFIERS.get(knock.verifier, _VERIFIERS["plain"])
    server = judge._server
    server.verified = Memo(64)
    if knock.verifier != "remembers":
        server.proofs._known = Memo(64)
    asked, requirement = knock.asked(), knock.requirement()
    first = outcome_of(judge, request_of(asked), requirement)
    second = outcome_of(judge, request_of(asked), requirement)
    claims = admits(asked, judge.settings, PUBLISHED, NOW, _GOOD_NONCES)
    if isinstance(second, Refused) and second.reason == "dpop.replayed":
        _forget_proofs(judge)
    if isinstance(first, Refused):
        assert first.reason != "dpop.replayed"
        assert isinstance(second, Refused)
        assert (first.reason, first.scheme) == (second.reason, second.scheme) or second.reason == "dpop.replayed"
        assert claims is None or knock.needs, f"good, and refused: {first.reason}"
        return
    assert first is not None
    assert claims is not None, "let in, and nobody knows why"
    check_token(first, claims)
    check_needs(first, claims, requirement)
    if "cnf" in claims:
        assert isinstance(second, Refused), "one proof let somebody in twice"
        assert second.reason == "dpop.replayed"


def _forget_proofs(judge: Verifier) -> None:
    """The next input begins with empty stores. In the verifier's own: a new one would take longer than all else."""
    _STORE.seen.clear()
    store = judge._server.replay
    for shard in [] if store is None else store._shards:
        for remembered in (shard.seen, shard.old, shard.counts, shard.old_counts):
            remembered.clear()
