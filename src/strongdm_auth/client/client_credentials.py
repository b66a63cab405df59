"""The agent as itself: its id and its secret for a token (RFC 6749 4.4)."""

from .network import Story
from .sources import RenewingSource
from .tokens import Token


class ClientCredentials(RenewingSource):
    """Tokens for a registered client.

        source = ClientCredentials("https://id.strongdm.ai/realms/my-org", client_id, client_secret, scopes="read")

    `scopes` left out: what the client was registered for. `audience` and `resource` name the API the token is for. With a
    `key`, tokens are bound to it; `DPoPAuth` sees to that by itself.
    """

    def _ask(self, scopes: frozenset[str] | None, *, patience: float | None) -> Story[Token]:
        return (yield from self._request([("grant_type", "client_credentials")], scopes, patience=patience))
