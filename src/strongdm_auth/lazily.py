"""Names of a package that are loaded when first used (PEP 562), so that importing it imports no framework."""

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any


def names_of(
    package: str, homes: Mapping[str, str], namespace: dict[str, Any], public: Iterable[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package; `homes`: public name -> the module of it that it lives in."""

    def load(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = namespace[name] = getattr(import_module(f".{home}", package), name)
        return value

    def listed() -> list[str]:
        return sorted({*namespace, *public})

    return load, listed
