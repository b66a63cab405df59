"""A load generator that costs little beside the server: asyncio protocols, keep-alive, requests made beforehand.

Each connection has one request under way; an answer is taken for whole when its `content-length` is there. Anything but a
200 is an error of the benchmark.
"""

import asyncio
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

CONNECTIONS = 8


@dataclass(frozen=True)
class Load:
    """What a block of requests took: wall seconds, and the server's own CPU seconds (None where they cannot be read)."""

    wall: float
    server_cpu: float | None


def request(path: str, headers: Mapping[str, str]) -> bytes:
    """A GET as it goes over the wire."""
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class _Connection(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], done: "asyncio.Future[None]") -> None:
        self._requests, self._done, self._buffer = requests, done, b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self._fail(ValueError(f"answered with {head[:60]!r}"))
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) >= length:
            self._buffer = b""
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(ConnectionError(f"the server hung up: {exc}"))

    def _next(self) -> None:
        assert self._transport is not None
        following = next(self._requests, None)
        if following is not None:
            self._transport.write(following)
        else:
            self._finish()
            self._transport.close()

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def _fail(self, fault: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(fault)


async def drive(port: int, requests: list[bytes], pid: int) -> Load:
    """Send all of them over `CONNECTIONS` connections."""
    loop = asyncio.get_running_loop()
    coming = iter(requests)
    done = [loop.create_future() for _ in range(CONNECTIONS)]
    cpu, begin = _cpu_seconds(pid), time.perf_counter()
    for future in done:
        await loop.create_connection(lambda future=future: _Connection(coming, future), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*done)
    wall, after = time.perf_counter() - begin, _cpu_seconds(pid)
    return Load(wall, None if cpu is None or after is None else after - cpu)


def _cpu_seconds(pid: int) -> float | None:
    """Of all of the process's threads, to the nanosecond; Linux only."""
    total = 0
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as counters:
                total += int(counters.read().split()[0])
    except OSError:
        return None
    return total / 1e9
