"""The peers, each used as its own documentation shows, on the same tokens, proofs and keys.

A peer that is not installed, or that breaks, is an entry with its reason, and never left out. Each module says what its
peer does not check: a figure without that would compare two different things.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bench.record import Peer
from bench.timing import Contender, Loop, Samples
from bench.world import World

#: Module and the name in tables.
ALL = (
    ("auth0", "auth0-api-python"),
    ("masks", "masks-client"),
    ("authgent", "authgent"),
    ("authlib", "Authlib"),
    ("pyjwt", "PyJWT + PyJWKClient"),
    ("joserfc", "joserfc alone"),
)


@dataclass(frozen=True)
class Trial:
    """A peer in one row: what runs, or why it does not; and what it leaves unchecked."""

    name: str
    contender: Contender | None
    note: str = ""


class Module(Protocol):
    """What a peer's module has; a function that is missing, or raises `NotSupported`, means that the peer has no such thing."""

    def unseen(self, world: World, alg: str, loop: Loop) -> tuple[Contender, str]: ...
    def dpop(self, world: World, loop: Loop) -> tuple[Contender, str]: ...


class NotSupported(Exception):
    """The peer cannot do this at all; the text says why."""


def trials(choose: Callable[[Module], tuple[Contender, str]]) -> list[Trial]:
    """Every peer's contender for one row, tried once; or the reason why there is none."""
    found = []
    for module_name, name in ALL:
        try:
            contender, note = choose(importlib.import_module(f"{__name__}.{module_name}"))  # type: ignore[arg-type]
            contender = Contender(name, contender.prepare)
            contender.prepare(3)()
        except NotSupported as reason:
            found.append(Trial(name, None, str(reason)))
        except AttributeError as fault:
            found.append(Trial(name, None, "has none" if fault.name in ("unseen", "dpop") else f"broke: {fault}"))
        except ImportError as fault:
            found.append(Trial(name, None, f"not installed: {fault.name}"))
        except Exception as fault:  # whatever it is: it goes into its cell
            found.append(Trial(name, None, f"broke: {type(fault).__name__}: {fault}"[:120]))
        else:
            found.append(Trial(name, contender, note))
    return found


def figures(found: list[Trial], samples: dict[str, Samples], floor: Samples) -> list[Peer]:
    """What the table says about the peers, fastest first, those without a figure last."""
    peers = []
    for trial in found:
        if trial.contender is None:
            peers.append(Peer(trial.name, note=trial.note))
        else:
            value, least = samples[trial.name].over(floor)
            peers.append(Peer(trial.name, value, least, note=trial.note))
    return sorted(peers, key=lambda peer: (peer.value is None, peer.value))
