"""Requests and replies of the local issuer, free of any transport, and the error answer of OAuth (RFC 6749
section 5.2). Reading a request either gives well-formed values or raises the refusal that answers it;
nothing a stranger sends reaches an endpoint half-parsed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

HeaderSource = Mapping[str, str] | Iterable[tuple[str, str]]

_NO_STORE = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))
_MAX_FORM_FIELDS = 64  # the largest honest request here has a dozen
_REPEATABLE = frozenset({"audience", "resource"})  # RFC 8693 section 2.1, RFC 8707 section 2


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: status, headers, body, and how long to wait before it is sent."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    delay: float = 0.0


class OAuthError(Exception):
    """An error answer, raised from wherever the reason was found."""

    def __init__(self, status: int, error: str, description: str, headers: HeaderSource = ()) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.description = description
        self.headers = header_pairs(headers)

    def reply(self) -> Reply:
        return json_reply(
            {"error": self.error, "error_description": self.description},
            status=self.status,
            headers=self.headers,
        )


@dataclass(frozen=True, slots=True)
class Form:
    """The parameters of a form-encoded request; empty ones count as left out (RFC 6749 section 3.2)."""

    values: Mapping[str, tuple[str, ...]]

    def get(self, name: str) -> str | None:
        values = self.values.get(name)
        return values[0] if values else None

    def need(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise OAuthError(400, "invalid_request", f"the parameter {name} is missing")
        return value

    def all(self, name: str) -> tuple[str, ...]:
        return self.values.get(name, ())


@dataclass(frozen=True, slots=True)
class Request:
    """One request: `path` is without the query and still carries any realm."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    @classmethod
    def read(cls, method: str, target: str, headers: HeaderSource, body: bytes) -> Request:
        """From a request line's method and target (origin or absolute form)."""
        path = urlsplit(target).path if target.startswith(("http://", "https://")) else target.partition("?")[0]
        return cls(method.upper(), path or "/", header_pairs(headers), body)

    def header_values(self, name: str) -> list[str]:
        return [value for header, value in self.headers if header.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The one value of this header, or None.

        Raises:
            OAuthError: it came more than once.
        """
        values = self.header_values(name)
        if len(values) > 1:
            raise OAuthError(400, "invalid_request", f"more than one {name} header")
        return values[0] if values else None

    def form(self) -> Form:
        """The form-encoded body.

        Raises:
            OAuthError: another content type, undecodable, or a parameter twice that may come once.
        """
        if self._media_type() != "application/x-www-form-urlencoded":
            raise OAuthError(400, "invalid_request", "the body must be application/x-www-form-urlencoded")
        try:
            pairs = parse_qsl(
                self.body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FORM_FIELDS
            )
        except ValueError:
            raise OAuthError(400, "invalid_request", "the form body cannot be read") from None
        values: dict[str, tuple[str, ...]] = {}
        for name, value in pairs:
            if name in values and name not in _REPEATABLE:
                raise OAuthError(400, "invalid_request", "a parameter is there more than once")
            values[name] = (*values.get(name, ()), value)
        return Form({name: tuple(filter(None, several)) for name, several in values.items()})

    def json_object(self) -> dict[str, object]:
        """The JSON object in the body.

        Raises:
            OAuthError: there is none.
        """
        try:
            value: object = json.loads(self.body)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise OAuthError(400, "invalid_request", "the body must be a JSON object")
        return value

    def _media_type(self) -> str:
        return (self.header("Content-Type") or "").partition(";")[0].strip().lower()


def header_pairs(headers: HeaderSource) -> tuple[tuple[str, str], ...]:
    """Headers as pairs, whichever way they were given."""
    if not isinstance(headers, Mapping):
        return tuple(headers)
    return tuple((str(name), value) for name, value in headers.items())


def json_reply(value: Mapping[str, object], *, status: int = 200, headers: HeaderSource = ()) -> Reply:
    """A JSON answer that no cache may keep (RFC 6749 section 5.1)."""
    return Reply(status, (("Content-Type", "application/json"), *_NO_STORE, *header_pairs(headers)), _encode(value))


def public_document(value: Mapping[str, object]) -> Reply:
    """A JSON document that anyone may read and keep for a while: metadata and key sets."""
    return Reply(200, (("Content-Type", "application/json"), ("Cache-Control", "public, max-age=60")), _encode(value))


def _encode(value: Mapping[str, object]) -> bytes:
    return json.dumps(dict(value)).encode()
