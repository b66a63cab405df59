"""The rows about verifying: a DPoP request, and access tokens that were never seen, for three algorithms."""

from . import ideal, ours, peers
from .floor import NAME as FLOOR
from .floor import floor
from .minting import Client
from .record import Figure, Row
from .targets import BY_KEY, Target
from .timing import Contender, Loop, Samples, measure
from .world import ALGORITHMS, URL, World, bearer, bound

_THREADS, _LOOP, _HAND = "Verifier", "AsyncVerifier", "by hand"


def rows(world: World, loop: Loop, *, with_peers: bool, rounds: int) -> list[Row]:
    """The first four rows of the table."""
    found = [_dpop(world, loop, with_peers, rounds)]
    return found + [_unseen(world, loop, alg, with_peers, rounds) for alg in ALGORITHMS]


def _dpop(world: World, loop: Loop, with_peers: bool, rounds: int) -> Row:
    """One client, one token that was seen before, a fresh proof for every request; with a replay check where there is one."""
    agent = Client()
    token = world.token("ES256", agent)

    def headers() -> dict[str, str]:
        return bound(token, agent.proof("GET", URL, token))

    trials = peers.trials(lambda module: module.dpop(world, loop)) if with_peers else []
    contenders = [
        floor(agent.key, 480),
        ours.sync(_THREADS, world, headers),
        ours.asynchronous(_LOOP, world, headers, loop),
        ideal.dpop(agent, token, headers),
    ]
    return _row(BY_KEY["dpop"], contenders, trials, rounds)


def _unseen(world: World, loop: Loop, alg: str, with_peers: bool, rounds: int) -> Row:
    """A token of its own for every request: what the first request of each agent costs."""

    def headers() -> dict[str, str]:
        return bearer(world.token(alg))

    trials = peers.trials(lambda module: module.unseen(world, alg, loop)) if with_peers else []
    contenders = [
        floor(world.keys[alg]),
        ours.sync(_THREADS, world, headers),
        ours.asynchronous(_LOOP, world, headers, loop),
        ideal.unseen(world.keys[alg], world.issuer, headers),
    ]
    return _row(BY_KEY[f"unseen-{alg.lower()}"], contenders, trials, rounds)


def _row(target: Target, contenders: list[Contender], trials: list[peers.Trial], rounds: int) -> Row:
    running = [trial.contender for trial in trials if trial.contender is not None]
    samples: dict[str, Samples] = measure([*contenders, *running], rounds=rounds, batch=50)
    base = samples[FLOOR]
    figures = []
    for name, limit in ((_THREADS, target.limit), (_LOOP, None)):
        value, least = samples[name].over(base)
        figures.append(Figure(name, value, "x", least, limit))
    return Row(
        target.key,
        target.operation,
        figures,
        peers.figures(trials, samples, base),
        target.reference,
        samples[_HAND].over(base)[0],
        {"floor_us": base.median * 1e6, "us": {name: one.median * 1e6 for name, one in samples.items()}},
    )
