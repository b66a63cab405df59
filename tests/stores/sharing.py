"""Workers of one API that share a Valkey: a worker is a verifier here."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from strongdm_auth import Refused, Verifier
from strongdm_auth.testing import Issuer
from tests.conftest import AUDIENCE, request

Worker = Callable[..., Verifier]


def background_ends() -> None:
    for thread in threading.enumerate():
        if thread.name == "strongdm-auth-keys":
            thread.join(10)


def opaque(issuer: Issuer, **made: Any) -> str:
    return issuer.opaque_token("cli_agent", **({"realm": "alpha", "audience": AUDIENCE} | made))


def jwt(issuer: Issuer, **made: Any) -> str:
    return issuer.token("cli_agent", **({"realm": "alpha", "audience": AUDIENCE} | made))


def reason_of(verifier: Verifier, token: str, proof: str | None = None) -> str | None:
    try:
        verifier.authenticate(request(token, proof))
    except Refused as refusal:
        return refusal.reason
    return None


def refusal_of(verifier: Verifier, token: str) -> Refused:
    with pytest.raises(Refused) as caught:
        verifier.authenticate(request(token))
    return caught.value
