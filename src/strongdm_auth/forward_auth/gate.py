"""What both apps are, but for I/O: from the proxy's question to a request and a requirement, and from a verdict to an answer.

It decides nothing: which path needs what is `RouteTable`'s to say, and who gets in the verifier's.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from strongdm_auth.challenge import Denial
from strongdm_auth.errors import AccessDenied, ConfigurationError
from strongdm_auth.flow import VARY, Admission
from strongdm_auth.metadata import Metadata
from strongdm_auth.requirement import Requirement
from strongdm_auth.routes import RouteTable
from strongdm_auth.settings import Settings

from .conventions import CONVENTIONS, Asked, ConventionName, OriginalRequest, Untold, original_request, readings
from .identity import PREFIX, identity

_log = logging.getLogger("strongdm_auth.forward_auth")

#: An answer counts once: kept by a cache, it would let a used proof in again.
_NO_STORE = ("Cache-Control", "no-store")


class Answer(NamedTuple):
    """What goes back to the proxy."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""


class Gate:
    """The convention and the routes, checked once. See `ForwardAuth` for the arguments.

    Raises:
        ConfigurationError: an argument is wrong, or scheme and host of the original request cannot be told.
    """

    def __init__(
        self,
        convention: ConventionName,
        settings: Settings,
        *,
        protected_routes: Mapping[str, Requirement | Mapping[str, object]] | None,
        require: Requirement | None,
        exempt: Iterable[str],
        origin_headers: tuple[str, str] | None,
        path_prefix: str,
        unsafe_pass_preflights: bool,
    ) -> None:
        if convention not in CONVENTIONS:
            raise ConfigurationError(f"convention must be one of {', '.join(CONVENTIONS)}, not {convention!r}")
        self._convention = CONVENTIONS[convention]
        self._routes = RouteTable(protected_routes, require, exempt)
        self._origin = _checked_origin(origin_headers, self._convention.origin, settings.public_url, convention)
        if path_prefix and (self._convention.target is not None or not path_prefix.startswith("/")):
            raise ConfigurationError("path_prefix is Envoy's, and must begin with a slash")
        self._path_prefix = path_prefix.rstrip("/")
        self._pass_preflights = unsafe_pass_preflights
        #: Where the target is the client's own, the document's path could not be told from a question about it.
        #: Whether a path of the question is ours to serve; else it is the client's own.
        self.own_paths = self._convention.target is not None or bool(self._path_prefix)
        self._metadata = Metadata.of(settings) if self.own_paths else None

    def document(self, asked: Asked) -> Answer | None:
        """The RFC 9728 document, where that, and no verdict, is what is asked for."""
        found = self._metadata
        if found is None or asked.path != found.path or asked.method not in ("GET", "HEAD"):
            return None
        return Answer(found.status, found.headers, found.body)

    def original(self, asked: Asked) -> OriginalRequest:
        """What the client asked of the proxy.

        Raises:
            Unclear: that cannot be told.
        """
        try:
            return original_request(asked, self._convention, self._origin, self._path_prefix)
        except Untold as fault:
            _log.warning("refused a question of %s: %s", self._convention.name, fault.problem)
            raise

    def requirement(self, asked: Asked, request: OriginalRequest) -> Requirement | None:
        """What the path needs, however the upstream reads it; None when it is open.

        Raises:
            Unclear: no two servers need read it alike.
        """
        found: Requirement | None = None
        for reading in readings(request.path):
            needed = self._routes.find(reading)
            if needed is not None:
                found = needed if found is None else found & needed
        if self._pass_preflights and request.method == "OPTIONS":
            names = {name for name, _ in asked.headers}
            if "origin" in names and "access-control-request-method" in names:
                return None
        return found

    def admitted(self, admission: Admission | None) -> Answer:
        """The answer that lets the request through: who it is, for the upstream. None: nobody in particular.

        Raises:
            AccessDenied: the upstream cannot be told who it is.
        """
        headers = identity(None if admission is None else admission.token)
        if headers is None:
            _log.warning("refused a token whose identity is too long for headers")
            raise AccessDenied("policy.refused")
        added = (VARY,) if admission is None else admission.headers
        return Answer(200, (*headers, *(pair for pair in added if pair[0] != _NO_STORE[0]), _NO_STORE))

    def refused(self, denial: Denial) -> Answer:
        """The answer that refuses; where the proxy knows fewer statuses than we do, with the true one in a header.

        nginx makes a 500 of what is neither 2xx, 401 nor 403, and drops bodies: `X-Auth-Status` and `X-Auth-Body` are for
        its configuration to put together again.
        """
        statuses = self._convention.statuses
        if statuses is None:
            return Answer(denial.status, denial.headers, denial.body)
        told = (
            (f"{PREFIX}Status", str(denial.status)),
            (f"{PREFIX}Body", denial.body.decode("ascii").rstrip("\n")),
        )
        return Answer(denial.status if denial.status in statuses else 403, (*denial.headers, *told), denial.body)


def _checked_origin(
    given: tuple[str, str] | None, usual: tuple[str, str] | None, public_url: str | None, convention: str
) -> tuple[str, str] | None:
    """The headers for scheme and host; None where `public_url` says it."""
    if given is not None:
        if len(given) != 2 or not all(isinstance(name, str) and name for name in given):
            raise ConfigurationError(
                "origin_headers must be two names, such as ('X-Forwarded-Proto', 'X-Forwarded-Host')"
            )
        usual = (given[0].lower(), given[1].lower())
    if public_url is not None:
        return None
    if usual is None:
        raise ConfigurationError(
            f"public_url must be set with {convention}: scheme and host of the original request, which proofs name "
            "(RFC 9449 4.3), are told by no header of its own. Set it to such as https://api.example.com, "
            "or name the headers that your configuration sets in origin_headers"
        )
    return usual
