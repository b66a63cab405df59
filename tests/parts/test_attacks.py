"""Ways in that attackers of this package found, each shut. One test an attack; the numbers in brackets name no RFC."""

import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from strongdm_auth import InvalidDPoPProof, InvalidToken, Refused, Request, Requirement, Verifier
from strongdm_auth.delegation import Delegation
from strongdm_auth.dpop import LONGEST_HEADER_REMEMBERED
from strongdm_auth.errors import TemporarilyUnavailable
from strongdm_auth.introspection import MOST_QUESTIONS
from strongdm_auth.jose import Malformed, encode_segment, parse_object, split
from strongdm_auth.needs import Fetch
from strongdm_auth.request import EnvironRequest, ScopeRequest
from strongdm_auth.routes import RouteTable
from strongdm_auth.testing import DPoPKey, Issuer
from tests.conftest import AUDIENCE, NOW, request

Make = Callable[..., Verifier]
HOST = "api.example.com"


def environ(host: str, path: str, **headers: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "wsgi.url_scheme": "https",
        "HTTP_HOST": host,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        **headers,
    }


def scope(host: str, path: str, authorization: str, proof: str) -> dict[str, Any]:
    headers = [(b"host", host.encode()), (b"authorization", authorization.encode()), (b"dpop", proof.encode())]
    return {"type": "http", "method": "GET", "scheme": "https", "path": path, "headers": headers, "query_string": b""}


STEERING = ["/x?", "/x#", "/a", ":443/x?", " b", ",b", "\\x"]


@pytest.mark.parametrize("host", [*(HOST + end for end in STEERING), f"u@{HOST}", "[::1", ""])
@pytest.mark.parametrize("door", ["wsgi", "asgi"])
def test_a_host_header_cannot_aim_a_proof_at_another_path(
    host: str, door: str, issuer: Issuer, make_verifier: Make
) -> None:
    key = DPoPKey.generate()
    token = issuer.token("cli_agent", realm="alpha", audience=AUDIENCE, key=key)
    verifier = make_verifier()
    for htu in (f"https://{HOST}/x", f"https://{host}/protected", f"https://{HOST}/a/protected"):
        proof = key.proof("GET", htu, token, now=NOW)
        if door == "wsgi":
            names = {"HTTP_AUTHORIZATION": f"DPoP {token}", "HTTP_DPOP": proof, "SERVER_NAME": "x", "SERVER_PORT": "1"}
            asked: Request = EnvironRequest(environ(host, "/protected", **names))
        else:
            asked = ScopeRequest(scope(host, "/protected", f"DPoP {token}", proof))
        with pytest.raises(InvalidDPoPProof) as refused:
            verifier.authenticate(asked)
        assert refused.value.reason == "dpop.htu_mismatch"


def test_a_restart_lets_all_real_realms_come_at_once(make_verifier: Make, clock: Any) -> None:
    names = [f"realm{number}" for number in range(12)]
    issuer = Issuer(realms=names, clock=clock)
    client = httpx.Client(transport=issuer.transport())
    verifier = Verifier(client=client, clock=clock, issuer=issuer.url, realms="*", audience=AUDIENCE)
    for name in names:
        token = issuer.token("cli_agent", realm=name, audience=AUDIENCE)
        assert verifier.authenticate(request(token)).realm == name


@pytest.mark.parametrize("end", [".", "", ".x.y", ".x..", "..", "!"])
def test_a_jwt_that_was_cut_or_lengthened_is_never_asked_about(end: str, issuer: Issuer, make_verifier: Make) -> None:
    client = issuer.client("api", realm="alpha")
    verifier = make_verifier(introspection="fallback", client_id=client.client_id, client_secret=client.client_secret)
    answer = {"active": True, "iss": issuer.issuer_url("alpha"), "sub": "root", "aud": AUDIENCE}
    issuer.answer("/introspect", 200, (), json.dumps(answer).encode())
    header, payload, signature = issuer.token("cli_agent", realm="alpha", audience=AUDIENCE).split(".")
    token = f"{header}.{payload}" if end == "" else f"{header}.{payload}.{signature}{end}"
    with pytest.raises(Refused) as refused:
        verifier.authenticate(request(token))
    assert refused.value.status_code in (400, 401)
    assert issuer.count("/introspect") == 0


def test_one_client_cannot_fill_the_memory_for_proof_keys(issuer: Issuer, make_verifier: Make) -> None:
    key, verifier = DPoPKey.generate(), make_verifier()
    token = issuer.token("cli_agent", realm="alpha", audience=AUDIENCE, key=key)
    url = "https://api.example.com/things"
    for stuffing in ("", "x" * LONGEST_HEADER_REMEMBERED):
        proof = key.proof("GET", url, token, now=NOW, header={"x": stuffing})
        assert verifier.authenticate(request(token, proof)).subject == "cli_agent"
    assert len(verifier._server.proofs._known) == 1


@pytest.mark.parametrize("path", ["/api/adm\u0131n", "/api/adm\u0130n", "/API/ADM\u0130N", "/api/ad\u006d\u0131n/x"])
def test_no_letter_that_only_looks_like_an_i_opens_a_route(path: str) -> None:
    assert RouteTable({"/api/admin": {"scopes": ["admin"]}}).find(path) == Requirement(scopes="admin")


@pytest.mark.parametrize("text", [b'{"sub": "\\ud800"}', b'{"a": ["\\udfff x"]}', b'{"\\ud800": 1}'])
def test_half_a_character_is_no_json(text: bytes) -> None:
    with pytest.raises(Malformed):
        parse_object(text)
    assert parse_object(b'{"sub": "\\ud83d\\ude00"}') == {"sub": "\U0001f600"}


def test_what_is_passed_around_inside_shows_no_secret() -> None:
    fetch = Fetch("introspection", "https://x", (("Authorization", "Basic c2VjcmV0"),), b"token=hidden")
    assert "c2VjcmV0" not in repr(fetch)
    assert "hidden" not in repr(fetch)
    assert "YWJj" not in repr(split("YWJj.YWJj.YWJj"))


def test_questions_to_a_hanging_issuer_are_bounded(issuer: Issuer, make_verifier: Make) -> None:
    client = issuer.client("api", realm="alpha")
    verifier = make_verifier(introspection="fallback", client_id=client.client_id, client_secret=client.client_secret)
    introspection = verifier._server.introspection
    held = [introspection.begin(bytes([number]), NOW) for number in range(MOST_QUESTIONS)]
    assert all(held)
    with pytest.raises(TemporarilyUnavailable) as refused:
        verifier.authenticate(request("opaque"))
    assert refused.value.reason == "introspection.busy"
    for number, question in enumerate(held):
        introspection.end(bytes([number]), question)
    with pytest.raises(InvalidToken):
        verifier.authenticate(request("opaque"))


def test_keys_still_serve_when_no_thread_can_be_had(
    issuer: Issuer, clock: Any, make_verifier: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = make_verifier()
    token = issuer.token("cli_agent", realm="alpha", audience=AUDIENCE)
    verifier.authenticate(request(token))
    clock.advance(901)

    def no_more_threads(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_more_threads)
    assert verifier.authenticate(request(token)).subject == "cli_agent"


@pytest.mark.parametrize("authorization", [None, "", "Basic YTpi", "Digest x=y"])
def test_an_optional_route_is_anonymous_to_whoever_has_nothing_for_us(
    authorization: str | None, make_verifier: Make
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    asked = Request("GET", "https://api.example.com/things", headers)
    assert make_verifier().authorize(asked, Requirement(optional=True)) is None


def test_patterns_of_actors_know_no_brackets(issuer: Issuer, make_verifier: Make) -> None:
    policy = Requirement(delegation=Delegation(allowed_actors=["cli_[ab]*"]))
    verifier = make_verifier()

    def asked(actor: str) -> Request:
        return request(issuer.token("alice", realm="alpha", audience=AUDIENCE, actor={"sub": actor}))

    assert verifier.authorize(asked("cli_[ab]x"), policy) is not None
    with pytest.raises(Refused, match="acting agent"):
        verifier.authorize(asked("cli_a"), policy)


def test_a_segment_encodes_and_decodes() -> None:
    assert encode_segment(b"\xff\xfe") == "__4"
