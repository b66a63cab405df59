"""Without a framework: settings by their names, requests in, tokens and denials out."""

from typing import assert_type

from strongdm_auth import (
    AccessToken,
    AsyncVerifier,
    Delegation,
    Denial,
    Refused,
    Request,
    Requirement,
    Settings,
    StrongDMAuthError,
    Verifier,
)

ADMIN = Requirement(scopes="admin", dpop=True, delegation=Delegation(allowed_actors="cli_*"), acr=["gold"], max_age=300)
assert_type(ADMIN & Requirement(any_scope={"read", "write"}), Requirement)
assert_type(ADMIN.scopes, frozenset[str])

verifier = Verifier(realms=["acme"], audience="https://api.example.com", dpop="required", leeway=10)
assert_type(verifier.settings.audience, tuple[str, ...])
assert_type(verifier.settings.leeway, float)


def handle(method: str, url: str, headers: dict[str, str]) -> tuple[int, bytes]:
    request = Request(method, url, headers)
    try:
        assert_type(verifier.authenticate(request), AccessToken)
        token = verifier.authorize(request, ADMIN)
    except Refused as refusal:
        assert_type(refusal.reason, str)
        denial = verifier.denial(refusal, ADMIN)
        assert_type(denial, Denial)
        assert_type(denial.headers, tuple[tuple[str, str], ...])
        return denial.status, denial.body
    except StrongDMAuthError as error:
        assert_type(error.status_code, int)
        assert_type(error.message, str)
        raise
    assert_type(token, AccessToken | None)
    return 200, b""


async def handle_in_a_loop(headers: list[tuple[str, str]]) -> None:
    in_loops = verifier.for_event_loops()
    assert_type(in_loops, AsyncVerifier)
    request = Request("GET", "https://api.example.com/", headers)
    assert_type(await in_loops.authenticate(request), AccessToken)
    assert_type(await in_loops.authorize(request, ADMIN), AccessToken | None)
    await in_loops.aclose()


def settings_are_made_first_or_given_as_keywords() -> None:
    Verifier(Settings(audience=["one", "another"], realms="*"))
    AsyncVerifier(Settings(introspection="fallback", client_id="api", client_secret="secret"))
    Verifier(Settings(audiance="misspelt"))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Verifier(audiance="misspelt")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    AsyncVerifier(realms=[1, 2])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    Verifier(audience=b"octets")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Requirement(scope="admin")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Requirement(dpop="required")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def an_optional_route_may_have_no_token(request: Request) -> AccessToken:
    return verifier.authorize(request, ADMIN)  # type: ignore[return-value]  # pyright: ignore[reportReturnType]
