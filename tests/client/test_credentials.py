"""Where credentials are kept: the layout of StrongDM ID's instructions, and nobody else's eyes."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from strongdm_auth.client import Credentials, UnsafeFile
from strongdm_auth.client.private_files import make_private_folder

MINE = Credentials(
    client_id="cli_my_agent_0123",
    client_secret="sec_very-secret",
    issuer="https://id.strongdm.ai/realms/default",
    token_endpoint="https://id.strongdm.ai/realms/default/token",
)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / ".config" / "strongdmid" / MINE.client_id / "client.json"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_they_are_kept_as_the_service_s_instructions_have_it(place: Path) -> None:
    umask = os.umask(0)
    try:
        assert MINE.save() == place
    finally:
        os.umask(umask)
    assert (mode(place), mode(place.parent), mode(place.parent.parent)) == (0o600, 0o700, 0o700)
    assert json.loads(place.read_bytes()) == {
        "client_id": MINE.client_id,
        "client_secret": MINE.client_secret,
        "token_endpoint": MINE.token_endpoint,
        "issuer": MINE.issuer,
    }
    assert Credentials.load(MINE.client_id) == MINE
    assert [path.name for path in place.parent.iterdir()] == ["client.json"]


def test_a_file_that_the_instructions_shell_commands_made_is_read(place: Path) -> None:
    place.parent.mkdir(parents=True)
    place.parent.chmod(0o700)
    place.write_text(
        '{"client_id": "cli_my_agent_0123", "client_secret": "s3cret", "issuer": "https://id.example.com"}'
    )
    place.chmod(0o600)
    assert Credentials.load(MINE.client_id).client_secret == "s3cret"
    assert Credentials.load_file(place).token_endpoint is None


def test_another_folder_will_do(tmp_path: Path) -> None:
    MINE.save(folder=tmp_path / "x" / "y")
    assert Credentials.load(MINE.client_id, folder=tmp_path / "x" / "y") == MINE


def test_saving_again_replaces_them(place: Path) -> None:
    MINE.save()
    place.chmod(0o644)
    MINE.save()
    assert mode(place) == 0o600


@pytest.mark.parametrize("wrong", [0o640, 0o604, 0o620, 0o602])
def test_a_file_that_others_can_reach_is_refused(wrong: int, place: Path) -> None:
    MINE.save()
    place.chmod(wrong)
    with pytest.raises(UnsafeFile, match="chmod 600"):
        Credentials.load(MINE.client_id)
    with pytest.raises(UnsafeFile, match="chmod 600"):
        Credentials.load_file(place)


@pytest.mark.parametrize("wrong", [0o750, 0o705, 0o711, 0o770, 0o777])
def test_a_folder_that_others_can_reach_is_refused_for_reading_and_for_writing(wrong: int, place: Path) -> None:
    MINE.save()
    place.parent.chmod(wrong)
    with pytest.raises(UnsafeFile, match="chmod 700"):
        Credentials.load(MINE.client_id)
    with pytest.raises(UnsafeFile, match="chmod 700"):
        MINE.save()


def test_a_file_that_is_a_link_to_elsewhere_is_refused(place: Path, tmp_path: Path) -> None:
    MINE.save()
    elsewhere = tmp_path / "elsewhere.json"
    place.rename(elsewhere)
    place.symlink_to(elsewhere)
    with pytest.raises(UnsafeFile, match="symbolic link"):
        Credentials.load(MINE.client_id)
    with pytest.raises(UnsafeFile, match="symbolic link"):
        Credentials.load_file(place)


def test_a_folder_that_is_a_link_to_elsewhere_is_refused(place: Path, tmp_path: Path) -> None:
    MINE.save()
    place.parent.rename(tmp_path / "elsewhere")
    place.parent.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeFile, match="symbolic link"):
        Credentials.load(MINE.client_id)
    with pytest.raises(UnsafeFile, match="symbolic link"):
        MINE.save()
    place.parent.unlink()
    place.parent.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UnsafeFile, match="symbolic link"):
        MINE.save()


def test_another_user_s_folder_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    MINE.save()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(UnsafeFile, match="another user"):
        Credentials.load(MINE.client_id)


@pytest.mark.parametrize(
    "client_id", ["", ".", "..", "../x", "a/b", "/etc", "a\\b", "a\0b", ".hidden", "a\n", "é", "x" * 201, "~", "-rf"]
)
def test_an_id_that_leads_elsewhere_is_refused(client_id: str, tmp_path: Path) -> None:
    named = Credentials(client_id=client_id, client_secret="s", issuer="https://x")
    with pytest.raises(ValueError, match="client_id"):
        named.save()
    with pytest.raises(ValueError, match="client_id"):
        Credentials.load(client_id)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"client_id": "a", "client_secret": "very-secret"}', b"\xff", b'{"client_secret": "very-secret", }'],
)
def test_what_are_no_credentials_is_told_without_repeating_them(content: bytes, place: Path) -> None:
    MINE.save()
    place.write_bytes(content)
    with pytest.raises(UnsafeFile) as refusal:
        Credentials.load(MINE.client_id)
    assert "very-secret" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_what_is_not_there_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        Credentials.load("cli_nobody")


def test_members_that_are_of_no_use_do_no_harm() -> None:
    answer: dict[str, Any] = {"client_id": "a", "client_secret": "s", "issuer": "https://x"}
    read = Credentials.read({**answer, "token_endpoint": 5, "realm": [], "granted_scopes": ["a", 5, None], "more": 1})
    assert (read.token_endpoint, read.realm, read.scopes) == (None, None, ("a",))
    assert Credentials.read({**answer, "granted_scopes": "a b"}).scopes == ()


def test_a_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        make_private_folder(tmp_path / "a" / "b")
    finally:
        os.umask(umask)
    assert mode(tmp_path / "a" / "b") == 0o700
