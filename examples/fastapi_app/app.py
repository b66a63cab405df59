"""A FastAPI API that lets agents in by their tokens. Configured by the environment alone: STRONGDM_* and PORT.

Run it with `python app.py`: it serves on 127.0.0.1:$PORT behind uvicorn; WEB_CONCURRENCY sets the number of workers.
"""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Security
from fastapi.responses import JSONResponse

from strongdm_auth import AccessToken, Delegation
from strongdm_auth.fastapi import StrongDMAuth


class CompactJSON(JSONResponse):
    """The same bytes as from the Flask app: sorted, compact, a newline at the end."""

    def render(self, content):
        return json.dumps(content, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def policies():
    """The Cedar policies that the environment names, if it does: what they do not permit is refused."""
    if "CEDAR_POLICIES" not in os.environ:
        return None
    from strongdm_auth.cedar import CedarPolicies

    return CedarPolicies.load(os.environ["CEDAR_POLICIES"])


app = FastAPI(title="An API for agents", default_response_class=CompactJSON)
auth = StrongDMAuth(scopes={"admin": "What only administrators may do"}, authorize=policies())
auth.install(app)  # answers to refusals in /docs, and the metadata document where STRONGDM_RESOURCE is set
Agent = Annotated[AccessToken, Depends(auth)]
Admin = Annotated[AccessToken, Security(auth, scopes=["admin"])]
Delegate = Annotated[AccessToken, Depends(auth.require(delegation=Delegation()))]


@app.get("/")
def index():
    return {"message": "A FastAPI API for agents", "endpoints": ["/protected", "/agent-info", "/admin", "/delegated"]}


@app.get("/health")
def health():
    return {"status": "healthy"}


@app.get("/protected")
@app.post("/protected")
def protected(agent: Agent):
    return {"message": "You are authenticated!", "subject": agent.subject, "scopes": sorted(agent.scopes)}


@app.get("/agent-info")
def agent_info(agent: Agent):
    return {
        "subject": agent.subject,
        "issuer": agent.issuer,
        "realm": agent.realm,
        "scopes": sorted(agent.scopes),
        "client_id": agent.client_id,
        "expires_at": agent.expires_at,
        "issued_at": agent.issued_at,
        "actor": agent.claims.get("act"),
        "key_thumbprint": agent.key_thumbprint,
    }


@app.get("/admin")
def admin(agent: Admin):
    return {"message": "Welcome, admin!", "agent": agent.subject}


@app.get("/delegated")
def delegated(agent: Delegate):
    return {"subject": agent.subject, "actors": [actor.subject for actor in agent.delegation]}


if __name__ == "__main__":
    here = str(Path(__file__).parent)
    command = ["uvicorn", "app:app", "--app-dir", here, "--host", "127.0.0.1", "--port", os.environ.get("PORT", "8000")]
    os.execv(sys.executable, [sys.executable, "-m", *command])
