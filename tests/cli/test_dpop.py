"""`dpop keygen|proof|verify`."""

import json
import stat
from pathlib import Path

import pytest

from strongdm_auth.testing import DPoPKey, Issuer

from .conftest import URL, Shell


@pytest.fixture
def key_file(tmp_path: Path, shell: Shell) -> str:
    path = tmp_path / "key.json"
    assert shell("dpop", "keygen", str(path)).status == 0
    return str(path)


def test_a_key_is_its_owner_s_alone_and_is_not_shown(tmp_path: Path, shell: Shell) -> None:
    for name, more in (("a", []), ("b", ["--json"])):
        path = tmp_path / name
        outcome = shell("dpop", "keygen", str(path), *more)
        assert outcome.status == 0
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert json.loads(path.read_text())["d"] not in outcome.all


def test_a_key_is_not_replaced_by_mistake(key_file: str, shell: Shell) -> None:
    before = Path(key_file).read_text()
    assert shell("dpop", "keygen", key_file).status == 2
    assert Path(key_file).read_text() == before
    assert shell("dpop", "keygen", key_file, "--replace").status == 0
    assert Path(key_file).read_text() != before


@pytest.mark.parametrize("alg", ["ES256", "ES384", "EdDSA", "Ed25519"])
def test_a_proof_by_the_key_is_good(alg: str, tmp_path: Path, shell: Shell) -> None:
    path = str(tmp_path / "key")
    thumbprint = shell("dpop", "keygen", path, "--alg", alg, "--json").json["thumbprint"]
    proof = shell("dpop", "proof", "GET", f"{URL}?a=1", "--key-file", path).out
    verified = shell("dpop", "verify", "GET", f"{URL}?b=2", "--json", stdin=proof)
    assert verified.status == 0
    assert verified.json["thumbprint"] == thumbprint


def test_a_proof_goes_through_a_pipe_as_a_bare_line(key_file: str, shell: Shell) -> None:
    out = shell("dpop", "proof", "GET", URL, "--key-file", key_file).out
    assert out.count("\n") == 1
    assert out.count(".") == 2


@pytest.mark.parametrize(
    ("made", "asked", "more", "reason"),
    [
        (("POST", URL), ("GET", URL), [], "dpop.htm_mismatch"),
        (("GET", f"{URL}/1"), ("GET", URL), [], "dpop.htu_mismatch"),
        (("GET", URL), ("GET", URL), ["--at", "1800000100"], "dpop.expired"),
        (("GET", URL), ("GET", URL), ["--at", "1799999900"], "dpop.not_yet_valid"),
        (("GET", URL), ("GET", URL), ["--at", "1800000000", "--dpop-algorithms", "EdDSA"], "dpop.algorithm"),
        (("GET", URL), ("GET", URL), ["--at", "1800000000", "--dpop-nonce", "required"], "dpop.nonce_missing"),
        (
            ("GET", URL),
            ("GET", "http://internal/things"),
            ["--at", "1800000000", "--public-url", "https://a.example"],
            "dpop.htu_mismatch",
        ),
    ],
)
def test_a_proof_that_does_not_fit(
    made: tuple[str, str], asked: tuple[str, str], more: list[str], reason: str, key_file: str, shell: Shell
) -> None:
    proof = shell("dpop", "proof", *made, "--key-file", key_file, "--at", "1800000000").out
    outcome = shell("dpop", "verify", *asked, *more, stdin=proof)
    assert outcome.status == 1
    assert reason in outcome.out
    as_json = shell("dpop", "verify", *asked, *more, "--json", stdin=proof).json
    assert as_json["reason"] == reason
    assert [check["result"] for check in as_json["checks"]].count("fail") == 1


def test_public_url_is_what_htu_is_held_against(key_file: str, shell: Shell) -> None:
    proof = shell("dpop", "proof", "GET", URL, "--key-file", key_file).out
    internal = ["GET", "http://10.0.0.1:8000/things"]
    assert shell("dpop", "verify", *internal, stdin=proof).status == 1
    assert shell("dpop", "verify", *internal, "--public-url", "https://api.example.com", stdin=proof).status == 0


def test_with_the_token_its_hash_and_its_key_are_checked(
    issuer: Issuer, key_file: str, tmp_path: Path, shell: Shell
) -> None:
    other = tmp_path / "other"
    shell("dpop", "keygen", str(other))
    thumbprint = shell("dpop", "proof", "GET", URL, "--key-file", key_file, "--json").json["thumbprint"]
    token = tmp_path / "token"
    token.write_text(issuer.token("agent", claims={"cnf": {"jkt": thumbprint}}))
    given = ["--token-file", str(token)]

    def verified(*options: str, key: str = key_file) -> str:
        proof = shell("dpop", "proof", "GET", URL, "--key-file", key, *options).out
        return str(shell("dpop", "verify", "GET", URL, *given, "--json", stdin=proof).json["reason"])

    assert verified(*given) == "ok"
    assert verified() == "dpop.claims"
    assert verified(*given, key=str(other)) == "token.key_mismatch"


def test_a_nonce_is_put_in(key_file: str, shell: Shell) -> None:
    proof = shell("dpop", "proof", "GET", URL, "--key-file", key_file, "--nonce", "n-1").out
    assert shell("inspect", "--json", stdin=proof).json["claims"]["nonce"] == "n-1"


def test_a_key_that_others_can_read_is_refused(key_file: str, shell: Shell) -> None:
    Path(key_file).chmod(0o644)
    outcome = shell("dpop", "proof", "GET", URL, "--key-file", key_file)
    assert outcome.status == 2
    assert "chmod 600" in outcome.err


def test_a_private_key_inside_a_proof_is_not_shown(shell: Shell) -> None:
    jwk = {**DPoPKey.generate().public_jwk, "d": "hunter2"}
    outcome = shell("dpop", "verify", "GET", URL, stdin=DPoPKey.generate().proof("GET", URL, header={"jwk": jwk}))
    assert outcome.status == 1
    assert "dpop.key" in outcome.out
    assert "hunter2" not in outcome.all


@pytest.mark.parametrize(
    "argv",
    [
        ["dpop"],
        ["dpop", "keygen", "/no/such/folder/key"],
        ["dpop", "keygen", "key", "--alg", "HS256"],
        ["dpop", "proof", "GET", URL],
        ["dpop", "proof", "GET", URL, "--key-file", "/no/such/file"],
        ["dpop", "verify", "GET", URL],
        ["dpop", "verify", "GET", URL, "--leeway", "soon", "--proof-env", "PROOF"],
    ],
)
def test_a_wrong_call_is_status_2(
    argv: list[str], shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROOF", "x")
    assert shell(*argv).status == 2
