"""`strongdm-auth token`: an access token. What is said about it is shown; the token itself only where it was asked to go."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from .agent import add_agent, client_errors, read_agent
from .given import STDIN
from .terminal import Terminal, shortened
from .times import when


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dpop", action="store_true", help="bound to a key (RFC 9449), so that nobody else can use it")
    add_output(parser, "token")
    add_agent(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_output(parser: argparse.ArgumentParser, what: str) -> None:
    """`--output`: where a secret goes."""
    parser.add_argument(
        "--output", metavar="FILE", help=f"where the {what} goes (0600); - is standard output (default: nowhere)"
    )


def put(secret: str, output: str | None) -> None:
    """Write a secret to a file that only its owner can read."""
    from strongdm_auth.client.private_files import write_private

    if output is not None and output != STDIN:
        with client_errors():
            write_private(Path(output), secret.encode() + b"\n")


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Ask the issuer for one."""
    agent = read_agent(arguments)
    with client_errors():
        key = agent.key(arguments.key_file, passing=False) if arguments.dpop else None
        token = agent.source(key).token()
    put(token.value, arguments.output)
    if arguments.json:
        told: dict[str, object] = {
            "token_type": token.token_type,
            "scopes": sorted(token.scopes),
            "expires_at": token.expires_at,
            "client_id": agent.credentials.client_id,
            "issuer": agent.credentials.issuer,
            "key_thumbprint": None if key is None else key.thumbprint,
        }
        if arguments.output == STDIN:
            told["access_token"] = token.value
        terminal.json(told)
        return 0
    if arguments.output == STDIN:
        terminal.line(token.value)
        return 0
    rows = [
        ("token", shortened(token.value)),
        ("type", token.token_type),
        ("scopes", " ".join(sorted(token.scopes)) or "none"),
        ("expires", "not said" if token.expires_at is None else when(token.expires_at, time.time())),
        ("client", agent.credentials.client_id),
        ("issuer", agent.credentials.issuer),
    ]
    rows += [("bound to", key.thumbprint)] if key is not None else []
    rows += [("written to", f"{arguments.output} (0600)")] if arguments.output is not None else []
    terminal.rows(rows, indent=0)
    if arguments.output is None:
        terminal.line()
        terminal.line("The token itself: --output FILE, or --output - for a pipe. What is in it: strongdm-auth inspect")
    return 0
