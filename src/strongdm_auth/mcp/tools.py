"""Which tools a request calls, and what a tool says to a token that does not suffice."""

import json
import logging
import sys
from typing import Any

from mcp.server.mcpserver.exceptions import ToolError

from strongdm_auth.asgi import Message, Receive
from strongdm_auth.errors import InsufficientScope, Refused
from strongdm_auth.requirement import Requirement

#: 4 MiB, as the SDK's own limit is. A longer body is passed on unread, for the SDK to answer 413.
LONGEST_BODY = 4 * 1024 * 1024


async def read_body(receive: Receive) -> tuple[bytes, Receive]:
    """A request's body, and a `receive` that gives all of it again. Empty for one that is too long."""
    body, more, ended = bytearray(), True, None
    while more and len(body) <= LONGEST_BODY:
        message = await receive()
        if message["type"] != "http.request":
            ended = message
            break
        body += message.get("body", b"")
        more = message.get("more_body", False)
    # One message, however many it came in: they may have held a byte each.
    whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": more}]
    again = iter(whole if ended is None else [*whole, ended])

    async def receiving() -> Message:
        for message in again:
            return message
        return await receive()

    return bytes(body) if len(body) <= LONGEST_BODY else b"", receiving


def tools_called(body: bytes) -> frozenset[str]:
    """The names in `tools/call` messages. What cannot be read calls nothing: the tool's own check comes after, anyway."""
    try:
        decoded: Any = json.loads(body)
    except (ValueError, RecursionError):
        return frozenset()
    called = set()
    for message in decoded if isinstance(decoded, list) else [decoded]:
        match message:
            case {"method": "tools/call", "params": {"name": str(name)}}:
                called.add(name)
    return frozenset(called)


def tool_error(refusal: Refused, requirement: Requirement) -> Exception:
    """The refusal as both SDKs' own error of a tool, for the model to read; it names all scopes that are needed."""
    text = f"{refusal.error}: {refusal.message}"
    if isinstance(refusal, InsufficientScope):
        text += f" (scopes needed: {' '.join(requirement.scope_names())})"
    fastmcp = sys.modules.get("fastmcp.exceptions")
    if fastmcp is None:
        return ToolError(text)
    # fastmcp takes any other error for a crash: it writes a traceback, and may keep the words to itself.
    both: Any = type("ToolError", (ToolError, fastmcp.ToolError), {})
    error: Exception = both(text, log_level=logging.INFO)
    return error
