"""The npm packages `dpop` and `openid-client` against the example apps and the local issuer; the scripts are in `node/`."""

from typing import Any

import pytest

from strongdm_auth.testing import Client
from tests.interop.conftest import AUDIENCE, one_api
from tests.interop.node_packages import Node

CALLS = [("GET", "/agent-info?a=b"), ("POST", "/protected"), ("GET", "/admin")]
REFUSED = {"error": "insufficient_scope", "scope": "admin"}


@pytest.fixture
def job(issuer_url: str, agent: Client) -> dict[str, Any]:
    return {
        "issuer": issuer_url,
        "client_id": agent.client_id,
        "client_secret": agent.client_secret,
        "scope": "read",
        "audience": AUDIENCE,
        "calls": CALLS,
    }


def statuses(told: dict[str, Any]) -> list[int]:
    return [answer["status"] for answer in told["answers"]]


def tries(told: dict[str, Any]) -> list[int]:
    return [answer["tries"] for answer in told["answers"]]


def test_proofs_of_the_package_dpop_are_let_in(node: Node, job: dict[str, Any], api: str) -> None:
    every = node.run("dpop_calls.mjs", **job, api=api, algs=["ES256", "Ed25519", "RS256", "PS256"])
    assert len(every) == 4
    for told in every:
        assert told["token"]["body"]["token_type"] == "DPoP", told["token"]
        assert (statuses(told), tries(told)) == ([200, 200, 403], [1, 1, 1]), told
        assert told["answers"][0]["body"]["key_thumbprint"] == told["thumbprint"]
        assert told["answers"][2]["body"]["error"] == "insufficient_scope"


def test_proofs_of_the_package_dpop_carry_the_nonce_at_the_second_try(
    node: Node, job: dict[str, Any], nonce_api: str
) -> None:
    (told,) = node.run("dpop_calls.mjs", **job, api=nonce_api, algs=["ES256"])
    assert (statuses(told), tries(told)) == ([200, 200, 403], [2, 1, 1]), told


def test_the_issuer_refuses_the_package_dpop_in_json(node: Node, job: dict[str, Any]) -> None:
    (told,) = node.run("dpop_calls.mjs", **job | {"calls": [], "scope": "admin"}, algs=["ES256"])
    assert (told["token"]["status"], told["token"]["body"]["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize("alg", [None, "ES256", "Ed25519"])
def test_openid_client_is_let_in_and_reads_the_challenge(
    node: Node, job: dict[str, Any], api: str, alg: str | None
) -> None:
    told = node.run("openid_client_calls.mjs", **job, api=api, alg=alg)
    assert told["token"]["token_type"] == ("bearer" if alg is None else "dpop")
    assert (statuses(told), tries(told)) == ([200, 200, 403], [1, 1, 1]), told
    assert told["answers"][0]["body"]["key_thumbprint"] == told.get("thumbprint")
    refusal = told["answers"][2]
    (challenge,) = refusal["challenges"]
    assert (refusal["raised"], challenge["scheme"]) == (
        "WWWAuthenticateChallengeError",
        "bearer" if alg is None else "dpop",
    )
    assert REFUSED.items() <= challenge["parameters"].items()


def test_openid_client_learns_the_nonce_and_sends_the_request_again(
    node: Node, job: dict[str, Any], nonce_api: str
) -> None:
    told = node.run("openid_client_calls.mjs", **job, api=nonce_api, alg="ES256")
    assert (statuses(told), tries(told)) == ([200, 200, 403], [2, 1, 1]), told


@one_api
def test_openid_client_reads_both_challenges_of_a_token_for_another_api(
    node: Node, job: dict[str, Any], api: str
) -> None:
    job |= {"audience": "https://else.example", "calls": CALLS[:1]}
    (refusal,) = node.run("openid_client_calls.mjs", **job, api=api, alg="ES256")["answers"]
    assert refusal["status"] == 401
    told = [(challenge["scheme"], challenge["parameters"].get("error")) for challenge in refusal["challenges"]]
    assert told == [("bearer", None), ("dpop", "invalid_token")]


@pytest.mark.parametrize(
    ("wrong", "status", "error"),
    [({"scope": "admin"}, 400, "invalid_scope"), ({"client_secret": "wrong"}, 401, None)],
)
def test_openid_client_reads_the_issuers_refusals(
    node: Node, job: dict[str, Any], wrong: dict[str, str], status: int, error: str | None
) -> None:
    token = node.run("openid_client_calls.mjs", **job | {"calls": []} | wrong)["token"]
    assert (token["status"], token.get("error")) == (status, error), token
    if error is None:  # it looks at the challenge first, where there is one (RFC 6749 5.2)
        assert [challenge["scheme"] for challenge in token["challenges"]] == ["basic"]


def test_openid_client_at_the_issuers_other_endpoints(node: Node, job: dict[str, Any], agent: Client) -> None:
    told = node.run("openid_client_at_the_issuer.mjs", **job | {"scope": "openid read"})
    assert told["before"]["active"] is True
    assert told["user"]["sub"] == agent.client_id
    assert (told["exchanged"]["token_type"], told["exchanged"]["scope"]) == ("dpop", "read")
    assert told["after"] == {"active": False}
