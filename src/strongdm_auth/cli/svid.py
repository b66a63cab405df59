"""`strongdm-auth svid`: a JWT-SVID, by which a workload shows another who it is (SPIFFE)."""

from __future__ import annotations

import argparse
import time

from .access_token import add_output, put
from .agent import add_agent, client_errors, read_agent
from .given import STDIN
from .terminal import Terminal, shortened
from .times import when


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--for", action="append", required=True, dest="audiences", metavar="SERVICE", help="whom it will be shown to"
    )
    parser.add_argument("--bearer", action="store_true", help="ask with a token that is bound to no key")
    add_output(parser, "SVID")
    add_agent(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Get a token, and an SVID by it."""
    from strongdm_auth.client import Service

    agent = read_agent(arguments)
    with client_errors():
        key = None if arguments.bearer else agent.key(arguments.key_file, passing=True)
        service = Service(agent.credentials.issuer, source=agent.source(key), network=agent.network)
        svid = service.jwt_svid(arguments.audiences)
    put(svid.svid, arguments.output)
    if arguments.json:
        told: dict[str, object] = {
            "spiffe_id": svid.spiffe_id,
            "audience": arguments.audiences,
            "expires_at": svid.expires_at,
        }
        if arguments.output == STDIN:
            told["svid"] = svid.svid
        terminal.json(told)
        return 0
    if arguments.output == STDIN:
        terminal.line(svid.svid)
        return 0
    rows = [
        ("SPIFFE ID", svid.spiffe_id),
        ("for", " ".join(arguments.audiences)),
        ("expires", "not said" if svid.expires_at is None else when(svid.expires_at, time.time())),
        ("SVID", shortened(svid.svid)),
    ]
    rows += [("written to", f"{arguments.output} (0600)")] if arguments.output is not None else []
    terminal.rows(rows, indent=0)
    if arguments.output is None:
        terminal.line()
        terminal.line("The SVID itself: --output FILE, or --output - for a pipe.")
    return 0
