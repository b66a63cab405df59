"""What the package exports is a decision, and loads when it is asked for."""

import strongdm_auth
from strongdm_auth import _HOMES


def test_every_public_name_is_there_and_no_other() -> None:
    assert set(strongdm_auth.__all__) == {*_HOMES, "__version__"}
    for name in strongdm_auth.__all__:
        assert getattr(strongdm_auth, name) is not None
    assert set(strongdm_auth.__all__) <= set(dir(strongdm_auth))


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(strongdm_auth, "StrongAuth")
