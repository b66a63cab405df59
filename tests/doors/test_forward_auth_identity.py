"""What forward-auth tells the upstream: headers that no claim can end, divide or forge."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from strongdm_auth import AccessToken, Actor
from strongdm_auth.dpop import NONCE_RENEWAL
from strongdm_auth.forward_auth import identity
from strongdm_auth.testing import Issuer
from tests.contract import NONCE_SECRET, World
from tests.contract_cases import bearer, bound
from tests.doors.forward_auth_gates import (
    Gates,
)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Issuer(realms=("alpha", "beta", "gamma")).serve() as issuer:
        yield World(issuer)


@pytest.fixture(scope="module")
def make(world: World) -> Iterator[Gates]:
    made = Gates(world)
    yield made
    made.close()


# What the upstream is told


def token(**changed: Any) -> AccessToken:
    made: dict[str, Any] = {"subject": "agent", "issuer": "https://id.example.com/realms/a", "realm": "a"}
    return AccessToken(**{**made, "client_id": "c", "scopes": frozenset({"read", "write"}), **changed})


def told(**changed: Any) -> dict[str, str]:
    return dict(identity.identity(token(**changed)) or ())


def test_identity_headers() -> None:
    assert told() == {
        "X-Auth-Subject": "agent",
        "X-Auth-Issuer": "https://id.example.com/realms/a",
        "X-Auth-Realm": "a",
        "X-Auth-Client": "c",
        "X-Auth-Scopes": "read write",
        "X-Auth-Actor": "",
        "X-Auth-Actor-Issuer": "",
    }
    assert set(dict(identity.identity(None) or ()).values()) == {""}
    assert list(dict(identity.identity(None) or ())) == list(told()), "all of them, so that none of a client's stays"


def test_an_actor_without_a_name_is_not_no_actor_and_one_of_another_issuer_is_told_apart() -> None:
    assert told(actor=Actor(None))["X-Auth-Actor"] == "?"
    assert told(actor=Actor("?"))["X-Auth-Actor"] == "%3F"
    named = told(actor=Actor("cli_a"))
    assert (named["X-Auth-Actor"], named["X-Auth-Actor-Issuer"]) == ("cli_a", "https://id.example.com/realms/a")
    assert told(actor=Actor("cli_a", "https://else.example"))["X-Auth-Actor-Issuer"] == "https://else.example"


@pytest.mark.parametrize(
    "name",
    [
        "root\r\nX-Auth-Scopes: admin",
        "root\nX-Auth-Scopes: admin",
        "root\rX",
        "a\x00b",
        "a b",
        "a,b",
        "a;b",
        'a"b',
        "100%",
        "%0d%0a",
        "m\u00fcller",
        "\u2028",
        "\u010d\u010a",
        "\U0001f600",
        " lead",
        "\x7f\x85",
    ],
    ids=ascii,
)
def test_no_claim_can_end_a_header_or_divide_it(name: str, make: Gates, world: World) -> None:
    made = bearer(subject=name, actor={"sub": name, "iss": name}, claims={"client_id": name, "scope": f"read {name}"})
    for kind in ("asgi", "wsgi"):
        answer = make("traefik", kind).ask("/x", made(world))
        assert answer.status == 200
        for header in ("X-Auth-Subject", "X-Auth-Client", "X-Auth-Actor", "X-Auth-Actor-Issuer"):
            value = answer.header(header) or ""
            assert value.isascii()
            assert value.isprintable()
            assert not set(value) & set(' ,;"')
            assert unquote(value) == name
        scopes = answer.header("X-Auth-Scopes") or ""
        assert (scopes.isascii(), scopes.isprintable()) == (True, True)
        assert not set(scopes) & set(',;"\t')


def test_half_a_character_is_no_500() -> None:
    """JSON can say a lone surrogate, which is no text."""
    assert told(subject="\ud800")["X-Auth-Subject"] == "%ED%A0%80"


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_an_identity_too_long_for_headers_is_refused_and_not_cut(kind: str, make: Gates, world: World) -> None:
    gate = make("nginx", kind)
    assert gate.ask("/x", bearer(subject="s" * 5_000, claims={"client_id": "c"})(world)).status == 200
    answer = gate.ask("/x", bearer(subject="\u00fc" * 1_000, claims={"client_id": "c"})(world))
    assert (answer.status, answer.header("X-Auth-Subject")) == (403, None)


def test_a_renewed_nonce_goes_back(make: Gates, world: World) -> None:
    gate = make(dpop_nonce="required", dpop_nonce_secret=NONCE_SECRET)
    answer = gate.ask("/x", bound(path="/x", nonce=lambda world: world.nonce(NONCE_RENEWAL + 5))(world))
    assert (answer.status, answer.header("Cache-Control")) == (200, "no-store")
    assert answer.header("DPoP-Nonce")
