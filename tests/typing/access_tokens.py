"""What a route may rely on: the types of an access token's attributes, and that it cannot be changed."""

from collections.abc import Mapping
from typing import Any, assert_type

from strongdm_auth import AccessToken, Actor


def attributes(token: AccessToken) -> None:
    assert_type(token.subject, str | None)
    assert_type(token.issuer, str)
    assert_type(token.realm, str | None)
    assert_type(token.scopes, frozenset[str])
    assert_type(token.client_id, str | None)
    assert_type(token.audience, tuple[str, ...])
    assert_type(token.expires_at, int | float | None)
    assert_type(token.issued_at, int | float | None)
    assert_type(token.token_id, str | None)
    assert_type(token.key_thumbprint, str | None)
    assert_type(token.introspected, bool)
    assert_type(token.has_scopes("read", "write"), bool)
    assert_type(token.has_any_scope("read", "write"), bool)


def delegation(token: AccessToken) -> None:
    assert_type(token.actor, Actor | None)
    assert_type(token.delegation, tuple[Actor, ...])
    for actor in token.delegation:
        assert_type(actor.subject, str | None)
        assert_type(actor.actor, Actor | None)


def it_reads_as_its_claims(token: AccessToken) -> Mapping[str, Any]:
    assert_type(token["sub"], Any)
    assert_type(list(token), list[str])
    return token


def it_cannot_be_changed(token: AccessToken) -> None:
    token.subject = "somebody else"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    token["sub"] = "somebody else"  # type: ignore[index]  # pyright: ignore[reportIndexIssue]


def a_subject_may_be_missing(token: AccessToken) -> str:
    return token.subject  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


def an_actor_may_be_missing(token: AccessToken) -> str | None:
    return token.actor.subject  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
