"""What else an agent asks its issuer: whether a token counts (RFC 7662), to revoke one (RFC 7009), who it is (OIDC Core 5.3),
for a JWT-SVID, and for the trust bundle that JWT-SVIDs are checked with (SPIFFE).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from strongdm_auth.jose import is_numeric_date

from .errors import invalid_answer
from .issuer import ClientAuth, IssuerSide
from .network import Call, Network, Reply, Story, TokenOf
from .origins import origin_of
from .tokens import Token, TokenSource, json_object
from .trust_bundle import TrustBundle


@dataclass(frozen=True, slots=True)
class JWTSVID:
    """A JWT-SVID: the token to present, the SPIFFE ID it speaks for, and until when."""

    svid: str = field(repr=False)
    spiffe_id: str
    expires_at: float | None


class Service:
    """The issuer's other endpoints, for a registered client. Each question is there twice: `introspect` and `aintrospect`."""

    def __init__(
        self,
        issuer: str,
        client_id: str | None = None,
        client_secret: str | None = None,
        *,
        source: TokenSource | None = None,
        client_auth: ClientAuth = "client_secret_basic",
        network: Network | None = None,
    ) -> None:
        """`source` is for `userinfo` and `jwt_svid`, which take a token; id and secret are for `introspect` and `revoke`."""
        self._side = IssuerSide(issuer, client_id, client_secret, client_auth=client_auth, network=network)
        self._network = self._side.network
        self._source = source
        self._bundle = TrustBundle(self._side)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._side!r}>"

    def introspect(self, token: Token | str) -> dict[str, Any]:
        """What the issuer says about a token; `{"active": False}` is all it says about one that does not count."""
        return self._network.run(self._introspect(token))

    async def aintrospect(self, token: Token | str) -> dict[str, Any]:
        """As `introspect`, for event loops."""
        return await self._network.run_async(self._introspect(token))

    def revoke(self, token: Token | str) -> None:
        """End a token's life; done also for one that had none (RFC 7009 2.2)."""
        self._network.run(self._revoke(token))

    async def arevoke(self, token: Token | str) -> None:
        """As `revoke`, for event loops."""
        await self._network.run_async(self._revoke(token))

    def userinfo(self) -> dict[str, Any]:
        """Who the source's tokens speak for; they need the scope `openid`."""
        return self._network.run(self._userinfo())

    async def auserinfo(self) -> dict[str, Any]:
        """As `userinfo`, for event loops."""
        return await self._network.run_async(self._userinfo())

    def jwt_svid(self, audience: str | Iterable[str]) -> JWTSVID:
        """A JWT-SVID for these audiences: for each service its own, lest one shows it to another."""
        return self._network.run(self._jwt_svid(audience))

    async def ajwt_svid(self, audience: str | Iterable[str]) -> JWTSVID:
        """As `jwt_svid`, for event loops."""
        return await self._network.run_async(self._jwt_svid(audience))

    def trust_bundle(self) -> dict[str, Any]:
        """The keys of JWT-SVIDs, fetched now and then; while the issuer is away, the last ones for an hour."""
        return self._network.run(self._bundle.story())

    async def atrust_bundle(self) -> dict[str, Any]:
        """As `trust_bundle`, for event loops."""
        return await self._network.run_async(self._bundle.story())

    def _introspect(self, token: Token | str) -> Story[dict[str, Any]]:
        url = yield from self._side.place("introspection_endpoint", "introspect")
        answer = json_object((yield from self._asked_with(url, token)))
        if not isinstance(answer.get("active"), bool):
            invalid_answer("it does not say whether the token is active")
        return answer

    def _revoke(self, token: Token | str) -> Story[None]:
        url = yield from self._side.place("revocation_endpoint", "revoke")
        yield from self._asked_with(url, token)

    def _asked_with(self, url: str, token: Token | str) -> Story[Reply]:
        value = token.value if isinstance(token, Token) else token
        reply = yield from self._side.post_form(url, [("token", value), ("token_type_hint", "access_token")])
        if reply.status != 200:
            raise self._side.refused(reply, value)
        return reply

    def _userinfo(self) -> Story[dict[str, Any]]:
        url = yield from self._side.place("userinfo_endpoint", "userinfo")
        reply = yield from self._with_token("GET", url)
        return json_object(reply)

    def _jwt_svid(self, audience: str | Iterable[str]) -> Story[JWTSVID]:
        audiences = [audience] if isinstance(audience, str) else list(audience)
        url = f"{self._side.issuer.removesuffix('/')}/svid/jwt"
        answer = json_object((yield from self._with_token("POST", url, {"audience": audiences})))
        svid, spiffe_id, expires_at = answer.get("svid"), answer.get("spiffe_id"), answer.get("expires_at")
        if not (isinstance(svid, str) and svid and isinstance(spiffe_id, str) and spiffe_id.startswith("spiffe://")):
            invalid_answer("no JWT-SVID")
        return JWTSVID(svid, spiffe_id, float(expires_at) if is_numeric_date(expires_at) else None)

    def _with_token(self, method: str, url: str, body: dict[str, object] | None = None) -> Story[Reply]:
        """Present a token of the source's, bound or not; a nonce that is asked for is brought once (RFC 9449 9)."""
        source = self._source
        if source is None:
            raise ValueError("this needs a token: Service(..., source=...)")
        token: Token = yield TokenOf(source)
        origin = origin_of(url)
        content = (("Content-Type", "application/json"),) if body is not None else ()

        def call() -> Call:
            if source.key is None:
                headers = (*content, ("Authorization", f"Bearer {token.value}"))
            else:
                nonce, now = self._side.nonces.get(origin), self._network.clock()
                proof = source.key.proof(method, url, access_token=token.value, nonce=nonce, now=now)
                headers = (*content, ("Authorization", f"DPoP {token.value}"), ("DPoP", proof))
            return Call(method, url, headers, None if body is None else json.dumps(body).encode())

        before = self._side.nonces.get(origin)
        reply = yield from self._side.ask(call)
        self._side.nonces.learn(origin, reply.headers.get("dpop-nonce"))
        if reply.status == 401 and source.key is not None and self._side.nonces.get(origin) != before:
            reply = yield from self._side.ask(call)
        if reply.status != 200:
            raise self._side.refused(reply, token.value)
        return reply
