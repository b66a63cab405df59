"""Requirements only ever tighten, and the bounded memory is bounded, whatever they are made of."""

import json
from typing import Any

import hypothesis
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from strongdm_auth import AccessToken, Delegation, Requirement, StrongDMAuthError
from strongdm_auth.memo import Memo
from strongdm_auth.tokens import read_actors
from tests.conftest import NOW

from .world import issuer_of

STATUSES = {400, 401, 403, 503}
many = hypothesis.settings(max_examples=200, suppress_health_check=list(HealthCheck))

_NAMES = st.sampled_from(["a", "b", "c"])
_DELEGATIONS = st.builds(
    Delegation,
    forbid=st.booleans(),
    required=st.booleans(),
    max_depth=st.integers(1, 3),
    allowed_actors=st.none() | st.lists(st.sampled_from(["x", "x*", "y", "*"]), max_size=2),
    allowed_subjects=st.none() | st.lists(st.sampled_from(["agent", "a*", "z"]), max_size=2),
)
REQUIREMENTS = st.builds(
    Requirement,
    scopes=st.sets(_NAMES, max_size=2),
    any_scope=st.lists(st.sets(_NAMES, min_size=1, max_size=2), max_size=2),
    dpop=st.booleans(),
    introspect=st.just(False),
    realms=st.none() | st.sets(st.sampled_from(["alpha", "beta"]), max_size=2),
    delegation=st.none() | _DELEGATIONS,
    acr=st.none() | st.lists(st.sampled_from(["low", "high"]), max_size=2),
    max_age=st.none() | st.integers(0, 1_000),
    optional=st.booleans(),
)
_ACTORS = st.lists(st.sampled_from(["x", "xy", "y"]), max_size=4)
TOKENS = st.builds(
    lambda scopes, realm, bound, actors, acr, auth_time: _access_token(scopes, realm, bound, actors, acr, auth_time),
    st.sets(_NAMES),
    st.sampled_from(["alpha", "beta", None]),
    st.booleans(),
    _ACTORS,
    st.sampled_from(["low", "high", None, 7]),
    st.sampled_from([None, NOW, NOW - 500, NOW - 5_000, "x", True]),
)


def _access_token(
    scopes: set[str], realm: str | None, bound: bool, actors: list[str], acr: Any, auth_time: Any
) -> AccessToken:
    act: Any = None
    for name in reversed(actors):
        act = {"sub": name, **({"act": act} if act else {})}
    chain = read_actors(act)
    return AccessToken(
        subject="agent",
        issuer=issuer_of(realm),
        realm=realm,
        scopes=frozenset(scopes),
        key_thumbprint="t" * 43 if bound else None,
        actor=chain[0] if chain else None,
        delegation=chain,
        _payload=json.dumps({"acr": acr, "auth_time": auth_time}),
    )


def _accepts(requirement: Requirement, token: AccessToken) -> bool:
    try:
        requirement.check(token, NOW, 30)
    except StrongDMAuthError as error:
        if error.status_code not in STATUSES:
            raise
        return False
    return True


@many
@given(first=REQUIREMENTS, second=REQUIREMENTS, third=REQUIREMENTS, token=TOKENS)
def test_both_requirements_accept_a_token_only_if_each_does(
    first: Requirement, second: Requirement, third: Requirement, token: AccessToken
) -> None:
    both = first & second
    if _accepts(both, token):
        assert _accepts(first, token)
        assert _accepts(second, token)
    assert _accepts(both, token) == _accepts(second & first, token)
    assert _accepts(both & third, token) == _accepts(first & (second & third), token)
    assert _accepts(first & first, token) == _accepts(first, token)
    assert both.optional == (first.optional and second.optional)
    assert set(both.scope_names()) == {*first.scope_names(), *second.scope_names()}


@many
@given(first=REQUIREMENTS, second=REQUIREMENTS, token=TOKENS)
def test_both_requirements_refuse_no_token_that_each_accepts(
    first: Requirement, second: Requirement, token: AccessToken
) -> None:
    if _accepts(first, token) and _accepts(second, token):
        assert _accepts(first & second, token)


# The memory for what can be worked out again


@given(
    capacity=st.integers(1, 12),
    steps=st.lists(st.tuples(st.sampled_from(["put", "get"]), st.integers(0, 30)), max_size=80),
)
def test_a_memo_never_exceeds_its_capacity_and_never_lies(capacity: int, steps: list[tuple[str, int]]) -> None:
    memo: Memo[int, str] = Memo(capacity)
    for step, number in steps:
        if step == "put":
            memo.put(number, str(number))
        else:
            assert memo.get(number) in (None, str(number))
        assert len(memo) <= capacity


@given(
    capacity=st.integers(1, 40),
    steps=st.lists(st.tuples(st.sampled_from(["put", "get"]), st.integers(0, 60)), max_size=200),
)
def test_a_memo_keeps_what_was_used_last(capacity: int, steps: list[tuple[str, int]]) -> None:
    memo: Memo[int, int] = Memo(capacity)
    used: list[int] = []
    for step, number in steps:
        if step == "put":
            memo.put(number, number)
        if step == "put" or memo.get(number) is not None:
            used = [*(each for each in used if each != number), number][-capacity:]
    assert {number for number in range(61) if memo.get(number) is not None} == set(used)
