"""The world that targets fuzz in: keys that are the same in every run, an issuer that is a table of answers, a clock that
stands still, and verifiers that see nothing else. And what holds for every answer, whatever was asked.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any, TypeVar

import httpx
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import ECKey, OKPKey

from strongdm_auth import AccessToken, Refused, Request, Requirement, Verifier
from strongdm_auth.errors import DESCRIPTIONS, REFUSALS
from strongdm_auth.needs import Background, Fetch, Join, Reply, Story, Unreachable
from strongdm_auth.testing import DPoPKey, SigningKey

NOW = 1_800_000_000.0
AUDIENCE = "https://api.example.com"
URL = "https://api.example.com/things"
ISSUER = "https://id.example.com"
ALPHA, BETA = f"{ISSUER}/realms/alpha", f"{ISSUER}/realms/beta"
DISCOVERY = "/.well-known/openid-configuration"
STATUSES = frozenset({400, 401, 403, 503})

_Result = TypeVar("_Result")


def _seed(name: str) -> bytes:
    return hashlib.sha256(f"a key for fuzzing, of no worth: {name}".encode()).digest()


def _edwards(name: str) -> OKPKey:
    return OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(_seed(name)))


def _elliptic(name: str) -> ECKey:
    return ECKey.import_key(derive_private_key(int.from_bytes(_seed(name)) >> 1, SECP256R1()))


#: Who may sign a token, by the name that an input has for them. `stranger` and `beta` go by the `kid` of alpha's own key.
SIGNERS = {
    "ed": SigningKey("EdDSA", "ed", "sig", _edwards("ed")),
    "es": SigningKey("ES256", "es", "sig", _elliptic("es")),
    "rs": SigningKey.generate("RS256", kid="rs"),
    "enc": SigningKey("EdDSA", "enc", "enc", _edwards("enc")),
    "beta": SigningKey("EdDSA", "ed", "sig", _edwards("beta")),
    "stranger": SigningKey("EdDSA", "ed", "sig", _edwards("stranger")),
}
#: Who may make a proof.
AGENTS = {
    "ed": DPoPKey("EdDSA", _edwards("agent")),
    "es": DPoPKey("ES256", _elliptic("agent")),
    "rs": DPoPKey.generate("RS256"),
    "thief": DPoPKey("ES256", _elliptic("thief")),
}
#: issuer -> its key set.
PUBLISHED: dict[str, list[dict[str, Any]]] = {
    ISSUER: [SIGNERS["es"].public_jwk()],
    ALPHA: [SIGNERS[name].public_jwk() for name in ("ed", "es", "rs", "enc")],
    BETA: [SIGNERS["beta"].public_jwk()],
}
#: What every URL of this issuer answers; anything else is 404.
ANSWERS: dict[str, bytes] = {}
for _issuer, _keys in PUBLISHED.items():
    ANSWERS[_issuer + DISCOVERY] = json.dumps({"issuer": _issuer, "jwks_uri": f"{_issuer}/jwks"}).encode()
    ANSWERS[f"{_issuer}/jwks"] = json.dumps({"keys": _keys}).encode()


class Store:
    """A replay store that is not the verifier's own: the story has to ask for it, and a new verifier is cheap."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()

    def first_use(self, key: bytes, owner: str, until: float, now: float) -> bool:
        """As `ReplayStore` says."""
        first = key not in self.seen
        self.seen.add(key)
        return first


def clock() -> float:
    """It is always NOW."""
    return NOW


def _respond(request: httpx.Request) -> httpx.Response:
    body = ANSWERS.get(str(request.url))
    return httpx.Response(404) if body is None else httpx.Response(200, content=body)


def verifier(**settings: Any) -> Verifier:
    """A verifier for realm alpha and `AUDIENCE` that has all keys it will ever get: no later request makes it fetch."""
    client = httpx.Client(transport=httpx.MockTransport(_respond))
    made = Verifier(
        client=client, clock=clock, **{"issuer": ISSUER, "realms": ["alpha"], "audience": AUDIENCE, **settings}
    )
    for issuer in PUBLISHED:
        claims = {"iss": issuer, "sub": "agent", "aud": AUDIENCE, "iat": NOW, "exp": NOW + 60}
        for _ in range(2):  # the second one spends the fetch that a token may force
            outcome_of(made, bearer(SIGNERS["stranger"].sign({"kid": "unknown"}, claims)))
    for number in range(8):  # and these the ones for realms that nobody has heard of
        claims = {"iss": f"{ISSUER}/realms/invented-{number}"}
        outcome_of(made, bearer(SIGNERS["stranger"].sign({}, claims)))
    return made


def bearer(token: str) -> Request:
    """A request with this token."""
    return Request("GET", URL, {"Authorization": f"Bearer {token}"})


ANY_TOKEN = Requirement()


def outcome_of(
    verifier: Verifier, request: Request, requirement: Requirement = ANY_TOKEN
) -> AccessToken | Refused | None:
    """What came of a request: somebody let in, or a refusal that is one of those there are. Anything else is a finding."""
    try:
        return verifier.authorize(request, requirement)
    except Refused as refusal:
        check_refusal(verifier, refusal, requirement)
        return refusal


def check_refusal(verifier: Verifier, refusal: Refused, requirement: Requirement = ANY_TOKEN) -> None:
    """A refusal is never a 500, and nothing that came from outside is in its answer."""
    assert type(refusal) in REFUSALS, type(refusal)
    denial = verifier.denial(refusal, requirement)
    assert denial.status in STATUSES, denial.status
    # Byte for byte what the reason says: there is no room for an echo.
    body = {"error": refusal.error, "error_description": DESCRIPTIONS[refusal.reason]}
    assert denial.body == json.dumps(body).encode() + b"\n", denial.body
    fresh = type(refusal)(refusal.reason, scheme=refusal.scheme)
    expected = dict(verifier.denial(fresh, requirement).headers)
    for name, value in denial.headers:
        assert name.isascii() and value.isascii() and value.isprintable(), (name, value)
        assert value == expected[name] or name == "Retry-After", (name, value)
    assert len(dict(denial.headers)) == len(denial.headers)


def tell(story: Story[_Result], answer: Callable[[Fetch], Reply]) -> _Result:
    """Run a story to its end without an HTTP client or a thread; `answer` may raise Unreachable."""
    try:
        need = next(story)
        while True:
            reply: object = None
            try:
                match need:
                    case Fetch():
                        reply = answer(need)
                    case Join():
                        reply = NOW
                    case Background(background):
                        tell(background, answer)
                    case _:
                        reply = True
            except Unreachable as fault:
                need = story.throw(fault)
            else:
                need = story.send(reply)
    except StopIteration as end:
        result: _Result = end.value
        return result
