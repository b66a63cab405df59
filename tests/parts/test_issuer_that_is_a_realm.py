"""`issuer` is one realm's own: it alone is let in. And discovery documents that say less than all."""

import asyncio

import pytest

from strongdm_auth import Verifier
from strongdm_auth.testing import SigningKey
from tests.conftest import request

from .world import ALPHA, DISCOVERY, ISSUER, World, as_json, async_status_of, issuer_of, status_of


@pytest.fixture
def verifier(world: World, key: SigningKey) -> Verifier:
    for realm in ("alpha", "beta", None):
        world.publish(key, realm=realm)
    return world.verifier(issuer=ALPHA, realms=None)


def test_agents_of_the_realm_are_let_in_as_such(world: World, key: SigningKey, verifier: Verifier) -> None:
    token = verifier.authenticate(request(world.token(key)))
    assert (token.issuer, token.realm) == (ALPHA, "alpha")


@pytest.mark.parametrize(
    "issuer",
    [
        *(ISSUER, issuer_of("beta"), f"{ALPHA}/", f"{ALPHA}/realms/alpha", f"{ALPHA}/realms/x", "alpha", ""),
        *(ALPHA.upper(), ALPHA[:-1], ALPHA + "x"),
    ],
)
def test_nobody_else_is_nor_is_anybody_asked(world: World, key: SigningKey, verifier: Verifier, issuer: str) -> None:
    """RFC 9068 4: its base and its siblings are others, and there is nothing below it."""
    assert status_of(verifier, world.token(key, iss=issuer)) == 401
    assert world.calls == []


async def _statuses(world: World, key: SigningKey) -> list[int]:
    verifier = world.async_verifier(issuer=ALPHA, realms=None)
    return [await async_status_of(verifier, world.token(key, realm)) for realm in ("alpha", "beta", None)]


def test_event_loops_see_it_alike(world: World, key: SigningKey) -> None:
    world.publish(key)
    assert asyncio.run(_statuses(world, key)) == [200, 401, 401]


@pytest.mark.parametrize("rest", [{}, {"jwks_uri": None}], ids=str)
def test_a_document_that_does_not_say_where_the_keys_are_leaves_them_where_they_are_by_default(
    world: World, key: SigningKey, rest: dict[str, object]
) -> None:
    world.publish(key)
    world.answers[ALPHA + DISCOVERY] = as_json({"issuer": ALPHA, **rest})
    assert status_of(world.verifier(), world.token(key)) == 200
    assert world.calls == [ALPHA + DISCOVERY, f"{ALPHA}/jwks"]
