"""The agent's side: sources of tokens, and auth objects for each HTTP library."""

from typing import assert_type

import httpx
import requests

from strongdm_auth.client import BearerAuth, ClientCredentials, Credentials, DPoPAuth, DPoPKey, Token, TokenSource
from strongdm_auth.client import requests as for_requests


def call(url: str) -> None:
    credentials = Credentials.load("cli_my_agent")
    assert_type(credentials.scopes, tuple[str, ...])
    source: TokenSource = credentials.source(scopes="read write", key=DPoPKey.generate())
    assert_type(source.token(), Token)
    with httpx.Client(auth=DPoPAuth(source, may_ask_for="admin", origins=[url])) as client:
        assert_type(client.get(url), httpx.Response)
    session = requests.Session()
    session.auth = for_requests.DPoPAuth(source)
    BearerAuth("a token")


async def call_in_a_loop(url: str) -> None:
    source = ClientCredentials("https://id.example.com", "cli_my_agent", "secret", audience=url)
    assert_type(await source.atoken(), Token)
    async with httpx.AsyncClient(auth=BearerAuth(source)) as client:
        assert_type(await client.get(url), httpx.Response)


def check_arguments(source: TokenSource) -> None:
    DPoPAuth("a token")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    DPoPAuth(source, may_ask="admin")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Credentials("id", "secret", "issuer")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
