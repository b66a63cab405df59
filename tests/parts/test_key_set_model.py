"""`IssuerKeys` against an obvious model of it: any order of flights that begin, are lost, come back late or never, on a clock
that goes forwards and backwards. The same examples in every run.
"""

from dataclasses import dataclass, field

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from strongdm_auth.jose import VerificationKey, import_public_key
from strongdm_auth.keys import CLOCK_JITTER, MOST_CANDIDATES, MOST_WAITING, Flight, IssuerKeys
from strongdm_auth.testing import SigningKey

MAX_AGE, STALE, COOLDOWN, FLIGHT_TIME = 900.0, 3600.0, 30.0, 11.0
#: name -> (algorithm, kid): several with one kid, more than may be tried for one token; some with none.
KINDS = {
    "a": ("EdDSA", "1"),
    "b": ("EdDSA", "1"),
    "c": ("EdDSA", "1"),
    "d": ("EdDSA", "1"),
    "e": ("EdDSA", "1"),
    "f": ("EdDSA", "2"),
    "g": ("ES256", "2"),
    "h": ("ES256", "3"),
    "i": ("ES256", None),
}
JWKS = {name: {**SigningKey.generate(alg).public_jwk(), "kid": kid} for name, (alg, kid) in KINDS.items()}
NAMES = {import_public_key(jwk).thumbprint: name for name, jwk in JWKS.items()}
_SETS = st.lists(st.sampled_from(sorted(JWKS)), min_size=1, max_size=len(JWKS), unique=True)
_STEPS = st.sampled_from([0.0, 0.5, 1.0, 10.5, 11.0, 29.5, 30.0, 61.0, 839.0, 900.0, 3599.5, 3600.0, 4500.0])
_STEPS_BACK = st.sampled_from([0.5, 1.0, 11.0, 30.0, 60.0, 60.5, 900.0, 86_400.0])
_WHICH = st.integers(0, 3)


@dataclass
class Known:
    """What the model knows of one flight."""

    flight: Flight
    begun_at: float
    settled: bool = False
    ended: bool = False
    waiting: int = 0
    forced: bool = False


@dataclass
class Model:
    """What anybody would say of a key set, without a thought of locks and of speed."""

    names: list[str] = field(default_factory=list)
    learned_at: float | None = None
    #: The number of the flight that the names came with; flights are numbered from 1.
    learned: int = 0
    failed_at: float | None = None
    forced_at: float | None = None
    #: The one flight that counts; one that is lost or over does not.
    current: Known | None = None
    given_up: bool = False
    unknown_to_issuer: bool = False


def _left(since: float | None, now: float) -> float:
    """Seconds of the cooldown that are left; none where the clock stands before its beginning."""
    return max(since + COOLDOWN - now, 0.0) if since is not None and since <= now else 0.0


class KeySet(RuleBasedStateMachine):
    """Each rule does one thing to both, and compares what they say to it; the invariants compare all else after each."""

    def __init__(self) -> None:
        super().__init__()
        times = {"max_age": MAX_AGE, "stale": STALE, "cooldown": COOLDOWN, "flight_time": FLIGHT_TIME}
        self.keys = IssuerKeys("https://id.example.com", None, **times)
        self.model = Model()
        self.now = 1_800_000_000.0
        self.flights: list[Known] = []
        #: Every key that was ever found, and the object that it was found as while it stayed.
        self.seen: dict[str, VerificationKey] = {}
        self.gone: list[VerificationKey] = []
        #: When fetches were forced, since the clock was last set back.
        self.forced: list[float] = []

    # What the world does

    @rule(seconds=_STEPS)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=_STEPS_BACK)
    def the_clock_is_set_back(self, seconds: float) -> None:
        self.now -= seconds
        self.forced.clear()

    @rule(forced=st.booleans())
    def begin(self, forced: bool) -> None:
        model = self.model
        refused = self._under_way() or _left(model.failed_at, self.now) or (forced and _left(model.forced_at, self.now))
        flight = self.keys.begin(self.now, forced=forced)
        assert (flight is None) == bool(refused)
        if flight is None:
            return
        assert not flight.landed.done()
        model.current = Known(flight, self.now, forced=forced)
        self.flights.append(model.current)
        if forced:
            model.forced_at = self.now
            assert all(self.now - earlier >= COOLDOWN for earlier in self.forced), "a token may force one a cooldown"
            self.forced.append(self.now)

    @rule(times=st.sampled_from([1, 50, MOST_WAITING]))
    def join(self, times: int) -> None:
        current = self.model.current
        for _ in range(times):
            flight = self.keys.join(self.now)
            if current is None or not self._under_way() or current.waiting == MOST_WAITING:
                assert flight is None
                return
            assert flight is current.flight
            current.waiting += 1

    @precondition(lambda self: any(not known.settled for known in self.flights))
    @rule(which=_WHICH, names=_SETS)
    def learn(self, which: int, names: list[str]) -> None:
        known, number = self._unsettled(which)
        model = self.model
        changed = self.keys.learn(
            known.flight, [import_public_key(JWKS[name]) for name in names], f"https://{number}", self.now
        )
        if number < model.learned:
            assert not changed, "an older set replaced a newer one"
            return
        assert changed == (set(names) != set(model.names))
        known.settled, model.unknown_to_issuer = True, False
        model.names, model.learned, model.learned_at, model.failed_at = names, number, self.now, None
        assert self.keys.jwks_uri == f"https://{number}"

    @precondition(lambda self: any(not known.settled for known in self.flights))
    @rule(which=_WHICH, unknown=st.booleans())
    def failed(self, which: int, unknown: bool) -> None:
        known, number = self._unsettled(which)
        self.keys.failed(known.flight, self.now, unknown_to_issuer=unknown)
        known.settled = True
        if number > self.model.learned:
            self.model.failed_at, self.model.unknown_to_issuer = self.now, unknown

    @precondition(lambda self: any(not known.ended for known in self.flights))
    @rule(which=_WHICH)
    def end(self, which: int) -> None:
        open_ones = [known for known in self.flights if not known.ended]
        known = open_ones[which % len(open_ones)]
        self.keys.end(known.flight)
        known.ended, self.model.given_up = True, not known.flight.settled
        if self.model.current is known:
            self.model.current = None
            if known.forced and not known.settled:  # given up: it does not count
                self.model.forced_at = None
                self.forced.clear()

    @rule()
    def retire(self) -> None:
        self.keys.retire()
        self.model.names, self.model.learned_at = [], None

    # What must hold then

    @invariant()
    def it_says_what_the_model_says(self) -> None:
        model, keys, now = self.model, self.keys, self.now
        age = None if model.learned_at is None else now - model.learned_at
        assert keys.usable(now) == (age is not None and age < MAX_AGE + STALE)
        assert keys.fresh(now) == (age is not None and -CLOCK_JITTER <= age < MAX_AGE)
        assert keys.fetching(now) == self._under_way()
        assert keys.wait_after_failure(now) == _left(model.failed_at, now)
        assert (keys.fetches, keys.given_up, keys.unknown_to_issuer) == (
            model.learned,
            model.given_up,
            model.unknown_to_issuer,
        )

    @invariant()
    def it_finds_the_keys_of_the_newest_set_and_no_others(self) -> None:
        for alg in ("EdDSA", "Ed25519", "ES256", "RS256"):
            fitting = [name for name in self.model.names if KINDS[name][0] == alg.replace("Ed25519", "EdDSA")]
            for kid in ("1", "2", "3", "4", ""):
                expected = [name for name in fitting if KINDS[name][1] == kid][:MOST_CANDIDATES]
                assert self._names(self.keys.find(kid, alg)) == expected
            assert self._names(self.keys.find(None, alg)) == (fitting if len(fitting) <= MOST_CANDIDATES else [])

    @invariant()
    def a_key_is_live_while_it_stays_and_never_again(self) -> None:
        for name in [name for name in self.seen if name not in self.model.names]:
            self.gone.append(self.seen.pop(name))
        assert all(key.live for key in self.seen.values())
        assert not any(key.live for key in self.gone)

    @invariant()
    def who_waits_is_told_when_a_flight_is_over(self) -> None:
        assert all(known.flight.landed.done() == known.ended for known in self.flights)

    def _names(self, found: tuple[VerificationKey, ...]) -> list[str]:
        names = [NAMES[key.thumbprint] for key in found]
        for name, key in zip(names, found, strict=True):
            assert self.seen.setdefault(name, key) is key, "a key that stays keeps its identity"
        return names

    def _under_way(self) -> bool:
        current = self.model.current
        return current is not None and abs(self.now - current.begun_at) < FLIGHT_TIME

    def _unsettled(self, which: int) -> tuple[Known, int]:
        """One of the flights that have not come back, and its number; a late one as well as the last."""
        out = [(known, number) for number, known in enumerate(self.flights, 1) if not known.settled]
        return out[-1 - which % len(out)]


KeySet.TestCase.settings = hypothesis.settings(
    max_examples=180, stateful_step_count=40, derandomize=True, deadline=None, database=None
)
test_the_key_set_does_what_the_model_does = KeySet.TestCase
