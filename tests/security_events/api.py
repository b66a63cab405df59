"""An API that is told of security events: what it answers a transmitter, and whom it lets in afterwards."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from joserfc import jws

from strongdm_auth import Refused, Verifier
from strongdm_auth.challenge import Denial
from strongdm_auth.testing import Clock, DPoPKey, Issuer
from tests.conftest import AUDIENCE, URL, request

MEDIA_TYPE = "application/secevent+jwt"
CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"

MakeAPI = Callable[..., "API"]
Identifier = Mapping[str, object]


class API:
    """A verifier, its issuer, and time."""

    def __init__(self, issuer: Issuer, clock: Clock, verifier: Verifier) -> None:
        self.issuer, self.clock, self.verifier = issuer, clock, verifier

    def token(self, subject: str = "alice", *, realm: str | None = "alpha", **made: Any) -> str:
        return self.issuer.token(subject, realm=realm, **({"audience": AUDIENCE} | made))

    def event(
        self,
        subject: Identifier | str = "alice",
        event: str = "session-revoked",
        *,
        realm: str | None = "alpha",
        **m: Any,
    ) -> str:
        """A SET for this API."""
        return self.issuer.security_event(event, subject, realm=realm, **({"audience": AUDIENCE} | m))

    def signed(self, payload: str, typ: str) -> str:
        """What the issuer's key signs, to the letter."""
        key = self.issuer.signing_key("alpha", "ES256")
        return jws.serialize_compact({"typ": typ, "alg": "ES256", "kid": key.kid}, payload.encode(), key.private_key)

    def receive(self, body: str | bytes, media_type: str = MEDIA_TYPE) -> Denial:
        return self.verifier.receive(media_type, body.encode() if isinstance(body, str) else body)

    def tell(self, *arguments: Any, **made: Any) -> Denial:
        """Send the SET that `event` makes of these arguments."""
        return self.receive(self.event(*arguments, **made))

    def reason(self, token: str, key: DPoPKey | None = None) -> str | None:
        """Why this token is refused; None where it is let in."""
        proof = None if key is None else key.proof("GET", URL, token, now=self.clock())
        try:
            self.verifier.authenticate(request(token, proof))
        except Refused as refusal:
            return refusal.reason
        return None

    def ended(self, token: str, key: DPoPKey | None = None) -> bool:
        reason = self.reason(token, key)
        assert reason in (None, "token.revoked")
        return reason is not None


def err(denial: Denial) -> str:
    """The error code of a SET that was not accepted (RFC 8935 2.3)."""
    assert denial.status == 400
    problem = json.loads(denial.body)
    assert problem.keys() == {"err", "description"}
    assert problem["description"]
    code: str = problem["err"]
    return code
