"""The demo: a local issuer, the example apps behind their real servers, and an agent that knocks with good and bad credentials.

Prints what was asked and what came back, a column for each framework, and exits 1 if a line is not as it should be.
Everything runs on loopback, on free ports, and is stopped at the end.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from strongdm_auth.testing import DPoPKey, Issuer, unsigned_token

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "agent"))
import agent  # noqa: E402

#: Folder of each example app, and the name of its column.
APPS = {"flask_app": "Flask", "fastapi_app": "FastAPI", "django_app": "Django"}
REALMS = ("acme", "globex")
AUDIENCE = "https://api.example.com"

Headers = list[tuple[str, str]]


@dataclass
class Line:
    """One request of the demo and the answer that it should get."""

    says: str
    status: int
    error: str = ""
    path: str = "/protected"
    method: str = "GET"
    #: Given the API's base URL, the headers to send.
    headers: Callable[[str], Headers] = field(default=lambda base: [])


class Agents:
    """The credentials of the demo, fresh for each app: a proof is good once."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.key, self.other_key = DPoPKey.generate(), DPoPKey.generate("EdDSA")

    def token(self, realm: str = "acme", **made: object) -> str:
        return self.issuer.token(
            **{"subject": f"cli_{realm}_agent", "scopes": ["read"], "realm": realm, "audience": AUDIENCE, **made}
        )

    def bearer(self, **made: object) -> Callable[[str], Headers]:
        return lambda base: [("Authorization", f"Bearer {self.token(**made)}")]

    def bound(self, path: str = "/protected", method: str = "GET", **made: object) -> Callable[[str], Headers]:
        """A token of globex bound to a key, and a proof; what is in `made` for the proof makes it a bad one."""
        key, proven_token, now = made.pop("prove_with", self.key), made.pop("proven_token", None), made.pop("now", None)

        def headers(base: str) -> Headers:
            token = self.token("globex", key=self.key, **made)
            proof = key.proof(method, base + path, proven_token or token, now=now)
            return [("Authorization", f"DPoP {token}"), ("DPoP", proof)]

        return headers

    def lines(self) -> Iterator[Line]:
        now = time.time()
        good = self.token()
        yield Line("anyone asks for the health", 200, path="/health")
        yield Line("acme's agent, Bearer token", 200, headers=self.bearer())
        yield Line("acme's agent posts", 200, method="POST", headers=self.bearer())
        yield Line("globex's agent, DPoP-bound token", 200, headers=self.bound())
        yield Line("globex's agent asks who it is", 200, path="/agent-info", headers=self.bound("/agent-info"))
        yield Line("acme's admin", 200, path="/admin", headers=self.bearer(scopes=["read", "admin"]))
        yield Line(
            "an agent that acts for a user",
            200,
            path="/delegated",
            headers=self.bearer(
                subject="alice@example.com", actor={"sub": "cli_scheduler", "act": {"sub": "cli_assistant"}}
            ),
        )
        yield Line("no credentials", 401, "unauthorized")
        yield Line("Basic credentials", 401, "unauthorized", headers=lambda base: [("Authorization", "Basic YTpi")])
        yield Line(
            "characters that no token has",
            400,
            "invalid_request",
            headers=lambda base: [("Authorization", "Bearer <token>")],
        )
        yield Line(
            "two Authorization headers",
            400,
            "invalid_request",
            headers=lambda base: [("Authorization", f"Bearer {good}"), ("Authorization", f"Bearer {good}")],
        )
        yield Line(
            "a token that is no JWT", 401, "invalid_token", headers=lambda base: [("Authorization", "Bearer abc")]
        )
        yield Line("an expired token", 401, "invalid_token", headers=self.bearer(claims={"exp": now - 60}))
        yield Line("a token from tomorrow", 401, "invalid_token", headers=self.bearer(claims={"nbf": now + 86_400}))
        yield Line(
            "a token for another API", 401, "invalid_token", headers=self.bearer(audience="https://else.example")
        )
        yield Line("a token of realm mallory", 401, "invalid_token", headers=self.bearer(realm="mallory"))
        yield Line("acme's name, mallory's key", 401, "invalid_token", headers=lambda base: self._impostor())
        yield Line(
            "a changed token",
            401,
            "invalid_token",
            headers=lambda base: [("Authorization", f"Bearer {_changed(good)}")],
        )
        yield Line(
            "alg none", 401, "invalid_token", headers=lambda base: [("Authorization", f"Bearer {self._unsigned()}")]
        )
        yield Line(
            "an ID token", 401, "invalid_token", headers=self.bearer(header={"typ": "JWT"}, claims={"token_type": "id"})
        )
        yield Line("a workload's JWT-SVID", 401, "invalid_token", headers=lambda base: self._svid())
        yield Line("a stolen bound token, as Bearer", 401, "invalid_token", headers=self.bearer(key=self.key))
        yield Line("an unbound token, as DPoP", 401, "invalid_token", headers=self._unbound_as_dpop)
        yield Line(
            "a stolen bound token, thief's key", 401, "invalid_token", headers=self.bound(prove_with=self.other_key)
        )
        yield Line(
            "a bound token without a proof",
            401,
            "invalid_dpop_proof",
            headers=lambda base: [("Authorization", f"DPoP {self.token(key=self.key)}")],
        )
        yield Line("a proof for another URL", 401, "invalid_dpop_proof", headers=self.bound("/admin"))
        yield Line("a proof for another method", 401, "invalid_dpop_proof", headers=self.bound(method="DELETE"))
        yield Line("a proof for another token", 401, "invalid_dpop_proof", headers=self.bound(proven_token=good))
        yield Line("a proof of an hour ago", 401, "invalid_dpop_proof", headers=self.bound(now=now - 3600))
        yield Line("a proof from the future", 401, "invalid_dpop_proof", headers=self.bound(now=now + 600))
        yield Line("a proof that is signed badly", 401, "invalid_dpop_proof", headers=self._badly_signed_proof)
        replayed: dict[str, Headers] = {}

        def again(base: str) -> Headers:
            return replayed.setdefault(base, self.bound()(base))

        yield Line("a proof, its first use", 200, headers=again)
        yield Line("the same proof, replayed", 401, "invalid_dpop_proof", headers=again)
        yield Line("an agent without the scope admin", 403, "insufficient_scope", path="/admin", headers=self.bearer())
        yield Line("an agent that acts for nobody", 403, "access_denied", path="/delegated", headers=self.bearer())

    def _impostor(self) -> Headers:
        return [
            ("Authorization", f"Bearer {self.token(realm='mallory', claims={'iss': self.issuer.issuer_url('acme')})}")
        ]

    def _unsigned(self) -> str:
        claims = {"iss": self.issuer.issuer_url("acme"), "sub": "root", "aud": AUDIENCE, "exp": time.time() + 60}
        return unsigned_token({"alg": "none", "typ": "at+jwt"}, claims, b"\0")

    def _svid(self) -> Headers:
        return [("Authorization", f"Bearer {self.issuer.jwt_svid('cli_acme_agent', audience=AUDIENCE, realm='acme')}")]

    def _unbound_as_dpop(self, base: str) -> Headers:
        token = self.token()
        return [("Authorization", f"DPoP {token}"), ("DPoP", self.key.proof("GET", base + "/protected", token))]

    def _badly_signed_proof(self, base: str) -> Headers:
        authorization, (name, proof) = self.bound()(base)
        return [authorization, (name, _changed(proof))]


def _changed(compact: str) -> str:
    """The same JWS with one bit of its signature turned."""
    body, _, signature = compact.rpartition(".")
    return f"{body}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(folder: str, **settings: str) -> Iterator[str]:
    """The example app in `folder`, behind its own server and with these settings (and environment variables, where they are
    in capitals); yields its base URL."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STRONGDM_")}
    environment |= {f"STRONGDM_{name.upper()}": value for name, value in settings.items() if name.islower()}
    environment |= {name: value for name, value in settings.items() if name.isupper()}
    port = free_port()
    with running(
        [sys.executable, "app.py"],
        f"http://127.0.0.1:{port}",
        "/health",
        HERE / folder,
        environment | {"PORT": str(port)},
    ):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def running(command: list[str], base: str, path: str, folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """A server as a process of its own, once `path` answers; stopped by its process id."""
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as server:
        try:
            for _ in range(200):
                try:
                    httpx.get(base + path, timeout=1)
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
                if server.poll() is not None:
                    raise RuntimeError(f"{command} did not start:\n{server.communicate()[0].decode()}")
            else:
                raise RuntimeError(f"{command} does not answer at {base}{path}")
            yield
        finally:
            server.terminate()
            server.communicate(timeout=20)


def ask(client: httpx.Client, line: Line, base: str) -> tuple[str, bool]:
    """Send one request; what came back in words, and whether it is as it should be."""
    answer = client.request(line.method, base + line.path, headers=line.headers(base))
    error = answer.json().get("error", "")
    challenged = "WWW-Authenticate" in answer.headers
    right = (answer.status_code, error, challenged) == (line.status, line.error, 400 <= line.status < 500)
    return f"{answer.status_code} {error}", right


def main() -> int:
    wrong = 0
    with ExitStack() as apps, httpx.Client() as client, tempfile.TemporaryDirectory() as folder_of_trails:
        trails = {folder: Path(folder_of_trails, folder) for folder in APPS}
        mail: list[str] = []
        with Issuer(realms=(*REALMS, "mallory"), notify=lambda notice: mail.append(notice.secret)).serve() as issuer:
            settings = {"issuer": issuer.url, "realms": ",".join(REALMS), "audience": AUDIENCE}
            watched = {"on_event": "audit_trail:write", "PYTHONPATH": str(HERE)}
            bases = {
                name: apps.enter_context(serving(folder, AUDIT_TRAIL=str(trails[folder]), **watched, **settings))
                for folder, name in APPS.items()
            }
            print(f"Issuer {issuer.url}, realms {', '.join(issuer.realms)}. The API lets in {' and '.join(REALMS)}.\n")
            print(f"{'who knocks':<36} {'asks':<16} {'should get':<12} {'  '.join(f'{name:<26}' for name in bases)}")
            agents = Agents(issuer)
            lines = list(agents.lines())
            late = agents.token()
            for line in lines:
                wrong += show(client, line, bases)
            print("\nAn agent that registers by itself, and hires another (examples/agent):")
            wrong += not agent.main(issuer.issuer_url("acme"), list(bases.values()), mail.pop)
        gone = Line("a new token; the issuer is gone", 200, headers=lambda base: [("Authorization", f"Bearer {late}")])
        wrong += show(client, gone, bases)
        for name, base in bases.items():
            print(f"\n{name} asks an agent without credentials for:")
            print("  WWW-Authenticate: " + client.get(base + "/admin").headers["WWW-Authenticate"])
        told = {
            name: [json.loads(line) for line in trails[folder].read_text().splitlines()]
            for folder, name in APPS.items()
        }
        wrong += show_trails(told)
    print(f"\n{wrong} answers are not as they should be." if wrong else "\nEvery answer is as it should be.")
    return 1 if wrong else 0


def show_trails(told: dict[str, list[dict[str, object]]]) -> int:
    """Print what stands in the audit trails of each kind; how many kinds are not in all of them."""
    print("\nIn the audit trail of each app (here of the first), such as:")
    wrong = 0
    for reason in (
        "delegated",
        "token.expired",
        "token.signature",
        "token.bound",
        "dpop.replayed",
        "scope.insufficient",
    ):
        found = [next((line for line in trail if _is_about(line, reason)), None) for trail in told.values()]
        wrong += None in found
        print(f"  {json.dumps(found[0])}")
    return wrong


def _is_about(line: dict[str, object], reason: str) -> bool:
    return "actors" in line and line["outcome"] == "admitted" if reason == "delegated" else line["reason"] == reason


def show(client: httpx.Client, line: Line, bases: dict[str, str]) -> int:
    """Print one line of the table; how many of its answers are wrong."""
    answers = [ask(client, line, base) for base in bases.values()]
    cells = "  ".join(f"{text:<22} {'ok' if right else 'NO':<3}" for text, right in answers)
    print(f"{line.says:<36} {f'{line.method} {line.path}':<16} {line.status:<12} {cells}")
    return sum(not right for _, right in answers)


if __name__ == "__main__":
    sys.exit(main())
