"""Refusals that need no signature check: how little an attacker can make us work.

The row's figure is `authenticate` up to the exception; what it takes to render the answer stands beside it.
"""

import time
from collections.abc import Callable, Mapping

from strongdm_auth import Request, Verifier
from strongdm_auth.errors import Refused

from . import ours
from .floor import NAME as FLOOR
from .floor import floor
from .minting import Client
from .record import Figure, Row
from .targets import BY_KEY
from .timing import Batch, Contender, measure
from .world import URL, World, bearer, bound

Headers = Mapping[str, str]


def row(world: World, *, rounds: int) -> Row:
    """Five refusals against the ES256 floor, and the worst of them with its answer."""
    verifier = Verifier(**ours.settings(world) | {"jwks_cooldown": 3_600})  # an unknown kid fetches once, and not again
    agent = Client()
    token = world.token("ES256", agent)
    verifier.authenticate(Request("GET", URL, bound(token, agent.proof("GET", URL, token))))
    cases: dict[str, Callable[[], Headers]] = {
        "unknown kid": lambda: bearer(world.token(kid="nobody-knows")),
        "untrusted issuer": lambda: bearer(world.token(issuer="https://elsewhere.example.com")),
        "wrong htu": lambda: bound(token, agent.proof("GET", "http://127.0.0.1:8000/other", token)),
        "wrong ath": lambda: bound(token, agent.proof("GET", URL, token + "x")),
        "expired proof": lambda: bound(token, agent.proof("GET", URL, token, iat=int(time.time()) - 600)),
    }
    for headers in cases.values():
        _expect_refusal(verifier, headers())  # the fetch that an unknown kid may force is over
    contenders = [floor(agent.key, 480)]
    contenders += [_refused(name, verifier, headers) for name, headers in cases.items()]
    contenders.append(_answered("wrong htu, answer rendered", verifier, cases["wrong htu"]))
    samples = measure(contenders, rounds=rounds, batch=40)
    figures = []
    for name in [*cases, "wrong htu, answer rendered"]:
        value, least = samples[name].over(samples[FLOOR])
        figures.append(Figure(name, value, "x", least, BY_KEY["refusals"].limit if name in cases else None))
    return Row("refusals", BY_KEY["refusals"].operation, figures, reference=BY_KEY["refusals"].reference)


def _expect_refusal(verifier: Verifier, headers: Headers) -> None:
    try:
        verifier.authenticate(Request("GET", URL, headers))
    except Refused:
        return
    raise AssertionError("a bad request was let in")


def _refused(name: str, verifier: Verifier, headers: Callable[[], Headers]) -> Contender:
    def prepare(count: int) -> Batch:
        inputs = [headers() for _ in range(count)]

        def run() -> None:
            for one in inputs:
                _expect_refusal(verifier, one)

        return run

    return Contender(name, prepare)


def _answered(name: str, verifier: Verifier, headers: Callable[[], Headers]) -> Contender:
    def prepare(count: int) -> Batch:
        inputs = [headers() for _ in range(count)]

        def run() -> None:
            for one in inputs:
                try:
                    verifier.authenticate(Request("GET", URL, one))
                except Refused as refusal:
                    verifier.denial(refusal)

        return run

    return Contender(name, prepare)
