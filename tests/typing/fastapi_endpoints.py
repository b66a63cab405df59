"""A FastAPI application: a security scheme among dependencies, and decorators that keep an endpoint's signature."""

from typing import Annotated, assert_type

from fastapi import Depends, FastAPI, Security

from strongdm_auth import AccessToken, AsyncVerifier, Requirement
from strongdm_auth.fastapi import StrongDMAuth

app = FastAPI()
auth = StrongDMAuth(realms=["acme"], audience="https://api.example.com", scopes={"admin": "everything"})
auth.install(app)
assert_type(auth.verifier, AsyncVerifier)
assert_type(auth.require(dpop=True), StrongDMAuth)

Reader = Annotated[AccessToken, Security(auth, scopes=["read"])]
Anybody = Annotated[AccessToken | None, Depends(StrongDMAuth(auto_error=False))]


@app.get("/notes/{number}")
async def note(number: int, agent: Reader, anybody: Anybody) -> dict[str, str | None]:
    assert_type(agent, AccessToken)
    assert_type(anybody, AccessToken | None)
    return {"subject": agent.subject}


@app.get("/bound")
def bound(agent: Annotated[AccessToken, Depends(auth.require(Requirement(acr="gold"), dpop=True))]) -> str | None:
    return agent.key_thumbprint


@app.get("/admin/{name}")
@auth.require_scope("admin", "owner")
async def admin(name: str, verbose: bool = False) -> list[str]:
    return [name]


@app.get("/both")
@auth.require_all_scopes("read", "write")
def both() -> int:
    return 2


async def check_signatures() -> None:
    assert_type(await admin("a", verbose=True), list[str])
    assert_type(both(), int)
    both("an argument too many")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def check_settings() -> None:
    StrongDMAuth(audiance="misspelt")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    StrongDMAuth(auto_error="no")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    auth.require(scope="admin")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    auth.install("not an app")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
