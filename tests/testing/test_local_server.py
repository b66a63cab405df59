"""The issuer on a socket, as an httpx transport, and its faults in both."""

import asyncio
import http.client
import socket
import threading
import time

import httpx
import pytest

from strongdm_auth.testing import DPoPKey, Issuer, server


def origin(url):
    return url.removeprefix("http://")


def test_while_it_is_served_the_issuer_is_where_it_listens(issuer, claims_of):
    with issuer.serve() as served:
        assert served is issuer
        assert issuer.url.startswith("http://127.0.0.1:")
        document = httpx.get(f"{issuer.issuer_url('acme')}/.well-known/openid-configuration").json()
        assert document["issuer"] == f"{issuer.url}/realms/acme"
        assert claims_of(issuer.token())["iss"] == issuer.url
        assert httpx.get(document["jwks_uri"]).json() == issuer.jwks("acme")
        assert issuer.requests == [
            ("GET", "/realms/acme/.well-known/openid-configuration"),
            ("GET", "/realms/acme/jwks"),
        ]
        assert (issuer.count("/jwks"), issuer.count("")) == (1, 2)
        issuer.forget_requests()
        assert issuer.count("") == 0
        with pytest.raises(RuntimeError), issuer.serve():
            pass
    assert issuer.url == "https://id.strongdm.test"
    with issuer.serve(url="http://issuer.internal:9000"):
        assert issuer.issuer_url("acme") == "http://issuer.internal:9000/realms/acme"


def test_a_client_gets_a_bound_token_and_revokes_it_over_the_wire(served, clock):
    client, key = served.client(), DPoPKey.generate()
    with httpx.Client(base_url=served.url, auth=client.auth) as http_client:
        proof = key.proof("POST", f"{served.url}/token", now=clock())
        form = {"grant_type": "client_credentials"}
        answer = http_client.post("/token", data=form, headers={"DPoP": proof}).json()
        assert answer["token_type"] == "DPoP"
        token = {"token": answer["access_token"]}
        assert http_client.post("/introspect", data=token).json()["cnf"] == {"jkt": key.thumbprint}
        assert http_client.post("/revoke", data=token).status_code == 200
        assert http_client.post("/introspect", data=token).json() == {"active": False}


def test_a_connection_is_kept_alive_and_always_knows_its_lengths(served):
    connection = http.client.HTTPConnection(origin(served.url), timeout=5)
    try:
        sockets = set()
        for method, path in (("GET", "/jwks"), ("HEAD", "/jwks"), ("POST", "/token"), ("GET", "/nothing")):
            connection.request(method, path, body=b"x=1" if method == "POST" else None)
            response = connection.getresponse()
            body = response.read()
            assert int(response.headers["Content-Length"]) == len(body) or method == "HEAD"
            assert response.version == 11
            sockets.add(connection.sock.getsockname())
        assert len(sockets) == 1
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Transfer-Encoding: chunked"], 411),
        (["Content-Length: many"], 400),
        (["Content-Length: -1"], 400),
        (["Content-Length: 999999999"], 413),
    ],
)
def test_a_body_without_an_honest_length_is_turned_away(served, lines, status):
    host, port = origin(served.url).split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall("\r\n".join(["POST /token HTTP/1.1", "Host: x", *lines, "", ""]).encode())
        answer = connection.makefile("rb").read()  # ends, because the connection is closed
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert served.requests == []


def test_a_client_that_hangs_up_midway_disturbs_nobody(served, capfd):
    host, port = origin(served.url).split(":")
    served.stall(0.05)
    for request in (
        b"POST /token HTTP/1.1\r\nContent-Length: 10\r\n\r\nx",
        b"GET /jwks HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        connection = socket.create_connection((host, int(port)), timeout=5)
        connection.sendall(request)
        connection.close()
    served.heal()
    assert httpx.get(f"{served.url}/jwks").status_code == 200
    assert capfd.readouterr().err == ""


def test_stopping_ends_idle_connections_and_threads(issuer):
    before = threading.active_count()
    with issuer.serve():
        idle = httpx.Client(base_url=issuer.url)
        idle.get("/jwks")
        url = issuer.url
        started = time.monotonic()
    assert time.monotonic() - started < 2
    assert threading.active_count() == before
    with pytest.raises(httpx.TransportError):
        idle.get("/jwks")
    idle.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/jwks")


def test_a_stall_ends_when_the_server_stops(issuer):
    answers = []
    with issuer.serve():
        issuer.stall(30, path="/jwks")
        url = f"{issuer.url}/jwks"
        thread = threading.Thread(target=lambda: answers.append(httpx.get(url, timeout=20)))
        thread.start()
        while not issuer.count("/jwks"):
            time.sleep(0.01)
        started = time.monotonic()
    thread.join(5)
    assert time.monotonic() - started < 5
    assert [answer.status_code for answer in answers] == [200]


def test_a_reply_that_will_not_leave_is_cut_off_at_the_end(issuer, monkeypatch):
    monkeypatch.setattr(server, "_JOIN_SECONDS", 0.1)
    before = threading.active_count()
    with issuer.serve():
        issuer.answer("/jwks", body=b"x" * 50_000_000)
        host, port = origin(issuer.url).split(":")
        connection = socket.create_connection((host, int(port)), timeout=5)
        connection.sendall(b"GET /jwks HTTP/1.1\r\nHost: x\r\n\r\n")
        while not issuer.count("/jwks"):
            time.sleep(0.01)
    assert threading.active_count() == before
    connection.close()


def test_a_port_in_use_is_an_os_error_and_leaves_the_issuer_usable(issuer):
    with issuer.serve() as first:
        port = int(first.url.rpartition(":")[2])
        other = Issuer(algorithms=("ES256",))
        with pytest.raises(OSError), other.serve(port=port):
            pass
        with other.serve():
            assert httpx.get(f"{other.url}/jwks").status_code == 200


def test_it_serves_ipv6_where_there_is_any(issuer):
    try:
        with issuer.serve("::1"):
            assert issuer.url.startswith("http://[::1]:")
            assert httpx.get(f"{issuer.url}/jwks").status_code == 200
    except OSError:
        pytest.skip("no IPv6 on loopback")


def test_many_threads_at_once_get_their_own_tokens(served):
    client, tokens = served.client(), []

    def ask():
        with httpx.Client(base_url=served.url, auth=client.auth) as http_client:
            for _ in range(5):
                answer = http_client.post("/token", data={"grant_type": "client_credentials"})
                tokens.append(answer.json()["access_token"])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(set(tokens)) == 40
    assert served.count("/token") == 40


def test_threads_that_need_a_key_at_once_get_the_same_one(issuer):
    kids = []
    threads = [threading.Thread(target=lambda: kids.append(issuer.signing_key().kid)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(kids) == 8
    assert len(set(kids)) == 1


def test_the_transport_answers_sync_and_async_clients_without_a_socket(issuer):
    with httpx.Client(transport=issuer.transport()) as client:
        assert client.get(f"{issuer.url}/jwks").json() == issuer.jwks()
        with pytest.raises(httpx.ConnectError):
            client.get("https://elsewhere.test/jwks")

    async def ask():
        async with httpx.AsyncClient(transport=issuer.transport(), auth=issuer.client().auth) as client:
            return await client.post(f"{issuer.url}/token", data={"grant_type": "client_credentials"})

    assert asyncio.run(ask()).json()["token_type"] == "Bearer"


def test_in_process_a_long_stall_is_a_timeout_at_once_and_a_short_one_is_waited_for(issuer):
    async def ask(**settings):
        async with httpx.AsyncClient(transport=issuer.transport(), **settings) as client:
            return await client.get(f"{issuer.url}/jwks")

    started = time.monotonic()
    issuer.stall(30, times=2)
    with httpx.Client(transport=issuer.transport(), timeout=5) as client:
        with pytest.raises(httpx.ReadTimeout):
            client.get(f"{issuer.url}/jwks")
        with pytest.raises(httpx.ReadTimeout):
            asyncio.run(ask(timeout=5))
        assert time.monotonic() - started < 4
        issuer.stall(0.05)
        started = time.monotonic()
        assert client.get(f"{issuer.url}/jwks").status_code == 200
        assert asyncio.run(ask()).status_code == 200
        assert issuer.respond("GET", "/jwks")[0] == 200
    assert time.monotonic() - started >= 0.15


def test_a_failure_hits_the_paths_and_the_times_it_was_told(caller, issuer):
    issuer.fail(503, path="/jwks", times=2, body=b"down", headers={"Retry-After": "7"})
    answers = [caller.get(path) for path in ("/realms/acme/jwks", "/userinfo", "/jwks", "/jwks")]
    assert [answer.status for answer in answers] == [503, 401, 503, 200]
    assert (answers[0].body, answers[0].headers) == (b"down", {"Retry-After": "7"})
    assert issuer.count("/jwks") == 3


def test_the_newest_fault_wins_and_healing_ends_them_all(caller, issuer):
    issuer.fail()
    issuer.answer("/jwks", 302, [("Location", "https://evil.test/jwks")])
    assert caller.get("/jwks").status == 302
    assert caller.get("/token").status == 503
    issuer.heal()
    assert caller.get("/jwks").status == 200


def test_an_answer_can_be_anything_even_slow_and_cut_short(served):
    served.answer("/jwks", 200, {"Content-Type": "application/json", "Content-Length": "100"}, b'{"keys": [')
    served.stall(0.05, path="/jwks")
    started = time.monotonic()
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{served.url}/jwks")
    assert time.monotonic() - started >= 0.05
    served.heal()
    served.answer("/jwks", 200, {"Content-Type": "text/html"}, b"<html>", times=1)
    assert httpx.get(f"{served.url}/jwks").text == "<html>"
    assert httpx.get(f"{served.url}/jwks").json() == served.jwks()
