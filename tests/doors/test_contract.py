"""The contract table through every door."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest

from strongdm_auth.testing import Issuer
from tests.contract import Answer, Case, Headers, World, frozen_settings
from tests.contract_cases import CASES
from tests.doors import asgi_doors
from tests.doors.django_door import DjangoDoor
from tests.doors.drf_door import DRFDoor
from tests.doors.flask_door import FlaskDoor
from tests.doors.wsgi_door import WSGIDoor


class Door(Protocol):
    def send(self, method: str, path: str, query: str, headers: Headers) -> Answer: ...

    def close(self) -> None: ...


#: A further door is one line here and one file beside this one.
DOORS: dict[str, Callable[[dict[str, Any]], Door]] = {
    "flask": lambda settings: FlaskDoor(settings, asynchronous=False),
    "flask-async": lambda settings: FlaskDoor(settings, asynchronous=True),
    "asgi": asgi_doors.asgi,
    "starlette": asgi_doors.starlette,
    "fastapi": asgi_doors.fastapi,
    "fastapi-installed": asgi_doors.fastapi_installed,
    "wsgi": WSGIDoor,
    "django": lambda settings: DjangoDoor(settings, asynchronous=False),
    "django-async": lambda settings: DjangoDoor(settings, asynchronous=True),
    "drf": DRFDoor,
}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Issuer(realms=("alpha", "beta", "gamma")).serve() as issuer:
        yield World(issuer)


@pytest.fixture(scope="module")
def apps() -> Iterator[dict[tuple[str, str], Door]]:
    apps: dict[tuple[str, str], Door] = {}
    yield apps
    for app in apps.values():
        app.close()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_contract(case: Case, door: str, world: World, apps: dict[tuple[str, str], Door]) -> None:
    settings = world.settings(**case.settings)
    # A case that breaks the issuer needs an app that has not met it yet.
    key = (door, frozen_settings(settings) + (case.name if case.before else ""))
    app = apps.get(key)
    if app is None:
        app = apps[key] = DOORS[door](settings)
    headers = case.send(world)
    for _ in range(case.sent_before):
        app.send(case.method, case.path, case.query, headers)
    if case.before is not None:
        case.before(world, headers)
    try:
        answer = app.send(case.method, case.path, case.query, headers)
    finally:
        world.issuer.heal()
    case.check(answer)
