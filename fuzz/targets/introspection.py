"""What an issuer, or somebody in its place, answers about a token (RFC 7662): for opaque ones, JWTs, and a bound one.

Nobody is let in but on a JSON `true`, for us, in time; an answer narrows what a JWT says and never widens it; and the second
time, when the answer is remembered, it says the same.
"""

import json
from typing import Any

from fuzz.edits import apply, edits, words
from fuzz.world import (
    AGENTS,
    ALPHA,
    ANSWERS,
    AUDIENCE,
    BETA,
    ISSUER,
    NOW,
    SIGNERS,
    URL,
    Store,
    check_refusal,
    tell,
    verifier,
)
from strongdm_auth import AccessToken, Refused, Request, Settings
from strongdm_auth.flow import ResourceServer
from strongdm_auth.needs import Fetch, Reply

_STORE = Store()
_VERIFIER = verifier()


def _settings(introspection: str, **more: Any) -> Settings:
    credentials = {"client_id": "api", "client_secret": "s3cret"}
    realms = {"issuer": ISSUER, "realms": "*", "audience": AUDIENCE, "replay_store": _STORE}
    return Settings(introspection=introspection, **{**realms, **credentials, **more})


_SETTINGS = {
    "opaque": _settings("fallback"),
    "opaque-alpha": _settings("fallback", realms="alpha", introspection_ttl=0),
    "jwt": _settings("always"),
    "bound": _settings("always", dpop="required"),
}
_CLAIMS = {"iss": ALPHA, "sub": "agent", "aud": AUDIENCE, "iat": NOW, "exp": NOW + 60, "scope": "read write"}
_TOKENS = {
    "opaque": "opaque-token",
    "opaque-alpha": "opaque-token",
    "jwt": SIGNERS["ed"].sign({}, _CLAIMS),
    "bound": SIGNERS["ed"].sign({}, {**_CLAIMS, "cnf": {"jkt": AGENTS["ed"].thumbprint}}),
}
HEADS = words(r"""
    answer active | answer iss | answer sub | answer aud | answer exp | answer iat | answer nbf | answer scope
    answer client_id | answer cnf | answer act | answer token_type | answer jti | answer azp | body | tail | status
    token
""")
VALUES = (
    *words(r"""
    true | false | "true" | 1 | null | 0 | 1800000000 | 1799999970 | 1799999969 | 1800000031 | 1e400 | [] | {} | ""
    agent | read | read write admin | https://api.example.com | ["https://api.example.com"] | "\ud800" | DPoP
    Bearer | dpop | refresh_token | https://id.example.com | https://id.example.com/realms/alpha | { | opaque
    https://id.example.com/realms/beta | https://id.example.com/realms/new | jwt | bound | opaque-alpha | 200 | 401
    500 | , "active": true | 204 | {"sub": "x"}
    {"active": true} | {"x5t#S256": "a"} | read\twrite | "\u00e9" | "read\u00a0write"
"""),
    "[" * 40,
    *(json.dumps({"jkt": AGENTS[name].thumbprint}) for name in ("ed", "thief")),
)


def check(data: bytes) -> None:
    """See the module's text."""
    document: dict[str, Any] = {"active": True, "sub": "agent", "aud": AUDIENCE}
    body, tail, status, kind = "", "", 200, "opaque"
    for edit in edits(data):
        match edit.head:
            case "answer":
                apply(document, edit)
            case "body":
                body = edit.rest
            case "tail":
                tail += edit.rest
            case "status" if isinstance(edit.value, int):
                status = edit.value
            case "token" if edit.rest in _TOKENS:
                kind = edit.rest
    octets = (body or json.dumps(document)[:-1] + tail + "}").encode("utf-8", "surrogateescape")
    server, asked = ResourceServer(_SETTINGS[kind]), []

    def answer(fetch: Fetch) -> Reply:
        if fetch.form is None:
            found = ANSWERS.get(fetch.url)
            return Reply(404, b"", NOW) if found is None else Reply(200, found, NOW)
        asked.append(fetch.url)
        return Reply(status, octets, NOW)

    first, second = outcome(server, kind, answer), outcome(server, kind, answer)
    assert set(asked) == {f"{ISSUER}/introspect"}
    if isinstance(first, Refused):
        assert isinstance(second, Refused)
        assert first.reason == second.reason
        return
    assert first == second
    assert status == 200
    check_admitted(first, json.loads(octets), kind)


def outcome(server: ResourceServer, kind: str, answer: Any) -> AccessToken | Refused:
    """The story's end for the token of this kind; a bound one comes with a fresh proof."""
    token, agent = _TOKENS[kind], AGENTS["ed"]
    _STORE.seen.clear()
    headers = {"Authorization": f"{'DPoP' if kind == 'bound' else 'Bearer'} {token}"}
    if kind == "bound":
        headers["DPoP"] = agent.proof("GET", URL, token, now=NOW)
    try:
        return tell(server.authenticate(Request("GET", URL, headers), NOW), answer).token
    except Refused as refusal:
        check_refusal(_VERIFIER, refusal)
        return refusal


def check_admitted(token: AccessToken, answer: dict[str, Any], kind: str) -> None:
    """Somebody was let in on this answer: it says so itself, and the route gets what it says."""
    assert answer["active"] is True
    answer = {name: value for name, value in answer.items() if value is not None}
    assert answer.get("exp", NOW) > NOW - 30
    assert max(answer.get("iat", NOW), answer.get("nbf", NOW)) <= NOW + 30
    audience = answer.get("aud", AUDIENCE if "opaque" not in kind else None)
    assert AUDIENCE in (audience if isinstance(audience, list) else [audience])
    assert (
        str(answer.get("token_type", "bearer")).lower() in ("bearer", "dpop", "access_token")
        or "urn:" in answer["token_type"]
    )
    assert token.introspected
    granted = set(answer.get("scope", "read write" if "opaque" not in kind else "").split(" ")) - {""}
    bound_to = AGENTS["ed"].thumbprint if kind == "bound" else None
    assert token.key_thumbprint == bound_to
    assert answer.get("cnf", {"jkt": bound_to}).get("jkt") == bound_to
    if "opaque" in kind:
        assert answer.get("iss", ISSUER) in (
            (ALPHA,) if kind == "opaque-alpha" else (ISSUER, ALPHA, BETA, *_new(answer))
        )
        assert token.issuer == answer.get("iss", ISSUER)
        assert token.subject == answer.get("sub")
        assert token.scopes == granted
    else:
        assert answer.get("iss", ALPHA) == ALPHA
        assert answer.get("sub", "agent") == token.subject == "agent"
        assert token.scopes == granted & {"read", "write"}
        assert token.expires_at == NOW + 60


def _new(answer: dict[str, Any]) -> tuple[str, ...]:
    """A realm that the issuer speaks of is one of its realms, though we have not heard of it."""
    issuer = str(answer.get("iss", ""))
    return (issuer,) if issuer.startswith(f"{ISSUER}/realms/") and issuer.count("/") == 4 else ()
