"""What an attack and a careful reading found, and what must not come back."""

import io
import time

import pytest
from flask import Flask, request

from strongdm_auth import ConfigurationError, Refused, Request, Requirement, SecurityWarning, Settings, Verifier
from strongdm_auth.flask import StrongDMAuth
from strongdm_auth.forward_auth.wsgi import ForwardAuth
from strongdm_auth.testing import Issuer
from strongdm_auth.wsgi import received

from .api import API, MEDIA_TYPE, err

EMAIL = {"format": "email", "email": "alice@example.org"}


def test_a_time_of_400_digits_is_no_error_of_ours(api: API) -> None:
    assert err(api.tell("alice", claims={"iat": -(10**400)})) == "invalid_request"


def test_one_alias_that_can_be_matched_is_enough(api: API) -> None:
    """RFC 9493 3.2.8: all of them are one subject; to refuse the SET would leave it unrevoked for ever."""
    token = api.token("alice")
    subject = {"format": "iss_sub", "iss": api.issuer.issuer_url("alpha"), "sub": "alice"}
    aliases = [subject, {"format": "phone_number", "phone_number": "+1"}]
    assert api.tell({"format": "aliases", "identifiers": aliases}).status == 202
    assert api.ended(token)


def test_a_session_of_a_user_by_email_ends_tokens_that_name_no_session(api: API) -> None:
    token = api.token("u-1", claims={"email": "alice@example.org"})
    other = api.token("u-1", claims={"email": "alice@example.org", "sid": "s-2"})
    assert api.tell({"format": "complex", "user": EMAIL, "session": {"format": "opaque", "id": "s-1"}}).status == 202
    assert api.ended(token)
    assert not api.ended(other)


def test_a_realm_cannot_fill_the_list_for_the_others(any_realm: API, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where any realm is let in, its owner may be anybody."""
    monkeypatch.setattr("strongdm_auth.revocation.MOST_REVOCATIONS", 320)
    monkeypatch.setattr("strongdm_auth.receiving._SHARE", 100)
    for batch in range(40):
        aliases = [{"format": "opaque", "id": f"{batch}-{number}"} for number in range(16)]
        any_realm.tell({"format": "aliases", "identifiers": aliases}, realm="beta")
    token = any_realm.token("alice")
    assert any_realm.tell("alice").status == 202
    assert any_realm.ended(token)


def test_a_share_is_counted_though_nobody_could_be_told(any_realm: API, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a store that is away was to be told is on this worker's list all the same."""
    monkeypatch.setattr("strongdm_auth.receiving._SHARE", 40)
    revocations = any_realm.verifier._server.revocations
    monkeypatch.setattr(revocations, "shared", True)  # and no store that could be told
    for batch in range(10):
        aliases = [{"format": "opaque", "id": f"{batch}-{number}"} for number in range(16)]
        assert any_realm.tell({"format": "aliases", "identifiers": aliases}, realm="beta").status == 503
    assert len(revocations) == 32


def test_who_is_ended_again_costs_a_realm_nothing(any_realm: API, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongdm_auth.receiving._SHARE", 1)
    assert [any_realm.tell("alice").status for _ in range(5)] == [202] * 5
    assert any_realm.tell("bob").status == 503


def test_realms_leave_room_for_the_base_issuer(any_realm: API, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many workers each of them has a share of: what the base issuer ends has a place on the list."""
    monkeypatch.setattr("strongdm_auth.receiving._OF_REALMS", 2)
    assert [any_realm.tell(name).status for name in ("alice", "bob", "carol")] == [202, 202, 503]
    assert any_realm.tell("dave", realm=None).status == 202


def test_a_set_by_a_new_key_comes_again_while_a_stranger_keeps_the_keys_from_being_looked_at(api: API) -> None:
    """A 400 would be the last word, and the event lost: any token with an invented `kid` begins the cooldown."""
    token = api.token("alice")
    assert not api.ended(token)
    assert api.reason(api.token("mallory", header={"kid": "nobody's"})) == "token.key_unknown"
    api.clock.advance(1)
    api.issuer.rotate("alpha", keep_old=True)
    event = api.event("alice")
    answer = api.receive(event)
    assert (answer.status, dict(answer.headers)["Retry-After"]) == (503, "30")
    api.clock.advance(31)
    assert api.receive(event).status == 202
    assert api.ended(token)


def test_realms_that_are_named_have_no_share(api: API, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongdm_auth.receiving._SHARE", 1)
    assert [api.tell(name).status for name in ("alice", "bob", "carol")] == [202] * 3


def test_all_of_an_app_hear_though_the_app_has_read_the_body() -> None:
    with Issuer(realms=("alpha",), algorithms=["EdDSA"]).serve() as issuer:
        app = Flask("two")
        for name in ("A", "B"):
            auth = StrongDMAuth(app, issuer=issuer.url, realms="alpha", audience=name, security_events="/ev")
            app.add_url_rule(f"/{name}", name, auth.require_auth(lambda: "reached"))
        app.before_request(lambda: (request.get_data(), None)[1])
        client = app.test_client()
        token = issuer.token("alice", realm="alpha", audience=["A", "B"], claims={"iat": int(time.time()) - 20})
        event = issuer.security_event(subject="alice", realm="alpha", audience=["A", "B"])
        assert client.post("/ev", data=event, content_type=MEDIA_TYPE).status_code == 202
        bearer = {"Authorization": f"Bearer {token}"}
        assert [client.get(f"/{name}", headers=bearer).status_code for name in "AB"] == [401, 401]


def test_a_length_of_thousands_of_digits_is_no_error_of_ours(api: API) -> None:
    environ = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "9" * 5000, "wsgi.input": io.BytesIO(b"x")}
    assert received(api.verifier, environ).status == 400  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore::strongdm_auth.SecurityWarning")  # that of proofs, which it stands beside
@pytest.mark.parametrize("store", ["memory://", "django-cache://default"])
def test_several_workers_without_a_store_that_tells_them_are_warned_of(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    with pytest.warns(SecurityWarning, match="only the one that is told"):
        Settings(audience="a", realms="a", security_events="/events", replay_store=store)


@pytest.mark.parametrize(("convention", "prefix", "own"), [("envoy", "", False), ("envoy", "/check", True)])
def test_a_gate_takes_no_path_of_the_client_s_for_its_own(convention: str, prefix: str, own: bool) -> None:
    """Envoy asks with the client's own method and path: a POST there is the client's, and for the API behind."""
    gate = ForwardAuth(
        convention,  # type: ignore[arg-type]
        realms="*",
        audience="api",
        public_url="https://api.example.com",
        security_events="/events",
        path_prefix=prefix,
    )
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/events",
        "RAW_URI": f"{prefix}/events",
        "wsgi.input": io.BytesIO(),
    }
    statuses: list[str] = []
    gate(environ, lambda status, _: statuses.append(status))  # type: ignore[arg-type,func-returns-value]
    assert statuses[0].split()[0] == ("405" if own else "401")


@pytest.mark.parametrize(
    "wrong",
    [
        {"trust_domains": "a.example=https://x.example/b,a.example"},
        {"client_certificate": "header:Authorization", "trusted_proxies": "10.0.0.1"},
        {"client_certificate": "header:Host", "trusted_proxies": "10.0.0.1"},
        {"client_certificate": "header:X-Client-Cert", "trusted_proxies": "::ffff:10.0.0.0/104"},
        {"security_events": "/events/*"},
    ],
    ids=str,
)
def test_what_could_never_be_meant_is_found_at_start_up(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        Settings(audience="a", realms="a", **wrong)  # type: ignore[arg-type]


def test_to_trust_every_address_is_warned_of() -> None:
    with pytest.warns(SecurityWarning, match="names every address"):
        Settings(audience="a", realms="a", client_certificate="header:X-Client-Cert", trusted_proxies="0.0.0.0/0")


def test_a_workload_can_be_ended_too() -> None:
    with Issuer(algorithms=["EdDSA"]).serve() as issuer:
        verifier = Verifier(issuer=issuer.url, realms="*", audience="api", trust_domains=issuer.trust_domain)
        svid = issuer.jwt_svid("cli_x", audience="api")
        asked = Request("GET", "https://api.example.com/", {"Authorization": f"Bearer {svid}"})
        wanted = Requirement(spiffe_ids=f"spiffe://{issuer.trust_domain}/workload/*")
        token = verifier.authorize(asked, wanted)
        assert token is not None
        event = issuer.security_event("account-disabled", {"format": "uri", "uri": token.subject}, audience="api")
        assert verifier.receive(MEDIA_TYPE, event.encode()).status == 202
        with pytest.raises(Refused, match="revoked"):
            verifier.authorize(asked, wanted)
