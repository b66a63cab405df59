"""The ASGI app that a proxy asks. Pure ASGI, no framework imported; it can be served by itself, or mounted."""

from collections.abc import Iterable, Mapping
from typing import Unpack

from strongdm_auth.asgi import POLICY_VIOLATION, Receive, Scope, Send, received, receives
from strongdm_auth.asgi import answer as told
from strongdm_auth.errors import StrongDMAuthError
from strongdm_auth.request import ScopeRequest
from strongdm_auth.requirement import ANY_TOKEN, Requirement
from strongdm_auth.settings import SettingsKeywords
from strongdm_auth.verifier import AsyncVerifier

from .conventions import Asked, ConventionName
from .gate import Answer, Gate


class ForwardAuth:
    """Answers a proxy's question whether a request may pass: 200 with `X-Auth-*` headers, or the refusal.

    Only the proxy may reach it, and the proxy must remove `X-Auth-*` from what clients send; see docs/forward-auth.md.

    Args:
        convention: the proxy that asks, "nginx", "traefik" or "envoy".
        protected_routes: path -> `Requirement` or its parts. Paths that are not in it are open.
        require: what every path needs. Without it and without `protected_routes`, every path needs a valid token.
        exempt: paths that need nothing.
        origin_headers: the two headers with scheme and host of the original request, where no `public_url` is set.
        path_prefix: what Envoy puts before the path (`path_prefix` of its `http_service`).
        unsafe_pass_preflights: let CORS preflights through without credentials. An upstream that does not look at the
            method serves its page to what is made to look like one.
        settings: see the README's table; what is not given comes from the environment. `public_url` is the scheme and host
            that clients see: without it, a proof is good for whatever host the proxy lets a client name.

    Raises:
        ConfigurationError: an argument, a setting or a route is wrong; at construction.
    """

    def __init__(
        self,
        convention: ConventionName,
        *,
        protected_routes: Mapping[str, Requirement | Mapping[str, object]] | None = None,
        require: Requirement | None = None,
        exempt: Iterable[str] = (),
        origin_headers: tuple[str, str] | None = None,
        path_prefix: str = "",
        unsafe_pass_preflights: bool = False,
        **settings: Unpack[SettingsKeywords],
    ) -> None:
        self.verifier = AsyncVerifier(**settings)
        self._gate = Gate(
            convention,
            self.verifier.settings,
            protected_routes=protected_routes,
            require=require,
            exempt=exempt,
            origin_headers=origin_headers,
            path_prefix=path_prefix,
            unsafe_pass_preflights=unsafe_pass_preflights,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._live(receive, send)
        if scope["type"] == "websocket":  # a proxy asks by plain HTTP, about websockets too
            return await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": ""})
        if self._gate.own_paths and receives(self.verifier, scope):
            return await told(await received(self.verifier, scope, receive), scope, send)
        answer = await self._answer(_asked(scope))
        headers = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in answer.headers]
        headers.append((b"content-length", str(len(answer.body)).encode("ascii")))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        return await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, asked: Asked) -> Answer:
        document = self._gate.document(asked)
        if document is not None:
            return document
        requirement: Requirement | None = None
        try:
            request = self._gate.original(asked)
            requirement = self._gate.requirement(asked, request)
            admission = None if requirement is None else await self.verifier.admit(request, requirement)
            return self._gate.admitted(admission)
        except StrongDMAuthError as refusal:
            return self._gate.refused(self.verifier.denial(refusal, requirement or ANY_TOKEN))

    async def _live(self, receive: Receive, send: Send) -> None:
        """The lifespan: connections to the issuer end with the app."""
        while True:
            kind = (await receive())["type"]
            if kind == "lifespan.shutdown":
                await self.verifier.aclose()
                return await send({"type": "lifespan.shutdown.complete"})
            await send({"type": "lifespan.startup.complete"})


def _asked(scope: Scope) -> Asked:
    path: bytes = scope.get("raw_path") or b""
    query: bytes = scope.get("query_string") or b""
    target = path.partition(b"?")[0] + (b"?" + query if query else b"")
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    return Asked(scope["method"], target.decode("latin-1"), headers, peer=ScopeRequest(scope).peer)
