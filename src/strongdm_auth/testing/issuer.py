"""`Issuer`: a local imitation of StrongDM ID for tests, demos and laptops without a network; for
development only. It has the service's endpoints (discovery, keys, token, introspection, revocation,
registration, JWT-SVIDs), in process or on a socket, and mints any token directly. It keeps nothing, checks
nobody's identity, and must never be an issuer that a deployment trusts."""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from strongdm_auth.certificates import thumbprint_of_der
from strongdm_auth.testing import discovery, events, jws, protected, routes
from strongdm_auth.testing.authority import Authority
from strongdm_auth.testing.clients import Client, scope_tokens
from strongdm_auth.testing.clock import Clock
from strongdm_auth.testing.enrollment import Notice, print_notice
from strongdm_auth.testing.faults import Faults
from strongdm_auth.testing.keys import Agent, DPoPKey, SigningKey
from strongdm_auth.testing.messages import HeaderSource, Reply, Request, header_pairs
from strongdm_auth.testing.server import IssuerServer, running

if TYPE_CHECKING:
    import httpx

_MAX_RECORDED = 10_000  # requests; more than any test counts


class Issuer:
    """The base issuer at `url` and its realms below `{url}/realms/`, each with keys of its own.

    `realm=None` means the base issuer wherever a token is minted. Scopes may be a sequence or a scope string.
    """

    def __init__(
        self,
        url: str = "https://id.strongdm.test",
        *,
        realms: Iterable[str] = ("default",),
        algorithms: Sequence[str] = ("RS256", "ES256", "EdDSA"),
        scopes: str | Iterable[str] = ("openid", "email", "admin"),
        clock: Clock | None = None,
        token_lifetime: float = 3600,
        notify: Callable[[Notice], None] = print_notice,
    ) -> None:
        self.clock = clock if clock is not None else Clock()
        self._authority = Authority(
            url,
            realms=realms,
            algorithms=algorithms,
            scopes=scope_tokens(scopes),
            clock=self.clock,
            token_lifetime=token_lifetime,
            notify=notify,
        )
        self._faults = Faults()
        self._recorded: deque[tuple[str, str]] = deque(maxlen=_MAX_RECORDED)
        self._recording = threading.Lock()
        self._serving = threading.Lock()

    # Where it is

    @property
    def url(self) -> str:
        """The base issuer; while it is served, the address it is served at."""
        return self._authority.url

    @property
    def realms(self) -> tuple[str, ...]:
        return self._authority.realms

    @property
    def scopes(self) -> tuple[str, ...]:
        """What registration offers; `client()` and `token()` take any scope."""
        return self._authority.scopes

    @property
    def trust_domain(self) -> str:
        """The SPIFFE trust domain of its JWT-SVIDs."""
        return self._authority.trust_domain

    def issuer_url(self, realm: str | None = None) -> str:
        """The issuer identifier of a realm, or of the base issuer."""
        return self._authority.issuer_url(realm)

    def metadata(self, realm: str | None = None) -> dict[str, object]:
        """The discovery document."""
        return discovery.metadata_document(self._authority, realm)

    # How it is reached

    def respond(
        self, method: str, target: str, headers: HeaderSource = (), body: bytes = b""
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Answer one request: status, headers, body. A stall in force is slept through."""
        reply = self._exchange(method, target, headers, body)
        if reply.delay > 0:
            time.sleep(reply.delay)
        return reply.status, list(reply.headers), reply.body

    @contextmanager
    def serve(self, host: str = "127.0.0.1", port: int = 0, *, url: str | None = None) -> Iterator[Issuer]:
        """Serve on a socket for as long as the block lasts; port 0 takes a free one.

        Meanwhile `url` is the server's own origin, or the one given where clients see it under another name.

        Raises:
            OSError: the address cannot be had.
            RuntimeError: it is being served already.
        """
        if not self._serving.acquire(blocking=False):
            raise RuntimeError("this issuer is being served already")
        try:
            server = IssuerServer(host, port, self._exchange)
            own_url = self._authority.url
            self._authority.url = server.origin if url is None else url
            try:
                with running(server):
                    yield self
            finally:
                self._authority.url = own_url
        finally:
            self._serving.release()

    def transport(self) -> httpx.MockTransport:
        """An httpx transport, sync and async, that answers in process."""
        from strongdm_auth.testing.transport import IssuerTransport

        return IssuerTransport(self._exchange, lambda: self.url)

    # What it mints

    def client(
        self,
        name: str = "agent",
        scopes: str | Iterable[str] = ("openid",),
        realm: str | None = None,
        *,
        email: str | None = None,
    ) -> Client:
        """Register a client at once. Without a realm it goes where root registration goes: `default`."""
        home = self._authority.home_realm if realm is None else realm
        self._authority.ring(home)
        return self._authority.clients.register(name, scopes=scope_tokens(scopes), realm=home, email=email)

    def token(
        self,
        subject: str | None = None,
        *,
        scopes: str | Iterable[str] = (),
        realm: str | None = None,
        audience: str | Iterable[str] | None = None,
        key: DPoPKey | None = None,
        certificate: bytes | None = None,
        actor: Mapping[str, object] | None = None,
        alg: str | None = None,
        lifetime: float | None = None,
        header: Mapping[str, object] | None = None,
        claims: Mapping[str, object] | None = None,
    ) -> str:
        """An access token, signed with the realm's own key; bound to `key`, and to a client's `certificate` (DER), if given.

        `header` and `claims` are laid over the honest ones last, and None removes a member.
        """
        honest = self._claims(
            subject,
            scopes=scopes,
            realm=realm,
            audience=audience,
            key=key,
            certificate=certificate,
            actor=actor,
            lifetime=lifetime,
        )
        return self._authority.mint(jws.with_overrides(honest, claims), realm=realm, alg=alg, header=header)

    def opaque_token(
        self,
        subject: str | None = None,
        *,
        scopes: str | Iterable[str] = (),
        realm: str | None = None,
        audience: str | Iterable[str] | None = None,
        key: DPoPKey | None = None,
        actor: Mapping[str, object] | None = None,
        lifetime: float | None = None,
        claims: Mapping[str, object] | None = None,
    ) -> str:
        """A reference token: no JWT, known to introspection only."""
        honest = self._claims(
            subject, scopes=scopes, realm=realm, audience=audience, key=key, actor=actor, lifetime=lifetime
        )
        return self._authority.mint_opaque(jws.with_overrides(honest, claims), realm=realm)

    def agent(
        self,
        subject: str = "agent",
        *,
        scopes: str | Iterable[str] = (),
        realm: str | None = None,
        dpop: bool = False,
        key: DPoPKey | None = None,
        audience: str | Iterable[str] | None = None,
        actor: Mapping[str, object] | None = None,
        alg: str | None = None,
        lifetime: float | None = None,
        header: Mapping[str, object] | None = None,
        claims: Mapping[str, object] | None = None,
    ) -> Agent:
        """A caller with a fresh token; with `dpop=True` or a key of its own the token is bound."""
        bound_to = DPoPKey.generate() if dpop and key is None else key
        token = self.token(
            subject,
            scopes=scopes,
            realm=realm,
            audience=audience,
            key=bound_to,
            actor=actor,
            alg=alg,
            lifetime=lifetime,
            header=header,
            claims=claims,
        )
        return Agent(token, bound_to, self.clock)

    def jwt_svid(
        self,
        client_id: str = "agent",
        *,
        audience: str | Iterable[str],
        realm: str | None = None,
        header: Mapping[str, object] | None = None,
        claims: Mapping[str, object] | None = None,
    ) -> str:
        """A JWT-SVID, as POST /svid/jwt gives to this client; `header` and `claims` as for `token`."""
        names = [audience] if isinstance(audience, str) else list(audience)
        return protected.mint_svid(
            self._authority, client_id, realm=realm, audience=names, header=header, overrides=claims
        )[0]

    def security_event(
        self,
        event: str = "session-revoked",
        subject: Mapping[str, object] | str = "agent",
        *,
        audience: str | Iterable[str] | None = None,
        realm: str | None = None,
        alg: str | None = None,
        header: Mapping[str, object] | None = None,
        claims: Mapping[str, object] | None = None,
    ) -> str:
        """A Security Event Token (RFC 8417) that says that this has happened, for a POST to the API's `security_events`.

        `event` is a URI, or the last part of one of CAEP's or RISC's; `subject` a `sub` of this issuer's, or a subject
        identifier (RFC 9493). `header` and `claims` as for `token`.
        """
        issuer, now = self.issuer_url(realm), int(self.clock())
        identifier = {"format": "iss_sub", "iss": issuer, "sub": subject} if isinstance(subject, str) else dict(subject)
        honest: dict[str, object] = {
            "iss": issuer,
            "iat": now,
            "jti": secrets.token_urlsafe(16),
            "sub_id": identifier,
            "events": {events.uri(event): {"event_timestamp": now}},
        }
        if audience is not None:
            honest["aud"] = audience if isinstance(audience, str) else list(audience)
        header = {"typ": "secevent+jwt", **(header or {})}
        return self._authority.mint(jws.with_overrides(honest, claims), realm=realm, alg=alg, header=header)

    # What it holds

    def jwks(self, realm: str | None = None) -> dict[str, object]:
        """The JWK Set of a realm or of the base issuer."""
        return self._authority.ring(realm).jwks()

    def trust_bundle(self) -> dict[str, object]:
        """The SPIFFE trust bundle: the keys of JWT-SVIDs."""
        return protected.trust_bundle_document(self._authority)

    def signing_key(self, realm: str | None = None, alg: str | None = None) -> SigningKey:
        """The key that signs tokens now, for tests that forge with the right key."""
        return self._authority.ring(realm).key(alg)

    def rotate(self, realm: str | None = None, *, keep_old: bool = False) -> None:
        """Sign with new keys from now on; the old ones leave the key set unless kept."""
        self._authority.ring(realm).rotate(keep_old=keep_old)

    def rotate_svids(self, *, keep_old: bool = False) -> None:
        """Sign JWT-SVIDs with a new key from now on; the old one leaves the trust bundle unless kept."""
        self._authority.rotate_svids(keep_old=keep_old)

    def revoke(self, token: str) -> None:
        """Introspection calls this token inactive from now on."""
        self._authority.revoke(token)

    # What it was asked

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Method and path of the requests so far, oldest first."""
        with self._recording:
            return list(self._recorded)

    def count(self, path_suffix: str) -> int:
        """How many requests had a path that ends so."""
        return sum(path.endswith(path_suffix) for _, path in self.requests)

    def forget_requests(self) -> None:
        """Count from nought again."""
        with self._recording:
            self._recorded.clear()

    # How it misbehaves

    def fail(
        self,
        status: int = 503,
        *,
        path: str | None = None,
        times: int | None = None,
        body: bytes = b"",
        headers: HeaderSource = (),
    ) -> None:
        """Answer with this status, on every path or those that end so, for ever or so many times."""
        self._faults.answer(Reply(status, header_pairs(headers), body), path=path, times=times)

    def stall(self, seconds: float, *, path: str | None = None, times: int | None = None) -> None:
        """Wait before answering; a server that stops does not wait any longer."""
        self._faults.stall(seconds, path=path, times=times)

    def answer(
        self,
        path: str,
        status: int = 200,
        headers: HeaderSource = (),
        body: bytes = b"",
        times: int | None = None,
    ) -> None:
        """Script the answer for paths that end so: HTML, a redirect, something huge or cut short."""
        self._faults.answer(Reply(status, header_pairs(headers), body), path=path, times=times)

    def heal(self) -> None:
        """End every fault."""
        self._faults.heal()

    def _claims(
        self,
        subject: str | None,
        *,
        scopes: str | Iterable[str],
        realm: str | None,
        audience: str | Iterable[str] | None,
        key: DPoPKey | None,
        certificate: bytes | None = None,
        actor: Mapping[str, object] | None,
        lifetime: float | None,
    ) -> dict[str, object]:
        named = "agent" if subject is None else subject
        acting = actor.get("sub") if actor else None
        return self._authority.claims(
            named,
            client_id=acting if isinstance(acting, str) else named,  # whoever acts is whom the token went to
            scopes=scope_tokens(scopes),
            realm=realm,
            audience=audience,
            jkt=key.thumbprint if key else None,
            x5t=thumbprint_of_der(certificate) if certificate else None,
            actor=actor,
            lifetime=lifetime,
        )

    def _exchange(self, method: str, target: str, headers: HeaderSource, body: bytes) -> Reply:
        request = Request.read(method, target, headers, body)
        with self._recording:
            self._recorded.append((request.method, request.path))
        interference = self._faults.strike(request.path)
        if interference.reply is not None:
            return interference.over(interference.reply)
        return interference.over(routes.dispatch(self._authority, request))
