"""An agent that gets itself in: it registers, keeps its secret in a private file, calls APIs with a token that is bound to its
key, and hires a child agent that may do less than itself.

    strongdm-auth mock-issuer --port 9000 --realm acme        # in one terminal; it prints the code that would be mailed
    python agent.py http://127.0.0.1:9000/realms/acme http://127.0.0.1:8000     # in another; an example app is at 8000
"""

import os
import sys
import tempfile
from collections.abc import Callable

import httpx

from strongdm_auth.client import Credentials, DPoPAuth, Registration, TokenExchange

AUDIENCE = "https://api.example.com"


def register(issuer: str, name: str, scopes: list[str], read_code: Callable[[], str], folder: str) -> Credentials:
    """Ask, have a person confirm, keep what is given once."""
    registration = Registration(issuer)
    enrollment = registration.request("ann@example.com", name, scopes=scopes)
    credentials = registration.confirm(enrollment, read_code())
    print(
        f"  {name} is {credentials.client_id}; its secret is in {credentials.save(folder=folder).name}, for its eyes only"
    )
    return Credentials.load(credentials.client_id, folder=folder)


def work(name: str, auth: httpx.Auth, apis: list[str], path: str) -> list[httpx.Response]:
    """Call every API; the token, the proofs, a nonce if one is asked for: all of that is `auth`."""
    with httpx.Client(auth=auth) as client:
        answers = [client.get(f"{api}{path}") for api in apis]
    for answer in answers:
        print(f"  {name}: GET {answer.url} {answer.status_code} {answer.text.strip()}")
    return answers


def main(
    issuer: str, apis: list[str], read_code: Callable[[], str] = lambda: input("The code from the mail: ")
) -> bool:
    """The whole story; whether everything went as it should."""
    with tempfile.TemporaryDirectory() as folder:
        parent = register(issuer, "researcher", ["openid", "email"], read_code, folder)
        child = register(issuer, "reader", ["openid"], read_code, folder)
    source = parent.source(scopes=["openid", "email"], audience=AUDIENCE)
    own = work("researcher", DPoPAuth(source), apis, "/protected")

    hired = TokenExchange(
        issuer, child.client_id, child.client_secret, subject=source, scopes=["openid"], audience=AUDIENCE
    )
    auth = DPoPAuth(hired)
    delegated = work("reader, for it", auth, apis, "/delegated")
    beyond = work("reader, beyond its scopes", auth, apis, "/admin")
    return (
        all(answer.status_code == 200 and answer.json()["scopes"] == ["email", "openid"] for answer in own)
        and all(answer.status_code == 200 for answer in delegated)
        and all(answer.json() == {"subject": parent.client_id, "actors": [child.client_id]} for answer in delegated)
        and all(answer.status_code == 403 for answer in beyond)
    )


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(f"usage: {os.path.basename(sys.argv[0])} ISSUER API...")
    sys.exit(0 if main(sys.argv[1], sys.argv[2:]) else 1)
