"""A source of tokens that asks the issuer once for everybody, ahead of time, and holds what it got.

However many threads and tasks want a token, one request is under way; the others wait for it, or use the token that still
counts. Nobody waits with a lock held, and a flight that is lost (its task was cancelled, its loop ended, the process
forked) gives way to the next.
"""

import asyncio
import copy
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import replace
from typing import Self

from strongdm_auth.forks import renew_after_fork

from .errors import TokenRequestFailed
from .issuer import ClientAuth, Fields, IssuerSide
from .keys import DPoPKey
from .network import Join, Network, Story
from .tokens import Token, read_token, renewed_ahead, scope_set

#: Seconds ahead of its expiry from which a token is renewed; the dice make it up to twice that.
EARLY = 30.0
#: Seconds until a renewal that failed is tried again, while the token that is held still counts.
_TRY_AGAIN = 10.0


class _Flight:
    """A request for a token that is under way."""

    __slots__ = ("landed", "loop", "scopes")

    def __init__(self, loop: asyncio.AbstractEventLoop | None, scopes: frozenset[str]) -> None:
        #: What came of it; None when it was lost, so that whoever waits begins anew.
        self.landed: Future[Token | TokenRequestFailed | None] = Future()
        #: Whose task it is; None for a thread's.
        self.loop = loop
        self.scopes = scopes


class RenewingSource:
    """What the sources of this package have in common: holding, renewing, one request at a time. `_ask` says how to ask."""

    #: Seconds after which a request that has not ended is taken for lost, on top of what its waiting may take.
    _LONGEST = 60.0

    def __init__(
        self,
        issuer: str,
        client_id: str | None,
        client_secret: str | None,
        *,
        scopes: str | Iterable[str] | None = None,
        audience: str | Iterable[str] = (),
        resource: str | Iterable[str] = (),
        key: DPoPKey | None = None,
        client_auth: ClientAuth = "client_secret_basic",
        early: float = EARLY,
        network: Network | None = None,
    ) -> None:
        self._side = IssuerSide(issuer, client_id, client_secret, client_auth=client_auth, network=network)
        self._network = self._side.network
        self._key = key
        self._scopes = scope_set(scopes)
        self._targets = (*_fields("audience", audience), *_fields("resource", resource))
        self._early = early
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._flight: _Flight | None = None
        self._held: Token | None = None
        #: The scopes that the token which is held was asked for with.
        self._asked = self._scopes
        renew_after_fork(self)

    def after_fork(self) -> None:
        """See `forks`. The token still counts in the child; whoever was asking for the next one is not there."""
        self._lock = threading.Lock()
        self._flight = None

    def __repr__(self) -> str:
        bound = "" if self._key is None else f", bound to {self._key.thumbprint}"
        return f"<{type(self).__name__} {self._side.client_id!r} of {self._side.issuer!r}{bound}>"

    @property
    def key(self) -> DPoPKey | None:
        """The key that the tokens are bound to."""
        return self._key

    @property
    def network(self) -> Network:
        """What it reaches the issuer through; its clock is the one that counts."""
        return self._network

    def bound_to(self, key: DPoPKey) -> Self:
        """The same source, for tokens that are bound to this key. It holds none of this one's tokens."""
        bound = copy.copy(self)
        bound._key = key
        bound._begin_anew()
        return bound

    def token(self, *, instead_of: Token | None = None, scopes: Iterable[str] = frozenset()) -> Token:
        """A token that counts, held or new; a new one if `instead_of` is what is held. Waits for the issuer.

        `scopes` are asked for on top of what it had so far, from now on.

        Raises:
            TokenRequestFailed: the issuer gave none.
        """
        return self._network.run(self._obtain(instead_of, frozenset(scopes), blocking=True))

    async def atoken(self, *, instead_of: Token | None = None, scopes: Iterable[str] = frozenset()) -> Token:
        """The same, for event loops. One source may be used from both, at the same time."""
        return await self._network.run_async(self._obtain(instead_of, frozenset(scopes), blocking=False))

    def _ask(self, scopes: frozenset[str] | None, *, patience: float | None) -> Story[Token]:
        """Ask the issuer for a token with these scopes."""
        raise NotImplementedError

    def _request(
        self, fields: Fields, scopes: frozenset[str] | None, *secrets: str, patience: float | None
    ) -> Story[Token]:
        """A token from the token endpoint, asked for with these fields."""
        url = yield from self._side.place("token_endpoint", "token", patience=patience)
        scope = [] if scopes is None else [("scope", " ".join(sorted(scopes)))]
        sent_at = self._network.clock()  # before it was issued: it expires no later than we think
        reply = yield from self._side.post_form(
            url, [*fields, *scope, *self._targets], key=self._key, patience=patience
        )
        bound = self._key is not None
        return read_token(reply, now=sent_at, asked=scopes, bound=bound, secrets=(*self._side.secrets, *secrets))

    def _obtain(self, instead_of: Token | None, scopes: frozenset[str], *, blocking: bool) -> Story[Token]:
        while True:
            now = self._network.clock()
            here = _running_loop()
            with self._lock:
                held = self._held
                if held is not None and (
                    held.expired(now)
                    or (instead_of is not None and held.value == instead_of.value)
                    or not scopes <= ((self._asked or frozenset()) | held.scopes)
                ):
                    held = None
                if held is not None and (held.renew_at is None or now < held.renew_at):
                    return held
                flight = self._flight
                mine = flight is None
                if flight is None:
                    flight = self._flight = _Flight(None if blocking else here, scopes)
            if mine:
                return (yield from self._fly(flight, held, scopes))
            if held is not None:
                return held  # somebody is renewing it
            if blocking and here is not None and flight.loop is here:
                # The other request is a task of the loop that stands still as long as we wait: do not wait for it.
                return (yield from self._fly(None, None, scopes))
            yield Join(flight.landed, self._LONGEST + self._network.patience)
            if not flight.landed.done():
                self._give_up(flight)
                continue
            outcome = flight.landed.result()
            if isinstance(outcome, TokenRequestFailed) and flight.scopes <= scopes:
                raise copy.copy(outcome)  # one for each: raising puts a traceback into it
            # Round again: the token is held now, unless it lacks the scopes that are wanted here.

    def _fly(self, flight: _Flight | None, held: Token | None, scopes: frozenset[str]) -> Story[Token]:
        """Ask, and let everybody know. `held` still counts: then an issuer that is away is no reason to fail."""
        outcome: Token | TokenRequestFailed | None = None
        try:
            outcome = yield from self._renew(held, scopes)
            return outcome
        except TokenRequestFailed as failure:
            outcome = failure
            raise
        finally:
            if flight is not None:
                self._give_up(flight)
                flight.landed.set_result(outcome)

    def _renew(self, held: Token | None, scopes: frozenset[str]) -> Story[Token]:
        with self._lock:
            current = frozenset() if self._held is None else self._held.scopes
            asked = self._asked
        wanted = asked if not scopes else (asked or current) | current | scopes
        # While the token counts nobody is kept waiting for an issuer that is away.
        patience = None if held is None else 0.0
        try:
            try:
                token = yield from self._ask(wanted, patience=patience)
            except TokenRequestFailed as failure:
                if failure.error != "invalid_scope" or scopes or wanted == self._scopes:
                    raise
                # What was granted on request is not granted any more: what it began with may still be.
                wanted = self._scopes
                token = yield from self._ask(wanted, patience=patience)
        except TokenRequestFailed:
            if held is None:
                raise
            token = replace(held, renew_at=self._network.clock() + _TRY_AGAIN)
            wanted = asked
        else:
            token = renewed_ahead(token, self._early, self._network.chance())
        with self._lock:
            self._held, self._asked = token, wanted
        return token

    def _give_up(self, flight: _Flight) -> None:
        with self._lock:
            if self._flight is flight:
                self._flight = None


def _fields(name: str, values: str | Iterable[str]) -> tuple[tuple[str, str], ...]:
    """RFC 8693 2.1, RFC 8707 2: a parameter for each value."""
    return tuple((name, value) for value in ([values] if isinstance(values, str) else values))


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
