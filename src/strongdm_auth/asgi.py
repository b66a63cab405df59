"""The ASGI door: a middleware for any ASGI app, and the ground that the Starlette and FastAPI doors stand on.

    app = StrongDMAuthMiddleware(app, audience="https://api.example.com", exempt=["/health"])

Pure ASGI, no framework imported. The scope is copied and never changed; lifespan and unknown types pass through. It
decides nothing: which path needs what is `RouteTable`'s to say, and who gets in the verifier's.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, TypeAlias, Unpack

from .certificates import Certificates
from .challenge import Denial
from .errors import Refused
from .flow import VARY, Admission
from .headers import merged
from .metadata import Metadata
from .open_connections import Ending, OpenConnections
from .receiving import WRONG_METHOD
from .request import ScopeRequest, below
from .requirement import Requirement
from .routes import RouteTable
from .security_events import MOST_SET_BYTES
from .settings import SettingsKeywords
from .tokens import ANONYMOUS, NOBODY, Principal
from .verifier import AsyncVerifier

__all__ = ["ASGIApp", "Message", "Receive", "Scope", "Send", "StrongDMAuthMiddleware"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

#: Where a scope keeps what authentication gave for its request, by verifier: a second door never authenticates again.
SLOT = "strongdm_auth"
_ABOUT_BODIES = frozenset({b"content-length", b"content-type", b"content-encoding", b"transfer-encoding"})
#: RFC 6455 7.4.1: the peer violates a policy. For servers without the denial response extension.
POLICY_VIOLATION = 1008


class StrongDMAuthMiddleware:
    """Lets agents into an ASGI app.

    Args:
        app: the app behind it.
        protected_routes: path -> `Requirement` or its parts; see `RouteTable`. Paths that are not in it are open.
        require: what every path needs. Without it and without `protected_routes`, every path needs a valid token.
        exempt: paths that need nothing.
        end_with_token: close websockets, and stop event streams, when their token expires or is revoked; else they live for as
            long as client and app like.
        settings: see the README's table; what is not given comes from the environment.

    For the app, `scope["auth"]` is the `AccessToken` (an empty stand-in on open paths) and `scope["user"]` a
    `Principal`, which Starlette's `request.auth`, `request.user` and `@requires` read.

    Raises:
        ConfigurationError: a setting or a route is wrong; at construction.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        protected_routes: Mapping[str, Requirement | Mapping[str, object]] | None = None,
        require: Requirement | None = None,
        exempt: Iterable[str] = (),
        end_with_token: bool = False,
        **settings: Unpack[SettingsKeywords],
    ) -> None:
        self.app = app
        self._routes = RouteTable(protected_routes, require, exempt)
        self.verifier = AsyncVerifier(**settings)
        self._connections = OpenConnections(self.verifier) if end_with_token else None
        self._metadata = Metadata.of(self.verifier.settings)
        self._mounted = [inner for inner in _chain(app) if hasattr(inner, "root_path")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, closing(self.verifier, send))
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        scope = without_claims(scope, self.verifier.certificates)
        request = ScopeRequest(scope)
        if self._metadata is not None and serves(self._metadata, scope):
            return await answer(self._metadata, scope, send)
        if receives(self.verifier, scope):
            return await answer(await received(self.verifier, scope, receive), scope, send)
        requirement = self._find(request)
        if requirement is not None and request.is_preflight:
            send, requirement = without_body(send), None
        if requirement is None:
            return await self.app({**scope, "auth": ANONYMOUS, "user": NOBODY}, receive, send)
        kept: dict[Any, Admission] = scope.get(SLOT) or {}
        if mounts := [app.root_path for app in self._mounted if app.root_path and isinstance(app.root_path, str)]:
            request = ScopeRequest({**scope, "root_path": mounts[0]})  # as the app behind us will have it
        try:
            admission = await self.verifier.admit(request, requirement, kept.get(self.verifier))
        except Refused as refusal:
            return await answer(self.verifier.denial(refusal, requirement), scope, send)
        inner = {**scope, SLOT: kept, "auth": ANONYMOUS, "user": NOBODY}
        if admission is None:
            return await self.app(inner, receive, with_headers(send, (VARY,)))
        kept[self.verifier] = admission
        token = inner["auth"] = admission.token
        inner["user"], send = Principal(token), with_headers(send, admission.headers)
        if self._connections is None:
            return await self.app(inner, receive, send)
        ending = Ending(self._connections, lambda: self.verifier.standing(request, token), scope, receive, send)
        return await ending.run(self.app, inner)

    def _find(self, request: ScopeRequest) -> Requirement | None:
        """What the path needs; where an app behind us has a `root_path` of its own (FastAPI), also as that app reads it."""
        found = self._routes.find(request.route_path)
        for app in self._mounted:
            mount: object = getattr(app, "root_path", "")
            if isinstance(mount, str) and mount:
                read_by_app = self._routes.find(below(request.decoded_path, mount))
                found = found & read_by_app if found is not None and read_by_app is not None else found or read_by_app
        return found


def closing(verifier: AsyncVerifier, send: Send) -> Send:
    """`send` for the lifespan: connections to the issuer end with the app."""

    async def sending(message: Message) -> None:
        if message["type"].startswith("lifespan.shutdown."):
            await verifier.aclose()
        await send(message)

    return sending


def _chain(app: Any) -> Iterator[Any]:
    """The app, and the apps that its middlewares wrap."""
    for _ in range(100):
        if app is None:
            return
        yield app
        app = getattr(app, "app", None)


def without_claims(scope: Scope, certificates: Certificates) -> Scope:
    """The scope as an app may see it: a header with a client's certificate is there only if a proxy of ours set it."""
    if certificates.header is None:
        return scope
    name, strange = certificates.header.encode("ascii"), certificates.is_strangers(ScopeRequest(scope))
    kept = []
    for pair in scope["headers"]:
        sent = pair[0].lower()
        # With underscores, it is the same header to a WSGI app further in, and no proxy of ours sends it so.
        if sent.replace(b"_", b"-") != name or (sent == name and not strange):
            kept.append(pair)
    return {**scope, "headers": kept}


def serves(metadata: Metadata, scope: Scope) -> bool:
    """Whether the RFC 9728 document is what is asked for."""
    return scope["path"] == metadata.path and scope.get("method") in ("GET", "HEAD")


def receives(verifier: AsyncVerifier, scope: Scope) -> bool:
    """Whether this is where Security Event Tokens are received (RFC 8935)."""
    path = verifier.settings.security_events
    return path is not None and scope["type"] == "http" and ScopeRequest(scope).route_path == path


async def received(verifier: AsyncVerifier, scope: Scope, receive: Receive) -> Denial:
    """The answer to one."""
    if scope["method"] != "POST":
        return WRONG_METHOD
    body, more = bytearray(), True
    while more and len(body) <= MOST_SET_BYTES:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return await verifier.receive(next(iter(ScopeRequest(scope).values("content-type")), ""), bytes(body))


async def answer(denial: Denial | Metadata, scope: Scope, send: Send) -> None:
    """Answer in the app's place. A websocket gets the same as a denial response, or a close where the server has none."""
    kind = "http.response"
    if scope["type"] == "websocket":
        kind = "websocket.http.response"
        if kind not in (scope.get("extensions") or {}):
            return await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": ""})
    headers = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in denial.headers]
    headers.append((b"content-length", str(len(denial.body)).encode("ascii")))
    await send({"type": f"{kind}.start", "status": denial.status, "headers": headers})
    return await send({"type": f"{kind}.body", "body": denial.body})


def without_body(send: Send) -> Send:
    """`send` for a preflight to a protected path: the CORS headers go out, and nothing that an app says to any method."""
    ended = False

    async def sending(message: Message) -> None:
        nonlocal ended
        if message["type"] == "http.response.start":
            headers = [pair for pair in message.get("headers", ()) if pair[0].lower() not in _ABOUT_BODIES]
            await send({**message, "headers": [*headers, (b"content-length", b"0")]})
        elif message["type"] == "http.response.body" and not ended:
            ended = True
            await send({"type": "http.response.body", "body": b""})

    return sending


def with_headers(send: Send, added: tuple[tuple[str, str], ...]) -> Send:
    """`send`, with the headers of an admission put on the answer's own."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": merged(message.get("headers", ()), added)}
        await send(message)

    return sending
