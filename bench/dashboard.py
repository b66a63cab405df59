"""The picture in docs/audit.md: what an API's metrics show in an hour in which much goes wrong. `python -m bench.dashboard`

Not drawn by hand: an hour of requests in a few seconds, on a clock that is told the time, through a real verifier, counted
as the OpenTelemetry observer counts. Needs matplotlib.
"""

import random
from collections import Counter
from pathlib import Path

import httpx
import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

from strongdm_auth import Decision, Exchange, Refused, Request, Requirement, Verifier
from strongdm_auth.testing import Clock, DPoPKey, Issuer

PICTURE = Path(__file__).parents[1] / "docs" / "img" / "dashboard.svg"
AUDIENCE, URL = "https://api.example.com", "https://api.example.com/notes"
MINUTES, TURNS = 60, 6
COLOURS = {"admitted": "#2da44e", "refused": "#bf8700", "unavailable": "#cf222e"}


class Hour:
    """Ten agents, a thief who overheard one of them, a stranger who tries his luck, and an issuer that falls over."""

    def __init__(self) -> None:
        self.clock, self.chance, self.minute = Clock(), random.Random(9), 0
        self.issuer = Issuer(realms=("acme", "mallory"), clock=self.clock)
        self.told: list[tuple[int, Decision | Exchange]] = []
        self.verifier = Verifier(
            issuer=self.issuer.url,
            realms="acme",
            audience=AUDIENCE,
            clock=self.clock,
            client=httpx.Client(transport=self.issuer.transport()),
            jwks_max_age=120,
            jwks_stale=180,
            on_event=lambda event: self.told.append((self.minute, event)),
        )
        self.keys = [DPoPKey.generate() for _ in range(10)]

    def pass_by(self) -> None:
        for self.minute in range(MINUTES):
            if self.minute == 22:
                self.issuer.rotate("acme")
            for _ in range(TURNS):
                self.clock.advance(60 / TURNS)
                self.turn()

    def turn(self) -> None:
        if 40 <= self.minute < 52:
            self.issuer.fail(path="/jwks")
            self.issuer.fail(path="/.well-known/openid-configuration")
        else:
            self.issuer.heal()
        for number, key in enumerate(self.keys):
            scopes = [] if number == 9 and self.chance.random() < 0.3 else ["notes:read"]
            lifetime = -60 if number == 7 and self.chance.random() < 0.5 else 300
            token = self.token(number, key, scopes=scopes, lifetime=lifetime)
            overheard = self.ask(token, key.proof("GET", URL, token, now=self.clock()))
            if number == 3 and 10 <= self.minute < 16:
                self.verify(overheard)
            if number == 3 and self.minute == 18:
                self.ask(token, None)
        for _ in range(self.chance.randrange(10, 25) if 28 <= self.minute < 36 else 0):
            self.ask(self.issuer.token("root", realm="mallory", audience=AUDIENCE), None)
            self.ask(self.token(1, None)[:-8] + "AAAAAAAA", None)

    def token(self, number: int, key: DPoPKey | None, **made: object) -> str:
        return self.issuer.token(f"cli_{number}", realm="acme", audience=AUDIENCE, key=key, **made)  # type: ignore[arg-type]

    def ask(self, token: str, proof: str | None) -> Request:
        headers = {"Authorization": f"{'Bearer' if proof is None else 'DPoP'} {token}"}
        request = Request("GET", URL, headers if proof is None else headers | {"DPoP": proof})
        self.verify(request)
        return request

    def verify(self, request: Request) -> None:
        try:
            self.verifier.authorize(request, Requirement(scopes="notes:read"))
        except Refused:
            return


def draw(hour: Hour) -> None:
    decisions = [(minute, event) for minute, event in hour.told if isinstance(event, Decision)]
    mpl.rcParams.update(
        {"svg.hashsalt": "dashboard", "font.size": 9, "svg.fonttype": "none", "font.family": "sans-serif"}
    )
    figure, (above, below) = plt.subplots(2, 1, figsize=(7.6, 6.4), sharex=True, layout="constrained")
    outcomes = Counter((minute, event.outcome) for minute, event in decisions)
    series = [[outcomes[minute, outcome] for minute in range(MINUTES)] for outcome in COLOURS]
    above.stackplot(range(MINUTES), series, labels=COLOURS, colors=COLOURS.values(), step="mid", alpha=0.85)
    above.set_ylabel("decisions a minute")
    above.set_title("outcome", loc="left")
    reasons = Counter((event.reason, minute) for minute, event in decisions if event.outcome != "admitted")
    names = sorted({reason for reason, _ in reasons}, reverse=True)
    for row, name in enumerate(names):
        minutes = [minute for minute in range(MINUTES) if reasons[name, minute]]
        sizes = [4 + 3 * reasons[name, minute] ** 0.5 * 4 for minute in minutes]
        colour = COLOURS["unavailable" if name.startswith("keys") else "refused"]
        below.scatter(minutes, [row] * len(minutes), s=sizes, color=colour)
    below.set_yticks(range(len(names)), names)
    below.set_ylim(-0.6, len(names) - 0.4)
    below.set_title("reason; a dot is larger where there are more", loc="left")
    below.set_xlabel("minute")
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    above.legend(loc="upper left", frameon=False, ncols=3)
    stories = {
        8: "proofs\nreplayed",
        18: "a stolen\ntoken",
        23: "keys\nrotated",
        32: "strangers\ntry",
        46: "the issuer\nis away",
    }
    for minute, story in stories.items():
        above.annotate(story, (minute, 82 if minute != 32 else 300), ha="center", color="#57606a")
    above.set_ylim(0, 390)
    figure.savefig(PICTURE, facecolor="white", bbox_inches="tight", metadata={"Date": None})


if __name__ == "__main__":
    hour = Hour()
    hour.pass_by()
    draw(hour)
