"""Was the token revoked? What the issuer says (RFC 7662), and what the other workers were told."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress

from .credentials import SCHEMES, is_b64token
from .errors import InvalidToken, TemporarilyUnavailable
from .fetching import discover, time_left
from .introspection import Answer, Introspection
from .issuers import WrongDiscovery
from .jose import Malformed, decode_segment, is_numeric_date, parse_object, split
from .keys import Flight
from .needs import AskStore, Background, Fetch, Join, Reply, Story, Unreachable
from .revocation import ENDED_FOR, Revocations, name_of, spellings
from .settings import Settings
from .tokens import AccessToken

#: Parts that a shared list may come in; one that does not end is a fault of the store's.
_MOST_PAGES = 1_000

#: How long the revocation of a token that does not say when it ends counts: 30 days, longer than access tokens live.
_OPAQUE_LIFETIME = 30 * 86_400.0
#: A token that says it lives longer is revoked for ten years.
_LONGEST_LIFETIME = 3_650 * 86_400.0
#: How long workers tell each other that a token is not active: strangers can make up as many as they like.
_INACTIVE_LIFETIME = 60.0

_log = logging.getLogger("strongdm_auth.introspection")


class Asking:
    """Asks the issuer about tokens, and the store that workers share. Stories, to be told as part of a greater one."""

    def __init__(self, settings: Settings, introspection: Introspection) -> None:
        self._settings, self._introspection = settings, introspection
        self.revocations = Revocations(shared=settings.shares_memory)
        self._url: str | None = None
        self._url_until = 0.0

    def about(self, compact: str, now: float) -> Story[tuple[Answer, float]]:
        """The issuer's answer about a token (RFC 7662), remembered or asked for."""
        introspection, digest = self._introspection, hash_of(compact)
        if not introspection.possible:  # a route asks for it, and the settings have no credentials to ask with
            raise TemporarilyUnavailable("introspection.unavailable")
        document = yield from self._recall_answer(digest, now)
        while document is None and (asked := introspection.join(digest, now)):
            now = yield Join(asked)
            document = asked.answer
            if document is None and asked.settled:
                raise TemporarilyUnavailable("introspection.unavailable")
        if document is None:
            question, since = introspection.begin(digest, now), now
            if question is None:
                raise TemporarilyUnavailable("introspection.busy", retry_after=1)
            try:
                if self._url is None or now >= self._url_until:
                    url, now = yield from discover(
                        self._settings, self._settings.issuer, "introspection_endpoint", "introspect"
                    )
                    self._url, self._url_until = url, now + self._settings.jwks_max_age
                headers, form = introspection.question(compact)
                reply: Reply = yield Fetch(
                    "introspection",
                    self._url,
                    tuple(headers.items()),
                    form,
                    within=time_left(self._settings, since, now),
                )
                now = reply.at
                if reply.status != 200:
                    raise Unreachable(f"introspection answered with status {reply.status}")
                document = question.answer = parse_object(reply.body)
            except (Unreachable, Malformed, WrongDiscovery) as fault:
                question.settled = True
                _log.warning("introspection at %s: %s", self._settings.issuer, fault)
                raise TemporarilyUnavailable("introspection.unavailable") from None
            finally:
                introspection.end(digest, question)
            yield from self._keep_answer(digest, document, now)
        return introspection.read(document, now), now

    def _recall_answer(self, digest: bytes, now: float) -> Story[Answer | None]:
        """An answer that may still be kept: the workers' where they share a store, so that one that hears of a revocation
        has told all of them; else, and while that store is away, this process's own."""
        seal = self._introspection.seal
        if seal is not None:
            try:
                value = yield AskStore("recall", (seal.name(digest),))
            except Unreachable:
                pass
            else:
                return seal.open(digest, value, now) if isinstance(value, bytes) else None
        return self._introspection.remembered(digest, now)

    def _keep_answer(self, digest: bytes, document: Answer, now: float) -> Story[None]:
        until, seal = self._introspection.remember(digest, document, now), self._introspection.seal
        active = document.get("active") is True
        if not active:
            until = min(until, now + _INACTIVE_LIFETIME)
        if seal is not None and until > now:
            # That a token is inactive replaces that it was active, and never the other way round: answers may overtake.
            with suppress(Unreachable):  # the next worker asks for itself
                yield AskStore("keep", (seal.name(digest), seal.shut(digest, document, until), until - now, not active))

    def revoke(self, compact: str, now: float) -> Story[None]:
        """Refuse this token from now on, under either scheme, in all workers that share a store.

        Raises:
            TemporarilyUnavailable: not all of them could be told; this process knows.
        """
        if not is_b64token(compact):
            raise ValueError("revoke takes an access token as it stands behind the scheme, and nothing else")
        until = _expiry(compact, now) + self._settings.leeway
        hashes = [hash_of(f"{scheme} {token}") for scheme in SCHEMES for token in spellings(compact)]
        yield from self._tell(hashes, until, now)

    def end(self, names: Sequence[bytes], at: float, now: float) -> Story[None]:
        """Refuse from now on, in all workers, what was issued to these up to a time; see `revocation.name_of`.

        Raises:
            TemporarilyUnavailable: not all of them could be told; this process knows.
        """
        until = at + ENDED_FOR
        if until > now:
            yield from self._tell(names, until, now)

    def _tell(self, hashes: Sequence[bytes], until: float, now: float) -> Story[None]:
        told = self.revocations.add(hashes, until, now)
        if told and self.revocations.shared:
            try:
                told = yield AskStore("revoke", (hashes, until, now))
            except Unreachable:
                told = False
        if told is not True:
            raise TemporarilyUnavailable("revocation.unavailable")

    def refuse_ended(self, token: AccessToken) -> None:
        """Raises InvalidToken where what was issued to the token's subject, client, key or session has ended since."""
        if self.revocations.cover(_names(token, self._settings), token.issued_at):
            raise InvalidToken("token.revoked")

    def learn_revocations(self, now: float) -> Story[None]:
        """See to it that what other workers were told is known here; wait for it only when the last news are old."""
        flight = self.revocations.begin(now)
        if flight is None:
            if reading := self.revocations.join(now):
                yield Join(reading)
            return
        news = self._read_revocations(flight, now)
        if self.revocations.must_wait(now):
            yield from news
        else:
            yield Background(news)

    def _read_revocations(self, flight: Flight, now: float) -> Story[float]:
        try:
            with suppress(Unreachable):
                for _ in range(_MOST_PAGES):
                    answer = yield AskStore("revoked", (self.revocations.position,))
                    if not isinstance(answer, tuple):  # such as a coroutine, of a store that is for event loops
                        break
                    position, found = answer
                    if not self.revocations.learn(position, found, now):
                        flight.settled = True
                        return now
            flight.settled = True
            self.revocations.failed()
        finally:
            self.revocations.end(flight)
        return now


def _expiry(compact: str, now: float) -> float:
    """When a token ends by itself. What it says is taken on trust: whoever revokes it has no reason to be lied to."""
    try:
        expires_at = parse_object(decode_segment(split(compact).payload)).get("exp")
    except Malformed:
        expires_at = None
    return min(expires_at, now + _LONGEST_LIFETIME) if is_numeric_date(expires_at) else now + _OPAQUE_LIFETIME


def _names(token: AccessToken, settings: Settings) -> Iterator[bytes]:
    """Everything by which a revocation may be about this token. A realm's tokens are the base issuer's to end, too."""
    if token.svid:  # a workload has its name from the issuer that stands behind all realms
        for kind, value in (("id", token.subject), ("jti", token.token_id)):
            if value and settings.realm is None:
                yield name_of(kind, settings.issuer, value)
        return
    # What only some tokens have is looked for in the text first: the claims of most are never parsed.
    text = token._payload
    claims = token.claims if '"sid"' in text or '"email"' in text or "\\u" in text else {}
    session, email = claims.get("sid"), claims.get("email")
    identifiers = [
        (token.issuer, token.subject),
        (token.issuer, token.client_id),
        *((actor.issuer or token.issuer, actor.subject) for actor in token.delegation),
    ]
    base = settings.issuer if token.realm is not None and settings.realm is None else None
    for issuer, name in dict.fromkeys(identifiers):
        for whose in (issuer, base):
            if name and whose:
                yield name_of("id", whose, name)
                if not isinstance(session, str):
                    yield name_of("without sid", whose, name)
    about = [("jti", token.token_id), ("jkt", token.key_thumbprint), ("sid", session), ("email", email)]
    if not isinstance(session, str):
        about.append(("email without sid", email))
    for kind, value in about:
        for whose in (token.issuer, base):
            if isinstance(value, str) and whose:
                yield name_of(kind, whose, value.casefold() if kind.startswith("email") else value)


def hash_of(text: str) -> bytes:
    """What a token, or an Authorization value, is remembered by."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
