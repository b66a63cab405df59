"""A Flask application: a view has its own signature behind every decorator."""

from collections.abc import Callable
from typing import Any, assert_type

from flask import Blueprint, Flask

from strongdm_auth import AccessToken, Requirement, StrongDMAuth, Verifier
from strongdm_auth.flask import current_token

app = Flask(__name__)
auth = StrongDMAuth(app, realms=["acme"], audience="https://api.example.com")
assert_type(auth.verifier, Verifier)
assert_type(current_token, AccessToken)


@app.get("/notes/<int:note>")
@auth.require_auth()
def note(note: int) -> dict[str, str | None]:
    return {"subject": current_token.subject}


@app.get("/bare")
@auth.require_auth
def bare() -> str:
    return "without parentheses"


@app.get("/admin/<name>")
@auth.require_scope("admin", "owner", require_all=True)
async def admin(name: str, *, verbose: bool = False) -> str:
    return name


@auth.require(scopes={"read"}, dpop=True)
def by_parts() -> int:
    return 1


@auth.require(Requirement(scopes="read"))
@auth.require_all_scopes("a", "b")
def by_a_requirement(count: int) -> list[int]:
    return [count]


async def check_signatures() -> None:
    as_it_was: Callable[[int], dict[str, str | None]] = note
    assert_type(as_it_was(1), dict[str, str | None])
    assert_type(note(1), dict[str, str | None])
    assert_type(bare(), str)
    assert_type(await admin("a", verbose=True), str)
    assert_type(by_parts(), int)
    assert_type(by_a_requirement(1), list[int])
    note("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    note()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    bare("an argument too many")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await admin("a", verbos=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def check_the_extension(blueprint: Blueprint) -> None:
    later = StrongDMAuth(dpop="required")
    later.init_app(app)
    later.protect(blueprint, scopes="read")
    assert_type(later.verify_request(), AccessToken)
    assert_type(later.verify_request(Requirement(dpop=True)), AccessToken)
    assert_type(later.get_current_agent(), dict[str, Any] | None)
    StrongDMAuth(app, audiance="misspelt")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    StrongDMAuth("not an app")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    auth.require(scope="admin")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    auth.protect(blueprint, scope="admin")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    auth.require_scope(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
