"""Django's test clients, sync and async, each request of which is an agent's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.test import AsyncClient, Client

from strongdm_auth.request import EnvironRequest, ScopeRequest
from strongdm_auth.testing.keys import Agent
from strongdm_auth.testing.signing import Signer

if TYPE_CHECKING:

    class _Base(Client): ...
else:
    _Base = object

#: What Django's client fills in below what a request says (`RequestFactory`), as far as a URL is made of it.
_DEFAULTS = {
    "PATH_INFO": "/",
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "SERVER_NAME": "testserver",
    "SERVER_PORT": "80",
    "wsgi.url_scheme": "http",
}


class Signing(_Base):
    """Mixed into a class of sync test clients; DRF's, too."""

    def __init__(self, agent: Agent, public_url: str | None, /, **options: Any) -> None:
        parent: Any = super()
        parent.__init__(**options)
        self._signer = Signer(agent, public_url)

    def request(self, **request: Any) -> Any:
        """The master request method: every request comes by here, redirects too."""
        environ: dict[str, Any] = {**_DEFAULTS, **self.defaults, **request}
        added = {f"HTTP_{name.upper()}": value for name, value in self._signer.headers(EnvironRequest(environ)).items()}
        parent: Any = super()
        response = parent.request(**request, **added)
        self._signer.heard(response.headers.get("DPoP-Nonce"))
        return response


class AgentClient(Signing, Client):
    """What `django_client` makes."""


class AsyncAgentClient(AsyncClient):
    """What `django_async_client` makes."""

    def __init__(self, agent: Agent, public_url: str | None, /, **options: Any) -> None:
        parent: Any = super()
        parent.__init__(**options)
        self._signer = Signer(agent, public_url)

    async def request(self, **request: Any) -> Any:
        """As in `Signing`."""
        headers = list(request.get("headers", ()))
        for name, value in self._signer.headers(ScopeRequest({**request, "headers": headers})).items():
            headers.append((name.lower().encode("ascii"), value.encode("ascii")))
        parent: Any = super()
        response = await parent.request(**{**request, "headers": headers})
        self._signer.heard(response.headers.get("DPoP-Nonce"))
        return response


def django_client(agent: Agent, *, public_url: str | None = None, **options: Any) -> Client:
    """`django.test.Client`, whose every request carries the agent's token, and a fresh proof if it is bound.

    A request with an `Authorization` of its own is left alone. `public_url` is the setting of that name, if the API has one.
    """
    return AgentClient(agent, public_url, **options)


def django_async_client(agent: Agent, *, public_url: str | None = None, **options: Any) -> AsyncClient:
    """The same of `django.test.AsyncClient`."""
    return AsyncAgentClient(agent, public_url, **options)
