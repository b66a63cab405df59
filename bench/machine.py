"""What the figures were measured on: one line that stands under every table."""

import importlib.metadata
import os
import platform
import ssl
from pathlib import Path

_PACKAGES = (
    "strongdm-auth",
    "cryptography",
    "joserfc",
    "flask",
    "starlette",
    "fastapi",
    "django",
    "uvicorn",
    "gunicorn",
    "auth0-api-python",
    "auth0-fastapi-api",
    "authgent",
    "masks-client",
    "authlib",
    "pyjwt",
)


def describe() -> dict[str, str]:
    """Processor, Python, packages, and how busy the machine was when the run began."""
    found = {
        "cpu": f"{_processor()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "system": f"{platform.system()} {platform.machine()}",
    }
    if hasattr(os, "getloadavg"):
        found["load when the run began"] = f"{os.getloadavg()[0]:.1f}"
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
