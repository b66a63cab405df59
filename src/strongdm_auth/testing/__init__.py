"""Tools for tests and development only: a local issuer that imitates StrongDM ID, and agents that call
your API.

    with Issuer().serve() as issuer:
        agent = issuer.agent("alice", scopes=["read"], dpop=True)
        client.get("/protected", headers=agent.headers("GET", "http://localhost/protected"))

Nothing here belongs into a deployment: the issuer authenticates nobody and keeps nothing.
"""

from strongdm_auth.testing.clients import Client
from strongdm_auth.testing.clock import Clock
from strongdm_auth.testing.enrollment import Notice
from strongdm_auth.testing.issuer import Issuer
from strongdm_auth.testing.jws import unsigned_token
from strongdm_auth.testing.keys import Agent, DPoPKey, SigningKey

__all__ = ["Agent", "Client", "Clock", "DPoPKey", "Issuer", "Notice", "SigningKey", "unsigned_token"]
