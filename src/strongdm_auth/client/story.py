"""How a request gets its credentials and what is done about a refusal: one story for every HTTP library.

1. may credentials go there? · 2 a token · 3 a fresh proof with its hash (RFC 9449 7) · 4 what the answer says: a nonce for
this origin, a redirect that the library followed, a nonce asked for, a token refused, a scope missing · 5 once more, where
that can help. Each remedy is tried once, and none where the body could not be sent again.

It yields a `TokenOf` (answered with a token) or an `Outgoing` to send (answered with an `Answer`), and does no I/O.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from strongdm_auth.memo import Memo

from .challenges import Challenge
from .errors import InsecureURL, TokenRequestFailed
from .keys import DPoPKey
from .network import TokenOf
from .origins import Nonces, checked_origins, origin_of, refuse_insecure
from .tokens import Token, TokenSource, scope_set

#: Redirects within the origin that a request is signed anew for; as many as browsers follow (Fetch standard).
MOST_REDIRECTS = 20
#: Seconds for which a token counts as fresh: one that is refused so young was refused for what it is (its audience, its
#: issuer), the next would be the same, and to ask for one on each refusal would be a flood at the issuer.
FRESH = 30.0
#: Seconds until scopes that the issuer would not give are asked for again.
_ASK_AGAIN = 300.0


class Outgoing(Protocol):
    """A request of an HTTP library."""

    method: str
    url: str

    @property
    def replayable(self) -> bool:
        """Whether its body can be sent once more."""
        ...

    @property
    def authorization(self) -> str | None:
        """The header as it stands; None where the library has taken it away, as on a redirect to another origin."""
        ...

    def signed(self, authorization: str, proof: str | None) -> "Outgoing":
        """The same request with these credentials, and no others."""
        ...


class Answer(NamedTuple):
    """What came back, and from where."""

    status: int
    challenges: Sequence[Challenge]
    #: Origin and `DPoP-Nonce` of the answer and of the redirects before it, oldest first.
    nonces: Sequence[tuple[str, str]]
    #: The request that was answered last: where the library followed redirects, another than was sent.
    request: Outgoing
    redirected: bool

    def error(self, scheme: str) -> str | None:
        """The error code in the scheme's challenge (RFC 6750 3.1, RFC 9449 7.1)."""
        return next(
            (found.parameters.get("error") for found in self.challenges if found.scheme == scheme.lower()), None
        )


class Caller:
    """What an auth object is made of: a source, a key or none, and what it may do."""

    def __init__(
        self,
        source: TokenSource,
        key: DPoPKey | None,
        *,
        may_ask_for: str | Iterable[str] = (),
        origins: str | Iterable[str] = (),
        clock: Callable[[], float],
    ) -> None:
        self.source, self.key = source, key
        self.scheme = "Bearer" if key is None else "DPoP"
        self._may_ask_for = scope_set(may_ask_for) or frozenset()
        self._origins = checked_origins(origins)
        self._clock = clock
        self._nonces = Nonces()
        self._not_given: Memo[frozenset[str], float] = Memo(64)

    def story(self, first: Outgoing) -> Generator[TokenOf | Outgoing, Any, None]:
        """One request, from before it is sent to the answer that counts.

        Raises:
            InsecureURL: credentials must not go there.
            TokenRequestFailed: the issuer gives no token.
        """
        home = self._checked_origin(first.url)
        token: Token = yield TokenOf(self.source)
        request, hops = first, 0
        nonce_asked = renewed = widened = False
        while True:
            answer: Answer = yield request.signed(f"{self.scheme} {token.value}", self._proof(request, token, home))
            for origin, nonce in answer.nonces:
                if origin == home and self.key is not None:
                    self._nonces.learn(origin, nonce)
            if answer.status not in (401, 403):
                return
            if not self._still_ours(answer.request, token, home) or not answer.request.replayable:
                return
            if answer.redirected and self.key is not None and answer.status == 401:
                hops += 1  # it went there with the token and, on purpose, without the proof, which was for another URL
                if hops > MOST_REDIRECTS:
                    return
            else:
                error = answer.error(self.scheme)
                if error == "use_dpop_nonce" and self.key is not None and not nonce_asked and answer.nonces:
                    nonce_asked = True
                elif error == "invalid_token" and not renewed and not self._fresh(token):
                    renewed, refused = True, token
                    token = yield TokenOf(self.source, instead_of=refused)
                    if token.value == refused.value:
                        return
                elif answer.status == 403 and not widened and (missing := self._may_be_asked_for(answer, token)):
                    widened = True
                    try:
                        token = yield TokenOf(self.source, scopes=missing)
                    except TokenRequestFailed:
                        self._not_given.put(missing, self._clock() + _ASK_AGAIN)
                        return  # the API's own answer says more
                else:
                    return
            request = answer.request

    def _checked_origin(self, url: str) -> str:
        refuse_insecure(url)
        origin = origin_of(url)
        if self._origins and origin not in self._origins:
            raise InsecureURL(f"these credentials are not for {origin}")
        return origin

    def _proof(self, request: Outgoing, token: Token, home: str) -> str | None:
        if self.key is None:
            return None
        return self.key.proof(
            request.method, request.url, access_token=token.value, nonce=self._nonces.get(home), now=self._clock()
        )

    def _still_ours(self, request: Outgoing, token: Token, home: str) -> bool:
        """Whether the request that was answered is at the origin we sent one to, and has been nowhere else meanwhile.

        A library takes the header away where a redirect leaves the origin: who sends us back from there chose the URL, and
        must not have it called in our name.
        """
        return origin_of(request.url) == home and request.authorization == f"{self.scheme} {token.value}"

    def _fresh(self, token: Token) -> bool:
        return self._clock() - token.obtained_at < FRESH

    def _may_be_asked_for(self, answer: Answer, token: Token) -> frozenset[str]:
        """The scopes that the API misses, if all of them may be asked for."""
        for found in answer.challenges:
            if found.scheme == self.scheme.lower() and found.parameters.get("error") == "insufficient_scope":
                missing = frozenset(found.parameters.get("scope", "").split()) - token.scopes
                if missing <= self._may_ask_for and self._clock() >= (self._not_given.get(missing) or 0.0):
                    return missing
        return frozenset()


def bound(source: TokenSource | str, key: DPoPKey | None) -> tuple[TokenSource, DPoPKey]:
    """The source, bound to the key, and the key: the given one, the source's own, or a fresh one.

    Raises:
        ValueError: the source's tokens are bound to another key, or cannot be bound to this one.
    """
    if isinstance(source, str):
        raise ValueError(
            "a token alone cannot be bound to a key; use FixedToken(token, key) with the key it is bound to"
        )
    if source.key is not None:
        if key is not None and key.thumbprint != source.key.thumbprint:
            raise ValueError("the source's tokens are bound to another key")
        return source, key or source.key
    bind: Callable[[DPoPKey], TokenSource] | None = getattr(source, "bound_to", None)
    if bind is None:
        raise ValueError("the source's tokens are not bound to a key")
    chosen = DPoPKey.generate() if key is None else key
    return bind(chosen), chosen
