"""Draws the pictures of docs/architecture.md: `python docs/press/drawings.py`. Standard library only; the same bytes each time.

A picture brings its own ground along and follows the reader's light or dark scheme, so that it is legible on any page.
"""

from collections.abc import Iterable
from html import escape
from pathlib import Path

IMAGES = Path(__file__).parents[1] / "img"
STYLE = """
:root { color-scheme: light dark }
.ground { fill: #fbfbf9; stroke: #d5d8d3 } .ink { fill: #1c2521 } .dim { fill: #5a655f } .line { stroke: #5a655f; fill: none }
.box { fill: #ffffff; stroke: #33403a } .soft { fill: #e3efe9; stroke: #2f7a5a } .stop { fill: #fbe9e4; stroke: #b0492b }
.world { fill: #e6edf7; stroke: #3c65a5 } .no { stroke: #b0492b; fill: none } .far { stroke: #3c65a5; fill: none }
.head { fill: #5a655f } .head-no { fill: #b0492b } .head-far { fill: #3c65a5 }
text { font: 13px system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif }
.dim { font-size: 11.5px } .strong { font-weight: 600 }
@media (prefers-color-scheme: dark) {
.ground { fill: #1d2220; stroke: #3b4540 } .ink { fill: #edf2ef } .dim { fill: #a9b5af } .line { stroke: #a9b5af }
.box { fill: #262d2a; stroke: #a9b5af } .soft { fill: #1f3a2e; stroke: #65c79b } .stop { fill: #43261d; stroke: #f0997c }
.world { fill: #202d42; stroke: #8db4f2 } .no { stroke: #f0997c } .far { stroke: #8db4f2 }
.head { fill: #a9b5af } .head-no { fill: #f0997c } .head-far { fill: #8db4f2 } }
"""
_HEADS = {"line": "head", "no": "head-no", "far": "head-far"}


class Drawing:
    """An SVG, put together from boxes, arrows and words."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.size, self.title, self.parts = (width, height), title, list[str]()

    def text(self, x: float, y: float, words: str, *, kind: str = "ink", anchor: str = "middle") -> None:
        self.parts.append(f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>')

    def box(self, x: float, y: float, width: float, height: float, lines: Iterable[str], *, kind: str = "box") -> None:
        """A box; its first line is strong, the others are dim."""
        self.parts.append(f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="7" class="{kind}"/>')
        words = list(lines)
        top = y + height / 2 - (len(words) - 1) * 8 + 4.5
        for number, line in enumerate(words):
            self.text(x + width / 2, top + number * 16, line, kind="dim" if number else "ink strong")

    def arrow(self, *points: tuple[float, float], kind: str = "line", dashed: bool = False) -> None:
        """A line through the points, with a head at the last one."""
        path = "M" + " L".join(f"{x:g} {y:g}" for x, y in points)
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        head = f'marker-end="url(#{_HEADS[kind]})"'
        self.parts.append(f'<path d="{path}" class="{kind}" stroke-width="1.4"{dashes} {head}/>')

    def rule(self, x1: float, y1: float, x2: float, y2: float) -> None:
        self.parts.append(
            f'<path d="M{x1:g} {y1:g} L{x2:g} {y2:g}" class="line" stroke-width="1" stroke-dasharray="2 4"/>'
        )

    def svg(self) -> str:
        width, height = self.size
        heads = "".join(
            f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
            f'<path d="M0 0 L8 4 L0 8 z" class="{name}"/></marker>'
            for name in _HEADS.values()
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img" aria-label="{escape(self.title)}">\n<title>{escape(self.title)}</title>\n<style>{STYLE}</style>\n'
            f'<defs>{heads}</defs>\n<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="10" class="ground"/>\n'
            + "\n".join(self.parts)
            + "\n</svg>\n"
        )


def story() -> Drawing:
    """What happens to a request, from credentials to a view."""
    d = Drawing(900, 720, "The story: eight steps from a request to an admission")
    d.text(120, 30, "refused", kind="dim")
    d.text(430, 30, "flow.py: no I/O, no clock", kind="dim")
    d.text(765, 30, "the world, met by a driver", kind="dim")
    steps = [
        (["1  credentials", "one scheme, one token"], "400 invalid_request, 401 unauthorized", ""),
        (["2  split", "read, believe nothing"], "401 token.malformed, token.type", "no JWT: ask the issuer"),
        (["3  issuer", "is it ours? before any fetch"], "401 token.issuer", ""),
        (["4  keys", "fresh, or ageing and refreshed meanwhile"], "503 keys.unavailable", "Fetch, Join, Background"),
        (["5  signature, then claims", "time, kind of token, audience"], "401 token.signature, token.audience", ""),
        (["6  binding", "bound is bound, whatever the scheme"], "401 token.bound, dpop.htu_mismatch", ""),
        (["7  first use", "last of all local checks"], "401 dpop.replayed, 503", "FirstUse"),
        (["8  revocation", "where it is asked for"], "401 token.revoked, 503", "Fetch, AskStore"),
    ]
    top, pitch, height = 50, 66, 46
    for number, (lines, refusal, need) in enumerate(steps):
        y = top + number * pitch
        d.box(290, y, 280, height, lines, kind="soft")
        if number:
            d.arrow((430, y - pitch + height), (430, y - 1))
        d.arrow((290, y + height / 2), (248, y + height / 2), kind="no")
        d.text(240, y + height / 2 + 4, refusal, kind="dim", anchor="end")
        if need:
            d.box(660, y + 4, 210, height - 8, [need], kind="world")
            d.arrow((570, y + height / 2), (659, y + height / 2), kind="far", dashed=True)
    last = top + len(steps) * pitch
    d.box(290, last, 280, height, ["Requirement, then authorize", "held against the token, as often as it takes"])
    d.arrow((430, last - pitch + height), (430, last - 1))
    d.arrow((290, last + height / 2), (248, last + height / 2), kind="no")
    d.text(240, last + height / 2 + 4, "403 insufficient_scope, access_denied", kind="dim", anchor="end")
    d.arrow((430, last + height), (430, last + pitch - 1))
    d.box(290, last + pitch, 280, 42, ["Admission", "the token, and headers for the answer"])
    d.parts.append(
        '<path d="M570 73 L610 73 L610 403 L572 403" class="line" stroke-width="1.4" marker-end="url(#head)"/>'
    )
    d.parts.append('<text x="624" y="340" class="dim" text-anchor="start">a token that was verified before:</text>')
    d.parts.append('<text x="624" y="356" class="dim" text-anchor="start">time and key are looked at again,</text>')
    d.parts.append('<text x="624" y="372" class="dim" text-anchor="start">its proof is checked in full</text>')
    return d


def key_set() -> Drawing:
    """The states of one issuer's keys."""
    d = Drawing(860, 330, "One issuer's keys: absent, fetching, fresh, ageing")
    d.box(20, 120, 150, 60, ["absent", "requests wait, or 503"], kind="stop")
    d.box(250, 120, 130, 60, ["fetching", "one flight at a time"], kind="world")
    d.box(470, 120, 130, 60, ["fresh", "serve"], kind="soft")
    d.box(690, 120, 150, 60, ["ageing", "serve meanwhile"], kind="soft")
    d.arrow((170, 150), (249, 150))
    d.text(209, 142, "begin", kind="dim")
    d.arrow((380, 150), (469, 150))
    d.text(424, 142, "learn", kind="dim")
    d.arrow((600, 150), (689, 150))
    d.text(644, 142, "jwks_max_age", kind="dim")
    d.arrow((760, 120), (760, 60), (315, 60), (315, 119))
    d.text(538, 52, "begin, in the background; the old keys go on serving", kind="dim")
    d.arrow((760, 180), (760, 290), (95, 290), (95, 181), kind="no")
    d.text(428, 282, "jwks_stale: the issuer was away for too long", kind="dim")
    d.arrow((285, 180), (285, 225), (125, 225), (125, 181), kind="no")
    d.text(205, 218, "failed: cooldown", kind="dim")
    d.arrow((535, 120), (535, 92), (345, 92), (345, 119), kind="far", dashed=True)
    d.text(440, 85, "a token forces one fetch a cooldown", kind="dim")
    d.arrow((345, 180), (345, 225), (535, 225), (535, 181), kind="no", dashed=True)
    d.text(440, 218, "failed: what it was before", kind="dim")
    return d


def dpop_request() -> Drawing:
    """A DPoP request's journey."""
    d = Drawing(980, 690, "The journey of a DPoP request")
    who = [(80, "agent"), (330, "door"), (560, "story"), (750, "replay store"), (900, "issuer")]
    for x, name in who:
        d.box(x - 62, 20, 124, 34, [name], kind="world" if name in ("replay store", "issuer") else "box")
        d.rule(x, 54, x, 672)
    agent, door, tale, store, issuer = (x for x, _ in who)

    def tell(y: float, start: float, end: float, words: str, *, kind: str = "line", dashed: bool = False) -> None:
        d.text((start + end) / 2, y - 6, words, kind="dim")
        d.arrow((start, y), (end + (1 if end < start else -1), y), kind=kind, dashed=dashed)

    tell(90, agent, door, "GET /notes, token and proof")
    tell(120, door, tale, "Request: method, URL, headers")
    d.box(tale - 105, 136, 210, 46, ["read the token", "one of each header; iss is ours"], kind="soft")
    tell(214, tale, issuer, "Fetch: the keys, if there are none yet", kind="far", dashed=True)
    tell(244, issuer, tale, "key set", kind="far", dashed=True)
    d.box(tale - 105, 260, 210, 46, ["verify the token", "signature, then claims; cnf.jkt"], kind="soft")
    d.box(
        tale - 105,
        318,
        210,
        78,
        ["check the proof", "htm, htu, iat, ath, nonce", "by the key of the token", "signature"],
        kind="soft",
    )
    tell(428, tale, store, "FirstUse: key and jti", kind="far")
    tell(458, store, tale, "first, or used before", kind="far")
    d.box(tale - 105, 474, 210, 46, ["hold the Requirement", "scopes and the rest; authorize"], kind="box")
    tell(548, tale, door, "Admission, or a Refused")
    tell(582, door, agent, "the view's answer, Vary, DPoP-Nonce")
    tell(618, door, agent, "401 and a challenge: what to do", kind="no")
    tell(654, door, agent, "503, Retry-After: nobody can tell", kind="no")
    return d


DRAWINGS = {"story.svg": story, "key-set.svg": key_set, "dpop-request.svg": dpop_request}

if __name__ == "__main__":
    for name, draw in DRAWINGS.items():
        (IMAGES / name).write_text(draw().svg(), encoding="utf-8")
