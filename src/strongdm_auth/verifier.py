"""`Verifier` and `AsyncVerifier`: the story with hands and a clock. What every door, and code without a framework, calls."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Unpack

from . import policy
from .audit import Audit
from .challenge import Challenges, Denial
from .credentials import read_credentials
from .drivers import AsyncDriver, SyncDriver
from .errors import ConfigurationError, MissingCredentials, Refused, StrongDMAuthError, UseDPoPNonce
from .events import SecurityEvent
from .flow import Admission, ResourceServer
from .http import AsyncHTTP, Clock, SyncHTTP, wall_clock
from .keys import IssuerKeys
from .metadata import metadata_url
from .needs import Story
from .request import Request
from .requirement import ANY_TOKEN, Requirement
from .security_events import Ending
from .settings import Settings, SettingsKeywords
from .standing import Standing
from .stores import open_store
from .tokens import AccessToken, scheme_of

if TYPE_CHECKING:
    import httpx


class _Verification:
    """What both verifiers are: settings, the resource server's rules and memories, a clock."""

    def __init__(
        self, settings: Settings | None, clock: Clock, keywords: SettingsKeywords, server: ResourceServer | None = None
    ) -> None:
        if settings is not None and keywords:
            raise ConfigurationError("give a Settings or keyword arguments, not both")
        self.settings = Settings(**keywords) if settings is None else settings
        self._server = ResourceServer(self.settings) if server is None else server
        #: For doors: what must not reach an app when a stranger sent it.
        self.certificates = self._server.certificates
        self._clock = clock
        self._audit = Audit(self.settings.on_event)
        resource = self.settings.resource
        self._challenges = Challenges(
            dpop_required=self.settings.dpop == "required",
            dpop_algorithms=self.settings.dpop_algorithms,
            resource_metadata=None if resource is None else metadata_url(resource),
            show_reasons=self.settings.unsafe_show_reasons,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} issuer={self.settings.issuer!r}>"

    def denial(self, error: StrongDMAuthError, requirement: Requirement = ANY_TOKEN) -> Denial:
        """The HTTP answer to a refusal, for the route that asked `requirement`."""
        nonces = self._server.proofs.nonces
        nonce = nonces.issue(self._clock()) if isinstance(error, UseDPoPNonce) and nonces is not None else None
        return self._challenges.denial(error, requirement, nonce=nonce)

    def _admit(
        self, request: Request, requirement: Requirement, kept: Admission | None, digest: bytes | None
    ) -> "Story[Admission | None]":
        """Authenticate, unless that was done for this request already; then hold the requirement against the token."""
        now = self._clock()
        try:
            if kept is None and requirement.spiffe_ids:
                kept = yield from self._server.authenticate_workload(request, now)
            elif kept is None:
                kept = yield from self._server.authenticate(
                    request, now, introspect=requirement.introspect, digest=digest
                )
            elif requirement.introspect and not kept.token.introspected:
                compact = read_credentials(request, self.settings.max_token_bytes).token
                kept = Admission((yield from self._server.introspect(compact, kept.token, now)), kept.headers)
        except MissingCredentials:
            if requirement.optional:
                return None
            raise
        except Refused as refusal:
            if kept is not None:
                refusal.scheme, refusal.token = scheme_of(kept.token), kept.token
            raise
        return self._hold(kept, requirement)

    def _heard(self, issuer: str, ending: Ending) -> None:
        names = len(ending.names)
        event = SecurityEvent(time=self._clock(), at=ending.at, issuer=issuer, events=ending.events, subjects=names)
        self._audit.received(event)

    def _hold(self, kept: Admission, requirement: Requirement) -> Admission:
        """The same admission, once the requirement was held against its token."""
        if requirement is not ANY_TOKEN:
            try:
                requirement.check(kept.token, self._clock(), self.settings.leeway)
            except Refused as refusal:
                refusal.scheme, refusal.token = scheme_of(kept.token), kept.token
                raise
        return kept


class Verifier(_Verification):
    """Verifies requests from threads.

    `Verifier(issuer=..., audience=...)` or `Verifier(Settings(...))`. One is made at start-up and shared by all threads;
    nothing is fetched until the first token comes. `client`: an `httpx.Client` (or httpx2) to use for the issuer.

    Raises:
        ConfigurationError: a setting is wrong.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        /,
        *,
        client: "httpx.Client | Any | None" = None,
        clock: Clock = wall_clock,
        **keywords: Unpack[SettingsKeywords],
    ) -> None:
        super().__init__(settings, clock, keywords)
        self._http = SyncHTTP(
            self.settings.http_timeout, client, clock, keep_alive=self.settings.introspection != "off"
        )
        self._authorize = policy.for_threads(self.settings.authorize)
        self._store = open_store(self.settings)
        self._driver = SyncDriver(self._http, self._store, 2 * self.settings.http_timeout + 1, clock, self._audit)

    def authenticate(self, request: Request) -> AccessToken:
        """Who sent this request, whatever the route then asks.

        Raises:
            Refused: nobody who is let in; `denial(error)` is the HTTP answer.
        """
        try:
            admission, digest = self._server.recall(request, self._clock())
            if admission is None:
                admission = self._driver.run(self._server.authenticate(request, self._clock(), digest=digest))
        except Refused as refusal:
            self._audit.refused(request, ANY_TOKEN, refusal, self._clock())
            raise
        if self._audit.listening:
            self._audit.admitted(request, ANY_TOKEN, admission.token, self._clock())
        return admission.token

    def authorize(self, request: Request, requirement: Requirement) -> AccessToken | None:
        """Authenticate, and hold `requirement` against the token. None for an anonymous request to an optional route.

        Raises:
            Refused: not let in here; `denial(error, requirement)` is the HTTP answer.
        """
        admission = self.admit(request, requirement)
        return None if admission is None else admission.token

    def admit(
        self, request: Request, requirement: Requirement = ANY_TOKEN, kept: Admission | None = None
    ) -> Admission | None:
        """For doors: like `authorize`, with the headers that the answer must carry.

        `kept` is what an earlier call for the same request gave: nothing is authenticated twice, so that a proof is used
        once and a second decorator costs nothing.
        """
        digest = None
        try:
            if kept is None and not requirement.spiffe_ids:
                kept, digest = self._server.recall(request, self._clock())
            if kept is not None and (not requirement.introspect or kept.token.introspected):
                admission: Admission | None = self._hold(kept, requirement)
            else:
                admission = self._driver.run(self._admit(request, requirement, kept, digest))
            if self._authorize is not None and admission is not None:
                policy.ask(self._authorize, admission.token, request, requirement)
        except Refused as refusal:
            self._audit.refused(request, requirement, refusal, self._clock())
            raise
        if self._audit.listening:
            self._audit.admitted(request, requirement, admission and admission.token, self._clock())
        return admission

    def revoke(self, token: str) -> None:
        """Refuse this access token from now on, although it has not expired; such as when its session ends.

        Other workers follow within a second where `replay_store` names a Redis or Valkey server; without one, this process
        alone knows. While that server is away nobody hears of it, and workers that start after it lost its memory do not know:
        where each request must be sure, set `introspection="always"`.

        Raises:
            TemporarilyUnavailable: the others could not be told; try again.
        """
        self._driver.run(self._server.asking.revoke(token, self._clock()))

    def receive(self, media_type: str, body: bytes) -> Denial:
        """The answer to a POST of a Security Event Token (RFC 8935); for doors, and for endpoints of your own.

        Tokens that were issued up to then to the subject it names are refused before the answer says 202; by other workers
        soon after, where `replay_store` names a Redis or Valkey server.
        """
        return self._driver.run(self._server.receiver.receive(media_type, body, self._clock(), self._heard))

    def for_event_loops(self, *, client: "httpx.AsyncClient | Any | None" = None) -> "AsyncVerifier":
        """An `AsyncVerifier` with the same settings and the same memories: one set of keys, tokens and used proofs."""
        return AsyncVerifier(self.settings, client=client, clock=self._clock, server=self._server)

    def close(self) -> None:
        """Close connections to the issuer and the store. Using the verifier afterwards opens new ones."""
        self._http.close()
        if self._store is not self.settings.replay_store and hasattr(self._store, "close"):  # opened here
            self._store.close()


class AsyncVerifier(_Verification):
    """Verifies requests in event loops (asyncio); otherwise as `Verifier`. `client`: an `httpx.AsyncClient` (or httpx2).

    It may serve several loops, one after the other or at once. `server` is what `Verifier.for_event_loops` gives.

    Raises:
        ConfigurationError: a setting is wrong.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        /,
        *,
        client: "httpx.AsyncClient | Any | None" = None,
        clock: Clock = wall_clock,
        server: ResourceServer | None = None,
        **keywords: Unpack[SettingsKeywords],
    ) -> None:
        super().__init__(settings, clock, keywords, server)
        self._http = AsyncHTTP(
            self.settings.http_timeout, client, clock, keep_alive=self.settings.introspection != "off"
        )
        self._authorize = self.settings.authorize
        self._store = open_store(self.settings, for_event_loops=True)
        self._driver = AsyncDriver(self._http, self._store, 2 * self.settings.http_timeout + 1, clock, self._audit)

    async def authenticate(self, request: Request) -> AccessToken:
        """As `Verifier.authenticate`."""
        try:
            admission, digest = self._server.recall(request, self._clock())
            if admission is None:
                admission = await self._driver.run(self._server.authenticate(request, self._clock(), digest=digest))
        except Refused as refusal:
            self._audit.refused(request, ANY_TOKEN, refusal, self._clock())
            raise
        if self._audit.listening:
            self._audit.admitted(request, ANY_TOKEN, admission.token, self._clock())
        return admission.token

    async def authorize(self, request: Request, requirement: Requirement) -> AccessToken | None:
        """As `Verifier.authorize`."""
        admission = await self.admit(request, requirement)
        return None if admission is None else admission.token

    async def admit(
        self, request: Request, requirement: Requirement = ANY_TOKEN, kept: Admission | None = None
    ) -> Admission | None:
        """As `Verifier.admit`."""
        digest = None
        try:
            if kept is None and not requirement.spiffe_ids:
                kept, digest = self._server.recall(request, self._clock())
            if kept is not None and (not requirement.introspect or kept.token.introspected):
                admission: Admission | None = self._hold(kept, requirement)
            else:
                admission = await self._driver.run(self._admit(request, requirement, kept, digest))
            if self._authorize is not None and admission is not None:
                await policy.ask_in_loop(self._authorize, admission.token, request, requirement)
        except Refused as refusal:
            self._audit.refused(request, requirement, refusal, self._clock())
            raise
        if self._audit.listening:
            self._audit.admitted(request, requirement, admission and admission.token, self._clock())
        return admission

    async def revoke(self, token: str) -> None:
        """As `Verifier.revoke`."""
        await self._driver.run(self._server.asking.revoke(token, self._clock()))

    async def receive(self, media_type: str, body: bytes) -> Denial:
        """As `Verifier.receive`."""
        return await self._driver.run(self._server.receiver.receive(media_type, body, self._clock(), self._heard))

    def standing(self, request: Request, token: AccessToken) -> Standing:
        """For doors: what to look at while the connection of a request that was let in stays open."""
        return self._server.standing(request, token, self._clock())

    def look_at(self, standing: Standing) -> bool:
        """Whether the issuer has to be asked about a token in use (`ask_about`). Raises Refused once it has ended."""
        return self._server.standings.look_at(standing, self._clock())

    async def ask_about(self, standing: Standing) -> None:
        """Ask the issuer about a token in use. Raises Refused where it has ended."""
        await self._driver.run(self._server.standings.ask_about(standing, self._clock()))

    async def refresh(self, keys: IssuerKeys) -> None:
        """Have keys fetched that are not fresh, beside any request: else those of connections that stay open never are."""
        with suppress(Refused):  # while they cannot be had, the last good ones tell no news
            await self._driver.run(self._server.fetching.have(keys, self._clock()))

    async def learn_revocations(self) -> None:
        """Hear of what other workers were told, beside any request."""
        if self._server.revocations.shared:
            await self._driver.run(self._server.asking.learn_revocations(self._clock()))

    async def aclose(self) -> None:
        """Close this event loop's connections to the issuer and the store."""
        await self._http.aclose()
        if self._store is not self.settings.replay_store and hasattr(self._store, "aclose"):  # opened here
            await self._store.aclose()
