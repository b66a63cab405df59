"""RFC 8705 section 3: a token that is bound to a client's certificate counts with that certificate, and never without."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from strongdm_auth import AsyncVerifier, Refused, Request, Requirement, Verifier
from strongdm_auth.challenge import Denial
from strongdm_auth.events import Decision
from strongdm_auth.metadata import Metadata
from strongdm_auth.testing import Clock, DPoPKey, Issuer
from tests.certificates.authority import Agent, Authority
from tests.conftest import URL
from tests.rfc.support import ANY, challenges_of, header_of, mint, opaque_token, script_introspection

MakeVerifier = Callable[..., Verifier]
INTROSPECTION = {"client_id": "rs", "client_secret": "secret"}
NEEDS_BINDING = Requirement(dpop=True)


def asked(token: str, certificate: bytes | None = None, *, scheme: str = "Bearer", proof: str | None = None) -> Request:
    headers = {"Authorization": f"{scheme} {token}"} | ({} if proof is None else {"DPoP": proof})
    return Request("GET", URL, headers, certificate=certificate, peer="192.0.2.1")


def reason(verifier: Verifier, request: Request, requirement: Requirement = ANY) -> str | None:
    """Why a request is refused; None for one that is let in."""
    try:
        verifier.authorize(request, requirement)
    except Refused as refusal:
        return refusal.reason
    return None


def denied(verifier: Verifier, request: Request) -> Denial:
    with pytest.raises(Refused) as caught:
        verifier.authorize(request, ANY)
    return verifier.denial(caught.value)


# 3: the certificate of the connection is the one that the token is bound to


def test_the_right_certificate_lets_in(make_verifier: MakeVerifier, issuer: Issuer, agent: Agent) -> None:
    token = make_verifier().authenticate(asked(mint(issuer, certificate=agent.certificate), agent.certificate))
    assert (token.certificate_thumbprint, token.key_thumbprint, token.bound) == (agent.thumbprint, None, True)
    assert token.claims["cnf"] == {"x5t#S256": agent.thumbprint}


def test_none_and_any_other_are_refused(
    make_verifier: MakeVerifier, issuer: Issuer, authority: Authority, agent: Agent, other: Agent
) -> None:
    verifier, token = make_verifier(), mint(issuer, certificate=agent.certificate)
    assert reason(verifier, asked(token)) == "token.certificate_missing"
    assert reason(verifier, asked(token, b"")) == "token.certificate_mismatch"
    assert reason(verifier, asked(token, other.certificate)) == "token.certificate_mismatch"
    renewed = authority.issue("agent@example.org").certificate
    assert reason(verifier, asked(token, renewed)) == "token.certificate_mismatch", "same name, another certificate"
    assert reason(verifier, asked(token, agent.certificate + b"\0")) == "token.certificate_mismatch"


@pytest.mark.parametrize("shown", ["none", "other"])
def test_the_answer_is_invalid_token(
    make_verifier: MakeVerifier, issuer: Issuer, agent: Agent, other: Agent, shown: str
) -> None:
    token = mint(issuer, certificate=agent.certificate)
    denial = denied(make_verifier(), asked(token, other.certificate if shown == "other" else None))
    bearer, dpop = challenges_of(denial)
    assert (denial.status, json.loads(denial.body)["error"]) == (401, "invalid_token")
    assert (bearer.scheme, bearer.parameters["error"]) == ("Bearer", "invalid_token")
    assert (dpop.scheme, "error" in dpop.parameters) == ("DPoP", False)
    assert header_of(denial.headers, "Cache-Control") == "no-store"
    said = denial.body.decode() + str(denial.headers)
    assert agent.thumbprint not in said
    assert other.thumbprint not in said


# 3.1: x5t#S256 is base64url of the SHA-256 of the DER


def test_another_shape_of_thumbprint_is_refused(make_verifier: MakeVerifier, issuer: Issuer, agent: Agent) -> None:
    verifier = make_verifier()
    for value in (None, 7, True, "", [], {}, ["x"], [agent.thumbprint], {"x": "y"}, "x" * 42, "x" * 44, "x" * 64):
        token = mint(issuer, claims={"cnf": {"x5t#S256": value}})
        assert reason(verifier, asked(token, agent.certificate)) == "token.confirmation", value


def test_other_spellings_of_the_thumbprint_are_refused(
    make_verifier: MakeVerifier, issuer: Issuer, authority: Authority
) -> None:
    verifier, agent = make_verifier(), authority.agent
    while not {"-", "_"} & set(agent.thumbprint):  # one in which base64 and base64url differ
        agent = authority.issue("agent@example.org")
    standard = b64encode(agent.fingerprint).decode()
    for value, why in (
        (standard, "token.confirmation"),
        (standard.rstrip("="), "token.certificate_mismatch"),
        (agent.thumbprint + "=", "token.confirmation"),
        (agent.thumbprint.swapcase(), "token.certificate_mismatch"),
        (agent.fingerprint.hex(), "token.confirmation"),
    ):
        assert reason(verifier, asked(mint(issuer, claims={"cnf": {"x5t#S256": value}}), agent.certificate)) == why


def test_a_binding_of_another_kind_is_refused(make_verifier: MakeVerifier, issuer: Issuer, agent: Agent) -> None:
    for confirmation in ({"x5t": agent.thumbprint}, {"x5t#S512": agent.thumbprint}, {"X5T#S256": agent.thumbprint}, {}):
        token = mint(issuer, claims={"cnf": confirmation})
        assert reason(make_verifier(), asked(token, agent.certificate)) == "token.confirmation", confirmation


def test_a_bound_key_beside_it_is_needed_too(
    make_verifier: MakeVerifier, issuer: Issuer, clock: Clock, agent: Agent, other: Agent
) -> None:
    verifier, key, strange = make_verifier(), DPoPKey.generate(), DPoPKey.generate()
    token = mint(issuer, key=key, certificate=agent.certificate)

    def with_proof(certificate: bytes | None, by: DPoPKey = key) -> str | None:
        proof = by.proof("GET", URL, token, now=clock())
        return reason(verifier, asked(token, certificate, scheme="DPoP", proof=proof))

    assert with_proof(agent.certificate) is None
    assert with_proof(None) == "token.certificate_missing"
    assert with_proof(other.certificate) == "token.certificate_mismatch"
    assert with_proof(agent.certificate, strange) == "token.key_mismatch"
    assert reason(verifier, asked(token, agent.certificate)) == "token.bound"
    assert reason(verifier, asked(token, agent.certificate, scheme="DPoP")) == "dpop.missing"
    found = verifier.authenticate(
        asked(token, agent.certificate, scheme="DPoP", proof=key.proof("GET", URL, token, now=clock()))
    )
    assert (found.key_thumbprint, found.certificate_thumbprint) == (key.thumbprint, agent.thumbprint)
    malformed = mint(issuer, key=key, claims={"cnf": {"jkt": key.thumbprint, "x5t#S256": 7}})
    proof = key.proof("GET", URL, malformed, now=clock())
    assert reason(verifier, asked(malformed, agent.certificate, scheme="DPoP", proof=proof)) == "token.confirmation"


def test_it_is_no_dpop_token(make_verifier: MakeVerifier, issuer: Issuer, clock: Clock, agent: Agent) -> None:
    token = mint(issuer, certificate=agent.certificate)
    proof = DPoPKey.generate().proof("GET", URL, token, now=clock())
    assert reason(make_verifier(), asked(token, agent.certificate, scheme="DPoP", proof=proof)) == "token.unbound"


# Where tokens must be sender-constrained


@pytest.mark.parametrize("where", ["setting", "route"])
def test_it_is_sender_constrained(
    make_verifier: MakeVerifier, issuer: Issuer, agent: Agent, other: Agent, where: str
) -> None:
    verifier = make_verifier(**({"dpop": "required"} if where == "setting" else {}))
    needed = ANY if where == "setting" else NEEDS_BINDING
    token, plain = mint(issuer, certificate=agent.certificate), mint(issuer)
    for _ in range(2):
        assert reason(verifier, asked(token, agent.certificate), needed) is None
        assert reason(verifier, asked(token), needed) == "token.certificate_missing"
        assert reason(verifier, asked(token, other.certificate), needed) == "token.certificate_mismatch"
        assert reason(verifier, asked(plain, agent.certificate), needed) == "token.unbound", (
            "no certificate of the token's"
        )


def test_a_token_that_is_bound_to_nothing_needs_no_certificate(
    make_verifier: MakeVerifier, issuer: Issuer, agent: Agent
) -> None:
    verifier, token = make_verifier(), mint(issuer)
    assert reason(verifier, asked(token)) is reason(verifier, asked(token, agent.certificate)) is None


def test_a_bad_certificate_makes_nobody_anonymous(
    make_verifier: MakeVerifier, issuer: Issuer, agent: Agent, other: Agent
) -> None:
    token = mint(issuer, certificate=agent.certificate)
    found = reason(make_verifier(), asked(token, other.certificate), Requirement(optional=True))
    assert found == "token.certificate_mismatch"


def test_off_refuses_what_cannot_be_checked(make_verifier: MakeVerifier, issuer: Issuer, agent: Agent) -> None:
    verifier = make_verifier(client_certificate="off")
    token = mint(issuer, certificate=agent.certificate)
    for _ in range(2):
        assert reason(verifier, asked(token, agent.certificate)) == "token.confirmation"
    assert reason(verifier, asked(mint(issuer))) is None


def test_a_proxy_s_own_certificate_is_nobody_s(make_verifier: MakeVerifier, issuer: Issuer, agent: Agent) -> None:
    """Where a header tells, the connection is the proxy's, and a token bound to its certificate is no client's."""
    verifier = make_verifier(client_certificate="header:X-Client-Cert", trusted_proxies="192.0.2.0/24")
    token = mint(issuer, certificate=agent.certificate)
    assert reason(verifier, asked(token, agent.certificate)) == "token.certificate_missing"


# The warm way: what is remembered of a token says nothing about the next request's certificate


def test_what_is_remembered_of_a_token_lets_no_other_certificate_in(
    make_verifier: MakeVerifier, issuer: Issuer, agent: Agent, other: Agent
) -> None:
    verifier, token = make_verifier(), mint(issuer, certificate=agent.certificate)
    for spelled in ("Bearer", "bearer", "BEARER "):
        for _ in range(2):
            assert reason(verifier, asked(token, agent.certificate, scheme=spelled)) is None
            assert reason(verifier, asked(token, other.certificate, scheme=spelled)) == "token.certificate_mismatch"
            assert reason(verifier, asked(token, scheme=spelled)) == "token.certificate_missing"


def test_a_stranger_s_try_keeps_nobody_out(
    make_verifier: MakeVerifier, issuer: Issuer, agent: Agent, other: Agent
) -> None:
    verifier, token = make_verifier(), mint(issuer, certificate=agent.certificate)
    assert reason(verifier, asked(token, other.certificate)) == "token.certificate_mismatch"
    assert reason(verifier, asked(token, agent.certificate)) is None


def test_a_known_proof_key_does_not_stand_for_the_certificate(
    make_verifier: MakeVerifier, issuer: Issuer, clock: Clock, agent: Agent, other: Agent
) -> None:
    verifier, key = make_verifier(), DPoPKey.generate()
    token = mint(issuer, key=key, certificate=agent.certificate)
    seen = []
    for certificate in (agent.certificate, other.certificate, None, agent.certificate):
        proof = key.proof("GET", URL, token, now=clock())
        seen.append(reason(verifier, asked(token, certificate, scheme="DPoP", proof=proof)))
    assert seen == [None, "token.certificate_mismatch", "token.certificate_missing", None]


def test_event_loops_tell_the_same(
    make_async_verifier: Callable[..., AsyncVerifier], issuer: Issuer, agent: Agent, other: Agent
) -> None:
    token = mint(issuer, certificate=agent.certificate)

    async def reasons() -> list[str | None]:
        verifier, found = make_async_verifier(), []
        for certificate in (agent.certificate, other.certificate, None, agent.certificate):
            try:
                await verifier.authenticate(asked(token, certificate))
                found.append(None)
            except Refused as refusal:
                found.append(refusal.reason)
        await verifier.aclose()
        return found

    assert asyncio.run(reasons()) == [None, "token.certificate_mismatch", "token.certificate_missing", None]


# 3.2: the binding in an introspection answer


def test_an_opaque_token_is_bound_by_the_answer(
    make_verifier: MakeVerifier, issuer: Issuer, agent: Agent, other: Agent
) -> None:
    verifier = make_verifier(introspection="fallback", **credentials(issuer))
    script_introspection(issuer, iss=f"{issuer.url}/realms/alpha", cnf={"x5t#S256": agent.thumbprint})
    token = opaque_token(issuer)
    for _ in range(2):  # the answer is remembered
        assert reason(verifier, asked(token, agent.certificate)) is None
        assert reason(verifier, asked(token, other.certificate)) == "token.certificate_mismatch"
        assert reason(verifier, asked(token)) == "token.certificate_missing"
    script_introspection(issuer, iss=f"{issuer.url}/realms/alpha", cnf={"x5t#S256": agent.thumbprint[:-1]})
    assert reason(verifier, asked(opaque_token(issuer), agent.certificate)) == "token.confirmation"


def test_a_token_and_the_answer_about_it_must_agree(
    make_verifier: MakeVerifier, issuer: Issuer, agent: Agent, other: Agent
) -> None:
    def about(token: str, certificate: bytes | None, **answer: Any) -> str | None:
        script_introspection(issuer, iss=f"{issuer.url}/realms/alpha", **answer)
        return reason(make_verifier(introspection="always", **credentials(issuer)), asked(token, certificate))

    mine, others = {"x5t#S256": agent.thumbprint}, {"x5t#S256": other.thumbprint}
    token, plain = mint(issuer, certificate=agent.certificate), mint(issuer)
    assert about(token, agent.certificate, cnf=mine) is None
    assert about(token, agent.certificate) is None, "an answer need not say"
    assert about(token, None) == "token.certificate_missing", "but it loosens nothing"
    assert about(token, agent.certificate, cnf=others) == "token.introspection_mismatch"
    assert about(token, other.certificate, cnf=others) == "token.certificate_mismatch"
    assert about(plain, agent.certificate, cnf=mine) == "token.introspection_mismatch"
    assert about(token, agent.certificate, cnf={**mine, "jkt": other.thumbprint}) == "token.introspection_mismatch"
    assert about(token, agent.certificate, cnf={"x5t": agent.thumbprint}) == "token.confirmation"


def credentials(issuer: Issuer) -> dict[str, str]:
    client = issuer.client("resource-server", realm="alpha")
    assert client.client_secret is not None
    return {"client_id": client.client_id, "client_secret": client.client_secret}


# 3.3: what the resource's metadata says


def test_the_metadata_says_so_where_this_is_for_us_to_tell(make_verifier: MakeVerifier) -> None:
    def said(**settings: Any) -> object:
        document = Metadata.of(make_verifier(resource="https://api.example.com", **settings).settings)
        assert document is not None
        return json.loads(document.body).get("tls_client_certificate_bound_access_tokens")

    assert said(client_certificate="header:X-Client-Cert", trusted_proxies="unix") is True
    assert said() is said(client_certificate="off") is None


# What observers are told


def test_observers_hear_of_it(make_verifier: MakeVerifier, issuer: Issuer, agent: Agent, other: Agent) -> None:
    events: list[Any] = []
    verifier, token = make_verifier(on_event=events.append), mint(issuer, certificate=agent.certificate)
    reason(verifier, asked(token, agent.certificate))
    reason(verifier, asked(token, other.certificate))
    decisions = [event for event in events if isinstance(event, Decision)]
    assert [each.certificate_thumbprint for each in decisions] == [agent.thumbprint, agent.thumbprint]
    assert [each.reason for each in decisions] == ["ok", "token.certificate_mismatch"]
