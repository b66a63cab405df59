"""A Flask API that lets agents in by their tokens. Configured by the environment alone: STRONGDM_* and PORT.

Run it with `python app.py`: it serves on 127.0.0.1:$PORT behind gunicorn; WEB_CONCURRENCY sets the number of workers.
"""

import os
import sys
from pathlib import Path

from flask import Flask

from strongdm_auth import Delegation, StrongDMAuth
from strongdm_auth.flask import current_token

app = Flask(__name__)
auth = StrongDMAuth(app)


@app.get("/")
def index():
    return {"message": "A Flask API for agents", "endpoints": ["/protected", "/agent-info", "/admin", "/delegated"]}


@app.get("/health")
def health():
    return {"status": "healthy"}


@app.route("/protected", methods=["GET", "POST"])
@auth.require_auth()
def protected():
    return {
        "message": "You are authenticated!",
        "subject": current_token.subject,
        "scopes": sorted(current_token.scopes),
    }


@app.get("/agent-info")
@auth.require_auth()
def agent_info():
    return {
        "subject": current_token.subject,
        "issuer": current_token.issuer,
        "realm": current_token.realm,
        "scopes": sorted(current_token.scopes),
        "client_id": current_token.client_id,
        "expires_at": current_token.expires_at,
        "issued_at": current_token.issued_at,
        "actor": current_token.claims.get("act"),
        "key_thumbprint": current_token.key_thumbprint,
    }


@app.get("/admin")
@auth.require_scope("admin")
def admin():
    return {"message": "Welcome, admin!", "agent": current_token.subject}


@app.get("/delegated")
@auth.require(delegation=Delegation())
def delegated():
    return {"subject": current_token.subject, "actors": [actor.subject for actor in current_token.delegation]}


if __name__ == "__main__":
    address = f"127.0.0.1:{os.environ.get('PORT', '8000')}"
    here = str(Path(__file__).parent)
    command = ["gunicorn", "app:app", "--chdir", here, "--bind", address, "--threads", "8"]
    os.execv(sys.executable, [sys.executable, "-m", *command])
