"""`unsafe_authenticated_as`: requests are taken as made with a token of the test's choice, whatever they carry. For tests of
authorisation alone: requirements, the application's own policy and the audit trail are the real ones. It is off unless a
block is entered, in the thread or task that entered it, and over when the block is.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Unpack

from strongdm_auth.testing import seam
from strongdm_auth.testing.fakes import TokenParts, fake_token
from strongdm_auth.tokens import AccessToken
from strongdm_auth.verifier import AsyncVerifier, Verifier


class _Impersonation:
    """One block, and the token that counts in it."""

    def __init__(self, token: AccessToken, verifiers: tuple[Verifier | AsyncVerifier, ...]) -> None:
        self._token = token
        self._verifiers = verifiers
        # Whatever runs in this thread until the block ends runs within it; event loops, too, that have contexts of their
        # own. In a task that is not so: other tasks have their turn meanwhile.
        self._thread = None if _in_a_task() else threading.get_ident()

    def token_for(self, verifier: Verifier | AsyncVerifier) -> AccessToken | None:
        if self._verifiers:
            counts = any(each is verifier for each in self._verifiers)
        else:
            counts = self in _entered.get() or self._thread == threading.get_ident()
        return self._token if counts else None


#: The blocks that this context is in. One that is over may still stand here, in the context of a task that outlives it, and
#: means nothing: `seam` has forgotten it.
_entered: ContextVar[tuple[_Impersonation, ...]] = ContextVar("strongdm_auth.testing.impersonation", default=())


def _in_a_task() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@contextmanager
def unsafe_authenticated_as(
    token: AccessToken | str = "agent",
    /,
    *,
    verifiers: Iterable[Verifier | AsyncVerifier] = (),
    **parts: Unpack[TokenParts],
) -> Iterator[AccessToken]:
    """Within the block, requests are taken as made with `token`; or with a `fake_token` of this subject and these parts.

    What a request carries is not looked at, and no signature, issuer, audience or expiry either. What the route requires is:
    scopes, delegation, realms, `dpop`, step-up; and `dpop="required"` of the settings.

    It holds in this thread, or in this task where it is entered in one, and in what runs in a copy of its context: all test
    clients, `asyncio.to_thread`, `sync_to_async`. A server in a thread of its own does not see it; name its `verifiers`,
    and it holds for these alone, in every thread.

    Raises:
        TypeError: a token, and parts of another one.
    """
    if isinstance(token, str):
        token = fake_token(token, **parts)
    elif parts:
        raise TypeError("give a token, or a subject and the parts of one")
    impersonation = _Impersonation(token, tuple(verifiers))
    with seam.pretending(impersonation):
        _entered.set((*_entered.get(), impersonation))
        try:
            yield token
        finally:
            # Not by the ContextVar's own reset: a fixture may end in another context than the one it began in.
            _entered.set(tuple(each for each in _entered.get() if each is not impersonation))
