"""Trust domains in a `World`: where each one's bundle is, what stands in it, and the SVIDs of its workloads."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from joserfc.jws import JWSRegistry

from strongdm_auth import AsyncVerifier, Refused, Requirement, Verifier
from strongdm_auth.testing import SigningKey
from tests.conftest import AUDIENCE, request
from tests.parts.world import World, as_json

ANY_OF_A = Requirement(spiffe_ids="spiffe://a.example/*")


class Domain:
    """A trust domain, with one key at first."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.url = f"https://bundles.example.net/{name}"
        self.key = jwt_svid_key()
        self.publish(self.key)

    def publish(self, *keys: SigningKey) -> None:
        """These are the domain's keys from now on."""
        self.publish_members([key.public_jwk() for key in keys])

    def publish_members(self, members: Iterable[object]) -> None:
        self.world.answers[self.url] = as_json({"spiffe_sequence": 1, "keys": list(members)})

    @property
    def fetches(self) -> int:
        return self.world.calls.count(self.url)

    def claims(self, **claims: object) -> dict[str, object]:
        """An honest workload's; None takes one away."""
        now = int(self.world.clock())
        honest = {"sub": f"spiffe://{self.name}/agents/billing", "aud": [AUDIENCE], "iat": now, "exp": now + 3600}
        return {name: value for name, value in {**honest, **claims}.items() if value is not None}

    def svid(self, *, key: SigningKey | None = None, header: Mapping[str, object] | None = None, **claims: Any) -> str:
        """A workload's SVID; header and claims are laid over the honest ones, and None takes one away."""
        return (key or self.key).sign({"typ": "JWT", **(header or {})}, self.claims(**claims))

    def written(self, *, header: str | None = None, payload: str | None = None) -> str:
        """An SVID whose header or payload is this text, letter for letter, under a good signature."""
        honest = {"alg": self.key.alg, "kid": self.key.kid}
        return written(self.key, header or json.dumps(honest), payload or json.dumps(self.claims()))


def jwt_svid_key(alg: str = "ES256", *, kid: str | None = None) -> SigningKey:
    """A key for a bundle; RSA ones are all the same, since they are slow to make."""
    if alg[:2] in ("RS", "PS"):
        return SigningKey(alg, kid or f"rsa-{alg}", "jwt-svid", _rsa().private_key)
    return SigningKey.generate(alg, kid=kid, use="jwt-svid")


@cache
def _rsa() -> SigningKey:
    return SigningKey.generate("RS256")


def written(key: SigningKey, header: str, payload: str) -> str:
    """A compact JWS of these two texts."""
    signing_input = ".".join(_encode(text.encode()) for text in (header, payload))
    return f"{signing_input}.{_encode(JWSRegistry.algorithms[key.alg].sign(signing_input.encode(), key.private_key))}"


def _encode(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


def told(verifier: Verifier, token: str, requirement: Requirement = ANY_OF_A, *, scheme: str = "Bearer") -> str:
    """ "in", or the reason of the refusal, after what doors would make of it was made."""
    try:
        verifier.authorize(request(token, scheme=scheme), requirement)
    except Refused as refusal:
        return _reason(verifier, refusal, requirement)
    return "in"


async def told_in_loop(verifier: AsyncVerifier, token: str, requirement: Requirement = ANY_OF_A) -> str:
    try:
        await verifier.authorize(request(token), requirement)
    except Refused as refusal:
        return _reason(verifier, refusal, requirement)
    return "in"


def _reason(verifier: Verifier | AsyncVerifier, refusal: Refused, requirement: Requirement) -> str:
    denial = verifier.denial(refusal, requirement)
    headers = dict(denial.headers)
    assert ("Retry-After" in headers) == (denial.status == 503)
    assert ("WWW-Authenticate" in headers) == (denial.status in (400, 401, 403))
    return refusal.reason
