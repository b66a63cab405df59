"""What `manage.py check` says, with and without `--deploy`."""

import tests.doors.django_settings  # noqa: F401  # isort: skip
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from strongdm_auth.django import conf
from strongdm_auth.replay import MemoryReplayStore

OURS = "strongdm_auth.django.StrongDMAuthMiddleware"
LONG = "strongdm_auth.django.middleware.StrongDMAuthMiddleware"
SECURITY = "django.middleware.security.SecurityMiddleware"
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
LOGIN_REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"
FETCH = "django.middleware.cache.FetchFromCacheMiddleware"
UPDATE = "django.middleware.cache.UpdateCacheMiddleware"
CORS = "corsheaders.middleware.CorsMiddleware"
GOOD: dict[str, Any] = {"REALMS": "alpha", "AUDIENCE": "x", "REPLAY_STORE": MemoryReplayStore()}


@pytest.fixture(autouse=True)
def _shown_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conf, "doubts_were_shown", False)


def found(configured: Any, *, deploy: bool = False, **settings: Any) -> dict[str, str]:
    """Our messages: id -> text and hint."""
    with override_settings(STRONGDM_AUTH=configured, **settings):
        messages = run_checks(tags=["security"], include_deployment_checks=deploy)
    ours = [message for message in messages if message.id.startswith("strongdm_auth.")]
    return {message.id.removeprefix("strongdm_auth."): f"{message.msg} | {message.hint}" for message in ours}


def test_good_settings_are_passed_over_in_silence() -> None:
    assert found(GOOD) == {}
    assert found(GOOD, deploy=True) == {}
    assert conf.doubts_were_shown


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"LEEWAY": "a while"}, "LEEWAY in the configuration must be a number"),
        ({"PROTECTED_ROUTES": {"admin": {}}}, "protected_routes must name plain paths"),
        ({"PROTECTED_ROUTES": {"/admin": {"scope": "x"}}}, "unknown part"),
        ({"REQUIRE": "admin"}, "REQUIRE must be True"),
        ({"REQUIRE": {"scope": "x"}}, "REQUIRE has an unknown part"),
        ({"EXEMPT": ["health"]}, "exempt must name plain paths"),
        ({"REPLAY_STORE": "django-cache://nowhere"}, "names no cache"),
    ],
)
def test_a_wrong_setting_is_an_error(wrong: dict[str, Any], says: str) -> None:
    messages = found(GOOD | wrong, deploy=True)
    assert list(messages) == ["E001"]
    assert says in messages["E001"]


def test_settings_that_are_no_dict_are_an_error() -> None:
    assert list(found(["AUDIENCE"], deploy=True)) == ["E001"]
    assert not conf.doubts_were_shown


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("AUDIENCES", "did you mean AUDIENCE?"),
        ("audience", "did you mean AUDIENCE?"),
        (7, "known are"),
        ("X", "known are"),
    ],
)
def test_an_unknown_key_is_an_error(key: object, hint: str) -> None:
    messages = found({**GOOD, key: "x"})
    assert list(messages) == ["E002"]
    assert hint in messages["E002"]


@pytest.mark.parametrize("user", ["nowhere.at.all", "strongdm_auth.django.conf.nothing", "nodots", 7])
def test_a_user_resolver_that_is_not_there_is_an_error(user: object) -> None:
    assert list(found({**GOOD, "USER": user})) == ["E003"]


def test_several_things_wrong_are_told_at_once() -> None:
    assert set(found({"LEEWAY": -1, "X": 1, "USER": "y.z", "EXEMPT": "z"})) == {"E001", "E002", "E003"}


def test_doubts_are_warnings() -> None:
    messages = found({"UNSAFE_ALLOW_HTTP": True, "REPLAY_STORE": MemoryReplayStore()})
    assert set(messages) == {"W001", "W002", "W005"}
    assert messages["W001"].startswith("audience is not set: tokens that were issued for other APIs are let in | Set ")
    assert "realms" in messages["W002"]
    assert "unsafe_allow_http" in messages["W005"]


def test_a_store_of_one_process_is_a_matter_of_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    configured = {**GOOD, "REPLAY_STORE": "memory://"}
    assert found(configured) == {}
    assert list(found(configured, deploy=True)) == ["W003"]
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    assert list(found(configured)) == ["W003"]
    assert list(found(configured, deploy=True)) == ["W003"]


def test_what_a_cache_cannot_promise_is_a_matter_of_deployment(tmp_path: Any) -> None:
    backends = "django.core.cache.backends."
    caches = {
        "default": {"BACKEND": f"{backends}locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 50_000}},
        "few": {"BACKEND": f"{backends}db.DatabaseCache", "LOCATION": "proofs"},
        "many": {"BACKEND": f"{backends}db.DatabaseCache", "LOCATION": "proofs", "OPTIONS": {"MAX_ENTRIES": 50_000}},
        "files": {"BACKEND": f"{backends}filebased.FileBasedCache", "LOCATION": str(tmp_path)},
        "none": {"BACKEND": f"{backends}dummy.DummyCache"},
        "redis": {"BACKEND": f"{backends}redis.RedisCache", "LOCATION": "redis://127.0.0.1:1"},
    }

    def says(alias: str) -> dict[str, str]:
        configured = {**GOOD, "REPLAY_STORE": f"django-cache://{alias}"}
        return found(configured, deploy=True, CACHES=caches)

    assert "one process" in says("default")["W003"]
    assert "MAX_ENTRIES in its OPTIONS is 300" in says("few")["W003"]
    assert says("many") == says("redis") == {}
    assert "W003" in says("files")
    assert "DummyCache" in says("none")["E001"]


@pytest.mark.parametrize("name", [OURS, LONG])
@pytest.mark.parametrize(
    ("before", "after", "configured", "says"),
    [
        ([SECURITY, CORS, CSRF, AUTHENTICATION], [], {"PROTECTED_ROUTES": {"/x": {}}}, None),
        ([SECURITY, UPDATE], [FETCH], {}, None),
        ([AUTHENTICATION], [CSRF, LOGIN_REQUIRED], {"REQUIRE": True, "USER": "builtins.str"}, None),
        ([], [SECURITY], {}, "https"),
        ([], [CORS], {}, "CORS"),
        ([FETCH], [], {}, "from the cache"),
        ([], [AUTHENTICATION], {}, None),
        ([], [AUTHENTICATION], {"USER": "builtins.str"}, "request.user"),
        ([CSRF], [], {"REQUIRE": True}, "CSRF"),
        ([LOGIN_REQUIRED], [], {"REQUIRE": True}, "login page"),
        (["no.such.Middleware", "django.http.HttpRequest"], [], {}, None),
    ],
)
def test_the_place_of_the_middleware_matters(
    before: list[str], after: list[str], configured: dict[str, Any], says: str | None, name: str
) -> None:
    messages = found(GOOD | configured, MIDDLEWARE=[*before, name, *after])
    assert list(messages) == ([] if says is None else ["W004"])
    assert says is None or says in messages["W004"]


def test_routes_without_the_middleware_protect_nothing() -> None:
    assert "PROTECTED_ROUTES protects nothing" in found({**GOOD, "PROTECTED_ROUTES": {"/x": {}}}, MIDDLEWARE=[])["W004"]
    for required in (True, {}):
        assert "REQUIRE protects nothing" in found({**GOOD, "REQUIRE": required}, MIDDLEWARE=[SECURITY])["W004"]
    assert found({**GOOD, "REQUIRE": False}, MIDDLEWARE=[]) == {}
    assert found(GOOD, MIDDLEWARE=[]) == {}
