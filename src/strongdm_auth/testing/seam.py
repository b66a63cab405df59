"""Where a test reaches into the API under test: the public methods of `Verifier` and `AsyncVerifier`, which every door
calls. For as long as an issuer is trusted, or a pretence is on, these methods ask here first; before and after it they are
the library's own, untouched. No door, no setting and no private part of the core knows of it.

An issuer stands in by a verifier of its own, which does all that the real one does. A pretence replaces authentication
alone: what a route requires is still held against the token, by the verifier itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from inspect import isfunction
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from strongdm_auth.flow import VARY, Admission
from strongdm_auth.request import Request
from strongdm_auth.requirement import ANY_TOKEN, Requirement
from strongdm_auth.tokens import AccessToken
from strongdm_auth.verifier import AsyncVerifier, Verifier

AnyVerifier = Verifier | AsyncVerifier
_Verifier = TypeVar("_Verifier", Verifier, AsyncVerifier)
_Entry = TypeVar("_Entry")


class Trust(Protocol):
    """An issuer that stands in for the one that verifiers trust."""

    @property
    def url(self) -> str: ...

    def stand_in(self, verifier: Any) -> Any:
        """The verifier, of the same class, that answers in this one's stead; None where it trusts another issuer."""


class Pretence(Protocol):
    """A token that requests are taken to carry."""

    def token_for(self, verifier: AnyVerifier) -> AccessToken | None:
        """It, if it counts here and for this verifier."""


_BOUND = Requirement(dpop=True)
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

_lock = threading.Lock()
#: In force now, the latest last. Replaced and never changed, so that requests in other threads read without the lock.
_trusts: tuple[Trust, ...] = ()
_pretences: tuple[Pretence, ...] = ()


@contextmanager
def trusting(trust: Trust) -> Iterator[None]:
    """Within the block, in every thread, verifiers of this issuer ask its stand-in."""
    global _trusts
    with _lock:
        _trusts = (*_trusts, trust)
        _put_in_or_out()
    try:
        yield
    finally:
        with _lock:
            _trusts = _without(_trusts, trust)
            _put_in_or_out()


@contextmanager
def pretending(pretence: Pretence) -> Iterator[None]:
    """Within the block, requests are taken to carry the pretence's token, wherever it says that it counts."""
    global _pretences
    with _lock:
        _pretences = (*_pretences, pretence)
        _put_in_or_out()
    try:
        yield
    finally:
        with _lock:
            _pretences = _without(_pretences, pretence)
            _put_in_or_out()


def _without(entries: tuple[_Entry, ...], gone: _Entry) -> tuple[_Entry, ...]:
    return tuple(entry for entry in entries if entry is not gone)


def _stand_in(verifier: _Verifier) -> _Verifier | None:
    return next((found for each in reversed(_trusts) if (found := each.stand_in(verifier)) is not None), None)


def _answering(verifier: _Verifier) -> _Verifier:
    """The verifier that answers. One of an issuer elsewhere is not let out onto the network in silence."""
    found = _stand_in(verifier)
    if found is not None:
        return found
    issuer = verifier.settings.issuer
    if _trusts and urlsplit(issuer).hostname not in _LOOPBACK:
        standing = " and ".join(each.url for each in _trusts)
        raise RuntimeError(
            f"the API trusts the issuer {issuer}, and the local issuer stands in for {standing}: "
            f"make a TrustedIssuer(issuer={issuer!r}), or say so in the fixture strongdm_issuer_options"
        )
    return verifier


def _pretended(verifier: AnyVerifier, requirement: Requirement) -> tuple[Admission, Requirement] | None:
    """What counts as authenticated, and what is then asked of it; None where nobody pretends."""
    found = (token for each in reversed(_pretences) if (token := each.token_for(verifier)) is not None)
    token = next(found, None)
    if token is None:
        return None
    settings = verifier.settings
    if settings.dpop == "required" and not token.bound:
        requirement = requirement & _BOUND  # as no such token would have passed
    if (requirement.introspect or settings.introspection == "always") and not token.introspected:
        token = replace(token, introspected=True)  # the issuer is not asked
    return Admission(token, (VARY,)), requirement


def _admit(
    self: Verifier, request: Request, requirement: Requirement = ANY_TOKEN, kept: Admission | None = None
) -> Admission | None:
    verifier, own = self, _OWN[Verifier, "admit"]
    if pretended := _pretended(self, requirement):
        kept, requirement = pretended
    else:
        verifier = _answering(self)
    admission: Admission | None = own(verifier, request, requirement, kept)
    return admission


async def _admit_in_loop(
    self: AsyncVerifier, request: Request, requirement: Requirement = ANY_TOKEN, kept: Admission | None = None
) -> Admission | None:
    verifier, own = self, _OWN[AsyncVerifier, "admit"]
    if pretended := _pretended(self, requirement):
        kept, requirement = pretended
    else:
        verifier = _answering(self)
    admission: Admission | None = await own(verifier, request, requirement, kept)
    return admission


def _authenticate(self: Verifier, request: Request) -> AccessToken:
    token = _pretended_token(self)
    if token is None:
        token = _OWN[Verifier, "authenticate"](_answering(self), request)
    return token


async def _authenticate_in_loop(self: AsyncVerifier, request: Request) -> AccessToken:
    token = _pretended_token(self)
    if token is None:
        token = await _OWN[AsyncVerifier, "authenticate"](_answering(self), request)
    return token


def _pretended_token(verifier: AnyVerifier) -> AccessToken | None:
    pretended = _pretended(verifier, ANY_TOKEN)
    if pretended is None:
        return None
    admission, requirement = pretended
    requirement.check(admission.token, 0.0)  # nothing in it is about time
    return admission.token


def _handed_on(owner: type[AnyVerifier], name: str) -> Callable[..., Any]:
    """A method that the stand-in's own does; the real verifier's, where there is none."""

    def method(self: Any, *args: Any, **keywords: Any) -> Any:
        return _OWN[owner, name](_stand_in(self) or self, *args, **keywords)

    return method


#: `authorize` comes by at `admit`; the others are about the verifier itself.
_UNTOUCHED = frozenset({"authorize", "for_event_loops", "close", "aclose"})
#: The library's own. What a class inherits stands here by the class that it is called on.
_OWN: dict[tuple[type[AnyVerifier], str], Any] = {
    (owner, name): getattr(owner, name)
    for owner in (Verifier, AsyncVerifier)
    for name in dir(owner)
    if not name.startswith("_") and name not in _UNTOUCHED and isfunction(getattr(owner, name))
}
_OURS: dict[tuple[type[AnyVerifier], str], Any] = {
    **{(owner, name): _handed_on(owner, name) for owner, name in _OWN},
    (Verifier, "admit"): _admit,
    (Verifier, "authenticate"): _authenticate,
    (AsyncVerifier, "admit"): _admit_in_loop,
    (AsyncVerifier, "authenticate"): _authenticate_in_loop,
}
#: What stood in the classes before; None for what they inherit, which is not written down in the heir afterwards.
_before: dict[tuple[type[AnyVerifier], str], Any] = {}


def _put_in_or_out() -> None:
    """Have our methods in the classes if, and only if, something is in force."""
    wanted = bool(_trusts or _pretences)
    if wanted and not _before:
        for (owner, name), method in _OURS.items():
            _before[owner, name] = vars(owner).get(name)
            setattr(owner, name, method)
    elif not wanted and _before:
        for (owner, name), method in _before.items():
            if method is None:
                delattr(owner, name)
            else:
                setattr(owner, name, method)
        _before.clear()
