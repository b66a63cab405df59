"""What an import brings along: the package nothing, a door its own framework and no other. In processes of their own."""

import subprocess
import sys

import pytest

FRAMEWORKS = ("flask", "werkzeug", "starlette", "fastapi", "pydantic", "django", "rest_framework", "mcp")
OTHERS = ("httpx2", "redis", "uvicorn", "gunicorn", "pytest", "hypothesis")

#: Makes packages absent, as if they had never been installed, and says at the end what was imported.
_PREAMBLE = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""
_EPILOGUE = """
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def imported_by(code: str, absent: tuple[str, ...] = ()) -> set[str]:
    """The top-level packages that `code` imports, in a fresh interpreter that has none of `absent`."""
    program = _PREAMBLE.format(absent=set(absent)) + code + _EPILOGUE
    command = [sys.executable, "-W", "error", "-c", program]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert process.returncode == 0, process.stderr
    return set(process.stdout.splitlines()[-1].split())


def test_the_package_alone_imports_nothing_but_python_s_own() -> None:
    found = imported_by("import strongdm_auth\ndir(strongdm_auth)")
    assert (
        found & {*FRAMEWORKS, *OTHERS, "opentelemetry", "httpx", "joserfc", "cachetools", "cryptography", "asyncio"}
        == set()
    )


def test_a_verifier_can_be_made_without_any_framework_and_without_the_http_client() -> None:
    code = """
from strongdm_auth import AsyncVerifier, Verifier
Verifier(issuer="http://127.0.0.1:1", realms=["a"], audience="x")
AsyncVerifier(issuer="http://127.0.0.1:1", realms=["a"], audience="x")
"""
    assert "httpx" not in imported_by(code, absent=(*FRAMEWORKS, *OTHERS, "httpx"))


_MIDDLEWARE = """
from strongdm_auth.{door} import StrongDMAuthMiddleware
StrongDMAuthMiddleware(print, protected_routes={{"/x": {{}}}}, issuer="http://127.0.0.1:1", realms=["a"], audience="x")
"""
_CLASS = """
from strongdm_auth.{door} import {name}
{name}(issuer="http://127.0.0.1:1", realms=["a"], audience="x")
"""

#: Door -> what uses it, and the frameworks that it may import.
DOORS: dict[str, tuple[str, set[str]]] = {
    "asgi": (_MIDDLEWARE.format(door="asgi"), set()),
    "wsgi": (_MIDDLEWARE.format(door="wsgi"), set()),
    "flask": (_CLASS.format(door="flask", name="StrongDMAuth"), {"flask", "werkzeug"}),
    "starlette": (_CLASS.format(door="starlette", name="StrongDMAuthBackend"), {"starlette"}),
    "fastapi": (_CLASS.format(door="fastapi", name="StrongDMAuth"), {"fastapi", "starlette", "pydantic"}),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_door_works_where_no_other_framework_is_installed(door: str) -> None:
    code, own = DOORS[door]
    absent = tuple({*FRAMEWORKS, *OTHERS} - own)
    assert imported_by(code, absent) & {*FRAMEWORKS} == own


@pytest.mark.parametrize("door", ["flask", "starlette", "fastapi"])
def test_a_door_imports_no_other_framework_where_all_are_installed(door: str) -> None:
    code, own = DOORS[door]
    assert imported_by(code) & {*FRAMEWORKS} == own


def test_the_short_name_of_the_flask_door_says_what_is_missing_where_flask_is() -> None:
    code = """
import strongdm_auth
try:
    strongdm_auth.StrongDMAuth
except ModuleNotFoundError as missing:
    assert missing.name == "flask", missing
else:
    raise AssertionError
strongdm_auth.Verifier
"""
    assert "flask" not in imported_by(code, absent=("flask",))


def test_the_tools_for_tests_need_no_framework() -> None:
    assert imported_by("import strongdm_auth.testing", absent=(*FRAMEWORKS, "pytest")) & {"httpx"} == set()
