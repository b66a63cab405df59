"""On behalf of a person who is somewhere else (RFC 8628): the agent shows a code, the person confirms it in a browser, the
agent meanwhile asks now and then. It never sees the person's password, and needs no browser of its own.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from strongdm_auth.urls import fetch_problem

from .errors import TokenRequestFailed, invalid_answer
from .issuer import ClientAuth
from .keys import DPoPKey
from .network import Network, Story, Wait
from .sources import EARLY, RenewingSource
from .tokens import Token, json_object

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
#: Seconds between two questions where the issuer names none, and what `slow_down` adds (RFC 8628 3.2, 3.5).
INTERVAL = SLOWER = 5.0
#: The longest that a code is waited for, whatever the issuer says: a person is gone after an hour.
MOST_SECONDS = 3600.0
_MOST_CODE_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class DeviceAuthorization:
    """What to show: open `verification_uri`, type `user_code`; or open `verification_uri_complete`, which has it in it."""

    user_code: str
    verification_uri: str
    verification_uri_complete: str | None
    expires_in: float
    interval: float
    device_code: str = field(repr=False)


class DeviceCode(RenewingSource):
    """Tokens that a person grants. `prompt` is given what to show, once for each grant; then `token()` waits.

        source = DeviceCode(issuer, client_id, prompt=lambda code: print(code.verification_uri, code.user_code))

    Where the issuer gives a refresh token, later tokens come without the person.
    """

    _LONGEST = MOST_SECONDS + 60

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str | None = None,
        *,
        prompt: Callable[[DeviceAuthorization], object],
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
        self._prompt = prompt

    def _ask(self, scopes: frozenset[str] | None, *, patience: float | None) -> Story[Token]:
        held = self._held
        if held is not None and held.refresh_token is not None:
            try:
                return (yield from self._refresh(held.refresh_token, scopes, patience))
            except TokenRequestFailed as failure:
                if failure.error != "invalid_grant" or patience == 0.0:
                    raise  # only a refresh token that is used up needs the person; and not while the old token counts
        elif patience == 0.0:
            # Nobody is asked for a token while there is one that counts.
            raise TokenRequestFailed("interaction_required", "the person is asked again when the token has expired")
        granted = yield from self._authorize(scopes)
        self._prompt(granted)
        return (yield from self._poll(granted, scopes))

    def _refresh(self, refresh_token: str, scopes: frozenset[str] | None, patience: float | None) -> Story[Token]:
        fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)]
        token = yield from self._request(fields, scopes, refresh_token, patience=patience)
        # RFC 6749 6: the old one stays good where no new one comes.
        return token if token.refresh_token is not None else replace(token, refresh_token=refresh_token)

    def _authorize(self, scopes: frozenset[str] | None) -> Story[DeviceAuthorization]:
        """RFC 8628 3.1 and 3.2."""
        url = yield from self._side.place("device_authorization_endpoint", None)
        scope = [] if scopes is None else [("scope", " ".join(sorted(scopes)))]
        reply = yield from self._side.post_form(url, [*scope, *self._targets])
        if reply.status != 200:
            raise self._side.refused(reply)
        return _read(json_object(reply))

    def _poll(self, granted: DeviceAuthorization, scopes: frozenset[str] | None) -> Story[Token]:
        """RFC 8628 3.4 and 3.5."""
        interval = granted.interval
        give_up_at = self._network.clock() + min(granted.expires_in, MOST_SECONDS)
        fields = [("grant_type", DEVICE_GRANT), ("device_code", granted.device_code)]
        while self._network.clock() + interval < give_up_at:
            yield Wait(interval)
            try:
                token = yield from self._request(fields, None, granted.device_code, patience=None)
                return token if token.scopes or scopes is None else replace(token, scopes=scopes)
            except TokenRequestFailed as failure:
                if failure.error == "slow_down":
                    interval += SLOWER
                elif failure.error == "unreachable":
                    interval = min(2 * interval, 60.0)  # "exponential backoff ... on encountering a connection timeout"
                elif failure.error != "authorization_pending":
                    raise
        raise TokenRequestFailed("expired_token", "nobody confirmed the code in time")


def _read(answer: dict[str, Any]) -> DeviceAuthorization:
    device_code, user_code, uri = answer.get("device_code"), answer.get("user_code"), answer.get("verification_uri")
    complete = answer.get("verification_uri_complete")
    expires_in, interval = answer.get("expires_in"), answer.get("interval", INTERVAL)
    if not (isinstance(device_code, str) and device_code.isascii() and device_code.isprintable()):
        invalid_answer("no device_code")
    # These two are shown to a person, in a terminal: no control characters, and a link that is one.
    if not (isinstance(user_code, str) and user_code.isprintable() and 0 < len(user_code) <= _MOST_CODE_CHARACTERS):
        invalid_answer("no user_code that could be shown")
    if not isinstance(uri, str) or fetch_problem(uri):
        invalid_answer("no verification_uri that could be shown")
    if not isinstance(expires_in, int | float) or not isinstance(interval, int | float):
        invalid_answer("times that are no numbers")
    return DeviceAuthorization(
        user_code,
        uri,
        complete if isinstance(complete, str) and not fetch_problem(complete) else None,
        float(expires_in),
        max(1.0, float(interval)),
        device_code,
    )
