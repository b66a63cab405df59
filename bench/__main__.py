"""`python -m bench`: measure, print the table, and leave it in bench/results, in docs/performance.md and as charts in docs/img.

`--quick`: under a minute, no peers, no servers, nothing written. `--only dpop,flask` measures some groups.
"""

import argparse
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from . import doors, footprint, growth, http_rows, machine, refusals, report, verification
from .record import Row, to_json
from .timing import Loop
from .world import World

HERE = Path(__file__).parent
CHARTS = HERE.parent / "docs" / "img"


def main() -> int:
    """Run what was asked for; the exit status says only whether it could be measured, not whether targets are met."""
    groups = ("verification", "doors", "http", "refusals", "growth", "footprint")
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute: no peers, no servers, nothing written")
    parser.add_argument("--only", metavar="GROUPS", help=f"some of {', '.join(groups)}; nothing is written")
    arguments = parser.parse_args()
    wanted: Sequence[str] = arguments.only.split(",") if arguments.only else groups
    if unknown := set(wanted) - set(groups):
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    warnings.simplefilter("ignore")  # peers deprecate each other, and say so on every call
    found_on = machine.describe()
    rows, whole = measure(wanted, quick=arguments.quick)
    print(report.document(rows, found_on))
    if arguments.quick or arguments.only or not whole:
        return 0 if whole else 1
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "latest.json").write_text(to_json(rows, found_on), encoding="utf-8")
    (HERE / "results" / "latest.md").write_text(report.document(rows, found_on), encoding="utf-8")
    page = CHARTS.parent / "performance.md"
    page.write_text(report.put_into(page.read_text(encoding="utf-8"), rows, found_on), encoding="utf-8")
    from . import charts

    for path in charts.draw(rows, CHARTS):
        print(f"drew {path.relative_to(HERE.parent)}")
    return 0


def measure(wanted: Sequence[str], *, quick: bool) -> tuple[list[Row], bool]:
    """The rows of the groups, and whether all could be measured: a group that breaks costs its own rows only."""
    loop = Loop()
    rounds = 20 if quick else 60
    rows: list[Row] = []
    whole = True
    with World().serve() as world:
        runs: dict[str, Callable[[], list[Row]]] = {
            "verification": lambda: verification.rows(world, loop, with_peers=not quick, rounds=rounds),
            "doors": lambda: doors.rows(world, loop, with_peers=not quick, rounds=rounds),
            "http": lambda: [] if quick else [http_rows.row(world, loop, rounds=20, block=800)],
            "refusals": lambda: [refusals.row(world, rounds=rounds)],
            "growth": lambda: [growth.row(world, sizes=growth.QUICK if quick else growth.FULL, rounds=40)],
            "footprint": lambda: footprint.rows(quick=quick),
        }
        for name in wanted:
            since = time.monotonic()
            try:
                rows += runs[name]()
            except Exception:
                traceback.print_exc()
                whole = False
            print(f"{name}: {time.monotonic() - since:.0f} s", file=sys.stderr, flush=True)
    loop.close()
    return rows, whole


if __name__ == "__main__":
    sys.exit(main())
