"""Does a request cost more when there are many agents? Tokens and client keys by the thousand, all of them active.

Every agent has a token and a DPoP key of its own and was seen once; then requests come from agents drawn at random. The
clock of the verifier stands still, so that proofs can be made beforehand. Two lines: a bearer token seen before, and a
DPoP request.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from strongdm_auth import Request, Verifier

from . import ours
from .minting import Client
from .record import Figure, Row
from .targets import BY_KEY
from .timing import WARM, Batch, Contender, measure
from .world import URL, World, bearer, bound

FULL = (1, 100, 10_000, 100_000)
QUICK = (1, 100, 2_000)
_BATCH = 50


@dataclass(frozen=True)
class _Agent:
    token: str
    client: Client | None

    def headers(self, now: float) -> dict[str, str]:
        """One request's, with a fresh proof if the token is bound."""
        if self.client is None:
            return bearer(self.token)
        return bound(self.token, self.client.proof("GET", URL, self.token, iat=int(now)))


def row(world: World, *, sizes: Sequence[int], rounds: int) -> Row:
    """The cost at each size, all sizes in turns; the row's figure is the last over the first."""
    bearer_cost = _line(world, sizes, rounds, dpop=False)
    dpop_cost = _line(world, sizes, rounds, dpop=True)
    target = BY_KEY["growth"]
    label = f"{sizes[-1]:,}"
    figures = [
        Figure(f"DPoP, {label} tokens and keys", dpop_cost[-1] / dpop_cost[0], "rel", limit=target.limit),
        Figure(f"Bearer, {label} tokens", bearer_cost[-1] / bearer_cost[0], "rel", limit=target.limit),
    ]
    series = {"sizes": list(sizes), "bearer_us": bearer_cost, "dpop_us": dpop_cost}
    return Row("growth", target.operation, figures, reference=target.reference, series=series)


def _line(world: World, sizes: Sequence[int], rounds: int, *, dpop: bool) -> list[float]:
    now = time.time()
    draws = (rounds + WARM) * _BATCH
    contenders = [_population(world, size, now, dpop=dpop, draws=draws) for size in sizes]
    samples = measure(contenders, rounds=rounds, batch=_BATCH)
    return [samples[contender.name].median * 1e6 for contender in contenders]


def _population(world: World, size: int, now: float, *, dpop: bool, draws: int) -> Contender:
    """A verifier that has seen `size` agents, and requests of agents drawn at random, the same one again only by chance."""
    verifier = Verifier(clock=lambda: now, **ours.settings(world))
    drawn = [random.randrange(size) for _ in range(draws)]
    wanted, agents = set(drawn), {}
    for number in range(size):
        client = Client() if dpop else None
        agent = _Agent(world.token("ES256", client, at=now), client)
        verifier.authenticate(Request("GET", URL, agent.headers(now)))
        if number in wanted:
            agents[number] = agent
    return Contender(f"{size}", _requests(verifier, iter([agents[number] for number in drawn]), now))


def _requests(verifier: Verifier, coming: Iterator[_Agent], now: float) -> Callable[[int], Batch]:
    def prepare(count: int) -> Batch:
        inputs = [agent.headers(now) for agent in islice(coming, count)]

        def run() -> None:
            for one in inputs:
                verifier.authenticate(Request("GET", URL, one))

        return run

    return prepare
