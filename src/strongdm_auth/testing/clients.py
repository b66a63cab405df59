"""The registered clients of the local issuer and how they authenticate (RFC 6749 section 2.3): HTTP Basic
or `client_secret_post`, one of them, compared in constant time. Nothing is stored beyond the process."""

from __future__ import annotations

import binascii
import hmac
import re
import secrets
import threading
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

from strongdm_auth.testing.messages import Form, OAuthError, Request

_CHALLENGE = (("WWW-Authenticate", 'Basic realm="local issuer"'),)
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 section 3.3


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client; `realm` is None where the issuer has no realm for it."""

    client_id: str
    client_secret: str = field(repr=False)
    name: str
    scopes: tuple[str, ...]
    realm: str | None
    email: str | None = None

    @property
    def auth(self) -> tuple[str, str]:
        """Id and secret, as HTTP clients take them for Basic authentication."""
        return self.client_id, self.client_secret


class Clients:
    """The register. Only people with a verification code, and the process itself, can add to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[str, Client] = {}

    def register(self, name: str, *, scopes: tuple[str, ...], realm: str | None, email: str | None = None) -> Client:
        slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40] or "agent"
        client = Client(
            client_id=f"cli_{slug}_{secrets.token_hex(8)}",
            client_secret=f"sec_{secrets.token_urlsafe(32)}",
            name=name,
            scopes=scopes,
            realm=realm,
            email=email,
        )
        self.add(client)
        return client

    def add(self, client: Client) -> None:
        """Take in a client that has its credentials already."""
        with self._lock:
            self._clients[client.client_id] = client

    def get(self, client_id: str) -> Client | None:
        with self._lock:
            return self._clients.get(client_id)

    def authenticate(self, request: Request, form: Form, *, realm: str | None) -> Client:
        """The client that sent this request; below a realm's path only that realm's clients.

        Raises:
            OAuthError: 401 `invalid_client`, or 400 for two ways of authenticating at once.
        """
        client_id, client_secret = _credentials(request, form)
        client = self.get(client_id)
        # An unknown client costs a comparison too.
        expected = client.client_secret if client else secrets.token_urlsafe(32)
        matches = hmac.compare_digest(expected.encode(), client_secret.encode(errors="replace"))
        if client is None or not matches or (realm is not None and client.realm != realm):
            raise _invalid_client()
        return client


def scope_tokens(scope: str | Iterable[str]) -> tuple[str, ...]:
    """The scopes, each once, from a scope string or from several scopes.

    Raises:
        ValueError: a character that no scope may have.
    """
    tokens = tuple(dict.fromkeys(scope.split(" ") if isinstance(scope, str) else scope))
    tokens = tuple(token for token in tokens if token)
    if not all(_SCOPE_TOKEN.fullmatch(token) for token in tokens):
        raise ValueError("a scope has characters that RFC 6749 section 3.3 leaves out")
    return tokens


def _credentials(request: Request, form: Form) -> tuple[str, str]:
    authorization = request.header("Authorization")
    posted_id, posted_secret = form.get("client_id"), form.get("client_secret")
    if authorization is None:
        if posted_id is None or posted_secret is None:
            raise _invalid_client()
        return posted_id, posted_secret
    if posted_secret is not None:
        raise OAuthError(400, "invalid_request", "the client authenticated in two ways")
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise _invalid_client()
    try:
        client_id, colon, client_secret = b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise _invalid_client() from None
    # Id and secret are form-encoded before they are put together, section 2.3.1.
    client_id, client_secret = unquote_plus(client_id), unquote_plus(client_secret)
    if not colon or posted_id not in {None, client_id}:
        raise _invalid_client()
    return client_id, client_secret


def _invalid_client() -> OAuthError:
    return OAuthError(401, "invalid_client", "client authentication failed", _CHALLENGE)
