"""The REST framework door: authentication, permissions, bodies and headers that DRF would make otherwise."""

import tests.doors.django_settings  # noqa: F401  # isort: skip
import json
import subprocess
import sys
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.test import override_settings
from django.views.decorators.cache import cache_page
from rest_framework.authentication import BaseAuthentication
from rest_framework.decorators import api_view, authentication_classes, permission_classes
from rest_framework.permissions import AllowAny, DjangoModelPermissions, IsAdminUser, IsAuthenticated
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory, force_authenticate
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from strongdm_auth import AccessToken, ConfigurationError, Requirement
from strongdm_auth.django import RequireAuthMixin, require_scope
from strongdm_auth.drf import (
    Agent,
    Refusal,
    Requires,
    StrongDMAuthentication,
    TokenHasAnyScope,
    TokenHasScope,
    exception_handler,
)
from tests.contract import NONCE_SECRET, World
from tests.doors.django_calls import ask_wsgi
from tests.doors.django_projects import (  # noqa: F401
    CSRF,
    OURS,
    Ask,
    Serve,
    a_project,
    a_world,
    bearer,
    both_servers,
    bound,
)
from tests.doors.test_django_users import user_of

TOKEN = AccessToken(subject="cli_fake", issuer="https://id.example.com", scopes=frozenset({"admin"}))
with_and_without = pytest.mark.parametrize("middleware", [[OURS], []], ids=["middleware", "bare"])


class Somebody(BaseAuthentication):
    """Lets everybody in as root, by no token."""

    def authenticate(self, request: Any) -> Any:
        return User(username="root"), None


def who(request: Request) -> Response:
    subject = request.auth.subject if request.auth else None
    return Response({"user": str(request.user), "subject": subject, "type": type(request.user).__name__})


class View(APIView):
    authentication_classes = [StrongDMAuthentication]  # noqa: RUF012
    permission_classes: Any = [TokenHasScope]  # noqa: RUF012
    required_scopes: Any = ["admin"]  # noqa: RUF012

    def get(self, request: Request) -> Response:
        return who(request)

    post = get


def of(**changed: Any) -> Any:
    """A view with other attributes."""
    return type("Changed", (View,), changed).as_view()


@both_servers
@with_and_without
def test_a_view_lets_in_whom_it_asks_for(middleware: list[str], ask: Ask, serve: Serve, world: World) -> None:
    serve({"x": View.as_view()}, MIDDLEWARE=middleware)
    without = ask("GET", "/x")
    assert (without.status, without.header("Cache-Control")) == (401, "no-store")
    assert without.challenges["Bearer"] == {"scope": "admin"}
    less = ask("GET", "/x", headers=bearer(world))
    assert (less.status, less.challenges["Bearer"]["scope"]) == (403, "admin")
    assert json.loads(less.body)["error"] == "insufficient_scope"
    assert "authorization" in (less.header("Vary") or "").lower()
    headers = bound(world, "/x", scopes=["admin"])
    good = ask("GET", "/x", headers=headers)
    assert (good.status, json.loads(good.body)["subject"]) == (200, "cli_agent")
    assert {"Authorization", "DPoP"} <= set((good.header("Vary") or "").split(", "))
    assert ask("GET", "/x", headers=headers).status == 401, "the proof was used"


def test_what_scopes_a_view_asks_for_may_be_known_late(serve: Serve, world: World) -> None:
    def permissions(self: Any) -> Any:
        self.required_scopes = {"GET": ["read"], "POST": ["write"]}[self.request.method]
        return APIView.get_permissions(self)

    serve({"x": of(required_scopes=None, get_permissions=permissions)})
    assert ask_wsgi("GET", "/x").status == 401
    assert ask_wsgi("GET", "/x", headers=bearer(world)).status == 200
    assert ask_wsgi("POST", "/x", headers=bearer(world)).status == 403


@with_and_without
def test_a_renewed_nonce_comes_back_on_success(middleware: list[str], serve: Serve, world: World) -> None:
    configured = {"DPOP_NONCE": "required", "DPOP_NONCE_SECRET": NONCE_SECRET}
    serve({"x": of(required_scopes="read")}, configured, MIDDLEWARE=middleware)
    token = world.token(key=world.key)
    proof = world.key.proof("GET", "https://api.example.com/x", token, nonce=world.nonce(200))
    answer = ask_wsgi("GET", "/x", headers=[("Authorization", f"DPoP {token}"), ("DPoP", proof)])
    assert (answer.status, answer.header("Cache-Control")) == (200, "no-store")
    assert answer.header("DPoP-Nonce")


@with_and_without
def test_any_of_the_scopes_may_do(middleware: list[str], serve: Serve, world: World) -> None:
    serve(
        {
            "any": of(permission_classes=[TokenHasAnyScope], required_scopes=["x", "read"]),
            "all": of(required_scopes=["x", "read"]),
            "requires": of(permission_classes=[Requires(Requirement(scopes="read"), dpop=True)]),
            "parts": of(permission_classes=[Requires(scopes="read")]),
            "token": of(permission_classes=[Requires()]),
        },
        MIDDLEWARE=middleware,
    )

    def status(name: str) -> int:
        return ask_wsgi("GET", f"/{name}", headers=bearer(world)).status

    assert [status(name) for name in ("any", "all", "requires", "parts", "token")] == [200, 403, 401, 200, 200]
    assert ask_wsgi("GET", "/requires", headers=bound(world, "/requires")).status == 200


@both_servers
@pytest.mark.parametrize("configured", [{"PROTECTED_ROUTES": {"/": {}}}, {"REQUIRE": True}])
@pytest.mark.parametrize("authenticators", [[StrongDMAuthentication], []])
def test_what_the_middleware_has_authenticated_is_not_authenticated_again(
    authenticators: list[Any], configured: dict[str, Any], ask: Ask, serve: Serve, world: World
) -> None:
    serve({"x": of(authentication_classes=authenticators, required_scopes="read")}, configured)
    assert ask("GET", "/x", headers=bound(world, "/x")).status == 200
    assert ask("GET", "/x", headers=bearer(world, scopes=["x"])).status == 403
    assert ask("GET", "/x").status == 401


@both_servers
@with_and_without
def test_decorators_work_on_api_views(middleware: list[str], ask: Ask, serve: Serve, world: World) -> None:
    @api_view(["GET"])
    @authentication_classes([StrongDMAuthentication])
    @permission_classes([IsAuthenticated])
    @require_scope("read")
    def inside(request: Request) -> Response:
        return who(request)

    @api_view(["GET"])
    @authentication_classes([])
    @require_scope("read")
    def alone(request: Request) -> Response:
        return who(request)

    class MixedIn(RequireAuthMixin, View):
        requirement = Requirement(scopes="read")
        required_scopes = "read"

    views = {"inside": inside, "alone": alone, "outside": require_scope("read")(of(required_scopes="read"))}
    serve({**views, "mixin": MixedIn.as_view()}, MIDDLEWARE=middleware)
    for name in ("inside", "alone", "outside", "mixin"):
        answer = ask("GET", f"/{name}", headers=bound(world, f"/{name}"))
        assert (answer.status, json.loads(answer.body)["subject"]) == (200, "cli_agent"), name
        assert ask("GET", f"/{name}", headers=bearer(world, scopes=["x"])).status == 403
        assert ask("GET", f"/{name}").status == 401


def test_a_page_that_a_token_let_in_is_not_kept_in_the_cache(serve: Serve, world: World) -> None:
    serve({"x": cache_page(60)(of(required_scopes="read"))}, MIDDLEWARE=[])
    headers = bound(world, "/x")
    assert [ask_wsgi("GET", "/x", headers=headers).status for _ in range(2)] == [200, 401]


def test_a_post_with_a_token_needs_no_csrf_cookie(serve: Serve, world: World) -> None:
    serve({"x": View.as_view()}, MIDDLEWARE=[CSRF, OURS])
    assert ask_wsgi("POST", "/x", headers=bearer(world, scopes=["admin"])).status == 200


def test_without_credentials_others_may_try(serve: Serve, world: World) -> None:
    classes = [StrongDMAuthentication, Somebody]
    serve(
        {
            "open": of(authentication_classes=classes, permission_classes=[AllowAny]),
            "x": of(authentication_classes=classes),
        }
    )
    assert json.loads(ask_wsgi("GET", "/open").body)["user"] == "root"
    assert json.loads(ask_wsgi("GET", "/open", headers=[("Authorization", "Basic YTpi")]).body)["user"] == "root"
    assert ask_wsgi("GET", "/open", headers=[("Authorization", "Bearer abc")]).status == 401
    assert ask_wsgi("GET", "/x").status == 401, "somebody, but no token"


def test_a_token_that_nobody_authenticated_gives_no_permission(serve: Serve, world: World) -> None:
    """Else root would be let in by an agent's scopes, and the view would see root."""
    serve({"x": of(authentication_classes=[Somebody, StrongDMAuthentication])}, MIDDLEWARE=[])
    assert ask_wsgi("GET", "/x", headers=bearer(world, scopes=["admin"])).status == 401


def test_an_optional_requirement_lets_anyone_in_but_not_bad_tokens(serve: Serve, world: World) -> None:
    serve({"x": of(permission_classes=[Requires(scopes="read", optional=True)])}, MIDDLEWARE=[])
    assert json.loads(ask_wsgi("GET", "/x").body)["user"] == str(AnonymousUser())
    assert ask_wsgi("GET", "/x", headers=bearer(world)).status == 200
    assert ask_wsgi("GET", "/x", headers=bearer(world, scopes=["x"])).status == 403
    assert ask_wsgi("GET", "/x", headers=[("Authorization", "Bearer abc")]).status == 401


def test_is_authenticated_has_our_challenge(serve: Serve, world: World) -> None:
    serve({"x": of(permission_classes=[IsAuthenticated])}, MIDDLEWARE=[])
    answer = ask_wsgi("GET", "/x")
    assert (answer.status, list(answer.challenges)) == (401, ["Bearer", "DPoP"])
    assert json.loads(ask_wsgi("GET", "/x", headers=bearer(world)).body)["type"] == "Agent"


def test_permissions_go_together_with_others(serve: Serve, world: World) -> None:
    serve(
        {
            "or": of(permission_classes=[IsAdminUser | TokenHasScope], required_scopes="read"),
            "and": of(permission_classes=[IsAuthenticated & TokenHasScope], required_scopes="read"),
            "root": of(permission_classes=[IsAdminUser]),
        },
        MIDDLEWARE=[],
    )
    assert [ask_wsgi("GET", f"/{name}", headers=bearer(world)).status for name in ("or", "and", "root")] == [
        200,
        200,
        403,
    ]
    assert ask_wsgi("GET", "/or", headers=bearer(world, scopes=["x"])).challenges["Bearer"]["scope"] == "read"


def test_our_exception_handler_answers_byte_for_byte(serve: Serve, world: World) -> None:
    changed = {
        "renderer_classes": [BrowsableAPIRenderer, JSONRenderer],
        "get_exception_handler": lambda self: exception_handler,
    }
    views = {
        "scope": of(**changed),
        "user": of(permission_classes=[IsAuthenticated], **changed),
        "other": of(permission_classes=[IsAuthenticated], authentication_classes=[], **changed),
        "missing": of(permission_classes=[AllowAny], get=None, **changed),
    }
    serve(views, MIDDLEWARE=[])
    accept = ("Accept", "text/html")
    for name in ("scope", "user"):
        answer = ask_wsgi("GET", f"/{name}", headers=[accept])
        assert answer.body == b'{"error": "unauthorized", "error_description": "Authentication is required"}\n'
        assert (answer.header("Content-Type"), answer.status) == ("application/json", 401)
        assert set((answer.header("Vary") or "").split(", ")) == {"Accept", "Authorization", "DPoP"}
    assert ask_wsgi("GET", "/other", headers=[("Accept", "application/json")]).status == 403
    assert b"insufficient_scope" in ask_wsgi("GET", "/scope", headers=[accept, *bearer(world)]).body


def test_a_view_must_say_which_scopes() -> None:
    request = APIRequestFactory().get("/")
    force_authenticate(request, token=TOKEN)
    with pytest.raises(ConfigurationError, match="TokenHasScope needs required_scopes on Changed"):
        of(required_scopes=[])(request)
    with pytest.raises(ConfigurationError, match="Requirement"):
        Requires("admin")  # type: ignore[arg-type]


def test_forced_authentication_is_held_against_the_scopes() -> None:
    def status(token: AccessToken | None, user: Any = None) -> int:
        request = APIRequestFactory().get("/")
        force_authenticate(request, user=user, token=token)
        response: Response = View.as_view()(request)
        return response.status_code

    assert status(TOKEN, Agent(TOKEN)) == 200
    assert status(TOKEN) == 200
    assert status(AccessToken(subject="a", issuer="b"), Agent(TOKEN)) == 403
    assert status(None, User(username="root")) == 401


def test_the_api_client_can_force_a_token(serve: Serve) -> None:
    serve({"x": View.as_view()})
    client = APIClient()
    client.force_authenticate(user=Agent(TOKEN), token=TOKEN)
    assert client.get("/x").json() == {"user": "cli_fake", "subject": "cli_fake", "type": "Agent"}


def test_a_resolver_says_who_the_user_is(serve: Serve, world: World) -> None:
    for middleware in ([], [OURS]):
        serve({"x": of(required_scopes="read")}, {"USER": user_of}, MIDDLEWARE=middleware)
        assert json.loads(ask_wsgi("GET", "/x", headers=bearer(world)).body)["type"] == "User"
        banned = ask_wsgi("GET", "/x", headers=bearer(world, subject="cli_banned"))
        assert (banned.status, json.loads(banned.body)["error"]) == (403, "access_denied")


def test_throttles_tell_agents_apart(serve: Serve, world: World) -> None:
    class Once(UserRateThrottle):
        rate = "1/day"

    serve({"x": of(required_scopes="read", throttle_classes=[Once])}, MIDDLEWARE=[])
    for realm in ("alpha", "beta"):
        headers = bearer(world, realm=realm, subject="cli_throttled")
        assert [ask_wsgi("GET", "/x", headers=headers).status for _ in range(2)] == [200, 429]


def test_an_agent_has_no_rights_by_itself(serve: Serve, world: World) -> None:
    agent = Agent(TOKEN)
    assert agent.is_authenticated
    assert agent.is_active
    assert (agent.is_anonymous, agent.is_staff, agent.is_superuser) == (False, False, False)
    assert (agent.has_perm("x.y"), agent.has_perms(["x.y"]), agent.has_module_perms("x")) == (False, False, False)
    assert (str(agent), agent.username, agent.get_username(), agent.id) == (
        "cli_fake",
        "cli_fake",
        "cli_fake",
        agent.pk,
    )
    nameless = {Agent(AccessToken(subject=None, issuer="i", client_id=name)).pk for name in ("a", "b", None)}
    assert len(nameless | {Agent(AccessToken(subject=name, issuer="i")).pk for name in ("a", "b")}) == 5

    class Models(DjangoModelPermissions):
        def _queryset(self, view: Any) -> Any:
            return User.objects.none()

    serve({"x": of(permission_classes=[Models])}, MIDDLEWARE=[])
    assert ask_wsgi("POST", "/x", headers=bearer(world)).status == 403


def test_a_host_that_is_not_allowed_is_400_as_in_django(serve: Serve, world: World) -> None:
    serve({"x": View.as_view()}, MIDDLEWARE=[])
    evil = "https://evil.example"
    assert ask_wsgi("GET", "/x", headers=bound(world, "/x", evil), base=evil).status == 400


def test_a_request_without_a_view_can_be_authenticated(world: World) -> None:
    configured = {name.upper(): value for name, value in world.settings().items()}
    with override_settings(STRONGDM_AUTH=configured):
        sent = APIRequestFactory().get("/", headers=dict(bearer(world)))
        request = Request(sent, authenticators=[StrongDMAuthentication()])
        assert request.auth["sub"] == "cli_agent"
        forged = Request(APIRequestFactory().get("/", headers={"Authorization": "Bearer abc"}))
        with pytest.raises(Refusal) as refusal:
            StrongDMAuthentication().authenticate(forged)
        assert (refusal.value.status_code, refusal.value.get_codes()["error"]) == (401, "invalid_token")


@pytest.mark.parametrize(
    "first", ["from strongdm_auth.drf import TokenHasScope", "from rest_framework.views import APIView"]
)
def test_the_project_may_name_our_classes_as_its_defaults(first: str) -> None:
    """DRF's views import the classes that are named there, and our module uses DRF's."""
    code = f"""
from django.conf import settings
settings.configure(INSTALLED_APPS=["rest_framework", "strongdm_auth.django"], REST_FRAMEWORK={{
    "DEFAULT_AUTHENTICATION_CLASSES": ["strongdm_auth.drf.StrongDMAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["strongdm_auth.drf.TokenHasScope"],
    "EXCEPTION_HANDLER": "strongdm_auth.drf.exception_handler",
    "UNAUTHENTICATED_USER": None,
}}, STRONGDM_AUTH={{"REALMS": "a", "AUDIENCE": "b"}}, ROOT_URLCONF="none", SECRET_KEY="x")
import django
django.setup()
{first}
from rest_framework.views import APIView
from rest_framework.test import APIRequestFactory
class View(APIView):
    required_scopes = "read"
print(View.as_view()(APIRequestFactory().get("/")).content.decode())
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=30)
    assert '"unauthorized"' in done.stdout, done.stderr
