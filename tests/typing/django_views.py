"""Django's views. Django comes without types, so that a request is `Any`; what is ours still keeps a view's signature."""

from collections.abc import Callable
from typing import Any, assert_type

from strongdm_auth import AccessToken, Requirement
from strongdm_auth.django import authorize, public, require, require_all_scopes, require_auth, require_scope
from strongdm_auth.drf import Requires, StrongDMAuthentication, TokenHasScope


class Answer:
    """What Django's `HttpResponse` would be."""


@require_auth
def bare(request: object) -> Answer:
    return Answer()


@require_auth()
def note(request: object, number: int) -> Answer:
    return Answer()


@require_scope("admin", "owner", require_all=True)
async def admin(request: object, name: str) -> Answer:
    return Answer()


@require_all_scopes("read", "write")
@require(Requirement(scopes="read"), dpop=True)
@public
def stacked(request: object, *, verbose: bool = False) -> Answer:
    return Answer()


async def check_signatures(request: Any) -> None:
    as_it_was: Callable[[object, int], Answer] = note
    assert_type(as_it_was(request, 1), Answer)
    assert_type(bare(request), Answer)
    assert_type(note(request, number=1), Answer)
    assert_type(await admin(request, "a"), Answer)
    assert_type(stacked(request, verbose=True), Answer)
    assert_type(authorize(request), AccessToken | None)
    note(request, "one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bare(request, "an argument too many")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def check_requirements() -> None:
    require(scope="admin")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    require_scope(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Admin:
    authentication_classes = (StrongDMAuthentication,)
    permission_classes = (TokenHasScope, Requires(scopes="admin"))
