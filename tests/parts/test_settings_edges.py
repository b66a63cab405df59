"""Settings to the last value that is taken and the first that is not, and what of each source counts as said."""

import warnings
from typing import Any

import pytest

from strongdm_auth import ConfigurationError, Settings
from strongdm_auth.fields import ASYMMETRIC_ALGORITHMS
from strongdm_auth.settings import SecurityWarning
from strongdm_auth.urls import fetch_problem, is_loopback

CALM: dict[str, Any] = {"realms": "alpha", "audience": "https://api.example.com"}

#: field -> the least and the most seconds, and what they mean to whoever reads the table of the contract.
SECONDS = {
    "leeway": (0, 600),
    "dpop_proof_max_age": (1, 3600),
    "introspection_ttl": (0, 86_400),
    "jwks_max_age": (0, 86_400),
    "jwks_stale": (0, 604_800),
    "jwks_cooldown": (0, 3600),
    "http_timeout": (0.05, 60),
}


@pytest.mark.parametrize("field", SECONDS)
def test_seconds_go_from_the_least_to_the_most(field: str) -> None:
    least, most = SECONDS[field]
    for value in (least, most, str(least), float(most)):
        assert getattr(Settings(**CALM, **{field: value}), field) == float(value)
    for value in (
        least - 0.001,
        most + 0.001,
        -1,
        "nan",
        "inf",
        float("inf"),
        True,
        False,
        " x",
        "1,5",
        [1],
        10**400,
    ):
        with pytest.raises(
            ConfigurationError, match=rf"{field} as a keyword argument must be a number of seconds from "
        ):
            Settings(**CALM, **{field: value})


def test_a_token_s_size_goes_from_256_to_a_mebibyte() -> None:
    for value in (256, "256", 1_048_576):
        assert Settings(**CALM, max_token_bytes=value).max_token_bytes == int(value)
    for wrong in (255, 1_048_577, 300.0, "300.0", "-300", True, "x", [300]):
        with pytest.raises(ConfigurationError, match=r"max_token_bytes .* whole number of bytes from 256 to 1048576"):
            Settings(**CALM, max_token_bytes=wrong)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        *(("true", True), ("1", True), ("yes", True), ("on", True), ("ON", True), (True, True)),
        *(("false", False), ("0", False), ("no", False), ("off", False), ("No", False), (False, False)),
    ],
)
def test_a_switch_has_four_words_for_each_of_its_sides(said: Any, meant: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        assert Settings(**CALM, unsafe_allow_http=said).unsafe_allow_http is meant


@pytest.mark.parametrize("said", ["enabled", "2", 1, 0, "t", [True]])
def test_a_switch_has_no_others(said: Any) -> None:
    with pytest.raises(ConfigurationError, match="must be true or false"):
        Settings(**CALM, unsafe_allow_http=said)


CHOICES = {
    "token_profile": ("strongdm", "rfc9068"),
    "dpop": ("allowed", "required"),
    "dpop_nonce": ("off", "required"),
    "introspection": ("off", "fallback", "always"),
}


@pytest.mark.parametrize("field", CHOICES)
def test_a_choice_is_one_of_its_words(field: str) -> None:
    more = {"client_id": "c", "client_secret": "s"}
    for value in CHOICES[field]:
        assert getattr(Settings(**CALM, **more, **{field: value}), field) == value
    for wrong in ("Off", "on", True, 1, ["off"], "off,required"):
        with pytest.raises(ConfigurationError, match=f"must be one of {', '.join(CHOICES[field])}"):
            Settings(**CALM, **more, **{field: wrong})


@pytest.mark.parametrize("field", ["algorithms", "dpop_algorithms"])
@pytest.mark.parametrize("name", ["none", "None", "NONE", "HS256", "hs512", "HS1"])
def test_what_is_no_signature_of_somebody_s_is_refused_with_the_reason(field: str, name: str) -> None:
    """RFC 8725 3.1, 3.2: whoever names it has to hear why, and not that it is unknown."""
    with pytest.raises(ConfigurationError, match=r"must not name .* only asymmetric algorithms can tell who signed"):
        Settings(**CALM, **{field: ["ES256", name]})


@pytest.mark.parametrize("name", ["es256", "RS1", "ES257", "RSA-OAEP", "A256GCM", "ES 256"])
def test_an_algorithm_is_known_by_its_own_spelling(name: str) -> None:
    with pytest.raises(ConfigurationError, match="unknown algorithm"):
        Settings(**CALM, algorithms=name)


def test_every_asymmetric_algorithm_can_be_named() -> None:
    names = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K")
    everything = (*names, "EdDSA", "Ed25519", "Ed448")
    assert Settings(**CALM, algorithms=everything).algorithms == everything
    assert frozenset(everything) == ASYMMETRIC_ALGORITHMS


@pytest.mark.parametrize("name", ["a", "A-b_c.d~e", "0", "_", "-", "a" * 128, "a.b"])
def test_a_realm_is_one_plain_segment(name: str) -> None:
    assert Settings(audience="x", realms=name).realms == {name}


@pytest.mark.parametrize("name", ["a" * 129, ".a", "~a", "a..b", "..", "a/b", "a b", "a%2Fb", "é", "a?b"])
def test_what_is_none_is_refused(name: str) -> None:
    """RFC 8725 3.10: it becomes part of a URL that is fetched."""
    with pytest.raises(ConfigurationError, match="is no realm name"):
        Settings(audience="x", realms=[name, "good"])


@pytest.mark.parametrize("realms", [["*", "a"], "a,*"])
def test_any_realm_is_not_one_among_others(realms: Any) -> None:
    with pytest.raises(ConfigurationError, match="is no realm name"):
        Settings(audience="x", realms=realms)


@pytest.mark.parametrize("scheme", ["redis", "rediss", "valkey", "valkeys"])
def test_a_store_that_workers_share_is_named_by_its_url(scheme: str) -> None:
    settings = Settings(**CALM, replay_store=f"{scheme}://127.0.0.1:1/0")
    assert settings.shares_memory
    assert f"{scheme}:" not in repr(settings), "it may have a password"


@pytest.mark.parametrize("store", ["memory:", "redis", "http://a", "", "django-cache:x", 7, object(), {"first_use": 1}])
def test_no_other_store_is_known(store: Any) -> None:
    with pytest.raises(ConfigurationError, match="replay_store as a keyword argument must be"):
        Settings(**CALM, replay_store=store)


def test_half_a_shared_store_is_a_replay_store_and_no_more() -> None:
    class Half:
        def first_use(self) -> None: ...
        def recall(self) -> None: ...
        def keep(self) -> None: ...
        def revoke(self) -> None: ...

    class Whole(Half):
        def revoked(self) -> None: ...

    assert not Settings(**CALM, replay_store=Half()).shares_memory
    assert Settings(**CALM, replay_store=Whole()).shares_memory
    assert not Settings(**CALM).shares_memory
    assert not Settings(**CALM, replay_store="django-cache://default").shares_memory


# What of a source counts as said


def test_a_blank_secret_is_unset_in_the_environment_and_a_mistake_anywhere_else() -> None:
    """A variable that a deployment left empty is not there; a keyword that came out empty was meant to be one."""
    blank = {f"STRONGDM_{name}": " " for name in ("CLIENT_SECRET", "DPOP_NONCE_SECRET", "REPLAY_STORE")}
    settings = Settings.load(CALM, environ=blank)
    assert (settings.client_secret, settings.replay_store, len(settings.dpop_nonce_secret[0])) == (
        None,
        "memory://",
        32,
    )
    for name in ("dpop_nonce_secret", "replay_store"):
        with pytest.raises(ConfigurationError, match=f"^{name} as a keyword argument must"):
            Settings(**CALM, **{name: ""})
        with pytest.raises(ConfigurationError, match=f"^STRONGDM_{name.upper()} in the configuration must"):
            Settings.load(CALM, {f"STRONGDM_{name.upper()}": ""}, environ={})


def test_what_is_unset_keeps_nothing_else_from_being_read() -> None:
    first = {"issuer": None, "leeway": "", "realms": "beta", "audience": ["x"]}
    settings = Settings(**first)
    assert (settings.issuer, settings.leeway, settings.realms) == ("https://id.strongdm.ai", 30, {"beta"})


def test_a_key_that_is_no_text_is_none_of_ours() -> None:
    """A framework's configuration may have any keys."""
    assert Settings.load(CALM, {7: "x", None: "y", "OTHER": 1, "STRONGDM_LEEWAY": 5}, environ={}).leeway == 5  # type: ignore[dict-item]


def test_a_wrong_value_is_shown_unless_it_is_a_secret_or_long() -> None:
    with pytest.raises(ConfigurationError, match=r"\(got 'sometimes'\)$"):
        Settings(**CALM, dpop="sometimes")
    with pytest.raises(
        ConfigurationError, match=r"^STRONGDM_ISSUER in the environment is not a URL.*\(got 'https://\[::1'\)$"
    ):
        Settings.load(CALM, environ={"STRONGDM_ISSUER": "https://[::1"})
    with pytest.raises(ConfigurationError) as caught:
        Settings(**CALM, dpop="x" * 200)
    assert caught.value.message.endswith(f"(got '{'x' * 76}...)")


def test_a_secret_that_is_not_there_is_shown_as_not_there() -> None:
    shown = repr(Settings(**CALM, client_id="c"))
    assert "client_secret=None" in shown
    assert "dpop_nonce_secret=..." in shown
    assert "client_id='c'" in shown


# What no field can tell alone


@pytest.mark.parametrize(("max_age", "stale"), [(1, 0), (0, 1), (1, 1), (0, 3600)])
def test_keys_must_serve_for_some_time(max_age: float, stale: float) -> None:
    assert Settings(**CALM, jwks_max_age=max_age, jwks_stale=stale)
    with pytest.raises(ConfigurationError, match="must not both be 0"):
        Settings(**CALM, jwks_max_age=0, jwks_stale=0)


@pytest.mark.parametrize(
    "issuer",
    ["https://id.example.com/%zz", "https://id.example.com/a/../b", "https://id.example.com//a", "https://a[b/"],
)
def test_an_issuer_is_a_plain_url(issuer: str) -> None:
    with pytest.raises(ConfigurationError, match="issuer"):
        Settings(audience="x", realms="*", issuer=issuer)


@pytest.mark.parametrize(("workers", "warned"), [("1", False), ("2", True), ("0", False), ("x", False), ("", False)])
def test_two_workers_are_several(workers: str, warned: bool) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Settings.load(CALM | {"dpop_nonce": "required"}, environ={"WEB_CONCURRENCY": workers})
    assert len(caught) == (2 if warned else 0)


# URLs that may be fetched


@pytest.mark.parametrize("character", [*'\\"<>^`{|}', " ", "\t", "\x00", "\x1f", "\x7f", "é", "\u2028"], ids=ascii)
def test_a_character_that_no_url_has_makes_it_none(character: str) -> None:
    problem = fetch_problem(f"https://id.example.com/{character}x", allow_http=True)
    assert problem is not None
    assert "characters that no URL has" in problem


def test_plain_http_is_not_for_everywhere_unless_that_is_said() -> None:
    assert fetch_problem("http://id.example.com") is not None
    assert fetch_problem("http://id.example.com", allow_http=True) is None
    assert fetch_problem("http://localhost") is fetch_problem("https://id.example.com") is None


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        *(("localhost", True), ("LOCALHOST", True), ("127.0.0.1", True), ("127.255.255.254", True), ("::1", True)),
        *((None, False), ("", False), ("localhost.example.com", False), ("127.0.0.1.example.com", False)),
        *(("128.0.0.1", False), ("::2", False), ("::ffff:127.0.0.1", False), ("0.0.0.0", False), ("127.1", False)),
    ],
)
def test_loopback_is_this_machine_and_no_name_that_looks_like_it(host: str | None, loopback: bool) -> None:
    assert is_loopback(host) is loopback
