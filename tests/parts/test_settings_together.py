"""What settings say to one another: contradictions, http:// and its look-alikes, warnings at start-up, secrets."""

import warnings
from typing import Any

import pytest

from strongdm_auth import ConfigurationError, MemoryReplayStore, SecurityWarning, Settings, Verifier

CALM: dict[str, Any] = {"realms": "alpha", "audience": "https://api.example.com"}
SECRET = "hunter2-very-secret"

LOOPBACK = [
    "http://127.0.0.1",
    "http://127.0.0.1:8000",
    "http://127.8.9.10",
    "http://localhost:8000",
    "http://LOCALHOST",
    "http://[::1]:80",
]
LOOK_ALIKES = [
    "http://localhost.evil.com",
    "http://127.0.0.1.evil.com",
    "http://evil.com/127.0.0.1",
    "http://[::ffff:127.0.0.1]",
    "http://[::ffff:7f00:1]",
    "http://0.0.0.0",
    "http://[::]",
    "http://127.1",
    "http://2130706433",
    "http://0x7f.0.0.1",
    "http://0177.0.0.1",
    "http://localhost.",
    "http://xlocalhost",
    "http://128.0.0.1",
    "http://10.0.0.1",
    "http://id.example.com",
    "http://localhost@evil.com",
    "http://127.0.0.1\\@evil.com",
    "http:localhost",
    "http:///localhost",
]


@pytest.mark.parametrize("url", LOOPBACK)
def test_plain_http_is_fine_on_loopback(url: str) -> None:
    assert Settings(**CALM, issuer=url).issuer == url
    assert Settings(**CALM, resource=url).resource == url


@pytest.mark.parametrize("url", LOOK_ALIKES)
@pytest.mark.parametrize("field", ["issuer", "resource"])
def test_plain_http_is_refused_anywhere_else(url: str, field: str) -> None:
    with pytest.raises(ConfigurationError, match=field):
        Settings(**CALM, **{field: url})  # type: ignore[arg-type]


def test_plain_http_can_be_allowed_by_an_ugly_name_that_warns() -> None:
    with pytest.warns(SecurityWarning, match="unsafe_allow_http"):
        settings = Settings(**CALM, issuer="http://id.internal", unsafe_allow_http=True)
    assert settings.issuer == "http://id.internal"


def test_the_refusal_of_plain_http_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"issuer must be https://.*use https://, or unsafe_allow_http=True"):
        Settings(**CALM, issuer="http://id.internal")


def test_public_url_may_be_plain_http_for_nothing_is_fetched_there() -> None:
    assert Settings(**CALM, public_url="http://api.internal/v1").public_url == "http://api.internal/v1"


# Contradictions


def test_an_issuer_that_is_a_realm_admits_no_other_realms() -> None:
    issuer = "https://id.example.com/realms/alpha"
    for realms in (["beta"], ["alpha", "beta"], "*"):
        with pytest.raises(ConfigurationError, match="realms must be left out"):
            Settings(issuer=issuer, realms=realms, audience="x")
    assert Settings(issuer=issuer, audience="x").realm == "alpha"
    assert Settings(issuer=issuer, realms="alpha", audience="x").realm == "alpha"


@pytest.mark.parametrize("introspection", ["fallback", "always"])
@pytest.mark.parametrize("given", [{}, {"client_id": "api"}, {"client_secret": SECRET}])
def test_introspection_needs_credentials(introspection: str, given: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="client_id and client_secret must be set") as caught:
        Settings(**CALM, introspection=introspection, **given)  # type: ignore[arg-type]
    assert SECRET not in str(caught.value)


def test_rfc9068_needs_an_audience() -> None:
    with pytest.raises(ConfigurationError, match="audience must be set with token_profile='rfc9068'"):
        Settings(realms="alpha", token_profile="rfc9068")


def test_a_verifier_takes_settings_or_keywords_and_not_both() -> None:
    with pytest.raises(ConfigurationError, match="not both"):
        Verifier(Settings(**CALM), leeway=3)


# Warnings


def _warnings(environ: dict[str, str] | None = None, **keywords: object) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Settings.load(keywords, environ=environ or {})
    assert all(issubclass(each.category, SecurityWarning) for each in caught)
    return [str(each.message) for each in caught]


def test_settings_that_leave_nothing_open_are_silent() -> None:
    assert _warnings(**CALM) == []


def test_unset_realms_and_an_unset_audience_warn() -> None:
    realms, audience = _warnings()
    assert "realms is not set" in realms
    assert "'*'" in realms
    assert "audience is not set" in audience
    assert _warnings(audience="x") == [realms]
    assert _warnings(realms="alpha") == [audience]


@pytest.mark.parametrize(
    "said", [{"realms": "*"}, {"realms": ["a", "b"]}, {"issuer": "https://id.example.com/realms/alpha"}]
)
def test_whoever_says_which_realms_is_not_warned(said: dict[str, object]) -> None:
    assert _warnings(audience="x", **said) == []


SEVERAL = {"WEB_CONCURRENCY": "4"}


def test_several_workers_need_one_replay_store() -> None:
    (warning,) = _warnings(SEVERAL, **CALM)
    assert "replay_store is memory://" in warning
    assert _warnings(SEVERAL, **CALM, replay_store=MemoryReplayStore()) == []
    assert _warnings({"WEB_CONCURRENCY": "1"}, **CALM) == []


def test_several_workers_need_one_nonce_secret() -> None:
    calm = {**CALM, "replay_store": MemoryReplayStore()}
    (warning,) = _warnings(SEVERAL, **calm, dpop_nonce="required")
    assert "dpop_nonce_secret is not set" in warning
    assert _warnings(SEVERAL, **calm, dpop_nonce="required", dpop_nonce_secret=SECRET) == []
    assert _warnings(**calm, dpop_nonce="required") == []


@pytest.mark.parametrize("workers", ["", "many", "-1", "2.5", "\u0664"])
def test_a_number_of_workers_that_is_none_does_no_harm(workers: str) -> None:
    assert all(SECRET not in warning for warning in _warnings({"WEB_CONCURRENCY": workers}, **CALM))


def test_a_warning_points_at_the_line_that_made_the_settings() -> None:
    with pytest.warns(SecurityWarning) as caught:
        Settings(realms="alpha")
    assert caught[0].filename == __file__
    with pytest.warns(SecurityWarning) as caught:
        Verifier(realms="alpha")
    assert caught[0].filename == __file__


# Secrets


def test_repr_shows_no_secret() -> None:
    store = MemoryReplayStore()
    settings = Settings(
        **CALM, client_id="api", client_secret=SECRET, dpop_nonce_secret=[SECRET, SECRET + "-old"], replay_store=store
    )
    shown = repr(settings)
    assert SECRET not in shown
    assert "client_secret=..." in shown
    assert "client_id='api'" in shown
    assert SECRET not in str(vars(settings).keys())
    assert SECRET not in repr(Verifier(settings))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("client_secret", [SECRET]),
        ("client_secret", SECRET.encode()),
        ("dpop_nonce_secret", {SECRET: 1, 7: 7}),
        ("dpop_nonce_secret", [SECRET, 7]),
        ("dpop_nonce_secret", [SECRET, ""]),
        ("replay_store", f"unknown://user:{SECRET}@cache:6379/0"),
        ("client_secrets", SECRET),
        ("dpop_nonce_secert", SECRET),
        ("issuer", f"https://user:{SECRET}@id.example.com"),
        ("public_url", f"https://user:{SECRET}@api.example.com"),
        ("resource", f"https://user:{SECRET}@api.example.com"),
    ],
)
@pytest.mark.parametrize("source", ["keyword", "config", "environment"])
def test_no_message_shows_a_secret(field: str, value: object, source: str) -> None:
    if source == "environment" and not isinstance(value, str):
        return  # it has strings only
    spelled: dict[str, Any] = {f"STRONGDM_{field.upper()}": value}
    keywords = {**CALM, field: value} if source == "keyword" else CALM
    config = spelled if source == "config" else None
    with pytest.raises(ConfigurationError) as caught:
        Settings.load(keywords, config, environ=spelled if source == "environment" else {})
    error = caught.value
    assert SECRET not in str(error)
    assert field in str(error).lower()
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


def test_warnings_show_no_secret() -> None:
    said = _warnings(SEVERAL, client_id="api", client_secret=SECRET, dpop_nonce="required", unsafe_allow_http=True)
    assert len(said) >= 4
    assert SECRET not in " ".join(said)
