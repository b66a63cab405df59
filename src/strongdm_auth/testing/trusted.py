"""`TrustedIssuer`: the local issuer in the place of the one that the API under test trusts. The app stays as it is: its
verifiers check real signatures against its own settings, and only where keys and answers come from is replaced, with the
clock. In process, without a socket. It makes nothing easier to get past: tokens of the real issuer are refused meanwhile.
"""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import wraps
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from strongdm_auth.settings import SecurityWarning, Settings
from strongdm_auth.testing import seam
from strongdm_auth.testing.clients import Client
from strongdm_auth.testing.clock import Clock
from strongdm_auth.testing.issuer import Issuer
from strongdm_auth.verifier import AsyncVerifier, Verifier

_Method = TypeVar("_Method", bound=Callable[..., Any])


def _at_home(method: _Method) -> _Method:
    """The same method; where no realm or audience is named, they are the API's."""
    signature = inspect.signature(method)

    @wraps(method)
    def at_home(self: TrustedIssuer, /, *args: Any, **named: Any) -> Any:
        given = signature.bind_partial(self, *args, **named).arguments
        for name, value in (("realm", self.home_realm), ("audience", self.home_audience)):
            if name in signature.parameters and name not in given:
                named[name] = value
        return method(self, *args, **named)

    return cast(_Method, at_home)


class TrustedIssuer(Issuer):
    """A local issuer that, within `with`, every verifier of this process takes for the issuer of its settings.

    `issuer`, `realms` and `audience` are the API's own settings; what is not given comes from `STRONGDM_*` in the
    environment. Tokens and agents are of the first realm and for the audience, unless something else is named. Each issuer
    begins anew: what the API has learnt under an earlier one (keys, tokens, used proofs, cooldowns) does not count. Served
    and not entered, it is an `Issuer` like any other, at the server's address.

    Args:
        issuer: the base issuer, or one realm's.
        realms: what the API lets in, or more; `None` or `"*"` means the base issuer, and a realm `default`.
        audience: what tokens name unless told otherwise.
        algorithms: ES256 alone, whose keys are made at once; an RSA key takes a twentieth of a second.
        clock: which the issuer, its agents and the API's verifiers read.
        options: those of `Issuer`.
    """

    def __init__(
        self,
        issuer: str | None = None,
        *,
        realms: str | Iterable[str] | None = None,
        audience: str | Iterable[str] | None = None,
        algorithms: Sequence[str] = ("ES256",),
        clock: Clock | None = None,
        **options: Any,
    ) -> None:
        given = realms if realms is None or isinstance(realms, str) else tuple(realms)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # the API says it, if it is so
            settings = Settings(issuer=issuer, realms=given, audience=audience)
        if settings.realm is not None:
            names = [settings.realm]
        else:
            admitted = settings.realms if isinstance(settings.realms, frozenset) else frozenset()
            names = [name for name in given if name in admitted] if isinstance(given, tuple) else sorted(admitted)
        base = settings.issuer.removesuffix(f"/realms/{settings.realm}").removesuffix("/")
        super().__init__(base, realms=names or ("default",), algorithms=algorithms, clock=clock, **options)
        #: Where tokens are minted when no realm is named; None is the base issuer.
        self.home_realm: str | None = names[0] if names else None
        #: What tokens are for when no audience is named.
        self.home_audience: str | tuple[str, ...] | None = (
            settings.audience[0] if len(settings.audience) == 1 else settings.audience or None
        )
        self._stands_for = base
        self._making = threading.Lock()
        self._sync: dict[Settings, Verifier] = {}
        self._async: dict[Settings, AsyncVerifier] = {}
        self._entered: ExitStack | None = None

    issuer_url = _at_home(Issuer.issuer_url)
    metadata = _at_home(Issuer.metadata)
    client = _at_home(Issuer.client)
    token = _at_home(Issuer.token)
    opaque_token = _at_home(Issuer.opaque_token)
    agent = _at_home(Issuer.agent)
    jwt_svid = _at_home(Issuer.jwt_svid)
    jwks = _at_home(Issuer.jwks)
    signing_key = _at_home(Issuer.signing_key)
    rotate = _at_home(Issuer.rotate)

    def __enter__(self) -> Self:
        if self._entered is not None:
            raise RuntimeError("this issuer is trusted already")
        with ExitStack() as stack:
            stack.callback(self._forget)
            stack.enter_context(seam.trusting(self))
            self._entered = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        stack, self._entered = self._entered, None
        if stack is not None:
            stack.close()

    def stand_in(self, verifier: Any) -> Any:
        """The verifier that answers in this one's stead; for `seam`."""
        settings: Settings = verifier.settings
        base = settings.issuer.removesuffix(f"/realms/{settings.realm}").removesuffix("/")
        if base != self._stands_for:
            return None
        with self._making:
            sync = self._sync.get(settings)
            if sync is None:
                sync = self._sync[settings] = self._verifier(settings)
            if isinstance(verifier, Verifier):
                return sync
            if settings not in self._async:
                import httpx

                # One memory for both, as in Django, where one setting makes both.
                self._async[settings] = sync.for_event_loops(client=httpx.AsyncClient(transport=self.transport()))
            return self._async[settings]

    def _verifier(self, settings: Settings) -> Verifier:
        import httpx

        if settings.client_id and settings.client_secret and self._authority.clients.get(settings.client_id) is None:
            # The API asks about tokens with credentials of its own, which the real issuer gave it.
            realm = self.home_realm
            self._authority.clients.add(Client(settings.client_id, settings.client_secret, "the API", (), realm))
        return Verifier(settings, client=httpx.Client(transport=self.transport()), clock=self.clock)

    def _forget(self) -> None:
        with self._making:
            verifiers = list(self._sync.values())
            self._sync.clear()
            self._async.clear()
        for verifier in verifiers:
            verifier.close()
