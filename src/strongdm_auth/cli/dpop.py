"""`strongdm-auth dpop keygen|proof|verify`: a key for DPoP (RFC 9449), a proof by it, and what a server says about a proof.

The key is written to a file that only its owner can read, and is never shown. A proof is no secret: it is good for one
request, for a minute, and only with the token it names.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .failure import CommandError
from .given import STDIN, add_secret, bare_token, read_secret
from .setting_options import FLAGS, add_settings, read_settings
from .terminal import COLOURS, Painted, Terminal
from .times import read_moment

if TYPE_CHECKING:
    from strongdm_auth.client import DPoPKey

#: The settings that proofs are checked by.
_SETTINGS = frozenset({"leeway", "dpop_algorithms", "dpop_proof_max_age", "dpop_nonce", "public_url"})


def add_options(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    keygen = actions.add_parser(
        "keygen", allow_abbrev=False, help="make a key", description="Make a key and keep it in a file (0600)."
    )
    keygen.add_argument("file", metavar="FILE", help="where the key goes; only its owner can read it")
    keygen.add_argument("--alg", default="ES256", help="ES256 (default), ES384, EdDSA, Ed25519, RS256 or PS256")
    keygen.add_argument("--replace", action="store_true", help="replace a key that is there: its tokens are then lost")
    proof = actions.add_parser(
        "proof", allow_abbrev=False, help="make a proof", description="Make a proof for one request and print it."
    )
    proof.add_argument("method", metavar="METHOD")
    proof.add_argument("url", metavar="URL")
    proof.add_argument("--key-file", required=True, metavar="FILE", help="the key (see keygen)")
    add_secret(proof, "token", "the access token that the request carries (for ath)")
    proof.add_argument("--nonce", help="the server's DPoP-Nonce")
    verify = actions.add_parser(
        "verify", allow_abbrev=False, help="verify a proof", description="Hold a proof against a request."
    )
    verify.add_argument("method", metavar="METHOD")
    verify.add_argument("url", metavar="URL")
    add_secret(verify, "proof", "the proof", default="standard input")
    add_secret(verify, "token", "the access token that goes with it (for ath and the key)")
    add_settings(verify, leave_out=frozenset(FLAGS) - _SETTINGS)
    for action, run_it in ((keygen, _keygen), (proof, _proof), (verify, _verify)):
        if action is not keygen:
            action.add_argument("--at", metavar="TIME", help="as of then: seconds since the epoch or ISO 8601")
        action.add_argument("--json", action="store_true", help="print JSON")
        action.set_defaults(action=run_it)


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """One of the three."""
    status: int = arguments.action(arguments, terminal)
    return status


def load_key(path: str) -> DPoPKey:
    """The key in a file of its owner's. Raises CommandError if it is not there, or not safe."""
    from strongdm_auth.client import DPoPKey, UnsafeFile

    try:
        return DPoPKey.load(path)
    except UnsafeFile as unsafe:
        raise CommandError(str(unsafe), status=2) from None
    except OSError as fault:
        raise CommandError(f"cannot read {path}: {fault.strerror or fault}", status=2) from None


def _keygen(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from strongdm_auth.client import DPoPKey

    path = Path(arguments.file)
    if path.exists() and not arguments.replace:
        raise CommandError(f"{path} is there already; add --replace to lose the key in it, and its tokens", status=2)
    try:
        key = DPoPKey.generate(arguments.alg)
        key.save(path)
    except ValueError as wrong:
        raise CommandError(str(wrong), status=2) from None
    except OSError as fault:
        raise CommandError(f"cannot write {path}: {fault.strerror or fault}", status=2) from None
    if arguments.json:
        terminal.json({"file": str(path), "alg": key.alg, "thumbprint": key.thumbprint, "public_jwk": key.public_jwk})
        return 0
    terminal.rows(
        [("file", f"{path} (0600)"), ("alg", key.alg), ("thumbprint", key.thumbprint)],
        indent=0,
    )
    terminal.line("Keep it: tokens that are bound to it are worth nothing without it, and whoever copies it is you.")
    return 0


def _proof(arguments: argparse.Namespace, terminal: Terminal) -> int:
    now = read_moment(arguments.at)
    key = load_key(arguments.key_file)
    token = read_secret(arguments, "token")
    access_token = None if token is None else bare_token(token)[0]
    proof = key.proof(arguments.method, arguments.url, access_token=access_token, nonce=arguments.nonce, now=now)
    if arguments.json:
        terminal.json({"proof": proof, "thumbprint": key.thumbprint})
    else:
        terminal.line(proof)
    return 0


def _verify(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """By the verifier's own rules. That it was used before, no single look can tell."""
    from strongdm_auth import ConfigurationError

    from .proof_verdict import judge_proof

    now = read_moment(arguments.at)
    text = read_secret(arguments, "token")
    token = None if text is None else bare_token(text)[0]
    proof, _ = bare_token(read_secret(arguments, "proof", default=STDIN) or "")
    try:
        settings = read_settings(arguments, replay_store="memory://").settings
        verdict = judge_proof(settings, proof, token, arguments.method, arguments.url, now)
    except ConfigurationError as error:
        raise CommandError(str(error), status=2) from None
    if arguments.json:
        terminal.json(verdict.document())
        return verdict.status
    terminal.rows(
        ((Painted(line.result, COLOURS[line.result]), line.check.question, line.evidence) for line in verdict.lines),
        indent=0,
    )
    terminal.line()
    if verdict.refusal is None:
        terminal.line(Painted("The proof is good", "good"), f", by the key {verdict.thumbprint}.")
        terminal.line("Whether it was used before, only the API's own replay store can tell.")
    else:
        terminal.line(Painted(f"{verdict.refusal.message}.", "bad"), f"  (reason {verdict.refusal.reason})")
        terminal.line(*verdict.advice)
    return verdict.status
