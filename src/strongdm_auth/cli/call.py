"""`strongdm-auth call METHOD URL`: curl for agents. It gets a token, signs the request, does what the API asks for (a nonce, a
new token, more scope) and shows on standard error what went over the wire, tokens and secrets shortened; the answer's body
goes to standard output. Redirects are shown and not followed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strongdm_auth._version import __version__

from .agent import add_agent, client_errors, network_of, read_agent
from .failure import CommandError
from .given import MOST_BODY_BYTES, add_secret, bare_token, read_bytes, read_headers, read_secret, read_text
from .terminal import Painted, Terminal

if TYPE_CHECKING:
    from strongdm_auth.client import TokenSource
    from strongdm_auth.client.httpx_auth import AuthFlow


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", metavar="METHOD", help="such as GET")
    parser.add_argument("url", metavar="URL", help="https://..., or http:// on this machine")
    body = parser.add_mutually_exclusive_group()
    body.add_argument("--data", metavar="TEXT", help="the body")
    body.add_argument("--data-file", metavar="FILE", help="the body; - is standard input")
    parser.add_argument("-H", "--header", action="append", default=[], metavar="NAME: VALUE", help="one more header")
    parser.add_argument("--headers-file", metavar="FILE", help="more headers, one a line; their values are not shown")
    parser.add_argument("--bearer", action="store_true", help="send a bearer token, bound to no key")
    add_secret(parser, "token", "a token that somebody else got; with --key-file, if it is bound")
    parser.add_argument(
        "--may-ask-for",
        action="append",
        default=[],
        metavar="SCOPE",
        help="may be asked for if the API says it is missing",
    )
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS", help="for an answer (default: 30)")
    parser.add_argument("--output", metavar="FILE", help="where the body goes, byte for byte")
    add_agent(parser)
    parser.add_argument("--quiet", action="store_true", help="show the body only")
    parser.add_argument("--json", action="store_true", help="print it all as JSON")


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Call: 0 for an answer below 400, 1 for another one, 2 where there is none."""
    from .trace import Trace

    trace = Trace(Terminal(sys.stderr), quiet=arguments.quiet or arguments.json)
    headers, hidden = _headers(arguments)
    body = _body(arguments)
    if body and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json" if _is_json(body) else "application/octet-stream"))
    trace.hide(hidden)
    with client_errors():
        auth = _auth(arguments, trace)
        status, kind, content = _send(auth, arguments, headers, body, trace)
    if arguments.output is not None:
        try:
            Path(arguments.output).write_bytes(content)
        except OSError as fault:
            raise CommandError(f"cannot write {arguments.output}: {fault.strerror or fault}", status=2) from None
    if arguments.json:
        shown = None if arguments.output is not None else _document(content)
        terminal.json({**trace.document(), "status": status, "body": shown})
    elif arguments.output is None:
        _show(content, kind, terminal)
    return 0 if status < 400 else 1


def _auth(arguments: argparse.Namespace, trace: Any) -> AuthFlow:
    from strongdm_auth.client import BearerAuth, DPoPAuth, FixedToken, InsecureURL

    from .dpop import load_key
    from .trace import ToldSource

    given = read_secret(arguments, "token")
    source: TokenSource
    if given is not None:
        key = None if arguments.key_file is None else load_key(arguments.key_file)
        source = FixedToken(bare_token(given)[0], key)
    else:
        agent = read_agent(arguments)
        key = None if arguments.bearer else agent.key(arguments.key_file, passing=True)
        source = agent.source(key)
    told = ToldSource(source, trace, network_of(arguments))
    try:
        if key is None:
            return BearerAuth(told, may_ask_for=arguments.may_ask_for, origins=[arguments.url])
        return DPoPAuth(told, key, may_ask_for=arguments.may_ask_for, origins=[arguments.url])
    except InsecureURL as insecure:
        raise CommandError(str(insecure), status=2) from None


def _send(
    auth: AuthFlow, arguments: argparse.Namespace, headers: list[tuple[str, str]], body: bytes | None, trace: Any
) -> tuple[int, str, bytes]:
    """The last answer: status, media type, body. By the HTTP library that the auth object is made for."""
    library: Any = auth.library
    hooks = {"request": [trace.sent], "response": [trace.answered]}
    headers = [("User-Agent", f"strongdm-auth/{__version__}"), *headers]
    try:
        with (
            library.Client(auth=auth, event_hooks=hooks, timeout=arguments.timeout, follow_redirects=False) as client,
            client.stream(arguments.method, arguments.url, headers=headers, content=body) as response,
        ):
            content = bytearray()
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > MOST_BODY_BYTES:
                    raise CommandError(f"the answer is longer than {MOST_BODY_BYTES} bytes")
            return response.status_code, response.headers.get("Content-Type", ""), bytes(content)
    except library.TransportError as fault:
        # What was refused before it was sent may have a header's value in its text, and that may be a secret.
        text = "" if isinstance(fault, library.ProtocolError) else str(fault)
        raise CommandError(f"no answer from {arguments.url}: {text or type(fault).__name__}", status=2) from None
    except (library.HTTPError, library.InvalidURL, UnicodeError) as fault:
        raise CommandError(f"{arguments.url} cannot be called: {type(fault).__name__}", status=2) from None


def _headers(arguments: argparse.Namespace) -> tuple[list[tuple[str, str]], set[str]]:
    """The headers that were given, and the names of those whose values are not shown."""
    shown = read_headers("\n".join(arguments.header))
    hidden = [] if arguments.headers_file is None else read_headers(read_text(arguments.headers_file, what="headers"))
    if any(name.lower() in ("authorization", "dpop") for name, _ in hidden):
        raise CommandError("Authorization and DPoP are made here; give a token with --token-file", status=2)
    return [*shown, *hidden], {name.lower() for name, _ in hidden}


def _body(arguments: argparse.Namespace) -> bytes | None:
    if arguments.data_file is not None:
        return read_bytes(arguments.data_file, what="body")
    return None if arguments.data is None else str(arguments.data).encode("utf-8", "surrogateescape")


def _is_json(body: bytes) -> bool:
    return _document(body) is not None and body[:1] in (b"{", b"[")


def _document(content: bytes) -> object:
    """A body as JSON has it: its value, or else its text."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return content.decode("utf-8", "replace")


def _show(content: bytes, kind: str, terminal: Terminal) -> None:
    if b"\0" in content:
        terminal.line(Painted(f"{len(content)} bytes of {kind or 'something'}; --output FILE keeps them", "faint"))
        return
    terminal.text(content.decode("utf-8", "surrogateescape"))
