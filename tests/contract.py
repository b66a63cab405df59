"""The contract as a table: what comes in, what a route asks, and the answer that every door must give, byte for byte.

A case names its credentials by a function of the `World`, so that each door gets fresh ones (a proof is good once). What
a framework forces to be different stands in `Case.differs`, with the reason; there is nothing that differs in silence.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from strongdm_auth import ActorPattern, Delegation, Requirement
from strongdm_auth.dpop import Nonces
from strongdm_auth.testing import DPoPKey, Issuer

AUDIENCE = "https://api.example.com"
BASE = "https://api.example.com"
NONCE_SECRET = "one secret for all workers, and long enough"
ALGS = "ES256 ES384 RS256 PS256 EdDSA Ed25519"

#: Path -> what it asks. Every door's contract app serves these, for GET and POST, and answers `described(token)`.
ROUTES: dict[str, Requirement] = {
    "/protected": Requirement(),
    "/read": Requirement(scopes="read"),
    "/read-and-write": Requirement(scopes="read write"),
    "/any": Requirement(any_scope={"read", "write"}),
    "/bound": Requirement(dpop=True),
    "/beta": Requirement(realms={"beta"}),
    "/delegated": Requirement(delegation=Delegation()),
    "/direct": Requirement(delegation=Delegation(forbid=True)),
    "/scheduler": Requirement(delegation=Delegation(allowed_actors=["cli_scheduler_*"], max_depth=1)),
    "/beta-agents": Requirement(delegation=Delegation(allowed_actors=ActorPattern("cli_*", realm="beta"))),
    "/humans": Requirement(delegation=Delegation(human="*@example.com")),
    "/innermost-humans": Requirement(delegation=Delegation(human="*@example.com", human_at="innermost")),
    "/strong": Requirement(acr="gold silver"),
    "/recent": Requirement(max_age=300),
    "/optional": Requirement(optional=True),
    "/optional-admin": Requirement(scopes="admin", optional=True),
    "/introspected": Requirement(introspect=True),
}

Headers = list[tuple[str, str]]


def described(token: Any) -> dict[str, Any]:
    """What the contract app's routes answer: all that a route can know of a token."""
    if token is None:
        return {"anonymous": True}
    return {
        "subject": token.subject,
        "issuer": token.issuer,
        "realm": token.realm,
        "scopes": sorted(token.scopes),
        "client_id": token.client_id,
        "audience": list(token.audience),
        "key_thumbprint": token.key_thumbprint,
        "actor": token.actor and token.actor.subject,
        "actors": [actor.subject for actor in token.delegation],
        "introspected": token.introspected,
    }


@dataclass
class Answer:
    """What a door gave back."""

    status: int
    headers: dict[str, list[str]]
    body: bytes

    @classmethod
    def of(cls, status: int, headers: list[tuple[str, str]], body: bytes) -> "Answer":
        collected: dict[str, list[str]] = {}
        for name, value in headers:
            collected.setdefault(name.lower(), []).append(value)
        return cls(status, collected, body)

    def header(self, name: str) -> str | None:
        values = self.headers.get(name.lower(), [])
        assert len(values) < 2, f"{name} stands {len(values)} times"
        return values[0] if values else None

    @property
    def challenges(self) -> dict[str, dict[str, str]]:
        """scheme -> parameters, of the one WWW-Authenticate value."""
        value, found = self.header("WWW-Authenticate") or "", {}
        scheme = ""
        for part in re.finditer(r'(?:^|, )(?:(Bearer|DPoP) )?([a-z_]+)="([^"\\]*)"', value):
            scheme = part[1] or scheme
            parameters = found.setdefault(scheme, {})
            assert part[2] not in parameters, f"{part[2]} twice"
            parameters[part[2]] = part[3]
        assert re.sub(r'(?:^|, )(?:(Bearer|DPoP) )?([a-z_]+)="([^"\\]*)"', "", value) == "", value
        return found


class World:
    """Where a case's credentials come from: a served issuer, keys, and the settings of the API under test."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.key, self.other_key = DPoPKey.generate(), DPoPKey.generate("EdDSA")
        self.client = issuer.client("resource-server", realm="alpha")

    def settings(self, **changed: Any) -> dict[str, Any]:
        """Realms alpha and beta are let in, gamma is not."""
        settings = {
            "issuer": self.issuer.url,
            "realms": ["alpha", "beta"],
            "audience": AUDIENCE,
            "client_id": self.client.client_id,
            "client_secret": self.client.client_secret,
            **changed,
        }
        return {name: value for name, value in settings.items() if value is not None}

    def token(self, **made: Any) -> str:
        defaults = {"subject": "cli_agent", "scopes": ["read"], "realm": "alpha", "audience": AUDIENCE}
        return self.issuer.token(**{**defaults, **made})

    def opaque(self, **made: Any) -> str:
        defaults = {"subject": "cli_agent", "scopes": ["read"], "realm": "alpha", "audience": AUDIENCE}
        return self.issuer.opaque_token(**{**defaults, **made})

    def nonce(self, age: float = 0) -> str:
        return Nonces((NONCE_SECRET.encode(),)).issue(time.time() - age)


@dataclass
class Case:
    """One row: credentials and a route in; status, error, challenges, headers and token facts out."""

    name: str
    send: Callable[[World], Headers] = field(default=lambda world: [])
    status: int = 200
    error: str = ""
    path: str = "/protected"
    query: str = ""
    method: str = "GET"
    settings: dict[str, Any] = field(default_factory=dict)
    #: Challenge scheme -> the parameters it must have (a subset); None: there must be no challenge at all.
    challenges: dict[str, dict[str, str]] | None = None
    #: Facts of `described(token)` that must hold.
    token: dict[str, Any] = field(default_factory=dict)
    #: Done to the issuer before the request, and undone after it.
    before: Callable[[World, Headers], None] | None = None
    #: Sent first, with the same credentials, and not looked at.
    sent_before: int = 0
    nonce: bool = False
    differs: dict[str, str] = field(default_factory=dict)

    def check(self, answer: Answer) -> None:
        """Fails unless the answer is what the contract says."""
        assert answer.status == self.status, answer
        vary = (answer.header("Vary") or "").lower()
        assert "authorization" in vary, "caches must know"
        assert "dpop" in vary, "caches must know"
        assert (answer.header("DPoP-Nonce") is not None) == self.nonce
        if self.status == 200:
            facts = json.loads(answer.body)
            assert {name: facts[name] for name in self.token} == self.token
            assert not self.nonce or "no-store" in (answer.header("Cache-Control") or "")
            return
        assert answer.header("Content-Type") == "application/json"
        assert "no-store" in (answer.header("Cache-Control") or "")
        body = json.loads(answer.body)
        assert set(body) == {"error", "error_description"}
        assert body["error"] == self.error
        if self.status == 503:
            assert int(answer.header("Retry-After") or "0") >= 1
        expected = self.challenges
        challenges = answer.challenges
        assert list(challenges) == list(expected or {}), "schemes, in order"
        for scheme, parameters in (expected or {}).items():
            found = challenges[scheme]
            assert parameters.items() <= found.items()
            assert found, "RFC 6750 3: at least one parameter"
            assert ("error" in found) == ("error" in parameters)
            assert ("scope" in found) == bool(ROUTES[self.path].scope_names())
            assert scheme == "Bearer" or found["algs"] == ALGS


def frozen_settings(settings: Mapping[str, Any]) -> str:
    """A key for an app that was built with these settings."""
    return json.dumps(settings, sort_keys=True)
