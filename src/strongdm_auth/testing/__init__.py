"""Tools for tests and development only: a local issuer that imitates StrongDM ID, agents that call your API, and test
clients that sign each request. docs/testing.md shows them framework by framework.

    with TrustedIssuer(realms=["acme"], audience="https://api.example.com") as issuer:
        client = flask_client(app, issuer.agent("alice", scopes="read", dpop=True))
        assert client.get("/protected").status_code == 200

Nothing here belongs into a deployment: the issuer authenticates nobody and keeps nothing. Names are loaded when first
used, so that importing this package imports no framework and no HTTP library.
"""

from typing import TYPE_CHECKING

from strongdm_auth.lazily import names_of

if TYPE_CHECKING:
    from strongdm_auth.testing.agents import AgentMaker as AgentMaker
    from strongdm_auth.testing.clients import Client as Client
    from strongdm_auth.testing.clock import Clock as Clock
    from strongdm_auth.testing.django import django_async_client as django_async_client
    from strongdm_auth.testing.django import django_client as django_client
    from strongdm_auth.testing.drf import drf_client as drf_client
    from strongdm_auth.testing.enrollment import Notice as Notice
    from strongdm_auth.testing.fakes import fake_token as fake_token
    from strongdm_auth.testing.flask import flask_client as flask_client
    from strongdm_auth.testing.impersonation import unsafe_authenticated_as as unsafe_authenticated_as
    from strongdm_auth.testing.issuer import Issuer as Issuer
    from strongdm_auth.testing.jws import unsigned_token as unsigned_token
    from strongdm_auth.testing.keys import Agent as Agent
    from strongdm_auth.testing.keys import DPoPKey as DPoPKey
    from strongdm_auth.testing.keys import SigningKey as SigningKey
    from strongdm_auth.testing.starlette import starlette_client as starlette_client
    from strongdm_auth.testing.trusted import TrustedIssuer as TrustedIssuer

#: Public name -> the module it lives in.
_HOMES = {
    "Agent": "keys",
    "AgentMaker": "agents",
    "Client": "clients",
    "Clock": "clock",
    "DPoPKey": "keys",
    "Issuer": "issuer",
    "Notice": "enrollment",
    "SigningKey": "keys",
    "TrustedIssuer": "trusted",
    "django_async_client": "django",
    "django_client": "django",
    "drf_client": "drf",
    "fake_token": "fakes",
    "flask_client": "flask",
    "starlette_client": "starlette",
    "unsafe_authenticated_as": "impersonation",
    "unsigned_token": "jws",
}
__all__ = [
    "Agent",
    "AgentMaker",
    "Client",
    "Clock",
    "DPoPKey",
    "Issuer",
    "Notice",
    "SigningKey",
    "TrustedIssuer",
    "django_async_client",
    "django_client",
    "drf_client",
    "fake_token",
    "flask_client",
    "starlette_client",
    "unsafe_authenticated_as",
    "unsigned_token",
]

__getattr__, __dir__ = names_of(__name__, _HOMES, globals(), __all__)
