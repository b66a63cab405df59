"""One agent for another, or for a user: a token for a token (RFC 8693). The new one speaks for the subject, names the agent
that now acts in `act`, and has at most the scopes of the one it was made of.
"""

from collections.abc import Iterable

from .issuer import ClientAuth
from .keys import DPoPKey
from .network import Network, Story, TokenOf
from .sources import EARLY, RenewingSource
from .tokens import FixedToken, Token, TokenSource

EXCHANGE_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


class TokenExchange(RenewingSource):
    """Tokens made of another source's: the way to spawn a child agent with fewer permissions.

        child = TokenExchange(issuer, child_id, child_secret, subject=parents_token, scopes="read")

    `subject` and `actor` are sources, which are asked again for each new token, or the texts of tokens, which are good for
    as long as they last. Without `actor`, the client itself is who acts.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str | None,
        client_secret: str | None,
        *,
        subject: TokenSource | str,
        actor: TokenSource | str | None = None,
        subject_token_type: str = ACCESS_TOKEN,
        actor_token_type: str = ACCESS_TOKEN,
        scopes: str | Iterable[str] | None = None,
        audience: str | Iterable[str] = (),
        resource: str | Iterable[str] = (),
        key: DPoPKey | None = None,
        client_auth: ClientAuth = "client_secret_basic",
        early: float = EARLY,
        network: Network | None = None,
    ) -> None:
        super().__init__(
            issuer,
            client_id,
            client_secret,
            scopes=scopes,
            audience=audience,
            resource=resource,
            key=key,
            client_auth=client_auth,
            early=early,
            network=network,
        )
        self._subject = FixedToken(subject) if isinstance(subject, str) else subject
        self._actor = FixedToken(actor) if isinstance(actor, str) else actor
        self._types = subject_token_type, actor_token_type

    def _ask(self, scopes: frozenset[str] | None, *, patience: float | None) -> Story[Token]:
        subject: Token = yield TokenOf(self._subject)
        secrets = [subject.value]
        fields = [
            ("grant_type", EXCHANGE_GRANT),
            ("subject_token", subject.value),
            ("subject_token_type", self._types[0]),
            ("requested_token_type", ACCESS_TOKEN),
        ]
        if self._actor is not None:
            actor: Token = yield TokenOf(self._actor)
            fields += [("actor_token", actor.value), ("actor_token_type", self._types[1])]
            secrets.append(actor.value)
        return (yield from self._request(fields, scopes, *secrets, patience=patience))
