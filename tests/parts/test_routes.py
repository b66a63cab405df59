"""The route table: which path needs what, however it is written."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette._utils import get_route_path

from strongdm_auth import ConfigurationError, Requirement
from strongdm_auth.request import EnvironRequest, ScopeRequest
from strongdm_auth.routes import LONGEST_REMEMBERED, RouteTable

ADMIN = Requirement(scopes="admin")
READ = Requirement(scopes="read")
ANY = Requirement()


def test_without_a_table_every_path_needs_a_token() -> None:
    table = RouteTable()
    assert table.find("/") == ANY
    assert table.find("/anything/at/all") == ANY


def test_without_a_table_every_path_needs_what_is_required() -> None:
    assert RouteTable(require=ADMIN).find("/x") == ADMIN


def test_with_a_table_the_other_paths_are_open() -> None:
    table = RouteTable({"/api/protected": {}, "/api/admin": {"scopes": ["admin"]}})
    assert table.find("/api/protected") == ANY
    assert table.find("/api/admin") == ADMIN
    assert table.find("/api") is None
    assert table.find("/") is None
    assert table.find("/api/other") is None


def test_an_empty_table_opens_every_path() -> None:
    assert RouteTable({}).find("/x") is None


def test_with_a_table_and_a_requirement_the_other_paths_need_that_and_the_entries_both() -> None:
    table = RouteTable({"/admin": ADMIN}, READ)
    assert table.find("/x") == READ
    assert table.find("/admin") == READ & ADMIN


def test_a_path_matches_itself_and_what_lies_below_it_at_a_slash() -> None:
    table = RouteTable({"/api/admin": ADMIN})
    for below in ("/api/admin", "/api/admin/", "/api/admin/users", "/api/admin/users/7"):
        assert table.find(below) == ADMIN, below
    for beside in ("/api/adminX", "/api/admin2/x", "/api/admin-users", "/x/api/admin", "/api"):
        assert table.find(beside) is None, beside


def test_the_longest_entry_wins_also_where_it_asks_for_less() -> None:
    table = RouteTable({"/": {"scopes": "root"}, "/api": ADMIN, "/api/reports": READ})
    assert table.find("/x") == Requirement(scopes="root")
    assert table.find("/api/x") == ADMIN
    assert table.find("/api/reports/7") == READ


def test_a_slash_at_the_end_of_an_entry_makes_no_difference() -> None:
    table = RouteTable({"/api/admin/": ADMIN}, exempt=["/health/"])
    assert table.find("/api/admin") == table.find("/api/admin/") == ADMIN
    assert RouteTable(exempt=["/health/"]).find("/health") is None


@pytest.mark.parametrize("entry", ["/X", "/XX", "/boX", "/X/INDEX", "/Xylo/"])
def test_nothing_but_a_slash_is_cut_off_an_entry(entry: str) -> None:
    plain = entry.rstrip("/")
    table = RouteTable({entry: ADMIN}, READ, exempt=["/open/X"])
    assert table.find(plain) == table.find(f"{plain}/below") == ADMIN & READ
    assert table.find(plain[:-1] or "/") == READ
    assert table.find("/open/X") is None
    assert table.find("/open") == READ


def test_what_was_found_is_kept_for_paths_of_ordinary_length() -> None:
    """Strangers choose what they ask for: a long path is looked up each time, and takes no memory."""
    table = RouteTable({"/api": ADMIN})
    for length, kept in ((LONGEST_REMEMBERED, 1), (LONGEST_REMEMBERED + 1, 1), (100_000, 1), (10, 2)):
        path = "/api/".ljust(length, "x")
        assert [table.find(path) for _ in range(2)] == [ADMIN, ADMIN]
        assert len(table._known) == kept


def test_a_path_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    table, found = RouteTable({"/api": ADMIN}), []
    look_up = table._find
    monkeypatch.setattr(table, "_find", lambda path: found.append(path) or look_up(path))
    for _ in range(3):
        assert table.find("/api/x") == ADMIN
        assert table.find("/other") is None
    assert found == ["/api/x", "/other"]


@pytest.mark.parametrize(
    "path",
    [
        *(
            "//api/admin",
            "/api//admin",
            "/api/admin//",
            "/./api/admin",
            "/api/./admin",
            "/x/../api/admin",
            "/../api/admin",
        ),
        *(
            "/API/admin",
            "/api/ADMIN",
            "/api;x=1/admin",
            "/api/admin;x=1",
            "/api/;/admin",
            "\\api\\admin",
            "/api\\admin",
        ),
        *("/api/admin\n", "/api/admin/\n", "/api/admin\r\n"),  # `$` of a route's regular expression stops before these
        *("/api/admin/..", "/api/admin/../x", "/api/admin/x/../../y"),  # to a framework that takes dots literally
        *("//api/admin/..", "//api/admin/../x", "/api//admin/..", "/api/admin;x/..", "/API/admin/.."),
    ],
)
def test_a_path_that_some_framework_reads_as_a_protected_one_is_protected(path: str) -> None:
    assert RouteTable({"/api/admin": ADMIN}).find(path) == ADMIN
    assert RouteTable({"/API/Admin": ADMIN}).find(path) == ADMIN, "the case of an entry is no way around it"


def test_a_path_with_two_readings_must_satisfy_both() -> None:
    table = RouteTable({"/a": ADMIN, "/b": READ})
    assert table.find("/a/../b") == ADMIN & READ
    assert table.find("/A/../b/x") in (READ, ADMIN & READ)


def test_entries_that_differ_in_case_alone_hold_for_each_other() -> None:
    table = RouteTable({"/a": ADMIN, "/A": READ})
    assert table.find("/a") == table.find("/A") == ADMIN & READ


def test_the_root_can_be_exempt_alone() -> None:
    table = RouteTable(exempt=["/"])
    assert table.find("/") is None
    assert table.find("/x") is not None
    assert table.find("//x") is not None


def test_exempt_paths_need_nothing_whatever_the_rest_says() -> None:
    table = RouteTable({"/": ADMIN}, READ, exempt=["/health", "/docs"])
    for path in ("/health", "/health/", "/health/live", "/docs/x"):
        assert table.find(path) is None, path
    assert table.find("/healthz") == READ & ADMIN


def test_exempt_may_be_one_path() -> None:
    table = RouteTable(exempt="/health")
    assert table.find("/health") is None
    assert table.find("/h") == ANY


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/health/../admin",
            "/health/..",
            "//health",
            "/health//x",
            "/health/./x",
            "/health/..;/admin",
            "/health;x/admin",
        ),
        *("/HEALTH", "/Health/x", "/health\\..\\admin", "/x/../health", "/health\n", "/health\x00/admin"),
    ],
)
def test_a_path_that_can_be_read_in_two_ways_is_not_exempt(path: str) -> None:
    assert RouteTable(exempt=["/health"]).find(path) == ANY


_SEGMENT = st.sampled_from(["a", "A", "b", "..", ".", "", "a;x", "a\\b", "\\", "%2e", "a\n", "\n", "ſ", "ß", "b "])
_PATH = st.lists(_SEGMENT, max_size=6).map(lambda segments: "/" + "/".join(segments))


@given(_PATH)
def test_no_way_to_write_a_path_is_open_where_everything_is_protected(path: str) -> None:
    assert RouteTable({"/": READ}).find(path) == READ
    assert RouteTable(require=READ).find(path) == READ


@given(_PATH)
def test_an_entry_only_ever_tightens_what_every_path_needs(path: str) -> None:
    found = RouteTable({"/a": ADMIN, "/a/b": {"dpop": True}}, READ).find(path)
    assert found is not None
    assert found & READ == found


@given(_PATH, st.sampled_from(["/a", "/a/b", "/A", "/b"]))
def test_what_lies_below_an_entry_as_it_is_written_is_protected(tail: str, entry: str) -> None:
    assert RouteTable({entry: ADMIN}).find(entry + tail) is not None


@pytest.mark.parametrize(
    "entry",
    [
        *("", "api", "https://api.example/x", "/api//x", "/api/../x", "/./api", "/api;x", "\\api", "/api\\x"),
        *("/api/*", "/users/{id}", "/users/<id>", "/users/<int:id>", "/api?x=1", "/api#x"),  # read literally: never met
        *("/caf%C3%A9", "/api%2Fx", "/api\n", "/api\x00"),  # no decoded path is ever written so
        *(None, 7, b"/api"),
    ],
)
def test_an_entry_that_is_no_plain_path_is_a_configuration_error(entry: Any) -> None:
    with pytest.raises(ConfigurationError, match="protected_routes"):
        RouteTable({entry: {}})
    if entry is not None:
        with pytest.raises(ConfigurationError, match="exempt"):
            RouteTable(exempt=[entry])


def test_an_entry_may_be_written_in_any_script() -> None:
    table = RouteTable({"/café/straße": ADMIN})
    assert table.find("/café/straße/x") == table.find("/CAFÉ/STRASSE") == ADMIN


@pytest.mark.parametrize(
    "make",
    [
        lambda: RouteTable({"/x": {"scope": "read"}}),
        lambda: RouteTable({"/x": {"scopes": 'a"b'}}),
        lambda: RouteTable({"/x": {"max_age": -1}}),
        lambda: RouteTable({"/x": "admin"}),  # type: ignore[dict-item]
        lambda: RouteTable({"/x": None}),  # type: ignore[dict-item]
        lambda: RouteTable(["/x"]),  # type: ignore[arg-type]
        lambda: RouteTable(require={"scopes": "read"}),  # type: ignore[arg-type]
        lambda: RouteTable(require="read"),  # type: ignore[arg-type]
    ],
)
def test_a_requirement_that_makes_no_sense_is_a_configuration_error(make: Callable[[], RouteTable]) -> None:
    with pytest.raises(ConfigurationError):
        make()


def test_an_unknown_part_is_named_with_its_path_and_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"'/x'.*unknown part.*scopes, any_scope"):
        RouteTable({"/x": {"scope": "read"}})


ROOTS = ["", "/", "/api", "/api/", "/api/v1", "api", "/caf\u00e9"]
PATHS = ["/", "/api", "/api/", "/api/x", "/api/v1/x", "/api/v1", "/apix", "/api//x", "/caf\u00e9/x", "/x"]


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("path", PATHS)
def test_the_path_below_a_mount_is_the_one_that_starlette_routes_by(path: str, root: str) -> None:
    scope = {"type": "http", "method": "GET", "headers": [], "path": path, "root_path": root}
    assert ScopeRequest(scope).route_path == (get_route_path(scope) or "/")


def test_the_path_of_a_wsgi_request_is_read_as_utf_8() -> None:
    environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "/mount", "PATH_INFO": "/café".encode().decode("latin-1")}
    assert EnvironRequest(environ).route_path == "/café"
    assert EnvironRequest({**environ, "PATH_INFO": ""}).route_path == "/"
    assert EnvironRequest({**environ, "PATH_INFO": "/\xff"}).route_path == "/\ufffd"


@pytest.mark.parametrize("path", ["/;x\\api/admin", "/;x\\api\\admin", "/api;x\\y/admin", "/api/..;x\\api/admin"])
def test_a_parameter_ends_at_whatever_a_server_takes_for_a_slash(path: str) -> None:
    assert RouteTable({"/api/admin": {}}).find(path) is not None


def test_a_path_of_slashes_costs_no_more_than_reading_it() -> None:
    """Strangers send it, before they are asked for anything."""
    table = RouteTable({"/api/admin": {"scopes": ["admin"]}, "/": {}})
    began = time.monotonic()
    assert table.find("/a" * 200_000) == Requirement()
    assert table.find("/api/admin" + "/a" * 200_000) == Requirement(scopes="admin")
    assert time.monotonic() - began < 2  # a look at each step would take minutes
