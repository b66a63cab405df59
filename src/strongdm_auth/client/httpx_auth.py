"""`DPoPAuth` and `BearerAuth` for httpx and, from `strongdm_auth.client.httpx2`, for its successor: one flow makes both.

It decides nothing: `story` does. It sends what the story wants to be sent, and tells it what came back.
"""

import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from types import ModuleType
from typing import Any, ClassVar, cast

import httpx

from .challenges import read_challenges
from .keys import DPoPKey
from .network import Network, TokenOf
from .origins import origin_of
from .signed_request import is_loaded, signed_request_class
from .story import Answer, Caller, Outgoing, bound
from .tokens import FixedToken, TokenSource


class _Request(Outgoing):
    """A request of httpx or httpx2."""

    def __init__(self, flow: "AuthFlow", request: Any) -> None:
        self.flow, self.request = flow, request
        self.method = request.method
        # As it goes over the wire: the host in ASCII, no user information, no query.
        path = request.url.raw_path.partition(b"?")[0].decode("ascii")
        self.url = f"{request.url.scheme}://{request.url.netloc.decode('ascii')}{path}"

    @property
    def replayable(self) -> bool:
        return is_loaded(self.flow.library, self.request)

    @property
    def authorization(self) -> str | None:
        value: str | None = self.request.headers.get("Authorization")
        return value

    def signed(self, authorization: str, proof: str | None) -> "_Request":
        return _Request(self.flow, self.flow.signed_request(self.request, authorization, proof))


class AuthFlow:
    """The flow, for a subclass that is its library's `Auth` as well."""

    library: ClassVar[ModuleType]
    signed_request: ClassVar[Any]  # SignedRequest of this library

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._caller.source!r})"

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:
        """For `Client`. Waits for the issuer where a token is needed."""
        story = self._caller.story(_Request(self, request))
        try:
            step = next(story)
            while True:
                if isinstance(step, TokenOf):
                    try:
                        token = step.source.token(instead_of=step.instead_of, scopes=step.scopes)
                    except Exception as fault:
                        step = story.throw(fault)
                    else:
                        step = story.send(token)
                else:
                    sent = cast(_Request, step).request
                    step = story.send(self._answer(sent, (yield sent)))
        except StopIteration:
            return
        finally:
            story.close()

    async def async_auth_flow(self, request: Any) -> AsyncGenerator[Any, Any]:
        """For `AsyncClient`."""
        story = self._caller.story(_Request(self, request))
        try:
            step = next(story)
            while True:
                if isinstance(step, TokenOf):
                    try:
                        token = await step.source.atoken(instead_of=step.instead_of, scopes=step.scopes)
                    except Exception as fault:
                        step = story.throw(fault)
                    else:
                        step = story.send(token)
                else:
                    sent = cast(_Request, step).request
                    step = story.send(self._answer(sent, (yield sent)))
        except StopIteration:
            return
        finally:
            story.close()

    def _answer(self, sent: Any, response: Any) -> Answer:
        answered = _Request(self, response.request)
        nonces = [
            (origin_of(str(one.request.url)), one.headers["DPoP-Nonce"])
            for one in [*response.history, response]
            if "DPoP-Nonce" in one.headers
        ]
        challenges = read_challenges(response.headers.get_list("WWW-Authenticate"))
        redirected = response.request is not sent
        return Answer(response.status_code, challenges, nonces, answered, redirected)


def clock_of(source: TokenSource) -> Callable[[], float]:
    """The source's own clock, if it has one: then a test moves one for both."""
    network: Network | None = getattr(source, "network", None)
    return time.time if network is None else network.clock


class DPoPFlow(AuthFlow):
    """Sends DPoP-bound tokens: `Client(auth=DPoPAuth(source))`."""

    def __init__(
        self,
        source: TokenSource,
        key: DPoPKey | None = None,
        *,
        may_ask_for: str | Iterable[str] = (),
        origins: str | Iterable[str] = (),
    ) -> None:
        """The key is the one given, the source's, or a fresh one that lives as long as this process.

        `may_ask_for`: scopes to ask for when an API says they are missing. `origins`: where credentials may go at all, as
        URLs; left out, to any https origin that the client is told to call.
        """
        source, key = bound(source, key)
        clock = clock_of(source)
        super().__init__(Caller(source, key, may_ask_for=may_ask_for, origins=origins, clock=clock))


class BearerFlow(AuthFlow):
    """Sends bearer tokens: whoever gets hold of one can use it. Prefer `DPoPAuth`."""

    def __init__(
        self,
        source: TokenSource | str,
        *,
        may_ask_for: str | Iterable[str] = (),
        origins: str | Iterable[str] = (),
    ) -> None:
        """As `DPoPAuth`. Give `origins` where a model or a user chooses the URLs: a bearer token is worth stealing."""
        source = FixedToken(source) if isinstance(source, str) else source
        if source.key is not None:
            raise ValueError("the source's tokens are bound to a key: use DPoPAuth")
        clock = clock_of(source)
        super().__init__(Caller(source, None, may_ask_for=may_ask_for, origins=origins, clock=clock))


class DPoPAuth(DPoPFlow, httpx.Auth):
    __doc__ = DPoPFlow.__doc__
    library: ClassVar[ModuleType] = httpx
    signed_request: ClassVar[Any] = signed_request_class(httpx)


class BearerAuth(BearerFlow, httpx.Auth):
    __doc__ = BearerFlow.__doc__
    library: ClassVar[ModuleType] = httpx
    signed_request: ClassVar[Any] = DPoPAuth.signed_request
