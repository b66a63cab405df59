"""The targets, and the figures of an earlier study (Python 3.12, another machine), which stand in the table for orientation."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One row: what is to be reached, and what is known of others."""

    key: str
    operation: str
    limit: float
    #: The study's figures: by hand / best peer / the middleware published with the service ("seed").
    reference: str


TARGETS = (
    Target(
        "dpop",
        "DPoP request: access token seen before + fresh ES256 proof, replay check included",
        1.20,
        "by hand 1.12, auth0-api-python 5.6, seed 6.7",
    ),
    Target("unseen-es256", "access token never seen, ES256", 1.30, "by hand 1.16, joserfc 1.6, PyJWT 2.6, seed 3.3"),
    Target(
        "unseen-rs256",
        "access token never seen, RS256",
        1.9,
        "by hand 1.5, Authlib 2.3, PyJWT 7.3, auth0 8.1, seed 10.2",
    ),
    Target("unseen-eddsa", "access token never seen, EdDSA", 1.25, "by hand 1.10, joserfc 1.4, seed 2.6"),
    Target("flask", "Bearer seen before, added by the Flask door to a bare view", 8.0, "by hand 2.7 us, seed 300 us"),
    Target(
        "asgi",
        "Bearer seen before, added by the ASGI door",
        8.0,
        "by hand 3.3 us (Starlette), 7 us (FastAPI), authgent 640 us",
    ),
    Target(
        "fastapi",
        "FastAPI `Security(auth, ...)`, added to an empty async dependency",
        12.0,
        "by hand 7 us, auth0-fastapi-api 320 us",
    ),
    Target("django", "Django door, added to a bare view", 10.0, "by hand 1 us"),
    Target(
        "http",
        "requests/s of a protected FastAPI route, of the bare route",
        0.93,
        "by hand 0.98 / 0.54, auth0 0.29 / 0.17, seed (Flask) 0.37 / 0.22",
    ),
    Target(
        "refusals", "refusals that need no signature, of the ES256 floor", 0.20, "by hand 0.06, peers 2.5 to 3, seed 3"
    ),
    Target("growth", "cost with 100,000 distinct tokens / client keys, against 1", 1.25, "by hand 1.14"),
    Target(
        "replay",
        "longest single operation with 1,000,000 replay entries expiring at once",
        2.0,
        "by hand 0.02 ms, TTLCache 800 to 1,000 ms, pydpop 27 ms a call",
    ),
    Target(
        "memory",
        "memory a replay entry / a cached token",
        250.0,
        "by hand 108 / 589 B, TTLCache 338 / 2,997 B",
    ),
    Target("imports", "CPU time to import, on top of the framework's own", 0.0, "-"),
)
BY_KEY = {target.key: target for target in TARGETS}
