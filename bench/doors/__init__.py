"""What each door adds to a request, in process: the same view bare and behind the door, in turns, no socket between.

Bearer token seen before, so that what is measured is the door and the warm path, not cryptography.
"""

from collections.abc import Callable

from bench.record import Figure, Peer, Row
from bench.targets import BY_KEY
from bench.timing import Contender, Loop, Samples, measure
from bench.world import World


def rows(world: World, loop: Loop, *, with_peers: bool, rounds: int) -> list[Row]:
    """One row a door."""
    from . import asgi, django, fastapi, flask

    return [
        flask.row(world, rounds=rounds),
        asgi.row(world, loop, with_peers=with_peers, rounds=rounds),
        fastapi.row(world, loop, with_peers=with_peers, rounds=rounds),
        django.row(world, rounds=rounds),
    ]


def compared(contenders: list[Contender], rounds: int) -> dict[str, Samples]:
    """All of them in turns; a batch is long beside the cost of starting it."""
    return measure(contenders, rounds=rounds, batch=50)


def added(label: str, samples: Samples, bare: Samples, limit: float | None = None) -> Figure:
    """Microseconds on top of the bare view."""
    value, least = samples.added_to(bare)
    return Figure(label, value * 1e6, "us", least * 1e6, limit)


def peer(name: str, make: Callable[[], Contender], note: str = "") -> tuple[Contender | None, Peer]:
    """A peer's contender, tried once, or the reason why there is none."""
    try:
        contender = make()
        contender.prepare(2)()
    except ImportError as fault:
        return None, Peer(name, unit="us", note=f"not installed: {fault.name}")
    except Exception as fault:  # whatever it is: it goes into its cell
        return None, Peer(name, unit="us", note=f"broke: {type(fault).__name__}: {fault}"[:120])
    return contender, Peer(name, unit="us", note=note)


__all__ = ["BY_KEY", "added", "compared", "peer", "rows"]
