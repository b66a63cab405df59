"""The application's own word: only True lets in, and a hook that fails lets in nobody."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from strongdm_auth import (
    AccessDenied,
    AccessToken,
    ConfigurationError,
    InsufficientScope,
    Refused,
    Request,
    Requirement,
    StrongDMAuthError,
    TemporarilyUnavailable,
)
from strongdm_auth.errors import REFUSALS
from strongdm_auth.testing import SigningKey
from tests.conftest import request

from .world import World

READ = Requirement(scopes="read")
Hook = Callable[[AccessToken, Request, Requirement], Any]


class OurOwn(AccessDenied):
    """A refusal of the application's making."""


def outcome(world: World, key: SigningKey, hook: Hook | None, kind: str = "sync") -> str:
    """The reason of the refusal, or "let in"."""
    world.publish(key)
    asked = request(world.token(key, scope="read"))
    try:
        if kind == "sync":
            world.verifier(authorize=hook).authorize(asked, READ)
        else:
            asyncio.run(world.async_verifier(authorize=hook).authorize(asked, READ))
    except Refused as refusal:
        return refusal.reason if refusal.scheme == "Bearer" and type(refusal) in REFUSALS else "of no known kind"
    return "let in"


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("answer", [False, None, 0, 1, "yes", [True], object()])
def test_only_true_lets_in(world: World, key: SigningKey, kind: str, answer: object) -> None:
    assert outcome(world, key, lambda *_: answer, kind) == "policy.refused"
    assert outcome(world, key, lambda *_: True, kind) == "let in"


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (InsufficientScope("scope.insufficient"), "scope.insufficient"),
        (TemporarilyUnavailable("keys.busy"), "keys.busy"),
        (OurOwn("delegation.actor"), "policy.refused"),
        (StrongDMAuthError("Not after hours", 403), "policy.refused"),
        (StrongDMAuthError("No", 500), "policy.unavailable"),
        (StrongDMAuthError("No", 200), "policy.refused"),
        (ConfigurationError("wrong"), "policy.unavailable"),
        (KeyError("x"), "policy.unavailable"),
        (TimeoutError(), "policy.unavailable"),
    ],
)
def test_what_it_raises_lets_nobody_in(
    world: World, key: SigningKey, kind: str, raised: Exception, reason: str
) -> None:
    def hook(*_: object) -> bool:
        raise raised

    assert outcome(world, key, hook, kind) == reason


def test_its_own_words_are_the_answer(world: World, key: SigningKey) -> None:
    world.publish(key)

    def hook(*_: object) -> bool:
        raise StrongDMAuthError("Come back tomorrow", 401)

    verifier = world.verifier(authorize=hook)
    with pytest.raises(AccessDenied) as caught:
        verifier.authorize(request(world.token(key)), Requirement())
    assert (caught.value.message, caught.value.status_code) == ("Come back tomorrow", 401)


@pytest.mark.parametrize(
    ("answer", "expected"), [(True, "let in"), (False, "policy.refused"), (None, "policy.refused")]
)
def test_an_event_loop_waits_for_it(world: World, key: SigningKey, answer: Any, expected: str) -> None:
    async def hook(*_: object) -> bool:
        await asyncio.sleep(0)
        return answer  # type: ignore[no-any-return]

    assert outcome(world, key, hook, "async") == expected


class _Awaited:
    async def __call__(self, *_: object) -> bool:
        return True


async def _awaited(*_: object) -> bool:
    return True


@pytest.mark.parametrize("hook", [_awaited, _Awaited()])
def test_a_thread_cannot_wait_and_that_is_said_at_start_up(world: World, hook: Any) -> None:
    with pytest.raises(ConfigurationError, match="coroutine function"):
        world.verifier(authorize=hook)


def test_an_awaitable_out_of_nowhere_lets_nobody_in_and_is_closed(
    world: World, key: SigningKey, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(*given: object) -> Awaitable[bool]:
        return _awaited(*given)

    assert outcome(world, key, hook) == "policy.refused"
    assert [record.levelno for record in caplog.records if "awaitable" in record.message] == [logging.ERROR]


def test_it_is_given_the_token_the_request_and_what_the_route_asks(world: World, key: SigningKey) -> None:
    seen: list[Any] = []

    def hook(*given: object) -> bool:
        seen.extend(given)
        return True

    assert outcome(world, key, hook) == "let in"
    token, asked, requirement = seen
    assert (token.scopes, asked.method, asked.path, requirement) == ({"read"}, "GET", "/things", READ)


def test_it_is_asked_each_time_also_about_a_token_that_is_remembered(world: World, key: SigningKey) -> None:
    world.publish(key)
    answers = [True, False, True]
    verifier = world.verifier(authorize=lambda *_: answers.pop(0))
    asked = request(world.token(key))
    for expected in (True, False, True):
        try:
            verifier.authorize(asked, Requirement())
        except AccessDenied:
            assert not expected
        else:
            assert expected


def test_it_is_not_asked_about_nobody_nor_about_whom_we_refused(world: World, key: SigningKey) -> None:
    world.publish(key)

    def hook(*_: object) -> bool:
        raise AssertionError("asked")

    verifier = world.verifier(authorize=hook)
    assert verifier.authorize(request(), Requirement(optional=True)) is None
    with pytest.raises(InsufficientScope):
        verifier.authorize(request(world.token(key)), Requirement(scopes="x"))


@pytest.mark.parametrize("place", ["tests.hooks:refuse", "tests.hooks.refuse"])
def test_a_setting_may_name_it(world: World, key: SigningKey, place: str) -> None:
    assert outcome(world, key, place) == "policy.refused"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "place", ["tests.hooks:nothing", "tests.nowhere:x", "tests.hooks", ":x", "x", "tests.hooks:EVENTS", 7]
)
@pytest.mark.parametrize("field", ["authorize", "on_event"])
def test_what_is_no_callable_is_a_mistake(world: World, place: Any, field: str) -> None:
    with pytest.raises(ConfigurationError, match=field):
        world.verifier(**{field: place})


def test_a_class_stands_for_what_it_makes(world: World) -> None:
    assert isinstance(world.async_verifier(authorize=_Awaited).settings.authorize, _Awaited)


@pytest.mark.parametrize(("said", "answered"), [(200, 403), (302, 403), (100, 403), (430, 403), (499, 403), (404, 404)])
def test_an_exception_refuses_whatever_status_it_has(world: World, key: SigningKey, said: int, answered: int) -> None:
    """A 200 would let the request through a proxy that asks; a status that nobody knows breaks a server."""
    world.publish(key)

    def hook(*_: object) -> bool:
        raise StrongDMAuthError("No", said)

    with pytest.raises(AccessDenied) as caught:
        world.verifier(authorize=hook).authorize(request(world.token(key)), Requirement())
    assert (caught.value.status_code, caught.value.message) == (answered, "No")
