"""The files that are released: the same bytes whoever builds them, whenever; and in them what belongs there, and no more."""

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="hatchling is in the dependency group test, and makes these without a network")
ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: What a checkout holds and a release does not, hidden folders aside.
_LEFT_BEHIND = ("__pycache__", "mutants", "dist", "build", "found", "site", "*.pyc")


def build(tree: Path, out: Path, **environment: str) -> dict[str, Path]:
    """Both distributions of a tree, by suffix; with the backend itself, so that nothing is fetched."""
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(out)]
    done = subprocess.run(command, cwd=tree, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {file.suffix: file for file in out.iterdir()}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this checkout: others may be writing to it."""
    copy = tmp_path_factory.mktemp("tree")
    hidden = [path.name for path in ROOT.iterdir() if path.is_dir() and path.name.startswith(".")]
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*hidden, *_LEFT_BEHIND), dirs_exist_ok=True)
    return copy


@pytest.fixture(scope="module")
def built(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build(tree, tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def contents(built: dict[str, Path]) -> dict[str, bytes]:
    """What is in the wheel."""
    with zipfile.ZipFile(built[".whl"]) as wheel:
        return {name: wheel.read(name) for name in wheel.namelist()}


@pytest.fixture(scope="module")
def metadata(contents: dict[str, bytes]) -> Message:
    (found,) = [content for name, content in contents.items() if name.endswith(".dist-info/METADATA")]
    return Parser().parsestr(found.decode())


def test_elsewhere_and_at_another_time_the_same_bytes_come_out(
    tree: Path, built: dict[str, Path], tmp_path: Path
) -> None:
    other, out = tmp_path / "another name", tmp_path / "out"
    shutil.copytree(tree, other)
    for path in other.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path, (1_000_000_000, 1_000_000_000))
    again = build(other, out, TZ="Asia/Kolkata", LC_ALL="C", PYTHONHASHSEED="1")
    assert {name: file.read_bytes() for name, file in again.items()} == {
        name: file.read_bytes() for name, file in built.items()
    }


def test_the_sdist_builds_the_same_wheel(built: dict[str, Path], tmp_path: Path) -> None:
    with tarfile.open(built[".gz"]) as sdist:
        sdist.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    again = build(unpacked, tmp_path / "out")
    assert again[".whl"].read_bytes() == built[".whl"].read_bytes()


def test_the_wheel_is_the_package_and_nothing_else(tree: Path, contents: dict[str, bytes]) -> None:
    package = {path.relative_to(tree / "src").as_posix() for path in (tree / "src").rglob("*") if path.is_file()}
    about = {name for name in contents if ".dist-info/" in name}
    assert set(contents) - about == package
    assert {name.partition("/")[2] for name in about} == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
    }
    assert "strongdm_auth/py.typed" in package
    assert {Path(name).suffix for name in package} == {".py", ".typed"}


def test_the_sdist_has_what_it_takes_to_test_and_to_read_it(built: dict[str, Path]) -> None:
    with tarfile.open(built[".gz"]) as sdist:
        files = {name.partition("/")[2] for name in sdist.getnames()}
    needed = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md", "Makefile", "PKG-INFO"}
    assert needed <= files
    assert {"src", "tests", "docs", "examples"} <= {name.partition("/")[0] for name in files}
    strange = [name for name in files if name.endswith(".pyc") or name.startswith((".venv", ".git/", "fuzz/found"))]
    assert strange == []


def test_the_metadata_says_what_pyproject_says(metadata: Message, contents: dict[str, bytes]) -> None:
    version: dict[str, str] = {}
    exec(contents["strongdm_auth/_version.py"], version)
    assert metadata["Version"] == version["__version__"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == PROJECT["requires-python"] == ">=3.11"
    assert metadata["Description-Content-Type"] == "text/markdown"
    classifiers = metadata.get_all("Classifier", [])
    assert not [line for line in classifiers if line.startswith("License ::")], "PEP 639: the expression stands alone"
    pythons = [
        line.rpartition(" ")[2] for line in classifiers if line.startswith("Programming Language :: Python :: 3.")
    ]
    assert pythons == ["3.11", "3.12", "3.13", "3.14"]
    assert "Typing :: Typed" in classifiers


def test_the_core_needs_three_packages_and_sets_no_upper_bound(metadata: Message) -> None:
    lines = metadata.get_all("Requires-Dist", [])
    assert sorted(line.partition(">")[0] for line in lines if "extra ==" not in line) == [
        "cachetools",
        "httpx",
        "joserfc",
    ]
    assert not [line for line in lines if has_upper_bound(line)]


def has_upper_bound(line: str) -> bool:
    """Whether a requirement forbids what is not out yet: then one who uses this package waits for us."""
    return any(sign in line.partition(";")[0] for sign in ("<", "==", "~=", "!="))


def test_all_is_every_extra_but_the_demo_s(metadata: Message) -> None:
    lines = [line.partition("; extra == ") for line in metadata.get_all("Requires-Dist", []) if "extra ==" in line]
    of_each: dict[str, set[str]] = {extra: set() for extra in metadata.get_all("Provides-Extra", [])}
    for requirement, _, extra in lines:
        of_each[extra.strip("'\"")].add(requirement)
    every = set().union(*(needed for extra, needed in of_each.items() if extra not in ("all", "demo")))
    assert of_each["all"] == every
