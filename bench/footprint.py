"""The rows about memory, pauses and start-up: each is measured in a process of its own (see `child`)."""

from . import child
from .record import Figure, Row
from .targets import BY_KEY

#: Modules and what they stand on: what counts is what ours adds.
_IMPORTS = (
    ("strongdm_auth", "pass"),
    ("strongdm_auth.flask", "import flask"),
    ("strongdm_auth.asgi", "pass"),
    ("strongdm_auth.starlette", "import starlette.applications"),
    ("strongdm_auth.fastapi", "import fastapi"),
    ("strongdm_auth.wsgi", "pass"),
    ("strongdm_auth.django", "import django, django.http, django.conf"),
)


def rows(*, quick: bool) -> list[Row]:
    """Replay store, memory, imports."""
    entries = 100_000 if quick else 1_000_000
    return [_replay(entries), _memory(entries), _imports(2 if quick else 9)]


def _replay(entries: int) -> Row:
    target = BY_KEY["replay"]
    found = child.run("replay", entries)
    figures = [
        Figure(f"{entries:,} expiring at once", found["expiring_ms"], "ms", limit=target.limit),
        Figure("while it fills", found["filling_ms"], "ms", limit=target.limit),
    ]
    return Row("replay", target.operation, figures, reference=target.reference)


def _memory(entries: int) -> Row:
    target = BY_KEY["memory"]
    figures = [
        Figure("replay entry", child.run("replay_memory", entries), "B", limit=target.limit),
        Figure("cached token", child.run("token_memory", 20_000), "B", limit=1_536),
    ]
    return Row("memory", target.operation, figures, reference=target.reference)


def _imports(repeats: int) -> Row:
    target = BY_KEY["imports"]
    figures = []
    for module, ground in _IMPORTS:
        bare = child.run("imports", ground, repeats)
        ours = child.run("imports", f"{ground}; import {module}", repeats)
        figures.append(Figure(module, (ours - bare) * 1e3, "ms"))
    return Row("imports", target.operation, figures, reference=target.reference)
