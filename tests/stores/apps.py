"""The example apps, as servers with several workers load them; every answer says which process it comes from.

    gunicorn 'tests.stores.apps:flask()'    uvicorn --factory tests.stores.apps:fastapi    gunicorn 'tests.stores.apps:django()'

The Django app takes its cache from CACHE: a `redis://` URL for Django's own RedisCache, or a file for its DatabaseCache.
"""

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

EXAMPLES = Path(__file__).parents[2] / "examples"
PROCESS = "X-Process"


def flask() -> Callable[..., Any]:
    return _signed_wsgi(_example("flask_app").app)


def fastapi() -> Callable[..., Any]:
    return _signed_asgi(_example("fastapi_app").app)


def django() -> Callable[..., Any]:
    set_up_cache(os.environ["CACHE"])
    return _signed_wsgi(_example("django_app").app)


def set_up_cache(place: str) -> None:
    """The example leaves CACHES and DATABASES to Django's defaults, so these are what is changed here."""
    from django.conf import global_settings

    if "://" in place:
        cache: dict[str, Any] = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": place}
    else:
        cache = {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": "proofs",
            "OPTIONS": {"MAX_ENTRIES": 100_000},
        }
        # Immediate: SQLite makes writers wait for each other. If not, it fails the second one at once.
        options = {"timeout": 20, "transaction_mode": "IMMEDIATE"}
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": place, "OPTIONS": options}
        global_settings.DATABASES = {"default": database}
    global_settings.CACHES = {"default": cache}


def create_cache_table() -> None:
    """Once, before the workers come: `python -c 'from tests.stores import apps; apps.create_cache_table()'`."""
    from django.core.management import call_command

    set_up_cache(os.environ["CACHE"])
    _example("django_app")
    call_command("createcachetable")


def _example(folder: str) -> ModuleType:
    # Django's ROOT_URLCONF is the module's own name, by which it must be found.
    spec = importlib.util.spec_from_file_location(folder, EXAMPLES / folder / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[folder] = module
    spec.loader.exec_module(module)
    return module


def _signed_wsgi(app: Callable[..., Any]) -> Callable[..., Any]:
    def signed(environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, [*headers, (PROCESS, str(os.getpid()))], *more)

        return app(environ, start)

    return signed


def _signed_asgi(app: Callable[..., Any]) -> Callable[..., Any]:
    async def signed(scope: Any, receive: Any, send: Any) -> None:
        async def sign(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (PROCESS.lower().encode(), str(os.getpid()).encode())]
            await send(message)

        await app(scope, receive, sign)

    return signed
