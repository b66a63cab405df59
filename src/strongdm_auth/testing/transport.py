"""The local issuer as an httpx transport: no socket, no thread, the same answers. It stands for this one
issuer only; a request for any other origin fails as it would on a network where nobody listens there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx

from strongdm_auth.testing.messages import Reply
from strongdm_auth.testing.server import Exchange


class IssuerTransport(httpx.MockTransport):
    """For `httpx.Client(transport=...)` and `httpx.AsyncClient(transport=...)`.

    A stall longer than the client's read timeout raises `httpx.ReadTimeout` at once, without the waiting.
    """

    def __init__(self, exchange: Exchange, origin: Callable[[], str]) -> None:
        super().__init__(self._respond)
        self._exchange = exchange
        self._origin = origin

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        reply = self._reply(request)
        if reply.delay > 0:
            time.sleep(reply.delay)
        return _response(reply)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        reply = self._reply(request)
        if reply.delay > 0:
            await asyncio.sleep(reply.delay)
        return _response(reply)

    def _respond(self, request: httpx.Request) -> httpx.Response:
        return _response(self._reply(request))

    def _reply(self, request: httpx.Request) -> Reply:
        url, origin = request.url, httpx.URL(self._origin())
        if (url.scheme, url.host, url.port) != (origin.scheme, origin.host, origin.port):
            raise httpx.ConnectError("this transport reaches the local issuer only", request=request)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        reply = self._exchange(request.method, url.raw_path.decode("ascii"), headers, request.content)
        read_timeout = request.extensions.get("timeout", {}).get("read")
        if read_timeout is not None and reply.delay > read_timeout:
            raise httpx.ReadTimeout("the local issuer is stalled", request=request)
        return reply


def _response(reply: Reply) -> httpx.Response:
    return httpx.Response(reply.status, headers=list(reply.headers), content=reply.body)
