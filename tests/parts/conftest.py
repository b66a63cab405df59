from collections.abc import Iterator

import hypothesis
import pytest

from strongdm_auth.testing import Clock, SigningKey

from .world import World


@pytest.fixture
def world(clock: Clock) -> Iterator[World]:
    world = World(clock)
    yield world
    world.close()


@pytest.fixture
def key() -> SigningKey:
    return SigningKey.generate("EdDSA")


@pytest.fixture
def other_key() -> SigningKey:
    return SigningKey.generate("EdDSA")


#: Nothing is kept between runs, and a busy machine is no failure.
hypothesis.settings.register_profile("parts", database=None, deadline=None)
hypothesis.settings.load_profile("parts")
