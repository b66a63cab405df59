"""What `call` shows of each request and each answer: all of it, but for secrets, of which it shows how they begin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .terminal import Painted, Terminal, shortened
from .times import span

if TYPE_CHECKING:
    from strongdm_auth.client import DPoPKey, Network, Token, TokenSource

#: Headers that have a secret in them, sent or answered.
_SECRET = frozenset({"authorization", "dpop", "proxy-authorization", "cookie", "set-cookie", "x-api-key"})
#: What every request has, and what says nothing about why it was refused.
_BORING = frozenset(
    {"accept", "accept-encoding", "connection", "host", "user-agent", "content-length", "date", "server"}
)


class Trace:
    """Writes down what is sent and answered, as it happens."""

    def __init__(self, terminal: Terminal, *, quiet: bool) -> None:
        self._terminal, self._quiet = terminal, quiet
        self._hidden: set[str] = set()
        self._exchanges: list[dict[str, Any]] = []
        self._tokens: list[dict[str, Any]] = []

    def hide(self, names: set[str]) -> None:
        """Do not show the values of these headers."""
        self._hidden = names

    def obtained(self, token: Token, key: DPoPKey | None, now: float) -> None:
        """The issuer gave a token."""
        scopes = " ".join(sorted(token.scopes))
        lasts = "" if token.expires_at is None else f", for {span(token.expires_at - now)}"
        bound = "" if key is None else f", bound to {key.thumbprint}"
        self._note(f"token: {token.token_type}, scopes {scopes or 'unknown'}{lasts}{bound}")
        self._tokens.append(
            {"token_type": token.token_type, "scopes": sorted(token.scopes), "expires_at": token.expires_at}
        )

    def sent(self, request: Any) -> None:
        """A hook of the HTTP library's: this goes out."""
        headers = self._shown(request.headers)
        self._exchanges.append({"request": {"method": request.method, "url": str(request.url), "headers": headers}})
        self._line(">", f"{request.method} {request.url}", "strong")
        for name, value in headers:
            self._line(">", f"{name}: {value}")

    def answered(self, response: Any) -> None:
        """A hook of the HTTP library's: this came back."""
        headers = self._shown(response.headers)
        self._exchanges[-1]["response"] = {"status": response.status_code, "headers": headers}
        good = response.status_code < 400
        self._line("<", f"{response.status_code} {response.reason_phrase}".rstrip(), "good" if good else "bad")
        for name, value in headers:
            self._line("<", f"{name}: {value}")
        self._remark(response)

    def document(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {"tokens": self._tokens, "exchanges": self._exchanges}

    def _shown(self, headers: Any) -> list[tuple[str, str]]:
        found = []
        for name, value in headers.multi_items():
            if name.lower() in _BORING - self._hidden:
                continue
            title = {"dpop": "DPoP", "dpop-nonce": "DPoP-Nonce", "www-authenticate": "WWW-Authenticate"}.get(
                name.lower()
            )
            if name.lower() in _SECRET | self._hidden:
                scheme = re.match(r"(?:Bearer|DPoP) ", value)
                value = (scheme[0] if scheme else "") + shortened(value[scheme.end() :] if scheme else value)
            found.append((title or name.title(), value))
        return found

    def _remark(self, response: Any) -> None:
        """What the answer asks for, in words."""
        from strongdm_auth.client.challenges import read_challenges

        for challenge in read_challenges(response.headers.get_list("WWW-Authenticate")):
            if error := challenge.parameters.get("error"):
                why = challenge.parameters.get("error_description", "")
                self._note(f"{error}: {why}" if why else error)
        if response.has_redirect_location:
            self._note("a redirect, which is not followed: call the new URL yourself, if you trust it")
        if response.status_code in (400, 401, 403) and response.headers.get("WWW-Authenticate"):
            self._note("why: strongdm-auth explain, with the settings of the API")

    def _note(self, text: str) -> None:
        self._line("*", text, "doubt")

    def _line(self, mark: str, text: str, colour: str = "") -> None:
        if not self._quiet:
            self._terminal.line(Painted(mark, "faint"), " ", Painted(text, colour) if colour else text)


class ToldSource:
    """Another source, whose new tokens are told of."""

    def __init__(self, source: TokenSource, trace: Trace, network: Network) -> None:
        self._source, self._trace = source, trace
        #: Whose clock counts.
        self.network = network
        self._last: str | None = None

    @property
    def key(self) -> DPoPKey | None:
        """The source's."""
        return self._source.key

    def token(self, *, instead_of: Token | None = None, scopes: frozenset[str] = frozenset()) -> Token:
        """The source's token, told of if it is a new one."""
        token = self._source.token(instead_of=instead_of, scopes=scopes)
        if token.value != self._last:
            self._last = token.value
            self._trace.obtained(token, self.key, self.network.clock())
        return token

    async def atoken(self, *, instead_of: Token | None = None, scopes: frozenset[str] = frozenset()) -> Token:
        """As `token`."""
        return self.token(instead_of=instead_of, scopes=scopes)
