"""docs/sockets.md: its apps behind a real server, and its client, which comes back with another token."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from strongdm_auth import asgi, fastapi
from strongdm_auth.errors import DESCRIPTIONS
from strongdm_auth.testing import Issuer
from tests.conftest import AUDIENCE

from .lines import until
from .servers import served

PAGE = (Path(__file__).parents[2] / "docs" / "sockets.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with Issuer(realms=("my-org",)).serve() as issuer:
        monkeypatch.setenv("STRONGDM_ISSUER", issuer.url)
        monkeypatch.setenv("STRONGDM_AUDIENCE", AUDIENCE)
        yield issuer


@pytest.fixture
def page(issuer: Issuer) -> Any:
    names: dict[str, Any] = {"__name__": "page"}
    for snippet in SNIPPETS:
        exec(compile(snippet, "docs/sockets.md", "exec"), names)
    return SimpleNamespace(**names)


class Source:
    """Tokens as the page's client asks for them; the first two are revoked while it listens."""

    def __init__(self, issuer: Issuer, given: int = 3) -> None:
        self.values = [issuer.token("ann", realm="my-org", audience=AUDIENCE) for _ in range(given)]
        self.asked: list[Any] = []

    async def atoken(self, *, instead_of: Any = None) -> Any:
        self.asked.append(instead_of)
        return SimpleNamespace(value=self.values[len(self.asked) - 1])


def test_its_client_comes_back_with_another_token(page: Any, issuer: Issuer) -> None:
    """Against an app that greets, and then waits for the client; it is let go with the third token."""
    source, heard = Source(issuer), []

    async def greeting(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "hello"})
        if len(heard) == 2:
            await send({"type": "websocket.close", "code": 1000})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        await asyncio.sleep(0.05)

    door = asgi.StrongDMAuthMiddleware(greeting, realms=["my-org"], end_with_token=True)

    async def client(origin: str) -> None:
        listening = asyncio.create_task(page.listen(f"ws://{origin}/", source, heard.append))
        for number in (1, 2):
            await until(lambda number=number: len(heard) == number)
            await door.verifier.revoke(source.values[number - 1])
        await asyncio.wait_for(listening, 10)

    with served(door) as server:
        asyncio.run(client(server.origin))
    assert heard == ["hello"] * 3
    assert [token and token.value for token in source.asked] == [None, *source.values[:2]]


def test_its_client_gives_up_where_the_token_is_refused(page: Any, issuer: Issuer) -> None:
    source = Source(issuer)
    source.values = [value + "x" for value in source.values]
    with served(page.app) as server, pytest.raises(InvalidStatus, match="401"):
        asyncio.run(page.listen(f"ws://{server.origin}/converse", source, print))
    assert len(source.asked) == 1


@pytest.mark.parametrize("name", ["app", "api"])
def test_its_apps_converse_until_the_token_ends(name: str, page: Any, issuer: Issuer) -> None:
    app = getattr(page, name)
    verifier = page.app.verifier if name == "app" else page.auth.verifier
    (token,) = Source(issuer, 1).values

    async def client(origin: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        async with page.connect(f"ws://{origin}/converse", additional_headers=headers) as websocket:
            await websocket.send("hello")
            assert await websocket.recv() == "ann said hello"
            await verifier.revoke(token)
            with pytest.raises(page.ConnectionClosedError) as closed:
                await asyncio.wait_for(websocket.recv(), 5)
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "The access token was revoked")

    with served(app) as server:
        asyncio.run(client(server.origin))


def test_its_feed_ends_as_a_body_does(page: Any, issuer: Issuer) -> None:
    (token,) = Source(issuer, 1).values

    async def client(origin: str) -> str:
        async with (
            httpx.AsyncClient(base_url=f"http://{origin}", trust_env=False) as client,
            client.stream("GET", "/feed", headers={"Authorization": f"Bearer {token}"}) as response,
        ):
            pieces = response.aiter_text()
            text = await anext(pieces)
            await page.app.verifier.revoke(token)
            return text + "".join([piece async for piece in pieces])

    with served(page.app) as server:
        text = asyncio.run(asyncio.wait_for(client(server.origin), 10))
    assert text.startswith("data: 0\n\n")
    assert text.endswith("\n\n")


def test_what_it_quotes_is_what_is_said() -> None:
    assert DESCRIPTIONS["token.expired"] in PAGE
    assert str(asgi.POLICY_VIOLATION) in PAGE
    assert "end_with_token" in fastapi.StrongDMAuth.install.__annotations__
