"""Becoming a client of StrongDM ID: ask, have a person confirm, get the secret once (its `/register` endpoints).

Two ways. A client asks with `request`, its sponsor reads a code in a mail, `confirm` brings it. An agent asks with `enroll`,
its sponsor passes a token on, `activate` brings it. What would happen twice (a mail, a new client) is never sent twice
unless it surely had no effect the first time.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from .credentials import Credentials
from .errors import invalid_answer
from .issuer import IssuerSide
from .network import Call, Network, Story
from .tokens import json_object, scope_set


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrollment:
    """A registration under way. The poll token belongs to whoever asked: `confirm` needs it."""

    enrollment_id: str
    poll_token: str | None = field(default=None, repr=False)
    status: str = "pending"
    approval_url: str | None = None
    status_url: str | None = None
    expires_at: str | None = None
    realm: str | None = None
    email_sent: bool | None = None

    @classmethod
    def read(cls, answer: dict[str, Any]) -> "Enrollment":
        """From the issuer's answer."""
        enrollment_id = answer.get("enrollment_id")
        if not isinstance(enrollment_id, str) or not enrollment_id:
            invalid_answer("no enrollment_id")
        texts = {
            name: value
            for name in ("poll_token", "status", "approval_url", "status_url", "expires_at", "realm")
            if isinstance(value := answer.get(name), str)
        }
        sent = answer.get("email_sent")
        return cls(enrollment_id=enrollment_id, email_sent=sent if isinstance(sent, bool) else None, **texts)


class Registration:
    """Registration at one issuer: a realm's, or the root, which finds the realm by the address's domain."""

    def __init__(self, issuer: str = "https://id.strongdm.ai", *, network: Network | None = None) -> None:
        self._side = IssuerSide(issuer, network=network)
        self._network = self._side.network

    def request(
        self, email: str, client_name: str, *, description: str | None = None, scopes: str | Iterable[str] = ()
    ) -> Enrollment:
        """Ask for a client; a code is mailed to the sponsor.

        Raises:
            TokenRequestFailed: with the issuer's error; 429 `rate_limited` after 3 an hour for one address.
        """
        return self._network.run(self._request(email, client_name, description, scopes))

    async def arequest(
        self, email: str, client_name: str, *, description: str | None = None, scopes: str | Iterable[str] = ()
    ) -> Enrollment:
        """As `request`, for event loops."""
        return await self._network.run_async(self._request(email, client_name, description, scopes))

    def confirm(self, enrollment: Enrollment, code: str) -> Credentials:
        """Bring the code (`XXXX-XXXX`) from the mail. The secret in the answer is given this once: save it."""
        return self._network.run(self._confirm(enrollment, code))

    async def aconfirm(self, enrollment: Enrollment, code: str) -> Credentials:
        """As `confirm`, for event loops."""
        return await self._network.run_async(self._confirm(enrollment, code))

    def status(self, enrollment: Enrollment | str) -> Enrollment:
        """How far it is: `pending`, `confirmed`, `expired` ... A whole enrollment keeps its poll token."""
        return self._network.run(self._status(enrollment))

    async def astatus(self, enrollment: Enrollment | str) -> Enrollment:
        """As `status`, for event loops."""
        return await self._network.run_async(self._status(enrollment))

    def enroll(self, email: str, agent_name: str, *, scopes: str | Iterable[str] = ()) -> Enrollment:
        """Ask for an agent's enrollment; its sponsor gets a link, and by it an enrollment token."""
        return self._network.run(self._enroll(email, agent_name, scopes))

    async def aenroll(self, email: str, agent_name: str, *, scopes: str | Iterable[str] = ()) -> Enrollment:
        """As `enroll`, for event loops."""
        return await self._network.run_async(self._enroll(email, agent_name, scopes))

    def activate(self, enrollment_token: str) -> Credentials:
        """Bring the enrollment token (`pt_...`). The secret in the answer is given this once: save it."""
        return self._network.run(self._activate(enrollment_token))

    async def aactivate(self, enrollment_token: str) -> Credentials:
        """As `activate`, for event loops."""
        return await self._network.run_async(self._activate(enrollment_token))

    def _request(
        self, email: str, client_name: str, description: str | None, scopes: str | Iterable[str]
    ) -> Story[Enrollment]:
        asked: dict[str, object] = {"email": email, "client_name": client_name, "requested_scopes": _listed(scopes)}
        if description is not None:
            asked["client_description"] = description
        return Enrollment.read((yield from self._post("request", asked)))

    def _enroll(self, email: str, agent_name: str, scopes: str | Iterable[str]) -> Story[Enrollment]:
        asked: dict[str, object] = {"email": email, "agent_name": agent_name, "requested_scopes": _listed(scopes)}
        return Enrollment.read((yield from self._post("agent", asked)))

    def _confirm(self, enrollment: Enrollment, code: str) -> Story[Credentials]:
        if enrollment.poll_token is None:
            raise ValueError("this enrollment has no poll token: only whoever asked for it can confirm it")
        asked: dict[str, object] = {
            "enrollment_id": enrollment.enrollment_id,
            "poll_token": enrollment.poll_token,
            "verification_code": code,
        }
        return self._credentials((yield from self._post("confirm", asked, enrollment.poll_token, code)))

    def _activate(self, enrollment_token: str) -> Story[Credentials]:
        asked: dict[str, object] = {"enrollment_token": enrollment_token}
        return self._credentials((yield from self._post("agent/activate", asked, enrollment_token)))

    def _status(self, enrollment: Enrollment | str) -> Story[Enrollment]:
        whole = enrollment if isinstance(enrollment, Enrollment) else Enrollment(enrollment_id=enrollment)
        enrollment_id = whole.enrollment_id
        # The path, not the answer's `status_url`: what an answer names is not fetched just because it is named.
        url = self._url(f"status/{quote(enrollment_id, safe='')}")
        reply = yield from self._side.ask(lambda: Call("GET", url))
        if reply.status != 200:
            raise self._side.refused(reply)
        answer = json_object(reply)
        if answer.get("enrollment_id", enrollment_id) != enrollment_id:
            invalid_answer("the status of another enrollment")
        secret = {} if whole.poll_token is None else {"poll_token": whole.poll_token}
        return Enrollment.read({**answer, **secret, "enrollment_id": enrollment_id})

    def _post(self, path: str, asked: dict[str, object], *secrets: str) -> Story[dict[str, Any]]:
        body = json.dumps(asked).encode()
        call = Call("POST", self._url(path), (("Content-Type", "application/json"),), body)
        reply = yield from self._side.ask(lambda: call, repeatable=False)
        if reply.status not in (200, 201):
            raise self._side.refused(reply, *secrets)
        return json_object(reply)

    def _credentials(self, answer: dict[str, Any]) -> Credentials:
        try:
            return Credentials.read({"issuer": self._side.issuer, **answer})
        except ValueError:
            invalid_answer("no client_id and client_secret")

    def _url(self, path: str) -> str:
        return f"{self._side.issuer.removesuffix('/')}/register/{path}"


def _listed(scopes: str | Iterable[str]) -> list[str]:
    return sorted(scope_set(scopes) or ())
