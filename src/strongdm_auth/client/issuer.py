"""The issuer, from the client's side: where its endpoints are, who is asking, and how a form is posted to one.

Endpoints come from the discovery document, checked as the verifier checks it (the same issuer, https); an issuer without
such a document has them at StrongDM ID's own places. The client's secret goes there and nowhere else.
"""

import threading
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Any, Literal
from urllib.parse import quote_plus, urlencode

from strongdm_auth.forks import renew_after_fork
from strongdm_auth.issuers import WrongDiscovery, discovery_url, endpoint, read_discovery
from strongdm_auth.jose import Malformed, parse_object

from .errors import TokenRequestFailed, invalid_answer
from .keys import DPoPKey
from .network import Call, Network, NoAnswer, Reply, Story
from .origins import Nonces, checked_issuer, origin_of
from .retries import persistently
from .tokens import refusal

ClientAuth = Literal["client_secret_basic", "client_secret_post"]
Fields = Sequence[tuple[str, str]]

#: Seconds that a discovery document counts: as long as a token lives, so that it costs one more request an hour.
DISCOVERY_AGE = 3600.0
_NO_SUCH_DOCUMENT = frozenset({404, 410})
_FORM = ("Content-Type", "application/x-www-form-urlencoded")


class IssuerSide:
    """An issuer and a client of it. Tokens, introspection and the rest are asked for through one of these."""

    def __init__(
        self,
        issuer: str,
        client_id: str | None = None,
        client_secret: str | None = None,
        *,
        client_auth: ClientAuth = "client_secret_basic",
        network: Network | None = None,
    ) -> None:
        if client_auth not in ("client_secret_basic", "client_secret_post"):
            raise ValueError("client_auth is client_secret_basic or client_secret_post")
        self.issuer = checked_issuer(issuer)
        self.client_id = client_id
        self.network = Network() if network is None else network
        self.nonces = Nonces()
        self._secret = client_secret
        self._auth = client_auth
        self._lock = threading.Lock()
        self._document: tuple[float, dict[str, Any] | None] | None = None
        renew_after_fork(self)

    def after_fork(self) -> None:
        """See `forks`."""
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<client {self.client_id!r} of {self.issuer!r}>"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be repeated in an error's text."""
        return () if self._secret is None else (self._secret,)

    def place(self, member: str, fallback: str | None, *, patience: float | None = None) -> Story[str]:
        """An endpoint's URL; where the issuer has no discovery document, or none with this member, its own place for it."""
        document = yield from self._discover(patience)
        if document is not None:
            try:
                url = read_discovery(document, self.issuer, member, allow_http=False)
            except WrongDiscovery as wrong:
                raise TokenRequestFailed("invalid_answer", f"the discovery document cannot be used: {wrong}") from None
            if url is not None:
                return url
        if fallback is None:
            invalid_answer(f"the issuer has no {member}")
        return endpoint(self.issuer, fallback)

    def ask(self, call: Callable[[], Call], *, repeatable: bool = True, patience: float | None = None) -> Story[Reply]:
        """The answer to a call, tried again as the rules have it. Raises TokenRequestFailed when there is none."""
        try:
            return (yield from persistently(self.network, call, repeatable=repeatable, patience=patience))
        except NoAnswer as fault:
            raise TokenRequestFailed("unreachable", f"{self.issuer} gave no answer: {fault}") from None

    def post_form(
        self, url: str, fields: Fields, *, key: DPoPKey | None = None, patience: float | None = None
    ) -> Story[Reply]:
        """POST a form as this client; with a key, each try carries a proof of its own, and a nonce where one is asked for."""
        origin = origin_of(url)
        headers, own = self._credentials()
        body = urlencode([*fields, *own]).encode("ascii")

        def call() -> Call:
            if key is None:
                return Call("POST", url, (_FORM, *headers), body)
            proof = key.proof("POST", url, nonce=self.nonces.get(origin), now=self.network.clock())
            return Call("POST", url, (_FORM, *headers, ("DPoP", proof)), body)

        reply = yield from self.ask(call, patience=patience)
        self.nonces.learn(origin, reply.headers.get("dpop-nonce"))
        if key is not None and _asks_for_nonce(reply):  # RFC 9449 8: once
            reply = yield from self.ask(call, patience=patience)
            self.nonces.learn(origin, reply.headers.get("dpop-nonce"))
        return reply

    def refused(self, reply: Reply, *secrets: str) -> TokenRequestFailed:
        """The refusal, without what was sent."""
        return refusal(reply, (*self.secrets, *secrets))

    def _credentials(self) -> tuple[tuple[tuple[str, str], ...], Fields]:
        """Headers and form fields that say who is asking (RFC 6749 2.3.1)."""
        if self.client_id is None:
            return (), ()
        if self._secret is None:
            return (), (("client_id", self.client_id),)
        if self._auth == "client_secret_post":
            return (), (("client_id", self.client_id), ("client_secret", self._secret))
        # Both are form-encoded before Basic joins them; for the usual alphabets that changes nothing.
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self._secret)}"
        return (("Authorization", "Basic " + b64encode(pair.encode()).decode("ascii")),), ()

    def _discover(self, patience: float | None) -> Story[dict[str, Any] | None]:
        with self._lock:
            known = self._document
        now = self.network.clock()
        if known is not None and 0 <= now - known[0] < DISCOVERY_AGE:
            return known[1]
        try:
            document = yield from self._read_discovery(patience)
        except TokenRequestFailed:
            if known is None:
                raise
            document = known[1]  # where the endpoints were an hour ago is where they most likely are
        with self._lock:
            self._document = (now, document)
        return document

    def _read_discovery(self, patience: float | None) -> Story[dict[str, Any] | None]:
        reply = yield from self.ask(lambda: Call("GET", discovery_url(self.issuer)), patience=patience)
        if reply.status == 200:
            try:
                return parse_object(reply.body)
            except Malformed:
                invalid_answer("the discovery document is not a JSON object", reply.status)
        if reply.status in _NO_SUCH_DOCUMENT:
            return None
        raise TokenRequestFailed("invalid_answer", "the discovery document cannot be had", reply.status)


def _asks_for_nonce(reply: Reply) -> bool:
    if reply.status not in (400, 401) or "dpop-nonce" not in reply.headers:
        return False
    try:
        return parse_object(reply.body).get("error") == "use_dpop_nonce"
    except Malformed:
        return False
