"""MCP servers on real sockets, and agents that call them with the SDK's own client over streamable HTTP."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import httpx2
import pytest
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server import MCPServer
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.mcpserver import Context
from starlette.responses import PlainTextResponse

from strongdm_auth import Requirement
from strongdm_auth.mcp import StrongDMTokenVerifier, current_token
from strongdm_auth.testing import Agent, Issuer

Result = TypeVar("Result")
#: How the SDK's client speaks: with a handshake and a session, or each request on its own (protocol 2026-07-28).
MODES = ("legacy", "auto")
every_mode = pytest.mark.parametrize("mode", MODES)
HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "by hand", "version": "0"},
    },
}


@contextmanager
def serving(make_app: Callable[[str], Any], path: str = "/mcp") -> Iterator[str]:
    """What `make_app` makes of its own URL, behind uvicorn in a thread; yields the URL of the MCP endpoint."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}{path}"
    server = uvicorn.Server(uvicorn.Config(make_app(url), log_level="critical", ws="none", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert server.started
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive()


class Signing(httpx2.Auth):
    """Signs each request anew with what `agent` is now; takes a nonce when it is given one."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.nonce: str | None = None
        #: Method, status and challenge of every exchange.
        self.exchanges: list[tuple[str, int, str | None]] = []

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        for _ in range(2):
            request.headers.update(self.agent.headers(request.method, str(request.url), self.nonce))
            response = yield request
            self.exchanges.append((request.method, response.status_code, response.headers.get("WWW-Authenticate")))
            self.nonce = response.headers.get("DPoP-Nonce", self.nonce)
            if "use_dpop_nonce" not in response.headers.get("WWW-Authenticate", ""):
                return

    @property
    def statuses(self) -> set[int]:
        return {status for _, status, _ in self.exchanges}


@asynccontextmanager
async def connected(url: str, auth: httpx2.Auth | None, mode: str = "auto") -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(auth=auth, timeout=10) as http_client,
        Client(streamable_http_client(url, http_client=http_client), mode=mode) as client,  # type: ignore[arg-type]
    ):
        yield client


def talk(
    url: str, auth: httpx2.Auth | None, conversation: Callable[[Client], Awaitable[Result]], mode: str = "auto"
) -> Result:
    """One conversation of the SDK's client with a server."""

    async def run() -> Result:
        async with connected(url, auth, mode) as client:
            return await conversation(client)

    return asyncio.run(run())


def text_of(result: Any) -> str:
    """What a tool said."""
    return "".join(getattr(content, "text", "") for content in result.content)


class Agents:
    """Agents of realm acme for one MCP server."""

    def __init__(self, issuer: Issuer, url: str) -> None:
        self._issuer, self._url = issuer, url

    def __call__(self, scopes: str = "notes:read", **more: Any) -> Agent:
        return self._issuer.agent(
            **{"subject": "cli_agent", "realm": "acme", "audience": self._url, "scopes": scopes} | more
        )


def settings(issuer: Issuer, url: str, **more: Any) -> dict[str, Any]:
    return {"issuer": issuer.url, "realms": ["acme"], "resource": url, **more}


def calling(tool: str, **arguments: Any) -> Callable[[Client], Awaitable[Any]]:
    return lambda client: client.call_tool(tool, arguments)


def post(url: str, headers: dict[str, str]) -> httpx2.Response:
    return httpx2.post(url, json=INITIALIZE, headers={**HEADERS, **headers})


def error_of(response: httpx2.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]


def notes(auth: StrongDMTokenVerifier) -> MCPServer[Any]:
    """A server with a tool for each way to ask for a scope."""
    server: MCPServer[Any] = MCPServer(
        "notes", token_verifier=auth, auth=auth.auth_settings(required_scopes="notes:read"), log_level="CRITICAL"
    )

    @server.tool()
    def whoami() -> dict[str, Any]:
        token, told = current_token(), get_access_token()
        assert token is not None
        assert told is not None
        assert (told.subject, told.scopes) == (token.subject, sorted(token.scopes))
        return {"subject": token.subject, "scopes": sorted(token.scopes), "key": token.key_thumbprint}

    @server.tool()
    @auth.require_scope("notes:write")
    async def write_note(text: str, ctx: Context[Any, Any]) -> str:
        """Write a note."""
        return f"{ctx.request_id is not None} {text}"

    @server.tool()
    @auth.require_scope("notes:write")
    def write_in_a_thread(text: str, times: int = 1) -> str:
        token = current_token()
        return f"{token and token.subject} {text * times}"

    @server.tool(name="erase_notes")
    @auth.require(scopes="notes:erase", tool="of_another_name")  # so that the wrapper cannot tell
    def erase() -> str:
        return "erased"

    @server.tool()
    async def archive(year: int) -> str:
        await auth.check(Requirement(scopes="notes:write notes:archive") if year < 2000 else Requirement())
        return "archived"

    @server.custom_route("/health", methods=["GET"])
    async def health(request: Any) -> PlainTextResponse:
        return PlainTextResponse("healthy")

    return server


def notes_app(issuer: Issuer, url: str, *, serve: dict[str, Any] | None = None, **more: Any) -> Any:
    auth = StrongDMTokenVerifier(**settings(issuer, url, **more))
    return auth.sender_constrained(notes(auth).streamable_http_app(**(serve or {})), exempt=["/health"])
