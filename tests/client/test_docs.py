"""Every snippet of docs/client.md runs, in order, against the local issuer and an API on loopback."""

import builtins
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from strongdm_auth.client import Credentials
from strongdm_auth.testing import Issuer, Notice
from tests.client.conftest import Api, serving

PAGE = Path(__file__).parents[2] / "docs" / "client.md"
SNIPPETS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def notices() -> list[Notice]:
    return []


@pytest.fixture
def served(notices: list[Notice]) -> Iterator[Issuer]:
    issuer = Issuer(realms=("my-org",), algorithms=("ES256",), scopes="openid read", notify=notices.append)
    with issuer.serve():
        yield issuer


def test_every_snippet_runs(
    served: Issuer,
    notices: list[Notice],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    requests = pytest.importorskip("requests")
    agent, child = (served.client(name, scopes="openid read", realm="my-org") for name in ("agent", "child"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, client in (("AGENT", agent), ("CHILD", child)):
        monkeypatch.setenv(f"{name}_ID", client.client_id)
        monkeypatch.setenv(f"{name}_SECRET", client.client_secret)
    monkeypatch.setattr(builtins, "input", lambda prompt: notices[-1].secret)
    realm = served.issuer_url("my-org")
    Credentials(client_id="cli_my_agent_0123", client_secret="x", issuer=realm).save()
    kept = tmp_path / ".config" / "strongdmid" / "cli_my_agent_0123" / "client.json"
    kept.write_text(
        kept.read_text().replace("cli_my_agent_0123", agent.client_id).replace('"x"', f'"{agent.client_secret}"')
    )
    api, namespace = Api(), dict[str, Any]({"__name__": "snippets"})
    with serving(api) as url:
        for snippet in SNIPPETS:
            here = snippet.replace("https://id.strongdm.ai/realms/my-org", realm).replace(
                "https://api.example.com", url
            )
            exec(compile(here, str(PAGE), "exec"), namespace)
            for value in namespace.values():
                if isinstance(value, httpx.Client | requests.Session):
                    value.close()
    assert len(SNIPPETS) > 10
    assert [got.headers["Authorization"].partition(" ")[0] for got in api.got] == ["DPoP"] * 4
    assert all(got.proof for got in api.got)
    shown = capsys.readouterr().out
    assert "invalid_client" in shown
    assert agent.client_secret not in shown
