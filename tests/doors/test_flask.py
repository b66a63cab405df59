"""What only the Flask door has: decorators, blueprints, several apps, error handlers, extensions, the former names."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Blueprint, Flask, g, jsonify
from flask.views import MethodView

import strongdm_auth
from strongdm_auth import ConfigurationError, Delegation, InvalidToken, Requirement, StrongDMAuthError
from strongdm_auth.flask import StrongDMAuth, current_token
from strongdm_auth.testing import Issuer
from tests.contract import AUDIENCE, BASE, Headers, World
from tests.contract_cases import bearer, bound


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Issuer(realms=("alpha", "beta", "gamma")).serve() as issuer:
        yield World(issuer)


@pytest.fixture
def app() -> Flask:
    return Flask("api")


@pytest.fixture
def auth(app: Flask, world: World) -> StrongDMAuth:
    return StrongDMAuth(app, **world.settings())


def get(app: Flask, path: str, headers: Headers = (), **kwargs: Any) -> Any:  # type: ignore[assignment]
    return app.test_client().get(BASE + path, headers=list(headers), **kwargs)


def test_the_package_gives_the_flask_door_by_its_short_name() -> None:
    assert strongdm_auth.StrongDMAuth is StrongDMAuth


def test_decorators_compose_and_authenticate_once(app: Flask, auth: StrongDMAuth, world: World) -> None:
    @app.get("/protected")
    @auth.require_auth
    @auth.require_scope("read", "other")
    @auth.require_all_scopes("read", "write")
    @auth.require(Requirement(dpop=True), realms=["alpha"])
    def view() -> dict[str, Any]:
        assert auth.verify_request() is auth.verify_request()
        return {"subject": current_token.subject}

    response = get(app, "/protected", bound(scopes=["read", "write"])(world))  # a proof is good once
    assert response.json == {"subject": "cli_agent"}
    assert get(app, "/protected", bound(scopes=["read"])(world)).status_code == 403


def test_the_former_middleware_s_names_work(world: World) -> None:
    app = Flask("seed")
    auth = StrongDMAuth(
        app,
        issuer=world.issuer.url,
        audience=None,
        jwks_cache_ttl=900,
        introspection_enabled=True,
        client_id=world.client.client_id,
        client_secret=world.client.client_secret,
    )

    @app.route("/agent")
    @auth.require_auth()
    def agent() -> Any:
        info = auth.get_current_agent()
        assert info is not None
        claims = g.token_claims
        return jsonify(info, claims, claims.get("scope", "").split(), dict(claims)["sub"])

    @app.route("/verify")
    def verify() -> Any:
        try:
            return jsonify(auth.verify_request()["sub"])
        except StrongDMAuthError as error:
            return jsonify(error.message), error.status_code

    act = {"sub": "cli_a", "act": {"sub": "cli_b"}}
    info, claims, scopes, subject = get(app, "/agent", bearer(actor=act, scopes=["b", "a"])(world)).json
    assert info["subject"] == subject == "cli_agent"
    assert info["scopes"] == ["a", "b"]
    assert sorted(scopes) == ["a", "b"]
    assert info["actor"] == claims["act"] == act
    assert get(app, "/verify", bearer()(world)).json == "cli_agent"
    assert get(app, "/verify").status_code == 401
    assert get(app, "/verify").json == "Authentication is required"


pytestmark = pytest.mark.filterwarnings("ignore::strongdm_auth.SecurityWarning")


def test_nobody_is_the_current_agent_before_a_view_asks(app: Flask, auth: StrongDMAuth, world: World) -> None:
    @app.get("/open")
    def view() -> dict[str, Any]:
        with pytest.raises(RuntimeError, match="require_auth"):
            _ = current_token.subject
        return {"agent": auth.get_current_agent()}

    assert get(app, "/open", bearer()(world)).json == {"agent": None}
    assert "Vary" not in get(app, "/open").headers


def test_claims_cannot_be_changed_for_the_next_request(app: Flask, auth: StrongDMAuth, world: World) -> None:
    @app.get("/protected")
    @auth.require_auth()
    def view() -> dict[str, Any]:
        with pytest.raises(TypeError):
            g.token_claims["scope"] = "admin"
        with pytest.raises(TypeError):
            g.token_claims["act"].update(sub="root")
        return {}

    headers = bearer(actor={"sub": "cli_a"})(world)
    assert get(app, "/protected", headers).status_code == 200
    assert get(app, "/protected", headers).status_code == 200


def test_a_blueprint_can_be_protected(app: Flask, auth: StrongDMAuth, world: World) -> None:
    admin = Blueprint("admin", "admin", url_prefix="/admin")
    auth.protect(admin, scopes={"admin"})

    @admin.get("/users")
    def users() -> dict[str, Any]:
        return {"by": current_token.subject}

    @app.get("/open")
    def open_view() -> dict[str, Any]:
        return {}

    app.register_blueprint(admin)
    assert get(app, "/open").status_code == 200
    assert get(app, "/admin/users", bearer()(world)).status_code == 403
    assert get(app, "/admin/users", bearer(scopes=["admin"])(world)).json == {"by": "cli_agent"}


def test_a_protected_app_tells_a_stranger_nothing_of_its_paths(app: Flask, auth: StrongDMAuth, world: World) -> None:
    auth.protect(app)
    assert get(app, "/nowhere").status_code == 401
    assert get(app, "/nowhere", bearer()(world)).status_code == 404


def test_a_cors_preflight_passes_a_protected_app_and_nothing_else_does(app: Flask, auth: StrongDMAuth) -> None:
    auth.protect(app)

    @app.get("/protected")
    def view() -> dict[str, Any]:
        return {}

    preflight = {"Origin": "https://web.example", "Access-Control-Request-Method": "GET"}
    client = app.test_client()
    assert client.options("/protected", headers=preflight).status_code == 200
    assert client.options("/protected").status_code == 401
    assert client.get("/protected", headers=preflight).status_code == 401


def test_several_apps_in_a_process_keep_their_settings_apart(world: World) -> None:
    auth = StrongDMAuth(**world.settings(audience=None))
    first, second = Flask("first"), Flask("second")
    first.config["STRONGDM_AUDIENCE"] = AUDIENCE
    second.config["STRONGDM_AUDIENCE"] = "https://second.example"
    for app in (first, second):
        auth.init_app(app)
        app.add_url_rule("/protected", view_func=auth.require_auth()(dict), endpoint="protected")
    assert get(first, "/protected", bearer()(world)).status_code == 200
    assert get(second, "/protected", bearer()(world)).status_code == 401
    assert get(second, "/protected", bearer(audience="https://second.example")(world)).status_code == 200


def test_one_app_may_have_two_audiences(app: Flask, auth: StrongDMAuth, world: World) -> None:
    other = StrongDMAuth(app, **world.settings(audience="https://other.example"))

    @app.get("/one")
    @auth.require_auth()
    def one() -> dict[str, Any]:
        return {}

    @app.get("/other")
    @other.require_auth()
    def view() -> dict[str, Any]:
        return {}

    assert get(app, "/one", bearer()(world)).status_code == 200
    assert get(app, "/other", bearer()(world)).status_code == 401
    assert get(app, "/other", bearer(audience="https://other.example")(world)).status_code == 200


def test_an_app_that_was_not_initialised_is_told_so(app: Flask) -> None:
    auth = StrongDMAuth()
    with app.test_request_context("/"), pytest.raises(ConfigurationError, match="init_app"):
        auth.verify_request()


def test_wrong_settings_fail_at_start_up(app: Flask, world: World) -> None:
    app.config["STRONGDM_AUDIENC"] = "x"
    with pytest.raises(ConfigurationError, match="did you mean STRONGDM_AUDIENCE"):
        StrongDMAuth(app, **world.settings())
    with pytest.raises(ConfigurationError, match="require_scope needs"):
        StrongDMAuth().require_scope()
    with pytest.raises(ConfigurationError):
        StrongDMAuth().require("admin")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError):
        StrongDMAuth().require_scope(lambda: None)  # type: ignore[arg-type]


@pytest.mark.parametrize("catches", [StrongDMAuthError, InvalidToken, 401])
def test_an_application_may_render_refusals_itself(catches: Any, app: Flask, auth: StrongDMAuth) -> None:
    @app.errorhandler(catches)
    def mine(error: Any) -> Any:
        return {"mine": error.reason, "status": error.status_code}, error.status_code, error.get_response().headers

    @app.get("/protected")
    @auth.require_auth()
    def view() -> dict[str, Any]:
        return {}

    response = get(app, "/protected", [("Authorization", "Bearer abc")])
    assert response.json == {"mine": "token.opaque", "status": 401}
    assert response.headers["WWW-Authenticate"].startswith("Bearer error=")


def test_a_view_may_refuse_in_our_words(app: Flask, auth: StrongDMAuth) -> None:
    @app.get("/account")
    def view() -> None:
        raise StrongDMAuthError("No such account for this agent", 403)

    response = get(app, "/account")
    assert response.status_code == 403
    assert response.json == {"error": "access_denied", "error_description": "No such account for this agent"}


def test_a_method_view_and_an_async_one_can_be_protected(app: Flask, auth: StrongDMAuth, world: World) -> None:
    class Things(MethodView):
        decorators = (auth.require_auth(),)

        def get(self) -> dict[str, Any]:
            return {"by": current_token.subject}

        async def post(self) -> dict[str, Any]:
            return {"by": current_token.subject, "async": True}

    app.add_url_rule("/things", view_func=Things.as_view("things"))
    headers = bearer()(world)
    assert get(app, "/things", headers).json == {"by": "cli_agent"}
    assert app.test_client().post("/things", headers=headers).json == {"by": "cli_agent", "async": True}
    assert app.test_client().post("/things").status_code == 401


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("production", [True, False])
@pytest.mark.parametrize("extension", ["flask_restful", "flask_restx"])
def test_rest_extensions_keep_status_and_challenge(extension: str, production: bool, world: World) -> None:
    library = pytest.importorskip(extension)
    app = Flask(extension)
    app.config.update(PROPAGATE_EXCEPTIONS=not production)
    auth = StrongDMAuth(app, **world.settings())
    api = library.Api(app)

    class Thing(library.Resource):
        method_decorators = (auth.require_scope("read"),)

        def get(self) -> dict[str, Any]:
            return {"by": current_token.subject}

    api.add_resource(Thing, "/thing")
    assert get(app, "/thing", bearer()(world)).json == {"by": "cli_agent"}
    missing = get(app, "/thing")
    assert (missing.status_code, missing.headers["WWW-Authenticate"].count("Bearer ")) == (401, 1)
    assert "algs=" in missing.headers["WWW-Authenticate"]
    lacking = get(app, "/thing", bearer(scopes=["x"])(world))
    assert lacking.status_code == 403
    assert 'scope="read"' in lacking.headers["WWW-Authenticate"]


def test_vary_is_added_to_what_the_view_says_itself(app: Flask, auth: StrongDMAuth, world: World) -> None:
    @app.get("/protected")
    @auth.require_auth()
    def view() -> Any:
        return {}, 200, {"Vary": "Accept, authorization", "Cache-Control": "max-age=5"}

    response = get(app, "/protected", bearer()(world))
    assert response.headers["Vary"] == "Accept, authorization, DPoP"
    assert response.headers["Cache-Control"] == "max-age=5"


def test_the_metadata_document_is_served_where_the_challenge_says(app: Flask, world: World) -> None:
    resource = "https://api.example.com/v1"
    auth = StrongDMAuth(app, **world.settings(resource=resource))
    auth.protect(app, delegation=Delegation(required=False))
    challenge = get(app, "/v1").headers["WWW-Authenticate"]
    url = "https://api.example.com/.well-known/oauth-protected-resource/v1"
    assert challenge.count(f'resource_metadata="{url}"') == 2
    document = app.test_client().get(url, headers={"Host": "evil.example"})
    assert document.json["resource"] == resource
    assert document.json["authorization_servers"] == [world.issuer.issuer_url("alpha"), world.issuer.issuer_url("beta")]
    assert document.headers["Access-Control-Allow-Origin"] == "*"


def test_a_mounted_app_is_asked_for_by_its_whole_uri(app: Flask, auth: StrongDMAuth, world: World) -> None:
    @app.get("/a/<path:rest>")
    @auth.require_auth()
    def view(rest: str) -> dict[str, Any]:
        return {"rest": rest}

    def ask(url: str) -> int:
        overrides = {"SCRIPT_NAME": "/mount"}
        headers = bound(url=url)(world)
        return app.test_client().get(BASE + "/a/b%2Fc", headers=headers, environ_overrides=overrides).status_code

    assert ask(BASE + "/mount/a/b%2Fc") == 200
    assert ask(BASE + "/a/b%2Fc") == 401
    assert ask(BASE + "/mount/a/b/c") == 401


def test_a_context_that_outlives_a_request_lets_nobody_else_in(app: Flask, auth: StrongDMAuth, world: World) -> None:
    """Flask reuses an app context that was pushed by hand, `g` and all: scripts and tests do that, and some servers."""

    @app.get("/protected")
    @auth.require_auth()
    def view() -> dict[str, Any]:
        return {"by": current_token.subject}

    @app.get("/open")
    def open_view() -> dict[str, Any]:
        return {"claims": g.get("token_claims"), "agent": auth.get_current_agent()}

    with app.app_context():
        assert get(app, "/protected", bearer()(world)).json == {"by": "cli_agent"}
        assert get(app, "/protected").status_code == 401
        assert get(app, "/protected", bearer(subject="cli_b")(world)).json == {"by": "cli_b"}
        assert get(app, "/open").json == {"claims": None, "agent": None}
