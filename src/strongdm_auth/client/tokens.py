"""An access token as an agent holds it, and how the token endpoint's answer is read (RFC 6749 5.1, RFC 9449 5)."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from urllib.parse import quote, quote_plus

from strongdm_auth.jose import Malformed, is_numeric_date, parse_object

from .errors import TokenRequestFailed, invalid_answer
from .keys import DPoPKey
from .network import Reply
from .retries import retry_after

#: What a token may consist of to go into a header as it is (RFC 6750 2.1 is stricter; real tokens are not).
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 3.3
#: An issuer's words are shown to people and written to logs: not at any length, and no control characters.
_MOST_SHOWN = 300
#: Secrets shorter than this are not looked for in an issuer's words: they would be found everywhere.
_SHORTEST_SECRET = 4


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, and what the issuer said about it. Its text shows in no repr."""

    value: str = field(repr=False)
    #: `Bearer` or `DPoP`: the scheme that it is sent with.
    token_type: str = "Bearer"
    scopes: frozenset[str] = frozenset()
    #: In seconds since the epoch; None when the issuer did not say: then it counts until an API refuses it.
    expires_at: float | None = None
    obtained_at: float = 0.0
    #: When to ask for the next one: a little before it expires.
    renew_at: float | None = None
    refresh_token: str | None = field(default=None, repr=False)

    def expired(self, now: float) -> bool:
        """Whether it surely does not count any more."""
        return self.expires_at is not None and now >= self.expires_at


class TokenSource(Protocol):
    """Whatever gives tokens: those of this package, or your own."""

    @property
    def key(self) -> DPoPKey | None:
        """The key that its tokens are bound to; None where they are not."""
        ...

    def token(self, *, instead_of: Token | None = None, scopes: frozenset[str] = frozenset()) -> Token:
        """A token that counts; a new one if `instead_of` is what is held, or if `scopes` were not asked for so far."""
        ...

    async def atoken(self, *, instead_of: Token | None = None, scopes: frozenset[str] = frozenset()) -> Token:
        """The same, for event loops."""
        ...


@dataclass(frozen=True, slots=True)
class FixedToken:
    """A token that somebody else got. It is not renewed."""

    value: str = field(repr=False)
    key: DPoPKey | None = None

    def token(self, *, instead_of: Token | None = None, scopes: frozenset[str] = frozenset()) -> Token:  # noqa: ARG002
        """It, whatever is asked for."""
        return Token(self.value, "Bearer" if self.key is None else "DPoP")

    async def atoken(self, *, instead_of: Token | None = None, scopes: frozenset[str] = frozenset()) -> Token:  # noqa: ARG002
        """As `token`."""
        return self.token()


def scope_set(scopes: str | Iterable[str] | None) -> frozenset[str] | None:
    """Scopes from a scope string or from several; None stays None. Raises ValueError for what is no scope (RFC 6749 3.3)."""
    if scopes is None:
        return None
    found = frozenset(filter(None, scopes.split(" "))) if isinstance(scopes, str) else frozenset(scopes)
    if not all(_SCOPE.fullmatch(scope) for scope in found):
        raise ValueError("a scope has characters that no scope has, or none at all")
    return found


def read_token(
    reply: Reply, *, now: float, asked: frozenset[str] | None, bound: bool, secrets: Iterable[str] = ()
) -> Token:
    """The token in a token endpoint's answer.

    Raises:
        TokenRequestFailed: there is none, or it is not bound as it was asked for. What was asked for bound and came unbound
            could be used by whoever steals it: that is said, and not made do with.
    """
    if reply.status != 200:
        raise refusal(reply, secrets)
    answer = json_object(reply)
    value, token_type, expires_in = answer.get("access_token"), answer.get("token_type"), answer.get("expires_in")
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        invalid_answer("no access_token that could be sent", reply.status)
    wanted = "DPoP" if bound else "Bearer"
    if not isinstance(token_type, str) or token_type.lower() != wanted.lower():
        invalid_answer(f"the token's type is not {wanted}: the issuer did not do as it was asked", reply.status)
    if isinstance(expires_in, str) and expires_in.isascii() and expires_in.isdigit():
        expires_in = int(expires_in[:12])  # some write the number as a string
    lifetime = expires_in if is_numeric_date(expires_in) and 0 < expires_in < 1e12 else None
    scope, refresh_token = answer.get("scope"), answer.get("refresh_token")
    granted = (
        frozenset(scope.split()) if isinstance(scope, str) else asked
    )  # RFC 6749 5.1: left out, it is what was asked
    return Token(
        value,
        wanted,
        granted or frozenset(),
        None if lifetime is None else now + lifetime,
        now,
        None,
        refresh_token if isinstance(refresh_token, str) and refresh_token else None,
    )


def renewed_ahead(token: Token, early: float, chance: float) -> Token:
    """The token with its time to be renewed: `early` seconds before it expires, up to twice that, not in its first half."""
    if token.expires_at is None:
        return token
    lifetime = token.expires_at - token.obtained_at
    return replace(token, renew_at=token.expires_at - min(early * (1 + chance), lifetime / 2))


def json_object(reply: Reply) -> dict[str, Any]:
    """The answer's body. Raises TokenRequestFailed unless it is a JSON object."""
    try:
        return parse_object(reply.body)
    except Malformed:
        invalid_answer("the answer is not a JSON object", reply.status)


def refusal(reply: Reply, secrets: Iterable[str] = ()) -> TokenRequestFailed:
    """What a refusal says (RFC 6749 5.2; StrongDM ID's other endpoints answer in the same form), without these secrets."""
    try:
        body: Mapping[str, object] = parse_object(reply.body)
    except Malformed:
        body = {}
    error, description = body.get("error"), body.get("error_description")
    code = error if isinstance(error, str) and error else "rate_limited" if reply.status == 429 else "invalid_answer"
    text = description if isinstance(description, str) else "" if "error" in body else "no reason was given"
    code, text = _shown(_without(code, secrets)), _shown(_without(text, secrets))
    return TokenRequestFailed(code, text, reply.status, retry_after=retry_after(reply))


def _shown(text: str) -> str:
    """An issuer's words, fit for a terminal and a log."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable if len(printable) <= _MOST_SHOWN else printable[: _MOST_SHOWN - 3] + "..."


def _without(text: str, secrets: Iterable[str]) -> str:
    """An issuer may repeat what it was sent, as it stands or form-encoded, and error texts end up in logs and in chats."""
    for secret in secrets:
        for spelling in {secret, quote(secret, safe=""), quote_plus(secret)}:
            if len(spelling) >= _SHORTEST_SECRET:
                text = text.replace(spelling, "...")
    return text
