"""The agent that a command speaks for: whose credentials, which key, and how patient it is with the issuer.

Credentials come from a file of their owner's (`--credentials-file`, `--client`, or the only client that is kept), or from
the environment. Those from a file name their issuer, and their secret goes to no other, whatever else is set.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .failure import CommandError

if TYPE_CHECKING:
    from strongdm_auth.client import ClientCredentials, Credentials, DPoPKey, Network

DEFAULT_ISSUER = "https://id.strongdm.ai"


@dataclass(frozen=True, slots=True)
class Agent:
    """Credentials, and the folder that they are kept in; None where they come from elsewhere."""

    credentials: Credentials
    folder: Path | None
    network: Network
    scopes: list[str] | None
    audience: list[str]
    resource: list[str]

    def source(self, key: DPoPKey | None) -> ClientCredentials:
        """A source of its tokens, bound to the key if there is one."""
        return self.credentials.source(
            scopes=self.scopes, audience=self.audience, resource=self.resource, key=key, network=self.network
        )

    def key(self, path: str | None, *, passing: bool) -> DPoPKey:
        """The key: of this file; else the one that is kept beside the credentials, made when first needed.

        `passing`: where there is no such place, one that ends with this command will do.
        """
        from strongdm_auth.client import DPoPKey
        from strongdm_auth.client.credentials import KEY_FILE

        from .dpop import load_key

        if path is not None:
            return load_key(path)
        if self.folder is None:
            if passing:
                return DPoPKey.generate()
            raise CommandError(
                "a token is bound to a key that must be kept: make one with `strongdm-auth dpop keygen FILE`, "
                "and give it with --key-file FILE",
                status=2,
            )
        place = self.folder / KEY_FILE
        if place.exists():
            return load_key(str(place))
        key = DPoPKey.generate()
        key.save(place)
        return key


def add_agent(parser: argparse.ArgumentParser) -> None:
    """Who the agent is, and what its token is for."""
    who = parser.add_argument_group(
        "the agent",
        "Its credentials: --client, --credentials-file, STRONGDM_CLIENT_ID and STRONGDM_CLIENT_SECRET in the environment, "
        "or the only client that `confirm` has kept.",
    )
    either = who.add_mutually_exclusive_group()
    either.add_argument("--client", metavar="CLIENT_ID", help="one that is kept in ~/.config/strongdmid")
    either.add_argument("--credentials-file", metavar="FILE", help="client.json, wherever it is")
    who.add_argument(
        "--issuer", metavar="URL", help=f"for credentials from the environment (default: {DEFAULT_ISSUER})"
    )
    who.add_argument(
        "--key-file", metavar="FILE", help="the key that tokens are bound to (default: kept with the client)"
    )
    what = parser.add_argument_group("the token")
    what.add_argument("--scope", action="append", metavar="NAME", help="a scope, may be repeated (default: all it has)")
    what.add_argument("--audience", action="append", default=[], metavar="NAME", help="the API that it is for")
    what.add_argument("--resource", action="append", default=[], metavar="URL", help="the same, as RFC 8707 has it")
    add_patience(parser)


def add_patience(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--patience", type=float, default=30.0, metavar="SECONDS", help="to wait for a busy issuer (default: 30)"
    )


def network_of(arguments: argparse.Namespace) -> Network:
    """The world, as patient as was asked for."""
    from strongdm_auth.client import Network

    return Network(patience=max(0.0, arguments.patience))


def read_agent(arguments: argparse.Namespace) -> Agent:
    """The agent that was named, or is found.

    Raises:
        CommandError: there is none, more than one, or its file is not safe.
    """
    with client_errors():
        credentials, folder = _credentials(arguments)
    if arguments.issuer is not None and arguments.issuer != credentials.issuer:
        raise CommandError(f"these credentials are for {credentials.issuer}; leave --issuer out", status=2)
    network = network_of(arguments)
    return Agent(credentials, folder, network, arguments.scope, arguments.audience, arguments.resource)


def _credentials(arguments: argparse.Namespace) -> tuple[Credentials, Path | None]:
    from strongdm_auth.client import Credentials
    from strongdm_auth.client.credentials import client_folder

    if arguments.credentials_file is not None:
        return Credentials.load_file(arguments.credentials_file), None
    client_id = arguments.client
    if client_id is None:
        client_id, secret = os.environ.get("STRONGDM_CLIENT_ID"), os.environ.get("STRONGDM_CLIENT_SECRET")
        if client_id and secret:
            issuer = arguments.issuer or os.environ.get("STRONGDM_ISSUER") or DEFAULT_ISSUER
            return Credentials(client_id=client_id, client_secret=secret, issuer=issuer), None
        client_id = client_id or _only_client()
    return Credentials.load(client_id), client_folder(client_id)


def _only_client() -> str:
    from strongdm_auth.client.credentials import FILE

    from .pending import kept_folder

    kept = sorted(file.parent.name for file in kept_folder().glob(f"*/{FILE}"))
    if len(kept) == 1:
        return kept[0]
    if kept:
        raise CommandError(f"there are {len(kept)} clients; name one with --client: {', '.join(kept)}", status=2)
    raise CommandError("there is no client yet; begin with `strongdm-auth register`", status=2)


@contextmanager
def client_errors() -> Iterator[None]:
    """What the client library raises, as a line and a status: 1 the issuer said no, 2 a wrong call or nobody there."""
    from strongdm_auth.client import ClientError, TokenRequestFailed

    try:
        yield
    except TokenRequestFailed as failure:
        text = f"{failure}; it may be asked again in {failure.retry_after:g} s" if failure.retry_after else str(failure)
        raise CommandError(text, status=2 if failure.error == "unreachable" else 1) from None
    except FileNotFoundError as missing:
        raise CommandError(f"there is no {missing.filename}", status=2) from None
    except (ClientError, ValueError) as wrong:
        raise CommandError(str(wrong), status=2) from None
    except OSError as fault:
        raise CommandError(f"{fault.filename}: {fault.strerror}", status=2) from None
