"""`django-cache://ALIAS`: used proofs in Django's caches."""

import tests.doors.django_settings  # noqa: F401  # isort: skip
import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.management import call_command
from django.db import connections
from django.test import override_settings

from strongdm_auth import AsyncVerifier, ConfigurationError, Verifier
from strongdm_auth.django import require_auth
from strongdm_auth.stores.django_cache import DjangoCacheReplayStore
from strongdm_auth.testing import Clock, DPoPKey, Issuer
from tests.conftest import AUDIENCE, URL, request
from tests.contract import World
from tests.doors.django_projects import (  # noqa: F401
    Ask,
    Serve,
    a_project,
    a_world,
    async_view,
    both_servers,
    bound,
    view,
)

NOW = 1_800_000_000.0
BACKENDS = "django.core.cache.backends."


class Silent(LocMemCache):
    """A backend that swallows an outage, as some do."""

    def add(self, *args: Any, **kwargs: Any) -> Any:
        return None


class Down(LocMemCache):
    """A backend whose server is away."""

    def add(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("no cache")


@pytest.fixture
def _caches(tmp_path: Path) -> Iterator[None]:
    backends = {
        "default": f"{BACKENDS}locmem.LocMemCache",
        "database": f"{BACKENDS}db.DatabaseCache",
        "files": f"{BACKENDS}filebased.FileBasedCache",
        "none": f"{BACKENDS}dummy.DummyCache",
        "silent": f"{__name__}.Silent",
        "down": f"{__name__}.Down",
    }
    locations = {"database": "proofs", "files": str(tmp_path / "files")}
    configured = {
        alias: {"BACKEND": backend, "LOCATION": locations.get(alias, alias)} for alias, backend in backends.items()
    }
    with override_settings(CACHES=configured):
        former = connections.databases["default"]["NAME"]
        connections.close_all()
        connections.databases["default"]["NAME"] = str(tmp_path / "cache.sqlite3")
        call_command("createcachetable", verbosity=0)
        yield
        connections.close_all()
        connections.databases["default"]["NAME"] = former
        LocMemCache("default", {}).clear()


remembering = pytest.mark.parametrize("alias", ["default", "database", "files"])


@remembering
@pytest.mark.usefixtures("_caches")
def test_a_key_is_new_once(alias: str) -> None:
    store = DjangoCacheReplayStore(alias)
    answers = [store.first_use(key, "owner", NOW + 90, NOW) for key in (b"a" * 16, b"a" * 16, b"b" * 16)]
    assert answers == [True, False, True]


@remembering
@pytest.mark.usefixtures("_caches")
def test_a_key_is_new_once_in_an_event_loop_too(alias: str) -> None:
    store = DjangoCacheReplayStore(alias)

    async def scenario() -> list[Any]:
        return [await store.first_use(key, "owner", NOW + 90, NOW) for key in (b"c" * 16, b"c" * 16)]  # type: ignore[misc]

    try:
        assert asyncio.run(scenario()) == [True, False]
        assert store.first_use(b"c" * 16, "owner", NOW + 90, NOW) is False
    finally:
        asyncio.run(_close_in_threads())


async def _close_in_threads() -> None:
    from asgiref.sync import sync_to_async

    await sync_to_async(connections.close_all)()


@pytest.mark.parametrize("alias", ["default", "database"])
@pytest.mark.usefixtures("_caches")
def test_of_many_at_once_one_is_the_first(alias: str) -> None:
    store, answers, ready = DjangoCacheReplayStore(alias), [], threading.Barrier(8)

    def ask() -> None:
        ready.wait()
        answers.append(store.first_use(b"d" * 16, "owner", NOW + 90, NOW))
        connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False] * 7 + [True]


@pytest.mark.parametrize(
    ("until", "seconds"), [(NOW + 90, 91), (NOW + 89.01, 91), (NOW + 0.2, 2), (NOW - 5, 2), (NOW + 3600, 3601)]
)
@pytest.mark.usefixtures("_caches")
def test_a_key_is_kept_for_whole_seconds_and_one_more(
    until: float, seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(type(caches["default"]), "add", lambda self, *arguments: asked.append(arguments) or True)
    assert DjangoCacheReplayStore().first_use(b"\x00" * 16, "owner", until, NOW) is True
    assert asked == [("strongdm-auth.proof." + "00" * 16, 1, seconds)]


@pytest.mark.usefixtures("_caches")
def test_a_cache_that_remembers_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="lets every replay through"):
        DjangoCacheReplayStore("none")
    with pytest.raises(ConfigurationError, match="names no cache"):
        DjangoCacheReplayStore("nowhere")
    assert repr(DjangoCacheReplayStore("files")) == "DjangoCacheReplayStore('files')"


@both_servers
@pytest.mark.parametrize("seen_by", [view, async_view])
@pytest.mark.parametrize("from_environment", [False, True])
@pytest.mark.usefixtures("_caches")
def test_the_door_takes_a_cache_by_its_alias(
    from_environment: bool, seen_by: Any, ask: Ask, serve: Serve, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    LocMemCache("default", {}).clear()
    if from_environment:
        monkeypatch.setenv("STRONGDM_REPLAY_STORE", "django-cache://")
    serve({"x": require_auth(seen_by)}, {} if from_environment else {"REPLAY_STORE": "django-cache://default"})
    headers = bound(world, "/x")
    assert [ask("GET", "/x", headers=headers).status for _ in range(2)] == [200, 401]
    serve({"x": require_auth(seen_by)}, {"REPLAY_STORE": "django-cache://default", "LEEWAY": 20})
    assert ask("GET", "/x", headers=headers).status == 401, "another process would know of it as well"


@both_servers
@pytest.mark.parametrize("alias", ["silent", "down"])
@pytest.mark.usefixtures("_caches")
def test_a_cache_that_cannot_answer_is_503(
    alias: str, ask: Ask, serve: Serve, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    serve({"x": require_auth(view)}, {"REPLAY_STORE": f"django-cache://{alias}"})
    answer = ask("GET", "/x", headers=bound(world, "/x"))
    assert (answer.status, answer.header("WWW-Authenticate")) == (503, None)
    assert answer.header("Retry-After")
    caplog.clear()


@pytest.mark.usefixtures("_caches")
def test_verifiers_without_django_take_the_store_as_an_object(issuer: Issuer, clock: Clock) -> None:
    import httpx

    from strongdm_auth import InvalidDPoPProof

    key = DPoPKey.generate()
    settings: Any = {"issuer": issuer.url, "realms": "alpha", "audience": AUDIENCE}
    store = DjangoCacheReplayStore("files")
    verifier = Verifier(client=httpx.Client(transport=issuer.transport()), clock=clock, replay_store=store, **settings)
    token = issuer.token(realm="alpha", audience=AUDIENCE, key=key)
    sent = request(token, key.proof("GET", URL, token, now=clock()))
    assert verifier.authenticate(sent)
    other = AsyncVerifier(
        client=httpx.AsyncClient(transport=issuer.transport()), clock=clock, replay_store=store, **settings
    )
    with pytest.raises(InvalidDPoPProof):
        asyncio.run(other.authenticate(sent))
