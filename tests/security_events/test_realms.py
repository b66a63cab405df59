"""Who may speak of whom: a realm of itself, the base issuer of its realms, a stranger of nobody."""

import pytest

from strongdm_auth.issuers import UNPROVEN_FETCHES
from strongdm_auth.testing import DPoPKey, SigningKey

from .api import API, MEDIA_TYPE, Identifier, MakeAPI, err

KEY = DPoPKey.generate()


def everything_about_alice(api: API) -> list[Identifier]:
    """All that somebody could say to mean alice of realm alpha, and leave to the API whose alice is meant."""
    key = f"urn:ietf:params:oauth:jwk-thumbprint:sha-256:{KEY.thumbprint}"
    return [
        {"format": "opaque", "id": "alice"},
        {"format": "email", "email": "alice@example.org"},
        {"format": "uri", "uri": "alice"},
        {"format": "uri", "uri": key},
        {"format": "opaque", "id": f"{api.issuer.issuer_url('alpha')}\nalice"},
        {"format": "complex", "session": {"format": "opaque", "id": "s-1"}},
        {
            "format": "complex",
            "user": {"format": "opaque", "id": "alice"},
            "session": {"format": "opaque", "id": "s-1"},
        },
        {"format": "complex", "application": {"format": "opaque", "id": "alice"}},
        {"format": "aliases", "identifiers": [{"format": "opaque", "id": "alice"}, {"format": "uri", "uri": key}]},
    ]


def naming_alpha(api: API, realm: str | None) -> list[Identifier]:
    """The same by the name of an issuer that is not the SET's own."""
    iss = api.issuer.issuer_url(realm)
    user = {"format": "iss_sub", "iss": iss, "sub": "alice"}
    return [
        user,
        {"subject_type": "iss-sub", "iss": iss, "sub": "alice"},
        {"format": "jwt_id", "iss": iss, "jti": "j-1"},
        {"format": "complex", "user": user},
        {"format": "complex", "user": user, "session": {"format": "opaque", "id": "s-1"}},
        {"format": "complex", "application": user},
    ]


def tokens_of_alice(api: API) -> list[str]:
    claims = {"jti": "j-1", "email": "alice@example.org"}
    return [
        api.token("alice", claims=claims),
        api.token("alice", claims=claims | {"sid": "s-1"}),
        api.token("carol", claims=claims | {"sid": "s-1"}, actor={"sub": "alice"}),
        api.token("alice", realm=None, claims=claims | {"sid": "s-1"}),
    ]


def assert_nothing_has_ended(api: API) -> None:
    assert not any(map(api.ended, tokens_of_alice(api)))
    assert not api.ended(api.token("alice", key=KEY), KEY)


def test_a_realm_ends_nothing_of_another_realm_s_nor_of_the_base(any_realm: API) -> None:
    """Where any realm is let in, its owner may be anybody."""
    for subject in everything_about_alice(any_realm):
        assert any_realm.tell(subject, realm="beta").status == 202
    for realm in ("alpha", None):
        for subject in naming_alpha(any_realm, realm):
            assert err(any_realm.tell(subject, realm="beta")) == "access_denied"
    assert_nothing_has_ended(any_realm)
    assert any_realm.ended(any_realm.token("alice", realm="beta")), "its own has"


def test_an_alias_that_another_issuer_gave_means_nothing(any_realm: API) -> None:
    """Whether the rest of the aliases is taken or not."""
    for subject in naming_alpha(any_realm, "alpha"):
        for identifiers in ([{"format": "opaque", "id": "x"}, subject], [subject]):
            answer = any_realm.tell({"format": "aliases", "identifiers": identifiers}, realm="beta")
            assert answer.status in (202, 400)
    assert_nothing_has_ended(any_realm)


def test_claims_of_a_set_do_not_make_it_another_issuer_s(any_realm: API) -> None:
    for iss in (any_realm.issuer.issuer_url("alpha"), any_realm.issuer.url):
        assert err(any_realm.tell("alice", realm="beta", claims={"iss": iss})) == "invalid_key"
    assert_nothing_has_ended(any_realm)


def test_the_base_issuer_speaks_for_its_realms_and_no_others(any_realm: API) -> None:
    base = any_realm.issuer.url
    for iss in (
        "https://elsewhere.example.com",
        base + "/",
        base + "/realms/",
        base + "/realms/a/b",
        base + "/realms/..",
        base + "x/realms/alpha",
    ):
        assert err(any_realm.tell({"format": "iss_sub", "iss": iss, "sub": "alice"}, realm=None)) == "access_denied"
    assert_nothing_has_ended(any_realm)
    tokens = tokens_of_alice(any_realm)
    assert any_realm.tell({"format": "opaque", "id": "alice"}, realm=None).status == 202
    assert [any_realm.ended(token) for token in tokens] == [True, True, True, True]


def test_realms_that_the_base_speaks_of_are_not_fetched(any_realm: API) -> None:
    base = any_realm.issuer.url
    assert any_realm.tell("alice", realm=None).status == 202
    any_realm.issuer.forget_requests()
    for number in range(20):
        subject = {"format": "iss_sub", "iss": f"{base}/realms/r{number}", "sub": "alice"}
        assert any_realm.tell(subject, realm=None).status == 202
    assert any_realm.issuer.requests == []


@pytest.mark.parametrize("realm", ["beta", None])
def test_issuers_that_are_not_let_in_are_not_heard_and_not_fetched(api: API, realm: str | None) -> None:
    """With `realms`, the base issuer is not let in either: each realm tells of its own."""
    assert err(api.tell({"format": "opaque", "id": "alice"}, realm=realm)) == "invalid_issuer"
    assert api.issuer.requests == []
    assert not api.ended(api.token("alice"))


def test_where_the_issuer_is_a_realm_it_is_the_only_one_heard(make_api: MakeAPI) -> None:
    api = make_api(issuer=make_api().issuer.issuer_url("alpha"), realms=None)
    token = api.token("alice")
    for realm in ("beta", None):
        assert err(api.tell({"format": "opaque", "id": "alice"}, realm=realm)) == "invalid_issuer"
    for subject in naming_alpha(api, "beta"):
        assert err(api.tell(subject)) == "access_denied"
    assert not api.ended(token)
    assert api.tell("alice").status == 202
    assert api.ended(token)


def test_several_realms_each_for_itself(make_api: MakeAPI) -> None:
    api = make_api(realms=["alpha", "beta"])
    alpha, beta = api.token("alice"), api.token("alice", realm="beta")
    assert api.tell("alice", realm="beta").status == 202
    assert [api.ended(alpha), api.ended(beta)] == [False, True]
    assert api.tell("alice").status == 202
    assert api.ended(alpha)


def test_invented_realms_fetch_no_more_than_their_budget(any_realm: API) -> None:
    key, answers = SigningKey.generate("EdDSA"), []
    for number in range(100):
        iss = f"{any_realm.issuer.url}/realms/invented-{number}"
        forged = key.sign({"typ": MEDIA_TYPE}, {"iss": iss})
        answers.append(any_realm.receive(forged).status)
    assert set(answers) == {400, 503}
    assert answers.count(400) == UNPROVEN_FETCHES
    assert len({path for _, path in any_realm.issuer.requests}) <= 2 * UNPROVEN_FETCHES


def test_a_realm_that_the_issuer_does_not_know_is_an_invalid_issuer(any_realm: API) -> None:
    forged = SigningKey.generate("EdDSA").sign({"typ": MEDIA_TYPE}, {"iss": f"{any_realm.issuer.url}/realms/invented"})
    assert err(any_realm.receive(forged)) == "invalid_issuer"


def test_what_is_no_set_by_its_header_fetches_nothing(any_realm: API) -> None:
    key = SigningKey.generate("EdDSA")
    for number in range(20):
        iss = f"{any_realm.issuer.url}/realms/invented-{number}"
        assert err(any_realm.receive(key.sign({"typ": "JWT"}, {"iss": iss}))) == "invalid_request"
    assert any_realm.issuer.requests == []
