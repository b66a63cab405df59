"""SVIDs and access tokens through every door. One key, under one `kid`, is in the bundle and in the realm's key set."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import flask
import pytest

from strongdm_auth import Requirement, StrongDMAuth
from strongdm_auth.testing import DPoPKey, Issuer, SigningKey
from tests.contract import AUDIENCE, BASE, ROUTES, Answer
from tests.doors.test_contract import DOORS, Door

AGENTS = "spiffe://strongdm.test/workload/*"
OF_THIS_TABLE: dict[str, Requirement] = {
    "/token": Requirement(),
    "/read": Requirement("read"),
    "/token-optional": Requirement(optional=True),
    "/svid": Requirement(spiffe_ids=AGENTS),
    "/svid-optional": Requirement(spiffe_ids=AGENTS, optional=True),
    "/svid-of-others": Requirement(spiffe_ids="spiffe://strongdm.test/person/*"),
    "/svid-and-read": Requirement(spiffe_ids=AGENTS) & Requirement("read"),
    "/svid-introspected": Requirement(spiffe_ids=AGENTS, introspect=True),
}
#: A door that asks for an access token before the route says what it needs: a dependency of the whole FastAPI app. Behind it no
#: route is for workloads, and an access token is still none.
ASK_FOR_A_TOKEN_FIRST = frozenset({"fastapi"})


class World:
    """An issuer, and what is sent."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        made = issuer.signing_key("alpha")
        issuer._authority._svid_key = SigningKey(made.alg, made.kid, "jwt-svid", made.private_key)
        self.client = issuer.client("api", realm="alpha")
        key = DPoPKey.generate()
        bound = self.token(key=key)
        self.sent: dict[str, Callable[[str], list[tuple[str, str]]]] = {
            "nothing": lambda path: [],
            "token": self._bearer(self.token()),
            "untyped token": self._bearer(self.token(header={"typ": "JWT"})),
            "bound token": lambda path: [
                ("Authorization", f"DPoP {bound}"),
                ("DPoP", key.proof("GET", BASE + path, bound)),
            ],
            "svid": self._bearer(self.svid()),
            "expired svid": self._bearer(self.svid(claims={"exp": 1})),
            "svid by DPoP": lambda path: [
                ("Authorization", f"DPoP {self.svid()}"),
                ("DPoP", key.proof("GET", BASE + path, self.svid())),
            ],
        }

    def token(self, **made: Any) -> str:
        return self.issuer.token("cli_agent", scopes="read", realm="alpha", audience=AUDIENCE, **made)

    def svid(self, **made: Any) -> str:
        return self.issuer.jwt_svid("cli_agent", audience=AUDIENCE, realm="alpha", **made)

    def settings(self, **changed: Any) -> dict[str, Any]:
        """Those of the API."""
        asking = {"client_id": self.client.client_id, "client_secret": self.client.client_secret}
        domain = {"trust_domains": self.issuer.trust_domain}
        return {"issuer": self.issuer.url, "realms": ["alpha"], "audience": AUDIENCE, **domain, **asking, **changed}

    @staticmethod
    def _bearer(compact: str) -> Callable[[str], list[tuple[str, str]]]:
        return lambda path: [("Authorization", f"Bearer {compact}")]


@dataclass(frozen=True)
class Row:
    sent: str
    path: str
    status: int
    error: str | None = None
    subject: str | None = None
    settings: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return " ".join([self.sent, self.path, *(value for _, value in self.settings)])


WORKLOAD, ALWAYS, BOUND = "spiffe://strongdm.test/workload/cli_agent", ("introspection", "always"), ("dpop", "required")
INVALID = (401, "invalid_token")
TABLE = [
    Row("svid", "/svid", 200, None, WORKLOAD),
    Row("svid", "/svid-optional", 200, None, WORKLOAD),
    Row("svid", "/token", *INVALID),
    Row("svid", "/read", *INVALID),
    Row("svid", "/token-optional", *INVALID),
    Row("svid", "/svid-of-others", 403, "access_denied"),
    Row("svid", "/svid-and-read", 403, "insufficient_scope"),
    Row("svid", "/svid-introspected", 403, "access_denied"),
    Row("svid", "/svid", 200, None, WORKLOAD, (ALWAYS,)),
    Row("svid", "/token", *INVALID, None, (ALWAYS,)),
    Row("svid", "/svid", *INVALID, None, (BOUND,)),
    Row("expired svid", "/svid", *INVALID),
    Row("expired svid", "/svid-optional", *INVALID),
    Row("svid by DPoP", "/svid", *INVALID),
    Row("svid by DPoP", "/svid", *INVALID, None, (BOUND,)),
    Row("svid by DPoP", "/token", *INVALID),
    Row("token", "/token", 200, None, "cli_agent"),
    Row("token", "/svid", *INVALID),
    Row("token", "/svid-optional", *INVALID),
    Row("token", "/svid-and-read", *INVALID),
    Row("token", "/svid", *INVALID, None, (ALWAYS,)),
    Row("untyped token", "/token", 200, None, "cli_agent"),
    Row("untyped token", "/svid", *INVALID),
    Row("bound token", "/token", 200, None, "cli_agent"),
    Row("bound token", "/svid", *INVALID),
    Row("bound token", "/svid", *INVALID, None, (BOUND,)),
    Row("nothing", "/svid", 401, "unauthorized"),
    Row("nothing", "/svid-optional", 200),
]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Issuer(realms=("alpha",), algorithms=("ES256",)).serve() as issuer:
        yield World(issuer)


@pytest.fixture(scope="module")
def apps(world: World) -> Iterator[Callable[[str, tuple[tuple[str, str], ...]], Door]]:
    """The contract's apps, with this table's routes."""
    made: dict[object, Door] = {}
    contract = dict(ROUTES)

    def app(door: str, settings: tuple[tuple[str, str], ...]) -> Door:
        if (door, settings) not in made:
            ROUTES.clear()
            ROUTES.update(OF_THIS_TABLE)
            try:
                made[door, settings] = DOORS[door](world.settings(**dict(settings)))
            finally:
                ROUTES.clear()
                ROUTES.update(contract)
        return made[door, settings]

    yield app
    for each in made.values():
        each.close()


def _expected(row: Row, door: str) -> Row:
    if door in ASK_FOR_A_TOKEN_FIRST and row.sent == "svid":
        return Row(row.sent, row.path, *INVALID)
    return row


def _check(answer: Answer, row: Row) -> None:
    assert answer.status == row.status, f"{row}: {answer}"
    body = json.loads(answer.body)
    if row.status == 200:
        assert body.get("subject") == row.subject, row
        assert row.subject or body == {"anonymous": True}, row
        if row.subject == WORKLOAD:
            assert (body["issuer"], body["realm"], body["scopes"]) == ("spiffe://strongdm.test", None, []), row
    else:
        assert body["error"] == row.error, row
        assert row.error in (answer.header("WWW-Authenticate") or "") or row.sent == "nothing", row
    assert "authorization" in (answer.header("Vary") or "").lower(), row


@pytest.mark.parametrize("door", DOORS)
def test_each_kind_at_its_own_routes_and_at_no_other(door: str, world: World, apps: Callable[..., Door]) -> None:
    for row in TABLE:
        answer = apps(door, row.settings).send("GET", row.path, "", world.sent[row.sent](row.path))
        _check(answer, _expected(row, door))


@pytest.mark.parametrize("door", DOORS)
def test_a_verdict_on_the_one_is_none_on_the_other(door: str, world: World, apps: Callable[..., Door]) -> None:
    app, rows = apps(door, ()), {(row.sent, row.path): row for row in TABLE if not row.settings}
    svid, token = world._bearer(world.svid()), world._bearer(world.token())
    for _ in range(2):
        for kind, made, path in (("svid", svid, "/svid"), ("token", token, "/svid"), ("token", token, "/token")):
            _check(app.send("GET", path, "", made(path)), _expected(rows[kind, path], door))
        _check(app.send("GET", "/token", "", svid("/token")), rows["svid", "/token"])


@pytest.mark.parametrize(("kind", "status"), [("svid", 401), ("token", 401), ("nothing", 401)])
def test_behind_a_gate_for_tokens_a_route_for_workloads_is_shut(kind: str, status: int, world: World) -> None:
    """A gate for all of an app asks first: an SVID is not what it asks for, and a token not what the route does."""
    app = flask.Flask("gated")
    auth = StrongDMAuth(app, **world.settings())
    auth.protect(app)
    app.add_url_rule("/svid", "svid", auth.require(OF_THIS_TABLE["/svid"])(lambda: "in"))
    answer = app.test_client().get("/svid", headers=world.sent[kind]("/svid"))
    assert (answer.status_code, answer.data == b"in") == (status, False)


@pytest.mark.parametrize("gate", ["/svid", "/token"])
def test_a_gate_for_workloads_leaves_its_route_to_ask_for_more(gate: str, world: World) -> None:
    app = flask.Flask("gated")
    auth = StrongDMAuth(app, **world.settings())
    auth.protect(app, OF_THIS_TABLE[gate])
    app.add_url_rule("/read", "read", auth.require(OF_THIS_TABLE["/read"])(lambda: "in"))
    app.add_url_rule("/others", "others", auth.require(OF_THIS_TABLE["/svid-of-others"])(lambda: "in"))
    statuses = [
        app.test_client().get(path, headers=world.sent["svid"](path)).status_code for path in ("/read", "/others")
    ]
    assert statuses == ([403, 403] if gate == "/svid" else [401, 401])
