"""`AccessToken` and what stands for one: values that can be asked, and changed by nobody."""

import copy
import pickle
from typing import Any

import pytest

from strongdm_auth import AccessToken
from strongdm_auth.tokens import ANONYMOUS, NOBODY, Claims, Items, Principal

TOKEN = AccessToken(
    subject="agent",
    issuer="https://id.example.com",
    scopes=frozenset({"read", "write"}),
    _payload='{"sub": "agent", "groups": ["a", {"b": [1]}]}',
)


def test_what_is_not_said_is_not_so() -> None:
    bare = AccessToken(subject=None, issuer="https://id.example.com")
    assert (bare.realm, bare.client_id, bare.expires_at, bare.issued_at, bare.token_id) == (None,) * 5
    assert (bare.scopes, bare.audience, bare.delegation, dict(bare)) == (frozenset(), (), (), {})
    assert (bare.key_thumbprint, bare.actor, bare.introspected) == (None, None, False)


def test_scopes_can_be_asked_for_all_or_for_any() -> None:
    assert TOKEN.has_scopes()
    assert TOKEN.has_scopes("read", "write")
    assert not TOKEN.has_scopes("read", "admin")
    assert TOKEN.has_any_scope("admin", "write")
    assert not TOKEN.has_any_scope("admin")
    assert not TOKEN.has_any_scope()


def test_a_token_reads_as_its_claims() -> None:
    assert (TOKEN["sub"], list(TOKEN), len(TOKEN), "groups" in TOKEN) == ("agent", ["sub", "groups"], 2, True)
    assert bool(AccessToken(subject=None, issuer="x")), "one without claims is a token all the same"
    assert TOKEN.claims is TOKEN.claims


def test_tokens_are_equal_by_what_they_say() -> None:
    other = AccessToken(subject="agent", issuer="https://id.example.com", _payload='{"sub": "x"}')
    again = pickle.loads(pickle.dumps(TOKEN))
    assert (again, hash(again)) == (TOKEN, hash(TOKEN))
    assert other != TOKEN
    assert len({TOKEN, again, other}) == 2


CHANGES = {
    "set": lambda claims: claims.__setitem__("x", 1),
    "del": lambda claims: claims.__delitem__("sub"),
    "update": lambda claims: claims.update(x=1),
    "or": lambda claims: claims.__ior__({"x": 1}),
    "pop": lambda claims: claims.pop("sub"),
    "popitem": lambda claims: claims.popitem(),
    "clear": lambda claims: claims.clear(),
    "setdefault": lambda claims: claims.setdefault("x", 1),
    "append": lambda claims: claims["groups"].append(1),
    "extend": lambda claims: claims["groups"].extend([1]),
    "insert": lambda claims: claims["groups"].insert(0, 1),
    "item": lambda claims: claims["groups"].__setitem__(0, 1),
    "del item": lambda claims: claims["groups"].__delitem__(0),
    "add": lambda claims: claims["groups"].__iadd__([1]),
    "times": lambda claims: claims["groups"].__imul__(2),
    "pop item": lambda claims: claims["groups"].pop(),
    "remove": lambda claims: claims["groups"].remove("a"),
    "clear list": lambda claims: claims["groups"].clear(),
    "sort": lambda claims: claims["groups"].sort(),
    "reverse": lambda claims: claims["groups"].reverse(),
    "deep": lambda claims: claims["groups"][1]["b"].append(2),
}


@pytest.mark.parametrize("how", CHANGES)
def test_claims_cannot_be_changed_anywhere(how: str) -> None:
    """One request's view must not alter what the next one reads."""
    with pytest.raises(TypeError, match="read-only"):
        CHANGES[how](TOKEN.claims)
    assert TOKEN.claims == {"sub": "agent", "groups": ["a", {"b": [1]}]}


@pytest.mark.parametrize("made", [copy.copy, copy.deepcopy, dict, lambda claims: pickle.loads(pickle.dumps(claims))])
def test_a_copy_of_claims_is_the_caller_s_own(made: Any) -> None:
    mine = made(TOKEN.claims)
    assert (type(mine), mine) == (dict, TOKEN.claims)
    mine["x"] = 1
    assert "x" not in TOKEN.claims
    assert type(copy.copy(TOKEN.claims["groups"])) is list
    assert (type(TOKEN.claims), type(TOKEN.claims["groups"])) == (Claims, Items)


def test_nobody_is_nobody() -> None:
    assert not ANONYMOUS
    assert ANONYMOUS.scopes == frozenset()
    assert (NOBODY.is_authenticated, NOBODY.identity, NOBODY.display_name) == (False, "", "")
    somebody, nameless = Principal(TOKEN), Principal(AccessToken(subject=None, issuer="x"))
    assert (somebody.is_authenticated, somebody.identity, somebody.display_name) == (True, "agent", "agent")
    assert (nameless.is_authenticated, nameless.identity) == (True, "")


def test_reprs_tell_names_and_no_values() -> None:
    assert repr(TOKEN.claims) == "<Claims ['groups', 'sub']>"
    assert repr(TOKEN) == "<AccessToken subject='agent' issuer='https://id.example.com' scopes=['read', 'write']>"
