"""`strongdm-auth doctor`: is this API set up so that it can work? It looks at what the API would look at, from where it runs:
its settings, its issuers and their keys, the two clocks, the replay store; and at what its routes tell a stranger. It changes
nothing but one throw-away entry in the store. No secret is shown."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .findings import Finding, ok, problem, warning
from .setting_options import add_settings, read_settings, shown
from .terminal import Painted, Terminal

if TYPE_CHECKING:
    from strongdm_auth import Settings

_COLOURS = {"ok": "good", "warning": "doubt", "problem": "bad"}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "routes", nargs="*", type=_url, metavar="URL", help="a route of the API: what does it tell a stranger?"
    )
    add_settings(parser)


def _url(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise argparse.ArgumentTypeError("must be a URL such as https://api.example.com/notes")
    return text


def run(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """Look at everything; 1 if there is a problem."""
    from strongdm_auth import ConfigurationError, Settings

    try:
        read = read_settings(arguments)
    except ConfigurationError as error:
        found = [problem("settings", str(error))]
        if arguments.json:
            terminal.json({"ok": False, "settings": [], "findings": [one._asdict() for one in found]})
        else:
            _show(found, terminal)
        return 1
    settings = [
        {"name": name, "value": shown(read.settings, name), "from": read.origins.get(name, "default")}
        for name in Settings.__annotations__
    ]
    found = [*_doubts(read.doubts), *_examined(read.settings, arguments.routes)]
    broken = any(one.level == "problem" for one in found)
    if arguments.json:
        terminal.json({"ok": not broken, "settings": settings, "findings": [one._asdict() for one in found]})
        return int(broken)
    terminal.line(Painted("Settings", "strong"))
    given = [row for row in settings if row["from"] != "default"]
    terminal.rows((row["name"], row["value"], Painted(row["from"], "faint")) for row in [*given, *_main(settings)])
    terminal.line("  (the others have their defaults; --json lists them)")
    terminal.line()
    _show(found, terminal)
    return int(broken)


def _main(settings: list[dict[str, str]]) -> list[dict[str, str]]:
    """The settings that are shown although they have their defaults."""
    names = ("issuer", "realms", "audience", "dpop", "replay_store")
    return [row for row in settings if row["name"] in names and row["from"] == "default"]


def _doubts(doubts: list[str]) -> Iterator[Finding]:
    for doubt in doubts:
        text, _, advice = doubt.partition(". ")
        yield warning("settings", text.rstrip("."), advice.rstrip("."))
    if not doubts:
        yield ok("settings", "nothing contradicts itself, nothing is left open")


def _examined(settings: Settings, routes: list[str]) -> Iterator[Finding]:
    from .issuer_findings import introspection_findings, issuer_findings
    from .route_findings import route_findings
    from .store_findings import store_findings

    yield from issuer_findings(settings)
    yield from introspection_findings(settings)
    yield from store_findings(settings)
    yield from _dpop(settings)
    yield from route_findings(settings, routes)


def _dpop(settings: Settings) -> Iterator[Finding]:
    needs = "every token must be bound" if settings.dpop == "required" else "bound and unbound tokens are let in"
    yield ok(
        "dpop", f"{needs}; a proof counts for {settings.dpop_proof_max_age:g} s, {settings.leeway:g} s ahead at most"
    )
    where = settings.public_url or "what the framework says (its own proxy support)"
    yield ok("dpop", f"htu is compared with {where}")
    if settings.dpop_proof_max_age > 300:
        yield warning("dpop", "a stolen proof counts for long", "Set dpop_proof_max_age to 60")
    if settings.dpop_nonce == "required":
        yield ok("dpop", "a nonce is asked for")


def _show(found: list[Finding], terminal: Terminal) -> None:
    terminal.line(Painted("Findings", "strong"))
    terminal.rows((Painted(one.level, _COLOURS[one.level]), one.topic, one.text) for one in found)
    remedies = [one for one in found if one.advice]
    if remedies:
        terminal.heading("What to do")
        terminal.rows((one.topic, one.advice) for one in remedies)
    problems = sum(one.level == "problem" for one in found)
    doubts = sum(one.level == "warning" for one in found)
    terminal.heading(f"{_count(problems, 'problem')}, {_count(doubts, 'warning')}")


def _count(number: int, name: str) -> str:
    return f"{number or 'no'} {name}{'' if number == 1 else 's'}"
