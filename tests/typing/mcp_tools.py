"""Tools of an MCP server: a tool keeps its parameters, and is awaited whether its function was async or not."""

from typing import assert_type

from mcp.server.auth.settings import AuthSettings

from strongdm_auth import AccessToken, Requirement
from strongdm_auth.asgi import ASGIApp
from strongdm_auth.mcp import StrongDMTokenVerifier, current_token

auth = StrongDMTokenVerifier(resource="https://tools.example.com/mcp", realms=["acme"])
assert_type(auth.auth_settings(required_scopes="notes:read"), AuthSettings)


@auth.require_scope("notes:write", "notes:own")
def write_note(text: str) -> None:
    assert_type(current_token(), AccessToken | None)


@auth.require(Requirement(scopes="notes:read"), dpop=True)
async def read_note(number: int) -> str:
    return str(number)


def around(app: ASGIApp) -> ASGIApp:
    return auth.sender_constrained(app, require=Requirement(dpop=True), exempt=["/health"])


async def check_signatures() -> None:
    await write_note("a note")
    await read_note(number=1)
    await write_note(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await read_note()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def check_settings() -> None:
    StrongDMTokenVerifier(resorce="misspelt")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    auth.require(scope="admin")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
