"""The protected resource metadata document (RFC 9728): where it is, and what it says. Never made from a Host header."""

import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from .settings import Settings

_WELL_KNOWN = "/.well-known/oauth-protected-resource"


def metadata_path(resource: str) -> str:
    """The path of the document: the well-known one, then the resource's own path (RFC 9728 3.1)."""
    return _WELL_KNOWN + urlsplit(resource).path.rstrip("/")


def metadata_url(resource: str) -> str:
    """The document's URL, for `resource_metadata` in challenges (RFC 9728 5.1)."""
    parts = urlsplit(resource)
    return f"{parts.scheme}://{parts.netloc}{metadata_path(resource)}"


@dataclass(frozen=True, slots=True)
class Metadata:
    """The document as an answer that doors serve to anyone, from any origin (RFC 9728 3.2, 7.1)."""

    path: str
    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (
        ("Content-Type", "application/json"),
        ("Cache-Control", "max-age=3600"),
        ("Access-Control-Allow-Origin", "*"),
    )

    @classmethod
    def of(cls, settings: Settings) -> "Metadata | None":
        """The document for these settings; None where no `resource` is set. Only what this API enforces, nothing empty."""
        if settings.resource is None:
            return None
        base = settings.issuer.removesuffix("/")
        servers = [settings.issuer]
        if settings.realm is None and isinstance(settings.realms, frozenset):
            servers = [f"{base}/realms/{name}" for name in sorted(settings.realms)]
        document: dict[str, object] = {
            "resource": settings.resource,
            "authorization_servers": servers,
            "bearer_methods_supported": ["header"],
            "dpop_signing_alg_values_supported": list(settings.dpop_algorithms),
        }
        if settings.dpop == "required":
            document["dpop_bound_access_tokens_required"] = True
        if settings.client_certificate.startswith("header:"):  # else it is for the server to tell whether it can
            document["tls_client_certificate_bound_access_tokens"] = True
        return cls(metadata_path(settings.resource), json.dumps(document).encode() + b"\n")
