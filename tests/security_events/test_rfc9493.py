"""RFC 9493 and SSF 1.0's complex subjects: which tokens a subject identifier is about, and which not."""

import json
from collections.abc import Callable

import pytest

from strongdm_auth.testing import DPoPKey
from tests.conftest import AUDIENCE

from .api import API, CAEP, Identifier, err

#: A key of an agent, made once: its thumbprint stands in a test's id.
KEY = DPoPKey.generate()
SESSION = CAEP + "session-revoked"


def tokens(api: API) -> dict[str, str]:
    """By what tells each from the others."""
    beta = api.issuer.issuer_url("beta")
    return {
        "alice": api.token("alice", claims={"jti": "j-1", "client_id": "cli_a"}),
        "alice's session 1": api.token("alice", claims={"sid": "s-1", "client_id": "cli_a"}),
        "alice's session 2": api.token("alice", claims={"sid": "s-2", "client_id": "cli_a"}),
        "alice acts": api.token("carol", actor={"sub": "alice"}, claims={"client_id": "cli_c"}),
        "alice acted first": api.token(
            "carol", actor={"sub": "cli_s", "act": {"sub": "alice"}}, claims={"client_id": "cli_c"}
        ),
        "beta's alice acts": api.token("carol", actor={"sub": "alice", "iss": beta}, claims={"client_id": "cli_c"}),
        "alice of beta": api.token("alice", realm="beta", claims={"jti": "j-1", "client_id": "cli_a", "sid": "s-9"}),
        "alice of the base": api.token("alice", realm=None, claims={"client_id": "cli_a"}),
        "bob": api.token("bob", claims={"client_id": "cli_b"}),
        "bob's session 1 of beta": api.token("bob", realm="beta", claims={"sid": "s-1", "client_id": "cli_b"}),
        "by mail": api.token("u-7", claims={"email": "Dora@Example.org"}),
        "by mail of another": api.token("u-8", claims={"email": "dora@example.org"}),
        "by mail of beta": api.token("u-7", realm="beta", claims={"email": "dora@example.org"}),
        "mail as subject": api.token("dora@example.org"),
        "by URI": api.token("urn:agent:7"),
        "bound": api.token("erin", key=KEY),
        "bound of beta": api.token("erin", realm="beta", key=KEY),
    }


ALICE = {"alice", "alice's session 1", "alice's session 2", "alice acts", "alice acted first"}
DORA = {"by mail", "by mail of another", "mail as subject"}


def iss_sub(api: API, sub: str, realm: str | None = "alpha") -> Identifier:
    return {"format": "iss_sub", "iss": api.issuer.issuer_url(realm), "sub": sub}


def opaque(value: str) -> Identifier:
    return {"format": "opaque", "id": value}


#: name -> whose SET, its subject, the tokens that it ends.
Row = tuple[str | None, Callable[[API], Identifier], set[str]]
ROWS: dict[str, Row] = {
    "3.2.3 iss_sub": ("alpha", lambda api: iss_sub(api, "alice"), ALICE),
    "3.2.3 iss_sub, another": ("alpha", lambda api: iss_sub(api, "bob"), {"bob"}),
    "3.2.3 iss_sub of nobody": ("alpha", lambda api: iss_sub(api, "nobody"), set()),
    "3.2.3 iss_sub of another case": ("alpha", lambda api: iss_sub(api, "Alice"), set()),
    "3.2.3 iss_sub by its realm": (
        "beta",
        lambda api: iss_sub(api, "alice", "beta"),
        {"alice of beta", "beta's alice acts"},
    ),
    "3.2.3 iss_sub by the base": (None, lambda api: iss_sub(api, "alice"), ALICE),
    "3.2.3 iss_sub by the base, of its own": (
        None,
        lambda api: iss_sub(api, "alice", None),
        ALICE | {"alice of beta", "alice of the base", "beta's alice acts"},
    ),
    "3.2.4 opaque": ("alpha", lambda _: opaque("alice"), ALICE),
    "3.2.4 opaque, a client": ("alpha", lambda _: opaque("cli_b"), {"bob"}),
    "3.2.4 opaque, an agent that acts": ("alpha", lambda _: opaque("cli_s"), {"alice acted first"}),
    "3.2.2 email": ("alpha", lambda _: {"format": "email", "email": "dora@example.org"}, DORA),
    "3.2.2 email in capitals": (
        "alpha",
        lambda _: {"format": "email", "email": "DORA@EXAMPLE.ORG"},
        DORA - {"mail as subject"},
    ),
    "3.2.2 email by its realm": (
        "beta",
        lambda _: {"format": "email", "email": "dora@example.org"},
        {"by mail of beta"},
    ),
    "3.2.2 email by the base": (
        None,
        lambda _: {"format": "email", "email": "dora@example.org"},
        DORA | {"by mail of beta"},
    ),
    "3.2.7 uri": ("alpha", lambda _: {"format": "uri", "uri": "urn:agent:7"}, {"by URI"}),
    "RFC 9278 a key's thumbprint": ("alpha", lambda _: key_uri(), {"bound"}),
    "RFC 9278 a key's thumbprint, by the base": (None, lambda _: key_uri(), {"bound", "bound of beta"}),
    "jwt_id": (
        "alpha",
        lambda api: {"format": "jwt_id", "iss": api.issuer.issuer_url("alpha"), "jti": "j-1"},
        {"alice"},
    ),
    "jwt_id by the base": (
        None,
        lambda api: {"format": "jwt_id", "iss": api.issuer.issuer_url("beta"), "jti": "j-1"},
        {"alice of beta"},
    ),
    "3.2.8 aliases": (
        "alpha",
        lambda api: {"format": "aliases", "identifiers": [iss_sub(api, "bob"), opaque("urn:agent:7"), key_uri()]},
        {"bob", "by URI", "bound"},
    ),
    "complex, user": ("alpha", lambda api: {"format": "complex", "user": iss_sub(api, "alice")}, ALICE),
    "complex, application": ("alpha", lambda _: {"format": "complex", "application": opaque("cli_b")}, {"bob"}),
    "complex, user and application": (
        "alpha",
        lambda api: {"format": "complex", "user": iss_sub(api, "alice"), "application": opaque("cli_b")},
        ALICE,
    ),
    "complex, user and device": (
        "alpha",
        lambda api: {"format": "complex", "user": iss_sub(api, "alice"), "device": opaque("d-1")},
        ALICE,
    ),
    "complex, session": ("alpha", lambda _: {"format": "complex", "session": opaque("s-1")}, {"alice's session 1"}),
    "complex, session by the base": (
        None,
        lambda _: {"format": "complex", "session": opaque("s-1")},
        {"alice's session 1", "bob's session 1 of beta"},
    ),
    "complex, user and session: and what does not say of which session it is": (
        "alpha",
        lambda api: {"format": "complex", "user": iss_sub(api, "alice"), "session": opaque("s-1")},
        ALICE - {"alice's session 2"},
    ),
    "complex, user and a session of nobody": (
        "alpha",
        lambda api: {"format": "complex", "user": iss_sub(api, "bob"), "session": opaque("s-0")},
        {"bob"},
    ),
    "as before RFC 9493: subject_type": (
        "alpha",
        lambda api: {"subject_type": "iss-sub", "iss": api.issuer.issuer_url("alpha"), "sub": "alice"},
        ALICE,
    ),
    "as before RFC 9493: subject_type with an underscore": (
        "alpha",
        lambda api: {"subject_type": "iss_sub", "iss": api.issuer.issuer_url("alpha"), "sub": "alice"},
        ALICE,
    ),
    "as before SSF 1.0: complex without a name": (
        "alpha",
        lambda api: {"user": {"subject_type": "opaque", "id": "alice"}, "session": {"id": "s-1"}},
        ALICE - {"alice's session 2"},
    ),
}


def key_uri() -> Identifier:
    return {"format": "uri", "uri": f"urn:ietf:params:oauth:jwk-thumbprint:sha-256:{KEY.thumbprint}"}


def ended_of(api: API, found: dict[str, str]) -> set[str]:
    return {name for name, token in found.items() if api.ended(token, KEY if name.startswith("bound") else None)}


@pytest.mark.parametrize("row", ROWS)
def test_a_subject_is_about_these_tokens_and_no_others(any_realm: API, row: str) -> None:
    realm, subject, expected = ROWS[row]
    seen, unseen = tokens(any_realm), tokens(any_realm)
    assert ended_of(any_realm, seen) == set()
    assert any_realm.tell(subject(any_realm), realm=realm).status == 202
    assert ended_of(any_realm, seen) == expected, "those that were verified before"
    assert ended_of(any_realm, unseen) == expected, "those that come for the first time"
    any_realm.clock.advance(1)
    assert ended_of(any_realm, tokens(any_realm)) == set(), "those that were issued after it"


@pytest.mark.parametrize(
    "row", ["3.2.3 iss_sub", "complex, user and session: and what does not say of which session it is"]
)
def test_as_before_ssf_the_subject_may_stand_in_the_event_and_goes_before(any_realm: API, row: str) -> None:
    realm, subject, expected = ROWS[row]
    found = tokens(any_realm)
    claims = {"events": {SESSION: {"subject": subject(any_realm)}}}
    assert any_realm.tell(opaque("bob"), realm=realm, claims=claims).status == 202
    assert ended_of(any_realm, found) == expected


UNMATCHABLE: list[object] = [
    {"format": "account", "uri": "acct:alice@example.org"},
    {"format": "did", "url": "did:example:alice"},
    {"format": "phone_number", "phone_number": "+12065550100"},
    {"format": "phone-number", "phone_number": "+12065550100"},
    {"format": "ip-addresses", "ip-addresses": ["10.0.0.1"]},
    {"format": "saml_assertion_id", "issuer": "https://a", "assertion_id": "x"},
    {"format": "x509", "subject": "CN=a"},
    {"format": "made_up", "id": "alice"},
    {"format": "aliases", "identifiers": [{"format": "phone_number", "phone_number": "+1"}]},
    {"format": "complex"},
    {"format": "complex", "tenant": {"format": "opaque", "id": "t"}},
    {"format": "complex", "device": {"format": "opaque", "id": "d"}},
    {"format": "complex", "group": {"format": "opaque", "id": "g"}},
    {"format": "complex", "user": {"format": "phone_number", "phone_number": "+1"}},
    {"format": "complex", "user": {"format": "phone_number", "phone_number": "+1"}, "session": {"id": "s-1"}},
    {"sub": "alice"},
    {},
]
MALFORMED: list[object] = [
    "alice",
    7,
    [],
    [{"format": "opaque", "id": "alice"}],
    {"format": 7},
    {"format": ["opaque"], "id": "alice"},
    {"format": None, "subject_type": "opaque", "id": "alice"},
    {"format": "opaque"},
    {"format": "opaque", "id": ""},
    {"format": "opaque", "id": 7},
    {"format": "opaque", "id": ["alice"]},
    {"format": "iss_sub", "sub": "alice"},
    {"format": "iss_sub", "iss": 7, "sub": "alice"},
    {"format": "email", "email": None},
    {"format": "uri", "uri": {}},
    {"format": "jwt_id", "jti": "j-1"},
    {"format": "aliases"},
    {"format": "aliases", "identifiers": []},
    {"format": "aliases", "identifiers": {}},
    {"format": "aliases", "identifiers": ["alice"]},
    {"format": "aliases", "identifiers": [{"format": "opaque", "id": "alice"}] * 17},
    {"format": "aliases", "identifiers": [{"format": "aliases", "identifiers": [{"format": "opaque", "id": "alice"}]}]},
    {"format": "complex", "user": "alice"},
    {"format": "complex", "user": []},
    {"format": "complex", "session": "s-1"},
    {"format": "complex", "session": {"format": "opaque"}},
    {"format": "complex", "session": {"id": 7}},
    {"format": "complex", "user": {"format": "complex", "user": {"format": "opaque", "id": "alice"}}},
]


@pytest.mark.parametrize("subject", [*UNMATCHABLE, *MALFORMED], ids=json.dumps)
def test_what_no_token_can_be_matched_with_is_not_acknowledged(api: API, subject: object) -> None:
    """Or its issuer would believe that the work is done."""
    token = api.token("alice", claims={"sid": "s-1"})
    assert err(api.tell(claims={"sub_id": subject})) == "invalid_request"
    assert err(api.tell("alice", claims={"events": {SESSION: {"subject": subject}}})) == "invalid_request"
    assert not api.ended(token)


def test_3_2_8_sixteen_aliases_are_taken(api: API) -> None:
    found = [api.token(f"agent-{number}") for number in range(16)]
    assert (
        api.tell({"format": "aliases", "identifiers": [opaque(f"agent-{number}") for number in range(16)]}).status
        == 202
    )
    assert all(map(api.ended, found))


def test_names_of_different_kinds_are_not_mixed_up(api: API) -> None:
    """A session, a token's id and a key may be called like a subject."""
    token = api.token("s-1", claims={"client_id": "j-1"})
    assert api.tell({"format": "complex", "session": opaque("s-1")}).status == 202
    assert api.tell({"format": "jwt_id", "iss": api.issuer.issuer_url("alpha"), "jti": "j-1"}).status == 202
    assert not api.ended(token)
    named_so = api.token("erin", claims={"jti": "alice", "sid": "alice"})
    assert api.tell(opaque("alice")).status == 202
    assert not api.ended(named_so)


def test_a_name_with_a_line_break_in_it_is_that_name_only(api: API) -> None:
    """Or whoever may choose a name could speak for another issuer: names are hashed as lines."""
    iss = api.issuer.issuer_url("alpha")
    token = api.token("alice")
    for name in (f"{iss}\nalice", "alice\n", "\nalice"):
        assert api.tell(opaque(name)).status == 202
    assert not api.ended(token)


def test_another_key_s_thumbprint_is_another_key(api: API) -> None:
    token = api.token("erin", key=KEY)
    other = DPoPKey.generate().thumbprint
    assert api.tell({"format": "uri", "uri": f"urn:ietf:params:oauth:jwk-thumbprint:sha-256:{other}"}).status == 202
    assert not api.ended(token, KEY)


@pytest.mark.parametrize("member", ["email", "sid"])
@pytest.mark.parametrize("spelled", ["{}", "\\u00{:x}{}"], ids=["plain", "in escapes"])
def test_a_claim_is_found_however_its_name_is_spelled(api: API, member: str, spelled: str) -> None:
    """JSON has many spellings of a name, and an issuer may use any of them."""
    name = member if spelled == "{}" else spelled.format(ord(member[0]), member[1:])
    now, iss = int(api.clock()), api.issuer.issuer_url("alpha")
    claims = f'"iss": "{iss}", "sub": "erin", "aud": "{AUDIENCE}", "iat": {now}, "exp": {now + 600}'
    token = api.signed(f'{{{claims}, "{name}": "s-1"}}', "at+jwt")
    assert api.reason(token) is None
    about = (
        {"format": "email", "email": "s-1"} if member == "email" else {"format": "complex", "session": opaque("s-1")}
    )
    assert api.tell(about).status == 202
    assert api.ended(token)
