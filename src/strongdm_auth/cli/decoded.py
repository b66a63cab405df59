"""A token or a proof, taken apart without believing any of it: for showing, and never for deciding."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from strongdm_auth.jose import Malformed, decode_segment, is_numeric_date, parse_object

Kind = Literal["access token", "DPoP proof", "JWT-SVID", "JWT", "encrypted token", "opaque token"]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What is in a compact JWS; `faults` is what a strict reader refuses in its form."""

    header: Mapping[str, Any] | None
    claims: Mapping[str, Any] | None
    signature: str
    faults: tuple[str, ...] = ()
    encrypted: bool = False

    @property
    def is_jws(self) -> bool:
        """Whether it can be read as one at all."""
        return self.header is not None and not self.encrypted

    @property
    def kind(self) -> Kind:
        """What it seems to be."""
        if self.encrypted:
            return "encrypted token"
        if self.header is None:
            return "opaque token"
        typ, claims = self.header.get("typ"), self.claims or {}
        media_type = typ.lower().removeprefix("application/") if isinstance(typ, str) else ""
        if media_type == "dpop+jwt" or ("htm" in claims and "htu" in claims):
            return "DPoP proof"
        if str(claims.get("sub", "")).startswith("spiffe://") and claims.get("token_type") != "access_token":
            return "JWT-SVID"
        if media_type == "at+jwt" or claims.get("token_type") == "access_token" or "scope" in claims:
            return "access token"
        return "JWT"

    def text(self, name: str) -> str | None:
        """A claim that is a string."""
        value = (self.claims or {}).get(name)
        return value if isinstance(value, str) else None

    def date(self, name: str) -> float | None:
        """A claim that is a time."""
        value = (self.claims or {}).get(name)
        return value if is_numeric_date(value) else None

    @property
    def thumbprint(self) -> str | None:
        """`cnf.jkt`: the key that a token is bound to."""
        confirmation = (self.claims or {}).get("cnf")
        thumbprint = confirmation.get("jkt") if isinstance(confirmation, dict) else None
        return thumbprint if isinstance(thumbprint, str) else None


def decode(token: str) -> Decoded:
    """What is in a token. An opaque one has neither header nor claims."""
    parts = token.split(".")
    faults: list[str] = []
    header = _object(parts[0], "header", faults)
    if header is None or len(parts) < 2:
        return Decoded(None, None, "", ())
    if "enc" in header or len(parts) == 5:
        return Decoded(header, None, "", (), encrypted=True)
    if len(parts) != 3:
        faults.append(f"it has {len(parts)} parts and not 3: it was cut, or something was added")
    claims = _object(parts[1], "payload", faults)
    signature = parts[2] if len(parts) > 2 else ""
    if len(parts) > 2 and not signature:
        faults.append("it has no signature")
    try:
        decode_segment(signature)
    except Malformed:
        faults.append("its signature is not base64url as RFC 7515 has it")
    return Decoded(header, claims, signature, tuple(faults))


def _object(segment: str, name: str, faults: list[str]) -> dict[str, Any] | None:
    """A JSON object, read strictly; or else as well as it goes, which is a fault."""
    try:
        return parse_object(decode_segment(segment))
    except Malformed as malformed:
        why = str(malformed)
    try:
        octets = base64.urlsafe_b64decode(segment.rstrip("=") + "=" * (-len(segment.rstrip("=")) % 4))
        value = json.loads(octets)
        json.dumps(value)  # no deeper than it can be shown
    except (ValueError, binascii.Error, RecursionError):
        value = None
    if isinstance(value, dict):
        faults.append(f"its {name} cannot be read strictly ({why})")
        return value
    if name != "header":
        faults.append(f"its {name} cannot be read ({why})")
    return None
