"""Whether a token in use goes on to count: what is looked at while a connection stays open and sends no credentials anew."""

from dataclasses import dataclass

from .asking import Asking
from .errors import InvalidToken, TemporarilyUnavailable
from .jose import VerificationKey
from .keys import IssuerKeys
from .needs import Story
from .settings import Settings
from .tokens import AccessToken

#: Seconds between two tries to hear from an issuer that does not answer, and for which its last good word counts at least.
RETRY = 5.0
GRACE = 30.0


@dataclass(slots=True)
class Standing:
    """A token in use, and how much is known of it."""

    token: AccessToken
    #: What it is remembered by, the key that signed it, and that key's set; None where an issuer's answer is all there is.
    digest: bytes
    key: VerificationKey | None
    keys: IssuerKeys | None
    #: The token itself, where the issuer has to be asked again about it; None where it was not asked.
    compact: str | None
    confirmed_at: float
    ask_at: float
    generation: int = -1


class Standings:
    """The rules for tokens in use, and the story of asking about one."""

    def __init__(self, settings: Settings, asking: Asking) -> None:
        self._leeway, self._ttl = settings.leeway, settings.introspection_ttl
        self._asking = asking

    def look_at(self, standing: Standing, now: float) -> bool:
        """Whether the issuer has to be asked again. Raises InvalidToken where the token has ended."""
        token, revocations = standing.token, self._asking.revocations
        if token.expires_at is not None and now - self._leeway >= token.expires_at:
            raise InvalidToken("token.expired")
        if standing.digest in revocations.until:
            raise InvalidToken("token.revoked")
        if standing.generation != (generation := revocations.generation):
            self._asking.refuse_ended(token)
            standing.generation = generation
        if standing.key is not None and not standing.key.live:
            raise InvalidToken("token.key_unknown")
        return standing.compact is not None and now >= standing.ask_at

    def ask_about(self, standing: Standing, now: float) -> Story[None]:
        """Ask the issuer (RFC 7662). While it is away its last word counts, for twice as long as answers are kept.

        Raises:
            InvalidToken: it says no.
            TemporarilyUnavailable: it has said nothing for too long.
        """
        standing.ask_at = now + RETRY
        try:
            _, now = yield from self._asking.about(standing.compact or "", now)
        except TemporarilyUnavailable:
            if now - standing.confirmed_at < max(2 * self._ttl, GRACE):
                return
            raise
        standing.confirmed_at, standing.ask_at = now, now + self._ttl
