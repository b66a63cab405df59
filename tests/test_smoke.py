from collections.abc import Callable

from strongdm_auth import Verifier
from strongdm_auth.testing import Issuer

from tests.conftest import AUDIENCE, request


def test_a_token_of_the_realm_is_let_in(issuer: Issuer, make_verifier: Callable[..., Verifier]) -> None:
    token = issuer.token("cli_agent", scopes=["read"], realm="alpha", audience=AUDIENCE)
    assert make_verifier().authenticate(request(token)).subject == "cli_agent"
