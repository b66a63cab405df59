"""What `strongdm_auth.client` exports is a decision, and loads when it is asked for."""

import strongdm_auth.client as client
from strongdm_auth.client import _HOMES


def test_every_public_name_is_there_and_no_other() -> None:
    assert set(client.__all__) == set(_HOMES)
    for name in client.__all__:
        assert getattr(client, name) is not None
    assert set(client.__all__) <= set(dir(client))
    assert not hasattr(client, "Nonsense")


def test_none_of_its_errors_is_a_refusal_that_an_api_would_answer_with() -> None:
    from strongdm_auth import StrongDMAuthError

    for error in (client.ClientError, client.TokenRequestFailed, client.InsecureURL, client.UnsafeFile):
        assert issubclass(error, client.ClientError)
        assert not issubclass(error, StrongDMAuthError)
