"""How an agent reaches its issuer: the exchanges, the clock, the waiting and the dice, all replaceable; and two drivers.

What is said to an issuer is told as stories (generators), as the verifier's is: they yield what they need of the world,
`Network.run` meets it in the calling thread and `Network.run_async` in the running event loop. Redirects are never followed:
a token request carries the client's secret.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

import httpx

if TYPE_CHECKING:
    from .tokens import Token, TokenSource

_Result = TypeVar("_Result")

#: The longest answer; a trust bundle of many keys has some 10 KB.
MOST_REPLY_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class Call:
    """One exchange with the issuer. Answered with a `Reply`."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)


class Reply(NamedTuple):
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswer(Exception):
    """Thrown into a story: the exchange came to nothing. `sent` is False when the request surely never arrived."""

    def __init__(self, text: str, *, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Wait:
    """Let this many seconds pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Join:
    """Wait until somebody else's request for the same token has ended, well or badly."""

    landed: "Future[Any]"
    seconds: float


@dataclass(frozen=True, slots=True)
class TokenOf:
    """A token of another source, which may have to be asked for. Answered with it."""

    source: "TokenSource"
    instead_of: "Token | None" = None
    scopes: frozenset[str] = frozenset()


Need: TypeAlias = Call | Wait | Join | TokenOf
Story: TypeAlias = Generator[Need, Any, _Result]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The world of a client. The defaults are the real one; tests replace what they move."""

    #: httpx transports, where the default ones will not do (another proxy, another trust store). They are not closed here.
    transport: httpx.BaseTransport | None = None
    async_transport: httpx.AsyncBaseTransport | None = None
    #: Seconds for an exchange.
    timeout: float = 10.0
    #: Seconds that one call may spend waiting for a busy or broken issuer to recover. 1 + 2 + 4 + 8 s are four more tries.
    patience: float = 30.0
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    async_sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    #: A number from 0 to 1, so that many agents do not do the same thing at the same moment.
    chance: Callable[[], float] = random.random

    def run(self, story: Story[_Result]) -> _Result:
        """The story's result, or what it raises; in the calling thread."""
        try:
            need = next(story)
            while True:
                try:
                    answer = self._meet(need)
                except Exception as fault:
                    need = story.throw(fault)
                else:
                    need = story.send(answer)
        except StopIteration as end:
            result: _Result = end.value
            return result
        finally:
            story.close()

    async def run_async(self, story: Story[_Result]) -> _Result:
        """The story's result, or what it raises; in the running event loop."""
        try:
            need = next(story)
            while True:
                try:
                    answer = await self._meet_async(need)
                except Exception as fault:
                    need = story.throw(fault)
                else:
                    need = story.send(answer)
        except StopIteration as end:
            result: _Result = end.value
            return result
        finally:
            story.close()  # also when the task was cancelled: a flight that it began is then somebody else's to begin

    def _meet(self, need: Need) -> Any:
        match need:
            case Call():
                return self._exchange(need)
            case Wait(seconds):
                return self.sleep(seconds)
            case Join(landed, seconds):
                with suppress(TimeoutError):
                    landed.result(seconds)
            case TokenOf(source, instead_of, scopes):
                return source.token(instead_of=instead_of, scopes=scopes)
        return None

    async def _meet_async(self, need: Need) -> Any:
        match need:
            case Call():
                return await self._exchange_async(need)
            case Wait(seconds):
                return await self.async_sleep(seconds)
            case Join(landed, seconds):
                # `wait` cancels nothing when this task is cancelled: the flight is another's.
                await asyncio.wait([asyncio.wrap_future(landed)], timeout=seconds)
            case TokenOf(source, instead_of, scopes):
                return await source.atoken(instead_of=instead_of, scopes=scopes)
        return None

    def _exchange(self, call: Call) -> Reply:
        give_up_at = time.monotonic() + self.timeout
        with _faults_told(), self._client() as client, client.stream(**self._arguments(call)) as response:
            body = _Body(give_up_at)
            for chunk in response.iter_bytes():
                body.add(chunk)
            return _reply(response, body)

    async def _exchange_async(self, call: Call) -> Reply:
        give_up_at = time.monotonic() + self.timeout
        with _faults_told():
            async with self._async_client() as client, client.stream(**self._arguments(call)) as response:
                body = _Body(give_up_at)
                async for chunk in response.aiter_bytes():
                    body.add(chunk)
                return _reply(response, body)

    # A client for each exchange: there are one or two an hour. What is not kept need not be closed, nor survive a fork.

    @contextmanager
    def _client(self) -> Iterator[httpx.Client]:
        if self.transport is not None:
            yield httpx.Client(transport=self.transport)
            return
        with httpx.Client() as client:
            yield client

    @asynccontextmanager
    async def _async_client(self) -> AsyncIterator[httpx.AsyncClient]:
        transport = self.async_transport
        if transport is None and isinstance(self.transport, httpx.AsyncBaseTransport):
            transport = self.transport
        if transport is not None:
            yield httpx.AsyncClient(transport=transport)
            return
        async with httpx.AsyncClient() as client:
            yield client

    def _arguments(self, call: Call) -> dict[str, Any]:
        return {
            "method": call.method,
            "url": call.url,
            "content": call.body,
            "headers": [*call.headers, ("Accept", "application/json"), ("Accept-Encoding", "identity")],
            "follow_redirects": False,
            "timeout": self.timeout,
        }


class _Body:
    """Collects an answer's body, up to the limit and the deadline: a server that drips must not hold an agent for ever."""

    def __init__(self, give_up_at: float) -> None:
        self.octets = bytearray()
        self._give_up_at = give_up_at

    def add(self, chunk: bytes) -> None:
        self.octets += chunk
        if len(self.octets) > MOST_REPLY_BYTES:
            raise NoAnswer(f"the answer is larger than {MOST_REPLY_BYTES} bytes", sent=True)
        if time.monotonic() > self._give_up_at:
            raise NoAnswer("the answer came too slowly", sent=True)


def _reply(response: httpx.Response, body: _Body) -> Reply:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status_code, headers, bytes(body.octets))


@contextmanager
def _faults_told() -> Iterator[None]:
    """What httpx raises, as NoAnswer. The cause is not chained: it has the request in it, and that has the secret."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as fault:
        raise NoAnswer(type(fault).__name__, sent=False) from None
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as fault:
        raise NoAnswer(type(fault).__name__, sent=True) from None
