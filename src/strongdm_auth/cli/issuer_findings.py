"""What an API's issuers answer: discovery, key sets, the time of day, introspection. Told by the verifier's own stories
(`fetching.discover`), so that what works here works there."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from strongdm_auth import Refused, Request, Verifier
from strongdm_auth.client.network import Call, Network, NoAnswer
from strongdm_auth.fetching import discover
from strongdm_auth.issuers import WrongDiscovery
from strongdm_auth.jose import Malformed, UnusableKey, import_public_key, parse_object
from strongdm_auth.keys import UnusableKeySet, read_key_set
from strongdm_auth.needs import Fetch, Reply, Story, Unreachable

from .findings import Finding, ok, problem, warning
from .times import span
from .verdict import overheard

if TYPE_CHECKING:
    from strongdm_auth import Settings

#: Seconds by which clocks may differ unremarked: `Date` has whole seconds, and the answer took a while.
UNREMARKED_SKEW = 3.0
_FAULTS = (Unreachable, Malformed, WrongDiscovery, UnusableKeySet)


@dataclass
class Asker:
    """Meets what a story asks for, and remembers what the issuer's clock said."""

    timeout: float
    #: The issuer's time less ours, of the last answer that had a `Date`.
    skew: float | None = None
    statuses: dict[str, int] = field(default_factory=dict)

    def run(self, story: Story[Any]) -> Any:
        """The story's result, or what it raises."""
        try:
            need = next(story)
            while True:
                if not isinstance(need, Fetch):
                    raise TypeError("discovery asks for exchanges and nothing else")
                try:
                    reply = Network(timeout=self.timeout).run(self._exchange(need))
                except NoAnswer as fault:
                    need = story.throw(Unreachable(f"no answer ({fault})"))
                else:
                    need = story.send(reply)
        except StopIteration as end:
            return end.value

    def _exchange(self, fetch: Fetch) -> Generator[Any, Any, Reply]:
        before = time.time()
        reply = yield Call("GET", fetch.url, fetch.headers)
        at = time.time()
        self.statuses[fetch.purpose] = reply.status
        try:
            said = parsedate_to_datetime(reply.headers.get("date", "")).timestamp()
        except (ValueError, OverflowError):
            said = None
        if said is not None:
            # Any moment of the second that it names, and of the exchange: what is left is a difference of clocks.
            self.skew = said - at if said > at else min(0.0, said + 1 - before)
        return Reply(reply.status, reply.body, at)


def issuers_of(settings: Settings) -> dict[str, str]:
    """Each issuer that is let in, by the name of its realm."""
    if settings.realm is not None:
        return {f"realm {settings.realm}": settings.issuer}
    if settings.realms is None or settings.realms == "*":
        return {"base issuer": settings.issuer}
    base = settings.issuer.removesuffix("/")
    return {f"realm {realm}": f"{base}/realms/{realm}" for realm in sorted(settings.realms)}


def issuer_findings(settings: Settings) -> Iterator[Finding]:
    """What each issuer answers; and whose clock is wrong."""
    asker = Asker(settings.http_timeout)
    for name, issuer in issuers_of(settings).items():
        yield from _one(settings, asker, name, issuer)
    yield from _clock(settings, asker.skew)


def _one(settings: Settings, asker: Asker, name: str, issuer: str) -> Iterator[Finding]:
    try:
        jwks_uri, _ = asker.run(discover(settings, issuer, "jwks_uri", "jwks"))
    except _FAULTS as fault:
        advice = f"Check the setting issuer, and that {issuer} can be reached from here"
        yield problem(name, f"discovery at {issuer} failed: {fault}", advice)
        return
    if asker.statuses.get("discovery") == 200:
        yield ok(name, f"discovery names {jwks_uri}")
    else:
        yield warning(
            name, f"{issuer} has no discovery document; {jwks_uri} is tried", "Correct issuer, if that is wrong"
        )
    try:
        reply = asker.run(_fetch(jwks_uri))
        if reply.status != 200:
            raise Unreachable(f"status {reply.status}")
        document = parse_object(reply.body)
        usable = read_key_set(document)
    except _FAULTS as fault:
        yield problem(
            name, f"no keys from {jwks_uri}: {fault}", "No token of this issuer can be verified until this is right"
        )
        return
    kinds = Counter("/".join(sorted(key.algorithms & set(settings.algorithms))) or "none accepted" for key in usable)
    shown = ", ".join(f"{count} for {kind}" for kind, count in sorted(kinds.items()))
    yield ok(name, f"{len(usable)} usable {'key' if len(usable) == 1 else 'keys'}: {shown}")
    if not any(key.algorithms & set(settings.algorithms) for key in usable):
        yield problem(
            name, "none of its keys goes with the setting algorithms", "Name the issuer's algorithm in algorithms"
        )
    yield from _unusable(name, document["keys"])


def _fetch(url: str) -> Story[Any]:
    reply = yield Fetch("jwks", url)
    return reply


def _unusable(name: str, keys: list[Any]) -> Iterator[Finding]:
    for key in keys:
        try:
            import_public_key(key)
        except UnusableKey as fault:
            kid = key.get("kid") if isinstance(key, dict) else None
            level = problem if str(fault) == "a private key" else warning
            yield level(name, f"key {kid!r} is not used: {fault}", "Tell the issuer" if level is problem else "")


def _clock(settings: Settings, skew: float | None) -> Iterator[Finding]:
    if skew is None:
        yield warning("clock", "the issuer told no time of day: the clocks were not compared")
    elif abs(skew) <= UNREMARKED_SKEW:
        yield ok("clock", "this machine's clock and the issuer's agree")
    else:
        where = "behind" if skew > 0 else "ahead of"
        text = f"this machine's clock is {span(skew)} {where} the issuer's; leeway is {settings.leeway:g} s"
        tell = problem if abs(skew) > settings.leeway else warning
        yield tell("clock", text, "Set this machine's clock (NTP): tokens are refused as expired, or as not valid yet")


def introspection_findings(settings: Settings) -> Iterator[Finding]:
    """Whether the issuer lets itself be asked: about a token that nobody has, by the verifier."""
    if settings.introspection == "off":
        return
    verifier = Verifier(settings)
    nobodys = Request("GET", "https://localhost/", {"Authorization": "Bearer strongdm-auth-doctor"})
    with overheard() as heard:
        try:
            verifier.authenticate(nobodys)
            reason = "ok"
        except Refused as refused:
            reason = refused.reason
        finally:
            verifier.close()
    if reason == "token.inactive":
        yield ok("introspection", f"the issuer answers {settings.client_id}'s questions")
    elif reason == "introspection.unavailable":
        text = "; ".join(heard) or "no answer"
        yield problem("introspection", text, "Check client_id and client_secret; while it fails, requests get a 503")
    else:
        yield problem("introspection", f"about a token that nobody has, it says {reason}", "Tell the issuer")
