"""The house rules that a machine can hold: who may import whom, who may read a clock, how long a file may be."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import strongdm_auth

SOURCE = Path(strongdm_auth.__file__).parent
PACKAGE = "strongdm_auth"
FLOORS = {
    0: {"errors", "events", "extras", "lazily", "urls", "headers", "memo", "forks", "_version"},
    1: {
        "settings",
        "fields",
        "request",
        "credentials",
        "tokens",
        "delegation",
        "requirement",
        "challenge",
        "routes",
        "metadata",
        "openapi",
        "spiffe",
    },
    2: {
        "jose",
        "issuers",
        "keys",
        "dpop",
        "introspection",
        "replay",
        "revocation",
        "security_events",
        "seal",
        "claims",
        "certificates",
        "needs",
        "policy",
    },
    3: {"flow", "fetching", "asking", "workloads", "receiving", "standing"},
    4: {"http", "audit", "drivers", "verifier", "stores"},
}
#: Floor 5: doors, each below a name of its own; and what is built on top of doors or for them.
TOP = 5
FLOOR_OF = {module: floor for floor, modules in FLOORS.items() for module in modules}
FRAMEWORKS = {
    "flask",
    "werkzeug",
    "starlette",
    "fastapi",
    "django",
    "rest_framework",
    "mcp",
    "pydantic",
    "quart",
    "aiohttp",
}
HTTP_CLIENTS = {"httpx", "httpx2", "httpcore", "requests", "urllib3", "aiohttp"}
CLOCKS = {
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.perf_counter",
    "datetime.now",
    "datetime.utcnow",
    "date.today",
}
MOST_LINES = 400
#: Longer files, each with its reason and its own limit.
LONGER: dict[str, tuple[int, str]] = {}

FILES = sorted(SOURCE.rglob("*.py"))


def _name(file: Path) -> str:
    """The file's place below the package, with dots: `flow`, `testing.issuer`, `` for the package itself."""
    parts = file.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _floor(name: str) -> int:
    return FLOOR_OF.get(name.partition(".")[0], TOP)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def _imports(file: Path, *, type_checking: bool) -> Iterator[str]:
    """Absolute names of the modules a file imports, wherever in it; below TYPE_CHECKING too, if asked."""
    package = [PACKAGE, *file.relative_to(SOURCE).parent.parts]

    def walk(node: ast.AST) -> Iterator[str]:
        if _is_type_checking(node) and not type_checking:
            assert isinstance(node, ast.If)
            for child in node.orelse:
                yield from walk(child)
            return
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            if module == PACKAGE or not node.module:
                yield from (f"{module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            yield from walk(child)

    yield from walk(ast.parse(file.read_text()))


def _ours(file: Path, *, type_checking: bool) -> set[str]:
    """The modules of the package a file imports, named as `_name` does."""
    names = {name.removeprefix(f"{PACKAGE}.") for name in _imports(file, type_checking=type_checking)}
    known = {_name(each) for each in FILES}
    return {name for name in names if name in known and name}


def _roots(file: Path, *, type_checking: bool) -> set[str]:
    return {name.partition(".")[0] for name in _imports(file, type_checking=type_checking)}


def _id(file: Path) -> str:
    return _name(file) or "__init__"


every_file = pytest.mark.parametrize("file", FILES, ids=_id)


def test_every_module_of_the_plan_is_on_a_floor() -> None:
    lower = {_name(file) for file in FILES if _floor(_name(file)) < TOP}
    assert lower >= {"errors", "urls", "settings", "request", "jose", "keys", "flow", "http", "drivers", "verifier"}


@every_file
def test_imports_go_down_only(file: Path) -> None:
    if _name(file) == "":
        assert _ours(file, type_checking=False) <= {"_version", "lazily"}, (
            "the package itself loads nothing until it is asked for"
        )
        return
    above = {name for name in _ours(file, type_checking=True) if _floor(name) > _floor(_name(file))}
    assert above == set()


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {_name(file): _ours(file, type_checking=False) - {_name(file)} for file in FILES if _name(file)}
    lower = {name: names for name, names in graph.items() if _floor(name) < TOP}
    TopologicalSorter(lower).prepare()  # raises CycleError


@every_file
def test_only_http_names_an_http_client(file: Path) -> None:
    name = _name(file)
    if name == "http" or name.partition(".")[0] in {"client", "testing"}:
        return
    assert _roots(file, type_checking=False).isdisjoint(HTTP_CLIENTS)


@every_file
def test_only_jose_names_the_jose_library(file: Path) -> None:
    name = _name(file)
    if name == "jose" or name.partition(".")[0] in {"client", "testing"}:
        return
    libraries = {"joserfc", "cryptography", "jwt", "jose", "authlib"}
    if name == "seal":  # it encrypts, and knows nothing of JOSE
        libraries.remove("cryptography")
    assert _roots(file, type_checking=True).isdisjoint(libraries)


@every_file
def test_no_framework_below_the_doors(file: Path) -> None:
    name = _name(file)
    if name and (
        _floor(name) == TOP or name.startswith("stores.")
    ):  # a store's module names the library it stores with
        return
    assert _roots(file, type_checking=True).isdisjoint(FRAMEWORKS)


DOORS = {"flask", "starlette", "fastapi", "django", "drf", "wsgi", "asgi", "mcp", "forward_auth"}
#: A door may stand on the door below it.
STANDS_ON = {
    "starlette": {"asgi"},
    "fastapi": {"starlette", "asgi"},
    "drf": {"django"},
    "mcp": {"asgi", "starlette"},
    "forward_auth": {"asgi", "wsgi"},
}


@every_file
def test_a_door_imports_no_other_door(file: Path) -> None:
    door = _name(file).partition(".")[0]
    if door not in DOORS:
        return
    others = {name.partition(".")[0] for name in _ours(file, type_checking=False)} & DOORS
    assert others - {door} - STANDS_ON.get(door, set()) == set()


@every_file
def test_no_clock_is_read_below_the_hands(file: Path) -> None:
    if _floor(_name(file)) >= 4:
        return
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            assert ".".join(ast.unparse(node).split(".")[-2:]) not in CLOCKS
        if isinstance(node, ast.ImportFrom):
            assert node.module not in {"time"}


@every_file
def test_no_file_is_too_long_to_read(file: Path) -> None:
    most, _ = LONGER.get(str(file.relative_to(SOURCE)), (MOST_LINES, ""))
    assert len(file.read_text().splitlines()) <= most


def test_no_exception_from_the_length_rule_is_kept_for_nothing() -> None:
    for name in LONGER:
        assert len((SOURCE / name).read_text().splitlines()) > MOST_LINES


@pytest.mark.parametrize(
    "statement", ["import strongdm_auth", "import strongdm_auth.verifier", "from strongdm_auth import *"]
)
def test_importing_loads_no_framework_and_no_http_client(statement: str) -> None:
    if statement.endswith("*"):
        statement = "from strongdm_auth import AsyncVerifier, Request, Requirement, Settings, Verifier"
    code = f"{statement}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert set(done.stdout.split()).isdisjoint({*FRAMEWORKS, *HTTP_CLIENTS, "redis", "opentelemetry", "pytest"})


def test_the_public_names_exist() -> None:
    for name in strongdm_auth.__all__:
        assert getattr(strongdm_auth, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = strongdm_auth.Nonsense
