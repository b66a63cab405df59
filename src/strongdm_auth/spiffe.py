"""SPIFFE IDs, and the patterns that a route lets in (SPIFFE-ID 2). Strict: what is not an ID to the letter is nobody's."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .errors import ConfigurationError

#: SPIFFE-ID 2.1: no user, no port, no capitals, and at most 255 bytes.
TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_SEGMENT = r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+"
_ID = re.compile(rf"spiffe://({TRUST_DOMAIN.pattern})((?:/{_SEGMENT})*)")
#: SPIFFE-ID 2.3.
LONGEST_ID = 2048


def trust_domain_of(spiffe_id: str) -> str | None:
    """The trust domain of a SPIFFE ID; None for what is none."""
    match = _ID.fullmatch(spiffe_id) if len(spiffe_id) <= LONGEST_ID else None
    return match[1] if match else None


@dataclass(frozen=True, slots=True)
class SpiffePattern:
    """`spiffe://domain/path`, that one workload; or `spiffe://domain/path/*`, all below it. Nothing else is a wildcard."""

    text: str

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or trust_domain_of(self.text.removesuffix("/*")) is None:
            raise ConfigurationError(
                f"spiffe_ids must be SPIFFE IDs, or end in /* for all below: 'spiffe://example.org/agents/*', not {self.text!r}"
            )

    def fits(self, spiffe_id: str) -> bool:
        """Whether it is meant."""
        if self.text.endswith("/*"):
            return spiffe_id.startswith(self.text[:-1])
        return spiffe_id == self.text


def spiffe_patterns(value: str | Iterable[str]) -> frozenset[SpiffePattern]:
    """One pattern or several, one of which has to fit. Raises ConfigurationError."""
    given = [value] if isinstance(value, str) else list(value) if isinstance(value, Iterable) else []
    if not given:
        raise ConfigurationError("spiffe_ids must name a SPIFFE ID at least, such as 'spiffe://example.org/agents/*'")
    return frozenset(map(SpiffePattern, given))
