"""`AgentMaker`: an agent, and a way to others. What the fixture `strongdm_agent` is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from strongdm_auth.testing.issuer import Issuer
from strongdm_auth.testing.keys import Agent


@dataclass(frozen=True, slots=True)
class AgentMaker(Agent):
    """An agent without scopes; called, it makes another: `strongdm_agent("alice", scopes="read", dpop=True)`."""

    make: Callable[..., Agent] = field(kw_only=True, repr=False)

    @classmethod
    def of(cls, issuer: Issuer) -> AgentMaker:
        """Agents of this issuer."""
        first = issuer.agent()
        return cls(first.token, first.key, first.clock, make=issuer.agent)

    def __call__(
        self, subject: str = "agent", *, scopes: str | Iterable[str] = (), dpop: bool = False, **parts: Any
    ) -> Agent:
        """Another agent of the same issuer; `parts` are those of `Issuer.agent`."""
        return self.make(subject, scopes=scopes, dpop=dpop, **parts)
