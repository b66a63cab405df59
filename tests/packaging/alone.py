"""Run by `nox -s alone` where nothing but the wheel was installed: what came along, and what works without any extra."""

import importlib
import re
import sys
from importlib.metadata import distributions, requires
from pathlib import Path

import httpx

import strongdm_auth
from strongdm_auth import Request, StrongDMAuthError, Verifier
from strongdm_auth.testing import Issuer

#: What an environment has before anything is installed.
BEFORE = {"pip", "setuptools", "wheel"}
DIRECT = {"cachetools", "httpx", "joserfc"}

#: A module that stands on a library which is not among the three -> the projects that it may say are missing.
NEEDS = {
    "cedar": ("cedarpy",),
    "client.httpx2": ("httpx2",),
    "client.requests": ("requests",),
    "django.middleware": ("django",),
    "drf": ("rest_framework",),
    "fastapi": ("fastapi",),
    "flask": ("flask",),
    "mcp": ("mcp",),
    "otel": ("opentelemetry-api",),
    "starlette": ("starlette",),
    "stores.django_cache": ("django",),
    "stores.redis": ("redis",),
    "testing.django": ("django",),
    "testing.drf": ("rest_framework",),
    "testing.flask": ("flask",),
    "testing.starlette": ("starlette",),
}
#: What is no part of the package's own.
WITHOUT_EXTRA = {"client.httpx2", "client.requests"} | {name for name in NEEDS if name.startswith("testing.")}


def canonical(name: str) -> str:
    """A project's name, as names of projects are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def direct_requirements(name: str) -> set[str]:
    """What a distribution asks for without extras."""
    lines = [line for line in requires(name) or () if "extra ==" not in line]
    return {canonical(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in lines}


def closure(name: str, installed: set[str]) -> set[str]:
    """A distribution and all that came for its sake. What is for another Python or another system is not installed."""
    found, waiting = set(), [name]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting.extend(direct_requirements(each) & installed)
    return found


def check_what_came_along() -> None:
    home = Path(strongdm_auth.__file__).resolve()
    assert home.is_relative_to(Path(sys.prefix).resolve()), f"not the wheel: {home}"
    assert (home.parent / "py.typed").is_file()
    assert direct_requirements("strongdm-auth") == DIRECT
    installed = {canonical(found.name) for found in distributions()}
    unasked = installed - closure("strongdm-auth", installed) - BEFORE
    assert unasked == set(), f"came along unasked: {unasked}"


def check_a_token_is_verified() -> None:
    issuer = Issuer(realms=("alpha",))
    client = httpx.Client(transport=issuer.transport())
    verifier = Verifier(issuer=issuer.url, realms=["alpha"], audience="an API", client=client)
    token = issuer.token(subject="agent", realm="alpha", audience="an API")
    request = Request("GET", "https://api.example.com/", {"Authorization": f"Bearer {token}"})
    assert verifier.authenticate(request).subject == "agent"


def check_doors_say_what_is_missing() -> None:
    for module, projects in NEEDS.items():
        try:
            importlib.import_module(f"strongdm_auth.{module}")
        except (ImportError, StrongDMAuthError) as fault:
            said = f"{type(fault).__name__}: {fault}"
            sys.stdout.write(f"{module:18} {said}\n")
            assert any(project in said for project in projects), f"{module} does not name {projects}"
            assert "strongdm-auth[" in said or module in WITHOUT_EXTRA, f"{module} does not say which extra brings it"
        else:
            raise AssertionError(f"strongdm_auth.{module} can be imported without {projects}")


if __name__ == "__main__":
    check_what_came_along()
    check_a_token_is_verified()
    check_doors_say_what_is_missing()
