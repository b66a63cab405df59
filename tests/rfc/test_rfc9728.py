"""The protected resource metadata document (RFC 9728): where it is, and that it says what this API enforces."""

import json
from typing import Any

import pytest

from strongdm_auth import Settings
from strongdm_auth.metadata import Metadata, metadata_path, metadata_url

BASE = "https://id.example.com"
RESOURCE = "https://api.example.com/v1"
ALGORITHMS = ["ES256", "ES384", "RS256", "PS256", "EdDSA", "Ed25519"]


def document(**settings: Any) -> dict[str, Any]:
    given = {"issuer": BASE, "realms": ["beta", "alpha"], "audience": RESOURCE, "resource": RESOURCE}
    metadata = Metadata.of(Settings(**(given | settings)))
    assert metadata is not None
    assert metadata.body.endswith(b"}\n")
    found: dict[str, Any] = json.loads(metadata.body)
    return found


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        ("https://api.example.com", ""),
        ("https://api.example.com/", ""),
        ("https://api.example.com/v1", "/v1"),
        ("https://api.example.com/v1/", "/v1"),
        ("https://api.example.com:8443/a/b", "/a/b"),
    ],
)
def test_the_document_lies_at_the_well_known_place_before_the_resource_s_path(resource: str, path: str) -> None:
    """RFC 9728 3.1."""
    expected = f"/.well-known/oauth-protected-resource{path}"
    assert metadata_path(resource) == expected
    origin = resource.removeprefix("https://").split("/")[0]
    assert metadata_url(resource) == f"https://{origin}{expected}"


def test_there_is_none_where_no_resource_is_named() -> None:
    assert Metadata.of(Settings(issuer=BASE, realms="alpha", audience=RESOURCE)) is None


@pytest.mark.parametrize(
    ("settings", "servers"),
    [
        ({}, [f"{BASE}/realms/alpha", f"{BASE}/realms/beta"]),
        ({"issuer": f"{BASE}/"}, [f"{BASE}/realms/alpha", f"{BASE}/realms/beta"]),
        ({"realms": "*"}, [BASE]),
        ({"issuer": f"{BASE}/", "realms": "*"}, [f"{BASE}/"]),
        ({"issuer": f"{BASE}/realms/alpha", "realms": None}, [f"{BASE}/realms/alpha"]),
        ({"issuer": f"{BASE}/realms/alpha", "realms": "alpha"}, [f"{BASE}/realms/alpha"]),
    ],
)
def test_it_names_the_issuers_that_are_let_in(settings: dict[str, Any], servers: list[str]) -> None:
    """RFC 9728 2: a client goes to one of these for its token."""
    assert document(**settings)["authorization_servers"] == servers


@pytest.mark.parametrize("dpop", ["allowed", "required"])
def test_it_says_that_tokens_must_be_bound_where_they_must(dpop: str) -> None:
    """RFC 9728 2: and nothing where both are fine."""
    expected = {
        "resource": RESOURCE,
        "authorization_servers": [f"{BASE}/realms/alpha", f"{BASE}/realms/beta"],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": ALGORITHMS,
    }
    if dpop == "required":
        expected["dpop_bound_access_tokens_required"] = True  # type: ignore[assignment]
    assert document(dpop=dpop) == expected


def test_it_names_the_algorithms_that_proofs_may_have() -> None:
    assert document(dpop_algorithms=["ES384"])["dpop_signing_alg_values_supported"] == ["ES384"]


def test_anybody_may_read_it_from_anywhere() -> None:
    """RFC 9728 3.2, 7.1."""
    metadata = Metadata.of(Settings(issuer=BASE, realms="alpha", audience=RESOURCE, resource=RESOURCE))
    assert metadata is not None
    assert metadata.status == 200
    assert dict(metadata.headers) == {
        "Content-Type": "application/json",
        "Cache-Control": "max-age=3600",
        "Access-Control-Allow-Origin": "*",
    }
