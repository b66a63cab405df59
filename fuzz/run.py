"""`python -m fuzz.run TARGET FILE...` looks at these inputs again, without atheris; with flags or folders of libFuzzer's, or
with nothing, `python -m fuzz.run TARGET [FLAG...] [FOLDER...]` fuzzes.
"""

import logging
import os
import sys
from pathlib import Path

from .mutator import Mutator
from .targets import NAMES, load

CORPORA = Path(__file__).parent / "corpora"


class _Log(logging.Handler):
    """A log record is one line, and can be made at all."""

    def emit(self, record: logging.LogRecord) -> None:
        assert record.getMessage().isprintable(), record.getMessage()


def main(arguments: list[str]) -> int:
    """Run one target; the exit status is not 0 when something was found."""
    if not arguments or arguments[0] not in NAMES:
        print(f"{__doc__}\ntargets: {', '.join(NAMES)}")
        return 2
    name, *rest = arguments
    for variable in [variable for variable in os.environ if variable.startswith("STRONGDM_")]:
        del os.environ[variable]  # what is set for an app must not matter here
    log = logging.getLogger("strongdm_auth")
    log.propagate = False
    log.addHandler(_Log())
    if rest and all(Path(path).is_file() for path in rest):
        for path in rest:
            load(name).check(Path(path).read_bytes())
            print(f"{path}: nothing found")
        return 0
    fuzz(name, rest)
    return 0


def fuzz(name: str, flags: list[str]) -> None:
    """Hand over to libFuzzer, which ends the process."""
    import atheris

    with atheris.instrument_imports(include=["strongdm_auth"]):
        target = load(name)
    # Looked up at each call: `Setup` puts another function in its place.
    mutator = Mutator(target.HEADS, target.VALUES, lambda data, most: atheris.Mutate(data, most))
    again = f"{sys.executable} -m {__package__}.run {name}"  # how libFuzzer starts this, to merge or to minimise
    atheris.Setup([again, *flags], target.check, custom_mutator=mutator.mutate, custom_crossover=mutator.cross)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
