"""What the local issuer knows and mints: its URL and realms, their keys, clients, enrollments,
revocations, and the access tokens (RFC 9068 section 2 in shape). The endpoints and the in-process calls
both sit on it. State is behind one lock, signing is outside of it, and whatever strangers can add to has a
bound."""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from strongdm_auth.testing import jws
from strongdm_auth.testing.clients import Clients, scope_tokens
from strongdm_auth.testing.clock import Clock
from strongdm_auth.testing.enrollment import Enrollments, Notice
from strongdm_auth.testing.keyring import Keyring
from strongdm_auth.testing.keys import SigningKey

_REALM = re.compile(r"[A-Za-z0-9._~-]+")
_MAX_REVOKED = 10_000  # the oldest are forgotten; a test or a demo revokes a handful


class InactiveTokenError(Exception):
    """The token is not, or no longer, a token of this issuer."""


@dataclass(frozen=True, slots=True)
class LiveToken:
    """A token of this issuer that still counts: whose (None for the base issuer), and its claims."""

    realm: str | None
    claims: Mapping[str, object]


class Authority:
    """The state and the mint behind every endpoint."""

    def __init__(
        self,
        url: str,
        *,
        realms: Iterable[str],
        algorithms: Sequence[str],
        scopes: Iterable[str],
        clock: Clock,
        token_lifetime: float,
        notify: Callable[[Notice], None],
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path or parts.query or parts.fragment:
            raise ValueError("url must be an http(s) origin without a path")
        self.url = url
        self.clock = clock
        self.token_lifetime = token_lifetime
        self.algorithms = tuple(algorithms)
        self.scopes = scope_tokens(scopes)
        self.realms = tuple(dict.fromkeys(realms))
        if not all(_REALM.fullmatch(realm) for realm in self.realms):
            raise ValueError("a realm's name has letters, digits and ._~- only")
        # As at the real service, whose trust domain is strongdm.ai below id.strongdm.ai.
        self.trust_domain = parts.hostname.removeprefix("id.")
        self.clients = Clients()
        self.enrollments = Enrollments(clock, notify)
        self._rings: dict[str | None, Keyring] = {realm: Keyring(self.algorithms) for realm in (None, *self.realms)}
        self._lock = threading.Lock()
        self._svid_key: SigningKey | None = None
        self._earlier_svid_keys: list[SigningKey] = []
        self._revoked: OrderedDict[str, None] = OrderedDict()
        self._opaque: dict[str, LiveToken] = {}

    @property
    def home_realm(self) -> str | None:
        """Where a client registered at the root belongs."""
        return "default" if "default" in self.realms else None

    def issuer_url(self, realm: str | None) -> str:
        self.ring(realm)
        return self.url if realm is None else f"{self.url}/realms/{realm}"

    def ring(self, realm: str | None) -> Keyring:
        try:
            return self._rings[realm]
        except KeyError:
            raise ValueError(f"no realm {realm!r} here; there is {', '.join(self.realms) or 'none'}") from None

    def svid_key(self) -> SigningKey:
        """The key of JWT-SVIDs: in the trust bundle, in no issuer's key set."""
        with self._lock:
            if self._svid_key is None:
                self._svid_key = SigningKey.generate("ES256", use="jwt-svid")
            return self._svid_key

    def svid_keys(self) -> list[SigningKey]:
        """All that are in the trust bundle."""
        current = self.svid_key()
        with self._lock:
            return [current, *self._earlier_svid_keys]

    def rotate_svids(self, *, keep_old: bool) -> None:
        with self._lock:
            old, self._svid_key = self._svid_key, None
            self._earlier_svid_keys = [*self._earlier_svid_keys, *([old] if old else [])] if keep_old else []

    def claims(
        self,
        subject: str,
        *,
        client_id: str,
        scopes: Iterable[str],
        realm: str | None,
        audience: str | Iterable[str] | None,
        jkt: str | None,
        x5t: str | None = None,
        actor: Mapping[str, object] | None,
        lifetime: float | None,
    ) -> dict[str, object]:
        """The claims of an access token made now."""
        now = self.clock()
        members: dict[str, object] = {
            "iss": self.issuer_url(realm),
            "sub": subject,
            "client_id": client_id,
            "scope": " ".join(scopes),
            "iat": int(now),
            "exp": int(now + (self.token_lifetime if lifetime is None else lifetime)),
            "jti": secrets.token_urlsafe(16),
            "token_type": "access_token",
        }
        if audience is not None:
            members["aud"] = audience if isinstance(audience, str) else list(audience)
        confirmation = {name: value for name, value in (("jkt", jkt), ("x5t#S256", x5t)) if value is not None}
        if confirmation:
            members["cnf"] = confirmation
        if actor is not None:
            members["act"] = dict(actor)
        return members

    def mint(
        self,
        claims: Mapping[str, object],
        *,
        realm: str | None,
        alg: str | None = None,
        header: Mapping[str, object] | None = None,
    ) -> str:
        """Sign these claims as an access token of this realm's issuer."""
        return self.ring(realm).key(alg).sign({"typ": "at+jwt", **(header or {})}, claims)

    def mint_opaque(self, claims: Mapping[str, object], *, realm: str | None) -> str:
        """A token that says nothing: only introspection knows these claims."""
        token = f"opq_{secrets.token_urlsafe(32)}"
        with self._lock:
            self._opaque[_handle(token)] = LiveToken(realm, dict(claims))
        return token

    def read(self, token: str, realm: str | None = None) -> LiveToken:
        """The token's claims, if it is ours, in force, and of this realm where one is named.

        Raises:
            InactiveTokenError: it is not.
        """
        with self._lock:
            if _handle(token) in self._revoked:
                raise InactiveTokenError
            live = self._opaque.get(_handle(token))
        if live is None:
            live = self._read_jwt(token)
        if realm is not None and live.realm != realm:
            raise InactiveTokenError
        now = self.clock()
        expires_at, not_before = live.claims.get("exp"), live.claims.get("nbf", 0)
        if not isinstance(expires_at, int | float) or not isinstance(not_before, int | float):
            raise InactiveTokenError
        if not not_before <= now < expires_at:
            raise InactiveTokenError
        return live

    def revoke(self, token: str) -> None:
        with self._lock:
            self._revoked[_handle(token)] = None
            while len(self._revoked) > _MAX_REVOKED:
                self._revoked.popitem(last=False)

    def _read_jwt(self, token: str) -> LiveToken:
        try:
            parsed = jws.parse(token)
        except ValueError:
            raise InactiveTokenError from None
        for realm, ring in self._rings.items():
            if parsed.claims.get("iss") == self.issuer_url(realm) and ring.verifies(parsed):
                return LiveToken(realm, parsed.claims)
        raise InactiveTokenError


def _handle(token: str) -> str:
    """What a token is remembered by: of a JWS the signed part, since some signatures can be rewritten."""
    signed = token.rpartition(".")[0] if token.count(".") == 2 else token
    return hashlib.sha256(signed.encode(errors="replace")).hexdigest()
