"""Bearer tokens in requests (RFC 6750 2, 3.1); checklist 1-3, 7, 8. The challenges are in test_rfc6750_challenges.py."""

import pytest

from strongdm_auth import InvalidRequest, InvalidToken, MissingCredentials, Request, Requirement, Verifier
from strongdm_auth.errors import InsufficientScope
from strongdm_auth.testing import Clock, Issuer, SigningKey
from tests.conftest import URL, request

from .support import MakeVerifier, challenges_of, denied, mint, refused


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_read_in_any_case(issuer: Issuer, verifier: Verifier, scheme: str) -> None:
    """RFC 6750 2.1, RFC 9110 11.1; checklist 1."""
    assert verifier.authenticate(request(mint(issuer), scheme=scheme)).subject == "cli_agent"


def test_several_spaces_may_stand_between_scheme_and_token(issuer: Issuer, verifier: Verifier) -> None:
    """RFC 9110 11.4 (1*SP); checklist 1."""
    assert verifier.authenticate(request(mint(issuer), scheme="Bearer  ")).subject == "cli_agent"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("Bearer a b", id="two words"),
        pytest.param("Bearer a,b", id="comma"),
        pytest.param('Bearer "a.b.c"', id="quotes"),
        pytest.param("Bearer a%20b", id="percent"),
        pytest.param("Bearer a=b", id="padding inside"),
        pytest.param("Bearer =", id="padding alone"),
        pytest.param("Bearer", id="no token"),
        pytest.param("Bearer ", id="blank token"),
        pytest.param("Bearer a\r\nX-Evil: 1", id="line break"),
        pytest.param("Bearer a\x00", id="nul"),
        pytest.param("Bearer a\x0b", id="vertical tab"),
        pytest.param("Bearer tökén", id="latin-1"),
        pytest.param("Bearer ａ.ｂ.ｃ", id="full-width letters"),
        pytest.param("Bearer ٣", id="arabic digit"),
        pytest.param("Bearer \ufeffa.b.c", id="byte order mark"),
        pytest.param("Bearer \udce9", id="surrogate of a raw octet"),
        pytest.param("Bearer a\n", id="line feed at the end"),
        pytest.param("Bearer \ta", id="tab before the token"),
        pytest.param("DPoP a b", id="DPoP with two words"),
    ],
)
def test_a_token_outside_the_b64token_alphabet_makes_the_request_invalid(verifier: Verifier, value: str) -> None:
    """RFC 6750 2.1, 3.1; checklist 1."""
    error, denial = denied(verifier, Request("GET", URL, {"Authorization": value}))
    assert (type(error), error.status_code, error.error) == (InvalidRequest, 400, "invalid_request")
    assert [challenge.scheme for challenge in challenges_of(denial)] == [value.split(" ")[0]]


@pytest.mark.parametrize("second", ["Bearer {0}", "DPoP {0}", "Basic dXNlcjpzZWNyZXQ=", ""])
def test_two_authorization_headers_make_the_request_invalid(issuer: Issuer, verifier: Verifier, second: str) -> None:
    """RFC 6750 2, 3.1; checklist 2."""
    token = mint(issuer)
    headers = [("Authorization", f"Bearer {token}"), ("authorization", second.format(token))]
    error = refused(verifier, Request("GET", URL, headers))
    assert (error.status_code, error.error, error.reason) == (400, "invalid_request", "credentials.repeated")


@pytest.mark.parametrize("joined", ["Bearer {0}, DPoP {0}", "Bearer {0},Bearer {0}", "Basic eA==, Bearer {0}"])
def test_two_authorization_headers_that_a_server_joined_are_still_two(
    issuer: Issuer, verifier: Verifier, joined: str
) -> None:
    """RFC 9110 5.3, RFC 6750 2; checklist 2."""
    error = refused(verifier, Request("GET", URL, {"Authorization": joined.format(mint(issuer))}))
    assert (error.status_code, error.reason) == (400, "credentials.repeated")


@pytest.mark.parametrize("query", ["access_token={0}", "a=1&access_token={0}", "access%5Ftoken=x", "access_token="])
def test_a_token_in_the_query_besides_the_header_makes_the_request_invalid(
    issuer: Issuer, verifier: Verifier, query: str
) -> None:
    """RFC 6750 2, 2.3; checklist 2."""
    token = mint(issuer)
    error = refused(verifier, request(token, url=f"{URL}?{query.format(token)}"))
    assert (error.status_code, error.error, error.reason) == (400, "invalid_request", "credentials.repeated")


def test_a_query_that_only_resembles_one_is_fine(issuer: Issuer, verifier: Verifier) -> None:
    """RFC 6750 2.3; checklist 2."""
    assert verifier.authenticate(request(mint(issuer), url=f"{URL}?access=1&my_access_token=2#access_token=3"))


def test_a_token_in_the_query_alone_counts_for_nothing(issuer: Issuer, verifier: Verifier) -> None:
    """RFC 6750 2.3, 5.3; checklist 3: reading tokens from the query is not even offered."""
    error = refused(verifier, request(url=f"{URL}?access_token={mint(issuer)}"))
    assert (type(error), error.status_code) == (MissingCredentials, 401)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no header"),
        pytest.param({"Authorization": ""}, id="empty header"),
        pytest.param({"Authorization": "Basic dXNlcjpzZWNyZXQ="}, id="Basic"),
        pytest.param({"Authorization": "Bearerabc"}, id="no space"),
        pytest.param({"Authorization": "Token abc"}, id="Token"),
        pytest.param({"Authorization": "Bearer\tabc"}, id="tab for the space"),
        pytest.param({"DPoP": "a.b.c"}, id="a proof without a token"),
    ],
)
@pytest.mark.parametrize("dpop", ["allowed", "required"])
def test_without_credentials_the_challenge_names_no_error(
    make_verifier: MakeVerifier, headers: dict[str, str], dpop: str
) -> None:
    """RFC 6750 3.1; checklist 7."""
    error, denial = denied(make_verifier(dpop=dpop), Request("GET", URL, headers), Requirement("read"))
    assert (type(error), error.status_code, error.error) == (MissingCredentials, 401, "unauthorized")
    challenges = challenges_of(denial)
    assert [challenge.scheme for challenge in challenges] == (["DPoP"] if dpop == "required" else ["Bearer", "DPoP"])
    assert all(not name.startswith("error") for challenge in challenges for name in challenge.parameters)


def test_an_expired_token_is_invalid(issuer: Issuer, clock: Clock, verifier: Verifier) -> None:
    """RFC 6750 3.1; checklist 8."""
    token = mint(issuer, lifetime=60)
    assert verifier.authenticate(request(token))
    clock.advance(90)
    error = refused(verifier, request(token))
    assert (type(error), error.status_code, error.error, error.reason) == (
        InvalidToken,
        401,
        "invalid_token",
        "token.expired",
    )


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "a.b", "a.b.c.d", "....", "e30.e30.e30"])
def test_a_malformed_token_is_invalid(verifier: Verifier, token: str) -> None:
    """RFC 6750 3.1; checklist 8."""
    error = refused(verifier, request(token))
    assert (type(error), error.status_code, error.error) == (InvalidToken, 401, "invalid_token")


def test_a_token_signed_with_the_wrong_key_is_invalid(issuer: Issuer, verifier: Verifier) -> None:
    """RFC 6750 3.1; checklist 8."""
    honest = issuer.signing_key("alpha", "ES256")
    stranger = SigningKey.generate("ES256", kid=honest.kid)
    payload = mint(issuer, alg="ES256").split(".")[1]
    forged = stranger.sign({"typ": "at+jwt"}, {}).split(".")
    error = refused(verifier, request(f"{forged[0]}.{payload}.{forged[2]}"))
    assert (error.status_code, error.error, error.reason) == (401, "invalid_token", "token.signature")


def test_a_revoked_token_is_invalid(issuer: Issuer, make_verifier: MakeVerifier) -> None:
    """RFC 6750 3.1; checklist 8."""
    client = issuer.client("api", realm="alpha")
    verifier = make_verifier(introspection="always", client_id=client.client_id, client_secret=client.client_secret)
    token = mint(issuer)
    issuer.revoke(token)
    error = refused(verifier, request(token))
    assert (type(error), error.status_code, error.reason) == (InvalidToken, 401, "token.inactive")


def test_a_missing_scope_is_forbidden_and_all_scopes_are_named(issuer: Issuer, verifier: Verifier) -> None:
    """RFC 6750 3.1; checklist 8."""
    error, denial = denied(verifier, request(mint(issuer)), Requirement("read write", any_scope=["admin", "root"]))
    assert (type(error), error.status_code, error.error) == (InsufficientScope, 403, "insufficient_scope")
    (challenge,) = challenges_of(denial)
    assert (challenge.error, challenge.parameters["scope"]) == ("insufficient_scope", "admin read root write")


@pytest.mark.parametrize("scope", ["", "Read", "read2", "rea", "read,write", "read\twrite", "read\u00a0write", None])
def test_scopes_are_compared_whole_and_split_at_spaces_only(
    issuer: Issuer, verifier: Verifier, scope: str | None
) -> None:
    """RFC 6749 3.3, RFC 6750 3.1; checklist 8."""
    error = refused(verifier, request(mint(issuer, claims={"scope": scope})), Requirement("read"))
    assert error.reason == "scope.insufficient"


@pytest.mark.parametrize("size", [16_385, 1_048_576])
def test_a_token_that_is_too_long_is_refused_before_it_is_looked_at(
    issuer: Issuer, verifier: Verifier, size: int
) -> None:
    """RFC 6750 3.1 (malformed for other reasons); checklist 8."""
    issuer.forget_requests()
    error = refused(verifier, request("a" * size))
    assert (error.status_code, error.reason, issuer.requests) == (401, "token.too_long", [])


def test_a_token_of_exactly_the_longest_size_is_read(issuer: Issuer, verifier: Verifier) -> None:
    """The limit itself: a good token of 16,384 bytes passes, the same token one byte longer does not; checklist 8."""

    def token_with(padding: int) -> str:
        return mint(issuer, alg="ES256", claims={"pad": "x" * padding})

    padding = 12_000 - len(token_with(0)) * 3 // 4
    while len(token_with(padding)) < 16_384:
        padding += 1
    assert len(token_with(padding)) == 16_384
    assert verifier.authenticate(request(token_with(padding)))
    longer = next(token for step in (1, 2) if len(token := token_with(padding + step)) > 16_384)
    assert refused(verifier, request(longer)).reason == "token.too_long"
