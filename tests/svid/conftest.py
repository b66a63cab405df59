from collections.abc import Callable, Iterator
from typing import Any

import pytest

from strongdm_auth import AsyncVerifier, Verifier
from strongdm_auth.testing import Clock, SigningKey
from tests.parts.world import World

from .domains import Domain


@pytest.fixture
def world(clock: Clock) -> Iterator[World]:
    world = World(clock)
    world.publish(SigningKey.generate("ES256"))
    yield world
    world.close()


@pytest.fixture
def a(world: World) -> Domain:
    """The trust domain whose workloads the routes of these tests let in."""
    return Domain(world, "a.example")


@pytest.fixture
def b(world: World) -> Domain:
    """Another one that the API knows."""
    return Domain(world, "b.example")


@pytest.fixture
def make(world: World, a: Domain, b: Domain) -> Callable[..., Verifier]:
    """Verifiers that know both domains; keywords change their settings."""

    def made(**settings: Any) -> Verifier:
        return world.verifier(**{"trust_domains": {a.name: a.url, b.name: b.url}} | settings)

    return made


@pytest.fixture
def verifier(make: Callable[..., Verifier]) -> Verifier:
    return make()


@pytest.fixture
def async_verifier(world: World, a: Domain, b: Domain) -> AsyncVerifier:
    return world.async_verifier(trust_domains={a.name: a.url, b.name: b.url})
