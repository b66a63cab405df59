"""`client_certificate` and `trusted_proxies`: what they may be, and which of them make no sense together."""

from ipaddress import ip_network
from typing import Any

import pytest

from strongdm_auth import ConfigurationError, Settings

BASE: dict[str, Any] = {"issuer": "https://id.example.com", "realms": "*", "audience": "a"}


def test_without_them_the_server_tells() -> None:
    settings = Settings(**BASE)
    assert (settings.client_certificate, settings.trusted_proxies) == ("tls", ())


def test_what_they_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(
        **BASE,
        client_certificate="header:X-Client-Cert",
        trusted_proxies=["10.0.0.0/8", "fd00::/8", "192.0.2.7", "unix"],
    )
    assert settings.client_certificate == "header:X-Client-Cert"
    assert settings.trusted_proxies == (
        ip_network("10.0.0.0/8"),
        ip_network("fd00::/8"),
        ip_network("192.0.2.7/32"),
        "unix",
    )
    monkeypatch.setenv("STRONGDM_CLIENT_CERTIFICATE", "header: Client-Cert")
    monkeypatch.setenv("STRONGDM_TRUSTED_PROXIES", "10.0.0.0/8, unix")
    settings = Settings(**BASE)
    assert settings.client_certificate == "header:Client-Cert"
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), "unix")


@pytest.mark.parametrize(
    "source",
    [
        *(
            "on",
            "TLS",
            "header",
            "header:",
            "header:X_Client_Cert",
            "header:X Client",
            "header:é",
            "header:a,b",
            "header:a:b",
        ),
        *(f"header:{'a' * 65}", "X-Client-Cert", 7, True, ["tls"], b"tls"),
    ],
)
def test_another_source_is_refused(source: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"client_certificate .*header:X-Client-Cert"):
        Settings(**BASE, client_certificate=source, trusted_proxies="unix")


@pytest.mark.parametrize(
    "proxies", ["10.0.0.1/8", "10.0.0.0/33", "proxy.example.com", "*", "UNIX", "unix:/run/x", "10.0.0", [7]]
)
def test_other_proxies_are_refused(proxies: Any) -> None:
    with pytest.raises(ConfigurationError, match="trusted_proxies"):
        Settings(**BASE, client_certificate="header:X-Client-Cert", trusted_proxies=proxies)


def test_a_header_that_anybody_may_set_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"trusted_proxies must be set .* which anybody can send"):
        Settings(**BASE, client_certificate="header:X-Client-Cert")


@pytest.mark.parametrize("source", ["tls", "off", None])
def test_proxies_that_are_trusted_with_nothing_are_refused(source: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"trusted_proxies is for client_certificate='header:NAME' alone"):
        Settings(**BASE, client_certificate=source, trusted_proxies="10.0.0.0/8")
