"""`strongdm-auth explain`: why 401? The request is given to the verifier itself, with the API's settings, and what it says is
laid out check by check, with the answer that the client would get and what to change.

The verifier is a fresh one: it has no keys, no remembered tokens, and a replay store of its own, so that explaining a request
does not use its proof up. `--at` holds it against a moment that is past, such as that of a log line.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .failure import CommandError
from .given import STDIN, add_secret, bare_token, read_headers, read_secret, read_text
from .setting_options import add_settings, read_settings
from .terminal import COLOURS, Painted, Terminal
from .times import read_moment

if TYPE_CHECKING:
    from strongdm_auth import Request

    from .verdict import Verdict


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", metavar="METHOD", help="of the request, such as GET")
    parser.add_argument("url", metavar="URL", help="of the request, absolute, as the API sees it")
    add_secret(parser, "token", "the access token", default="standard input, unless --headers-file is given")
    add_secret(parser, "proof", "the DPoP proof, if there is one")
    parser.add_argument("--scheme", choices=("Bearer", "DPoP"), help="default: DPoP with a proof, else Bearer")
    parser.add_argument("--headers-file", metavar="FILE", help="the request's headers as they were sent, one a line")
    route = parser.add_argument_group("what the route needs")
    route.add_argument("--scope", action="append", default=[], metavar="NAME", help="a scope; all that are given")
    route.add_argument("--any-scope", action="append", default=[], metavar="NAME", help="one of those that are given")
    route.add_argument("--require-dpop", action="store_true", help="a token bound to a key")
    route.add_argument("--introspect", action="store_true", help="the issuer's word that it was not revoked")
    route.add_argument("--acr", action="append", metavar="VALUE", help="an authentication context; one that is given")
    route.add_argument("--max-age", type=int, metavar="SECONDS", help="since the user authenticated")
    parser.add_argument(
        "--use-replay-store", action="store_true", help="ask the API's own store: uses the proof up there"
    )
    parser.add_argument("--at", metavar="TIME", help="as of then: seconds since the epoch or ISO 8601 (default: now)")
    parser.add_argument("--all", action="store_true", help="show the checks, too, that are not asked for here")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_settings(parser)


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Ask the verifier and lay out what it says: 0 let in, 1 refused, 2 it cannot be told."""
    from strongdm_auth import ConfigurationError, Requirement

    from .verdict import Exchanges, judge

    now = read_moment(arguments.at)
    request = _request(arguments)
    exchanges = Exchanges()
    instead: dict[str, object] = {"on_event": exchanges}
    if not arguments.use_replay_store:
        instead["replay_store"] = "memory://"
    try:
        read = read_settings(arguments, **instead)
        requirement = Requirement(
            arguments.scope,
            any_scope=arguments.any_scope,
            dpop=arguments.require_dpop,
            introspect=arguments.introspect,
            acr=arguments.acr,
            max_age=arguments.max_age,
        )
        own_store = not arguments.use_replay_store
        verdict = judge(read.settings, request, requirement, now, exchanges, own_store=own_store)
    except ConfigurationError as error:
        raise CommandError(str(error), status=2) from None
    if arguments.json:
        terminal.json(verdict.document())
    else:
        _show(verdict, terminal, whole=arguments.all)
        if verdict.reason.startswith("dpop.nonce") and "dpop_nonce_secret" not in read.origins:
            terminal.line("  This command knows the API's nonces only by its secret: STRONGDM_DPOP_NONCE_SECRET.")
    return verdict.status


def _request(arguments: argparse.Namespace) -> Request:
    from strongdm_auth import Request

    if not arguments.url.lower().startswith(("http://", "https://")):
        raise CommandError("URL must be absolute, as the client called it: https://api.example.com/things", status=2)
    if arguments.headers_file is not None:
        fields = read_headers(read_text(arguments.headers_file, what="headers"))
        return Request(arguments.method, arguments.url, fields)
    proof = read_secret(arguments, "proof")
    text = read_secret(arguments, "token", default=None if arguments.proof_file == STDIN else STDIN) or ""
    token, named = bare_token(text)
    scheme = arguments.scheme or named or ("DPoP" if proof else "Bearer")
    fields = [("Authorization", f"{scheme} {token}")]
    if proof is not None:
        fields.append(("DPoP", bare_token(proof)[0]))
    return Request(arguments.method, arguments.url, fields)


def _show(verdict: Verdict, terminal: Terminal, *, whole: bool) -> None:
    rows = []
    step = 0
    for line in verdict.lines:
        if line.result == "not asked" and not line.evidence and not whole:
            continue
        number = "" if line.check.step == step else str(line.check.step)
        step = line.check.step
        result = Painted(line.result, COLOURS[line.result])
        rows.append((number, result, line.check.question, line.evidence))
    terminal.rows(rows, indent=0)
    terminal.heading("The answer")
    if verdict.denial is None:
        terminal.line("  ", Painted("The request is let in.", "good"), " What comes back is the view's.")
        terminal.rows(verdict.token_rows())
    else:
        terminal.line("  ", Painted(f"{verdict.denial.status} {verdict.error}", "bad"), f"  (reason {verdict.reason})")
        terminal.rows((f"{name}:", value) for name, value in verdict.denial.headers)
        terminal.line("  ", verdict.denial.body.decode().strip())
    if verdict.advice:
        terminal.heading("What to do")
        for advice in verdict.advice:
            terminal.line("  ", advice)
