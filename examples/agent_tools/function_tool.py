"""A tool in the form of the OpenAI APIs, a JSON schema and a function that answers tool calls, without any SDK. The HTTP call
carries the agent's own token, bound to the agent's key.

What a model asks for is checked against the schema's own list before anything is sent: a model that was talked into something
can name no other path, host or header.
"""

import json
import os
from typing import Any

import httpx

from strongdm_auth.client import ClientError, Credentials, DPoPAuth, TokenSource

RESOURCES = ("protected", "agent-info", "admin")
TOOL = {
    "type": "function",
    "function": {
        "name": "read_api",
        "description": "Read a resource of the API. agent-info says who you are there.",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"resource": {"type": "string", "enum": list(RESOURCES)}},
            "required": ["resource"],
            "additionalProperties": False,
        },
    },
}


class Tools:
    """Answers the tool calls of a model's message, as the agent that the source's tokens are for."""

    def __init__(self, api: str, source: TokenSource) -> None:
        self._api = api
        self._auth = DPoPAuth(source, origins=api)  # keeps the token, the key and the API's nonce from call to call

    def answer(self, call: dict[str, Any]) -> dict[str, str]:
        """The message to send back for one of `message.tool_calls`."""
        asked = call["function"]
        content = self._content(asked["name"], asked["arguments"])
        return {"role": "tool", "tool_call_id": call["id"], "content": content}

    def _content(self, name: str, arguments: str) -> str:
        try:
            given = json.loads(arguments)
        except ValueError:
            return "The arguments are not JSON."
        if name != "read_api" or not isinstance(given, dict) or given.get("resource") not in RESOURCES:
            return f"There is one tool, read_api, and its resource is one of {', '.join(RESOURCES)}."
        try:
            with httpx.Client(base_url=self._api, auth=self._auth) as client:
                answer = client.get(f"/{given['resource']}")
        except (ClientError, httpx.HTTPError) as failure:
            return f"The API was not reached: {failure}"
        return answer.text if answer.is_success else f"The API refused: {answer.status_code} {answer.text[:300]}"


if __name__ == "__main__":
    credentials = Credentials.load(os.environ["AGENT_ID"])
    tools = Tools(os.environ["API_URL"], credentials.source(audience=os.environ.get("API_AUDIENCE", ())))
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "read_api", "arguments": '{"resource": "agent-info"}'},
    }
    print(tools.answer(call)["content"])  # a model would make the call: chat.completions.create(..., tools=[TOOL])
