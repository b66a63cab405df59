"""examples/django_app behind its own servers: the answers are those of examples/flask_app."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from strongdm_auth.testing import DPoPKey, Issuer

EXAMPLES = Path(__file__).parents[2] / "examples"
AUDIENCE = "https://api.example.com"


@contextmanager
def serving(folder: str, issuer: Issuer, *command: str) -> Iterator[str]:
    """The example, started as a person would; yields its base URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    settings = {
        "PORT": port,
        "STRONGDM_ISSUER": issuer.url,
        "STRONGDM_REALMS": "alpha",
        "STRONGDM_AUDIENCE": AUDIENCE,
        "STRONGDM_RESOURCE": AUDIENCE,
        "PYTHONWARNINGS": "error::UserWarning",
    }
    arguments = [sys.executable, *(part.replace("PORT", port) for part in command)]
    server = subprocess.Popen(
        arguments,
        cwd=EXAMPLES / folder,
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        for _ in range(200):
            assert server.poll() is None, server.communicate()[0].decode()
            try:
                httpx.get(f"http://127.0.0.1:{port}/health", timeout=1)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.communicate(timeout=10)


COMMANDS = {
    "wsgi": ("app.py",),
    "asgi": ("-m", "uvicorn", "app:asgi", "--port", "PORT", "--lifespan", "off"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_it_answers_as_the_flask_example_does(command: str) -> None:
    with Issuer(realms=("alpha",)).serve() as issuer:
        plain = issuer.token("cli_agent", scopes=["read"], realm="alpha", audience=AUDIENCE)
        admin = issuer.token("cli_root", scopes=["write", "admin"], realm="alpha", audience=AUDIENCE)
        key = DPoPKey.generate()
        acting = issuer.token(
            "alice@example.com", realm="alpha", audience=AUDIENCE, key=key, actor={"sub": "cli_a", "act": {"sub": "b"}}
        )
        asked = [
            (method, path, token)
            for method, path in [
                ("GET", "/health"),
                ("GET", "/protected"),
                ("POST", "/protected"),
                ("HEAD", "/protected"),
                ("DELETE", "/protected"),
                ("GET", "/agent-info"),
                ("GET", "/admin"),
                ("GET", "/delegated"),
                ("GET", "/.well-known/oauth-protected-resource"),
                ("GET", "/nowhere"),
            ]
            for token in (None, "<>", plain, admin, acting)
        ]
        answers = []
        for folder, start in (("flask_app", ("app.py",)), ("django_app", COMMANDS[command])):
            found = []
            with serving(folder, issuer, *start) as base, httpx.Client(base_url=base) as client:
                assert "endpoints" in client.get("/").json()
                for method, path, token in asked:
                    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
                    if token is acting:
                        proof = key.proof(method, base + path, token)
                        headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
                    answer = client.request(method, path, headers=headers)
                    body = b"" if answer.status_code in (404, 405) else answer.content
                    names = ("Content-Type", "WWW-Authenticate") if body else ("WWW-Authenticate",)
                    found.append((method, path, answer.status_code, body, [answer.headers.get(name) for name in names]))
            answers.append(found)
    assert answers[1] == answers[0]
    delegated = [json.loads(body) for _, path, status, body, _ in answers[1] if (path, status) == ("/delegated", 200)]
    assert delegated == [{"actors": ["cli_a", "b"], "subject": "alice@example.com"}]
