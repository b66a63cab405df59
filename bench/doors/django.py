"""The Django door under WSGI: a decorated view, and the middleware with a route table, against the same view bare."""

from typing import Any

from bench import ours
from bench.record import Row
from bench.world import World, bearer

from . import BY_KEY, added, compared, wsgi_calls


def row(world: World, *, rounds: int) -> Row:
    """One project; each app is made under its own MIDDLEWARE, which Django reads when the app is made."""
    target = BY_KEY["django"]
    import django
    from django.conf import settings
    from django.http import JsonResponse
    from django.urls import path

    given = {name.upper(): value for name, value in ours.settings(world).items()}
    settings.configure(
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=["strongdm_auth.django"],
        MIDDLEWARE=[],
        ROOT_URLCONF="",
        SECRET_KEY="bench",
        STRONGDM_AUTH=given | {"PROTECTED_ROUTES": {"/table": {}}},
        USE_TZ=True,
    )
    django.setup()
    from django.core.handlers.wsgi import WSGIHandler

    from strongdm_auth.django import require_auth

    def answer(_request: Any) -> JsonResponse:
        return JsonResponse({"ok": True})

    class Routes:
        urlpatterns = [path("data", answer), path("decorated", require_auth(answer)), path("table", answer)]  # noqa: RUF012

    settings.ROOT_URLCONF = Routes
    plain = WSGIHandler()
    settings.MIDDLEWARE = ["strongdm_auth.django.StrongDMAuthMiddleware"]
    behind = WSGIHandler()
    headers = bearer(world.token())
    samples = compared(
        [
            wsgi_calls.contender("bare", plain, "/data", headers),
            wsgi_calls.contender("decorator", plain, "/decorated", headers),
            wsgi_calls.contender("middleware + decorator", behind, "/decorated", headers),
            wsgi_calls.contender("middleware, route table", behind, "/table", headers),
        ],
        rounds,
    )
    figures = [
        added("decorator", samples["decorator"], samples["bare"], target.limit),
        added("middleware + decorator", samples["middleware + decorator"], samples["bare"]),
        added("middleware, route table", samples["middleware, route table"], samples["bare"]),
    ]
    return Row("django", target.operation, figures, reference=target.reference)
