"""`strongdm-auth forward-auth`: answers a proxy that asks who may pass; see `strongdm_auth.forward_auth`."""

from __future__ import annotations

import argparse

from .terminal import Terminal


def add_options(parser: argparse.ArgumentParser) -> None:
    from strongdm_auth.forward_auth.command import add_arguments

    add_arguments(parser)


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:  # noqa: ARG001
    """Serve until told to stop."""
    from strongdm_auth.forward_auth.command import run

    return run(arguments)
