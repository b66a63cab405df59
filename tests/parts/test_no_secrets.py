"""No token, proof or secret gets into a log record, a repr or an answer, however a request fails."""

import asyncio
import logging
import traceback
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from strongdm_auth import Refused, Request, Requirement, StrongDMAuthError
from strongdm_auth.testing import DPoPKey, SigningKey
from tests.conftest import URL

from .world import ALPHA, DISCOVERY, ISSUER, Answer, World, as_json, settle

CLIENT_SECRET = "client-hunter2-secret"
NONCE_SECRET = "nonce-hunter2-secret"
STORE_PASSWORD = "store-hunter2-secret"
OPAQUE = "opaque-hunter2-token"

Case = Callable[[World, SigningKey, DPoPKey], tuple[str, str | None]]


def _bearer(**changes: Any) -> Case:
    header = changes.pop("header", None)
    return lambda world, key, agent: (f"Bearer {world.token(key, header=header, **changes)}", None)


def _bound(scheme: str = "DPoP", **changes: Any) -> Case:
    def case(world: World, key: SigningKey, agent: DPoPKey) -> tuple[str, str | None]:
        token = world.token(key, cnf={"jkt": agent.thumbprint})
        proof = agent.proof("GET", URL, token, now=world.clock(), **changes)
        return f"{scheme} {token}", proof

    return case


def _forged(world: World, key: SigningKey, agent: DPoPKey) -> tuple[str, str | None]:
    return f"Bearer {world.forged(key.kid)}", None


def _cut(world: World, key: SigningKey, agent: DPoPKey) -> tuple[str, str | None]:
    return f"Bearer {world.token(key)[:-20]}", None


def _twice(world: World, key: SigningKey, agent: DPoPKey) -> tuple[str, str | None]:
    return f"Bearer {world.token(key)}, Bearer {world.token(key)}", None


def _other_scheme(world: World, key: SigningKey, agent: DPoPKey) -> tuple[str, str | None]:
    return f"Basic {world.token(key)}", None


def _two_proofs(world: World, key: SigningKey, agent: DPoPKey) -> tuple[str, str | None]:
    authorization, proof = _bound()(world, key, agent)
    return authorization, f"{proof}, {proof}"


def _wrong_proof_key(world: World, key: SigningKey, agent: DPoPKey) -> tuple[str, str | None]:
    token = world.token(key, cnf={"jkt": agent.thumbprint})
    return f"DPoP {token}", DPoPKey.generate("EdDSA").proof("GET", URL, token, now=world.clock())


#: What is sent -> the status it meets, before any outage.
CASES: dict[str, tuple[int, Case]] = {
    "good": (200, _bearer()),
    "bound and good": (200, _bound()),
    "expired": (401, _bearer(exp=1)),
    "not yet": (401, _bearer(nbf=10**10)),
    "forged": (401, _forged),
    "cut": (401, _cut),
    "twice": (400, _twice),
    "other scheme": (401, _other_scheme),
    "algorithm": (401, _bearer(header={"alg": "HS256"})),
    "type": (401, _bearer(header={"typ": "logout+jwt"})),
    "kid": (401, _bearer(header={"kid": "stranger"})),
    "issuer": (401, _bearer(iss="https://evil.example")),
    "audience": (401, _bearer(aud="https://elsewhere.example")),
    "claims": (401, _bearer(sub=7)),
    "cnf": (401, _bearer(cnf={"x5t#S256": "x"})),
    "bound as bearer": (401, _bound("Bearer")),
    "unbound as dpop": (401, lambda world, key, agent: (f"DPoP {world.token(key)}", None)),
    "a nonce nobody asked for": (200, _bound(claims={"nonce": 7})),
    "proof method": (401, _bound(claims={"htm": "POST"})),
    "proof uri": (401, _bound(claims={"htu": "https://evil.example"})),
    "proof age": (401, _bound(claims={"iat": 1})),
    "proof hash": (401, _bound(claims={"ath": "x"})),
    "proof type": (401, _bound(header={"typ": "jwt"})),
    "two proofs": (401, _two_proofs),
    "proof key": (401, _wrong_proof_key),
    "opaque": (401, lambda world, key, agent: (f"Bearer {OPAQUE}", None)),
}
OUTAGES: dict[str, Callable[[World], None]] = {
    "well": lambda world: None,
    "down": lambda world: setattr(world, "outage", Answer(fault=httpx.ConnectError("down"))),
    "500": lambda world: setattr(world, "outage", Answer(b"error", 500)),
    "garbage": lambda world: setattr(world, "outage", Answer(b"<html>")),
    "mix-up": lambda world: world.answers.update({ALPHA + DISCOVERY: as_json({"issuer": "https://evil.example"})}),
}


class Store:
    """Fails, and shows its password to whoever asks for its repr."""

    def __init__(self) -> None:
        self.url = f"redis://:{STORE_PASSWORD}@cache"

    def __repr__(self) -> str:
        return f"Store({self.url})"

    def first_use(self, key: bytes, owner: str, until: float, now: float) -> bool:
        raise ConnectionError("cache is away")


@pytest.mark.parametrize("outage", OUTAGES)
@pytest.mark.parametrize("case", CASES)
def test_nothing_that_was_sent_is_told(
    world: World, key: SigningKey, caplog: pytest.LogCaptureFixture, case: str, outage: str
) -> None:
    caplog.set_level(logging.DEBUG)
    world.publish(key)
    OUTAGES[outage](world)
    agent = DPoPKey.generate("EdDSA")
    status, make = CASES[case]
    authorization, proof = make(world, key, agent)
    headers = {"Authorization": authorization} | ({"DPoP": proof} if proof else {})
    request = Request("GET", f"{URL}?session=query-hunter2", headers)
    credentials = {"client_id": "api", "client_secret": CLIENT_SECRET}
    told: list[str] = [repr(request)]
    nonces = {"dpop_nonce": "required", "dpop_nonce_secret": NONCE_SECRET}
    for settings in ({}, nonces, {"replay_store": Store()}):
        verifier = world.verifier(**credentials, **settings)
        told += [repr(verifier), repr(verifier.settings), *_ask(verifier, request)]
        if not settings and outage == "well":
            assert told[-1] == str(status)
    asynchronous = world.async_verifier(**credentials)
    told += asyncio.run(_ask_in_loop(asynchronous, request))
    settle()
    told += [record.getMessage() for record in caplog.records]
    told += [str(record.args) + str(record.exc_text) for record in caplog.records]
    told += [caplog.text]
    _hold_against(told, authorization, proof)


def _ask(verifier: Any, request: Request) -> list[str]:
    try:
        token = verifier.authorize(request, Requirement())
    except StrongDMAuthError as error:
        return _what_is_told(verifier, error)
    return [repr(token), repr(token.claims), "200"]


async def _ask_in_loop(verifier: Any, request: Request) -> list[str]:
    try:
        return [repr(await verifier.authorize(request, Requirement()))]
    except StrongDMAuthError as error:
        return _what_is_told(verifier, error)


def _what_is_told(verifier: Any, error: StrongDMAuthError) -> list[str]:
    assert isinstance(error, Refused)
    denial = verifier.denial(error)
    shown = "".join(traceback.format_exception(error))
    return [repr(error), str(error), repr(vars(error)), shown, repr(denial), denial.body.decode(), str(denial.status)]


def _hold_against(told: list[str], authorization: str, proof: str | None) -> None:
    everything = "\n".join(told)
    secrets = [CLIENT_SECRET, NONCE_SECRET, STORE_PASSWORD, "query-hunter2", OPAQUE]
    for compact in (authorization.split(" ")[1].rstrip(","), *((proof or "").split(", "))):
        # Neither whole nor in parts: a payload tells the claims, a signature completes what a log already holds.
        secrets += [segment for segment in compact.split(".") if len(segment) > 20]
    for secret in secrets:
        assert secret not in everything


@pytest.mark.parametrize("answer", [as_json({"active": False}), Answer(b"", 401), Answer(b"<html>"), Answer(b"", 500)])
def test_nothing_of_an_introspection_is_told(
    world: World, key: SigningKey, caplog: pytest.LogCaptureFixture, answer: Answer
) -> None:
    caplog.set_level(logging.DEBUG)
    world.publish(key)
    world.answers[f"{ISSUER}/introspect"] = answer
    settings = {"introspection": "always", "realms": "*", "client_id": "api", "client_secret": CLIENT_SECRET}
    for token in (OPAQUE, world.token(key)):
        verifier = world.verifier(**settings)
        told = _ask(verifier, Request("GET", URL, {"Authorization": f"Bearer {token}"}))
        told += [caplog.text, repr(verifier), repr(vars(verifier.settings).keys())]
        _hold_against(told, f"Bearer {token}", None)
    assert f"{ISSUER}/introspect" in world.calls


def test_an_access_token_shows_neither_itself_nor_its_claims(world: World, key: SigningKey) -> None:
    world.publish(key)
    token = world.token(key, email="hunter2@example.com", act={"sub": "actor"})
    admitted = world.verifier().authenticate(Request("GET", URL, {"Authorization": f"Bearer {token}"}))
    for shown in (repr(admitted), str(admitted), f"{admitted}", repr(admitted.claims)):
        assert "hunter2" not in shown
        assert token not in shown
