"""`strongdm-auth inspect`: what is in a token or a DPoP proof. Anybody can make one that says anything: nothing is verified,
and that is said each time."""

from __future__ import annotations

import argparse

from .given import STDIN, add_secret, bare_token, read_secret
from .terminal import Painted, Terminal, Text
from .times import read_moment, when

_UNVERIFIED = "Not verified: anybody could have written this. To have it judged: strongdm-auth explain"
_DATES = ("iat", "nbf", "exp", "auth_time", "updated_at")


def add_options(parser: argparse.ArgumentParser) -> None:
    add_secret(parser, "token", "the token or the proof", default="standard input")
    parser.add_argument("--at", metavar="TIME", help="as of then: seconds since the epoch or ISO 8601 (default: now)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Decode and explain; 0 also for what is odd, 1 where nothing could be decoded."""
    from .decoded import decode
    from .oddities import oddities, shown_header, thumbprint_of_proof

    now = read_moment(arguments.at)
    text = read_secret(arguments, "token", what="token or proof", default=STDIN) or ""
    token, scheme = bare_token(text)
    decoded = decode(token)
    odd, header = oddities(decoded, now, scheme), shown_header(decoded)
    if arguments.json:
        terminal.json(
            {
                "verified": False,
                "kind": decoded.kind,
                "characters": len(token),
                "header": header,
                "claims": decoded.claims,
                "key_thumbprint": decoded.thumbprint or thumbprint_of_proof(decoded),
                "odd": odd,
            }
        )
        return 0 if header is not None else 1
    article = "An" if decoded.kind[0] in "aeo" else "A"
    terminal.line(Painted(f"{article} {decoded.kind}", "strong"), f", {len(token)} characters.")
    terminal.line(Painted(_UNVERIFIED, "doubt"))
    if header is not None:
        terminal.heading("Header")
        terminal.rows((name, _value(value)) for name, value in header.items())
    if decoded.claims is not None:
        terminal.heading("Claims")
        terminal.rows((name, _claim(name, value, now)) for name, value in decoded.claims.items())
        if thumbprint := thumbprint_of_proof(decoded):
            terminal.heading("Key")
            terminal.rows([("thumbprint", thumbprint)])
    terminal.heading("Worth knowing")
    for remark in odd or ["nothing odd"]:
        terminal.line("  ", remark)
    return 0 if header is not None else 1


def _claim(name: str, value: object, now: float) -> Text:
    if name not in _DATES or isinstance(value, bool) or not isinstance(value, (int, float)):
        return _value(value)
    text = f"{_value(value)}  {when(value, now)}"
    return Painted(text, "bad") if name == "exp" and value <= now else text


def _value(value: object) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
