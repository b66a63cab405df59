"""Does memory stop growing? `python -m bench.soak`: a million requests, in process, most of them junk that strangers chose.

First as many agents come as are remembered. Then junk names keys, realms, token ids and proof keys that nobody has seen
before; agents come in between, with tokens and keys that are new or known. Simulated time passes at a hundred requests a
second, so that keys age, proofs lapse and cooldowns end, and the issuer rotates its key every now and then. It fails (exit
status 1) when an agent is not let in, when somebody else is, or when the process is larger in the second half than it ever
was in the first.

`--requests 20000 --shrink 50` is the same with memories a fiftieth as large, so that they are full as early.
"""

import argparse
import hashlib
import logging
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from strongdm_auth import Refused, Request, Verifier, dpop, flow, introspection, issuers, jose

from . import ours
from .minting import Client, Key, encode, encode_json
from .world import URL, World, bearer, bound

ISSUER = "https://id.example.com"
REALM = f"{ISSUER}/realms/alpha"
REQUESTS = 1_000_000
MARKS = (10, 25, 50, 75, 100)
#: What the peak of the second half may be above that of the first: garbage and fragments come and go.
MOST_GROWTH = 0.05
#: Requests per simulated second.
RATE = 100
#: Agents that come again and again.
REGULARS = 200
_STATM = Path("/proc/self/statm")

Headers = Mapping[str, str]


class Soak:
    """One verifier, one issuer in the same process, and everybody who knocks."""

    def __init__(self, seed: int = 1) -> None:
        self.now = 1_800_000_000.0
        self.fetches = 0
        self._random = random.Random(seed)
        self._number = 0
        self._world = World()
        self._world.issuer = REALM
        settings = {**ours.settings(self._world), "issuer": ISSUER, "introspection": "fallback"}
        self.verifier = Verifier(
            client=httpx.Client(transport=httpx.MockTransport(self._answer)),
            clock=lambda: self.now,
            client_id="soak",
            client_secret="soak",
            **settings,
        )
        self._clients = [Client() for _ in range(REGULARS)]
        self._regulars: list[tuple[str, Client | None]] = []
        self._used: list[Headers] = []
        self._thief = Client()
        self.kinds: list[tuple[str, int, bool, Callable[[], Headers]]] = [
            # what comes, its share in percent, whether it is to be let in
            ("agent, token known", 10, True, lambda: self._regular(bound_to_key=False)),
            ("agent, token new", 15, True, lambda: bearer(self._world.token("EdDSA", at=self.now))),
            ("agent, DPoP, known", 8, True, self._proving_regular),
            ("agent, DPoP, token and key new", 8, True, self._newcomer),
            ("unknown kid", 16, False, lambda: bearer(self._junk(REALM, f"unknown-{self._next()}"))),
            (
                "invented realm",
                12,
                False,
                lambda: bearer(self._junk(f"{ISSUER}/realms/invented-{self._next()}", "any")),
            ),
            ("forged, kid known", 5, False, lambda: bearer(self._junk(REALM, "key-eddsa"))),
            ("opaque", 3, False, lambda: bearer(f"opaque-{self._next()}-{self._random.random()}")),
            ("cut short", 6, False, lambda: bearer(self._junk(REALM, f"{self._next()}").rpartition(".")[0])),
            ("too long", 1, False, lambda: bearer("x" * 20_000 + str(self._next()))),
            ("stolen token, no proof", 4, False, lambda: self._stolen(None)),
            ("stolen token, new proof key", 8, False, lambda: self._stolen("own")),
            ("stolen token, unsigned proof", 3, False, lambda: self._stolen("unsigned")),
            ("replayed proof", 1, False, self._replayed),
        ]

    def fill(self) -> None:
        """As many agents as are remembered, each with a token and a key of its own."""
        self.rotate()
        for _ in range(max(flow.TOKENS_REMEMBERED, dpop.KEYS_REMEMBERED)):
            if self.knock(self._newcomer()) != "in":
                raise AssertionError("an agent was not let in")

    def rotate(self) -> None:
        """The issuer signs with a new key from now on; the regulars come for new tokens a while later."""
        self._world.keys["EdDSA"] = Key("EdDSA")
        self.now += 60  # the cooldown is over: the next token makes the verifier fetch
        self._regulars = [(self._world.token("EdDSA", at=self.now), None) for _ in self._clients]
        self._regulars += [(self._world.token("EdDSA", client, at=self.now), client) for client in self._clients]
        self._used.clear()
        self.verifier.authenticate(Request("GET", URL, bearer(self._world.token("EdDSA", at=self.now))))

    def knock(self, headers: Headers) -> str:
        """`in`, or the status of the refusal."""
        self.now += 1 / RATE
        try:
            self.verifier.authenticate(Request("GET", URL, headers))
        except Refused as refusal:
            return str(refusal.status_code)
        return "in"

    def remembered(self) -> str:
        """How full the memories are."""
        server = self.verifier._server
        sizes = {
            "tokens": len(server.verified),
            "proof keys": len(server.proofs._known),
            "answers": len(server.introspection._answers),
            "proofs": len(server.replay or ()),
            "realms": len(server.issuers),
        }
        return ", ".join(f"{size:,} {name}" for name, size in sizes.items())

    # The issuer

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.fetches += 1
        url = str(request.url)
        if request.method == "POST":
            return httpx.Response(200, json={"active": False})
        if url == f"{REALM}/jwks":
            return httpx.Response(200, json=self._world.jwks())
        if url in (f"{place}/.well-known/openid-configuration" for place in (ISSUER, REALM)):
            issuer = url.removesuffix("/.well-known/openid-configuration")
            document = {
                "issuer": issuer,
                "jwks_uri": f"{issuer}/jwks",
                "introspection_endpoint": f"{ISSUER}/introspect",
            }
            return httpx.Response(200, json=document)
        return httpx.Response(404)

    # Who comes

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _junk(self, issuer: str, kid: str) -> str:
        claims = {
            "iss": issuer,
            "sub": "x",
            "aud": "x",
            "iat": int(self.now),
            "exp": int(self.now) + 600,
            "jti": self._next(),
        }
        return f"{encode_json({'alg': 'EdDSA', 'kid': kid})}.{encode_json(claims)}.{'A' * 86}"

    def _regular(self, *, bound_to_key: bool) -> Headers:
        token, client = self._regulars[self._random.randrange(REGULARS) + REGULARS * bound_to_key]
        return bearer(token) if client is None else bound(token, self._proof(client, token))

    def _proving_regular(self) -> Headers:
        headers = self._regular(bound_to_key=True)
        self._used = [*self._used[-20:], headers]
        return headers

    def _newcomer(self) -> Headers:
        client = Client()
        token = self._world.token("EdDSA", client, at=self.now)
        return bound(token, self._proof(client, token))

    def _stolen(self, proof: str | None) -> Headers:
        token, client = self._regulars[REGULARS + self._random.randrange(REGULARS)]
        if proof is None:
            return bearer(token)
        if client is None or proof == "own":
            client = self._thief = Client() if self._number % 50 == 0 else self._thief
        # What is in `x` makes each header one that was never seen, as another key does, and costs less to make.
        header = encode_json({"typ": "dpop+jwt", "alg": "ES256", "jwk": client.key.jwk, "x": self._next()})
        ath = encode(hashlib.sha256(token.encode()).digest())
        claims = {"jti": f"{self._next()}", "htm": "GET", "htu": URL, "iat": int(self.now), "ath": ath}
        return bound(token, f"{header}.{encode_json(claims)}.{'A' * 86}")

    def _replayed(self) -> Headers:
        return self._used[self._random.randrange(len(self._used))] if self._used else self._stolen(None)

    def _proof(self, client: Client, token: str) -> str:
        return client.proof("GET", URL, token, iat=int(self.now))


def resident() -> float:
    """Megabytes of this process that are in memory; where that cannot be read, the most that ever were."""
    try:
        return int(_STATM.read_text().split()[1]) * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def shrink(by: int) -> None:
    """Make the memories smaller, so that a short soak fills them, too."""
    for module, name in (
        (flow, "TOKENS_REMEMBERED"),
        (jose, "LOADED_KEYS"),
        (dpop, "KEYS_REMEMBERED"),
        (introspection, "MOST_ANSWERS"),
        (issuers, "MOST_UNPROVEN_REALMS"),
    ):
        setattr(module, name, max(2, getattr(module, name) // by))


class Record:
    """What came of the requests so far, and how large the process was."""

    def __init__(self, soak: Soak, requests: int) -> None:
        self._soak, self._requests = soak, requests
        self._marks = {requests * mark // 100 for mark in MARKS}
        self._since = time.monotonic()
        self.results: Counter[tuple[str, str]] = Counter()
        #: The largest that the process was, in either half.
        self.peaks = [0.0, 0.0]
        print(f"{'done':>6} {'requests':>10} {'RSS MB':>8} {'fetches':>8} {'seconds':>8}")
        self._row(0, "empty")
        soak.fill()
        self._row(0, "full")

    def add(self, number: int, kind: str, result: str) -> None:
        """The request with this number is over."""
        self.results[kind, result] += 1
        if number % max(self._requests // 1_000, 1) == 0:
            half = number > self._requests // 2
            self.peaks[half] = max(self.peaks[half], resident())
        if number in self._marks:
            self._row(number, f"{100 * number // self._requests}%")

    def _row(self, number: int, done: str) -> None:
        passed = time.monotonic() - self._since
        print(f"{done:>6} {number:>10,} {resident():>8.1f} {self._soak.fetches:>8,} {passed:>8.0f}", flush=True)


def run(requests: int) -> int:
    """Soak, print what came of it; the exit status."""
    soak, drawn = Soak(), random.Random(2)
    record = Record(soak, requests)
    shares = [share for _, share, _, _ in soak.kinds]
    for number in range(1, requests + 1):
        if number % max(requests // 10, 1) == 1:
            soak.rotate()
        ((name, _, _, make),) = drawn.choices(soak.kinds, shares)
        record.add(number, name, soak.knock(make()))
    print()
    wrong = 0
    for name, _, good, _ in soak.kinds:
        results = {result: count for (kind, result), count in sorted(record.results.items()) if kind == name}
        wrong += sum(count for result, count in results.items() if (result == "in") != good)
        print(f"{name:<32} " + ", ".join(f"{result} {count:,}" for result, count in results.items()))
    growth = record.peaks[1] / record.peaks[0] - 1
    print(f"\nremembered: {soak.remembered()}")
    print(f"wrong: {wrong}; peak of the second half: {growth:+.1%} of the first's (limit {MOST_GROWTH:+.0%})")
    return int(wrong > 0 or growth > MOST_GROWTH)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument(
        "--shrink", type=int, default=1, metavar="TIMES", help="make every memory so many times smaller"
    )
    arguments = parser.parse_args()
    logging.getLogger("strongdm_auth").setLevel(logging.CRITICAL)  # each invented realm that is looked up leaves a line
    shrink(arguments.shrink)
    return run(arguments.requests)


if __name__ == "__main__":
    sys.exit(main())
