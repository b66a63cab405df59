"""What a route tells a stranger: asked without credentials, it must say 401, and how to get in (RFC 6750 3, RFC 9449 7.1, RFC
9728 5.1). Nothing is sent that could be let in."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from strongdm_auth.client.challenges import Challenge, read_challenges
from strongdm_auth.client.network import Call, Network, NoAnswer, Reply
from strongdm_auth.jose import Malformed, parse_object

from .findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from strongdm_auth import Settings


def route_findings(settings: Settings, urls: list[str]) -> Iterator[Finding]:
    """About each URL, in order."""
    network = Network(timeout=settings.http_timeout)
    for url in urls:
        topic = f"GET {url}"
        try:
            reply = network.run(_ask(url))
        except NoAnswer as fault:
            yield problem(topic, f"no answer ({fault})", "Start the API, or look at the URL")
            continue
        yield from (each._replace(topic=topic) for each in _judged(reply, settings))
        for challenge in read_challenges([reply.headers.get("www-authenticate", "")]):
            if place := challenge.parameters.get("resource_metadata"):
                yield _document(network, place, settings)._replace(topic=topic)
                break


def _ask(url: str) -> Generator[Any, Any, Reply]:
    reply: Reply = yield Call("GET", url)
    return reply


def _judged(reply: Reply, settings: Settings) -> Iterator[Finding]:
    if reply.status == 200:
        yield warning("", "anybody gets in", "Protect it, unless that is what you want")
        return
    challenges = read_challenges([reply.headers.get("www-authenticate", "")])
    offered = {challenge.scheme: challenge for challenge in challenges}
    if reply.status != 401 or not offered:
        yield problem(
            "",
            f"status {reply.status}{'' if offered else ' without a challenge'}: a client cannot tell what to do",
            "Something in front of the API answers in its place, or the path is another",
        )
        return
    yield ok("", f"401, and offers {' and '.join(map(_shown, offered.values()))}")
    if settings.dpop == "required" and "bearer" in offered:
        yield problem("", "it offers Bearer, and these settings want DPoP", "Give the API the same settings")
    if "dpop" not in offered:
        yield problem("", "it does not offer DPoP", "Something in front of the API changes WWW-Authenticate")
    if any("error" in challenge.parameters for challenge in challenges):
        yield warning("", "it names an error although no credentials were sent (RFC 6750 3.1)")


def _shown(challenge: Challenge) -> str:
    name = {"dpop": "DPoP", "bearer": "Bearer"}.get(challenge.scheme, challenge.scheme)
    scope = challenge.parameters.get("scope")
    return f"{name} for scope {scope}" if scope else name


def _document(network: Network, place: str, settings: Settings) -> Finding:
    try:
        reply = network.run(_ask(place))
        document = parse_object(reply.body) if reply.status == 200 else {}
    except (NoAnswer, Malformed):
        document = {}
    if not document:
        return problem("", f"its metadata document is not at {place}", "Hand that path on to the API, too")
    if settings.resource is not None and document.get("resource") != settings.resource:
        return problem("", "its metadata document is for another resource", "Give the API the same `resource`")
    return ok("", f"its metadata document is at {place}")
