"""`python -m fuzz [SECONDS_EACH [TARGET...]]`: every target for so long, one after the other, a line for each.

Starts from the kept corpora and from what earlier runs found in `fuzz/found/`, which git ignores; new inputs go there. The
exit status is 1 when something was found.
"""

import re
import subprocess
import sys
import time
from pathlib import Path

from .run import CORPORA
from .targets import NAMES

FOUND = Path(__file__).parent / "found"
#: Characters of an input at the most: a kept one must stay below 4 KB.
MOST_BYTES = 4_000


def main(arguments: list[str]) -> int:
    """Fuzz the targets named, or all."""
    seconds = int(arguments[0]) if arguments else 60
    try:
        import atheris  # noqa: F401
    except ImportError:
        print("atheris is not installed: `make fuzz` sets up an environment that has it")
        return 2
    findings = [name for name in arguments[1:] or NAMES if not fuzz(name, seconds)]
    for name in findings:
        for path in sorted((FOUND / name).glob("finding-*")):
            print(f"found: python -m fuzz.run {name} {path.relative_to(Path.cwd())}")
    return 1 if findings else 0


def fuzz(name: str, seconds: int) -> bool:
    """One target; whether nothing was found."""
    folder, log = FOUND / name, FOUND / f"{name}.log"
    inputs = folder / "inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    flags = [f"-max_total_time={seconds}", f"-max_len={MOST_BYTES}", "-timeout=20", "-rss_limit_mb=2048"]
    flags += ["-print_final_stats=1", f"-artifact_prefix={folder}/finding-"]
    command = [sys.executable, "-m", f"{__package__}.run", name, *flags, str(inputs), str(CORPORA / name)]
    began = time.monotonic()
    with log.open("wb") as output:
        status = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    took = time.monotonic() - began
    told = log.read_text(encoding="utf-8", errors="replace")
    executions = re.search(r"number_of_executed_units: *(\d+)", told)
    corpus = re.findall(r" corp: (\d+)/", told)
    print(
        f"{name:<14} {executions[1] if executions else '?':>9} executions in {took:.0f} s, "
        f"corpus {corpus[-1] if corpus else 0:>4}, {'nothing found' if status == 0 else 'SOMETHING FOUND, see ' + str(log)}",
        flush=True,
    )
    return status == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
