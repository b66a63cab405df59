"""The check of a DPoP proof (RFC 9449 section 4.3) at the local issuer's own endpoints: the verifier's own rules, so that
a client which gets a token here has made a proof that an API would take."""

from __future__ import annotations

from collections.abc import Sequence

from strongdm_auth.dpop import ProofRules
from strongdm_auth.errors import Refused
from strongdm_auth.fields import ASYMMETRIC_ALGORITHMS
from strongdm_auth.settings import Settings
from strongdm_auth.testing.keys import access_token_hash

# Of these settings only the ones for proofs matter here; the others are named so that nothing needs a warning.
_RULES = ProofRules(
    Settings.load(
        {"realms": "*", "audience": "none", "dpop_algorithms": sorted(ASYMMETRIC_ALGORITHMS), "leeway": 60}, environ={}
    )
)


class InvalidProofError(ValueError):
    """The proof fails a check; the message says which, and repeats nothing that was sent."""


def check_proof(proofs: Sequence[str], *, method: str, url: str, now: float, access_token: str | None = None) -> str:
    """The thumbprint (RFC 7638) of the key that made this request's proof.

    Raises:
        InvalidProofError: not exactly one proof, or it fails a check of RFC 9449 section 4.3.
    """
    ath = None if access_token is None else access_token_hash(access_token)
    try:
        return _RULES.check(tuple(proofs), method=method, uri=url.partition("?")[0], now=now, ath=ath).thumbprint
    except Refused as refusal:
        raise InvalidProofError(refusal.message) from None
