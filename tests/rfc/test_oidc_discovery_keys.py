"""Rotation, floods and outages of key sets (OIDC Core 10.1.1, RFC 7517 5); checklist 84-86, 89."""

import asyncio
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx
import pytest

from strongdm_auth import AsyncVerifier, InvalidToken, Refused, Verifier
from strongdm_auth.errors import TemporarilyUnavailable
from strongdm_auth.testing import Clock, Issuer
from tests.conftest import AUDIENCE, NOW, request

from .support import (
    MakeVerifier,
    background_refreshes_end,
    denied,
    header_of,
    honest_claims,
    mint,
    realm_token,
    refused,
)

Break = Callable[[Issuer], None]


@pytest.fixture(autouse=True)
def _no_refresh_outlives_its_test() -> Iterator[None]:
    yield
    background_refreshes_end()


def with_unknown_kid(issuer: Issuer) -> str:
    return realm_token(issuer, honest_claims(), kid=secrets.token_hex(8))


def test_a_rotated_key_works_on_its_first_request(issuer: Issuer, verifier: Verifier) -> None:
    """OIDC Core 10.1.1; checklist 84: an unfamiliar kid is one refetch."""
    assert verifier.authenticate(request(mint(issuer)))
    for _ in range(3):
        assert verifier.authenticate(request(mint(issuer)))
    assert issuer.count("/jwks") == 1
    issuer.rotate("alpha")
    assert verifier.authenticate(request(mint(issuer)))
    assert verifier.authenticate(request(mint(issuer)))
    assert issuer.count("/jwks") == 2


def test_a_key_that_was_replaced_under_its_old_kid_works_on_its_first_request(
    issuer: Issuer, verifier: Verifier
) -> None:
    """OIDC Core 10.1.1; checklist 84: a failing signature is looked at once more, too."""
    old = issuer.signing_key("alpha", "ES256")
    assert verifier.authenticate(request(old.sign({}, honest_claims())))
    issuer.rotate("alpha")
    new = issuer.signing_key("alpha", "ES256")
    issuer.answer("/jwks", body=json.dumps({"keys": [new.public_jwk() | {"kid": old.kid}]}).encode())
    assert verifier.authenticate(request(new.sign({"kid": old.kid}, honest_claims())))
    assert issuer.count("/jwks") == 2


def test_a_second_rotation_within_the_cooldown_has_to_wait_for_it(
    issuer: Issuer, clock: Clock, verifier: Verifier
) -> None:
    """OIDC Core 10.1.1 and the contract's jwks_cooldown; checklist 84."""
    verifier.authenticate(request(mint(issuer)))
    issuer.rotate("alpha")
    verifier.authenticate(request(mint(issuer)))
    issuer.rotate("alpha")
    token = mint(issuer)
    clock.advance(29.9)
    assert refused(verifier, request(token)).reason == "token.key_unknown"
    clock.advance(0.1)
    assert verifier.authenticate(request(token))


def test_tokens_of_a_removed_key_are_refused_as_soon_as_the_new_set_is_here(issuer: Issuer, verifier: Verifier) -> None:
    """OIDC Core 10.1.1; checklist 84: also a token that was verified, and is remembered."""
    old = mint(issuer)
    assert verifier.authenticate(request(old))
    issuer.rotate("alpha")
    assert verifier.authenticate(request(mint(issuer)))
    error = refused(verifier, request(old))
    assert (type(error), error.status_code, error.reason) == (InvalidToken, 401, "token.key_unknown")


def test_a_removed_key_is_gone_after_the_sets_age_without_any_new_token(
    issuer: Issuer, clock: Clock, verifier: Verifier
) -> None:
    """RFC 7517 5 and the contract's jwks_max_age; checklist 84."""
    old = mint(issuer, lifetime=100_000)
    assert verifier.authenticate(request(old))
    issuer.rotate("alpha")
    clock.advance(899)
    assert verifier.authenticate(request(old))
    assert issuer.count("/jwks") == 1
    clock.advance(1)
    with suppress(InvalidToken):
        verifier.authenticate(request(old))  # may still be served, while the refresh is under way
    background_refreshes_end()
    assert refused(verifier, request(old)).reason == "token.key_unknown"


def test_a_key_that_stays_stays_good(issuer: Issuer, verifier: Verifier) -> None:
    """OIDC Core 10.1.1; checklist 84: a rotation that keeps the old key does not log anybody out."""
    old = mint(issuer)
    assert verifier.authenticate(request(old))
    issuer.rotate("alpha", keep_old=True)
    assert verifier.authenticate(request(mint(issuer)))
    assert verifier.authenticate(request(old))


OUTAGES: dict[str, Break] = {
    "answers": lambda issuer: None,
    "fails": lambda issuer: issuer.fail(503),
    "stalls": lambda issuer: issuer.stall(60),
    "sends garbage": lambda issuer: issuer.answer("/jwks", body=b"\x00garbage"),
    "redirects": lambda issuer: issuer.answer("/jwks", 302, {"Location": "https://evil.test"}),
    "is empty": lambda issuer: issuer.answer("/jwks", body=b'{"keys": []}'),
}


@pytest.mark.parametrize("name", OUTAGES)
def test_a_flood_of_unknown_kids_causes_one_fetch_a_cooldown(
    issuer: Issuer, clock: Clock, verifier: Verifier, name: str
) -> None:
    """OIDC Core 10.1.1; checklist 85: whatever the issuer answers meanwhile."""
    known = mint(issuer)
    assert verifier.authenticate(request(known))
    OUTAGES[name](issuer)
    for _ in range(3):
        issuer.forget_requests()
        for _ in range(40):
            assert refused(verifier, request(with_unknown_kid(issuer))).status_code in (401, 503)
            assert verifier.authenticate(request(known))
        assert len(issuer.requests) <= 2  # the set, or the discovery document and the set
        assert issuer.count("/jwks") <= 1
        clock.advance(30)


@pytest.mark.parametrize("name", OUTAGES)
def test_a_flood_of_failing_signatures_causes_one_fetch_a_cooldown(
    issuer: Issuer, verifier: Verifier, name: str
) -> None:
    """OIDC Core 10.1.1; checklist 85."""
    token = mint(issuer, alg="ES256")
    assert verifier.authenticate(request(token))
    OUTAGES[name](issuer)
    issuer.forget_requests()
    for number in range(40):
        forged = f"{token[:-86]}{'A' * 80}{number:02d}AAAA"
        assert refused(verifier, request(forged)).reason == "token.signature"
    assert issuer.count("/jwks") <= 1


@pytest.mark.parametrize("name", [name for name in OUTAGES if name != "answers"])
def test_an_issuer_that_was_never_reached_is_tried_once_a_cooldown(
    issuer: Issuer, clock: Clock, verifier: Verifier, name: str
) -> None:
    """RFC 7517 5; checklist 85, 89."""
    OUTAGES[name](issuer)
    token = mint(issuer)
    for attempt in range(1, 4):
        for _ in range(20):
            error, denial = denied(verifier, request(token))
            assert (type(error), error.reason) == (TemporarilyUnavailable, "keys.unavailable")
            assert 1 <= int(header_of(denial.headers, "Retry-After") or 0) <= 30
        assert issuer.count("/openid-configuration") == attempt
        clock.advance(30)
    issuer.heal()
    assert verifier.authenticate(request(token))


def test_after_a_refresh_that_failed_no_token_forces_another_at_once(
    issuer: Issuer, clock: Clock, verifier: Verifier
) -> None:
    """OIDC Core 10.1.1 and the contract's jwks_cooldown; checklist 85, 89: a failed attempt counts, whoever made it."""
    known = mint(issuer)
    assert verifier.authenticate(request(known))
    issuer.fail(503)
    clock.advance(900)
    assert verifier.authenticate(request(known))
    background_refreshes_end()
    issuer.forget_requests()
    for _ in range(20):
        assert refused(verifier, request(with_unknown_kid(issuer))).status_code == 503
        assert verifier.authenticate(request(known))
    background_refreshes_end()
    assert issuer.requests == []


def test_an_unknown_kid_during_an_outage_is_not_called_invalid(issuer: Issuer, verifier: Verifier) -> None:
    """OIDC Core 10.1.1; checklist 89: it may be a good token with a new key, and that cannot be told now."""
    verifier.authenticate(request(mint(issuer)))
    issuer.rotate("alpha")
    issuer.fail(503)
    assert refused(verifier, request(mint(issuer))).status_code == 503


class Gate(httpx.BaseTransport):
    """Lets the first exchanges through and holds every later one until it is opened."""

    def __init__(self, issuer: Issuer) -> None:
        self.inner, self.closed = issuer.transport(), threading.Event()
        self.held, self.opened = threading.Event(), threading.Event()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.closed.is_set():
            self.held.set()
            self.opened.wait(30)
        return self.inner.handle_request(request)


@pytest.mark.parametrize("why", ["unknown kid", "age"])
def test_tokens_with_known_keys_do_not_wait_for_a_fetch_that_hangs(issuer: Issuer, clock: Clock, why: str) -> None:
    """OIDC Core 10.1.1; checklist 86."""
    gate = Gate(issuer)
    settings = {"issuer": issuer.url, "realms": ["alpha"], "audience": AUDIENCE, "http_timeout": 30}
    verifier = Verifier(client=httpx.Client(transport=gate), clock=clock, **settings)  # type: ignore[arg-type]
    known, fresh, unknown = mint(issuer), mint(issuer), with_unknown_kid(issuer)
    verifier.authenticate(request(known))
    gate.closed.set()
    reasons: list[str] = []

    def force() -> None:
        try:
            verifier.authenticate(request(unknown))
        except Refused as error:
            reasons.append(error.reason)

    forcing = threading.Thread(target=force)
    if why == "age":
        clock.advance(900)
        verifier.authenticate(request(known))
    else:
        forcing.start()
    assert gate.held.wait(30)
    assert verifier.authenticate(request(known))
    assert verifier.authenticate(request(fresh))
    assert not gate.opened.is_set()
    gate.opened.set()
    if why == "unknown kid":
        forcing.join(30)
        assert reasons == ["token.key_unknown"]


class AsyncGate(httpx.AsyncBaseTransport):
    def __init__(self, issuer: Issuer) -> None:
        self.inner, self.closed, self.opened = issuer.transport(), False, asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.closed:
            await self.opened.wait()
        return await self.inner.handle_async_request(request)


def test_nor_do_they_wait_in_an_event_loop(issuer: Issuer, clock: Clock) -> None:
    """OIDC Core 10.1.1; checklist 86."""

    async def story() -> None:
        gate = AsyncGate(issuer)
        settings = {"issuer": issuer.url, "realms": ["alpha"], "audience": AUDIENCE, "http_timeout": 30}
        verifier = AsyncVerifier(client=httpx.AsyncClient(transport=gate), clock=clock, **settings)  # type: ignore[arg-type]
        known, fresh = mint(issuer), mint(issuer)
        await verifier.authenticate(request(known))
        gate.closed = True
        forcing = [asyncio.create_task(verifier.authenticate(request(with_unknown_kid(issuer)))) for _ in range(10)]
        await asyncio.sleep(0)
        assert await verifier.authenticate(request(known))
        assert await verifier.authenticate(request(fresh))
        assert not any(task.done() for task in forcing)
        gate.opened.set()
        outcomes = await asyncio.gather(*forcing, return_exceptions=True)
        assert {getattr(error, "reason", None) for error in outcomes} == {"token.key_unknown"}
        assert issuer.count("/jwks") == 2

    asyncio.run(story())


def test_fifty_first_requests_share_one_fetch(
    issuer: Issuer, make_async_verifier: Callable[..., AsyncVerifier]
) -> None:
    """OIDC Core 10.1.1; checklist 85."""
    verifier, token = make_async_verifier(), mint(issuer)

    async def story() -> None:
        await asyncio.gather(*(verifier.authenticate(request(token)) for _ in range(50)))

    asyncio.run(story())
    assert (issuer.count("/openid-configuration"), issuer.count("/jwks")) == (1, 1)


def test_cached_keys_serve_for_the_stated_time_and_then_it_is_a_503(
    issuer: Issuer, clock: Clock, verifier: Verifier
) -> None:
    """RFC 7517 5 and the contract's jwks_stale; checklist 89: never a 401, never a pass."""
    known, fresh = mint(issuer, lifetime=100_000), mint(issuer, lifetime=100_000)
    assert verifier.authenticate(request(known))
    issuer.fail(503)
    for age in (899, 900, 2_000, 4_499.9):
        clock.set(NOW + age)
        assert verifier.authenticate(request(known))
        background_refreshes_end()
    assert verifier.authenticate(request(fresh))
    clock.set(NOW + 4_500)
    for token in (known, fresh, mint(issuer)):
        error, denial = denied(verifier, request(token))
        assert (type(error), error.status_code, error.error) == (TemporarilyUnavailable, 503, "temporarily_unavailable")
        assert int(header_of(denial.headers, "Retry-After") or 0) >= 1
    issuer.heal()
    clock.advance(30)
    assert verifier.authenticate(request(known))


def test_the_stated_time_follows_the_settings(issuer: Issuer, clock: Clock, make_verifier: MakeVerifier) -> None:
    """RFC 7517 5; checklist 89: without a grace time, keys die with their age."""
    verifier, token = make_verifier(jwks_max_age=10, jwks_stale=0), mint(issuer)
    assert verifier.authenticate(request(token))
    issuer.fail(503)
    clock.advance(10)
    assert refused(verifier, request(token)).status_code == 503


def test_an_outage_of_one_realm_is_none_for_another(issuer: Issuer, make_verifier: MakeVerifier) -> None:
    """RFC 8725 3.8; checklist 66, 89."""
    verifier = make_verifier(realms=["alpha", "beta"])
    issuer.fail(503, path="/realms/beta/.well-known/openid-configuration")
    assert refused(verifier, request(mint(issuer, realm="beta"))).status_code == 503
    assert verifier.authenticate(request(mint(issuer)))
