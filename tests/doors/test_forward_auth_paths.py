"""Forward-auth knows no router: a path that any server behind it could read as a protected one is not open."""

from collections.abc import Iterator
from urllib.parse import unquote

import pytest

from strongdm_auth.forward_auth.conventions import Unclear, readings
from strongdm_auth.testing import Issuer
from tests.contract import World
from tests.contract_cases import bearer
from tests.doors.forward_auth_gates import CONVENTIONS, IDENTITY, KINDS, PREFLIGHT, Gates, every
from tests.doors.spellings import spellings


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Issuer(realms=("alpha", "beta", "gamma")).serve() as issuer:
        yield World(issuer)


@pytest.fixture(scope="module")
def make(world: World) -> Iterator[Gates]:
    made = Gates(world)
    yield made
    made.close()


# Which paths


@pytest.mark.parametrize("target", ["/api/admin", "/api/files/b"])
def test_no_spelling_of_a_protected_path_is_open(target: str, make: Gates) -> None:
    """Every spelling that any of these readings takes for the path; the doors' tests show which frameworks have them."""
    gate = make(protected_routes={"/api/admin": {}, "/api/files": {}})
    statuses = {spelling: gate.ask(spelling).status for spelling in spellings(target)}
    assert statuses[target] == 401
    assert set(statuses.values()) <= {200, 400, 401}
    assert [
        spelling
        for spelling, status in statuses.items()
        if status == 200 and resolved(spelling) in ("/api/admin", "/api/admin/b", "/api/files/b")
    ] == []


def resolved(spelling: str) -> str:
    """The path as a server reads it that decodes twice, cuts, folds and resolves whatever can be."""
    path = unquote(unquote(spelling)).partition("?")[0].partition("#")[0].replace("\\", "/").lower()
    path = "/".join(segment.partition(";")[0] for segment in path.split("/")).rstrip("\x00\t\r\n ")
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    return "/" + "/".join(kept)


TRICKS = {
    "/public/../admin": 401,
    "/public/%2e%2e/admin": 401,
    "/../admin/%2e%2e": 401,  # who takes out plain dots first, and then decodes
    "/public/%252e%252e/admin": 401,
    "/public%2F..%2Fadmin": 401,
    "/public%252F..%252Fadmin": 401,
    "/admin%3Fx": 401,
    "/admin%23x": 401,
    "/admin%253Fx": 401,
    "/admin;x=1": 401,
    "//admin": 401,
    "/ADMIN": 401,
    "/%61dmin": 401,
    "/%2561dmin": 401,
    "/admin%00.png": 400,
    "/admin%2500.png": 400,
    "/admin%0a": 400,
    "/admin%C2%85": 400,
    "/admin%FF": 400,
    "/%25252e": 400,
    "/admin%": 400,
    "/admin%zz": 400,
    "/admin\\x": 400,
    "/public\\..\\admin": 400,
    "/admin#x": 400,
    "/admin x": 400,
    "/adm\u00e9n": 400,
    "admin": 400,
    "*": 400,
    "https://api.example.com/admin": 400,
    "api.example.com:443": 400,
    "/open": 200,
    "/open/caf%C3%A9": 200,
    "/open/a%20b": 200,
    "/open/100%25": 200,
    "/open/C%23": 200,
    "/open?%00#": 400,
    "/open?q=\u00e9%00%ff": 200,
}


@pytest.mark.parametrize(("target", "status"), TRICKS.items(), ids=map(ascii, TRICKS))
@pytest.mark.parametrize(("convention", "kind"), KINDS, ids=str)
def test_a_path_that_could_be_a_protected_one_is_not_open(
    convention: str, kind: str, target: str, status: int, make: Gates
) -> None:
    gate = make(convention, kind, protected_routes={"/admin": {}})
    assert gate.send("GET", target, "", []).status == status


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_path_is_exempt_only_where_every_reading_of_it_is(convention: str, make: Gates) -> None:
    gate = make(convention, exempt=["/public", "/caf\u00e9"])
    for target in ("/public", "/public/a%20b", "/public/a%25b", "/public?x=/../..", "/caf%C3%A9/x"):
        assert gate.ask(target).status == 200, target
    for target in ("/public/../x", "/public%2F..%2Fx", "/public/%252e%252e/x", "/Public", "/publicX", "/publi%63%2e"):
        assert gate.ask(target).status == 401, target


def test_an_escaped_slash_may_also_be_part_of_a_name(make: Gates) -> None:
    """Some routers split before they decode: `/open%2Fx` is then the view of `/{name}`, and not below `/open`."""
    gate = make(protected_routes={"/": {}, "/open": {"optional": True}})
    assert gate.ask("/open/x").status == 200
    assert gate.ask("/open%2Fx").status == 401
    assert gate.ask("/open%5cx").status == 401
    gate = make(protected_routes={"/x": {}, "/x/a": {"optional": True}})
    assert gate.ask("/x/a").status == 200
    assert gate.ask("/x%2F%2561").status == 401, "decoded once it is `/x/%61`, which is not `/x/a`"


def test_all_readings_must_be_satisfied_together(make: Gates, world: World) -> None:
    gate = make(protected_routes={"/a": {"scopes": "a"}, "/b": {"scopes": "b"}})
    assert gate.ask("/a/%252e%252e/b", bearer(scopes=["a"])(world)).status == 403
    assert gate.ask("/a/%252e%252e/b", bearer(scopes=["b"])(world)).status == 403
    assert gate.ask("/a/%252e%252e/b", bearer(scopes=["a", "b"])(world)).status == 200


def test_readings_of_a_plain_path_are_one() -> None:
    assert list(readings("/a/b")) == ["/a/b"]
    assert list(readings("/a%20b")) == ["/a b"]
    with pytest.raises(Unclear):
        list(readings("/%25252e"))


# Preflights


@every
def test_a_preflight_passes_only_where_that_was_asked_for(convention: str, kind: str, make: Gates) -> None:
    assert make(convention, kind).ask("/x", PREFLIGHT, "OPTIONS").status == 401
    gate = make(convention, kind, unsafe_pass_preflights=True)
    passed = gate.ask("/x", PREFLIGHT, "OPTIONS")
    assert (passed.status, [passed.header(name) for name in IDENTITY]) == (200, [""] * 7)
    assert gate.ask("/x", PREFLIGHT, "GET").status == 401
    for part in (PREFLIGHT[:1], PREFLIGHT[1:], []):
        assert gate.ask("/x", part, "OPTIONS").status == 401
