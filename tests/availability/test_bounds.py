"""Whatever remembers has a bound, and a flood does not get past it.

Every container that outlives a request, in floors 0 to 4, and what bounds it:

    ResourceServer.verified          flow.TOKENS_REMEMBERED          verified tokens; one is at most max_token_bytes long
    ResourceServer._headers_known    flow.HEADERS_REMEMBERED         their headers; LONGEST_HEADER_REMEMBERED each
    ProofRules._known                dpop.KEYS_REMEMBERED            keys of proofs that held; the same length
    MemoryReplayStore._shards        replay.SHARDS                   made once
    _Shard.seen, .old                replay.CAPACITY / SHARDS, each  used proofs, 16 bytes; a quarter on top for chance
    _Shard.counts, .old_counts       as many as proofs               one number an owner
    Introspection._answers           introspection.MOST_ANSWERS      the issuer's own answers
    Introspection._answers[]         http.MOST_REPLY_BYTES           the members of one of them
    Introspection._questions         introspection.MOST_QUESTIONS    gone when they are answered
    Introspection._asking            introspection.MOST_QUESTIONS    as above
    Revocations.until                revocation.MOST_REVOCATIONS     hashes; twice that where a shared list adds its own
    Issuers._fixed                   the setting `realms`            made once
    Issuers._bundles                 the setting `trust_domains`     made once
    Workloads._verified              workloads.SVIDS_REMEMBERED      verified JWT-SVIDs; as long as a token at most
    Receiver._done, ._shares         receiving._REMEMBERED, each     SETs of the issuers, by hash; realms that sent any
    Issuers._proven                  issuers.MOST_REALMS             realms that the issuer itself has keys for
    Issuers._unproven                issuers.MOST_UNPROVEN_REALMS    realms that only tokens speak of
    IssuerKeys._fitting              keys.MOST_KEYS                  times the algorithms of a key; `_keys` beside it
    AccessToken._claims              max_token_bytes                 the parsed claims, once a route has read them
    AsyncHTTP._own                   one an event loop               those of closed loops are dropped by the next one
    AsyncDriver._tasks               one an issuer that is refreshed single flight; and one for the list of revocations
    RouteTable._known                routes.PATHS_REMEMBERED         paths of LONGEST_REMEMBERED at most
    RouteTable._protected, ...       the app's route table           made once
    _Server._options                 the URL of the store            made once
    AsyncRedisStore._clients         one an event loop               connections: MOST_CONNECTIONS
    Flight.landed, Question.landed   keys.MOST_WAITING               who waits for an answer; gone when it is there
    jose._loaded                     jose.LOADED_KEYS                keys in OpenSSL's form, of all verifiers
    headers._encoded                 64 (lru_cache)                  what admissions add to answers
    claims._alone, ._split_scope     1,024 (lru_cache), each         of tokens that were verified
    delegation._expression           1,024 (lru_cache)               the app's own patterns

All else at the level of a module is a constant table, which nothing writes to after the import. The tests walk over a
verifier that was flooded and over the modules: what is not in the table makes them fail, and so does what is over its bound.
A bound too large to fill in a test is made small for it; why its own value is affordable stands beside the constant.
"""

import functools
import importlib
import importlib.util
import types
from collections import deque
from collections.abc import Iterator, MutableMapping, MutableSequence, MutableSet
from contextlib import suppress
from typing import Any

import httpx
import pytest

from strongdm_auth import (
    AsyncVerifier,
    Refused,
    Request,
    Verifier,
    dpop,
    flow,
    introspection,
    issuers,
    jose,
    keys,
    revocation,
)
from strongdm_auth.errors import TemporarilyUnavailable
from strongdm_auth.memo import Memo
from strongdm_auth.replay import SHARDS, MemoryReplayStore
from strongdm_auth.routes import LONGEST_REMEMBERED, PATHS_REMEMBERED, RouteTable
from strongdm_auth.testing import Clock, DPoPKey, Issuer, unsigned_token
from strongdm_auth.testing.keys import access_token_hash
from tests.conftest import AUDIENCE, URL, request
from tests.parts.test_floors import FLOOR_OF
from tests.parts.world import settle

#: Small enough for a flood of a test to fill.
TOKENS, PROOF_KEYS, ANSWERS, REALMS, UNPROVEN, REVOCATIONS, PROOFS = 60, 30, 40, 6, 12, 20, 4 * SHARDS
HEADERS, LOADED = 4, 10
REAL_REALMS = 20
A_SHARD = PROOFS // SHARDS + PROOFS // (4 * SHARDS) + 1

#: Container -> its bound while the constants are patched as above.
BOUNDS: dict[str, int] = {
    "ResourceServer.verified": TOKENS,
    "ResourceServer._headers_known": HEADERS,
    "ProofRules._known": PROOF_KEYS,
    "MemoryReplayStore._shards": SHARDS,
    "_Shard.seen": A_SHARD,
    "_Shard.old": A_SHARD,
    "_Shard.counts": A_SHARD,
    "_Shard.old_counts": A_SHARD,
    "Introspection._answers": ANSWERS,
    "Introspection._answers[]": 64,
    "Introspection._questions": introspection.MOST_QUESTIONS,
    "Introspection._asking": introspection.MOST_QUESTIONS,
    "Revocations.until": REVOCATIONS + 1,  # two hashes a token
    "Issuers._fixed": 1,
    "Issuers._bundles": 1,
    "Workloads._verified": 0,  # as no route of the flood asks for them
    "Receiver._done": 0,  # nor does an issuer of its own tell of anything
    "Receiver._shares": 0,
    "Issuers._proven": REALMS,
    "Issuers._unproven": UNPROVEN,
    "IssuerKeys._fitting": 7 * keys.MOST_KEYS,
    "AsyncHTTP._own": 1,
    "AsyncDriver._tasks": 1,
}
#: What the flood must fill, or nothing was shown.
FILLED = (
    "ResourceServer.verified",
    "ProofRules._known",
    "Introspection._answers",
    "Issuers._proven",
    "Issuers._unproven",
)

_CONTAINERS = (MutableMapping, MutableSequence, MutableSet, Memo)


def _attributes(value: object) -> Iterator[tuple[str, object]]:
    """Those of an instance, slots included."""
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    for name in [*slots, *getattr(value, "__dict__", {})]:
        if hasattr(value, name):
            yield name, getattr(value, name)


def _members(container: object) -> list[object]:
    if isinstance(container, Memo):
        return [member for _, inner in _attributes(container) for member in _members(inner)]
    if isinstance(container, MutableMapping):
        return list(container.values())
    return list(container) if isinstance(container, (MutableSequence, MutableSet, tuple)) else []


def sizes_of(root: object) -> dict[str, int]:
    """How much is in each container that can be reached from here through this package's own objects: the most, by name."""
    found: dict[str, int] = {}
    seen: set[int] = set()

    def visit(value: object, name: str) -> None:
        if isinstance(value, _CONTAINERS):
            found[name] = max(found.get(name, 0), len(value))  # type: ignore[arg-type]
        if id(value) in seen:
            return
        seen.add(id(value))
        if isinstance(value, (tuple, *_CONTAINERS)):
            for member in _members(value):
                visit(member, name if isinstance(value, tuple) else f"{name}[]")
        elif type(value).__module__.startswith("strongdm_auth"):
            for attribute, inner in _attributes(value):
                visit(inner, f"{type(value).__name__}.{attribute}")

    visit(root, type(root).__name__)
    # Claims are JSON: what is in them is bounded by the token's length.
    return {name: size for name, size in found.items() if not name.startswith("AccessToken._claims")}


class Flood:
    """Everything that a stranger, or an agent that means ill, can choose: kids, realms, tokens, jtis, proof keys."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
        for module, name, small in (
            (flow, "TOKENS_REMEMBERED", TOKENS),
            (flow, "HEADERS_REMEMBERED", HEADERS),
            (jose, "LOADED_KEYS", LOADED),
            (dpop, "KEYS_REMEMBERED", PROOF_KEYS),
            (introspection, "MOST_ANSWERS", ANSWERS),
            (issuers, "MOST_REALMS", REALMS),
            (issuers, "MOST_UNPROVEN_REALMS", UNPROVEN),
            (revocation, "MOST_REVOCATIONS", REVOCATIONS),
        ):
            monkeypatch.setattr(module, name, small)
        monkeypatch.setattr(jose, "_loaded", deque())
        monkeypatch.setattr(flow, "MemoryReplayStore", lambda: MemoryReplayStore(PROOFS))
        self.clock = clock
        self._number = 0
        realms = [f"real-{number}" for number in range(REAL_REALMS)]
        self.issuer = Issuer(realms=("alpha", *realms), algorithms=("EdDSA",), clock=clock, token_lifetime=100_000)
        client = self.issuer.client("api", realm="alpha")
        settings: dict[str, Any] = {
            "issuer": self.issuer.url,
            "realms": "*",
            "audience": AUDIENCE,
            "introspection": "fallback",
            "client_id": client.client_id,
            "client_secret": client.client_secret,
        }
        transport = self.issuer.transport()
        self.verifier = Verifier(client=httpx.Client(transport=transport), clock=clock, **settings)
        self.looped: AsyncVerifier = self.verifier.for_event_loops(client=httpx.AsyncClient(transport=transport))
        self.claims = {"sub": "stranger", "aud": AUDIENCE, "iat": int(clock()), "exp": int(clock()) + 100_000}

    def send(self, asked: Request) -> int:
        """200, or the status of the refusal. Who gets in reads the claims."""
        try:
            assert self.verifier.authenticate(asked).claims
        except Refused as refusal:
            return refusal.status_code
        return 200

    def junk(self, realm: str, kid: str, **claims: object) -> str:
        """A token of a realm that nobody signed."""
        claims = {**self.claims, "iss": f"{self.issuer.url}/realms/{realm}", **claims}
        return unsigned_token({"alg": "EdDSA", "kid": kid}, claims, b"\x01" * 64)

    def of_strangers(self, number: int) -> None:
        """Everything that needs no credentials of the issuer's; of those that do, a bound token that was stolen."""
        victim, thief = DPoPKey.generate(), DPoPKey.generate()
        stolen = self.issuer.token(realm="alpha", audience=AUDIENCE, key=victim)
        claims = {"htm": "GET", "htu": URL, "iat": int(self.clock()), "ath": access_token_hash(stolen)}
        for _ in range(number):
            self._number += 1
            each = str(self._number)
            for token in (self.junk("alpha", f"unknown-{each}", jti=each), self.junk(f"invented-{each}", "any")):
                assert self.send(request(token)) in (401, 503)
            assert self.send(request(f"opaque-{each}")) == 401
            for key in (victim, thief):
                header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": {**key.public_jwk, "x5t": each}}
                unsigned = unsigned_token(header, {**claims, "jti": each}, b"\x01" * 64)
                assert self.send(request(stolen, unsigned)) == 401
            assert self.send(request(stolen, thief.proof("GET", URL, stolen, now=self.clock()))) == 401

    def of_agents(self, number: int) -> set[int]:
        """Agents with good tokens, each with a key of its own, some of whom send proofs as fast as they can."""
        statuses = set()
        for each in range(number):
            realm = f"real-{each % REAL_REALMS}"
            assert self.send(request(self.issuer.token(str(each), realm=realm, audience=AUDIENCE))) in (200, 503)
            key = DPoPKey.generate()
            token = self.issuer.token(str(each), realm="alpha", audience=AUDIENCE, key=key)
            for _ in range(8):
                proof = key.proof("GET", URL, token, now=self.clock())
                statuses.add(self.send(request(token, proof)))
        return statuses

    def sizes(self) -> dict[str, int]:
        return sizes_of(self.verifier) | sizes_of(self.looped)


@pytest.fixture
def flood(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Flood:
    return Flood(monkeypatch, clock)


def test_no_container_holds_more_than_its_bound_after_a_flood(flood: Flood) -> None:
    statuses = set()
    for _ in range(6):  # over several windows of proofs and cooldowns of realms
        statuses |= flood.of_agents(60)
        flood.of_strangers(30)
        for each in range(REVOCATIONS):
            with suppress(TemporarilyUnavailable):  # too many: it is not known, and says so
                flood.verifier.revoke(flood.junk("alpha", str(each), jti=str(flood.clock())))
        flood.clock.advance(60)
    settle()
    found = flood.sizes()
    over = {name: size for name, size in found.items() if size > BOUNDS.get(name, -1)}
    assert over == {}, "over its bound, or not in the table"
    assert set(BOUNDS) == set(found)
    assert {name: size for name in FILLED if (size := found[name]) < BOUNDS[name] // 2} == {}
    assert statuses == {200, 503}  # a store that is full lets nobody in on trust
    assert found["_Shard.seen"] == A_SHARD


def test_strangers_leave_nothing_behind_but_a_few_realms_and_answers(flood: Flood) -> None:
    """What fills a memory that agents need is only what an agent with a good token did."""
    assert flood.send(request(flood.issuer.token(realm="alpha", audience=AUDIENCE))) == 200
    before = flood.sizes()
    flood.of_strangers(200)
    after = flood.sizes()
    grown = {name for name, size in after.items() if size > before.get(name, 0)}
    assert grown <= {
        "Issuers._unproven",
        "Introspection._answers",
        "Introspection._answers[]",
        "ResourceServer.verified",
    }
    assert after["ResourceServer._headers_known"] == 1
    assert after["ResourceServer.verified"] <= 2  # the good token that the strangers had stolen


def test_a_stuffed_proof_header_counts_and_is_not_remembered(flood: Flood) -> None:
    key = DPoPKey.generate()
    token = flood.issuer.token(realm="alpha", audience=AUDIENCE, key=key)
    for length, remembered in ((2_000, 0), (10, 1)):
        proof = key.proof("GET", URL, token, now=flood.clock(), header={"stuffing": "x" * length})
        assert flood.send(request(token, proof)) == 200
        assert flood.sizes()["ProofRules._known"] == remembered


def test_a_key_set_of_the_issuer_s_has_a_bound_of_its_own(flood: Flood) -> None:
    for _ in range(4 * keys.MOST_KEYS):
        flood.issuer.rotate("alpha", keep_old=True)
        flood.issuer.signing_key("alpha")
    assert flood.send(request(flood.issuer.token(realm="alpha", audience=AUDIENCE))) == 503
    assert flood.sizes()["IssuerKeys._fitting"] == 0


def test_paths_that_strangers_choose_fill_no_route_table() -> None:
    table = RouteTable({"/api": {}, "/api/admin": {"scopes": ["admin"]}})
    for number in range(2 * PATHS_REMEMBERED):
        table.find(f"/api/{number}")
    table.find("/" + "x" * (LONGEST_REMEMBERED + 1))
    found = sizes_of(table)
    assert PATHS_REMEMBERED // 2 <= found.pop("RouteTable._known") <= PATHS_REMEMBERED
    assert found == {"RouteTable._protected": 2, "RouteTable._folded": 2, "RouteTable._exempt": 0}


def test_a_shared_store_keeps_nothing_of_requests_in_this_process() -> None:
    stores = pytest.importorskip("strongdm_auth.stores.redis", reason="redis is not installed")
    for made in (stores.RedisStore, stores.AsyncRedisStore):
        found = sizes_of(made("redis://127.0.0.1:1"))
        assert set(found) <= {f"{made.__name__}._options", f"{made.__name__}._clients"}
        assert found.get(f"{made.__name__}._clients", 0) == 0


# Modules


def _lower_modules() -> Iterator[types.ModuleType]:
    for name in sorted(set(FLOOR_OF)):
        if importlib.util.find_spec(f"strongdm_auth.{name}") is not None:  # else it is of the plan, and not there yet
            yield importlib.import_module(f"strongdm_auth.{name}")


def _module_containers() -> dict[str, int]:
    return {
        f"{module.__name__}.{name}": len(value)
        for module in _lower_modules()
        for name, value in vars(module).items()
        if isinstance(value, _CONTAINERS) and not name.startswith("__")
    }


def _module_caches() -> dict[str, Any]:
    return {
        f"{value.__module__}.{value.__name__}": value
        for module in _lower_modules()
        for value in vars(module).values()
        if isinstance(value, functools._lru_cache_wrapper) and value.__module__.startswith("strongdm_auth")
    }


def test_containers_of_modules_are_constant_tables_but_for_one_that_has_a_bound(flood: Flood) -> None:
    """And one of what the app itself made, which goes with it."""
    before = _module_containers()
    assert before
    assert {name for name in before if not name.rpartition(".")[2].isupper()} == {
        "strongdm_auth.jose._loaded",
        "strongdm_auth.forks._parts",
    }
    flood.of_strangers(20)
    flood.of_agents(20)
    after = _module_containers()
    assert {name for name, size in after.items() if size != before[name]} == {"strongdm_auth.jose._loaded"}
    assert after["strongdm_auth.jose._loaded"] == LOADED


def test_caches_of_functions_have_a_bound() -> None:
    sizes = {name: cache.cache_parameters()["maxsize"] for name, cache in _module_caches().items()}
    assert sizes == {
        "strongdm_auth.claims._alone": 1_024,
        "strongdm_auth.claims._split_scope": 1_024,
        "strongdm_auth.delegation._expression": 1_024,
        "strongdm_auth.headers._encoded": 64,
    }


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (flow, "TOKENS_REMEMBERED"),
        (flow, "HEADERS_REMEMBERED"),
        (jose, "LOADED_KEYS"),
        (dpop, "KEYS_REMEMBERED"),
        (introspection, "MOST_ANSWERS"),
        (issuers, "MOST_REALMS"),
        (issuers, "MOST_UNPROVEN_REALMS"),
        (keys, "MOST_KEYS"),
        (keys, "MOST_WAITING"),
        (revocation, "MOST_REVOCATIONS"),
    ],
)
def test_a_bound_has_its_reason_beside_it(module: types.ModuleType, name: str) -> None:
    assert module.__file__ is not None
    with open(module.__file__, encoding="utf-8") as file:
        lines = file.read().splitlines()
    (place,) = [number for number, line in enumerate(lines) if line.startswith(f"{name} = ")]
    assert lines[place - 1].startswith("#")
    assert len(lines[place - 1]) > 20
