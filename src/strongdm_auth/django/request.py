"""A Django request as the verifier sees it. Scheme and host are what Django says they are, by its own proxy support.

`SECURE_PROXY_SSL_HEADER`, `USE_X_FORWARDED_HOST` and `ALLOWED_HOSTS` hold: a host that is not allowed is Django's
`DisallowedHost`, which it answers with 400. `X-Forwarded-*` is read by nobody else.
"""

from typing import Any

from strongdm_auth.request import EnvironRequest, ScopeRequest, ServedRequest


class DjangoRequest(ServedRequest):
    """From a `WSGIRequest` or an `ASGIRequest`. Host and path are worked out only for a proof's `htu`."""

    __slots__ = ("_request", "_wire")

    def __init__(self, request: Any) -> None:
        self._request = request
        scope = getattr(request, "scope", None)
        # Under ASGI repeated headers are still apart in the scope; META has joined them.
        wire = self._wire = EnvironRequest(request.META) if scope is None else ScopeRequest(scope)
        self.method, self.authorization, self.dpop = wire.method, wire.authorization, wire.dpop

    @property
    def certificate(self) -> bytes | None:
        return self._wire.certificate

    @property
    def peer(self) -> str | None:
        return self._wire.peer

    def values(self, name: str) -> tuple[str, ...]:
        return self._wire.values(name)

    @property
    def origin(self) -> str:
        return f"{self._request.scheme}://{self._request.get_host()}"

    @property
    def path(self) -> str:
        if isinstance(self._wire, ScopeRequest):
            return self._wire.path
        # Django has decoded the two parts of the path in META; PEP 3333 has them in latin-1.
        meta = self._request.META
        mount, below = meta.get("SCRIPT_NAME", "").rstrip("/"), meta.get("PATH_INFO", "")
        return EnvironRequest({**meta, "SCRIPT_NAME": _latin(mount), "PATH_INFO": _latin(below)}).path

    @property
    def route(self) -> str | None:
        route: str | None = getattr(getattr(self._request, "resolver_match", None), "route", None)
        return route

    @property
    def mount(self) -> str:
        mount: str = self._request.META.get("SCRIPT_NAME", "")
        return mount

    @property
    def query(self) -> str:
        query: str = self._request.META.get("QUERY_STRING", "")  # Django's test client has it as text in the scope
        return query


def _latin(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def is_preflight(request: Any) -> bool:
    """A CORS preflight (Fetch standard): it carries no credentials by design."""
    meta = request.META
    return request.method == "OPTIONS" and "HTTP_ORIGIN" in meta and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in meta
