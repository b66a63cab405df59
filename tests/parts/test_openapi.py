"""Completing an OpenAPI document: what an operation asks is what its route asks, and nothing of the application's is lost."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from strongdm_auth import Requirement
from strongdm_auth.openapi import MOST_ALTERNATIVES, complete

SCHEME = "StrongDM"


def needs(dependant: Any) -> Iterator[Requirement]:
    yield from dependant


def route(path: str, *requirements: Requirement, methods: Any = ("GET",)) -> SimpleNamespace:
    return SimpleNamespace(path_format=path, methods=methods, dependant=requirements)


def document(*paths: str, method: str = "get", **operation: Any) -> dict[str, Any]:
    """Operations as FastAPI makes them of a dependency on the scheme."""
    made = {path: {method: {"security": [{SCHEME: []}], "responses": {}} | operation} for path in paths}
    flows = {"clientCredentials": {"scopes": {"known": "What it is"}}}
    return {"paths": made, "components": {"securitySchemes": {SCHEME: {"flows": flows}}}}


def completed(made: dict[str, Any], *routes: SimpleNamespace) -> dict[str, Any]:
    complete(made, routes, SCHEME, needs)
    return made


def security(made: dict[str, Any], path: str = "/a", method: str = "get") -> list[dict[str, list[str]]]:
    found: list[dict[str, list[str]]] = made["paths"][path][method]["security"]
    return found


def test_each_operation_asks_what_its_own_route_asks() -> None:
    made = completed(
        document("/a", "/b", "/c"), route("/a", Requirement("x")), route("/b", Requirement("y")), route("/c")
    )
    assert [security(made, path) for path in ("/a", "/b", "/c")] == [
        [{SCHEME: ["x"]}],
        [{SCHEME: ["y"]}],
        [{SCHEME: []}],
    ]


def test_a_route_asks_for_all_that_its_dependencies_ask_for() -> None:
    made = completed(document("/a"), route("/a", Requirement("z a"), Requirement("b"), Requirement(dpop=True)))
    assert security(made) == [{SCHEME: ["a", "b", "z"]}]


@pytest.mark.parametrize(("methods", "asked"), [({"GET", "POST"}, ["x"]), ({"POST"}, []), (None, []), ((), [])])
def test_methods_are_told_apart(methods: Any, asked: list[str]) -> None:
    """A route without methods is a websocket's, or a mounted app's."""
    assert security(completed(document("/a"), route("/a", Requirement("x"), methods=methods))) == [{SCHEME: asked}]


def test_each_way_to_have_the_scopes_is_an_alternative() -> None:
    """OpenAPI 3.1, 4.8.30: entries of the list are "or", names within one "and"."""
    groups = Requirement("a", any_scope=[["c", "b"], ["e", "d"]])
    assert security(completed(document("/a"), route("/a", groups))) == [
        {SCHEME: ["a", first, second]} for first in "bc" for second in "de"
    ]


def test_a_group_that_is_satisfied_anyhow_is_no_choice() -> None:
    assert security(completed(document("/a"), route("/a", Requirement("a", any_scope="a b")))) == [{SCHEME: ["a"]}]


@pytest.mark.parametrize(
    ("groups", "written"), [([4, 4], MOST_ALTERNATIVES), ([2, 2, 2, 2], MOST_ALTERNATIVES), ([17], 1), ([2, 9], 1)]
)
def test_more_ways_than_one_can_read_are_not_written_out(groups: list[int], written: int) -> None:
    names = [[f"{number}-{name}" for name in range(size)] for number, size in enumerate(groups)]
    made = completed(document("/a"), route("/a", Requirement("a", any_scope=names)))
    assert len(security(made)) == written
    assert written > 1 or security(made) == [{SCHEME: ["a"]}]
    scopes = made["components"]["securitySchemes"][SCHEME]["flows"]["clientCredentials"]["scopes"]
    assert scopes.keys() == {"known", "a", *(name for group in names for name in group)}, "all are named all the same"


def test_other_schemes_and_words_stay_as_they_are() -> None:
    made = document("/a", security=[{"Other": ["o"]}, {SCHEME: ["own"], "And": []}], responses={"401": "mine"})
    completed(made, route("/a", Requirement("x")))
    assert security(made) == [{"Other": ["o"]}, {SCHEME: ["own", "x"], "And": []}]
    responses = made["paths"]["/a"]["get"]["responses"]
    assert responses["401"] == "mine"
    assert responses["403"]["headers"] == {"WWW-Authenticate": {"schema": {"type": "string"}}}
    assert set(responses["403"]["content"]) == {"application/json"}
    assert made["components"]["securitySchemes"][SCHEME]["flows"]["clientCredentials"]["scopes"] == {
        "known": "What it is",
        "own": "",
        "x": "",
    }


def test_what_is_no_operation_of_ours_is_not_touched() -> None:
    made = document("/a")
    made["paths"]["/a"] |= {"parameters": [{"name": "security"}], "summary": "security", "post": {"responses": {}}}
    made["paths"]["/b"] = {"get": {"security": [{"Other": []}], "responses": {}}}
    completed(made, route("/b", Requirement("x")))
    assert made["paths"]["/a"]["parameters"] == [{"name": "security"}]
    assert made["paths"]["/a"]["post"] == {"responses": {}}
    assert made["paths"]["/b"] == {"get": {"security": [{"Other": []}], "responses": {}}}
    assert set(made["paths"]["/a"]["get"]["responses"]) == {"401", "403"}


def test_an_empty_document_stays_empty() -> None:
    assert completed({}, route("/a", Requirement("x"))) == {}
