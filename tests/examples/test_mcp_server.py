"""The example MCP server as its README starts it, called by the SDK's own client."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from mcp import Client, MCPError

from strongdm_auth.testing import DPoPKey, Issuer
from tests.doors.mcp_servers import MODES, Agents, Signing, talk, text_of

FOLDER = Path(__file__).parents[2] / "examples" / "mcp_server"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer(realms=("acme",)).serve() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def url(demo: ModuleType, issuer: Issuer) -> Iterator[str]:
    port = demo.free_port()
    base = f"http://127.0.0.1:{port}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STRONGDM_")}
    environment |= {"PORT": str(port), "STRONGDM_ISSUER": issuer.url, "STRONGDM_REALMS": "acme"}
    with demo.running([sys.executable, "app.py"], base, "/health", FOLDER, environment):
        yield f"{base}/mcp"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dpop", [False, True], ids=["bearer", "dpop"])
def test_an_agent_writes_and_reads_its_notes(url: str, issuer: Issuer, mode: str, dpop: bool) -> None:
    agents, subject = Agents(issuer, url), f"ann-{mode}-{dpop}"
    key = DPoPKey.generate() if dpop else None
    writer, reader, stranger = (
        Signing(agents(scopes, subject=subject, key=key, actor={"sub": "cli_agent"}))
        for scopes in ("notes:read notes:write", "notes:read", "")
    )

    async def write(client: Client) -> None:
        assert {tool.name for tool in (await client.list_tools()).tools} == {"whoami", "read_notes", "write_note"}
        assert text_of(await client.call_tool("write_note", {"text": "one"})) == "1"
        assert text_of(await client.call_tool("write_note", {"text": "two"})) == "2"

    async def read(client: Client) -> Any:
        with pytest.raises(MCPError):
            await client.call_tool("write_note", {"text": "three"})
        return (await client.call_tool("read_notes", {})).structured_content

    async def ask(client: Client) -> Any:
        with pytest.raises(MCPError):
            await client.call_tool("read_notes", {})
        return (await client.call_tool("whoami", {})).structured_content

    talk(url, writer, write, mode)
    assert talk(url, reader, read, mode) == {"result": ["one", "two"]}
    who = {"subject": subject, "actor": "cli_agent", "scopes": [], "key_thumbprint": key and key.thumbprint}
    assert talk(url, stranger, ask, mode) == who
    assert writer.statuses <= {200, 202}
    assert 403 in reader.statuses


def test_without_a_token_it_says_where_to_get_one(url: str, issuer: Issuer) -> None:
    refused = httpx.post(url, json={})
    assert refused.status_code == 401
    document = url.removesuffix("/mcp") + "/.well-known/oauth-protected-resource/mcp"
    assert f'resource_metadata="{document}"' in refused.headers["WWW-Authenticate"]
    told = httpx.get(document).json()
    assert (told["resource"], told["authorization_servers"]) == (url, [issuer.issuer_url("acme")])
    assert httpx.get(url.removesuffix("/mcp") + "/health").json() == {"status": "healthy"}
