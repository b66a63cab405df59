"""HTTP to the issuer: the only place that names an HTTP client.

Every exchange has one deadline over all of it (a server that drips a byte a second meets it too), a limit on the answer's
size, counted after decompression, and follows no redirect (a `jwks_uri` that redirects is a way to steer us). Clients are
made when first needed, per process and, for async, per event loop; an injected one (httpx or httpx2) is used as it is.
"""

import asyncio
import os
import threading
import time
import weakref
import zlib
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from .flow import Fetch, Reply, Unreachable

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
        "timeout": timeout,
    }


def _seconds(fetch: Fetch, timeout: float) -> float:
    return timeout if fetch.within is None else min(fetch.within, timeout)


def _kept(keep_alive: bool) -> int:
    """Idle connections to keep. Keys are fetched a few times an hour: a socket kept for that is only one to leak."""
    return 20 if keep_alive else 0


class SyncHTTP:
    """Exchanges for threads.

    An exchange runs in a thread of its own, so that its deadline holds however the server behaves: a socket timeout
    starts anew with each byte. That costs 0.1 ms, a few times an hour (or once an introspection).
    """

    def __init__(self, timeout: float, client: "httpx.Client | Any | None", clock: Clock, *, keep_alive: bool) -> None:
        self._timeout = timeout
        self._keep_alive = keep_alive
        self._injected = client
        self._clock = clock
        self._lock = threading.Lock()
        self._own: tuple[int, Any] | None = None

    def exchange(self, fetch: Fetch) -> Reply:
        """Do it. Raises Unreachable when nothing came of it, at `http_timeout` at the latest."""
        client, seconds = self._client(), _seconds(fetch, self._timeout)
        landed: Future[Reply] = Future()
        arguments = (client, fetch, seconds, landed)
        threading.Thread(
            target=self._exchange_in_thread, args=arguments, name="strongdm-auth-fetch", daemon=True
        ).start()
        try:
            return landed.result(seconds)
        except TimeoutError:
            self._give_up(client)
            raise Unreachable(f"no answer within {seconds:g} s") from None

    def close(self) -> None:
        """Close the connections of the client that was made here; the next exchange makes a new one."""
        with self._lock:
            own, self._own = self._own, None
        if own is not None and own[0] == os.getpid():
            own[1].close()

    def _client(self) -> Any:
        if self._injected is not None:
            return self._injected
        with self._lock:
            if self._own is None or self._own[0] != os.getpid():  # a forked child shares no socket with its parent
                import httpx

                made = httpx.Client(limits=httpx.Limits(max_keepalive_connections=_kept(self._keep_alive)))
                self._own = os.getpid(), made
                weakref.finalize(self, made.close)
            return self._own[1]

    def _give_up(self, client: Any) -> None:
        """Cut off an exchange that overran; whatever else went over the same connections was the same issuer's."""
        with self._lock:
            if self._own is not None and self._own[1] is client:
                self._own = None
        if client is not self._injected:
            client.close()

    def _exchange_in_thread(self, client: Any, fetch: Fetch, seconds: float, landed: "Future[Reply]") -> None:
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
            landed.set_exception(Unreachable(f"{type(fault).__name__}"))
        else:
            landed.set_result(reply)


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

            limits = httpx.Limits(max_keepalive_connections=_kept(self._keep_alive))
            client = self._own[loop] = httpx.AsyncClient(limits=limits)
        return client
