"""Every setting: its default, its spelling in each source, what it takes and what it refuses."""

import copy
import os
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from strongdm_auth import ConfigurationError, MemoryReplayStore, Settings

STORE = MemoryReplayStore()
#: Nothing to warn about, and nothing missing.
CALM: dict[str, object] = {"realms": "alpha", "audience": "https://api.example.com"}
CREDENTIALS: dict[str, object] = {"client_id": "api", "client_secret": "s3cret"}

#: field -> its default; the contract.
DEFAULTS: dict[str, object] = {
    "issuer": "https://id.strongdm.ai",
    "realms": None,
    "audience": (),
    "algorithms": ("RS256", "ES256", "EdDSA", "Ed25519"),
    "token_profile": "strongdm",
    "leeway": 30,
    "dpop": "allowed",
    "dpop_algorithms": ("ES256", "ES384", "RS256", "PS256", "EdDSA", "Ed25519"),
    "dpop_proof_max_age": 60,
    "dpop_nonce": "off",
    "replay_store": "memory://",
    "introspection": "off",
    "introspection_ttl": 60,
    "client_id": None,
    "client_secret": None,
    "public_url": None,
    "resource": None,
    "jwks_max_age": 900,
    "jwks_stale": 3_600,
    "jwks_cooldown": 30,
    "http_timeout": 5,
    "max_token_bytes": 16_384,
    "unsafe_allow_http": False,
    "unsafe_show_reasons": False,
    "client_certificate": "tls",
    "trusted_proxies": (),
    "trust_domains": {"strongdm.ai": "https://id.strongdm.ai/.well-known/spiffe-trust-bundle"},
    "security_events": None,
    "authorize": None,
    "on_event": (),
}
#: field -> (as it is written in the environment, as it is read back)
WRITTEN: dict[str, tuple[str, object]] = {
    "issuer": ("https://id.example.com", "https://id.example.com"),
    "realms": ("alpha, beta", frozenset({"alpha", "beta"})),
    "audience": ("https://a.example, https://b.example", ("https://a.example", "https://b.example")),
    "algorithms": ("ES384,PS256", ("ES384", "PS256")),
    "token_profile": ("rfc9068", "rfc9068"),
    "leeway": ("5", 5.0),
    "dpop": ("required", "required"),
    "dpop_algorithms": ("ES256", ("ES256",)),
    "dpop_proof_max_age": ("120", 120.0),
    "dpop_nonce": ("required", "required"),
    "dpop_nonce_secret": ("s3cret", (b"s3cret",)),
    "replay_store": ("memory://", "memory://"),
    "introspection": ("fallback", "fallback"),
    "introspection_ttl": ("0", 0.0),
    "client_id": ("api", "api"),
    "client_secret": ("s3cret", "s3cret"),
    "public_url": ("https://api.example.com/v1", "https://api.example.com/v1"),
    "resource": ("https://api.example.com", "https://api.example.com"),
    "jwks_max_age": ("60", 60.0),
    "jwks_stale": ("120.5", 120.5),
    "jwks_cooldown": ("1", 1.0),
    "http_timeout": ("0.5", 0.5),
    "max_token_bytes": ("4096", 4_096),
    "unsafe_allow_http": ("false", False),
}
OTHER_VALUES: dict[str, tuple[object, object]] = {  # as keywords only
    "realms": (["beta", "alpha", "beta"], frozenset({"alpha", "beta"})),
    "audience": ({"https://a.example"}, ("https://a.example",)),
    "algorithms": (("EdDSA",), ("EdDSA",)),
    "dpop_nonce_secret": ([b"new", "with, comma"], (b"new", b"with, comma")),
    "replay_store": (STORE, STORE),
    "leeway": (0, 0.0),
    "max_token_bytes": (256, 256),
    "unsafe_allow_http": (False, False),
}
SECONDS = (
    "leeway",
    "dpop_proof_max_age",
    "introspection_ttl",
    "jwks_max_age",
    "jwks_stale",
    "jwks_cooldown",
    "http_timeout",
)
BASE = "https://id.example.com"
WRONG_VALUES: dict[str, list[object]] = {
    "issuer": [
        *(
            "id.example.com",
            "ftp://id.example.com",
            "https://",
            "https://u:p@id.example.com",
            "https://[::1",
            f"{BASE}:port",
        ),
        *(
            f"{BASE}?a=b",
            f"{BASE}#f",
            f"{BASE}/a b",
            f"{BASE}/\\b",
            f"{BASE}/\u00e4",
            f"{BASE}/\n",
            f"{BASE}/../x",
            f"{BASE}//x",
        ),
        *(7, b"https://a", [BASE]),
    ],
    "realms": [[], ["*", "a"], "a/b", "..", ["a", 7], 7, b"a", {"a": 1}, ".a", "a?b", "\u00e4"],
    "audience": [[], [7], 7, b"https://a", {"a": 1}, [""], ["a", None]],
    "algorithms": ["HS256", "none", "NONE", "None", "hs512", "RS1", "RSA-OAEP", [], ["ES256", "HS384"]],
    "dpop_algorithms": ["HS256", "none", "dir", [], 7],
    "token_profile": ["RFC9068", "jwt", True, 7],
    "dpop": ["off", "Required", True],
    "dpop_nonce": ["on", "always", True],
    "dpop_nonce_secret": [b"", [], ["a", ""], 7, [7]],
    "introspection": ["on", "true", True, "Always"],
    "replay_store": ["mem://", "memory", 7, object(), ["memory://"]],
    "client_id": [7, b"id", ["id"]],
    "client_secret": [7, b"s3cret", ["s3cret"]],
    "public_url": ["api.example.com", "/v1", "https://api.example.com/?a", 7],
    "resource": ["urn:api", "https://api.example.com#x", "https://a.example/?b", 7],
    "max_token_bytes": [0, 255, -1, 1_048_577, 4096.5, "4 KB", True, "-300"],
    "unsafe_allow_http": ["maybe", 7, []],
    **{field: ["soon", -1, True, "nan", float("inf"), [], "1,5", 10**400, 10**9] for field in SECONDS},
}
WRONG = [(field, value) for field, values in WRONG_VALUES.items() for value in values]
WRONG += [("dpop_proof_max_age", 0), ("http_timeout", 0)]


def _needs(field: str) -> dict[str, object]:
    return {**CALM, **CREDENTIALS} if field.startswith("introspection") else dict(CALM)


def _load(keywords: dict[str, object], config: dict[str, object] | None = None, **more: Any) -> Settings:
    return Settings.load(keywords, config, environ=more.pop("environ", {}), **more)


@pytest.mark.filterwarnings("ignore::strongdm_auth.SecurityWarning")
def test_the_defaults_are_those_of_the_contract() -> None:
    settings = Settings()
    assert {name: getattr(settings, name) for name in DEFAULTS} == DEFAULTS
    assert {*DEFAULTS, "dpop_nonce_secret"} == set(Settings.__annotations__)


@pytest.mark.filterwarnings("ignore::strongdm_auth.SecurityWarning")
def test_the_nonce_secret_is_random_for_each_process() -> None:
    first, second = Settings().dpop_nonce_secret, Settings().dpop_nonce_secret
    assert first != second
    assert len(first[0]) >= 16


SOURCES: dict[str, Callable[[str, object], Settings]] = {
    "keyword": lambda field, value: _load({**_needs(field), field: value}),
    "app.config": lambda field, value: _load(_without(field), {f"STRONGDM_{field.upper()}": value}),
    "django": lambda field, value: _load(_without(field), {field.upper(): value}, prefix=""),
    "environment": lambda field, value: _load(_without(field), environ={f"STRONGDM_{field.upper()}": value}),
}


def _without(field: str) -> dict[str, object]:
    return {name: value for name, value in _needs(field).items() if name != field}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("field", WRITTEN)
def test_a_setting_is_read_from_each_source(field: str, source: str) -> None:
    written, value = WRITTEN[field]
    assert getattr(SOURCES[source](field, written), field) == value


@pytest.mark.parametrize("field", OTHER_VALUES)
def test_a_keyword_may_be_a_python_value(field: str) -> None:
    given, value = OTHER_VALUES[field]
    assert getattr(Settings(**{**_needs(field), field: given}), field) == value  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(("field", "value"), WRONG, ids=lambda value: repr(value)[:40])
def test_a_wrong_value_names_the_field_and_the_problem(field: str, value: object) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SOURCES["keyword"](field, value)
    message = str(caught.value)
    assert field in message
    assert any(word in message for word in ("must", "names", "is not")), message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("source", "spelling"),
    [("app.config", "STRONGDM_LEEWAY"), ("django", "LEEWAY"), ("environment", "STRONGDM_LEEWAY")],
)
def test_a_wrong_value_is_named_as_it_was_spelled_and_where(source: str, spelling: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{spelling} in the (configuration|environment) must be"):
        SOURCES[source]("leeway", "soon")


# Order


def test_a_keyword_beats_the_configuration_beats_the_environment_beats_the_default() -> None:
    environ, config = {"STRONGDM_LEEWAY": "1"}, {"STRONGDM_LEEWAY": 2}
    assert _load({**CALM, "leeway": 3}, config, environ=environ).leeway == 3
    assert _load({**CALM}, config, environ=environ).leeway == 2
    assert _load({**CALM}, {}, environ=environ).leeway == 1
    assert _load({**CALM}, {}).leeway == 30


def test_a_comma_parts_secrets_in_the_environment_only() -> None:
    environ = {"STRONGDM_DPOP_NONCE_SECRET": "new, old"}
    assert _load({**CALM}, environ=environ).dpop_nonce_secret == (b"new", b"old")
    assert _load({**CALM, "dpop_nonce_secret": "new, old"}).dpop_nonce_secret == (b"new, old",)
    with pytest.raises(ConfigurationError, match="DPOP_NONCE_SECRET in the environment must not be empty"):
        _load({**CALM}, environ={"STRONGDM_DPOP_NONCE_SECRET": "new,,old"})


def test_settings_read_the_environment_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRONGDM_LEEWAY", "7")
    monkeypatch.setenv("STRONGDM_REALMS", "alpha")
    assert Settings(audience="x").leeway == 7
    assert Settings(audience="x").realms == frozenset({"alpha"})
    assert Settings(audience="x", realms=["beta"]).realms == frozenset({"beta"})


def test_a_value_that_is_beaten_need_not_be_right() -> None:
    assert _load({**CALM, "leeway": 3}, environ={"STRONGDM_LEEWAY": "soon"}).leeway == 3


@pytest.mark.parametrize("unset", [None, "", "  "])
def test_none_and_blank_mean_unset_in_every_source(unset: str | None) -> None:
    for field in ("leeway", "issuer", "public_url", "client_id", "algorithms", "unsafe_allow_http"):
        beaten = {"STRONGDM_LEEWAY": "9"}
        for keywords, config, environ in (
            ({field: unset}, {}, {}),
            ({}, {f"STRONGDM_{field.upper()}": unset}, {}),
            *([({}, {}, {f"STRONGDM_{field.upper()}": unset})] if unset is not None else []),
        ):
            settings = _load({**CALM, **keywords}, config, environ=environ)
            assert getattr(settings, field) == DEFAULTS[field]
        assert _load({**CALM, "leeway": unset}, environ=beaten).leeway == 9


def test_other_variables_are_none_of_our_business() -> None:
    environ = {"STRONGDMX": "1", "SDM_TOKEN": "1", "strongdm_leeway": "soon", "PATH": "/bin"}
    assert _load({**CALM}, {"DEBUG": True, "SECRET_KEY": "x"}, environ=environ).leeway == 30


@pytest.mark.parametrize(
    ("keywords", "config", "environ", "prefix", "hint"),
    [
        ({"audiance": "x"}, {}, {}, "STRONGDM_", "audiance as a keyword argument .*did you mean audience"),
        ({}, {"STRONGDM_ISSUR": "x"}, {}, "STRONGDM_", "ISSUR in the configuration .*did you mean STRONGDM_ISSUER"),
        ({}, {"REALM": "x"}, {}, "", "REALM in the configuration .*did you mean REALMS"),
        ({}, {}, {"STRONGDM_JWKS_MAXAGE": "5"}, "", "MAXAGE in the environment .*did you mean STRONGDM_JWKS_MAX_AGE"),
        ({"zzz": 1}, {}, {}, "STRONGDM_", "zzz as a keyword argument .*known are .*audience"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(
    keywords: dict[str, object], config: dict[str, object], environ: dict[str, str], prefix: str, hint: str
) -> None:
    with pytest.raises(ConfigurationError, match=hint):
        _load({**CALM, **keywords}, config, environ=environ, prefix=prefix)


# Former names


def test_the_former_name_of_introspection() -> None:
    assert _load({**CALM, **CREDENTIALS, "introspection_enabled": True}).introspection == "always"
    assert _load({**CALM, "introspection_enabled": False}).introspection == "off"
    environ = {"STRONGDM_INTROSPECTION_ENABLED": "true"}
    assert _load({**CALM, **CREDENTIALS}, environ=environ).introspection == "always"


def test_the_former_name_of_jwks_max_age() -> None:
    assert _load({**CALM, "jwks_cache_ttl": 60}).jwks_max_age == 60
    assert _load({**CALM}, {"STRONGDM_JWKS_CACHE_TTL": "60"}).jwks_max_age == 60


@pytest.mark.parametrize("turned", [False, True])
def test_the_present_name_beats_the_former_one(turned: bool) -> None:
    pairs = [("jwks_cache_ttl", 60), ("jwks_max_age", 120)]
    keywords = dict(reversed(pairs) if turned else pairs)
    assert _load({**CALM, **keywords}).jwks_max_age == 120


def test_a_former_name_with_a_wrong_value_is_named_as_it_was_spelled() -> None:
    with pytest.raises(ConfigurationError, match="introspection_enabled"):
        _load({**CALM, "introspection_enabled": "perhaps"})
    with pytest.raises(ConfigurationError, match="jwks_cache_ttl"):
        _load({**CALM, "jwks_cache_ttl": "soon"})


# Frozen


def test_settings_cannot_be_changed() -> None:
    settings = Settings(**CALM)  # type: ignore[arg-type, misc]
    with pytest.raises(AttributeError, match="frozen"):
        settings.audience = ()
    with pytest.raises(AttributeError, match="frozen"):
        settings.novelty = 1  # type: ignore[attr-defined]


def test_settings_cannot_be_taken_apart() -> None:
    settings = Settings(**CALM)  # type: ignore[arg-type, misc]
    with pytest.raises(AttributeError):
        del settings.audience
    assert settings.audience == ("https://api.example.com",)


def test_settings_can_be_copied() -> None:
    settings = Settings(**CALM)  # type: ignore[arg-type, misc]
    assert copy.copy(settings).audience == settings.audience


def test_settings_leave_the_environment_and_the_given_values_alone() -> None:
    audience, before = ["https://a.example"], dict(os.environ)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings = Settings(audience=audience)
    audience.append("https://evil.example")
    assert settings.audience == ("https://a.example",)
    assert dict(os.environ) == before


@pytest.mark.parametrize("blank", ["", " ", None])
@pytest.mark.parametrize("name", ["introspection_enabled", "jwks_cache_ttl"])
def test_a_former_name_that_is_blank_is_unset(name: str, blank: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if blank is not None:
        monkeypatch.setenv(f"STRONGDM_{name.upper()}", blank)
    settings = Settings(**{**CALM, name: blank})  # type: ignore[arg-type, misc]
    assert (settings.introspection, settings.jwks_max_age) == ("off", 900)
