"""The names of security events (OpenID CAEP 1.0, RISC 1.0), so that tests need not spell out their URIs."""

from __future__ import annotations

_SCHEMAS = "https://schemas.openid.net/secevent/"
_RISC = frozenset(
    [
        "account-credential-change-required",
        "account-disabled",
        "account-enabled",
        "account-purged",
        "credential-compromise",
        "identifier-changed",
        "sessions-revoked",
    ]
)


def uri(event: str) -> str:
    """The URI of an event type; CAEP's where RISC has none of that name."""
    if ":" in event:
        return event
    return f"{_SCHEMAS}{'risc' if event in _RISC else 'caep'}/event-type/{event}"
