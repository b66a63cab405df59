"""`DPoPKey`: the proofs it makes are those the verifier takes, and its file is its owner's alone."""

import json
import os
import stat
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from strongdm_auth import InvalidDPoPProof, Settings
from strongdm_auth.client import DPoPKey, UnsafeFile
from strongdm_auth.client.keys import ALGORITHMS
from strongdm_auth.dpop import ProofRules
from strongdm_auth.jose import encode_segment
from tests.client.conftest import NOW, parts

URL = "https://api.example.com/things"
RULES = ProofRules(Settings.load({"realms": "*", "audience": "x"}, environ={}))


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_the_verifier_takes_its_proofs_and_knows_the_key(alg: str) -> None:
    key = DPoPKey.generate(alg)
    proof = key.proof("POST", URL, access_token="t", now=NOW)
    checked = RULES.check((proof,), method="POST", uri=URL, now=NOW, thumbprint=key.thumbprint)
    assert checked.thumbprint == key.thumbprint
    header, claims = parts(proof)
    assert header["alg"] == alg
    assert header["jwk"] == key.public_jwk
    assert not {"d", "p", "q", "dp", "dq", "qi", "alg", "use", "kid"} & header["jwk"].keys()
    assert claims["ath"]


def test_a_proof_is_for_one_request_only() -> None:
    key = DPoPKey.generate()
    proofs = [key.proof("GET", URL, now=NOW) for _ in range(2)]
    assert len({parts(proof)[1]["jti"] for proof in proofs}) == 2
    with pytest.raises(InvalidDPoPProof):
        RULES.check((proofs[0],), method="POST", uri=URL, now=NOW)


def test_htu_has_neither_query_nor_fragment_and_the_nonce_is_there_when_given() -> None:
    key = DPoPKey.generate()
    claims = parts(key.proof("GET", f"{URL}?secret=1#part?x", nonce="n", now=NOW + 0.9))[1]
    assert (claims["htu"], claims["nonce"], claims["iat"]) == (URL, "n", int(NOW))
    assert "ath" not in claims
    assert "nonce" not in parts(key.proof("GET", URL))[1]


def test_the_key_in_a_proof_has_the_required_members_only() -> None:
    made = DPoPKey.generate().private_key.as_dict(private=True)
    key = DPoPKey("ES256", ECKey.import_key({**made, "kid": "mine", "use": "sig"}))  # type: ignore[arg-type]
    assert key.public_jwk.keys() == {"kty", "crv", "x", "y"}


def test_its_repr_is_its_thumbprint_and_nothing_secret() -> None:
    key = DPoPKey.generate()
    secret = str(key.private_key.as_dict(private=True)["d"])
    assert key.thumbprint in repr(key)
    assert secret not in repr(key)
    assert secret not in str(key)


def test_an_algorithm_that_makes_no_proofs_is_refused() -> None:
    with pytest.raises(ValueError, match="HS256"):
        DPoPKey.generate("HS256")


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_key_comes_back_from_its_file(alg: str, tmp_path: Path) -> None:
    key = DPoPKey.generate(alg)
    key.save(tmp_path / "key.json")
    again = DPoPKey.load(tmp_path / "key.json")
    assert (again.alg, again.thumbprint) == (alg, key.thumbprint)


def test_the_file_is_never_open_to_others_whatever_the_umask(tmp_path: Path) -> None:
    place = tmp_path / "key.json"
    umask = os.umask(0)
    try:
        DPoPKey.generate().save(place)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key.json"]


def test_saving_over_a_file_that_others_can_read_makes_a_new_one(tmp_path: Path) -> None:
    place = tmp_path / "key.json"
    place.write_text("{}")
    place.chmod(0o644)
    with place.open("rb") as held_open_by_another:
        DPoPKey.generate().save(place)
        assert held_open_by_another.read() == b"{}"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600


def test_saving_over_a_link_leaves_what_it_points_at_alone(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    (tmp_path / "key.json").symlink_to(elsewhere)
    DPoPKey.generate().save(tmp_path / "key.json")
    assert elsewhere.read_text() == "mine"
    assert not (tmp_path / "key.json").is_symlink()


def test_a_write_that_fails_leaves_the_old_key_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "key.json"
    key = DPoPKey.generate()
    key.save(place)

    def fail(descriptor: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="full"):
        DPoPKey.generate().save(place)
    assert [path.name for path in tmp_path.iterdir()] == ["key.json"]
    assert DPoPKey.load(place).thumbprint == key.thumbprint


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666])
def test_a_key_that_others_can_reach_is_refused(mode: int, tmp_path: Path) -> None:
    place = tmp_path / "key.json"
    DPoPKey.generate().save(place)
    place.chmod(mode)
    with pytest.raises(UnsafeFile, match="chmod 600"):
        DPoPKey.load(place)


def test_a_link_to_a_key_is_refused(tmp_path: Path) -> None:
    DPoPKey.generate().save(tmp_path / "key.json")
    (tmp_path / "link").symlink_to(tmp_path / "key.json")
    with pytest.raises(UnsafeFile, match="symbolic link"):
        DPoPKey.load(tmp_path / "link")


def test_a_link_that_is_put_there_meanwhile_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    DPoPKey.generate().save(tmp_path / "key.json")
    (tmp_path / "link").symlink_to(tmp_path / "key.json")
    monkeypatch.setattr(Path, "is_symlink", lambda path: False)  # it was none when we looked
    with pytest.raises(OSError, match="symbolic links"):
        DPoPKey.load(tmp_path / "link")


def test_another_user_s_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    DPoPKey.generate().save(tmp_path / "key.json")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(UnsafeFile, match="another user"):
        DPoPKey.load(tmp_path / "key.json")


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(UnsafeFile, match="regular file"):
        DPoPKey.load(tmp_path / "pipe")
    with pytest.raises(FileNotFoundError):
        DPoPKey.load(tmp_path / "missing")


def _jwk(alg: str = "ES256") -> dict[str, object]:
    return {**DPoPKey.generate(alg).private_key.as_dict(private=True), "alg": alg}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not JSON",
        b"[]",
        b"{}",
        json.dumps({**_jwk(), "alg": "HS256"}).encode(),
        json.dumps({**_jwk(), "alg": "EdDSA"}).encode(),
        json.dumps({**_jwk(), "alg": None}).encode(),
        json.dumps({**_jwk(), "alg": ["ES256"]}).encode(),
        json.dumps({**_jwk("ES384"), "alg": "ES256"}).encode(),
        json.dumps({**_jwk(), "d": 5}).encode(),
        json.dumps({**_jwk(), "x": encode_segment(b"\1" * 32)}).encode(),
        json.dumps({name: value for name, value in _jwk().items() if name != "d"}).encode(),
        json.dumps({"kty": "oct", "k": "c2VjcmV0", "alg": "ES256"}).encode(),
        b" " * 70_000,
    ],
)
def test_what_is_no_private_key_is_refused_in_words_without_it(content: bytes, tmp_path: Path) -> None:
    place = tmp_path / "key.json"
    place.write_bytes(content)
    place.chmod(0o600)
    with pytest.raises(UnsafeFile) as refusal:
        DPoPKey.load(place)
    assert refusal.value.__cause__ is None
    assert '"d"' not in str(refusal.value)
