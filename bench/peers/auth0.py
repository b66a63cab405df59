"""auth0-api-python: `ApiClient.verify_request`, async. RS256 access tokens and ES256 proofs only; no replay check."""

from typing import Any

from auth0_api_python import ApiClient, ApiClientOptions

from bench.minting import Client
from bench.timing import Contender, Loop
from bench.world import AUDIENCE, URL, World, bearer, bound

from . import NotSupported

#: It takes https issuers only; its discovery and keys come from `custom_fetch`, so that nothing is looked up.
DOMAIN = "tenant.example.com"
ISSUER = f"https://{DOMAIN}/"


def client(world: World) -> ApiClient:
    """A client for the world's keys."""

    async def fetch(url: str) -> dict[str, Any]:
        return {"issuer": ISSUER, "jwks_uri": f"{ISSUER}jwks"} if "openid-configuration" in url else world.jwks()

    return ApiClient(ApiClientOptions(domain=DOMAIN, audience=AUDIENCE, custom_fetch=fetch))


def unseen(world: World, alg: str, loop: Loop) -> tuple[Contender, str]:
    """A bearer token; nothing is remembered, so that one seen before costs the same."""
    if alg != "RS256":
        raise NotSupported("RS256 only")
    api = client(world)

    async def call(headers: dict[str, str]) -> object:
        return await api.verify_request(headers, "GET", URL)

    def inputs(count: int) -> list[dict[str, str]]:
        return [bearer(world.token("RS256", issuer=ISSUER)) for _ in range(count)]

    return Contender("auth0", lambda count: loop.batch(call, inputs(count))), ""


def dpop(world: World, loop: Loop) -> tuple[Contender, str]:
    """One RS256 token bound to one client, a fresh proof each time."""
    api, agent = client(world), Client()
    token = world.token("RS256", agent, issuer=ISSUER)

    async def call(headers: dict[str, str]) -> object:
        return await api.verify_request(headers, "GET", URL)

    def inputs(count: int) -> list[dict[str, str]]:
        return [bound(token, agent.proof("GET", URL, token)) for _ in range(count)]

    return Contender("auth0", lambda count: loop.batch(call, inputs(count))), "no replay check; RS256 token"
