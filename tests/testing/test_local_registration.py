"""Registration with a verification code, and the enrollment of agents."""

import re

import pytest

from strongdm_auth.testing import Issuer, enrollment

WHO = {"email": "you@example.com", "client_name": "my-agent", "requested_scopes": ["openid"]}


def begin(caller, path="/register/request", **changes):
    return caller.post_json(path, {**WHO, **changes})


def finish(caller, started, path="/register/confirm", **changes):
    body = {
        "enrollment_id": started.json["enrollment_id"],
        "poll_token": started.json["poll_token"],
        "verification_code": caller.notices[-1].secret,
    }
    return caller.post_json(path, {**body, **changes})


@pytest.mark.parametrize(("prefix", "realm"), [("", "default"), ("/realms/acme", "acme")])
def test_a_client_registers_with_the_code_its_sponsor_reads(caller, prefix, realm):
    started = begin(caller, f"{prefix}/register/request", client_description="what it does")
    assert started.status == 200
    root = f"https://id.strongdm.test/realms/{realm}"
    enrollment_id = started.json["enrollment_id"]
    assert re.fullmatch(r"enroll_[0-9a-f-]{36}", enrollment_id)
    assert started.json["poll_token"].startswith("pt_")
    assert started.json["status_url"] == f"{root}/register/status/{enrollment_id}"
    assert started.json["approval_url"] == f"{root}/register/approve?enrollment={enrollment_id}"
    assert started.json["expires_at"] == "2027-01-15T09:00:00Z"
    assert (started.json["email_sent"], started.json["realm"]) == (False, realm)
    assert started.json["token_endpoint"] == f"{root}/token"

    [notice] = caller.notices
    assert re.fullmatch(r"[A-Z2-9]{4}-[A-Z2-9]{4}", notice.secret)
    assert notice.secret not in started.body.decode()
    assert notice.secret in str(notice)

    confirmed = finish(caller, started, f"{prefix}/register/confirm")
    assert confirmed.status == 200
    assert re.fullmatch(r"cli_my_agent_[0-9a-f]+", confirmed.json["client_id"])
    assert confirmed.json["client_secret"].startswith("sec_")
    assert confirmed.json["granted_scopes"] == ["openid"]
    assert (confirmed.json["issuer"], confirmed.json["realm"]) == (root, realm)

    form = {name: confirmed.json[name] for name in ("client_id", "client_secret")}
    assert caller.post_form("/token", None, grant_type="client_credentials", **form).status == 200


def test_the_status_moves_from_pending_to_confirmed(caller):
    started = begin(caller)
    path = f"/realms/default/register/status/{started.json['enrollment_id']}"
    assert caller.get(path).json["status"] == "pending"
    finish(caller, started)
    assert caller.get(path).json["status"] == "confirmed"
    assert caller.get(path.replace("default", "acme")).status == 404
    assert caller.get("/register/status/enroll_unknown").status == 404
    assert "printed" in caller.get("/register/approve?enrollment=x").body.decode()


def test_a_code_is_read_without_regard_to_case(caller):
    started = begin(caller)
    assert finish(caller, started, verification_code=f" {caller.notices[-1].secret.lower()} ").status == 200


def test_a_wrong_code_is_refused_and_guessing_ends(caller):
    started = begin(caller)
    for _ in range(5):
        answer = finish(caller, started, verification_code="AAAA-AAAA")
        assert (answer.status, answer.json["error"]) == (403, "access_denied")
    assert finish(caller, started).status == 410
    assert caller.get(f"/register/status/{started.json['enrollment_id']}").json["status"] == "locked"


def test_a_used_and_an_expired_enrollment_are_gone(caller, clock):
    used, late = begin(caller), begin(caller)
    assert finish(caller, late, "/realms/acme/register/confirm").status == 404
    code = caller.notices[0].secret
    assert finish(caller, used, verification_code=code).status == 200
    assert finish(caller, used, verification_code=code).status == 410
    clock.advance(3600)
    answer = finish(caller, late)
    assert (answer.status, answer.json["error"]) == (410, "gone")


def test_unknown_enrollments_and_wrong_poll_tokens_are_told_apart(caller):
    started = begin(caller)
    assert finish(caller, started, enrollment_id="enroll_unknown").status == 404
    answer = finish(caller, started, poll_token="pt_wrong")
    assert (answer.status, answer.json["error"]) == (401, "unauthorized")


@pytest.mark.parametrize(
    "changes",
    [
        {"email": "nobody"},
        {"email": None},
        {"client_name": ""},
        {"client_name": "x" * 201},
        {"client_name": "\x1b[2Jagent"},
        {"requested_scopes": "openid"},
        {"requested_scopes": [1]},
    ],
)
def test_a_malformed_request_is_invalid_and_notifies_nobody(caller, changes):
    answer = begin(caller, **changes)
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")
    assert not caller.notices


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_object_is_invalid(caller, body):
    assert caller.send("POST", "/register/request", {}, body).status == 400


def test_only_scopes_on_offer_can_be_asked_for(caller):
    answer = begin(caller, requested_scopes=["openid", "root"])
    assert (answer.status, answer.json["error"]) == (403, "access_denied")


def test_an_agent_is_enrolled_and_activated_once(caller, clock):
    body = {"email": "a@acme.com", "agent_name": "bot", "requested_scopes": ["email"], "realm": "acme"}
    started = caller.post_json("/register/agent", body)
    assert started.status == 200
    assert "poll_token" not in started.json
    [notice] = caller.notices
    assert notice.kind == "enrollment_token"
    assert notice.secret.startswith("pt_")
    assert notice.secret not in started.body.decode()

    token = {"enrollment_token": notice.secret}
    assert caller.post_json("/realms/default/register/agent/activate", token).status == 404
    activated = caller.post_json("/register/agent/activate", token)
    assert activated.status == 200
    assert (activated.json["realm"], activated.json["granted_scopes"]) == ("acme", ["email"])
    assert activated.json["client_id"].startswith("cli_bot_")
    assert caller.post_json("/register/agent/activate", token).status == 410
    assert caller.post_json("/register/agent/activate", {"enrollment_token": "pt_x"}).status == 404
    assert caller.post_json("/register/agent/activate", {}).status == 400
    assert caller.post_json("/register/agent", {**body, "realm": "nowhere"}).status == 404
    assert caller.post_json("/register/agent", {**body, "realm": None}).json["realm"] == "default"


def test_a_verification_code_does_not_activate_and_an_enrollment_token_does_not_confirm(caller):
    started = begin(caller)
    caller.post_json("/register/agent", {"email": "a@b.c", "agent_name": "bot"})
    agent = caller.notices[-1]
    assert finish(caller, started, enrollment_id=agent.enrollment_id).status == 404
    assert caller.post_json("/register/agent/activate", {"enrollment_token": caller.notices[0].secret}).status == 404


def test_open_enrollments_have_a_bound_and_old_ones_make_room(caller, clock, monkeypatch):
    monkeypatch.setattr(enrollment, "_MAX_OPEN", 2)
    assert [begin(caller).status for _ in range(3)] == [200, 200, 429]
    assert begin(caller).headers["Retry-After"] == "60"
    clock.advance(3600)
    assert begin(caller).status == 200


def test_codes_are_printed_unless_somebody_listens(capsys, caller):
    quiet = type(caller)(Issuer(algorithms=("ES256",)))
    begin(quiet)
    assert re.search(r"verification code for my-agent \(you@example.com, .*\): \w{4}-\w{4}\n", capsys.readouterr().out)
