"""An MCP server that lets agents in by their tokens. Configured by the environment alone: STRONGDM_* and PORT.

Run it with `python app.py`: the endpoint is http://127.0.0.1:$PORT/mcp behind uvicorn; WEB_CONCURRENCY sets the number of
workers.
"""

import os
import sys
from pathlib import Path

from mcp.server import MCPServer
from starlette.responses import JSONResponse

from strongdm_auth.mcp import StrongDMTokenVerifier, current_token

PORT = os.environ.get("PORT", "8000")

auth = StrongDMTokenVerifier(resource=os.environ.get("STRONGDM_RESOURCE") or f"http://127.0.0.1:{PORT}/mcp")
server = MCPServer("notes", token_verifier=auth, auth=auth.auth_settings(), log_level="WARNING")
notes: dict[str, list[str]] = {}


@server.tool()
def whoami() -> dict[str, object]:
    """Who the token says you are, for whom you act, and what you may do."""
    token = current_token()
    return {
        "subject": token.subject,
        "actor": token.actor and token.actor.subject,
        "scopes": sorted(token.scopes),
        "key_thumbprint": token.key_thumbprint,
    }


@server.tool()
@auth.require_scope("notes:read")
def read_notes() -> list[str]:
    """Your notes."""
    return notes.get(current_token().subject, [])


@server.tool()
@auth.require_scope("notes:write")
def write_note(text: str) -> int:
    """Keep a note; gives how many there are."""
    kept = notes.setdefault(current_token().subject, [])
    kept.append(text)
    return len(kept)


@server.custom_route("/health", methods=["GET"])
async def health(request):
    return JSONResponse({"status": "healthy"})


# Without sessions, each request may go to any worker.
app = auth.sender_constrained(server.streamable_http_app(stateless_http=True), exempt=["/health"])


if __name__ == "__main__":
    here = str(Path(__file__).parent)
    command = ["uvicorn", "app:app", "--app-dir", here, "--host", "127.0.0.1", "--port", PORT]
    os.execv(sys.executable, [sys.executable, "-m", *command])
