"""`make mutants`: break floors 1 to 3 on purpose, one place at a time, and see whether a test notices. Stands on mutmut.

mutmut changes operators, numbers and names. What matters most here it has no operator for: a check that is taken out. So
there are more: a condition that never or always holds, an `and` or `or` that lost a side, a call for its effect
(`self.check_common(...)`) that is not made. In exchange, words are changed once and not three times, and prose never.
What is mutated and which tests are run stands in pyproject.toml.
"""

import json
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import libcst as cst
import pytest
from mutmut import __main__ as mutmut
from mutmut.configuration import config
from mutmut.mutation import mutators
from mutmut.runners.harness import PytestRunner
from mutmut.state import state
from mutmut.stats import status_by_exit_code
from mutmut.workers import isolation

RESULTS = Path("mutants", "src", "strongdm_auth").absolute()
#: The test file that killed, a line a mutant.
KILLERS = Path("mutants", "killers.txt").absolute()
COLUMNS = ("killed", "survived", "timeout", "no tests")
#: Two words with a space between them were written for people.
PROSE = re.compile(r"[a-z'] [a-z]")


def decided(node: cst.If) -> Iterable[cst.If]:
    """The branch is never taken, or always."""
    test = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    for operator, outcome in ((cst.And(), "False"), (cst.Or(), "True")):
        changed = cst.BooleanOperation(test, operator, cst.Name(outcome))
        yield node.with_changes(test=changed, whitespace_before_test=cst.SimpleWhitespace(" "))


def halved(node: cst.BooleanOperation) -> Iterable[cst.BaseExpression]:
    """One side decides alone."""
    for side in (node.left, node.right):
        yield side.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def uncalled(node: cst.Expr) -> Iterable[cst.Expr]:
    """Nothing is called, where only the effect counts."""
    if isinstance(node.value, cst.Call):
        yield node.with_changes(value=cst.Name("None"))


def reworded(node: cst.SimpleString) -> Iterable[cst.SimpleString]:
    """Another name, key or reason."""
    if not PROSE.search(node.value) and not node.value.startswith('"""'):
        yield node.with_changes(value=f"{node.value[:-1]}XX{node.value[-1]}")


def omitted(node: cst.Call) -> Iterable[cst.Call]:
    """A keyword argument less, so that its default is taken. Without a positional one, a call fails anyhow."""
    for i, argument in enumerate(node.args):
        if argument.keyword is not None:
            yield node.with_changes(args=[*node.args[:i], *node.args[i + 1 :]])


REPLACED = (mutators.operator_string, mutators.operator_arg_removal)
OPERATORS = [
    *(pair for pair in mutators.mutation_operators if pair[1] not in REPLACED),
    (cst.SimpleString, reworded),
    (cst.Call, omitted),
    (cst.If, decided),
    (cst.BooleanOperation, halved),
    (cst.Expr, uncalled),
]


def by_file(tests: Iterable[str]) -> dict[str, list[str]]:
    files: dict[str, list[str]] = {}
    for test in sorted(tests):
        files.setdefault(test.partition("::")[0], []).append(test)
    return files


class Only:
    """A pytest plugin: these tests and no others. As arguments, names such as `test_x[https://[::1]/]` are not understood."""

    def __init__(self, tests: Iterable[str]) -> None:
        self.tests = frozenset(tests)
        self.failed = ""

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self.tests:
            items[:] = [item for item in items if item.nodeid in self.tests]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = report.nodeid.partition("::")[0]


class Runner(PytestRunner):
    """Runs a mutant's tests in parts, those first that killed most for their time: for nearly all mutants one is enough."""

    def __init__(self) -> None:
        super().__init__()
        self.only = Only(())

    def execute_pytest(self, params: list[str], **kwargs: Any) -> int:
        tests = [param for param in params if "::" in param and not param.startswith("-")]
        self.only = Only(tests)
        rest = [param for param in params if param not in self.only.tests]
        return super().execute_pytest([*rest, *by_file(tests)], plugins=[*kwargs.get("plugins", ()), self.only])

    def run_tests(self, *, mutant_name: str | None, tests: Iterable[str]) -> int:
        if mutant_name is None:
            return super().run_tests(mutant_name=None, tests=tests)
        kills = Counter(KILLERS.read_text().split()) if KILLERS.exists() else Counter[str]()
        files = by_file(tests)
        seconds = {file: 0.2 + sum(state().duration_by_test[test] for test in files[file]) for file in files}
        end_after(config().timeout_multiplier * (config().timeout_constant + sum(seconds.values())))
        ordered = sorted(files, key=lambda file: (-kills[file] / seconds[file], seconds[file]))
        parts = [*([file] for file in ordered[:3]), ordered[3:]]
        for part in filter(None, parts):
            outcome = super().run_tests(mutant_name=mutant_name, tests=[test for file in part for test in files[file]])
            if outcome:
                with KILLERS.open("a") as killers:
                    killers.write(f"{self.only.failed}\n")
                return outcome
        return 0


def end_after(seconds: float) -> None:
    """End this process by then. mutmut does so from outside, by a process id that may be somebody else's by that time."""
    signal.signal(signal.SIGALRM, lambda *_: os._exit(36))  # mutmut's code for a timeout
    signal.setitimer(signal.ITIMER_REAL, seconds)


def forget_survivors() -> None:
    """Somebody may have written a test meanwhile. What was killed stays so until its function changes."""
    for path in RESULTS.glob("*.meta"):
        results = json.loads(path.read_text())
        codes = results["exit_code_by_key"]
        results["exit_code_by_key"] = {name: code if code == 1 else None for name, code in codes.items()}
        path.write_text(json.dumps(results))


def report(modules: list[str]) -> None:
    """The score by module, and who was not noticed."""
    missed: list[str] = []
    total: Counter[str] = Counter()
    print(f"\n{'module':<16}" + "".join(f"{column:>10}" for column in COLUMNS))
    for path in sorted(RESULTS.glob("*.meta")):
        module = path.name.removesuffix(".py.meta")
        if not modules or module in modules:
            outcomes = {
                name: status_by_exit_code[code]
                for name, code in json.loads(path.read_text())["exit_code_by_key"].items()
            }
            counts = Counter(outcomes.values())
            total += counts
            missed += [name for name, outcome in outcomes.items() if outcome not in ("killed", "not checked")]
            print(f"{module:<16}" + "".join(f"{counts[column]:>10}" for column in COLUMNS))
    print(f"{'all':<16}" + "".join(f"{total[column]:>10}" for column in COLUMNS))
    if missed:
        print("\nNot noticed (to see one: .venv-mutants/bin/mutmut show NAME):", *missed, sep="\n  ")


def main(modules: list[str]) -> None:
    mutators.mutation_operators[:] = OPERATORS  # type: ignore[index]
    isolation.PytestRunner = Runner  # type: ignore[misc]
    isolation.register_timeout = lambda **_: None
    collect_all = mutmut.collect_source_file_mutation_data

    def collect(**_: object) -> Any:
        mutants, data = collect_all(mutant_names=())
        return [mutant for mutant in mutants if not modules or mutant[1].split(".")[1] in modules], data

    mutmut.collect_source_file_mutation_data = collect
    forget_survivors()
    mutmut.cli(["run"], standalone_mode=False)
    report(modules)


if __name__ == "__main__":
    main([module for module in ",".join(sys.argv[1:]).split(",") if module])
