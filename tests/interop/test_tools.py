"""The tools in examples/agent_tools, called as a framework would call them, without a model."""

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from strongdm_auth.client import ClientCredentials, Credentials
from strongdm_auth.testing import Client, Issuer
from tests.interop.conftest import AUDIENCE, one_nonce_api

FOLDER = Path(__file__).parents[2] / "examples" / "agent_tools"


@pytest.fixture(autouse=True)
def _no_traces_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """LangChain reports every call to a service where the environment says so."""
    for name in [name for name in os.environ if name.startswith(("LANGSMITH_", "LANGCHAIN_"))]:
        monkeypatch.delenv(name)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"examples_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # schemas are made of annotations, which are looked up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def langchain_tool() -> ModuleType:
    pytest.importorskip("langchain_core", reason="pip install --group interop")
    return load("langchain_tool")


@pytest.fixture(scope="module")
def function_tool() -> ModuleType:
    return load("function_tool")


@pytest.fixture
def source(issuer_url: str, agent: Client) -> ClientCredentials:
    return ClientCredentials(issuer_url, *agent.auth, scopes="read", audience=AUDIENCE)


def tool_call(resource: str) -> dict[str, Any]:
    return {"type": "tool_call", "id": "call_1", "name": "read_api", "args": {"resource": resource}}


def function_call(arguments: str, name: str = "read_api") -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}


def test_the_langchain_tool_calls_as_the_agent_with_a_bound_token(
    langchain_tool: ModuleType, source: ClientCredentials, agent: Client, nonce_api: str
) -> None:
    tool = langchain_tool.api_tool(nonce_api, source)
    told = json.loads(tool.invoke({"resource": "agent-info"}))
    told_in_a_loop = json.loads(asyncio.run(tool.ainvoke({"resource": "agent-info"})))
    assert told["subject"] == told_in_a_loop["subject"] == agent.client_id
    assert told["key_thumbprint"] == told_in_a_loop["key_thumbprint"] is not None


def test_the_langchain_tool_tells_the_model_why_not(
    langchain_tool: ModuleType, source: ClientCredentials, nonce_api: str
) -> None:
    tool = langchain_tool.api_tool(nonce_api, source)
    for message in (tool.invoke(tool_call("admin")), asyncio.run(tool.ainvoke(tool_call("admin")))):
        assert message.status == "error"
        assert message.content.startswith("The API refused: 403 ")
        assert "insufficient_scope" in message.content


def test_the_langchain_tool_takes_nothing_that_is_not_on_the_list(
    langchain_tool: ModuleType, source: ClientCredentials, local_issuer: Issuer
) -> None:
    """The issuer's URL stands for an API here: whatever was sent would be seen."""
    tool = langchain_tool.api_tool(local_issuer.url, source)
    assert tool.args["resource"]["enum"] == ["protected", "agent-info", "admin"]
    local_issuer.forget_requests()
    for elsewhere in ("../token", "//elsewhere.example/x", "https://elsewhere.example/x"):
        with pytest.raises(ValueError, match="resource"):
            tool.invoke({"resource": elsewhere})
    assert local_issuer.requests == []


def test_the_langchain_tool_tells_the_model_of_an_issuer_that_refuses(
    langchain_tool: ModuleType, issuer_url: str, agent: Client, nonce_api: str
) -> None:
    tool = langchain_tool.api_tool(nonce_api, ClientCredentials(issuer_url, agent.client_id, "wrong-secret"))
    message = tool.invoke(tool_call("protected"))
    assert message.status == "error"
    assert "invalid_client" in message.content


def test_the_function_tool_calls_as_the_agent_with_a_bound_token(
    function_tool: ModuleType, source: ClientCredentials, agent: Client, nonce_api: str
) -> None:
    message = function_tool.Tools(nonce_api, source).answer(function_call('{"resource": "agent-info"}'))
    assert (message["role"], message["tool_call_id"]) == ("tool", "call_1")
    told = json.loads(message["content"])
    assert told["subject"] == agent.client_id
    assert told["key_thumbprint"] is not None


def test_the_function_tool_tells_the_model_why_not(
    function_tool: ModuleType, issuer_url: str, source: ClientCredentials, agent: Client, nonce_api: str
) -> None:
    tools = function_tool.Tools(nonce_api, source)
    refused = tools.answer(function_call('{"resource": "admin"}'))["content"]
    assert refused.startswith("The API refused: 403 ")
    assert "insufficient_scope" in refused
    unknown = ClientCredentials(issuer_url, agent.client_id, "wrong-secret")
    failed = function_tool.Tools(nonce_api, unknown).answer(function_call('{"resource": "admin"}'))["content"]
    assert "invalid_client" in failed


@pytest.mark.parametrize(
    "call",
    [
        function_call('{"resource": "../token"}'),
        function_call('{"resource": "https://elsewhere.example/x"}'),
        function_call('{"resource": ["admin"]}'),
        function_call('["admin"]'),
        function_call("{}"),
        function_call("not JSON"),
        function_call('{"resource": "admin"}', name="delete_api"),
    ],
)
def test_the_function_tool_takes_nothing_that_is_not_on_the_list(
    function_tool: ModuleType, source: ClientCredentials, local_issuer: Issuer, call: dict[str, Any]
) -> None:
    tools = function_tool.Tools(local_issuer.url, source)
    local_issuer.forget_requests()
    message = tools.answer(call)
    assert "The API" not in message["content"]
    assert local_issuer.requests == []


def test_the_schema_and_the_list_are_one(function_tool: ModuleType) -> None:
    parameters = function_tool.TOOL["function"]["parameters"]
    assert parameters["properties"]["resource"]["enum"] == list(function_tool.RESOURCES)
    assert (parameters["required"], parameters["additionalProperties"]) == (["resource"], False)


@one_nonce_api
@pytest.mark.parametrize("script", ["langchain_tool", "function_tool"])
def test_each_runs_as_its_readme_says(
    script: str, issuer_url: str, agent: Client, nonce_api: str, tmp_path: Path
) -> None:
    if script == "langchain_tool":
        pytest.importorskip("langchain_core", reason="pip install --group interop")
    registered = Credentials(client_id=agent.client_id, client_secret=agent.client_secret, issuer=issuer_url)
    registered.save(folder=tmp_path / ".config" / "strongdmid")
    environment = os.environ | {
        "HOME": str(tmp_path),
        "AGENT_ID": agent.client_id,
        "API_URL": nonce_api,
        "API_AUDIENCE": AUDIENCE,
    }
    done = subprocess.run(
        [sys.executable, f"{script}.py"],
        cwd=FOLDER,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout)["subject"] == agent.client_id
