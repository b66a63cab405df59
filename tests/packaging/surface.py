"""The public surface, read from the source without importing it: `python -m tests.packaging.surface` writes it down.

What a public module exports is what its `__all__` says; without one, what it defines under a name without an underscore.
What it only imports is not exported (the rule of PEP 561 for typed packages). A class has parameters, methods and attributes,
and those of its bases that have no paragraph of their own here.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"
SNAPSHOT = Path(__file__).with_name("surface.txt")

#: The modules that applications import from. Everything else may change without a word.
PUBLIC = (
    "strongdm_auth",
    "strongdm_auth.asgi",
    "strongdm_auth.cedar",
    "strongdm_auth.client",
    "strongdm_auth.client.httpx2",
    "strongdm_auth.client.requests",
    "strongdm_auth.django",
    "strongdm_auth.drf",
    "strongdm_auth.errors",
    "strongdm_auth.events",
    "strongdm_auth.fastapi",
    "strongdm_auth.flask",
    "strongdm_auth.forward_auth",
    "strongdm_auth.mcp",
    "strongdm_auth.otel",
    "strongdm_auth.starlette",
    "strongdm_auth.stores.redis",
    "strongdm_auth.testing",
    "strongdm_auth.uvicorn",
    "strongdm_auth.wsgi",
)
#: What stands behind `**settings` and `**parts`.
KEYWORDS = (("strongdm_auth.settings", "SettingsKeywords"), ("strongdm_auth.requirement", "RequirementKeywords"))
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Found = tuple[str, ast.stmt]
#: Methods with a protocol's name that are called by whoever uses the class, in words of their own.
_CALLED = {"__init__", "__call__", "__and__", "__getitem__"}


def path_of(module: str) -> Path:
    """The file of a module of ours; of a package, its `__init__.py`."""
    folder = SOURCE.joinpath(*module.split("."))
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")


@cache
def _statements(module: str) -> tuple[ast.stmt, ...]:
    """The top level, with what stands under `if TYPE_CHECKING:` and in a `try:` there."""

    def flat(body: list[ast.stmt]) -> Iterator[ast.stmt]:
        for statement in body:
            yield statement
            if isinstance(statement, ast.If | ast.Try):
                yield from flat(statement.body)

    return tuple(flat(ast.parse(path_of(module).read_text(encoding="utf-8")).body))


def declared(module: str) -> list[str] | None:
    """The module's `__all__`."""
    for statement in _statements(module):
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(statement.value)
            return names
    return None


def _defined(statement: ast.stmt) -> list[str]:
    if isinstance(statement, _Function | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.AnnAssign):
        return [ast.unparse(statement.target)]
    if isinstance(statement, ast.Assign):
        return [node.id for target in statement.targets for node in ast.walk(target) if isinstance(node, ast.Name)]
    return []


def exported(module: str) -> list[str]:
    """The names that a module gives to the world, in order."""
    names = declared(module)
    if names is None:
        names = [name for statement in _statements(module) for name in _defined(statement) if name.isidentifier()]
        names = [name for name in names if not name.startswith("_")]
    return sorted(set(names))


def _absolute(module: str, statement: ast.ImportFrom) -> str:
    parts = module.split(".")
    if path_of(module).name != "__init__.py":
        parts.pop()
    kept = parts[: len(parts) - statement.level + 1] if statement.level else []
    return ".".join([*kept, *filter(None, [statement.module])])


def find(module: str, name: str) -> _Found | None:
    """Where a name that can be read in `module` is defined in this package; None for what is not ours."""
    for statement in _statements(module):
        if name in _defined(statement):
            return module, statement
        if isinstance(statement, ast.ImportFrom):
            origin = _absolute(module, statement)
            if origin.split(".")[0] == "strongdm_auth":
                for alias in statement.names:
                    if (alias.asname or alias.name) == name:
                        return find(origin, alias.name)
    return None


@cache
def _exported() -> list[_Found]:
    """Every definition that has a paragraph of its own."""
    found = [find(module, name) for module in PUBLIC for name in exported(module)]
    return [each for each in found if each is not None]


def _is(function: _Function, decorator: str) -> bool:
    return decorator in map(ast.unparse, function.decorator_list)


def _signature(function: _Function, name: str) -> str:
    word = "async " if isinstance(function, ast.AsyncFunctionDef) else ""
    returns = "" if function.returns is None else f" -> {ast.unparse(function.returns)}"
    return f"{word}{name}({ast.unparse(function.args)}){returns}"


def _members(module: str, found: ast.ClassDef) -> dict[str, str]:
    """Name -> how it is used, with what bases of ours give."""
    members: dict[str, str] = {}
    for base in reversed(found.bases):
        inherited = find(module, ast.unparse(base))
        if inherited not in _exported() and inherited is not None and isinstance(inherited[1], ast.ClassDef):
            members |= _members(inherited[0], inherited[1])
    overloaded = {each.name for each in found.body if isinstance(each, _Function) and _is(each, "overload")}
    for statement in found.body:
        for name in _defined(statement):
            if name.startswith("_") and name not in _CALLED:
                continue
            if not isinstance(statement, _Function):
                members[name] = name if isinstance(statement, ast.Assign) else ast.unparse(statement).split(" =")[0]
            elif _is(statement, "property"):
                members[name] = f"{name}: {statement.returns and ast.unparse(statement.returns)}"
            elif _is(statement, "overload"):
                members[f"{name}, {statement.lineno}"] = _signature(statement, name)
            elif name not in overloaded:
                members[name] = _signature(statement, name)
        if isinstance(statement, _Function) and statement.name == "__init__":
            members |= {name: name for name in _set_on_self(statement) if name not in members}
    return members


def _set_on_self(function: _Function) -> list[str]:
    """The public attributes that `__init__` makes."""
    targets = [target for node in ast.walk(function) if isinstance(node, ast.Assign) for target in node.targets]
    names = [ast.unparse(part) for target in targets for part in ast.walk(target) if isinstance(part, ast.Attribute)]
    own = [name.removeprefix("self.") for name in names if name.startswith("self.")]
    return [name for name in own if name.isidentifier() and not name.startswith("_")]


def _described(module: str, name: str) -> list[str]:
    found = find(module, name)
    if found is None:
        return [f"  {name}"]
    origin, statement = found
    first = next(each for each in PUBLIC if name in exported(each) and find(each, name) == found)
    if first != module:
        return [f"  {name}, of {first}"]
    if isinstance(statement, _Function):
        return [f"  {_signature(statement, name)}"]
    if isinstance(statement, ast.ClassDef):
        bases = f"({', '.join(map(ast.unparse, statement.bases))})" if statement.bases else ""
        return [f"  class {name}{bases}", *sorted(f"    {line}" for line in _members(origin, statement).values())]
    return [f"  {name}"]


def surface() -> str:
    """The whole of it, as text: a module a paragraph."""
    paragraphs = []
    for module in PUBLIC:
        lines = [line for name in exported(module) for line in _described(module, name)]
        paragraphs.append("\n".join([module, *lines]) + "\n")
    for module, name in KEYWORDS:
        found = find(module, name)
        assert found is not None, f"{name} has moved"
        assert isinstance(found[1], ast.ClassDef)
        paragraphs.append("\n".join([name, *(f"  {line}" for line in sorted(_members(*found).values()))]) + "\n")
    return "\n".join(paragraphs)


if __name__ == "__main__":
    SNAPSHOT.write_text(surface(), encoding="utf-8")
