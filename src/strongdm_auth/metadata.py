"""The protected resource metadata document (RFC 9728): where it is, and what it says. Never made from a Host header."""

import json
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


def metadata_document(settings: Settings) -> bytes:
    """The document as JSON; only what this API enforces, and no empty members (RFC 9728 2, 3.2)."""
    realms = settings.realms if isinstance(settings.realms, frozenset) else None
    base = settings.issuer.removesuffix("/")
    servers = (
        [settings.issuer] if realms is None or settings.realm else [f"{base}/realms/{name}" for name in sorted(realms)]
    )
    document: dict[str, object] = {
        "resource": settings.resource,
        "authorization_servers": servers,
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": list(settings.dpop_algorithms),
    }
    if settings.dpop == "required":
        document["dpop_bound_access_tokens_required"] = True
    return json.dumps(document).encode() + b"\n"
