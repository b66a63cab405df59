"""The rows of the contract: one a line. `tests/contract.py` says what a row means; every door answers all of them."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from strongdm_auth.dpop import NONCE_LIFETIME, NONCE_RENEWAL
from strongdm_auth.testing import DPoPKey, unsigned_token
from tests.contract import AUDIENCE, BASE, NONCE_SECRET, Case, Headers, World


def bearer(scheme: str = "Bearer", **made: Any) -> Callable[[World], Headers]:
    return lambda world: [("Authorization", f"{scheme} {world.token(**made)}")]


def raw(*values: str) -> Callable[[World], Headers]:
    return lambda world: [("Authorization", value) for value in values]


def bound(
    *,
    path: str = "/protected",
    url: str | None = None,
    method: str = "GET",
    scheme: str = "DPoP",
    proof_key: Callable[[World], DPoPKey] = lambda world: world.key,
    proven: Callable[[World, str], str] = lambda world, token: token,
    times: int = 1,
    nonce: Callable[[World], str] | None = None,
    alg: str | None = None,
    mangle: Callable[[str], str] = lambda proof: proof,
    opaque: bool = False,
    age: float = 0,
    header: Mapping[str, Any] | None = None,
    claims: Mapping[str, Any] | None = None,
    **made: Any,
) -> Callable[[World], Headers]:
    """A bound token and its proof; each argument is a way to make the proof another one."""

    def headers(world: World) -> Headers:
        key = proof_key(world) if alg is None else DPoPKey.generate(alg)
        bound_to = key if alg is not None else world.key
        token = (world.opaque if opaque else world.token)(key=bound_to, **made)
        proof = key.proof(
            method,
            url or BASE + path,
            proven(world, token),
            nonce=None if nonce is None else nonce(world),
            now=time.time() - age,
            header=header,
            claims=claims,
        )
        return [("Authorization", f"{scheme} {token}"), *[("DPoP", mangle(proof))] * times]

    return headers


NEITHER: dict[str, dict[str, str]] = {"Bearer": {}, "DPoP": {}}


def invalid_token(scheme: str = "Bearer") -> dict[str, Any]:
    challenges = {"Bearer": {}, "DPoP": {}, scheme: {"error": "invalid_token"}}
    return {"status": 401, "error": "invalid_token", "challenges": challenges}


def invalid_proof() -> dict[str, Any]:
    return {"status": 401, "error": "invalid_dpop_proof", "challenges": {"DPoP": {"error": "invalid_dpop_proof"}}}


def unreadable(scheme: str = "Bearer") -> dict[str, Any]:
    return {"status": 400, "error": "invalid_request", "challenges": {scheme: {"error": "invalid_request"}}}


def unavailable() -> dict[str, Any]:
    return {"status": 503, "error": "temporarily_unavailable"}


def no_credentials() -> dict[str, Any]:
    return {"status": 401, "error": "unauthorized", "challenges": NEITHER}


def forbidden(error: str, scheme: str = "Bearer", **parameters: str) -> dict[str, Any]:
    return {"status": 403, "error": error, "challenges": {scheme: {"error": error, **parameters}}}


def policy(name: str) -> dict[str, str]:
    return {"authorize": f"tests.hooks:{name}"}


def step_up(**parameters: str) -> dict[str, Any]:
    error = "insufficient_user_authentication"
    return {"status": 401, "error": error, "challenges": {"Bearer": {"error": error, **parameters}}}


def need_nonce() -> dict[str, Any]:
    challenges = {"DPoP": {"error": "use_dpop_nonce"}}
    return {"status": 401, "error": "use_dpop_nonce", "challenges": challenges, "nonce": True}


def _other_signature(compact: str) -> str:
    body, _, signature = compact.rpartition(".")
    return f"{body}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


def _forged(world: World) -> Headers:
    return [("Authorization", f"Bearer {_other_signature(world.token())}")]


def _impostor(world: World) -> Headers:
    return bearer(realm="gamma", claims={"iss": world.issuer.issuer_url("alpha")})(world)


def _unsigned(world: World) -> Headers:
    claims = {
        "iss": world.issuer.issuer_url("alpha"),
        "sub": "root",
        "aud": AUDIENCE,
        "exp": time.time() + 60,
        "iat": 1,
    }
    return [("Authorization", f"Bearer {unsigned_token({'alg': 'none', 'typ': 'at+jwt'}, claims, b'x')}")]


def _svid(world: World) -> Headers:
    return [("Authorization", f"Bearer {world.issuer.jwt_svid('cli_agent', audience=AUDIENCE, realm='alpha')}")]


def _proof_as_token(world: World) -> Headers:
    return [("Authorization", f"Bearer {world.key.proof('GET', BASE + '/protected')}")]


def _token_as_proof(world: World) -> Headers:
    token = world.token(key=world.key)
    return [("Authorization", f"DPoP {token}"), ("DPoP", token)]


def _revoke(world: World, headers: Headers) -> None:
    world.issuer.revoke(headers[0][1].split(" ")[1])


def _opaque(**made: Any) -> Callable[[World], Headers]:
    return lambda world: [("Authorization", f"Bearer {world.opaque(**made)}")]


NOW = time.time()
FALLBACK, ALWAYS = {"introspection": "fallback"}, {"introspection": "always"}
NONCES = {"dpop_nonce": "required", "dpop_nonce_secret": NONCE_SECRET}
REQUIRED = {"dpop": "required"}
STRICT = {"token_profile": "rfc9068"}

# fmt: off
GOOD = [
    Case("bearer", bearer(), token={"subject": "cli_agent", "realm": "alpha", "scopes": ["read"], "key_thumbprint": None} ),
    Case("bearer, of another realm that is let in", bearer(realm="beta"), token={"realm": "beta"}),
    Case("bearer, POST", bearer(), method="POST"),
    Case("bearer, scheme in lower case", bearer("bearer")),
    Case("bearer, two spaces", bearer("Bearer ")),
    Case("bearer, with a query", bearer(), query="a=1&b=access_token"),
    *[Case(f"bearer, signed with {alg}", bearer(alg=alg)) for alg in ("RS256", "ES256", "EdDSA")],
    Case("bearer, typ JWT", bearer(header={"typ": "JWT"})),
    Case("bearer, no typ", bearer(header={"typ": None})),
    Case("bearer, typ application/AT+JWT", bearer(header={"typ": "application/AT+JWT"})),
    Case("bearer, several audiences", bearer(audience=["https://else.example", AUDIENCE])),
    Case("bearer, azp in place of client_id", bearer(claims={"client_id": None, "azp": "cli_x"}), token={"client_id": "cli_x"}),
    Case("bearer, no scope", bearer(claims={"scope": None}), token={"scopes": []}),
    Case("bearer, an unknown header member", bearer(header={"cat": "purr"})),
    Case("bearer, Keycloak's typ claim", bearer(claims={"typ": "Bearer", "token_type": None})),
    Case("bearer, expired within the leeway", bearer(lifetime=-5)),
    Case("dpop", bound(), token={"subject": "cli_agent"}),
    Case("dpop, scheme in lower case", bound(scheme="dpop")),
    Case("dpop, POST", bound(method="POST"), method="POST"),
    *[Case(f"dpop, {alg} proof", bound(alg=alg)) for alg in ("ES256", "ES384", "RS256", "PS256", "EdDSA", "Ed25519")],
    Case("dpop, htu with query and fragment", bound(url=BASE + "/protected?x=1#y"), query="a=2"),
    Case("dpop, htu not normalised", bound(url="HTTPS://API.example.com:443/a/../%70rotected")),
    Case("dpop, iat in the past", bound(age=50)),
    Case("dpop, iat in the future", bound(age=-20)),
    Case("dpop, jti of 5,000 characters", bound(claims={"jti": "j" * 5000})),
    Case("dpop on a route that asks for it", bound(path="/bound"), path="/bound"),
    Case("dpop where only dpop is taken", bound(), settings=REQUIRED),
    Case("rfc9068", bearer(), settings=STRICT),
    Case("a scope that is there", bearer(), path="/read"),
    Case("all scopes", bearer(scopes=["write", "read", "x"]), path="/read-and-write"),
    Case("one of two scopes", bearer(scopes=["write"]), path="/any"),
    Case("the route's realm", bearer(realm="beta"), path="/beta"),
    Case("delegated", bearer(actor={"sub": "cli_a", "act": {"sub": "cli_b"}}), path="/delegated", token={"actors": ["cli_a", "cli_b"]}),
    Case("delegated to an agent of another realm", lambda world: bearer(actor={"sub": "cli_a", "iss": world.issuer.issuer_url("beta")})(world), path="/beta-agents", token={"actors": ["cli_a"]}),
    Case("a human's agent", bearer(subject="ann@example.com", actor={"sub": "cli_a", "act": {"sub": "cli_b"}}), path="/humans", token={"actors": ["cli_a", "cli_b"]}),
    Case("a human innermost", bearer(actor={"sub": "cli_a", "act": {"sub": "ann@example.com"}}), path="/innermost-humans"),
    Case("the application agrees", bearer(subject="alice"), path="/read", settings=policy("only_alice_reads")),
    Case("nobody is nothing to ask the application about", path="/optional", settings=policy("break_down"), token={"anonymous": True}),
    Case("not delegated", bearer(), path="/direct", token={"actor": None}),
    Case("the right actor", bearer(actor={"sub": "cli_scheduler_1"}), path="/scheduler", token={"actor": "cli_scheduler_1"}),
    Case("acr", bearer(claims={"acr": "silver"}), path="/strong"),
    Case("auth_time", bearer(claims={"auth_time": NOW - 5}), path="/recent"),
    Case("optional, without credentials", path="/optional", token={"anonymous": True}),
    Case("optional, with credentials", bearer(), path="/optional", token={"subject": "cli_agent"}),
    Case("introspected by the route", bearer(), path="/introspected", token={"introspected": True}),
    Case("opaque", _opaque(), settings=FALLBACK, token={"introspected": True, "realm": "alpha"}),
    Case("opaque and bound", bound(opaque=True), settings=FALLBACK, token={"introspected": True}),
    Case("JWT, fallback asks nobody", bearer(), settings=FALLBACK, token={"introspected": False}),
    Case("JWT, always introspected", bearer(), settings=ALWAYS, token={"introspected": True}),
    Case("nonce", bound(nonce=lambda world: world.nonce()), settings=NONCES),
    Case("nonce, renewed before it lapses", bound(nonce=lambda world: world.nonce(NONCE_RENEWAL + 5)), settings=NONCES, nonce=True),
    Case("public_url", bound(url="https://public.example/v1/protected"), settings={"public_url": "https://public.example/v1"}),
]

BAD = [
    Case("no credentials", **no_credentials()),
    Case("no credentials, only dpop is taken", settings=REQUIRED, **{**no_credentials(), "challenges": {"DPoP": {}}}),
    Case("no credentials, the route asks for dpop", path="/bound", **{**no_credentials(), "challenges": {"DPoP": {}}}),
    Case("no credentials, the route needs a scope", path="/read", status=401, error="unauthorized",
         challenges={"Bearer": {"scope": "read"}, "DPoP": {"scope": "read"}}),
    Case("an empty Authorization header", raw(""), **no_credentials()),
    Case("Basic", raw("Basic YTpi"), **no_credentials()),
    Case("a token in the query alone", query="access_token=abc", **no_credentials()),
    Case("a scheme without a token", raw("Bearer"), **unreadable()),
    Case("DPoP without a token", raw("DPoP "), **unreadable("DPoP")),
    Case("two tokens in one header", raw("Bearer abc def"), **unreadable()),
    Case("characters that no token has", raw('Bearer "abc"'), **unreadable()),
    Case("two Authorization headers", raw("Bearer abc", "Bearer abc"), **unreadable()),
    Case("Basic and Bearer", raw("Basic YTpi", "Bearer abc"), **unreadable()),
    Case("a token in header and query", bearer(), query="access_token=abc", **unreadable()),
    Case("a token in header and query, escaped", bearer(), query="access%5Ftoken=abc", **unreadable()),
    Case("a token too long", raw("Bearer " + "a" * 16_385), **invalid_token()),
    Case("an opaque token", raw("Bearer abc"), **invalid_token()),
    Case("five segments", raw("Bearer a.b.c.d.e"), **invalid_token()),
    Case("garbage in three segments", raw("Bearer a.b.c"), **invalid_token()),
    Case("expired", bearer(lifetime=-31), **invalid_token()),
    Case("not yet valid", bearer(claims={"nbf": NOW + 600}), **invalid_token()),
    Case("issued in the future", bearer(claims={"iat": NOW + 600}), **invalid_token()),
    Case("no exp", bearer(claims={"exp": None}), **invalid_token()),
    Case("no sub", bearer(claims={"sub": None}), **invalid_token()),
    Case("no iat", bearer(claims={"iat": None}), **invalid_token()),
    Case("exp a string", bearer(claims={"exp": "9999999999"}), **invalid_token()),
    Case("scope a list", bearer(claims={"scope": ["read"]}), **invalid_token()),
    Case("scope a number", bearer(claims={"scope": 7}), **invalid_token()),
    Case("a changed signature", _forged, **invalid_token()),
    Case("alg none", _unsigned, **invalid_token()),
    Case("the wrong realm's key", _impostor, **invalid_token()),
    Case("a realm that is not let in", bearer(realm="gamma"), **invalid_token()),
    Case("the base issuer, where realms are named", bearer(realm=None), **invalid_token()),
    Case("an issuer with a slash too many", bearer(claims={"iss": "https://id.strongdm.ai/"}), **invalid_token()),
    Case("no audience", bearer(audience=None), **invalid_token()),
    Case("another audience", bearer(audience=["https://else.example"]), **invalid_token()),
    Case("an ID token", bearer(header={"typ": "JWT"}, claims={"token_type": None, "nonce": "n"}), **invalid_token()),
    Case("a refresh token", bearer(claims={"token_type": "refresh_token"}), **invalid_token()),
    Case("Keycloak's refresh token", bearer(claims={"typ": "Refresh", "token_type": None}), **invalid_token()),
    Case("a logout token", bearer(header={"typ": "logout+jwt"}), **invalid_token()),
    Case("a transaction token", bearer(header={"typ": "txntoken+jwt"}), **invalid_token()),
    Case("a JWT-SVID", _svid, **invalid_token()),
    Case("a proof as token", _proof_as_token, **invalid_token()),
    Case("crit", bearer(header={"crit": ["exp"]}), **invalid_token()),
    Case("an unknown kid", bearer(header={"kid": "nobody"}), **invalid_token()),
    Case("cnf of an unknown kind", bearer(claims={"cnf": {"kid": "x"}}), **invalid_token()),
    Case("cnf of a certificate", bearer(claims={"cnf": {"x5t#S256": "x" * 43}}), **invalid_token()),
    Case("cnf a string", bearer(claims={"cnf": "x"}), **invalid_token()),
    Case("bound, as Bearer", bound(scheme="Bearer"), **invalid_token()),
    Case("unbound, as DPoP", bearer("DPoP"), **invalid_token("DPoP")),
    Case("unbound, where only dpop is taken", bearer(), settings=REQUIRED, **{**invalid_token(), "challenges": {"DPoP": {"error": "invalid_token"}}}),
    Case("unbound, where the route asks for dpop", bearer(), path="/bound", **{**invalid_token(), "challenges": {"DPoP": {"error": "invalid_token"}}}),
    Case("rfc9068: typ JWT", bearer(header={"typ": "JWT"}), settings=STRICT, **invalid_token()),
    Case("rfc9068: no jti", bearer(claims={"jti": None}), settings=STRICT, **invalid_token()),
    Case("rfc9068: no client_id", bearer(claims={"client_id": None}), settings=STRICT, **invalid_token()),
    Case("no proof", bound(times=0), **invalid_proof()),
    Case("two proofs", bound(times=2), **invalid_proof()),
    Case("a proof that is no JWS", bound(mangle=lambda proof: "proof"), **invalid_proof()),
    Case("a proof too long", bound(claims={"x": "x" * 8_192}), **invalid_proof()),
    Case("a proof with a changed signature", bound(mangle=_other_signature), **invalid_proof()),
    Case("a proof by another key", bound(proof_key=lambda world: world.other_key), **invalid_token("DPoP")),
    Case("a proof for another token", bound(proven=lambda world, token: world.token()), **invalid_proof()),
    Case("a proof without ath", bound(claims={"ath": None}), **invalid_proof()),
    Case("a proof without jti", bound(claims={"jti": None}), **invalid_proof()),
    Case("a proof with a list for jti", bound(claims={"jti": ["x"]}), **invalid_proof()),
    Case("a proof for another method", bound(method="POST"), **invalid_proof()),
    Case("a proof for the method in lower case", bound(method="get"), **invalid_proof()),
    Case("a proof for another path", bound(path="/read"), **invalid_proof()),
    Case("a proof for another host", bound(url="https://evil.example/protected"), **invalid_proof()),
    Case("a proof for another scheme", bound(url="http://api.example.com/protected"), **invalid_proof()),
    Case("a proof for the inner URL behind public_url", bound(), settings={"public_url": "https://public.example"}, **invalid_proof()),
    Case("a proof too old", bound(age=65), **invalid_proof()),
    Case("a proof from the future", bound(age=-60), **invalid_proof()),
    Case("a proof with iat a string", bound(claims={"iat": "1"}), **invalid_proof()),
    Case("a proof with typ JWT", bound(header={"typ": "JWT"}), **invalid_proof()),
    Case("a proof with alg HS256", bound(header={"alg": "HS256"}), **invalid_proof()),
    Case("a token as proof", _token_as_proof, **invalid_proof()),
    Case("a proof replayed", bound(), sent_before=1, **invalid_proof()),
    Case("nonce missing", bound(), settings=NONCES, **need_nonce()),
    Case("nonce stale", bound(nonce=lambda world: world.nonce(NONCE_LIFETIME + 31)), settings=NONCES, **need_nonce()),
    Case("nonce forged", bound(nonce=lambda world: "bm9uY2U"), settings=NONCES, **need_nonce()),
    Case("scope missing", bearer(scopes=["write"]), path="/read", **forbidden("insufficient_scope", scope="read")),
    Case("one of two scopes missing", bearer(), path="/read-and-write", **forbidden("insufficient_scope", scope="read write")),
    Case("neither of two scopes", bearer(scopes=["x"]), path="/any", **forbidden("insufficient_scope", scope="read write")),
    Case("scope missing, dpop", bound(path="/read", scopes=["x"]), path="/read", **forbidden("insufficient_scope", "DPoP")),
    Case("a scope after another white space", bearer(claims={"scope": "x\u00a0read"}), path="/read", **forbidden("insufficient_scope")),
    Case("the route's realm is another", bearer(), path="/beta", **forbidden("access_denied")),
    Case("delegation missing", bearer(), path="/delegated", **forbidden("access_denied")),
    Case("delegation malformed", bearer(claims={"act": "cli_a"}), path="/delegated", **forbidden("access_denied")),
    Case("delegation malformed, where it is forbidden", bearer(claims={"act": ["x"]}), path="/direct", **forbidden("access_denied")),
    Case("delegation forbidden", bearer(actor={"sub": "cli_a"}), path="/direct", **forbidden("access_denied")),
    Case("the wrong actor", bearer(actor={"sub": "cli_x"}), path="/scheduler", **forbidden("access_denied")),
    Case("the right actor further in", bearer(actor={"sub": "cli_x", "act": {"sub": "cli_scheduler_1"}}), path="/scheduler", **forbidden("access_denied")),
    Case("too many actors", bearer(actor={"sub": "cli_scheduler_1", "act": {"sub": "cli_b"}}), path="/scheduler", **forbidden("access_denied")),
    Case("an actor of the token's own realm where another's is asked for", bearer(actor={"sub": "cli_a"}), path="/beta-agents", **forbidden("access_denied")),
    Case("the actor's name, of an unknown issuer", bearer(actor={"sub": "cli_scheduler_1", "iss": "https://evil.example"}), path="/scheduler", **forbidden("access_denied")),
    Case("an agent acts for an agent where a human is asked for", bearer(actor={"sub": "cli_a", "act": {"sub": "ann@example.com"}}), path="/humans", **forbidden("access_denied")),
    Case("nobody acts where a human is asked for", bearer(subject="ann@example.com"), path="/humans", **forbidden("access_denied")),
    Case("an agent stands innermost where a human is asked for", bearer(subject="ann@example.com", actor={"sub": "cli_a"}), path="/innermost-humans", **forbidden("access_denied")),
    Case("the application refuses", bearer(), settings=policy("refuse"), **forbidden("access_denied")),
    Case("the application refuses a bound token", bound(), settings=policy("refuse"), **forbidden("access_denied", "DPoP")),
    Case("the application refuses this subject", bearer(subject="bob"), settings=policy("only_alice_reads"), **forbidden("access_denied")),
    Case("the application refuses this path", bearer(subject="alice"), settings=policy("only_alice_reads"), **forbidden("access_denied")),
    Case("the application says nothing", bearer(), settings=policy("say_nothing"), **forbidden("access_denied")),
    Case("the application says yes, but not True", bearer(), settings=policy("say_yes_in_words"), **forbidden("access_denied")),
    Case("the application says no in its own words", bearer(), settings=policy("not_after_hours"), **forbidden("access_denied", error_description="Not after hours")),
    Case("the application wants more scope", bearer(), settings=policy("more_scope"), **forbidden("insufficient_scope")),
    Case("the application's policy is broken", bearer(), settings=policy("break_down"), **unavailable()),
    Case("what we refuse the application is not asked about", bearer(lifetime=-100), settings=policy("break_down"), **invalid_token()),
    Case("an observer that fails stops nothing", bearer(), settings={"on_event": "tests.hooks:fail"}),
    Case("acr missing", bearer(), path="/strong", **step_up(acr_values="gold silver")),
    Case("acr too weak", bearer(claims={"acr": "bronze"}), path="/strong", **step_up(acr_values="gold silver")),
    Case("auth_time too long ago", bearer(claims={"auth_time": NOW - 900}), path="/recent", **step_up(max_age="300")),
    Case("auth_time missing", bearer(), path="/recent", **step_up(max_age="300")),
    Case("optional, with bad credentials", _forged, path="/optional", **invalid_token()),
    Case("opaque, revoked", _opaque(), settings=FALLBACK, before=_revoke, **invalid_token()),
    Case("opaque, of a realm that is not let in", _opaque(realm="gamma"), settings=FALLBACK, **invalid_token()),
    Case("opaque, another audience", _opaque(audience=["x"]), settings=FALLBACK, **invalid_token()),
    Case("opaque, no audience", _opaque(audience=None), settings=FALLBACK, **invalid_token()),
    Case("opaque and bound, as Bearer", bound(opaque=True, scheme="Bearer"), settings=FALLBACK, **invalid_token()),
    Case("JWT, fallback rescues nothing", bearer(audience=["x"]), settings=FALLBACK, **invalid_token()),
    Case("JWT, revoked, always introspected", bearer(), settings=ALWAYS, before=_revoke, **invalid_token()),
    Case("JWT, revoked, introspected by the route", bearer(), path="/introspected", before=_revoke, **invalid_token()),
    Case("introspection is down", _opaque(), settings=FALLBACK,
         before=lambda world, headers: world.issuer.fail(500, path="/introspect"), **unavailable()),
    Case("introspection refuses us", _opaque(), settings=FALLBACK,
         before=lambda world, headers: world.issuer.fail(401, path="/introspect"), **unavailable()),
    Case("the issuer is down", bearer(realm="beta"), settings={"http_timeout": 4},
         before=lambda world, headers: world.issuer.fail(503), **unavailable()),
    Case("discovery is another issuer's", bearer(realm="beta"), settings={"http_timeout": 3},
         before=lambda world, headers: world.issuer.answer("/.well-known/openid-configuration", body=b'{"issuer": "x"}'), **unavailable()),
]
# fmt: on

CASES = [*GOOD, *BAD]
assert len({case.name for case in CASES}) == len(CASES)
