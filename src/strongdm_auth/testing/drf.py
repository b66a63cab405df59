"""Django REST framework's test client, each request of which is an agent's."""

from __future__ import annotations

from typing import Any

from rest_framework.test import APIClient

from strongdm_auth.testing.django import Signing
from strongdm_auth.testing.keys import Agent


class AgentAPIClient(Signing, APIClient):
    """What `drf_client` makes."""

    def request(self, **request: Any) -> Any:
        """What `credentials()` was told is the test's own, and stays."""
        return super().request(**{**request, **self._credentials})


def drf_client(agent: Agent, *, public_url: str | None = None, **options: Any) -> APIClient:
    """`rest_framework.test.APIClient`, whose every request carries the agent's token, and a fresh proof if it is bound.

    A request with an `Authorization` of its own is left alone. `public_url` is the setting of that name, if the API has one.
    """
    return AgentAPIClient(agent, public_url, **options)
