"""HTTP to the issuer: the only place that names an HTTP client.

Every exchange has one deadline over all of it (a server that drips a byte a second meets it too), a limit on the answer's
size, counted after decompression, and follows no redirect (a `jwks_uri` that redirects is a way to steer us). Clients are
made when first needed, per process and, for async, per event loop; an injected one (httpx or httpx2) is used as it is.
"""

import asyncio
import threading
import time
import weakref
import zlib
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from .forks import renew_after_fork
from .introspection import MOST_QUESTIONS
from .needs import Fetch, Reply, Unreachable

if TYPE_CHECKING:
    import httpx

#: The longest answer. A set of 100 RSA keys with certificates has about 300 KB.
MOST_REPLY_BYTES = 512 * 1024

Clock = Callable[[], float]


def wall_clock() -> float:
    """Seconds since the epoch."""
    return time.time()


class _Body:
    """Collects an answer's body, decompressed, up to the limit."""

    def __init__(self, response: Any) -> None:
        self._octets = bytearray()
        # A transport without a network may have the whole body already, and decompressed.
        encoding = "" if response.is_stream_consumed else response.headers.get("Content-Encoding", "").lower()
        if encoding not in ("", "identity", "gzip", "deflate"):
            raise Unreachable("the answer is compressed in a way that was not asked for")
        self._inflate = zlib.decompressobj(zlib.MAX_WBITS | 32) if encoding in ("gzip", "deflate") else None

    def add(self, chunk: bytes) -> None:
        if self._inflate is not None:
            try:
                chunk = self._inflate.decompress(chunk, MOST_REPLY_BYTES + 1)
            except zlib.error as fault:
                raise Unreachable("the answer is compressed badly") from fault
        self._octets += chunk
        if len(self._octets) > MOST_REPLY_BYTES:
            raise Unreachable(f"the answer is larger than {MOST_REPLY_BYTES} bytes")

    def octets(self) -> bytes:
        return bytes(self._octets)


def _arguments(fetch: Fetch, timeout: float) -> dict[str, Any]:
    return {
        "method": "GET" if fetch.form is None else "POST",
        "url": fetch.url,
        "content": fetch.form,
        "headers": [*fetch.headers, ("Accept-Encoding", "identity")],
        "follow_redirects": False,
        # A little more than our own deadline, which is over all of it and comes first.
        "timeout": timeout + 0.05,
    }


def _seconds(fetch: Fetch, timeout: float) -> float:
    return timeout if fetch.within is None else min(fetch.within, timeout)


def _keeping(connections: int) -> "httpx.Limits":
    import httpx

    return httpx.Limits(max_connections=100, max_keepalive_connections=connections)


class _Shared:
    """A client that keeps connections. It is closed with its owner, or when nobody uses it but exchanges that overran."""

    __slots__ = ("client", "close", "dropped", "overdue", "users")

    def __init__(self, client: Any, owner: "SyncHTTP") -> None:
        self.client = client
        #: Works once. It holds the client for as long as the owner lives, so whoever drops a client calls it.
        self.close = weakref.finalize(owner, client.close)
        self.users = self.overdue = 0
        self.dropped = False


class SyncHTTP:
    """Exchanges for threads.

    An exchange runs in a thread of its own, so that its deadline holds however the server behaves: a socket timeout
    starts anew with each byte. That costs 0.1 ms, a few times an hour (or once an introspection). A GET, for keys, also has
    a client of its own, so that cutting it off cuts off nothing else; introspection shares one that keeps connections.
    """

    def __init__(self, timeout: float, client: "httpx.Client | Any | None", clock: Clock, *, keep_alive: bool) -> None:
        self._timeout = timeout
        self._keep_alive = keep_alive
        self._injected = client
        self._clock = clock
        self._lock = threading.Lock()
        self._tls: Any = None
        self._shared: _Shared | None = None
        renew_after_fork(self)

    def after_fork(self) -> None:
        """See `forks`. A child shares no socket with its parent."""
        self._lock = threading.Lock()
        self._shared = None

    def exchange(self, fetch: Fetch) -> Reply:
        """Do it. Raises Unreachable when nothing came of it, at `http_timeout` at the latest."""
        seconds = _seconds(fetch, self._timeout)
        client, shared = self._client(fetch)
        landed: Future[Reply] = Future()
        arguments = (client, shared, fetch, seconds, landed)
        thread = threading.Thread(
            target=self._exchange_in_thread, args=arguments, name="strongdm-auth-fetch", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as fault:  # no more threads
            self._release(client, shared)
            raise Unreachable("no thread to fetch with") from fault
        try:
            return landed.result(seconds)
        except TimeoutError:
            self._cut_off(client, shared)
            raise Unreachable(f"no answer within {seconds:g} s") from None

    def close(self) -> None:
        """Close the connections that are kept; the next exchange makes new ones."""
        with self._lock:
            shared, self._shared = self._shared, None
        if shared is not None:
            shared.close()

    def _client(self, fetch: Fetch) -> tuple[Any, _Shared | None]:
        """A client, and what it is shared by; None where it is for this exchange alone."""
        if self._injected is not None:
            return self._injected, None
        import httpx

        with self._lock:
            if self._tls is None:
                self._tls = httpx.create_ssl_context()  # 15 ms, once
            if fetch.form is None or not self._keep_alive:
                return httpx.Client(verify=self._tls), None
            if self._shared is None:
                self._shared = _Shared(httpx.Client(verify=self._tls, limits=_keeping(MOST_QUESTIONS)), self)
            self._shared.users += 1
            return self._shared.client, self._shared

    def _release(self, client: Any, shared: _Shared | None) -> None:
        """An exchange is over."""
        if shared is None:
            if client is not self._injected:
                client.close()
            return
        with self._lock:
            shared.users -= 1
            unused = shared.dropped and shared.users <= shared.overdue
        if unused:
            shared.close()

    def _cut_off(self, client: Any, shared: _Shared | None) -> None:
        """An exchange overran. Its connection is closed with its client, once nobody else uses that; its thread then ends."""
        if shared is None:
            if client is not self._injected:
                client.close()
            return
        with self._lock:
            shared.dropped, shared.overdue = True, shared.overdue + 1
            unused = shared.users <= shared.overdue
            if self._shared is shared:
                self._shared = None
        if unused:
            shared.close()

    def _exchange_in_thread(
        self, client: Any, shared: _Shared | None, fetch: Fetch, seconds: float, landed: "Future[Reply]"
    ) -> None:
        give_up_at = time.monotonic() + seconds
        try:
            with client.stream(**_arguments(fetch, seconds)) as response:
                body = _Body(response)
                for chunk in (response.content,) if response.is_stream_consumed else response.iter_raw():
                    body.add(chunk)
                    if time.monotonic() > give_up_at:
                        raise Unreachable("the answer came too slowly")
                reply = Reply(response.status_code, body.octets(), self._clock())
        except Unreachable as fault:
            landed.set_exception(fault)
        except Exception as fault:  # whatever a client or a transport raises: the fetch came to nothing
            landed.set_exception(Unreachable(type(fault).__name__))
        else:
            landed.set_result(reply)
        finally:
            self._release(client, shared)


class AsyncHTTP:
    """Exchanges for event loops; each loop has a client of its own."""

    def __init__(
        self, timeout: float, client: "httpx.AsyncClient | Any | None", clock: Clock, *, keep_alive: bool
    ) -> None:
        self._timeout = timeout
        self._keep_alive = keep_alive
        self._injected = client
        self._clock = clock
        self._own: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = weakref.WeakKeyDictionary()

    async def exchange(self, fetch: Fetch) -> Reply:
        """Do it. Raises Unreachable when nothing came of it, at `http_timeout` at the latest."""
        seconds = _seconds(fetch, self._timeout)
        try:
            async with asyncio.timeout(seconds):
                async with self._client().stream(**_arguments(fetch, seconds)) as response:
                    body = _Body(response)
                    if response.is_stream_consumed:
                        body.add(response.content)
                    else:
                        async for chunk in response.aiter_raw():
                            body.add(chunk)
                    return Reply(response.status_code, body.octets(), self._clock())
        except Unreachable:
            raise
        except TimeoutError:
            raise Unreachable(f"no answer within {seconds:g} s") from None
        except Exception as fault:  # as above
            raise Unreachable(f"{type(fault).__name__}") from fault

    async def aclose(self) -> None:
        """Close the connections of this loop's client; the next exchange makes a new one."""
        client = self._own.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def _client(self) -> Any:
        if self._injected is not None:
            return self._injected
        loop = asyncio.get_running_loop()
        client = self._own.get(loop)
        if client is None:
            import httpx

            for gone in [other for other in self._own if other.is_closed()]:
                del self._own[gone]  # its client would keep it alive, through the connections that it keeps

            # Keys are fetched a few times an hour: a socket kept for that is only one to leak when its loop ends.
            limits = _keeping(MOST_QUESTIONS if self._keep_alive else 0)
            client = self._own[loop] = httpx.AsyncClient(limits=limits)
        return client
