"""The snippets of docs/mcp.md, one after the other as a reader would put them into a file; the apps they make are asked."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.server import MCPServer

from strongdm_auth.client import ClientCredentials
from strongdm_auth.mcp import StrongDMTokenVerifier, current_token
from strongdm_auth.testing import Issuer
from tests.doors.mcp_servers import serving, text_of

RESOURCE = "https://tools.example.com/mcp"
PAGE = (Path(__file__).parents[2] / "docs" / "mcp.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
HEADERS = {
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/call",
}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "reader", "version": "0"},
}


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    with Issuer(realms=("my-org",)).serve() as issuer:
        monkeypatch.setenv("STRONGDM_ISSUER", issuer.url)
        yield issuer


def call(url: str, issuer: Issuer, host: str, tool: str, scopes: str | None, **arguments: Any) -> httpx2.Response:
    headers = {**HEADERS, "Host": host, "Mcp-Name": tool}
    if scopes is not None:
        token = issuer.token("ann", realm="my-org", audience=RESOURCE, scopes=scopes)
        headers["Authorization"] = f"Bearer {token}"
    params = {"name": tool, "arguments": arguments, "_meta": META}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return httpx2.post(url, json=body, headers=headers)


def test_the_sdks_snippets_work(issuer: Issuer) -> None:
    space: dict[str, Any] = {}
    ours = [snippet for snippet in SNIPPETS if "fastmcp" not in snippet and "import Client" not in snippet]
    assert len(ours) == len(SNIPPETS) - 2
    first, *others, beside = ours
    exec(first, space)
    app = space["app"]
    for snippet in others:
        exec(snippet, space)
    exec(beside, dict(space))  # a file of its own
    with serving(lambda url: app) as url:
        host = "tools.example.com"
        assert "ann wrote x" in call(url, issuer, host, "write_note", "notes:read notes:write", text="x").text
        assert "ann" in call(url, issuer, host, "whoami", "notes:read").text
        assert call(url, issuer, host, "whoami", None).status_code == 401
        assert call(url, issuer, host, "whoami", "").status_code == 403
        assert call(url, issuer, host, "write_note", "notes:read", text="x").status_code == 403
        assert call(url, issuer, host, "erase", "notes:read notes:erase").status_code == 401  # not bound to a key
        assert "the note plain" in call(url, issuer, host, "open_note", "notes:read", name="plain").text
        secret = call(url, issuer, host, "open_note", "notes:read", name="secret").text
        assert "scopes needed: notes:read notes:secret" in secret
        assert call(url, issuer, "else.example.com", "whoami", "notes:read").status_code == 421
    with serving(lambda url: space["app"]) as url:
        host = url.split("/")[2]
        assert call(url, issuer, host, "whoami", "notes:read").status_code == 401  # only bound tokens there
        assert httpx2.get(url.removesuffix("/mcp") + "/health").status_code == 404


def test_fastmcps_snippet_works(issuer: Issuer) -> None:
    space: dict[str, Any] = {}
    [snippet] = [snippet for snippet in SNIPPETS if "fastmcp" in snippet]
    exec(snippet, space)
    with serving(lambda url: space["app"]) as url:
        host = "tools.example.com"
        assert "written" in call(url, issuer, host, "write_note", "notes:read notes:write", text="written").text
        assert call(url, issuer, host, "write_note", "notes:read", text="x").status_code == 403
        assert call(url, issuer, host, "write_note", None, text="x").status_code == 401


def test_the_clients_snippet_gets_a_token_with_the_scope_that_it_lacks(issuer: Issuer) -> None:
    """With our client in the SDK's: proofs, the nonce, and a new token after the 403."""
    space: dict[str, Any] = {}
    [snippet] = [snippet for snippet in SNIPPETS if "import Client" in snippet]
    exec(snippet, space)
    client = issuer.client("agent", scopes="notes:read notes:write", realm="my-org")

    def notes(url: str) -> Any:
        auth = StrongDMTokenVerifier(resource=url, realms=["my-org"], dpop="required", dpop_nonce="required")
        server: MCPServer[Any] = MCPServer(
            "notes", token_verifier=auth, auth=auth.auth_settings(required_scopes="notes:read"), log_level="CRITICAL"
        )

        @server.tool()
        @auth.require_scope("notes:write")
        def write_note(text: str) -> str:
            token = current_token()
            return f"{text} {token and token.key_thumbprint}"

        return auth.sender_constrained(server.streamable_http_app())

    with serving(notes) as url:
        source = ClientCredentials(
            issuer.issuer_url("my-org"), client.client_id, client.client_secret, scopes="notes:read", resource=url
        )
        said = text_of(asyncio.run(space["ask"](url, source)))
    assert said.startswith("hello ")
    assert said != "hello None"
