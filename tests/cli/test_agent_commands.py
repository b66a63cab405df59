"""`register`, `confirm`, `token`, `svid`: the agent's way in, and where its secrets end up."""

import json
import stat
from pathlib import Path

import pytest

from strongdm_auth.testing import Client, Issuer, Notice

from .conftest import Outcome, Shell

CONFIG = Path(".config") / "strongdmid"


def register(shell: Shell, issuer: Issuer, *more: str, name: str = "my agent") -> Outcome:
    return shell(
        "register", "--email", "ann@example.com", "--name", name, "--scope", "openid", "--issuer", issuer.url, *more
    )


def modes(folder: Path) -> set[str]:
    return {
        f"{'folder' if path.is_dir() else 'file'} {stat.S_IMODE(path.stat().st_mode):o}" for path in folder.rglob("*")
    }


@pytest.fixture
def registered(issuer: Issuer, shell: Shell, home: Path, notices: list[Notice]) -> str:
    """The id of a client that was registered by these commands."""
    assert register(shell, issuer).status == 0
    return str(shell("confirm", "--json", stdin=notices[-1].secret).json["client_id"])


def test_from_registration_to_a_token(issuer: Issuer, shell: Shell, home: Path, notices: list[Notice]) -> None:
    asked = register(shell, issuer)
    assert asked.status == 0
    assert "strongdm-auth confirm" in asked.out
    confirmed = shell("confirm", stdin=f"{notices[-1].secret}\n")
    assert confirmed.status == 0
    folder = next((home / CONFIG).glob("cli_*"))
    kept = json.loads((folder / "client.json").read_text())
    assert set(kept) == {"client_id", "client_secret", "token_endpoint", "issuer"}
    assert modes(home / CONFIG) == {"folder 700", "file 600"}
    assert list((home / CONFIG / "pending").iterdir()) == []
    given = shell("token")
    assert given.status == 0
    assert "Bearer" in given.out
    for outcome in (asked, confirmed, given):
        assert kept["client_secret"] not in outcome.all
        assert notices[-1].secret not in outcome.all


def test_the_poll_token_is_kept_where_only_its_owner_reads_it(issuer: Issuer, shell: Shell, home: Path) -> None:
    outcome = register(shell, issuer, "--json")
    file = Path(outcome.json["file"])
    poll_token = json.loads(file.read_text())["poll_token"]
    assert modes(home / CONFIG) == {"folder 700", "file 600"}
    assert poll_token not in outcome.all


def test_a_registration_that_others_can_read_is_not_used(
    issuer: Issuer, shell: Shell, home: Path, notices: list[Notice]
) -> None:
    file = Path(register(shell, issuer, "--json").json["file"])
    file.chmod(0o640)
    outcome = shell("confirm", stdin=notices[-1].secret)
    assert outcome.status == 2
    assert "chmod 600" in outcome.err


def test_a_wrong_code_is_a_no_and_may_be_corrected(
    issuer: Issuer, shell: Shell, home: Path, notices: list[Notice]
) -> None:
    register(shell, issuer)
    wrong = shell("confirm", stdin="AAAA-BBBB")
    assert wrong.status == 1
    assert "access_denied" in wrong.err
    assert shell("confirm", stdin=notices[-1].secret).status == 0


def test_several_registrations_are_told_apart(issuer: Issuer, shell: Shell, home: Path, notices: list[Notice]) -> None:
    first = register(shell, issuer, "--json", name="one").json["enrollment_id"]
    code = notices[-1].secret
    register(shell, issuer, name="two")
    assert shell("confirm", stdin=code).status == 2
    assert shell("confirm", first, stdin=code).status == 0
    assert shell("confirm", first, stdin=code).status == 2


def test_an_agent_brings_its_enrollment_token(issuer: Issuer, shell: Shell, home: Path, notices: list[Notice]) -> None:
    assert "an enrollment token" in register(shell, issuer, "--agent").out
    outcome = shell("confirm", "--json", stdin=notices[-1].secret)
    assert outcome.status == 0
    assert outcome.json["client_id"].startswith("cli_my_agent_")


@pytest.mark.parametrize("enrollment_id", ["../../../tmp/x", "a/b", "..", "", "x\x1b[2J", "pending\n"])
def test_an_enrollment_id_leads_nowhere_else(enrollment_id: str, issuer: Issuer, shell: Shell, home: Path) -> None:
    body = {"enrollment_id": enrollment_id, "poll_token": "hunter2", "status": "pending"}
    issuer.answer("/register/request", body=json.dumps(body).encode())
    outcome = register(shell, issuer)
    assert outcome.status in (1, 2)
    assert "hunter2" not in outcome.all
    assert [path for path in home.rglob("*") if path.is_file()] == []
    assert "\x1b" not in outcome.all


def test_escape_sequences_in_the_issuer_s_answers_do_not_reach_the_terminal(
    issuer: Issuer, shell: Shell, home: Path
) -> None:
    evil = "\x1b]0;owned\x07\u202e"
    body = {"enrollment_id": "enroll_1", "poll_token": "x", "approval_url": evil, "expires_at": evil, "realm": evil}
    issuer.answer("/register/request", body=json.dumps(body).encode())
    for more in ([], ["--json"]):
        outcome = register(shell, issuer, *more)
        assert outcome.status == 0
        assert all(character.isprintable() or character == "\n" for character in outcome.all)
    refusal = {"error": evil, "error_description": evil}
    issuer.answer("/register/request", 403, body=json.dumps(refusal).encode())
    outcome = register(shell, issuer)
    assert outcome.status == 1
    assert all(character.isprintable() or character == "\n" for character in outcome.all)


def test_a_secret_whose_folder_cannot_be_made_is_not_lost(
    issuer: Issuer, shell: Shell, home: Path, notices: list[Notice], monkeypatch: pytest.MonkeyPatch
) -> None:
    enrollment_id = register(shell, issuer, "--json").json["enrollment_id"]
    answer = {"client_id": "cli_taken", "client_secret": "hunter2", "issuer": issuer.issuer_url("default")}
    issuer.answer("/register/confirm", body=json.dumps(answer).encode())
    (home / CONFIG / "cli_taken").mkdir(mode=0o755)
    (home / CONFIG / "cli_taken").chmod(0o755)
    outcome = shell("confirm", stdin=notices[-1].secret)
    assert outcome.status == 1
    beside = home / CONFIG / "pending" / enrollment_id / "cli_taken" / "client.json"
    assert json.loads(beside.read_text())["client_secret"] == "hunter2"
    assert str(beside) in outcome.err
    assert "hunter2" not in outcome.all
    assert (
        shell("token", "--credentials-file", str(beside)).status == 1
    )  # it works as credentials; the issuer knows none


def test_a_token_goes_where_it_was_asked_to_go_and_nowhere_else(registered: str, shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "token"
    told = shell("token", "--output", str(file))
    token = file.read_text().strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert token.count(".") == 2
    assert token not in told.all
    assert token.split(".")[2] not in told.all
    assert "access_token" not in shell("token", "--json").json
    bare = shell("token", "--output", "-")
    assert bare.out.count("\n") == 1
    assert bare.out.count(".") == 2
    assert shell("token", "--output", "-", "--json").json["access_token"].count(".") == 2


def test_a_bound_token_is_bound_to_the_key_that_is_kept(registered: str, shell: Shell, home: Path) -> None:
    bound = [shell("token", "--dpop", "--output", "-") for _ in range(2)]
    thumbprints = {shell("inspect", "--json", stdin=one.out).json["key_thumbprint"] for one in bound}
    assert len(thumbprints) == 1
    key = home / CONFIG / registered / "dpop-key.json"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    told = shell("token", "--dpop")
    assert thumbprints.pop() in told.out
    assert json.loads(key.read_text())["d"] not in told.all


def test_scopes_and_audiences_are_asked_for(issuer: Issuer, shell: Shell, credentials: Client) -> None:
    out = shell(
        "token", "--scope", "read", "--audience", "https://a.example", "--resource", "urn:b", "--output", "-"
    ).out
    claims = shell("inspect", "--json", stdin=out).json["claims"]
    assert claims["scope"] == "read"
    assert claims["aud"] == ["https://a.example", "urn:b"]


@pytest.fixture
def credentials(issuer: Issuer, home: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client in the environment."""
    client = issuer.client("agent", scopes="openid read", realm="alpha")
    monkeypatch.setenv("STRONGDM_CLIENT_ID", client.client_id)
    monkeypatch.setenv("STRONGDM_CLIENT_SECRET", client.client_secret)
    monkeypatch.setenv("STRONGDM_ISSUER", issuer.issuer_url("alpha"))
    return client


def test_credentials_from_the_environment(credentials: Client, shell: Shell, tmp_path: Path) -> None:
    assert credentials.client_id in shell("token").out
    without = shell("token", "--dpop")
    assert without.status == 2
    assert "dpop keygen" in without.err
    key = str(tmp_path / "key")
    thumbprint = shell("dpop", "keygen", key, "--json").json["thumbprint"]
    assert shell("token", "--dpop", "--key-file", key, "--json").json["key_thumbprint"] == thumbprint


def test_a_kept_secret_goes_to_its_own_issuer_whatever_else_is_set(
    registered: str, issuer: Issuer, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRONGDM_ISSUER", "http://127.0.0.1:1")
    assert shell("token", "--json").json["issuer"] == issuer.issuer_url("default")
    monkeypatch.setenv("STRONGDM_CLIENT_ID", registered)  # without a secret: the kept one, and where it belongs
    assert shell("token", "--json").json["issuer"] == issuer.issuer_url("default")
    refused = shell("token", "--issuer", "http://127.0.0.1:1", "--client", registered)
    assert refused.status == 2
    assert "leave --issuer out" in refused.err


def test_several_clients_are_told_apart(registered: str, shell: Shell, issuer: Issuer, notices: list[Notice]) -> None:
    register(shell, issuer, name="second")
    second = shell("confirm", "--json", stdin=notices[-1].secret).json["client_id"]
    unnamed = shell("token")
    assert unnamed.status == 2
    assert registered in unnamed.err
    assert shell("token", "--client", second, "--json").json["client_id"] == second


def test_a_client_that_others_can_read_is_not_used(registered: str, shell: Shell, home: Path) -> None:
    (home / CONFIG / registered / "client.json").chmod(0o644)
    outcome = shell("token")
    assert outcome.status == 2
    assert "chmod 600" in outcome.err


def test_an_svid(registered: str, shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "svid"
    for more in ([], ["--bearer"]):
        outcome = shell("svid", "--for", "billing", *more, "--output", str(file))
        assert outcome.status == 0
        svid = file.read_text().strip()
        assert f"/workload/{registered}" in outcome.out
        assert svid not in outcome.all
        assert shell("inspect", "--json", stdin=svid).json["kind"] == "JWT-SVID"
    assert "svid" not in shell("svid", "--for", "billing", "--json").json
    assert shell("svid", "--for", "billing", "--output", "-").out.count(".") >= 2


def test_a_refusal_is_1_and_nobody_there_is_2(
    credentials: Client, issuer: Issuer, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = shell("token", "--scope", "nuclear")
    assert (refused.status, refused.out) == (1, "")
    assert "invalid_scope" in refused.err
    monkeypatch.setenv("STRONGDM_CLIENT_SECRET", "hunter2-wrong")
    assert shell("token").status == 1
    assert "hunter2" not in shell("token").all
    monkeypatch.setenv("STRONGDM_ISSUER", "http://127.0.0.1:1")
    assert shell("token", "--patience", "0").status == 2
    monkeypatch.setenv("STRONGDM_ISSUER", "http://id.example.com")
    insecure = shell("token", "--patience", "0")
    assert insecure.status == 2
    assert "https" in insecure.err


@pytest.mark.parametrize(
    "argv",
    [
        ["token"],
        ["token", "--client", "nobody"],
        ["token", "--client", "../x"],
        ["token", "--credentials-file", "/no/such/file"],
        ["token", "--client", "a", "--credentials-file", "b"],
        ["confirm"],
        ["confirm", "enroll_1"],
        ["register", "--name", "x"],
        ["svid"],
    ],
)
def test_a_wrong_call_is_status_2(argv: list[str], shell: Shell, home: Path) -> None:
    assert shell(*argv, stdin="ABCD-EFGH").status == 2
