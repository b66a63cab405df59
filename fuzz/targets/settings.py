"""Settings from an environment: only a ConfigurationError may come of them; and what is accepted can be worked with.

Lines are `NAME value`; `config NAME value` is the framework's configuration. A secret is in no message and no repr.
"""

import re
import warnings
from typing import Any

from fuzz.edits import edits, words
from strongdm_auth import ConfigurationError, MissingCredentials, Settings
from strongdm_auth.challenge import Challenges
from strongdm_auth.fields import ASYMMETRIC_ALGORITHMS
from strongdm_auth.flow import ResourceServer
from strongdm_auth.metadata import Metadata, metadata_url

_SECRET = "a-secret-that-nobody-may-read"
_PREFIX = "STRONGDM_"
_NAMES = (*(name.upper() for name in Settings.__annotations__), "INTROSPECTION_ENABLED", "JWKS_CACHE_TTL")
_SECRET_NAMES = ("DPOP_NONCE_SECRET", "REPLAY_STORE", "CLIENT_SECRET")
_KEYS = tuple(_PREFIX + name for name in _NAMES)
HEADS = (*_KEYS, *(f"config {key}" for key in _KEYS), "WEB_CONCURRENCY", "STRONGDM_ISSUERS")
VALUES = (
    *words(r"""
    https://id.example.com | https://id.example.com/realms/alpha | http://127.0.0.1:8000 | http://id.example.com
    https://a/?b | alpha | alpha,beta | * | .. | a/b | https://api.example.com | a,b | , | RS256 | HS256 | none
    ES256,EdDSA | RSA | strongdm | rfc9068 | required | allowed | off | always | fallback | true | no | 1 | 0 | -1
    nan | inf | 1e400 | 30 | 601 | "\u0663" | "\u00b2" | memory:// | redis://:a-secret-that-nobody-may-read@h/0
    django-cache://default | valkey://h | rediss:// | a-secret-that-nobody-may-read
    a-secret-that-nobody-may-read,a-secret-that-nobody-may-read | https://u:a-secret-that-nobody-may-read@h/ | 256
    1048577 | 99999999999999999999 | null | [] | {} | ["a", 7] | ["ES256"] | https://[::1 | https://a\b
    https://a/../b | https://a//b | "\u0000" | "\u212a" | https://a/realms/ | "\ud800"
"""),
    " ",
)


def check(data: bytes) -> None:
    """See the module's text."""
    environ: dict[str, str] = {}
    config: dict[str, Any] = {}
    for edit in edits(data):
        if edit.head == "config":
            name, _, _ = edit.rest.partition(" ")
            config[name] = edit.member[1] if " " in edit.rest else None
        elif "=" not in edit.head:
            environ[edit.head] = edit.text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # doubts are no errors
            settings = Settings.load({}, config, prefix=_PREFIX, environ=environ)
    except ConfigurationError as error:
        check_message(error.message)
        return
    if not re.search("[\ud800-\udfff]", f"{settings.client_id}{settings.client_secret}"):
        # Open finding: bytes that are not UTF-8 in one of these are a UnicodeEncodeError when a verifier is made.
        check_settings(settings)


def check_message(message: str) -> None:
    """It names a setting; and neither a secret nor a URL's password."""
    assert message.lower().startswith((*(name.lower() for name in _NAMES), _PREFIX.lower())), message
    if message.startswith(tuple(f"{_PREFIX}{name} in " for name in _SECRET_NAMES)):
        assert _SECRET not in message, message
    if re.match(r"\w*(ISSUER|PUBLIC_URL|RESOURCE) ", message, re.IGNORECASE):
        assert not re.search(f"\\(got .*//.*{_SECRET}.*@", message), message


def check_settings(settings: Settings) -> None:
    """They hold what they promise, and all that is built from them at start-up can be built."""
    assert set(settings.algorithms) | set(settings.dpop_algorithms) <= ASYMMETRIC_ALGORITHMS
    assert settings.algorithms and settings.dpop_algorithms and settings.dpop_nonce_secret
    assert all(settings.dpop_nonce_secret)
    assert 0 <= settings.leeway <= 600
    assert settings.unsafe_allow_http or settings.issuer.lower().startswith(
        ("https://", "http://127.", "http://localhost", "http://[")
    )
    assert settings.introspection == "off" or (settings.client_id and settings.client_secret)
    assert settings.token_profile == "strongdm" or settings.audience
    assert settings.realms is None or settings.realms == "*" or all("/" not in realm for realm in settings.realms)
    assert "dpop_nonce_secret=...," in repr(settings)
    assert re.search(r"client_secret=(\.\.\.|None),", repr(settings))
    server = ResourceServer(settings)
    assert server.issuers.find(settings.issuer) is not None or settings.realms
    metadata = Metadata.of(settings)
    url = None if settings.resource is None else metadata_url(settings.resource)
    challenges = Challenges(settings.dpop == "required", settings.dpop_algorithms, url)
    for name, value in challenges.denial(MissingCredentials("credentials.missing")).headers:
        assert value.isascii() and value.isprintable(), (name, value)
    assert metadata is None or metadata.body.endswith(b"}\n")
