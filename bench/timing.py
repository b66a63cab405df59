"""Round-robin timing: contenders take turns in small batches, so that whatever disturbs one disturbs its neighbours.

What is counted is CPU time of the process (all of its threads): a busy machine makes a batch wait, but not work longer.
The garbage collector stays on. Inputs are made by `prepare`, outside the timed part; what they leave behind is moved out
of the collector's way (`gc.freeze`) before the clock starts, as a server's own start-up objects would be.
"""

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Rounds that do not count, at the beginning.
WARM = 2
#: Runs one prepared batch; nothing but this is timed.
Batch = Callable[[], object]


@dataclass(frozen=True)
class Contender:
    """Something that is measured. `prepare(n)` makes the inputs of `n` operations and gives what runs them."""

    name: str
    prepare: Callable[[int], Batch]


@dataclass
class Samples:
    """Seconds an operation, one figure a round."""

    name: str
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def least(self) -> float:
        return min(self.seconds)

    def over(self, floor: "Samples") -> tuple[float, float]:
        """The ratio to the floor: the median of the rounds' own ratios, and the ratio of the two minima."""
        ratios = [mine / its for mine, its in zip(self.seconds, floor.seconds, strict=True)]
        return statistics.median(ratios), self.least / floor.least

    def added_to(self, bare: "Samples") -> tuple[float, float]:
        """Seconds on top of `bare`: the median of the rounds' differences, and the difference of the two minima."""
        differences = [mine - its for mine, its in zip(self.seconds, bare.seconds, strict=True)]
        return statistics.median(differences), self.least - bare.least


def measure(contenders: Sequence[Contender], *, rounds: int, batch: int) -> dict[str, Samples]:
    """Let all contenders run `rounds` batches of `batch` operations in turns; the first `WARM` rounds do not count."""
    samples = {contender.name: Samples(contender.name) for contender in contenders}
    if len(samples) != len(contenders):
        raise ValueError("two contenders have one name")
    batches = [[contender.prepare(batch) for contender in contenders] for _ in range(rounds + WARM)]
    gc.collect()
    gc.freeze()
    try:
        for number, turn in enumerate(batches):
            for offset in range(len(contenders)):  # who goes first changes from round to round
                index = (number + offset) % len(contenders)
                seconds = cpu_seconds(turn[index]) / batch
                if number >= WARM:
                    samples[contenders[index].name].seconds.append(seconds)
    finally:
        gc.unfreeze()
    return samples


def cpu_seconds(run: Batch) -> float:
    """CPU seconds that a batch takes."""
    begin = time.process_time_ns()
    run()
    return (time.process_time_ns() - begin) / 1e9


class Loop:
    """One event loop for all asynchronous contenders; a batch is one `run_until_complete`, some 0.5 us an operation."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()

    def batch(self, call: Callable[[Any], Awaitable[object]], inputs: Sequence[Any]) -> Batch:
        """A batch that awaits `call(x)` for every input, one after the other."""

        async def run() -> None:
            for one in inputs:
                await call(one)

        return lambda: self._loop.run_until_complete(run())

    def run(self, awaitable: Any) -> Any:
        """Await one thing now, outside of any timing."""
        return self._loop.run_until_complete(awaitable)

    def close(self) -> None:
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()
