"""Access tokens through a whole verifier: honest ones, edited and signed again with the issuer's real keys, or with others.

Whoever is let in must be let in by the oracle too, and the other way round; the route must get what the token says; and a
second time, when the token is remembered, the answer must be the same.
"""

from fuzz.edits import edits, words
from fuzz.knock import Knock, request_of
from fuzz.oracle import admits
from fuzz.world import NOW, PUBLISHED, outcome_of, verifier
from strongdm_auth import AccessToken, Refused, Requirement
from strongdm_auth.memo import Memo

_VERIFIERS = {
    "plain": verifier(),
    "any": verifier(realms="*"),
    "every-audience": verifier(
        realms=["alpha", "beta"], audience=["https://api.example.com", "b"], algorithms="ES256,RS256"
    ),
    "strict": verifier(token_profile="rfc9068", leeway=0, max_token_bytes=700),
    "bound-only": verifier(dpop="required", resource="https://api.example.com"),
}
HEADS = words(r"""
    claims iss | claims sub | claims aud | claims exp | claims iat | claims nbf | claims jti | claims scope
    claims client_id | claims azp | claims cnf | claims act | claims typ | claims token_type | claims token_use
    claims events | claims nonce | claims at_hash | claims acr | header alg | header kid | header typ | header crit
    header b64 | header jwk | header jku | header zip | header enc | raw header | raw claims | cut token | sign
    scheme | url | verifier | again authorization | needs scopes | needs dpop | needs realms | needs acr
    needs max_age
""")
VALUES = (
    *words(r"""
    null | true | false | 0 | -1 | 1800000000 | 1799999970 | 1800000030 | 1800000031 | 1e400 | 1e308 | 1.5 | "" | []
    {} | "\ud800" | "\u0000" | "\r\nX: y" | [[[[]]]] | ["b"] | ["b", 7] | at+jwt | JWT | jwt
    https://id.example.com | https://id.example.com/realms/alpha | https://id.example.com/realms/beta
    https://id.example.com/realms/new | https://id.example.com/realms/alpha/ | https://api.example.com | b | ed | es
    rs | enc | beta | stranger | HS256 | none | ES256 | EdDSA | Ed25519 | RS256 | PS256 | es HS256 | rs PS256
    ed none | application/at+jwt | dpop+jwt | logout+jwt | spiffe://x/y | access_token | Bearer | DPoP | bearer
    Refresh | {"jkt": "@es"} | {"x5t#S256": "a"} | {"jkt": "a"} | read admin | {"sub": "x", "act": {"sub": "y"}}
    , "iss": "x" | , "jti": "b" | ["exp"] | plain | any | every-audience | strict | bound-only | 0:1 A | -9:1 A | 40:1
    https://api.example.com/x?access_token=a | ["alpha"] | admin
"""),
    "0:0 Bearer x, ",
)


def check(data: bytes) -> None:
    """See the module's text."""
    knock = Knock(bound=False)
    for edit in edits(data):
        knock.edit(edit)
    judge = _VERIFIERS.get(knock.verifier, _VERIFIERS["plain"])
    judge._server.verified = Memo(64)
    asked, requirement = knock.asked(), knock.requirement()
    first = outcome_of(judge, request_of(asked), requirement)
    second = outcome_of(judge, request_of(asked), requirement)
    claims = admits(asked, judge.settings, PUBLISHED, NOW)
    if isinstance(first, Refused):
        assert isinstance(second, Refused)
        assert (first.reason, first.scheme) == (second.reason, second.scheme)
        assert claims is None or knock.needs, f"good, and refused: {first.reason}"
    elif first is None:
        assert requirement.optional
        assert not asked.authorization
    else:
        assert first == second
        assert claims is not None, "let in, and nobody knows why"
        check_token(first, claims)
        check_needs(first, claims, requirement)


def check_token(token: AccessToken, claims: dict[str, object]) -> None:
    """The route gets what the token says, and nothing else."""
    assert dict(token.claims) == claims
    assert token.issuer == claims["iss"]
    assert token.realm == (token.issuer.partition("/realms/")[2] or None)
    assert token.subject == claims["sub"]
    assert token.expires_at == claims["exp"]
    assert token.scopes == {scope for scope in str(claims.get("scope") or "").split(" ") if scope}
    confirmation = claims.get("cnf")
    assert token.key_thumbprint == (confirmation["jkt"] if isinstance(confirmation, dict) else None)
    assert token.client_id == (claims.get("client_id") or claims.get("azp"))
    assert (token.actor is None) == (claims.get("act") is None)
    assert not token.introspected
    assert "a-token" not in repr(token)


def check_needs(token: AccessToken, claims: dict[str, object], requirement: Requirement) -> None:
    """What the route asked for is there."""
    assert requirement.scopes <= token.scopes
    assert not requirement.dpop or token.key_thumbprint
    assert requirement.realms is None or token.realm in requirement.realms
    assert requirement.acr is None or claims.get("acr") in requirement.acr
    if requirement.max_age is not None:
        since = claims["auth_time"]
        assert isinstance(since, (int, float))
        assert NOW - requirement.max_age - 30 <= since <= NOW + 30
