"""`strongdm-auth register`: the first half of becoming a client. A person, the sponsor, gets a code by mail."""

from __future__ import annotations

import argparse
import os

from .agent import DEFAULT_ISSUER, add_patience, client_errors, network_of
from .terminal import Terminal


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--email", required=True, metavar="ADDRESS", help="of the sponsor, who gets a mail")
    parser.add_argument("--name", required=True, help="of the client")
    parser.add_argument("--description", help="what it is for")
    parser.add_argument("--scope", action="append", default=[], metavar="NAME", help="a scope, may be repeated")
    parser.add_argument(
        "--agent", action="store_true", help="enroll an agent: the sponsor passes an enrollment token on"
    )
    parser.add_argument("--issuer", metavar="URL", help=f"default: STRONGDM_ISSUER, else {DEFAULT_ISSUER}")
    add_patience(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Ask, and keep what `confirm` needs."""
    from strongdm_auth.client import Registration

    from .pending import Pending

    issuer = arguments.issuer or os.environ.get("STRONGDM_ISSUER") or DEFAULT_ISSUER
    with client_errors():
        registration = Registration(issuer, network=network_of(arguments))
        if arguments.agent:
            enrollment = registration.enroll(arguments.email, arguments.name, scopes=arguments.scope)
        else:
            enrollment = registration.request(
                arguments.email, arguments.name, description=arguments.description, scopes=arguments.scope
            )
        pending = Pending(enrollment.enrollment_id, issuer, arguments.name, enrollment.poll_token)
        kept = pending.save()
    if arguments.json:
        terminal.json(
            {
                "enrollment_id": enrollment.enrollment_id,
                "issuer": issuer,
                "realm": enrollment.realm,
                "expires_at": enrollment.expires_at,
                "approval_url": enrollment.approval_url,
                "email_sent": enrollment.email_sent,
                "file": str(kept),
            }
        )
        return 0
    rows = [("enrollment", enrollment.enrollment_id), ("issuer", issuer)]
    rows += [("realm", enrollment.realm)] if enrollment.realm else []
    rows += [("expires", enrollment.expires_at)] if enrollment.expires_at else []
    rows += [("approval page", enrollment.approval_url)] if enrollment.approval_url else []
    terminal.rows(rows, indent=0)
    what = "an enrollment token" if arguments.agent else "a code (XXXX-XXXX)"
    terminal.line()
    terminal.line(f"{arguments.email} gets {what}. Then: strongdm-auth confirm")
    return 0
