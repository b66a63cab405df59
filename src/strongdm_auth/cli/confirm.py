"""`strongdm-auth confirm`: the second half. The secret comes once; it goes to a file of its owner's, and is not shown."""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING

from .agent import add_patience, client_errors, network_of
from .failure import CommandError
from .given import STDIN, add_secret, read_secret
from .terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from strongdm_auth.client import Credentials

    from .pending import Pending

_CODE = re.compile(r"[A-Z0-9]{4}-?[A-Z0-9]{4}", re.IGNORECASE)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "enrollment", nargs="?", metavar="ENROLLMENT_ID", help="default: the only one that is under way"
    )
    add_secret(parser, "code", "the code from the mail, or the agent's enrollment token", default="standard input")
    add_patience(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Bring the code, keep the credentials."""
    from strongdm_auth.client import Enrollment, Registration

    from .pending import Pending

    if arguments.enrollment is not None and _CODE.fullmatch(arguments.enrollment):
        raise CommandError(
            "the code does not go on the command line, where other users can read it; give it on standard input",
            status=2,
        )
    with client_errors():
        pending = Pending.load(arguments.enrollment)
        code = _code(arguments)
        registration = Registration(pending.issuer, network=network_of(arguments))
        if pending.poll_token is None:
            credentials = registration.activate(code)
        else:
            enrollment = Enrollment(enrollment_id=pending.enrollment_id, poll_token=pending.poll_token)
            credentials = registration.confirm(enrollment, code)
        place = _keep(credentials, pending)
    if arguments.json:
        terminal.json(
            {
                "client_id": credentials.client_id,
                "issuer": credentials.issuer,
                "realm": credentials.realm,
                "scopes": list(credentials.scopes),
                "file": str(place),
            }
        )
        return 0
    rows = [("client", credentials.client_id), ("issuer", credentials.issuer)]
    rows += [
        ("scopes", " ".join(credentials.scopes) or "none"),
        ("kept in", f"{place} (0600; the secret is there only)"),
    ]
    terminal.rows(rows, indent=0)
    terminal.line()
    terminal.line("Then: strongdm-auth call GET https://api.example.com/things")
    return 0


def _code(arguments: argparse.Namespace) -> str:
    if arguments.code_file is None and arguments.code_env is None and sys.stdin.isatty():
        sys.stderr.write("Code: ")
        sys.stderr.flush()
        return sys.stdin.readline().strip()
    return read_secret(arguments, "code", default=STDIN) or ""


def _keep(credentials: Credentials, pending: Pending) -> Path:
    """Save them; where that fails, beside what was kept of the registration: the secret does not come a second time."""
    from strongdm_auth.client.errors import ClientError

    try:
        place = credentials.save()
    except (ClientError, OSError, ValueError) as fault:
        beside = pending.save().parent
        place = credentials.save(folder=beside)
        raise CommandError(f"{fault}; the credentials of {credentials.client_id} are in {place}") from None
    pending.remove()
    return place
