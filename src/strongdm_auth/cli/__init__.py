"""The command `strongdm-auth`: tools for whoever builds an API, and for the agents that call it.

Each command is a module with `add_options` and `run`, and an entry in `COMMANDS`; only the one that is called is loaded,
and what is heavy (keys, HTTP) not before it runs. 0 is "fine", 1 "the answer is no" (refused, a problem found), 2 a wrong
call or something that cannot be reached. Secrets never come as arguments (`argv`), and nothing that a token or a server
says reaches the terminal unescaped (`terminal`).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NamedTuple, NoReturn

from strongdm_auth._version import __version__

from .argv import refuse_secrets
from .failure import CommandError
from .terminal import Terminal

__all__ = ["COMMANDS", "CommandError", "main"]


class Command(NamedTuple):
    """One command: what it does in a line, and the module that does it."""

    summary: str
    module: str


#: In the order of `--help`: the agent's way in, then the questions that an API's owner has, then the tools.
COMMANDS: dict[str, Command] = {
    "register": Command("ask the issuer for a client; its sponsor gets a code", "register"),
    "confirm": Command("bring the code, and keep the credentials", "confirm"),
    "token": Command("get an access token, Bearer or bound to a key", "access_token"),
    "call": Command("call an API as an agent: curl for agents", "call"),
    "svid": Command("get a JWT-SVID, the identity of a workload", "svid"),
    "inspect": Command("what is in a token or a proof? verifies nothing", "inspect"),
    "explain": Command("why 401? every check of a request, in order", "explain"),
    "doctor": Command("are settings, issuer, keys, clock and store in order?", "doctor"),
    "dpop": Command("make a DPoP key or a proof, or verify a proof", "dpop"),
    "forward-auth": Command("answer a proxy that asks who may pass (nginx, Traefik, Envoy)", "forward_auth"),
    "mock-issuer": Command("a local imitation of StrongDM ID, for development only", "mock_issuer"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 is fine, 1 the answer is no, 2 a wrong call or nobody there."""
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        refuse_secrets(given)
        arguments = _parser(given).parse_args(given)
        run: Callable[[argparse.Namespace, Terminal], int] = arguments.run
        return run(arguments, Terminal(sys.stdout))
    except CommandError as error:
        Terminal(sys.stderr).line(f"strongdm-auth: {error}")
        return error.status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head` has seen enough; nothing is left to be flushed at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


class _Parser(argparse.ArgumentParser):
    """Does not repeat what it does not understand: it may be a secret, or text that somebody else chose."""

    def error(self, message: str) -> NoReturn:
        what, _, rest = message.partition(": ")
        if what == "unrecognized arguments":
            options = [word.partition("=")[0] for word in rest.split() if word.startswith("-")]
            message = f"{what}: {' '.join(options)}" if options else what
        self.print_usage(sys.stderr)
        Terminal(sys.stderr).line(f"{self.prog}: error: {message}")
        sys.exit(2)


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """All commands, and the options of the one that is called."""
    parser = _Parser(
        prog="strongdm-auth",
        description="Tools for APIs protected by StrongDM ID, and for the agents that call them.",
        epilog="Secrets come from files, standard input or the environment, never as arguments.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    called = next((argument for argument in given if not argument.startswith("-")), None)
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=command.summary,
            description=f"{command.summary[0].upper()}{command.summary[1:]}.",
            allow_abbrev=False,
        )
        if name == called:
            module = import_module(f".{command.module}", __name__)
            module.add_options(subparser)
            subparser.set_defaults(run=module.run)
    return parser
