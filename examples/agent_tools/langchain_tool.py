"""A LangChain tool whose calls carry the agent's own token, bound to the agent's key.

The model picks a resource from a list. It sees no URL, no token and no proof, and credentials go to one origin: whatever a
prompt talks the model into, there is nothing here to give away and nowhere else to send it.
"""

import os
from typing import Literal

import httpx
from langchain_core.tools import BaseTool, StructuredTool, ToolException

from strongdm_auth.client import ClientError, Credentials, DPoPAuth, TokenSource

Resource = Literal["protected", "agent-info", "admin"]


def api_tool(api: str, source: TokenSource) -> BaseTool:
    """A tool that reads the API at this URL as the agent that the source's tokens are for."""
    auth = DPoPAuth(source, origins=api)  # keeps the token, the key and the API's nonce from call to call

    def read(resource: Resource) -> str:
        try:
            with httpx.Client(base_url=api, auth=auth) as client:
                return _told(client.get(f"/{resource}"))
        except (ClientError, httpx.HTTPError) as failure:
            raise ToolException(f"The API was not reached: {failure}") from failure

    async def aread(resource: Resource) -> str:
        try:
            async with httpx.AsyncClient(base_url=api, auth=auth) as client:
                return _told(await client.get(f"/{resource}"))
        except (ClientError, httpx.HTTPError) as failure:
            raise ToolException(f"The API was not reached: {failure}") from failure

    return StructuredTool.from_function(
        read,
        aread,
        name="read_api",
        description="Read a resource of the API: protected, agent-info (who you are there), admin.",
        handle_tool_error=True,  # the model reads the refusal, and the chain goes on
    )


def _told(answer: httpx.Response) -> str:
    if not answer.is_success:
        raise ToolException(f"The API refused: {answer.status_code} {answer.text[:300]}")
    return answer.text


if __name__ == "__main__":
    credentials = Credentials.load(os.environ["AGENT_ID"])
    tool = api_tool(os.environ["API_URL"], credentials.source(audience=os.environ.get("API_AUDIENCE", ())))
    print(tool.invoke({"resource": "agent-info"}))  # a model would do this: model.bind_tools([tool])
