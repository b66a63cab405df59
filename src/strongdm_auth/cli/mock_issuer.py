"""`strongdm-auth mock-issuer`: the local issuer as a process. Nothing is served beyond loopback unless that was asked for in
so many words."""

from __future__ import annotations

import argparse
import ipaddress
import json
import shlex
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from .failure import CommandError
from .terminal import Terminal

if TYPE_CHECKING:
    from strongdm_auth.testing import Client, Issuer, Notice

_BANNER = "strongdm-auth mock-issuer: a local imitation of StrongDM ID. For development only."


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, default=9000, metavar="N", help="port, 0 for a free one (default: 9000)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--realm", action="append", metavar="NAME", help="a realm, may be repeated (default: default)")
    parser.add_argument(
        "--scope",
        action="append",
        metavar="NAME",
        help="a scope on offer, may be repeated (default: openid email admin)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, one object per line")
    parser.add_argument(
        "--unsafe-host", action="store_true", help="listen beyond loopback: anyone who gets there gets tokens"
    )


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Serve until a signal comes."""
    from strongdm_auth.testing import Issuer

    def tell(notice: Notice) -> None:
        terminal.line(json.dumps(asdict(notice)) if arguments.json else str(notice))

    if not arguments.unsafe_host and not _is_loopback(arguments.host):
        raise CommandError(
            f"{arguments.host} is not a loopback address; add --unsafe-host if it must be that", status=2
        )
    try:
        issuer = Issuer(
            realms=arguments.realm or ("default",),
            scopes=arguments.scope or ("openid", "email", "admin"),
            notify=tell,
        )
    except ValueError as error:
        raise CommandError(str(error), status=2) from None
    with _signals() as stop, ExitStack() as serving:
        try:
            serving.enter_context(issuer.serve(arguments.host, arguments.port))
        except OSError as error:
            where = f"{arguments.host} port {arguments.port}"
            raise CommandError(f"cannot listen on {where}: {error.strerror or error}") from None
        _announce(issuer, terminal, as_json=arguments.json)
        stop.wait()
    return 0


def _announce(issuer: Issuer, terminal: Terminal, *, as_json: bool) -> None:
    clients = [issuer.client(f"{realm} agent", issuer.scopes, realm) for realm in issuer.realms]
    if as_json:
        terminal.line(json.dumps(_start_up(issuer, clients)))
        return
    lines = [
        _BANNER,
        "",
        f"Issuer  {issuer.url}",
        *(f"Realm   {issuer.issuer_url(name)}" for name in issuer.realms),
    ]
    for client in clients:
        lines += ["", f"# A client of realm {client.realm}, scopes: {' '.join(client.scopes)}"]
        lines += [f"export {name}={shlex.quote(value)}" for name, value in _environment(issuer, client).items()]
        lines.append('curl -u "$STRONGDM_CLIENT_ID:$STRONGDM_CLIENT_SECRET" -d grant_type=client_credentials \\')
        lines.append(f"  {issuer.issuer_url(client.realm)}/token")
    lines += ["", "Verification codes appear below. Ctrl-C stops."]
    terminal.text("\n".join(lines))


def _environment(issuer: Issuer, client: Client) -> dict[str, str]:
    return {
        "STRONGDM_ISSUER": issuer.issuer_url(client.realm),
        "STRONGDM_CLIENT_ID": client.client_id,
        "STRONGDM_CLIENT_SECRET": client.client_secret,
    }


def _start_up(issuer: Issuer, clients: Sequence[Client]) -> dict[str, object]:
    realms = [
        {
            "name": client.realm,
            "issuer": issuer.issuer_url(client.realm),
            "token_endpoint": f"{issuer.issuer_url(client.realm)}/token",
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "scopes": list(client.scopes),
        }
        for client in clients
    ]
    return {"issuer": issuer.url, "realms": realms, "notice": _BANNER}


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, in the place of what they did before."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
