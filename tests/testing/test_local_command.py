"""`strongdm-auth mock-issuer`, as a process and in process."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import httpx
import pytest

from strongdm_auth import cli


@contextmanager
def command(*arguments):
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    process = subprocess.Popen(
        [sys.executable, "-m", "strongdm_auth", "mock-issuer", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_stop(number):
    with command("--port", "0", "--json", "--realm", "a", "--realm", "b", "--scope", "openid") as process:
        start_up = json.loads(process.stdout.readline())
        assert [realm["name"] for realm in start_up["realms"]] == ["a", "b"]
        assert "development only" in start_up["notice"].lower()
        for realm in start_up["realms"]:
            assert realm["issuer"] == f"{start_up['issuer']}/realms/{realm['name']}"
            answer = httpx.post(
                realm["token_endpoint"],
                data={"grant_type": "client_credentials"},
                auth=(realm["client_id"], realm["client_secret"]),
            )
            assert answer.json()["scope"] == "openid"
        asked = httpx.post(
            f"{start_up['issuer']}/register/agent", json={"email": "a@b.c", "agent_name": "bot", "realm": "a"}
        )
        assert asked.status_code == 200
        notice = json.loads(process.stdout.readline())
        assert (notice["kind"], notice["name"]) == ("enrollment_token", "bot")
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""


def test_for_people_it_prints_what_to_paste_and_the_codes():
    with command("--port", "0") as process:
        lines = []
        while "Ctrl-C" not in "".join(lines[-1:]):
            lines.append(process.stdout.readline().rstrip("\n"))
        assert "For development only" in lines[0]
        exports = dict(line.removeprefix("export ").split("=", 1) for line in lines if line.startswith("export "))
        assert exports["STRONGDM_ISSUER"].endswith("/realms/default")
        auth = (exports["STRONGDM_CLIENT_ID"], exports["STRONGDM_CLIENT_SECRET"])
        answer = httpx.post(f"{exports['STRONGDM_ISSUER']}/token", data={"grant_type": "client_credentials"}, auth=auth)
        assert answer.json()["scope"] == "openid email admin"
        body = {"email": "you@example.com", "client_name": "bot"}
        httpx.post(f"{exports['STRONGDM_ISSUER']}/register/request", json=body)
        assert process.stdout.readline().startswith("verification code for bot (you@example.com, enroll_")
        process.terminate()
        assert process.wait(10) == 0


def test_a_port_in_use_is_one_clear_line(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert cli.main(["mock-issuer", "--port", str(port)]) == 1
    error = capsys.readouterr().err
    assert error == f"strongdm-auth: cannot listen on 127.0.0.1 port {port}: Address already in use\n"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.com", "::"])
def test_a_host_beyond_loopback_must_be_asked_for_in_so_many_words(host, capsys):
    assert cli.main(["mock-issuer", "--port", "0", "--host", host]) == 2
    assert "--unsafe-host" in capsys.readouterr().err


def test_an_unsafe_host_is_served_when_insisted_on():
    with command("--port", "0", "--host", "0.0.0.0", "--unsafe-host", "--json") as process:
        port = json.loads(process.stdout.readline())["issuer"].rpartition(":")[2]
        assert httpx.get(f"http://127.0.0.1:{port}/jwks").status_code == 200
        process.terminate()
        assert process.wait(10) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing"],
        ["mock-issuer", "--port", "x"],
        ["mock-issuer", "--port", "65536"],
        ["mock-issuer", "--nothing"],
    ],
)
def test_a_wrong_call_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert "usage: strongdm-auth" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--realm", "a/b"], ["--scope", 'a"b']])
def test_a_wrong_name_is_status_2(arguments, capsys):
    assert cli.main(["mock-issuer", "--port", "0", *arguments]) == 2
    assert capsys.readouterr().err.startswith("strongdm-auth: a ")


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out.startswith("strongdm-auth ")


def test_the_command_line_imports_nothing_of_the_issuer():
    code = "import sys, strongdm_auth.cli; sys.exit('strongdm_auth.testing' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
