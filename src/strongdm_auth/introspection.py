"""Token introspection (RFC 7662): the question to the issuer, and what its answer is worth.

Only a JSON `true` for `active` counts. An answer's iss, aud, exp and cnf are checked like a token's; it can narrow what a
JWT says and never widens it. An issuer that cannot answer is an outage (503), not a bad token and not a good one.
"""

import threading
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote_plus, urlencode

from cachetools import LRUCache

from .claims import ClaimRules, confirmation_of, read_access_token, scopes_of
from .errors import InvalidToken
from .forks import renew_after_fork
from .issuers import Issuers
from .jose import is_numeric_date
from .keys import MOST_WAITING, Flight
from .seal import Seal
from .settings import Settings
from .tokens import AccessToken

#: Questions under way at once; more are told to come back (503), so that an issuer that hangs cannot tie up a server.
MOST_QUESTIONS = 64
#: Answers kept at the most. One is about 2 KB.
MOST_ANSWERS = 10_000
#: What `token_type` of an answer may be: a refresh token is "active" too, at many issuers, and lets nobody in.
_ACCESS_TOKEN_TYPES = frozenset({"bearer", "dpop", "access_token", "urn:ietf:params:oauth:token-type:access_token"})

Answer = dict[str, Any]


class Question(Flight):
    """One question to the issuer under way. Whoever began it must end it; others may wait for its answer."""

    __slots__ = ("answer",)

    def __init__(self, begun_at: float) -> None:
        super().__init__(0, begun_at)
        self.answer: Answer | None = None


class Introspection:
    """The rules of introspection for one API, and the answers it remembers."""

    def __init__(self, settings: Settings, rules: ClaimRules, issuers: Issuers) -> None:
        self._rules = rules
        self._issuers = issuers
        self._issuer = settings.issuer
        self._ttl = settings.introspection_ttl
        self.possible = bool(settings.client_id and settings.client_secret)
        credentials = f"{quote_plus(settings.client_id or '')}:{quote_plus(settings.client_secret or '')}"
        # RFC 6749 2.3.1: both are form-encoded before Basic joins them; for the usual alphabets that changes nothing.
        self._authorization = "Basic " + b64encode(credentials.encode()).decode("ascii")
        #: For answers that workers share; without a shared store there is none, and answers stay in this process.
        self.seal = None
        if settings.shares_memory and self.possible:
            self.seal = Seal(settings.client_secret or "", settings.issuer, settings.client_id or "")
        self._flight_time = 2 * settings.http_timeout + 1
        self._lock = threading.Lock()
        self._asking: set[Question] = set()
        #: Those that others may join: the last about each token.
        self._questions: dict[bytes, Question] = {}
        self._answers: LRUCache[bytes, tuple[Answer, float]] = LRUCache(MOST_ANSWERS)
        renew_after_fork(self)

    def after_fork(self) -> None:
        """See `forks`."""
        self._lock = threading.Lock()
        self._asking, self._questions = set(), {}

    def join(self, digest: bytes, now: float) -> Question | None:
        """The question about this token that is under way, counted as waited for: an agent's calls come many at once.

        None where there is none, too many wait already, or nothing may be kept: then each request is told by itself.
        """
        with self._lock:
            question = self._questions.get(digest)
            if question is None or self._ttl == 0 or abs(now - question.begun_at) >= self._flight_time:  # lost
                return None
            if sum(each.waiting for each in self._questions.values()) >= MOST_WAITING:
                return None
            question.waiting += 1
            return question

    def begin(self, digest: bytes, now: float) -> Question | None:
        """Leave to ask; None when too many are being asked. Who gets it must `end` it."""
        with self._lock:
            if len(self._asking) >= MOST_QUESTIONS:
                return None
            question = self._questions[digest] = Question(now)
            self._asking.add(question)
            return question

    def end(self, digest: bytes, question: Question) -> None:
        """A question that was begun is over, however it went."""
        with self._lock:
            self._asking.discard(question)
            if self._questions.get(digest) is question:
                del self._questions[digest]
        question.landed.set_result(None)

    def question(self, token: str) -> tuple[dict[str, str], bytes]:
        """Headers and form of the POST (RFC 7662 2.1)."""
        headers = {
            "Authorization": self._authorization,
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        return headers, urlencode({"token": token, "token_type_hint": "access_token"}).encode("ascii")

    def remembered(self, digest: bytes, now: float) -> Answer | None:
        """The answer for the token with this SHA-256, while it may be kept."""
        with self._lock:
            answer, until = self._answers.get(digest, (None, 0.0))
            if answer is not None and now >= until:
                del self._answers[digest]
                answer = None
            return answer

    def remember(self, digest: bytes, answer: Answer, now: float) -> float:
        """Keep an answer for `introspection_ttl`, and never past its `exp` (RFC 7662 4). Returns until when."""
        until, expires_at = now + self._ttl, answer.get("exp")
        if is_numeric_date(expires_at) and expires_at < until:
            until = expires_at
        if until > now:
            with self._lock:
                known, known_until = self._answers.get(digest, (answer, 0.0))
                # Answers may overtake each other: that a token is inactive is not forgotten for an older "active".
                if known.get("active") is True or answer.get("active") is not True or now >= known_until:
                    self._answers[digest] = (answer, until)
        return until

    def read(self, document: Mapping[str, Any], now: float) -> Answer:
        """An answer about a token that counts; members that are null are taken for absent.

        Raises:
            InvalidToken: the token is not active, no access token, or the answer's own claims say no.
        """
        if document.get("active") is not True:
            raise InvalidToken("token.inactive")
        answer = {name: value for name, value in document.items() if value is not None}
        kind = answer.get("token_type", "bearer")
        if not isinstance(kind, str) or kind.lower() not in _ACCESS_TOKEN_TYPES:
            raise InvalidToken("token.type")
        self._rules.check_common(answer, now)
        return answer

    def opaque(self, answer: Answer, payload: str) -> AccessToken:
        """The access token that only the answer speaks of.

        Raises:
            InvalidToken: it is not from an issuer that is let in, or not for us.
        """
        # Without `iss`, it is a token of the one that was asked; where only realms are let in, that is not enough.
        keys = self._issuers.find(answer.get("iss", self._issuer))
        if keys is None:
            raise InvalidToken("token.issuer")
        if not self._rules.for_us(answer):
            raise InvalidToken("token.audience")
        token = read_access_token(answer, payload, keys.issuer, keys.realm, introspected=True)
        _refuse_unknown_binding(token, answer)
        return token

    def confirm(self, token: AccessToken, answer: Answer) -> AccessToken:
        """A verified JWT that the issuer calls active: the token, narrowed to what both say.

        Raises:
            InvalidToken: they contradict each other.
        """
        if answer.get("iss", token.issuer) != token.issuer or answer.get("sub", token.subject) != token.subject:
            raise InvalidToken("token.introspection_mismatch")
        if "aud" in answer and not self._rules.for_us(answer):
            raise InvalidToken("token.audience")
        bound = (token.key_thumbprint, token.certificate_thumbprint)
        if "cnf" in answer and confirmation_of(answer) != bound:
            raise InvalidToken("token.introspection_mismatch")
        _refuse_unknown_binding(token, answer)
        scopes = token.scopes & scopes_of(answer) if "scope" in answer else token.scopes
        return replace(token, scopes=scopes, introspected=True)


def _refuse_unknown_binding(token: AccessToken, answer: Answer) -> None:
    """`token_type: "DPoP"` says that a token is bound; without a `cnf` there is nothing to hold a proof against."""
    if token.key_thumbprint is None and answer.get("token_type", "").lower() == "dpop":
        raise InvalidToken("token.confirmation")
