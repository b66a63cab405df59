"""`python -m bench.revocation`: how long until no worker lets in a token that has ended.

Servers with four workers share a Valkey and are asked 200 times a second with one agent's token, evenly over the workers. It
ends by a Security Event Token that is pushed to one of them, or by `Verifier.revoke` in a process beside them. What is
measured is the time from the 202, or from the return of `revoke`, to the last 200 of any worker. Also, what knowing of many
endings costs a request whose token is remembered. Needs what the tests need, and writes nothing.
"""

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from tests.security_events.watch import EVENTS, Watch, ending_by_push, event, token
from tests.stores.conftest import Valkey
from tests.stores.servers import Server
from tests.stores.world import AUDIENCE, PATIENT, open_world

from strongdm_auth import Request, Verifier
from strongdm_auth.testing import Issuer

from .timing import Contender, measure

WORKERS, RATE = 4, 200
#: Entries of the list, for what a request costs.
SIZES = (0, 1, 10_000)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.revocation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| server | by | rounds | median | worst | requests/s |\n|---|---|---|---|---|---|", flush=True)
    for kind in ("gunicorn", "uvicorn"):
        for how in ("push", "revoke"):
            seconds, rate = until_the_last(kind, how, arguments.rounds)
            middle, worst = (f"{1000 * figure:.0f} ms" for figure in (statistics.median(seconds), max(seconds)))
            print(
                f"| {kind}, {WORKERS} workers | {how} | {len(seconds)} | {middle} | {worst} | {rate:.0f} |", flush=True
            )
    print("\n| a request whose token is remembered | median | least |\n|---|---|---|")
    for name, median, least in of_a_request():
        print(f"| {name} | {median:,.0f} ns | {least:,.0f} ns |")
    return 0


def until_the_last(kind: str, how: str, rounds: int) -> tuple[list[float], float]:
    """Seconds of each round, and the requests a second that there were."""

    with tempfile.TemporaryDirectory() as folder, open_world(Path(folder)) as world:
        valkey = Valkey()
        try:
            settings = {"replay_store": valkey.url + PATIENT, "security_events": EVENTS}
            server, issuer = world.serve(kind, WORKERS, **settings), world._issuer
            beside = Verifier(issuer=issuer.url, realms="alpha", audience=AUDIENCE, replay_store=valkey.url)
            with Watch(server, RATE, threads=8).running() as watch:
                watch.took(token(issuer, "warm"), ending(how, server, issuer, beside, "warm"), deadline=20)
                begun, before = time.monotonic(), watch.requests
                found = []
                for number in range(rounds):
                    time.sleep(0.037 * number)  # not always at the same point of the workers' own rhythm
                    compact = token(issuer, f"agent-{number}")
                    end = ending(how, server, issuer, beside, f"agent-{number}", compact)
                    found.append(watch.took(compact, end, deadline=20))
                rate = (watch.requests - before) / (time.monotonic() - begun)
            beside.close()
        finally:
            valkey.kill()
    return found, rate


def ending(
    how: str, server: Server, issuer: Issuer, beside: Verifier, subject: str, compact: str = ""
) -> Callable[[], None]:
    """What ends the token in the one way or the other."""
    if how == "push" or not compact:
        return ending_by_push(server, event(issuer, subject))
    return lambda: beside.revoke(compact)


def of_a_request() -> list[tuple[str, float, float]]:
    """Name, median and least nanoseconds of CPU time: with so many endings known, and the first request after one came."""
    with Issuer(realms=("alpha",)).serve() as issuer:
        contenders, found = [], []
        for entries in SIZES:
            contenders.append(Contender(f"with {entries:,} endings known", warm(issuer, entries)))
        contenders.append(Contender("the first after an ending came", warm(issuer, 1, each_anew=True)))
        for name, samples in measure(contenders, rounds=40, batch=2_000).items():
            found.append((name, 1e9 * samples.median, 1e9 * samples.least))
        return found


def warm(issuer: Issuer, entries: int, *, each_anew: bool = False) -> Callable[[int], Callable[[], object]]:
    """Prepares batches of one remembered token against a verifier that knows of so many endings."""
    verifier = Verifier(issuer=issuer.url, realms="alpha", audience=AUDIENCE)
    request = Request("GET", f"{AUDIENCE}/", {"Authorization": f"Bearer {token(issuer, 'agent')}"})
    names = ({"format": "opaque", "id": f"other-{number}"} for number in range(entries))
    while batch := [name for name, _ in zip(names, range(16), strict=False)]:
        subject = batch[0] if len(batch) == 1 else {"format": "aliases", "identifiers": batch}
        compact = issuer.security_event(subject=subject, realm="alpha", audience=AUDIENCE)
        assert verifier.receive("application/secevent+jwt", compact.encode()).status == 202
    verifier.authenticate(request)
    revocations, authenticate = verifier._server.revocations, verifier.authenticate

    def same(count: int) -> Callable[[], object]:
        def run() -> None:
            for _ in range(count):
                authenticate(request)

        return run

    def anew(count: int) -> Callable[[], object]:
        def run() -> None:
            for _ in range(count):
                revocations.generation += 1
                authenticate(request)

        return run

    return anew if each_anew else same


if __name__ == "__main__":
    sys.exit(main())
