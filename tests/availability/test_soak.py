"""The soak of `make soak`, at a fiftieth of its length and with memories a fiftieth as large."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_memory_stops_growing_and_only_agents_are_let_in() -> None:
    command = [sys.executable, "-m", "bench.soak", "--requests", "20000", "--shrink", "50"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "wrong: 0" in done.stdout
