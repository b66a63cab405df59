"""`DPoPAuth` and `BearerAuth` for requests: `session.auth = DPoPAuth(source)`.

requests follows redirects by itself and copies the headers, less `Authorization` where the host changes. The proof is taken
from the request as soon as it is answered, so that no copy has it; a redirect within the origin comes back refused, and is
signed anew.
"""

from collections.abc import Generator, Iterable
from functools import partial
from typing import Any, cast
from urllib.parse import urlsplit

from requests import PreparedRequest, Response
from requests.auth import AuthBase
from requests.cookies import extract_cookies_to_jar

from .challenges import read_challenges
from .httpx_auth import clock_of
from .keys import DPoPKey
from .network import TokenOf
from .origins import origin_of
from .story import Answer, Caller, Outgoing, bound
from .tokens import FixedToken, TokenSource

_Story = Generator[TokenOf | Outgoing, Any, None]


class _Request(Outgoing):
    """A prepared request."""

    def __init__(self, request: PreparedRequest) -> None:
        self.request = request
        self.method = request.method or "GET"
        parts = urlsplit(request.url or "")
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path or '/'}"

    @property
    def replayable(self) -> bool:
        return self.request.body is None or isinstance(self.request.body, str | bytes)

    @property
    def authorization(self) -> str | None:
        value = self.request.headers.get("Authorization")
        return value.decode("latin-1") if isinstance(value, bytes) else value

    def signed(self, authorization: str, proof: str | None) -> "_Request":
        self.request.headers["Authorization"] = authorization
        self.request.headers.pop("DPoP", None)
        if proof is not None:
            self.request.headers["DPoP"] = proof
        return self


class _Auth(AuthBase):
    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._caller.source!r})"

    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        """Sign a request; requests calls this before it sends one."""
        story = self._caller.story(_Request(r))
        _advance(story, None)
        hooked: Any = r
        hooked.register_hook("response", partial(self._answered, story, r))
        return r

    def _answered(self, story: _Story, sent: PreparedRequest, response: Response, **how: Any) -> Response:
        while True:
            request = response.request
            if response.is_redirect:  # requests copies the headers from here; what comes of it comes by here, too
                request.headers.pop("DPoP", None)
                return response
            outgoing = _advance(story, _answer(response, redirected=request is not sent))
            if outgoing is None:
                return response
            response.content  # noqa: B018  # read to its end, so that the connection can be used again
            response.close()
            again: Any = outgoing.request.copy()
            _keep_cookies(again, response)
            outgoing.request.headers.pop("DPoP", None)  # the original: requests copies from it where this one redirects
            repeated: Response = response.connection.send(again, **how)
            repeated.history = [*response.history, response]
            repeated.request = sent = again
            response = repeated


def _keep_cookies(again: Any, response: Any) -> None:
    """Cookies that came with the refusal go out again, as requests' own digest authentication has it."""
    extract: Any = extract_cookies_to_jar
    extract(again._cookies, response.request, response.raw)
    again.prepare_cookies(again._cookies)


def _advance(story: _Story, answer: Any) -> _Request | None:
    """What is to be sent next; None when the story is over."""
    try:
        step = story.send(answer)
        while isinstance(step, TokenOf):
            try:
                token = step.source.token(instead_of=step.instead_of, scopes=step.scopes)
            except Exception as fault:
                step = story.throw(fault)
            else:
                step = story.send(token)
    except StopIteration:
        return None
    return cast(_Request, step)


def _answer(response: Response, *, redirected: bool) -> Answer:
    nonces = [
        (origin_of(one.request.url or ""), one.headers["DPoP-Nonce"])
        for one in [*response.history, response]
        if "DPoP-Nonce" in one.headers
    ]
    challenge = response.headers.get("WWW-Authenticate")
    challenges = read_challenges([] if challenge is None else [challenge])
    return Answer(response.status_code, challenges, nonces, _Request(response.request), redirected)


class DPoPAuth(_Auth):
    """Sends DPoP-bound tokens. The arguments are those of `strongdm_auth.client.DPoPAuth`."""

    def __init__(
        self,
        source: TokenSource,
        key: DPoPKey | None = None,
        *,
        may_ask_for: str | Iterable[str] = (),
        origins: str | Iterable[str] = (),
    ) -> None:
        source, key = bound(source, key)
        clock = clock_of(source)
        super().__init__(Caller(source, key, may_ask_for=may_ask_for, origins=origins, clock=clock))


class BearerAuth(_Auth):
    """Sends bearer tokens. The arguments are those of `strongdm_auth.client.BearerAuth`."""

    def __init__(
        self, source: TokenSource | str, *, may_ask_for: str | Iterable[str] = (), origins: str | Iterable[str] = ()
    ) -> None:
        source = FixedToken(source) if isinstance(source, str) else source
        if source.key is not None:
            raise ValueError("the source's tokens are bound to a key: use DPoPAuth")
        clock = clock_of(source)
        super().__init__(Caller(source, None, may_ask_for=may_ask_for, origins=origins, clock=clock))


__all__ = ["BearerAuth", "DPoPAuth"]
