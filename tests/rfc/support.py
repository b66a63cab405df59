"""What the RFC tests share: callers, tokens made of raw bytes, and a look at everything a verifier says and asks."""

import hashlib
import json
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry

from strongdm_auth import Refused, Request, Requirement, Verifier
from strongdm_auth.challenge import Denial
from strongdm_auth.testing import Clock, DPoPKey, Issuer
from tests.conftest import AUDIENCE, NOW, URL

from .challenges import Challenge, parse_challenges

MakeVerifier = Callable[..., Verifier]
ANY = Requirement()
#: JSON texts of every kind, to be put where a claim of another kind belongs.
JSON_VALUES = {
    "null": "null",
    "true": "true",
    "one": "1",
    "word": '"x"',
    "infinite": "1e400",
    "list": "[]",
    "object": "{}",
    "nested": '[[{"a": [{"b": {}}]}]]',
}


def b64(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def ath(token: str) -> str:
    return b64(hashlib.sha256(token.encode("ascii")).digest())


def mint(issuer: Issuer, **overrides: Any) -> str:
    """An access token that the default verifier lets in, unless an override spoils it."""
    return issuer.token("cli_agent", **({"realm": "alpha", "audience": AUDIENCE, "scopes": ["read"]} | overrides))


def honest_claims(**overrides: Any) -> dict[str, Any]:
    """The claims of a token that the default verifier lets in, for tests that sign by themselves."""
    return {
        "iss": "https://id.strongdm.test/realms/alpha",
        "sub": "cli_agent",
        "client_id": "cli_agent",
        "aud": AUDIENCE,
        "scope": "read",
        "iat": int(NOW),
        "exp": int(NOW) + 3600,
        "jti": "a-token",
    } | overrides


def json_with(members: Mapping[str, Any], name: str, text: str) -> bytes:
    """A JSON object of `members` in which `name` has the value that `text` spells, valid JSON or not."""
    rest = {key: value for key, value in members.items() if key != name}
    return (json.dumps(rest)[:-1] + (", " if rest else "") + f"{json.dumps(name)}: {text}}}").encode()


def sign_raw(key: Key, alg: str, header: Mapping[str, Any] | bytes, payload: Mapping[str, Any] | bytes) -> str:
    """A compact JWS of exactly these octets, with a signature that holds."""
    octets = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    signing_input = f"{b64(octets[0])}.{b64(octets[1])}"
    return f"{signing_input}.{b64(JWSRegistry.algorithms[alg].sign(signing_input.encode(), key))}"


def realm_token(issuer: Issuer, payload: Mapping[str, Any] | bytes, **header: Any) -> str:
    """Any payload, signed by realm alpha's own ES256 key."""
    key = issuer.signing_key("alpha", "ES256")
    members = {"alg": "ES256", "kid": key.kid, "typ": "at+jwt"} | header
    return sign_raw(key.private_key, "ES256", members, payload)


class Caller:
    """An agent with a bound token, whose requests a test can spoil."""

    def __init__(self, issuer: Issuer, clock: Clock, key: DPoPKey, **token: Any) -> None:
        self.key, self.clock = key, clock
        self.token = mint(issuer, key=key, **token)

    def proof(self, method: str = "GET", url: str = URL, **changes: Any) -> str:
        return self.key.proof(method, url, self.token, **({"now": self.clock()} | changes))

    def raw_proof(self, payload: Mapping[str, Any] | bytes, **header: Any) -> str:
        members = {"typ": "dpop+jwt", "alg": self.key.alg, "jwk": self.key.public_jwk} | header
        return sign_raw(self.key.private_key, self.key.alg, members, payload)

    def claims(self, **changes: Any) -> dict[str, Any]:
        honest = {"jti": "a-proof", "htm": "GET", "htu": URL, "iat": int(self.clock()), "ath": ath(self.token)}
        return honest | changes

    def request(self, proof: str | None = None, *, method: str = "GET", url: str = URL, **changes: Any) -> Request:
        """Token and proof as DPoP; keywords change the proof that is made."""
        proof = self.proof(method, url, **changes) if proof is None else proof
        return Request(method, url, {"Authorization": f"DPoP {self.token}", "DPoP": proof})


def refused(verifier: Verifier, request: Request, requirement: Requirement = ANY) -> Refused:
    """The refusal of a request that must not pass; anything else than a refusal fails the test."""
    with pytest.raises(Refused) as caught:
        verifier.authorize(request, requirement)
    return caught.value


def denied(verifier: Verifier, request: Request, requirement: Requirement = ANY) -> tuple[Refused, Denial]:
    error = refused(verifier, request, requirement)
    return error, verifier.denial(error, requirement)


def challenges_of(denial: Denial) -> list[Challenge]:
    values = [value for name, value in denial.headers if name.lower() == "www-authenticate"]
    assert len(values) == 1, "all challenges stand in one field value"
    return parse_challenges(values[0])


def header_of(headers: tuple[tuple[str, str], ...], name: str) -> str | None:
    values = [value for key, value in headers if key.lower() == name.lower()]
    assert len(values) <= 1, f"{name} stands more than once"
    return values[0] if values else None


class Recorder(httpx.BaseTransport):
    """Reaches the local issuer and notes every request, those for other origins too; `elsewhere` answers for them."""

    def __init__(self, issuer: Issuer, elsewhere: Mapping[str, bytes] | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self._inner = issuer.transport()
        self._elsewhere = elsewhere or {}

    @property
    def urls(self) -> list[str]:
        return [str(request.url) for request in self.requests]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        body = self._elsewhere.get(str(request.url))
        return self._inner.handle_request(request) if body is None else httpx.Response(200, content=body)


def watched_verifier(
    issuer: Issuer, clock: Clock, elsewhere: Mapping[str, bytes] | None = None, **settings: Any
) -> tuple[Verifier, Recorder]:
    """A verifier as `make_verifier` makes it, and the record of all it asks the network for."""
    recorder = Recorder(issuer, elsewhere)
    settings = {"issuer": issuer.url, "realms": ["alpha"], "audience": AUDIENCE} | settings
    client = httpx.Client(transport=recorder, follow_redirects=True)  # which the verifier must not let it do
    return Verifier(client=client, clock=clock, **settings), recorder


def opaque_token(issuer: Issuer, **overrides: Any) -> str:
    """A reference token of realm alpha that the default verifier lets in where introspection is on."""
    return issuer.opaque_token(
        "cli_agent", **({"realm": "alpha", "audience": AUDIENCE, "scopes": ["read"]} | overrides)
    )


def script_introspection(issuer: Issuer, **members: Any) -> None:
    """The issuer's next answers about any token: an honest one with these members laid over; `...` removes one."""
    honest = {name: value for name, value in honest_claims().items() if name not in ("iat", "jti", "client_id")}
    document = honest | {"active": True, "token_type": "Bearer", "exp": int(NOW) + 600} | members
    body = json.dumps({name: value for name, value in document.items() if value is not ...})
    issuer.answer("/introspect", body=body.encode())


def background_refreshes_end() -> None:
    """Waits for the refreshes that a verifier runs in threads of their own."""
    for thread in threading.enumerate():
        if thread.name == "strongdm-auth-keys":
            thread.join(10)
