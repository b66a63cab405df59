"""A part that makes no sense is named in the error: who reads it at start-up knows where to look."""

from collections.abc import Callable
from typing import Any

import pytest

from strongdm_auth import ConfigurationError, Delegation, Requirement, Settings
from strongdm_auth.routes import RouteTable
from tests.conftest import AUDIENCE

BAD: dict[str, tuple[Callable[[], Any], str]] = {
    "scopes": (lambda: Requirement(["a b"]), "scopes must be names"),
    "any_scope, one group": (lambda: Requirement(any_scope=["a b"]), "any_scope must be names"),
    "any_scope, groups": (lambda: Requirement(any_scope=[["a"], ['"']]), "any_scope must be names"),
    "any_scope, both": (lambda: Requirement(any_scope=["a", ["b"]]), "any_scope must be names, or groups"),
    "any_scope, empty": (lambda: Requirement(any_scope=[["a"], []]), "any_scope has an empty group"),
    "acr": (lambda: Requirement(acr=["a\\b"]), "acr must be names"),
    "human": (lambda: Delegation(human=[""]), "human must be names"),
    "allowed_subjects": (lambda: Delegation(allowed_subjects=[7]), "allowed_subjects must be names"),  # type: ignore[list-item]
    "max_age": (lambda: Requirement(max_age=-1), "max_age must be a whole number"),
    "delegation": (lambda: Requirement(delegation=True), "delegation must be a Delegation"),  # type: ignore[arg-type]
    "protected_routes": (lambda: RouteTable({"admin": {}}), "protected_routes must name plain paths"),
    "an entry of protected_routes": (
        lambda: RouteTable({"/admin": {"scope": "a"}}),
        r"protected_routes\['/admin'\] has an unknown part; known are scopes, any_scope,",
    ),
    "exempt": (lambda: RouteTable(exempt=["/health/*"]), "exempt must name plain paths"),
    "require": (lambda: RouteTable(require="admin"), "require must be a Requirement"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("part", BAD)
def test_the_part_that_is_wrong_is_named(part: str) -> None:
    make, words = BAD[part]
    with pytest.raises(ConfigurationError, match=f"^{words}"):
        make()


def test_the_environment_is_read_when_no_other_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRONGDM_AUDIENCE", AUDIENCE)
    monkeypatch.setenv("STRONGDM_REALMS", "*")
    settings = Settings.load({})
    assert (settings.audience, settings.realms) == ((AUDIENCE,), "*")
